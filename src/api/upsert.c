/*-------------------------------------------------------------------------
 *
 * upsert.c
 *	  get_or_create() and update_or_create().
 *
 * Both first try without a key lock.  Only if no row has the key do they lock
 * the key, look again with a snapshot that is taken after the lock was granted,
 * and insert.  Sessions that create rows by racefree wait for the key's lock,
 * so one row is created whether or not there is a unique index.  Sessions that
 * insert without racefree do not wait.  Against these, only a unique index over
 * the key helps: the INSERT does nothing if it meets their row, and we look
 * once more.
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

#include "api/arguments.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/flush.h"
#include "keys/keylock.h"
#include "keys/routed.h"
#include "keys/turns.h"
#include "run/arbiter.h"
#include "run/run.h"
#include "table/indexes.h"
#include "table/json.h"
#include "table/privileges.h"
#include "table/promises.h"
#include "table/target.h"
#include "table/traits.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(get_or_create);
PG_FUNCTION_INFO_V1(update_or_create);

/* Arguments: both functions have the first three, update_or_create() all. */
enum
{
	ARG_TARGET,
	ARG_KEY,
	ARG_DEFAULTS,
	ARG_CREATE_DEFAULTS
};

/* A call of either function. */
typedef struct Upsert
{
	const char *function; /* for messages: "get_or_create()" */
	Target *target;
	Jsonb *key_object;
	ColumnValues *key;
	ColumnValues *update;  /* what to set in a row that is found, or NULL */
	ColumnValues *create;  /* what a new row has besides the key, or over it */
	Jsonb *create_object;  /* the object that "create" is read from */
	ColumnValues *stored;  /* the key's columns as a new row has them */
	bool leaves_key;	   /* true if "stored" differs from the key */
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
	promises_check_row_lock(upsert->target, upsert->key);
	return keep_only_row(upsert, run_lock(upsert->target, upsert->key));
}

/* Set the row that has the key.  False if there is none. */
static bool
set_row(Upsert *upsert)
{
	return keep_only_row(upsert, run_update(upsert->target, upsert->key,
											upsert->update));
}

/* The same, or only lock it if there is nothing to set; in turn. */
static bool
set_row_in_turn(Upsert *upsert)
{
	bool found;
	Turn turn;

	turns_begin(&turn, turns_wanted(upsert->target), upsert->target,
				upsert->key);
	found = upsert->update->ncolumns == 0 ? lock_row(upsert) : set_row(upsert);
	turns_end(&turn);
	return found;
}

/*
 * Lock the row that has the key, by looking first; see LOCK_ATTEMPTS.  False if
 * there is none.  A row that row security shows but forbids to change is an
 * error.
 */
static bool
look_and_lock_row(Upsert *upsert)
{
	promises_check_row_lock(upsert->target, upsert->key);
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		if (!look_for_row(upsert, VIEW_OWN))
			return false;
		racefree_injection_point("racefree-upsert-found");
		if (lock_row(upsert))
			return true;
	}
	if (traits_has_row_security(upsert->target))
		error_update_denied(target_relation(upsert->target),
							describe_key(upsert));
	error_serialization(target_relation(upsert->target));
}

/*
 * Set the row that has the key, or only lock it if there is nothing to set.
 * False if there is none.
 *
 * If a trigger can suppress the UPDATE, or row security hide rows from it that
 * it shows, an UPDATE that gives no row does not mean that there is none: look
 * and lock first.  A trigger that suppresses the UPDATE means the row to stay
 * as it is, and so the locked row is the result.
 *
 * If several rows may have the key, look first: they are an error, and an
 * UPDATE would lock them in whatever order the plan finds them.  Two calls that
 * do so can deadlock, each with an error to report anyway.
 */
static bool
update_row(Upsert *upsert)
{
	const ColumnValues *key = upsert->key;

	if (traits_updates_are_plain(upsert->target) &&
		!traits_has_row_security(upsert->target))
	{
		if (!indexes_unique_key(upsert->target, key->ncolumns, key->attnums,
								key->nulls) &&
			!look_for_row(upsert, VIEW_OWN))
			return false;
		return set_row_in_turn(upsert);
	}
	if (!look_and_lock_row(upsert))
		return false;
	if (upsert->update->ncolumns > 0)
		(void) set_row(upsert);
	return true;
}

/*
 * Return the row that was found under the key's lock, updated if asked.  False
 * if it was deleted concurrently.
 *
 * The race: another session created the row, and committed while we waited for
 * the key's lock.  Under REPEATABLE READ and SERIALIZABLE, the transaction's
 * snapshot can be older than that commit.  Were the row returned all the same,
 * the caller's next statements would not find it, and an UPDATE of ours would
 * not either, and would be taken for one of a row that is gone: so the caller
 * has to repeat the transaction.
 */
static bool
take_found_row(Upsert *upsert)
{
	if (IsolationUsesXactSnapshot() && !look_for_row(upsert, VIEW_OWN))
		error_serialization(target_relation(upsert->target));
	return upsert->update == NULL || update_row(upsert);
}

/*
 * Check that the new row has the key that it was inserted with.  If a trigger
 * changed the key, the row is not what was asked for, and the next call would
 * not find it and create another one.
 */
static void
check_created_key(const Upsert *upsert, RowSet inserted)
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
 * Check that the INSERT, which was this command, created one row with the key.
 *
 * The race is with ourselves: code of the user's that took part in the INSERT
 * can call us for the same key.  We hold the key's lock, so that call does not
 * wait, does not see the row that is being inserted, and creates one of its
 * own.  A row that is there without the changes since that command is another
 * session's, which did not lock the key.  On a remote server nothing is hidden
 * from us, not even our own row.
 */
static void
check_created_once(const Upsert *upsert, CommandId insert)
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

/*
 * Insert a row with these values; with "yield", do nothing if a row has the key
 * already.  "insert" is the command that this INSERT is, or the first one that
 * was tried.  True if there is a new row.
 */
static bool
insert_row(Upsert *upsert, const ColumnValues *values, bool yield,
		   CommandId insert)
{
	RowSet inserted = run_insert(upsert->target, upsert->stored, values, yield);

	if (inserted.nrows == 0)
		return false;
	racefree_injection_point("racefree-upsert-inserted");
	keep_row(upsert, inserted);
	check_created_key(upsert, inserted);
	if (!upsert->leaves_key &&
		traits_may_duplicate_key(upsert->target, upsert->key->ncolumns,
								 upsert->key->attnums, upsert->key->nulls))
		check_created_once(upsert, insert);
	return true;
}

/*
 * Look for the row under the key's lock, after an INSERT of ours gave none.
 * "ours" says whether the INSERT's triggers, or other code that it ran, put the
 * row there.
 *
 * Both looks use one snapshot: with two, a row that another session inserts or
 * deletes in between would be taken for our own.  If there are a row of another
 * session and one of our own, the result is the other session's.
 */
static bool
look_after_insert(Upsert *upsert, CommandId insert, bool *ours)
{
	Snapshot snapshot;
	bool was_there;
	RowSet found;

	Assert(insert != InvalidCommandId);
	*ours = false;
	if (!traits_may_divert_inserts(upsert->target) &&
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
 * Return true if the row that our INSERT put there, although it gave none, is
 * the one that was to be inserted, because a trigger diverted it.  If a unique
 * index covers the key, it can also be a row that other code of the INSERT
 * created before, with other values, and for which the INSERT did nothing.
 */
static bool
is_diverted_row(const Upsert *upsert)
{
	const ColumnValues *key = upsert->key;

	return !indexes_unique_key(upsert->target, key->ncolumns, key->attnums,
							   key->nulls) ||
		   values_match_row(upsert->target, upsert->row, upsert->create);
}

/*
 * Return the row that has the key, or create it: in rounds; see arbiter.h.  The
 * caller holds the key's lock.  True if the row was created.
 *
 * A new row that leaves the key meets no row that has the key, so there is
 * nothing to yield to.
 */
static bool
find_or_create(Upsert *upsert, const ColumnValues *values)
{
	Yields yields = arbiter_begin(upsert->target, !upsert->leaves_key);
	bool found = look_for_row(upsert, VIEW_LATEST);
	CommandId insert = InvalidCommandId;

	for (;;)
	{
		bool ours;

		if (found && take_found_row(upsert))
			return false;
		if (arbiter_gave_up(&yields))
			error_insert_suppressed(target_relation(upsert->target));

		if (insert == InvalidCommandId)
			insert = run_next_command();
		racefree_injection_point("racefree-upsert-missing");
		if (insert_row(upsert, values, arbiter_yields(&yields), insert))
			return true;
		racefree_injection_point("racefree-upsert-yielded");
		arbiter_again(&yields, upsert->target, upsert->stored);
		found = look_after_insert(upsert, insert, &ours);
		if (found && ours && is_diverted_row(upsert))
			return true;
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

/*
 * Lock the key where its row is to be, on another node.  Return false if the
 * lock of this session is enough: where a unique index decides which row is the
 * one, it spares nothing but useless INSERTs.
 */
static bool
lock_key_elsewhere(Upsert *upsert, bool unless_unique)
{
	const ColumnValues *key = upsert->key;

	promises_check_key(upsert->target, key);
	if (promises_at_home(upsert->target) ||
		!promises_key_is_routed(upsert->target, key) ||
		(unless_unique && indexes_unique_key(upsert->target, key->ncolumns,
											 key->attnums, key->nulls)))
		return false;
	routed_acquire_one(upsert->target, key);
	return true;
}

/*
 * Lock the key, so that no other session creates a row with it.  Over several
 * nodes, a unique index does as well, if the caller says so.
 */
static void
lock_key(Upsert *upsert, bool unless_unique)
{
	KeyLock lock;

	if (target_spread(upsert->target)->kind != SPREAD_NOT &&
		lock_key_elsewhere(upsert, unless_unique))
		return;
	target_hold_root(upsert->target);
	lock = keylock_of(upsert->target, upsert->key);
	keylock_acquire(&lock, 1);
}

/* No row has the key: lock the key, and find the row or create it. */
static bool
create_row(Upsert *upsert)
{
	ColumnValues *values;

	/* A role that may not insert must not be able to block others. */
	privileges_check_writable(upsert->target, upsert->function);
	privileges_check_insert(upsert->target, upsert->key->attnums,
							upsert->key->ncolumns, upsert->create->attnums,
							upsert->create->ncolumns);
	json_convert(upsert->target, upsert->create_object, upsert->create);
	values = values_of_new_row(upsert);
	racefree_injection_point("racefree-upsert-looked");
	lock_key(upsert, true);
	racefree_injection_point("racefree-upsert-locked");

	/*
	 * Lock the table before the INSERT's plan is fetched.  Plans are
	 * revalidated only then.  If we fetched the plan and then waited for the
	 * table's lock, an ALTER TABLE that committed while we waited would leave
	 * us running a stale plan.  With the lock held, no further invalidation can
	 * arrive.
	 */
	target_lock(upsert->target, RowExclusiveLock);
	if (find_or_create(upsert, values))
		return true;

	/*
	 * Another session created the row just now.  If we write nothing, our own
	 * commit does not wait for that of the other session to be on disk.
	 */
	if (upsert->update == NULL)
		flush_all_commits();
	return false;
}

/*
 * Set the row that has the key, or create it.  True if it was created.
 *
 * The race: a session that waits for a row while another one moves it to
 * another partition gets an error, since the row cannot be followed there.  So
 * where rows can move, calls for one key wait for each other at the key's lock,
 * before they look for the row, and then find it where it is.
 */
static bool
update_or_create_row(Upsert *upsert)
{
	if (traits_rows_can_move(upsert->target))
	{
		privileges_check_writable(upsert->target, upsert->function);
		privileges_check(upsert->target, ACL_SELECT | ACL_UPDATE);
		lock_key(upsert, false);
	}
	return !update_row(upsert) && create_row(upsert);
}

/* ----------
 * The calls
 * ----------
 */

/* Read what both functions are given, and open the table. */
static void
begin_upsert(Upsert *upsert, FunctionCallInfo fcinfo, const char *function,
			 LOCKMODE lockmode)
{
	arguments_require(fcinfo, ARG_KEY, "key");
	arguments_require(fcinfo, ARG_DEFAULTS, "defaults");
	memset(upsert, 0, sizeof(Upsert));
	upsert->function = function;
	upsert->context = CurrentMemoryContext;
	upsert->target =
		target_open(get_fn_expr_argtype(fcinfo->flinfo, ARG_TARGET), lockmode);
	upsert->key_object = PG_GETARG_JSONB_P(ARG_KEY);
	upsert->key = json_columns(upsert->target, upsert->key_object, "key");
	upsert->create_object = PG_GETARG_JSONB_P(ARG_DEFAULTS);
	upsert->create = json_columns(upsert->target, upsert->create_object,
								  "defaults");
}

/* Check that no column is named both in the key and in "defaults". */
static void
check_disjoint(const Upsert *upsert)
{
	const ColumnValues *key = upsert->key;
	const ColumnValues *other = upsert->create;
	int k = 0;
	int o = 0;

	while (k < key->ncolumns && o < other->ncolumns)
	{
		AttrNumber attnum = key->attnums[k];

		if (attnum == other->attnums[o])
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named in both \"key\" and \"%s\"",
							NameStr(target_column(upsert->target,
												  attnum)->attname),
							"defaults")));
		if (attnum < other->attnums[o])
			k++;
		else
			o++;
	}
}

/* The address by which the table's entry knows the result's type. */
static const char result_owner[] = "upsert result";

/* The type of the result for tables of this row type. */
static TupleDesc
build_upsert_result(Oid row_type)
{
	TupleDesc tupdesc = CreateTemplateTupleDesc(2);

	TupleDescInitEntry(tupdesc, 1, "object", row_type, -1, 0);
	TupleDescInitEntry(tupdesc, 2, "created", BOOLOID, -1, 0);
	TupleDescFinalize(tupdesc);
	return tupdesc;
}

/* Close the table, and return the row and whether it was created. */
static Datum
end_upsert(Upsert *upsert, bool created)
{
	Datum values[2] = {upsert->row, BoolGetDatum(created)};
	bool nulls[2] = {false, false};
	Datum result;

	Assert(DatumGetPointer(upsert->row) != NULL);
	result = arguments_form_record(upsert->target, result_owner,
								   build_upsert_result, values, nulls);
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
	Upsert upsert;
	bool created;

	begin_upsert(&upsert, fcinfo, "get_or_create()", AccessShareLock);
	check_disjoint(&upsert);
	json_convert(upsert.target, upsert.key_object, upsert.key);

	run_begin();
	created = !look_for_row(&upsert, VIEW_OWN) && create_row(&upsert);
	run_end();
	return end_upsert(&upsert, created);
}

/*
 * update_or_create(target anyelement, key jsonb, defaults jsonb,
 *					create_defaults jsonb,
 *					OUT object anyelement, OUT created boolean)
 */
Datum
update_or_create(PG_FUNCTION_ARGS)
{
	Upsert upsert;
	Jsonb *defaults;
	bool created;

	begin_upsert(&upsert, fcinfo, "update_or_create()", RowExclusiveLock);
	defaults = upsert.create_object;
	upsert.update = upsert.create;
	if (!PG_ARGISNULL(ARG_CREATE_DEFAULTS))
	{
		upsert.create_object = PG_GETARG_JSONB_P(ARG_CREATE_DEFAULTS);
		upsert.create = json_columns(upsert.target, upsert.create_object,
									 "create_defaults");
	}
	json_convert(upsert.target, upsert.key_object, upsert.key);
	json_convert(upsert.target, defaults, upsert.update);

	run_begin();
	created = update_or_create_row(&upsert);
	run_end();
	return end_upsert(&upsert, created);
}
