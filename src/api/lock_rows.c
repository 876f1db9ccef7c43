/*-------------------------------------------------------------------------
 *
 * lock_rows.c
 *	  lock_rows(): lock rows by their ids, all at once and in the order of the
 *	  primary key.
 *
 * What the calls allocate lives in the caller's memory context, which the
 * executor resets.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "keys/keylock.h"
#include "run/run.h"
#include "table/ids.h"
#include "table/json.h"
#include "table/target.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(lock_rows);

/* A row that was locked, and the id by which it is found again. */
typedef struct LockedRow
{
	Datum id;
	Datum row;
} LockedRow;

typedef struct LockRowsCall
{
	Target *target;
	IdColumn id;
	Datum *ids;
	int nids;
	LockedRow *rows; /* in id order */
	int nrows;
} LockRowsCall;

/* The statement takes the ids as an array; there are no arrays of arrays. */
static void
check_id_type(const LockRowsCall *call)
{
	Oid type = target_column(call->target, call->id.attnum)->atttypid;

	if (!OidIsValid(get_array_type(call->id.type)))
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
	Oid type = call->id.type;
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
	Oid to = call->id.type;
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
		call->ids[i] = ids_convert(from, to, call->ids[i]);
	}
}

static int
compare_rows(const void *a, const void *b, void *call)
{
	return ids_compare(&((const LockRowsCall *) call)->id,
					   ((const LockedRow *) a)->id,
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
	Form_pg_attribute att = target_column(call->target, call->id.attnum);
	RowSet locked = run_lock_ids(call->target, call->id.attnum, strength, wait,
								 PointerGetDatum(ids));
	MemoryContext old = MemoryContextSwitchTo(context);
	Size size = sizeof(LockedRow) * (call->nrows + locked.nrows + 1);

	call->rows = call->rows == NULL ? MemoryContextAllocHuge(context, size)
									: repalloc_huge(call->rows, size);
	for (uint64 i = 0; i < locked.nrows; i++)
	{
		LockedRow *row = &call->rows[call->nrows++];
		bool isnull;
		Datum id;

		id = rowset_value(&locked, i, call->id.attnum, &isnull);
		row->id = datumCopy(id, att->attbyval, att->attlen);
		row->row = rowset_form_row(&locked, i);
	}
	MemoryContextSwitchTo(old);

	qsort_arg(call->rows, call->nrows, sizeof(LockedRow), compare_rows, call);
	for (int i = 1; i < call->nrows; i++)
	{
		if (compare_rows(&call->rows[i - 1], &call->rows[i], call) == 0)
			ids_error_not_unique(call->target, call->id.attnum,
								 call->rows[i].id);
	}
	return locked.nrows;
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

	run_begin();
	ids = make_array(call, call->ids, call->nids);
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		int nlocked = lock_and_keep(call, strength, wait, ids, context);

		if (wait != LockWaitBlock || (i > 0 && nlocked == 0) ||
			(ids = missing_ids(call)) == NULL)
			break;
	}
	run_end();
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
	strength = strengths[arguments_choose(
		"mode", text_to_cstring(PG_GETARG_TEXT_PP(2)), modes, lengthof(modes))];
	wait =
		policies[arguments_choose("wait", text_to_cstring(PG_GETARG_TEXT_PP(3)),
								  waits, lengthof(waits))];

	call.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
							  RowShareLock);
	ids_resolve(&call.id, call.target, arguments_get_name(fcinfo, 4));
	check_id_type(&call);
	convert_ids(&call, PG_GETARG_ARRAYTYPE_P(1));

	lock_all(&call, strength, wait, CurrentMemoryContext);
	return_rows(fcinfo, &call);
	target_close(call.target);
	PG_RETURN_VOID();
}
