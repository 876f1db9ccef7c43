/*-------------------------------------------------------------------------
 *
 * upsert_many.c
 *	  get_or_create_many() and update_or_create_many().
 *
 * Each does for many rows what the single function does for one, with a number
 * of statements that does not depend on the number of rows (but on tables of
 * Citus; see run.c).  Locks are taken in
 * one order by all calls, for one row or many, so that none of them deadlock
 * with each other:
 *
 *	1. keys, all at once, in the order of their tags: to get, those of rows that
 *	   are not there; to update, all
 *	2. rows that are there, in the order of the primary key
 *
 * New rows come last, in the order of the input: since their keys are locked,
 * no call waits for another one's.
 *
 * Where Citus manages the table, sessions on other nodes do not see the locks of
 * keys, and wait for each other's new rows instead.  So there new rows are locked
 * in the place of keys: they come first, in the order of the keys, and rows that
 * are there after them.
 *
 * Rows with NULLs in different columns of their keys need different
 * statements (IS NULL): they are looked for, and updated, one pattern of NULLs
 * after the other.  Where there is a primary key, they are locked by that.
 *
 * The groups, with the result rows, live in the caller's memory context, which
 * the executor resets; all else goes with run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/flush.h"
#include "keys/groups.h"
#include "run/arbiter.h"
#include "run/run.h"
#include "table/indexes.h"
#include "table/privileges.h"
#include "table/promises.h"
#include "table/target.h"
#include "table/traits.h"

PG_FUNCTION_INFO_V1(get_or_create_many);
PG_FUNCTION_INFO_V1(update_or_create_many);

/* Arguments of both functions. */
enum
{
	ARG_TARGET,
	ARG_ROWS,
	ARG_KEY
};

/*
 * Maximum number of distinct column sets that get their own UPDATE; the rows
 * that give other sets share one UPDATE.
 */
#define MAX_UPDATES 8

/* A call of either function. */
typedef struct UpsertMany
{
	const char *function; /* for messages: "get_or_create_many()" */
	bool update;
	bool inserts_first; /* before rows are locked and set */
	Target *target;
	KeyGroups *groups;
} UpsertMany;

/* ----------
 * Looking for rows
 * ----------
 */

/*
 * Look for the rows of groups that have none.  Groups whose row is found get
 * the state.
 */
static void
look_for_missing(UpsertMany *call, View view, KeyGroupState state)
{
	GroupList missing = groups_select(call->groups, GROUP_MISSING);
	GroupList pattern;

	while (groups_next_pattern(call->groups, &missing, &pattern))
	{
		Rows *rows = groups_rows(call->groups, pattern, NULL, false);
		RowSet found = run_rows_look(call->target, rows,
									 &pattern.groups[0]->key, NULL, view);

		groups_take_rows(call->groups, found, state);
		groups_free_list(&pattern);
	}
}

/*
 * The group's row was found after an INSERT of ours gave none.  Return true if
 * it is the row that was to be inserted, because a trigger diverted that row.
 * If a unique index covers the key, it can also be a row that other code of the
 * INSERT created before, with other values, and for which the INSERT did
 * nothing.
 */
static bool
created_by_insert(const UpsertMany *call, const KeyGroup *group)
{
	if (!group->tried)
		return false;
	if (!indexes_unique_key(call->target, group->key.ncolumns,
							group->key.attnums, group->key.nulls))
		return true;
	for (int d = 0; d < group->data.ncolumns; d++)
	{
		ColumnValues one = {1, &group->data.attnums[d], &group->data.values[d],
							&group->data.nulls[d]};

		if (group->given[d] &&
			!values_match_row(call->target, group->row, &one))
			return false;
	}
	return true;
}

/*
 * Return true if the group's row was created by our transaction, but is not the
 * row that we inserted: other code that ran in our statements created it.
 */
static bool
created_by_other_code(const KeyGroup *group, const void *call)
{
	return group->state == GROUP_CREATED && !created_by_insert(call, group);
}

/*
 * Report an error for a row that was found under its key's lock, if the
 * transaction's snapshot is older than the row.  Under REPEATABLE READ and
 * SERIALIZABLE it always is: had the snapshot shown the row, the look before
 * the lock would have found it.  Were the row returned, or updated, the
 * caller's own statements would not see it.
 */
static void
check_snapshot_sees(const UpsertMany *call, GroupList missing)
{
	if (!IsolationUsesXactSnapshot())
		return;
	for (int g = 0; g < missing.ngroups; g++)
	{
		ErrorContextCallback callback;

		if (missing.groups[g]->state != GROUP_FOUND)
			continue;
		groups_push_error_context(&callback, missing.groups[g]);
		error_serialization(target_relation(call->target));
	}
}

/*
 * Look again for the rows that are missing, whose keys are locked.
 *
 * The race: another session creates the row and commits between our first look
 * and the grant of our lock.  Only a snapshot that is taken after the lock was
 * granted shows that row.  With an older one we would insert a second row for
 * the key or, if there is a unique index, fail.
 *
 * After an INSERT or UPDATE of ours, "since" is the first command by which
 * triggers or other code can have put rows where the keys find them.  Then look
 * first without the changes since that command.  Both looks use one snapshot:
 * with two, a row that another session commits in between would be seen by the
 * second look only, and returned as created by us.
 */
static void
look_again(UpsertMany *call, CommandId since)
{
	GroupList missing = groups_select(call->groups, GROUP_MISSING);
	GroupList others;
	Snapshot snapshot;

	if (missing.ngroups > 0 && since == InvalidCommandId)
	{
		look_for_missing(call, VIEW_LATEST, GROUP_FOUND);
		check_snapshot_sees(call, missing);
	}
	else if (missing.ngroups > 0)
	{
		snapshot = run_take_snapshot();
		look_for_missing(call, VIEW_BEFORE(snapshot, since), GROUP_FOUND);
		check_snapshot_sees(call, missing);
		look_for_missing(call, VIEW_AT(snapshot), GROUP_CREATED);
		run_release_snapshot(snapshot);
		others = groups_split(&missing, created_by_other_code, call);
		groups_set_state(call->groups, others, GROUP_FOUND);
		groups_free_list(&others);
	}
	groups_free_list(&missing);
}

/* ----------
 * Locking keys
 * ----------
 */

/* Check that the caller may insert groups that give these data columns. */
static void
check_may_insert(const UpsertMany *call, const GroupColumns *given)
{
	const ColumnValues *key = groups_key(call->groups);

	privileges_check_insert(call->target, key->attnums, key->ncolumns,
							given->columns.attnums, given->columns.ncolumns);
}

/*
 * Lock the keys of the groups on the list, all at once; with "whole", lock the
 * table's keys as a whole.  Then lock the table as an INSERT does.
 */
static void
lock_groups(UpsertMany *call, GroupList list, bool whole)
{
	if (list.ngroups == 0)
		return;
	privileges_check_writable(call->target, call->function);
	racefree_injection_point("racefree-upsert-many-looked");
	groups_lock_keys(call->groups, list, whole);
	racefree_injection_point("racefree-upsert-many-locked");

	/* Before the INSERT's plan is fetched; see create_row() in upsert.c. */
	target_lock(call->target, RowExclusiveLock);
}

/* Lock the keys of the rows that are missing, which are to be inserted. */
static void
lock_missing_keys(UpsertMany *call)
{
	GroupList missing = groups_select(call->groups, GROUP_MISSING);

	if (missing.ngroups > 0)
	{
		GroupColumns given = groups_given_columns(call->groups, missing);

		/* A role that may not insert must not be able to block others. */
		check_may_insert(call, &given);
		lock_groups(call, missing, false);
	}
	groups_free_list(&missing);
}

/* Return true if there is an order in which all calls lock rows. */
static bool
has_row_order(const Target *target)
{
	const AttrNumber *columns;

	return indexes_primary_key(target, &columns) > 0;
}

/*
 * Lock all keys, before a row is locked for an update.  Where there is no order
 * of rows that all calls share, lock the table's keys as a whole, so that one
 * of these calls runs at a time: two that lock the same rows in different
 * orders would deadlock.
 */
static void
lock_all_keys(UpsertMany *call)
{
	GroupList all = groups_select(call->groups, GROUP_MISSING);

	Assert(all.ngroups == groups_count(call->groups));
	privileges_check(call->target, ACL_SELECT | ACL_UPDATE);
	lock_groups(call, all, all.ngroups > 1 && !has_row_order(call->target));
	groups_free_list(&all);
}

/* ----------
 * Locking and updating rows
 * ----------
 */

/* Return true if a column of the primary key is NULL in the group's row. */
static bool
lacks_primary_key(const KeyGroup *group, const void *arg)
{
	const Target *target = arg;
	const AttrNumber *columns;
	int ncolumns = indexes_primary_key(target, &columns);
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	values_read_row(target, DatumGetHeapTupleHeader(group->row), ncolumns,
					columns, values, nulls);
	for (int i = 0; i < ncolumns; i++)
	{
		if (nulls[i])
			return true;
	}
	return false;
}

/* Lock the rows of the groups on the list by their keys, in the keys' order. */
static void
lock_rows_by_key(UpsertMany *call, GroupList *list)
{
	GroupList pattern;

	while (groups_next_pattern(call->groups, list, &pattern))
	{
		const ColumnValues *key = &pattern.groups[0]->key;
		Rows *rows = groups_rows(call->groups, pattern, NULL, false);
		RowSet locked;

		promises_check_row_lock(call->target, key);
		locked = run_rows_lock(call->target, rows, key, NULL, ROWS_BY_NUMBER);
		groups_take_rows(call->groups, locked, GROUP_LOCKED);
		groups_free_list(&pattern);
	}
}

/* Lock the rows of the groups on the list, in the order of the primary key. */
static void
lock_rows_by_primary_key(UpsertMany *call, GroupList *list)
{
	if (list->ngroups > 0)
	{
		Rows *rows = groups_rows(call->groups, *list, NULL, true);
		RowSet locked = run_rows_lock(call->target, rows,
									  groups_key(call->groups), NULL,
									  ROWS_BY_PRIMARY_KEY);

		groups_take_rows(call->groups, locked, GROUP_LOCKED);
	}
	groups_free_list(list);
}

/*
 * Lock the rows that were found, in one order.  Rows without a complete primary
 * key have no place in it and come last: a primary key is the table's alone,
 * and a table that inherits from it need not have one.
 */
static void
lock_rows_once(UpsertMany *call)
{
	Form_pg_class form = target_relation(call->target)->rd_rel;
	GroupList found = groups_select(call->groups, GROUP_FOUND);

	if (!has_row_order(call->target))
		lock_rows_by_key(call, &found);
	else if (form->relkind == RELKIND_RELATION && form->relhassubclass)
	{
		GroupList unordered = groups_split(&found, lacks_primary_key,
										   call->target);

		lock_rows_by_primary_key(call, &found);
		lock_rows_by_key(call, &unordered);
	}
	else
		lock_rows_by_primary_key(call, &found);
}

/* Report an error for a row that is there, and cannot be locked. */
pg_noreturn static void
error_not_lockable(const UpsertMany *call, const KeyGroup *group)
{
	Relation rel = target_relation(call->target);
	ErrorContextCallback callback;

	if (traits_has_row_security(call->target))
		error_update_denied(rel, groups_describe(call->groups, group));
	groups_push_error_context(&callback, group);
	error_serialization(rel);
}

/*
 * Lock the rows that were found; see LOCK_ATTEMPTS.  A row that was deleted
 * concurrently is missing again.  A row that row security shows but forbids to
 * change is an error.
 */
static void
lock_found_rows(UpsertMany *call)
{
	GroupList found;

	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		racefree_injection_point("racefree-upsert-many-found");
		lock_rows_once(call);
		found = groups_select(call->groups, GROUP_FOUND);
		if (found.ngroups == 0)
		{
			groups_free_list(&found);
			return;
		}
		groups_set_state(call->groups, found, GROUP_MISSING);
		groups_free_list(&found);
		look_for_missing(call, VIEW_OWN, GROUP_FOUND);
	}
	found = groups_select(call->groups, GROUP_FOUND);
	if (found.ngroups > 0)
		error_not_lockable(call, found.groups[0]);
	groups_free_list(&found);
}

/* Set the rows of the groups on the list, which is freed. */
static void
update_groups(UpsertMany *call, GroupList *list)
{
	GroupColumns columns = groups_given_columns(call->groups, *list);
	GroupList pattern;

	while (groups_next_pattern(call->groups, list, &pattern))
	{
		Rows *rows = groups_rows(call->groups, pattern, &columns, false);
		RowSet updated = run_rows_update(call->target, rows,
										 &pattern.groups[0]->key,
										 &columns.columns, columns.partial,
										 NULL, groups_error_context,
										 call->groups);

		groups_take_rows(call->groups, updated, GROUP_UPDATED);
		groups_free_list(&pattern);
	}
}

/* Return true if the group gives no column to set. */
static bool
gives_nothing(const KeyGroup *group, const void *arg)
{
	return !group->any_given;
}

/*
 * Set the rows that are locked.  A trigger that suppresses the UPDATE of a row
 * means the row to stay as it is, so all of them are updated after this.
 * Returns the first UPDATE's command, or InvalidCommandId if there was none.
 *
 * An UPDATE names the columns that it sets, for triggers and privileges to
 * see.  So rows that give different columns have an UPDATE each, unless they
 * differ too much.
 */
static CommandId
update_locked_rows(UpsertMany *call)
{
	GroupList locked = groups_select(call->groups, GROUP_LOCKED);
	GroupList unset = groups_split(&locked, gives_nothing, NULL);
	CommandId first = InvalidCommandId;

	/* With nothing to set, the lock is all. */
	groups_set_state(call->groups, unset, GROUP_UPDATED);
	groups_free_list(&unset);
	groups_set_state(call->groups, locked, GROUP_UPDATED);

	if (locked.ngroups > 0)
		first = run_next_command();
	for (int i = 0; i < MAX_UPDATES && locked.ngroups > 0; i++)
	{
		GroupList alike = groups_next_alike(&locked);

		update_groups(call, &alike);
	}
	update_groups(call, &locked);
	return first;
}

/*
 * Look for the rows that are missing if code that took part in UPDATEs of ours,
 * the first of which was this command, can have created them: it can call us
 * for keys of ours, whose locks we hold, so it does not wait.
 */
static void
look_after_updates(UpsertMany *call, CommandId first)
{
	if (first != InvalidCommandId &&
		(!traits_updates_are_plain(call->target) ||
		 target_runs_user_code_on_insert(call->target)))
		look_again(call, first);
}

/* Return true if a group is in this state. */
static bool
any_in_state(const UpsertMany *call, KeyGroupState state)
{
	GroupList list = groups_select(call->groups, state);
	bool any = list.ngroups > 0;

	groups_free_list(&list);
	return any;
}

/*
 * Lock and set the rows that were found.  Where looking after the UPDATEs finds
 * more rows of others, these are set, too.  Each round but the last updates a
 * row at least, so there is an end.
 */
static void
update_found_rows(UpsertMany *call)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		lock_found_rows(call);
		look_after_updates(call, update_locked_rows(call));
	} while (any_in_state(call, GROUP_FOUND));
}

/* ----------
 * Inserting rows
 * ----------
 */

/*
 * Count the rows of these groups, whose keys have NULLs in the same columns.
 * The result is by the groups' numbers.
 */
static int *
count_rows(const UpsertMany *call, GroupList pattern, View view)
{
	Size size = sizeof(int) * groups_count(call->groups);
	int *counts = MemoryContextAllocHuge(CurrentMemoryContext, size);
	RowSet set = run_rows_count(call->target,
								groups_rows(call->groups, pattern, NULL, false),
								&pattern.groups[0]->key, view);

	memset(counts, 0, size);
	for (uint64 i = 0; i < set.nrows; i++)
		counts[rowset_number(&set, i)]++;
	rowset_free(&set);
	return counts;
}

/* Return true if the group has several rows, by the counts. */
static bool
has_several_rows(const KeyGroup *group, const void *counts)
{
	return ((const int *) counts)[group->number] > 1;
}

/*
 * Check that these groups, whose keys have NULLs in the same columns, have one
 * row each that is of our making.  A row that is there without the changes
 * since that command is another session's, which did not lock the key.  On a
 * remote server nothing is hidden from us, not even our own row.
 */
static void
check_pattern_created_once(const UpsertMany *call, GroupList *pattern,
						   CommandId since)
{
	const ColumnValues *key = &pattern->groups[0]->key;
	Snapshot snapshot;
	GroupList several;
	int *all;

	if (!traits_may_duplicate_key(call->target, key->ncolumns, key->attnums,
								  key->nulls))
		return;
	snapshot = run_take_snapshot();
	all = count_rows(call, *pattern, VIEW_AT(snapshot));
	several = groups_split(pattern, has_several_rows, all);
	if (several.ngroups > 0)
	{
		int *others = count_rows(call, several, VIEW_BEFORE(snapshot, since));

		for (int g = 0; g < several.ngroups; g++)
		{
			const KeyGroup *group = several.groups[g];

			if (all[group->number] - others[group->number] != 1)
				error_created_twice(target_relation(call->target),
									groups_describe(call->groups, group));
		}
		pfree(others);
	}
	run_release_snapshot(snapshot);
	groups_free_list(&several);
	pfree(all);
}

/* Return true if the group's row was created by us. */
static bool
is_created(const KeyGroup *group, const void *arg)
{
	return group->state == GROUP_CREATED;
}

/*
 * Check that the INSERT created one row for each key.
 *
 * The race is with ourselves: code of the user's that took part in the INSERT
 * can call us for keys of ours.  We hold their locks, so that call does not
 * wait, does not see the rows that are being inserted, and creates rows of its
 * own.  "since" is the command of the first INSERT.
 */
static void
check_all_created_once(const UpsertMany *call, GroupList *inserted,
					   CommandId since)
{
	GroupList created;
	GroupList pattern;

	if (!target_runs_user_code_on_insert(call->target))
		return;
	created = groups_split(inserted, is_created, NULL);
	while (groups_next_pattern(call->groups, &created, &pattern))
	{
		check_pattern_created_once(call, &pattern, since);
		groups_free_list(&pattern);
	}
}

/*
 * Check that one row at most is created for each key of which the row is missing,
 * whoever asks; see promises.c.
 */
static void
check_promises(const UpsertMany *call)
{
	GroupList missing;

	if (target_spread(call->target)->kind == SPREAD_NOT)
		return;
	missing = groups_select(call->groups, GROUP_MISSING);
	for (int g = 0; g < missing.ngroups; g++)
	{
		ErrorContextCallback callback;

		groups_push_error_context(&callback, missing.groups[g]);
		promises_check_key(call->target, &missing.groups[g]->key);
		error_context_stack = callback.previous;
	}
	groups_free_list(&missing);
}

/*
 * Insert the rows that are missing.  "since" is the command of the first such
 * INSERT.
 */
static void
insert_missing_rows(UpsertMany *call, bool yield, CommandId since)
{
	GroupList list = groups_select_insertable(call->groups);
	GroupColumns columns;
	RowSet inserted;

	if (list.ngroups > 0)
	{
		columns = groups_given_columns(call->groups, list);
		check_may_insert(call, &columns);
		groups_fill_defaults(call->groups, list, &columns);
		groups_set_tried(call->groups, list);
		inserted =
			run_rows_insert(call->target,
							groups_rows(call->groups, list, &columns, false),
							groups_key(call->groups), &columns.columns, NULL,
							yield ? INSERT_OR_YIELD : INSERT_STRICT,
							groups_error_context, call->groups);
		groups_take_created(call->groups, list, inserted);
		check_all_created_once(call, &list, since);
	}
	groups_free_list(&list);
}

/* Report that the last INSERT did not create all rows: see arbiter.h. */
pg_noreturn static void
error_not_all_created(const UpsertMany *call)
{
	GroupList missing = groups_select(call->groups, GROUP_MISSING);
	ErrorContextCallback callback;

	Assert(missing.ngroups > 0);
	groups_push_error_context(&callback, missing.groups[0]);
	error_insert_suppressed(target_relation(call->target));
}

/* ----------
 * The calls
 * ----------
 */

/* Return true if an INSERT can put rows in the table that it does not give. */
static bool
inserts_can_create_others(const Target *target)
{
	return traits_may_divert_inserts(target) ||
		   target_runs_user_code_on_insert(target);
}

/* Return true if rows that were found are to be updated now. */
static bool
updates_now(const UpsertMany *call)
{
	return call->update &&
		   !(call->inserts_first && any_in_state(call, GROUP_MISSING));
}

/* Return true if every group has its row, updated if asked. */
static bool
is_done(const UpsertMany *call)
{
	return !any_in_state(call, GROUP_MISSING) &&
		   !(call->inserts_first && any_in_state(call, GROUP_FOUND));
}

/*
 * See to it that every group has a row: find it, update it if asked, or create
 * it.  Locks are taken in the order that the file's header gives.
 *
 * Rows that are missing, or found to be when they are to be locked, are looked
 * for and inserted in rounds; see arbiter.h.
 */
static void
find_or_create_all(UpsertMany *call)
{
	CommandId since = InvalidCommandId;
	Yields yields;

	/*
	 * Under REPEATABLE READ and SERIALIZABLE, an update looks with the
	 * transaction's snapshot, too, so that rows which the snapshot shows are
	 * told from newer ones.
	 */
	if (call->update)
		lock_all_keys(call);
	if (!call->update || IsolationUsesXactSnapshot())
		look_for_missing(call, VIEW_OWN, GROUP_FOUND);
	if (!call->update)
		lock_missing_keys(call);
	yields = arbiter_begin(call->target, true);

	for (;;)
	{
		look_again(call, since);
		check_promises(call);
		if (updates_now(call))
			update_found_rows(call);
		if (is_done(call))
			return;
		if (arbiter_gave_up(&yields))
			error_not_all_created(call);
		/* An update may have found that more are gone. */
		check_promises(call);

		if (since == InvalidCommandId &&
			inserts_can_create_others(call->target))
			since = run_next_command();
		racefree_injection_point("racefree-upsert-many-missing");
		insert_missing_rows(call, arbiter_yields(&yields), since);
		racefree_injection_point("racefree-upsert-many-inserted");
		if (is_done(call))
			return;
		arbiter_again(&yields, call->target, groups_key(call->groups));
	}
}

/* Return true if we have locked the group's key. */
static bool
is_key_locked(const KeyGroup *group, const void *arg)
{
	return group->key_locked;
}

/*
 * Wait until rows that others have just created, so that we found them only
 * when we had locked their keys, are durable.  If we write nothing, our own
 * commit does not wait for that.
 */
static void
flush_found_rows(const UpsertMany *call)
{
	GroupList found = groups_select(call->groups, GROUP_FOUND);
	GroupList late = groups_split(&found, is_key_locked, NULL);

	if (late.ngroups > 0)
		flush_all_commits();
	groups_free_list(&late);
	groups_free_list(&found);
}

/* One result row for each input row, in the order of the input. */
static void
return_groups(FunctionCallInfo fcinfo, const KeyGroups *groups)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int r = 0; r < groups_count_input(groups); r++)
	{
		const KeyGroup *group = groups_of_input(groups, r);
		Datum values[3];
		bool nulls[3] = {false, false, false};

		CHECK_FOR_INTERRUPTS();
		Assert(group->state != GROUP_MISSING);
		values[0] = Int64GetDatum((int64) r + 1);
		values[1] = group->row;
		values[2] = BoolGetDatum(group->state == GROUP_CREATED &&
								 group->first == r);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* Common part of both functions. */
static Datum
upsert_many(FunctionCallInfo fcinfo, bool update, const char *function)
{
	UpsertMany call = {.function = function, .update = update};

	arguments_require(fcinfo, ARG_ROWS, "rows");
	arguments_require(fcinfo, ARG_KEY, "key");
	call.target = target_open(get_fn_expr_argtype(fcinfo->flinfo, ARG_TARGET),
							  update ? RowExclusiveLock : AccessShareLock);
	call.inserts_first = update &&
						 target_spread(call.target)->kind != SPREAD_NOT;
	call.groups = groups_parse(call.target, PG_GETARG_JSONB_P(ARG_ROWS),
							   PG_GETARG_ARRAYTYPE_P(ARG_KEY), update);
	run_begin();
	find_or_create_all(&call);
	if (!update)
		flush_found_rows(&call);
	run_end();

	return_groups(fcinfo, call.groups);
	target_close(call.target);
	PG_RETURN_VOID();
}

/*
 * get_or_create_many(target anyelement, rows jsonb, key name[],
 *					  OUT ordinality bigint, OUT object anyelement,
 *					  OUT created boolean) RETURNS SETOF record
 */
Datum
get_or_create_many(PG_FUNCTION_ARGS)
{
	return upsert_many(fcinfo, false, "get_or_create_many()");
}

/*
 * update_or_create_many(target anyelement, rows jsonb, key name[],
 *						 OUT ordinality bigint, OUT object anyelement,
 *						 OUT created boolean) RETURNS SETOF record
 */
Datum
update_or_create_many(PG_FUNCTION_ARGS)
{
	return upsert_many(fcinfo, true, "update_or_create_many()");
}
