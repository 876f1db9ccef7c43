/*-------------------------------------------------------------------------
 *
 * lock_rows.c
 *	  lock_rows(): lock rows by their ids, all at once and in the order of the
 *	  primary key.
 *
 * The statement takes the ids as an array, not as rows of values: an array goes
 * to where the rows are.  postgres_fdw sends "id = ANY (...)" to the remote
 * server, but of a join with local rows it fetches, and locks, the whole remote
 * table.  Citus locks rows of several shards only one by one; see run.c.
 *
 * What the calls allocate lives in the caller's memory context, which the
 * executor resets.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "run/run.h"
#include "table/ids.h"
#include "table/promises.h"
#include "table/target.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(lock_rows);

/* Arguments */
enum
{
	ARG_TARGET,
	ARG_IDS,
	ARG_MODE,
	ARG_WAIT,
	ARG_ID_COLUMN
};

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
	LockClauseStrength strength;
	LockWaitPolicy wait;
	MemoryContext context; /* where the rows go */
	Datum *ids;			   /* as the caller gave them */
	int nids;
	LockedRow *rows; /* those that were locked, in id order */
	int nrows;
} LockRowsCall;

/* Check that there are arrays of ids, as there are none of arrays. */
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

/* Read the ids, and convert them to the id column's base type. */
static void
read_ids(LockRowsCall *call, ArrayType *array)
{
	Oid from = ARR_ELEMTYPE(array);
	Oid to = call->id.type;
	bool *nulls;

	arguments_deconstruct(array, &call->ids, &nulls, &call->nids);
	for (int i = 0; i < call->nids; i++)
	{
		if (nulls[i])
			error_null_element("ids");
		call->ids[i] = ids_convert(from, to, call->ids[i]);
	}
}

/* qsort and bsearch comparator: by id. */
static int
compare_locked_rows(const void *a, const void *b, void *call)
{
	return ids_compare(&((const LockRowsCall *) call)->id,
					   ((const LockedRow *) a)->id,
					   ((const LockedRow *) b)->id);
}

/* The row with that id, or NULL if none is locked. */
static LockedRow *
find_locked_row(LockRowsCall *call, Datum id)
{
	LockedRow wanted = {.id = id};

	return bsearch_arg(&wanted, call->rows, call->nrows, sizeof(LockedRow),
					   compare_locked_rows, call);
}

/* Add rows to those that are locked.  Two rows with one id are an error. */
static void
keep_locked_rows(LockRowsCall *call, RowSet locked)
{
	Form_pg_attribute att = target_column(call->target, call->id.attnum);
	MemoryContext old = MemoryContextSwitchTo(call->context);
	Size size = sizeof(LockedRow) * (call->nrows + locked.nrows + 1);

	call->rows = call->rows == NULL
					 ? MemoryContextAllocHuge(call->context, size)
					 : repalloc_huge(call->rows, size);
	for (uint64 i = 0; i < locked.nrows; i++)
	{
		LockedRow *row = &call->rows[call->nrows++];
		bool isnull;
		Datum id = rowset_value(&locked, i, call->id.attnum, &isnull);

		Assert(!isnull);
		row->id = datumCopy(id, att->attbyval, att->attlen);
		row->row = rowset_form_row(&locked, i);
	}
	MemoryContextSwitchTo(old);

	qsort_arg(call->rows, call->nrows, sizeof(LockedRow), compare_locked_rows,
			  call);
	for (int i = 1; i < call->nrows; i++)
	{
		if (compare_locked_rows(&call->rows[i - 1], &call->rows[i], call) == 0)
			ids_error_not_unique(call->target, call->id.attnum,
								 call->rows[i].id);
	}
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
		if (find_locked_row(call, call->ids[i]) == NULL)
			missing[nmissing++] = call->ids[i];
	}
	return nmissing > 0 ? ids_make_array(&call->id, missing, nmissing) : NULL;
}

/*
 * Lock the rows; see LOCK_ATTEMPTS.  A round after the first that locks nothing
 * shows that the rows which are missing do not exist.  Without waiting there is
 * one round, since no row was replaced while we waited.
 */
static void
lock_rows_by_id(LockRowsCall *call)
{
	ArrayType *ids;

	run_begin();
	ids = ids_make_array(&call->id, call->ids, call->nids);
	for (int i = 0; i < LOCK_ATTEMPTS && ids != NULL; i++)
	{
		RowSet locked = run_lock_ids(call->target, call->id.attnum,
									 call->strength, call->wait,
									 PointerGetDatum(ids));

		keep_locked_rows(call, locked);
		if (call->wait != LockWaitBlock || (i > 0 && locked.nrows == 0))
			break;
		ids = missing_ids(call);
	}
	run_end();
}

/* Return the rows in the order in which their ids were given. */
static void
return_locked_rows(FunctionCallInfo fcinfo, LockRowsCall *call)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < call->nids; i++)
	{
		LockedRow *found = find_locked_row(call, call->ids[i]);
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

/* The strength of the lock, in the words of SELECT's locking clause. */
static LockClauseStrength
read_mode(FunctionCallInfo fcinfo)
{
	static const char *const modes[] = {"update", "no key update", "share",
										"key share"};
	static const LockClauseStrength strengths[] = {LCS_FORUPDATE,
												   LCS_FORNOKEYUPDATE,
												   LCS_FORSHARE,
												   LCS_FORKEYSHARE};

	StaticAssertStmt(lengthof(modes) == lengthof(strengths),
					 "each mode has a strength");
	return strengths[arguments_choose(
		"mode", arguments_get_text(fcinfo, ARG_MODE), modes, lengthof(modes))];
}

/* The policy for rows that other sessions have locked. */
static LockWaitPolicy
read_wait(FunctionCallInfo fcinfo)
{
	static const char *const waits[] = {"wait", "nowait", "skip locked"};
	static const LockWaitPolicy policies[] = {LockWaitBlock, LockWaitError,
											  LockWaitSkip};

	StaticAssertStmt(lengthof(waits) == lengthof(policies),
					 "each word has a policy");
	return policies[arguments_choose(
		"wait", arguments_get_text(fcinfo, ARG_WAIT), waits, lengthof(waits))];
}

/*
 * lock_rows(target anyelement, ids anycompatiblearray, mode text, wait text,
 *			 id_column name) RETURNS SETOF anyelement
 */
Datum
lock_rows(PG_FUNCTION_ARGS)
{
	LockRowsCall call = {.context = CurrentMemoryContext};

	arguments_require(fcinfo, ARG_IDS, "ids");
	arguments_require(fcinfo, ARG_MODE, "mode");
	arguments_require(fcinfo, ARG_WAIT, "wait");
	call.strength = read_mode(fcinfo);
	call.wait = read_wait(fcinfo);
	call.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, ARG_TARGET),
							  RowShareLock);
	ids_resolve(&call.id, call.target,
				arguments_get_name(fcinfo, ARG_ID_COLUMN));
	check_id_type(&call);
	read_ids(&call, PG_GETARG_ARRAYTYPE_P(ARG_IDS));
	promises_check_row_locks(call.target, call.id.attnum, call.nids);

	lock_rows_by_id(&call);
	return_locked_rows(fcinfo, &call);
	target_close(call.target);
	PG_RETURN_VOID();
}
