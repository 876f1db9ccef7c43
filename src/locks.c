/*-------------------------------------------------------------------------
 *
 * locks.c
 *	  lock_keys() and lock_rows(): locks that a transaction declares before it
 *	  works, all of them at once and in one order.
 *
 * What the calls allocate lives in the caller's memory context, which the
 * executor resets.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "args.h"
#include "errors.h"
#include "keylock.h"
#include "plans.h"
#include "target.h"

PG_FUNCTION_INFO_V1(lock_keys);
PG_FUNCTION_INFO_V1(lock_rows);

/* ----------
 * lock_keys
 * ----------
 */

/* The locks that lock_keys() collects. */
typedef struct KeyLockList
{
	KeyLock *locks;
	int nlocks;
	int size;
} KeyLockList;

static void
add_lock(KeyLockList *list, KeyLock lock)
{
	if (list->nlocks == list->size)
	{
		list->size *= 2;
		list->locks = repalloc_huge(list->locks, sizeof(KeyLock) * list->size);
	}
	list->locks[list->nlocks++] = lock;
}

/* The row type of a table that is named as regclass takes it. */
static Oid
row_type_of(const char *name)
{
	Oid relid = DatumGetObjectId(
		DirectFunctionCall1(regclassin, CStringGetDatum(name)));
	Oid row_type = get_rel_type_id(relid);

	/* regclass takes any number, too. */
	if (get_rel_name(relid) == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"%s\" does not exist", name)));
	if (!OidIsValid(row_type))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table", name)));
	return row_type;
}

/* Add the locks of one table's keys: an array of objects. */
static void
add_table(KeyLockList *list, const char *name, JsonbValue *keys)
{
	Target *target;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue element;
	MemoryContext scratch;
	MemoryContext old;

	if (keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keys of table \"%s\" must be a JSON array of objects",
						name)));

	target = target_open(row_type_of(name), AccessShareLock);
	target_check_privileges(target, ACL_SELECT | ACL_INSERT);
	target_hold_root(target);

	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree keys",
									ALLOCSET_DEFAULT_SIZES);
	it = JsonbIteratorInit(keys->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while ((token = JsonbIteratorNext(&it, &element, true)) == WJB_ELEM)
	{
		Jsonb *object;
		ColumnValues *key;

		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(scratch);
		object = JsonbValueToJsonb(&element);
		key = args_columns(target, object, name);
		target_check_insert(target, key->attnums, key->ncolumns, NULL, 0);
		args_convert(target, object, key);
		add_lock(list, keylock_of(target, key));
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
	target_close(target);
}

/*
 * lock_keys(keys jsonb)
 *
 * Take the locks that get_or_create() and update_or_create() would take on
 * these keys if there was no row, over all tables in one order.
 */
Datum
lock_keys(PG_FUNCTION_ARGS)
{
	KeyLockList list = {.nlocks = 0, .size = 64};
	Jsonb *keys;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	char *table = NULL;

	if (PG_ARGISNULL(0))
		error_null_argument("keys");
	keys = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(keys))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", "keys"),
				 errhint("Name tables and their keys, such as "
						 "{\"my_table\": [{\"name\": \"x\"}]}.")));

	list.locks = palloc(sizeof(KeyLock) * list.size);
	it = JsonbIteratorInit(&keys->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			table = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			add_table(&list, table, &value);
	}
	keylock_acquire(list.locks, list.nlocks);
	PG_RETURN_VOID();
}

/* ----------
 * lock_rows
 * ----------
 */

/* A row that was locked, and the id by which it is found again. */
typedef struct LockedRow
{
	Datum id;
	Datum row;
} LockedRow;

typedef struct LockRowsCall
{
	Target *target;
	AttrNumber id_attnum;
	Form_pg_attribute id_column;
	FmgrInfo *compare; /* btree comparison of the id type */
	Datum *ids;
	int nids;
	LockedRow *rows; /* in id order */
	int nrows;
} LockRowsCall;

/* The statement takes the ids as an array; there are no arrays of arrays. */
static void
check_id_type(const LockRowsCall *call)
{
	Oid type = call->id_column->atttypid;

	if (!OidIsValid(get_array_type(getBaseType(type))))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows cannot be locked by ids of type %s",
						format_type_be(type)),
				 errdetail("There is no array type for it.")));
}

/* Ids of the id column's base type in an array, for the statement. */
static ArrayType *
make_array(const LockRowsCall *call, Datum *ids, int nids)
{
	Oid type = getBaseType(call->id_column->atttypid);
	int16 typlen;
	bool typbyval;
	char typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return construct_array(ids, nids, type, typlen, typbyval, typalign);
}

/* The ids that the caller gave, as values of the id column's base type. */
static void
convert_ids(LockRowsCall *call, ArrayType *array)
{
	Oid from = ARR_ELEMTYPE(array);
	Oid to = getBaseType(call->id_column->atttypid);
	int16 typlen;
	bool typbyval;
	char typalign;
	bool *nulls;

	get_typlenbyvalalign(from, &typlen, &typbyval, &typalign);
	deconstruct_array(array, from, typlen, typbyval, typalign, &call->ids,
					  &nulls, &call->nids);
	for (int i = 0; i < call->nids; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain nulls", "ids")));
		call->ids[i] = args_convert_id(from, to, call->ids[i]);
	}
}

static int
compare_ids(const LockRowsCall *call, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll(call->compare, call->id_column->attcollation, a, b));
}

static int
compare_rows(const void *a, const void *b, void *call)
{
	return compare_ids(call, ((const LockedRow *) a)->id,
					   ((const LockedRow *) b)->id);
}

/* The row with that id, if it is locked. */
static LockedRow *
find_row(LockRowsCall *call, Datum id)
{
	LockedRow wanted = {.id = id};

	return bsearch_arg(&wanted, call->rows, call->nrows, sizeof(LockedRow),
					   compare_rows, call);
}

/*
 * Lock rows, and add them to those that are kept, in id order, in the given
 * memory context.  The result is their number.
 */
static int
lock_and_keep(LockRowsCall *call, LockClauseStrength strength,
			  LockWaitPolicy wait, ArrayType *ids, MemoryContext context)
{
	int nrows = plan_lock_ids(call->target, call->id_attnum, strength, wait,
							  PointerGetDatum(ids));
	TupleDesc tupdesc = SPI_tuptable->tupdesc;
	MemoryContext old = MemoryContextSwitchTo(context);
	Size size = sizeof(LockedRow) * (call->nrows + nrows + 1);

	call->rows = call->rows == NULL ? MemoryContextAllocHuge(context, size)
									: repalloc_huge(call->rows, size);
	for (int i = 0; i < nrows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		LockedRow *row = &call->rows[call->nrows++];
		bool isnull;
		Datum id;

		id = target_row_value(call->target, tuple, tupdesc, call->id_attnum,
							  &isnull);
		row->id = datumCopy(id, call->id_column->attbyval,
							call->id_column->attlen);
		row->row = target_form_row(call->target, tuple, tupdesc);
	}
	MemoryContextSwitchTo(old);

	qsort_arg(call->rows, call->nrows, sizeof(LockedRow), compare_rows, call);
	for (int i = 1; i < call->nrows; i++)
	{
		if (compare_rows(&call->rows[i - 1], &call->rows[i], call) == 0)
			args_error_id_not_unique(call->target, call->id_attnum,
									 call->rows[i].id);
	}
	return nrows;
}

/* The ids of which no row is locked; NULL if there are none. */
static ArrayType *
missing_ids(LockRowsCall *call)
{
	Datum *missing;
	int nmissing = 0;

	/* No two rows have the same id. */
	if (call->nrows == call->nids)
		return NULL;
	missing = MemoryContextAllocHuge(CurrentMemoryContext,
									 sizeof(Datum) * call->nids);
	for (int i = 0; i < call->nids; i++)
	{
		if (find_row(call, call->ids[i]) == NULL)
			missing[nmissing++] = call->ids[i];
	}
	return nmissing > 0 ? make_array(call, missing, nmissing) : NULL;
}

/*
 * Lock the rows, and keep them in the given memory context.  While we waited
 * for one, another session may have deleted it and inserted another one with
 * the same id: look again for those that are missing, with a newer snapshot.
 * That can lock rows out of order, if rarely: then PostgreSQL may have to end a
 * circle.
 */
static void
lock_all(LockRowsCall *call, LockClauseStrength strength, LockWaitPolicy wait,
		 MemoryContext context)
{
	ArrayType *ids;

	SPI_connect();
	ids = make_array(call, call->ids, call->nids);
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		int nlocked = lock_and_keep(call, strength, wait, ids, context);

		if (wait != LockWaitBlock || (i > 0 && nlocked == 0) ||
			(ids = missing_ids(call)) == NULL)
			break;
	}
	SPI_finish();
}

/* Return the rows in the order in which their ids were given. */
static void
return_rows(FunctionCallInfo fcinfo, LockRowsCall *call)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < call->nids; i++)
	{
		LockedRow *found = find_row(call, call->ids[i]);
		HeapTupleData tuple;

		if (found == NULL)
			continue;
		tuple.t_data = DatumGetHeapTupleHeader(found->row);
		tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
		ItemPointerSetInvalid(&tuple.t_self);
		tuple.t_tableOid = InvalidOid;
		tuplestore_puttuple(rsinfo->setResult, &tuple);
	}
}

/*
 * lock_rows(target anyelement, ids anycompatiblearray, mode text, wait text,
 *			 id_column name) RETURNS SETOF anyelement
 */
Datum
lock_rows(PG_FUNCTION_ARGS)
{
	static const char *const modes[] = {"update", "no key update", "share",
										"key share"};
	static const LockClauseStrength strengths[] = {LCS_FORUPDATE,
												   LCS_FORNOKEYUPDATE,
												   LCS_FORSHARE,
												   LCS_FORKEYSHARE};
	static const char *const waits[] = {"wait", "nowait", "skip locked"};
	static const LockWaitPolicy policies[] = {LockWaitBlock, LockWaitError,
											  LockWaitSkip};
	LockRowsCall call = {0};
	LockClauseStrength strength;
	LockWaitPolicy wait;

	if (PG_ARGISNULL(1))
		error_null_argument("ids");
	if (PG_ARGISNULL(2))
		error_null_argument("mode");
	if (PG_ARGISNULL(3))
		error_null_argument("wait");
	strength =
		strengths[args_choose("mode", text_to_cstring(PG_GETARG_TEXT_PP(2)),
							  modes, lengthof(modes))];
	wait = policies[args_choose("wait", text_to_cstring(PG_GETARG_TEXT_PP(3)),
								waits, lengthof(waits))];

	call.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
							  RowShareLock);
	call.id_attnum =
		target_id_column(call.target,
						 PG_ARGISNULL(4) ? NULL : NameStr(*PG_GETARG_NAME(4)));
	call.id_column = target_column(call.target, call.id_attnum);
	call.compare = target_id_comparison(call.target, call.id_attnum);
	check_id_type(&call);
	convert_ids(&call, PG_GETARG_ARRAYTYPE_P(1));

	lock_all(&call, strength, wait, CurrentMemoryContext);
	return_rows(fcinfo, &call);
	target_close(call.target);
	PG_RETURN_VOID();
}
