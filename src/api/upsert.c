/*-------------------------------------------------------------------------
 *
 * upsert.c
 *	  get_or_create() and update_or_create().
 *
 * Both first try without any lock of ours.  Only where no row matches do they
 * lock the key, look again with a snapshot taken under the lock, and insert.
 * Whoever else goes through racefree waits at the lock, so one row is created
 * whether or not a unique index watches.  Against writers that do not, a
 * unique index over the key is the judge: the INSERT steps back from their
 * row, and we look once more.
 *
 * What the calls allocate lives in the caller's memory context, which the
 * executor resets, or goes with run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "keys/keylock.h"
#include "run/arbiter.h"
#include "run/run.h"
#include "table/json.h"
#include "table/target.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(get_or_create);
PG_FUNCTION_INFO_V1(update_or_create);

typedef struct Upsert
{
	const char *function; /* for messages: "get_or_create()" */
	Target *target;
	ColumnValues *key;
	ColumnValues *update;  /* what to set in a row found, or NULL */
	ColumnValues *create;  /* what a new row takes, over the key */
	Jsonb *create_object;  /* where create's values come from */
	ColumnValues *stored;  /* the key's columns as a new row takes them */
	bool leaves_key;	   /* does that differ from the key? */
	MemoryContext context; /* where the result row goes */
	Datum row;			   /* the result row, once there is one */
} Upsert;

/* The key for an error's detail. */
static char *
describe_key(const Upsert *upsert)
{
	return psprintf("Key %s", values_describe(upsert->target, upsert->key));
}

/* Keep the first row of the set as the result. */
static void
keep_row(Upsert *upsert, RowSet set)
{
	MemoryContext old = MemoryContextSwitchTo(upsert->context);

	upsert->row = rowset_form_row(&set, 0);
	MemoryContextSwitchTo(old);
}

/*
 * Keep the one row that has the key as the result.  False if the set has none;
 * several are an error.
 */
static bool
keep_only_row(Upsert *upsert, RowSet set)
{
	if (set.nrows == 0)
		return false;
	if (set.nrows > 1)
		error_several_rows(target_relation(upsert->target),
						   describe_key(upsert));
	keep_row(upsert, set);
	return true;
}

/* Look for the row that has the key.  False if there is none. */
static bool
look_for_row(Upsert *upsert, View view)
{
	return keep_only_row(upsert, run_look(upsert->target, upsert->key, view));
}

/* Lock the row that has the key.  False if there is none. */
static bool
lock_row(Upsert *upsert)
{
	return keep_only_row(upsert, run_lock(upsert->target, upsert->key));
}

/* Set the row that has the key.  False if there is none. */
static bool
set_row(Upsert *upsert)
{
	return keep_only_row(upsert, run_update(upsert->target, upsert->key,
											upsert->update));
}

/*
 * Lock the row that matches the key, by looking first.  One that took its
 * place meanwhile is locked instead.  One that row security shows but forbids
 * to change is an error.  False if there is none.
 */
static bool
look_and_lock_row(Upsert *upsert)
{
	for (int try = 0; try < LOCK_ATTEMPTS; try++)
	{
		if (!look_for_row(upsert, VIEW_OWN))
			return false;
		if (lock_row(upsert))
			return true;
	}
	if (target_has_row_security(upsert->target))
		error_update_denied(target_relation(upsert->target),
							describe_key(upsert));
	error_serialization(target_relation(upsert->target));
}

/*
 * Set the row that matches the key, or lock it where there is nothing to set.
 * False if there is none.
 *
 * Where a trigger can suppress the UPDATE, or row security hide rows from it
 * that it shows, look and lock first.  A trigger that suppresses the UPDATE
 * means the row to stay as it is, and so it is the result.
 *
 * Where several rows may have the key, look first: they are an error, and none
 * of them should be locked, out of order, for an error.
 */
static bool
update_row(Upsert *upsert)
{
	const ColumnValues *key = upsert->key;
	bool nothing_to_set = upsert->update->ncolumns == 0;

	if (target_updates_are_plain(upsert->target) &&
		!target_has_row_security(upsert->target))
	{
		if (!target_is_unique_key(upsert->target, key->ncolumns, key->attnums,
								  key->nulls) &&
			!look_for_row(upsert, VIEW_OWN))
			return false;
		return nothing_to_set ? lock_row(upsert) : set_row(upsert);
	}
	if (!look_and_lock_row(upsert))
		return false;
	if (!nothing_to_set)
		(void) set_row(upsert);
	return true;
}

/*
 * A row was found under the key lock.  It is another transaction's, committed
 * while we waited: under REPEATABLE READ and SERIALIZABLE our snapshot may be
 * too old to see it.  Otherwise it is the row to return, updated if asked.
 * False if it is gone by now.
 */
static bool
take_found_row(Upsert *upsert)
{
	if (IsolationUsesXactSnapshot() && !look_for_row(upsert, VIEW_OWN))
		error_serialization(target_relation(upsert->target));
	return upsert->update == NULL || update_row(upsert);
}

/*
 * A trigger may have changed the key on its way into the table.  Then the row
 * is not what was asked for, and the next call would create another one.
 */
static void
check_created_key(Upsert *upsert, RowSet inserted)
{
	ColumnValues *created = rowset_values(&inserted, 0, upsert->stored);
	AttrNumber changed = values_find_difference(upsert->target, upsert->stored,
												created);

	if (changed != InvalidAttrNumber)
		error_key_changed(target_relation(upsert->target),
						  NameStr(
							  target_column(upsert->target, changed)->attname));
}

/*
 * Code of the user's that took part in the INSERT, which is this command, may
 * have called us for the same key: we hold its lock, so that call did not
 * wait, and its row is one too many.  A row that is there without what we have
 * done is another session's, which did not ask for the lock.  On a remote
 * server nothing is hidden from us, our own row neither.
 */
static void
check_created_once(Upsert *upsert, CommandId insert)
{
	const Target *target = upsert->target;
	Snapshot snapshot = run_take_snapshot();
	uint64 nrows = run_count(target, upsert->key, VIEW_AT(snapshot));

	if (nrows > 1)
	{
		uint64 nothers = run_count(target, upsert->key,
								   VIEW_BEFORE(snapshot, insert));

		if (nrows - nothers != 1)
			error_created_twice(target_relation(target), describe_key(upsert));
	}
	run_release_snapshot(snapshot);
}

static bool
insert_row(Upsert *upsert, bool yield, const ColumnValues *values,
		   CommandId insert)
{
	RowSet inserted = run_insert(upsert->target, upsert->stored, values, yield);

	if (inserted.nrows == 0)
		return false;
	keep_row(upsert, inserted);
	check_created_key(upsert, inserted);
	if (!upsert->leaves_key &&
		target_may_duplicate_key(upsert->target, upsert->key->ncolumns,
								 upsert->key->attnums, upsert->key->nulls))
		check_created_once(upsert, insert);
	return true;
}

/*
 * Look for the row under the key lock, after an INSERT of ours gave none.  In
 * "ours", say whether what the INSERT did put it there: a trigger that diverts
 * the row, or other code that creates it.  One snapshot answers both, so that
 * another session's DELETE or INSERT in between is not taken for our own.  Of
 * another session's row and our own, the result is the other session's.
 */
static bool
look_after_insert(Upsert *upsert, CommandId insert, bool *ours)
{
	Snapshot snapshot;
	bool was_there;
	RowSet found;

	*ours = false;
	if (!target_may_divert_inserts(upsert->target) &&
		!target_runs_user_code_on_insert(upsert->target))
		return look_for_row(upsert, VIEW_LATEST);

	snapshot = run_take_snapshot();
	was_there = look_for_row(upsert, VIEW_BEFORE(snapshot, insert));
	found = run_look(upsert->target, upsert->key, VIEW_AT(snapshot));
	run_release_snapshot(snapshot);
	if (found.nrows > 1 && was_there)
		return true;
	if (found.nrows > 1)
		error_created_twice(target_relation(upsert->target),
							describe_key(upsert));
	if (found.nrows == 0)
		return false;
	keep_row(upsert, found);
	*ours = !was_there;
	return true;
}

/*
 * A row that the INSERT of ours put there, which gave none: is it the one that
 * was to be inserted, and which a trigger diverted?  Where a unique index
 * covers the key, the INSERT may have stepped back from a row that other code
 * of it had created before, with other values.
 */
static bool
is_our_row(const Upsert *upsert)
{
	const ColumnValues *key = upsert->key;

	return !target_is_unique_key(upsert->target, key->ncolumns, key->attnums,
								 key->nulls) ||
		   values_match_row(upsert->target, upsert->row, upsert->create);
}

/*
 * Return the row that matches the key under the key lock, creating it if
 * there is none.  True if it was created.
 *
 * Each round looks with a snapshot that is newer than the lock, and then
 * tries to insert.  What ends in neither (the row is deleted again, or hidden
 * by row security, or in conflict only because a trigger rewrites the key)
 * ends with the INSERT that reports its conflict.  Triggers that may divert
 * the INSERT should not be fired more often than it takes to find that out.
 * A new row that leaves the key has no row with the key to yield to.
 */
static bool
find_or_insert(Upsert *upsert, const ColumnValues *values)
{
	int max_yields = upsert->leaves_key ? 0
										: arbiter_max_yields(upsert->target);
	CommandId insert = InvalidCommandId;

	for (int round = 0;; round++)
	{
		bool last = round >= max_yields;
		bool ours = false;

		if (round == 0 ? look_for_row(upsert, VIEW_LATEST)
					   : look_after_insert(upsert, insert, &ours))
		{
			if (ours && is_our_row(upsert))
				return true;
			if (take_found_row(upsert))
				return false;
		}
		if (round > max_yields)
			error_insert_suppressed(target_relation(upsert->target));

		if (round == 0)
			insert = run_next_command();
		if (insert_row(upsert, !last, values, insert))
			return true;
		/* Nothing to yield to: it will not be there next time either. */
		if (!arbiter_can_yield(upsert->target, upsert->stored))
			round = max_yields;
	}
}

/*
 * The values of a new row: the key, and over it what is to be created.  In
 * update_or_create() that can give columns of the key other values.
 */
static ColumnValues *
values_of_new_row(Upsert *upsert)
{
	ColumnValues *key = upsert->key;
	ColumnValues *values = values_merge(key, upsert->create);

	upsert->stored = key;
	if (values->ncolumns < key->ncolumns + upsert->create->ncolumns)
	{
		upsert->stored = values_select(values, key);
		upsert->leaves_key = values_find_difference(upsert->target, key,
													upsert->stored) !=
							 InvalidAttrNumber;
	}
	return values;
}

/* Wait until nobody else creates a row with the key. */
static void
lock_key(Upsert *upsert)
{
	KeyLock lock;

	target_hold_root(upsert->target);
	lock = keylock_of(upsert->target, upsert->key);
	keylock_acquire(&lock, 1);
}

/* Refuse to write where nothing may be written. */
static void
check_writable(Upsert *upsert)
{
	if (!target_relation(upsert->target)->rd_islocaltemp)
		PreventCommandIfReadOnly(upsert->function);
}

/* No row matched: lock the key, then see. */
static bool
create_row(Upsert *upsert)
{
	ColumnValues *values;

	check_writable(upsert);
	target_check_insert(upsert->target, upsert->key->attnums,
						upsert->key->ncolumns, upsert->create->attnums,
						upsert->create->ncolumns);
	json_convert(upsert->target, upsert->create_object, upsert->create);
	values = values_of_new_row(upsert);
	lock_key(upsert);
	target_lock(upsert->target, RowExclusiveLock);
	return find_or_insert(upsert, values);
}

/*
 * Set the row, or create it.  True if it was created.
 *
 * Who waits for a row while that is moved to another partition gets an error,
 * since the row cannot be followed there.  So calls for one key wait for each
 * other at its lock, where there are partitions, and then find the row where it
 * is.
 */
static bool
update_or_create_row(Upsert *upsert)
{
	if (target_rows_can_move(upsert->target))
	{
		check_writable(upsert);
		target_check_privileges(upsert->target, ACL_SELECT | ACL_UPDATE);
		lock_key(upsert);
	}
	return !update_row(upsert) && create_row(upsert);
}

/* The argument as a JSON object, which must not be NULL. */
static Jsonb *
get_object(FunctionCallInfo fcinfo, int argno, const char *argument)
{
	if (PG_ARGISNULL(argno))
		error_null_argument(argument);
	return PG_GETARG_JSONB_P(argno);
}

/* The address by which the table's entry knows the result's type. */
static const char result_owner[] = "upsert result";

/* The type of the result for tables of this row type. */
static TupleDesc
build_result(Oid row_type)
{
	TupleDesc tupdesc = CreateTemplateTupleDesc(2);

	TupleDescInitEntry(tupdesc, 1, "object", row_type, -1, 0);
	TupleDescInitEntry(tupdesc, 2, "created", BOOLOID, -1, 0);
	return tupdesc;
}

/* The result record: the row, and whether it was created. */
static Datum
finish(Upsert *upsert, bool created)
{
	Datum values[2] = {upsert->row, BoolGetDatum(created)};
	bool nulls[2] = {false, false};
	Datum result;

	result = arguments_form_record(upsert->target, result_owner, build_result,
								   values, nulls);
	target_close(upsert->target);
	return result;
}

/*
 * get_or_create(target anyelement, key jsonb, defaults jsonb,
 *				 OUT object anyelement, OUT created boolean)
 */
Datum
get_or_create(PG_FUNCTION_ARGS)
{
	Jsonb *key = get_object(fcinfo, 1, "key");
	Jsonb *defaults = get_object(fcinfo, 2, "defaults");
	Upsert upsert = {.function = "get_or_create()"};
	bool created;

	upsert.context = CurrentMemoryContext;
	upsert.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
								AccessShareLock);
	upsert.key = json_columns(upsert.target, key, "key");
	upsert.create = json_columns(upsert.target, defaults, "defaults");
	upsert.create_object = defaults;
	arguments_check_disjoint(upsert.target, upsert.key, upsert.create,
							 "defaults");
	json_convert(upsert.target, key, upsert.key);

	run_begin();
	created = !look_for_row(&upsert, VIEW_OWN) && create_row(&upsert);
	run_end();
	PG_RETURN_DATUM(finish(&upsert, created));
}

/*
 * update_or_create(target anyelement, key jsonb, defaults jsonb,
 *					create_defaults jsonb,
 *					OUT object anyelement, OUT created boolean)
 */
Datum
update_or_create(PG_FUNCTION_ARGS)
{
	Jsonb *key = get_object(fcinfo, 1, "key");
	Jsonb *defaults = get_object(fcinfo, 2, "defaults");
	Upsert upsert = {.function = "update_or_create()"};
	bool created;

	upsert.context = CurrentMemoryContext;
	upsert.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
								RowExclusiveLock);
	upsert.key = json_columns(upsert.target, key, "key");
	upsert.update = json_columns(upsert.target, defaults, "defaults");
	upsert.create = upsert.update;
	upsert.create_object = defaults;
	if (!PG_ARGISNULL(3))
	{
		upsert.create_object = PG_GETARG_JSONB_P(3);
		upsert.create = json_columns(upsert.target, upsert.create_object,
									 "create_defaults");
	}
	json_convert(upsert.target, key, upsert.key);
	json_convert(upsert.target, defaults, upsert.update);

	run_begin();
	created = update_or_create_row(&upsert);
	run_end();
	PG_RETURN_DATUM(finish(&upsert, created));
}
