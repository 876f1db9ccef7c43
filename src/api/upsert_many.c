/*-------------------------------------------------------------------------
 *
 * upsert_many.c
 *	  get_or_create_many() and update_or_create_many().
 *
 * Each does for a batch of rows what the single function does for one, and
 * with a number of statements that does not depend on the number of rows.
 * Locks are taken in one order by all batches and single calls, so that none
 * of them deadlock with each other:
 *
 *	1. keys, all at once, in the order of their tags: to get, those of rows that
 *	   are not there; to update, all
 *	2. rows that are there, in the order of the primary key
 *
 * New rows come last, in the order of the input: since their keys are locked,
 * no batch waits for another one's.
 *
 * Rows with NULLs in different columns of their keys need different
 * statements (IS NULL): they are looked for, and updated, one pattern of NULLs
 * after the other.  Where there is a primary key, they are locked by that.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "keys/batch.h"
#include "keys/keylock.h"
#include "run/arbiter.h"
#include "run/run.h"
#include "table/target.h"

PG_FUNCTION_INFO_V1(get_or_create_many);
PG_FUNCTION_INFO_V1(update_or_create_many);

/* How often to try to lock a row that others replace meanwhile. */
#define MAX_LOCK_TRIES 4

/* So many kinds of rows, by the columns given, have an UPDATE of their own. */
#define MAX_UPDATES 8

/* Some of a batch's groups, in canonical order. */
typedef struct GroupList
{
	BatchGroup **groups;
	int ngroups;
} GroupList;

static GroupList
make_list(int size)
{
	GroupList list = {NULL, 0};

	list.groups = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(BatchGroup *) * (size + 1));
	return list;
}

/* The groups of the batch that are in this state. */
static GroupList
select_groups(const Batch *batch, BatchState state)
{
	GroupList list = make_list(batch->ngroups);

	for (int g = 0; g < batch->ngroups; g++)
	{
		if (batch->groups[g].state == state)
			list.groups[list.ngroups++] = &batch->groups[g];
	}
	return list;
}

/*
 * Move to "pattern" the groups on the list that have NULLs in the same
 * columns of their keys: the first such set, in an order that is the same for
 * all batches.  False if the list is empty.
 */
static bool
next_pattern(const Batch *batch, GroupList *list, GroupList *pattern)
{
	size_t size = sizeof(bool) * batch->key.ncolumns;
	const bool *nulls;
	int left = 0;

	if (list->ngroups == 0)
		return false;
	if (!batch->null_keys)
	{
		*pattern = *list;
		*list = make_list(0);
		return true;
	}
	nulls = list->groups[0]->key.nulls;
	for (int g = 1; g < list->ngroups; g++)
	{
		if (memcmp(list->groups[g]->key.nulls, nulls, size) < 0)
			nulls = list->groups[g]->key.nulls;
	}

	*pattern = make_list(list->ngroups);
	for (int g = 0; g < list->ngroups; g++)
	{
		BatchGroup *group = list->groups[g];

		if (memcmp(group->key.nulls, nulls, size) == 0)
			pattern->groups[pattern->ngroups++] = group;
		else
			list->groups[left++] = group;
	}
	list->ngroups = left;
	return true;
}

/* Keep a row of a set as the group's. */
static void
take_row(Batch *batch, BatchGroup *group, const RowSet *set, uint64 i)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	if (DatumGetPointer(group->object) != NULL)
		pfree(DatumGetPointer(group->object));
	group->object = rowset_form_row(set, i);
	MemoryContextSwitchTo(old);
}

/*
 * The group that a row of the set belongs to.  Two rows of one group are an
 * error.
 */
static BatchGroup *
numbered_group(Batch *batch, const RowSet *set, uint64 i, bool created)
{
	BatchGroup *group = &batch->groups[rowset_number(set, i)];

	if (group->statement == batch->nstatements && created)
		error_created_twice(target_relation(batch->target),
							batch_describe(batch, group));
	if (group->statement == batch->nstatements)
		error_several_rows(target_relation(batch->target),
						   batch_describe(batch, group));
	group->statement = batch->nstatements;
	return group;
}

/* Take the rows that a verb gave; their groups get the state. */
static void
take_rows(Batch *batch, RowSet set, BatchState state)
{
	batch->nstatements++;
	for (uint64 i = 0; i < set.nrows; i++)
	{
		BatchGroup *group = numbered_group(batch, &set, i,
										   state == GROUP_CREATED);

		group->state = state;
		take_row(batch, group, &set, i);
	}
	rowset_free(&set);
}

/* Error context callback: the group with that number is being written. */
static void
write_error_context(int number, void *arg)
{
	const Batch *batch = arg;

	batch_error_context(&batch->groups[number].first);
}

/* Look for the rows of the groups on the list, which is freed. */
static void
look_for(Batch *batch, GroupList list, View view, BatchState state)
{
	GroupList pattern;

	while (next_pattern(batch, &list, &pattern))
	{
		Rows *rows = batch_rows(batch, pattern.groups, pattern.ngroups, NULL,
								false);

		take_rows(batch,
				  run_rows_look(batch->target, rows, &pattern.groups[0]->key,
								NULL, view),
				  state);
		pfree(pattern.groups);
	}
	pfree(list.groups);
}

static void
look(Batch *batch, View view, BatchState state)
{
	look_for(batch, select_groups(batch, GROUP_MISSING), view, state);
}

/*
 * A row that a statement of ours put there, which gave none: is it the one
 * that was to be inserted, and which a trigger diverted?  Where a unique index
 * covers the key, the INSERT may have stepped back from a row that other code
 * of it had created before, with other values: then it is one that was found.
 */
static bool
is_our_row(const Batch *batch, const BatchGroup *group)
{
	if (!group->tried)
		return false;
	if (!target_is_unique_key(batch->target, group->key.ncolumns,
							  group->key.attnums, group->key.nulls))
		return true;
	for (int d = 0; d < group->data.ncolumns; d++)
	{
		ColumnValues one = {1, &group->data.attnums[d], &group->data.values[d],
							&group->data.nulls[d]};

		if (group->given[d] &&
			!values_match_row(batch->target, group->object, &one))
			return false;
	}
	return true;
}

/*
 * Look again for rows that were missing, under the locks of their keys.  What
 * is there now was committed while we waited: under REPEATABLE READ and
 * SERIALIZABLE our snapshot is too old to see it.
 *
 * After an INSERT or UPDATE of ours, "since" is the command from which on
 * triggers or other code can have put rows where the keys find them: see first
 * what is there without these.  One snapshot serves for both looks, so that
 * what another session does in between is not taken for our own.
 */
static void
look_again(Batch *batch, GroupList missing, CommandId since)
{
	bool ours = since != InvalidCommandId;
	Snapshot snapshot = ours ? run_take_snapshot() : NULL;

	look(batch, ours ? VIEW_BEFORE(snapshot, since) : VIEW_LATEST, GROUP_FOUND);
	for (int i = 0; i < missing.ngroups && IsolationUsesXactSnapshot(); i++)
	{
		if (missing.groups[i]->state == GROUP_FOUND)
		{
			ErrorContextCallback blame;

			batch_blame(&blame, missing.groups[i]);
			error_serialization(target_relation(batch->target));
		}
	}
	if (!ours)
		return;
	look(batch, VIEW_AT(snapshot), GROUP_CREATED);
	run_release_snapshot(snapshot);
	for (int i = 0; i < missing.ngroups; i++)
	{
		BatchGroup *group = missing.groups[i];

		if (group->state == GROUP_CREATED && !is_our_row(batch, group))
			group->state = GROUP_FOUND;
	}
}

/*
 * Lock the keys of these groups, all in one go, unless all of them are held
 * already.  With "whole", lock the table's keys as a whole instead.
 */
static void
lock_keys_of(Batch *batch, GroupList list, bool whole, const char *function)
{
	Relation rel = target_relation(batch->target);
	KeyLock *locks;

	if (list.ngroups == 0)
		return;
	if (!rel->rd_islocaltemp)
		PreventCommandIfReadOnly(function);

	target_hold_root(batch->target);
	locks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(KeyLock) * list.ngroups);
	for (int i = 0; i < list.ngroups; i++)
	{
		locks[i] = list.groups[i]->lock;
		locks[i].root = target_lock_root(batch->target);
		list.groups[i]->key_locked = true;
	}
	/*
	 * Who holds all of them needs no more.  Two that waited for the whole, with
	 * keys of their own, would deadlock.
	 */
	if (!keylock_all_held(locks, list.ngroups))
	{
		for (int i = 0; i < list.ngroups && whole; i++)
			locks[i].hash = KEYLOCK_WHOLE;
		keylock_acquire(locks, list.ngroups);
	}
	pfree(locks);
	target_lock(batch->target, RowExclusiveLock);
}

/* Check that the caller may insert groups that give these data columns. */
static void
check_insertable(const Batch *batch, const BatchColumns *given)
{
	target_check_insert(batch->target, batch->key.attnums, batch->key.ncolumns,
						given->columns.attnums, given->columns.ncolumns);
}

/* Look for rows that are missing under the locks of their keys. */
static void
look_under_lock(Batch *batch, CommandId since, const char *function)
{
	GroupList missing = select_groups(batch, GROUP_MISSING);
	GroupList unlocked = make_list(missing.ngroups);

	for (int i = 0; i < missing.ngroups; i++)
	{
		if (!missing.groups[i]->key_locked)
			unlocked.groups[unlocked.ngroups++] = missing.groups[i];
	}
	if (unlocked.ngroups > 0)
	{
		BatchColumns given = batch_given_columns(batch, unlocked.groups,
												 unlocked.ngroups);

		check_insertable(batch, &given);
	}
	lock_keys_of(batch, unlocked, false, function);
	if (missing.ngroups > 0)
		look_again(batch, missing, since);
	pfree(unlocked.groups);
	pfree(missing.groups);
}

/* Is there an order in which all batches, whatever their key, lock rows? */
static bool
has_row_order(const Target *target)
{
	const AttrNumber *columns;

	return target_primary_key(target, &columns) > 0;
}

/* Is a part of the primary key NULL in the row that was found? */
static bool
lacks_primary_key(const Batch *batch, const BatchGroup *group)
{
	const AttrNumber *columns;
	int ncolumns = target_primary_key(batch->target, &columns);
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	values_read_row(batch->target, DatumGetHeapTupleHeader(group->object),
					ncolumns, columns, values, nulls);
	for (int i = 0; i < ncolumns; i++)
	{
		if (nulls[i])
			return true;
	}
	return false;
}

/*
 * Move to a list of their own the groups whose row has no complete primary key:
 * the primary key is the table's alone, and a table that inherits from it need
 * not have one.
 */
static GroupList
split_unordered(const Batch *batch, GroupList *list)
{
	Form_pg_class form = target_relation(batch->target)->rd_rel;
	GroupList unordered = make_list(list->ngroups);
	int left = 0;

	if (form->relkind != RELKIND_RELATION || !form->relhassubclass)
		return unordered;
	for (int g = 0; g < list->ngroups; g++)
	{
		BatchGroup *group = list->groups[g];

		if (lacks_primary_key(batch, group))
			unordered.groups[unordered.ngroups++] = group;
		else
			list->groups[left++] = group;
	}
	list->ngroups = left;
	return unordered;
}

/*
 * Lock the rows that were found for these groups by their keys, in the order of
 * these.  The list is freed.
 */
static void
lock_by_key(Batch *batch, GroupList list)
{
	GroupList pattern;

	while (next_pattern(batch, &list, &pattern))
	{
		Rows *rows = batch_rows(batch, pattern.groups, pattern.ngroups, NULL,
								false);

		take_rows(batch,
				  run_rows_lock(batch->target, rows, &pattern.groups[0]->key,
								NULL, ROWS_BY_NUMBER),
				  GROUP_LOCKED);
		pfree(pattern.groups);
	}
	pfree(list.groups);
}

/*
 * Lock the rows that were found for these groups, in the order of all.  Those
 * that have no place in it come last.
 */
static void
lock_rows_of(Batch *batch, GroupList list)
{
	GroupList unordered;

	if (!has_row_order(batch->target))
	{
		lock_by_key(batch, list);
		return;
	}
	unordered = split_unordered(batch, &list);
	if (list.ngroups > 0)
	{
		Rows *rows = batch_rows(batch, list.groups, list.ngroups, NULL, true);

		take_rows(batch,
				  run_rows_lock(batch->target, rows, &batch->key, NULL,
								ROWS_BY_PRIMARY_KEY),
				  GROUP_LOCKED);
	}
	pfree(list.groups);
	lock_by_key(batch, unordered);
}

/*
 * Lock the rows that are there.  A row that is gone by now is missing again;
 * one that took its place meanwhile is locked instead.  One that row security
 * shows but forbids to change is an error.
 */
static void
lock_found_rows(Batch *batch)
{
	Relation rel = target_relation(batch->target);
	GroupList found = {NULL, 0};
	ErrorContextCallback blame;

	for (int try = 0; try < MAX_LOCK_TRIES; try++)
	{
		lock_rows_of(batch, select_groups(batch, GROUP_FOUND));
		found = select_groups(batch, GROUP_FOUND);
		if (found.ngroups == 0)
			return;
		for (int g = 0; g < found.ngroups; g++)
			found.groups[g]->state = GROUP_MISSING;
		look(batch, VIEW_OWN, GROUP_FOUND);
	}

	found = select_groups(batch, GROUP_FOUND);
	if (found.ngroups == 0)
		return;
	if (target_has_row_security(batch->target))
		error_update_denied(rel, batch_describe(batch, found.groups[0]));
	batch_blame(&blame, found.groups[0]);
	error_serialization(rel);
}

/*
 * Move to "alike" the groups on the list that give the same columns as the
 * first one.
 */
static void
next_alike(const Batch *batch, GroupList *list, GroupList *alike)
{
	size_t size = sizeof(bool) * batch->data.ncolumns;
	const bool *given = list->groups[0]->given;
	int left = 0;

	*alike = make_list(list->ngroups);
	for (int g = 0; g < list->ngroups; g++)
	{
		BatchGroup *group = list->groups[g];

		if (memcmp(group->given, given, size) == 0)
			alike->groups[alike->ngroups++] = group;
		else
			list->groups[left++] = group;
	}
	list->ngroups = left;
}

/* Set the rows of the groups on the list, which is freed. */
static void
update_rows(Batch *batch, GroupList list)
{
	BatchColumns columns = batch_given_columns(batch, list.groups,
											   list.ngroups);
	GroupList pattern;

	while (next_pattern(batch, &list, &pattern))
	{
		Rows *rows = batch_rows(batch, pattern.groups, pattern.ngroups,
								&columns, false);

		take_rows(batch,
				  run_rows_update(batch->target, rows, &pattern.groups[0]->key,
								  &columns.columns, columns.partial, NULL,
								  write_error_context, batch),
				  GROUP_UPDATED);
		pfree(pattern.groups);
	}
	pfree(list.groups);
}

/*
 * Code of the user's that took part in the UPDATEs, which began with this
 * command, may have called us for keys of the batch whose rows are missing.
 * Then they are there now.  True if rows of others have been found as well,
 * which are to be updated.
 */
static bool
look_after_update(Batch *batch, CommandId update)
{
	GroupList list;
	bool found;

	if (target_updates_are_plain(batch->target) &&
		!target_runs_user_code_on_insert(batch->target))
		return false;
	list = select_groups(batch, GROUP_MISSING);
	if (list.ngroups > 0)
		look_again(batch, list, update);
	pfree(list.groups);

	list = select_groups(batch, GROUP_FOUND);
	found = list.ngroups > 0;
	pfree(list.groups);
	return found;
}

/*
 * Lock and set the rows that were found.  One that a trigger leaves as it is,
 * stays so.  True if others have been found then.
 *
 * An UPDATE names the columns that it sets, for triggers and privileges to
 * see.  So rows that give different columns have an UPDATE each, unless they
 * differ too much.
 */
static bool
update_rows_once(Batch *batch)
{
	GroupList locked;
	GroupList settable;
	GroupList alike;
	CommandId update;

	lock_found_rows(batch);
	locked = select_groups(batch, GROUP_LOCKED);
	settable = make_list(locked.ngroups);
	for (int g = 0; g < locked.ngroups; g++)
	{
		locked.groups[g]->state = GROUP_UPDATED;
		/* With nothing to set, the lock is all. */
		if (locked.groups[g]->any_given)
			settable.groups[settable.ngroups++] = locked.groups[g];
	}
	pfree(locked.groups);
	if (settable.ngroups == 0)
	{
		pfree(settable.groups);
		return false;
	}

	update = run_next_command();
	for (int i = 0; i < MAX_UPDATES && settable.ngroups > 0; i++)
	{
		next_alike(batch, &settable, &alike);
		update_rows(batch, alike);
	}
	update_rows(batch, settable);
	return look_after_update(batch, update);
}

/*
 * Lock and set the rows that are there.  Each round but the last updates one
 * at least, so there is an end.
 */
static void
update_found_rows(Batch *batch)
{
	while (update_rows_once(batch))
		CHECK_FOR_INTERRUPTS();
}

/*
 * The place on the list, from "g" on, of the group whose row was created.  If
 * there is none, a trigger changed the key.
 */
static int
find_created_group(Batch *batch, GroupList list, int g, const RowSet *set,
				   uint64 i)
{
	ColumnValues *created = rowset_values(set, i, &batch->key);
	AttrNumber changed = InvalidAttrNumber;

	for (; g < list.ngroups; g++)
	{
		AttrNumber difference = values_find_difference(batch->target,
													   &list.groups[g]->key,
													   created);

		if (difference == InvalidAttrNumber)
			return g;
		changed = difference;
	}
	/* Past the last group: there are several, and so the key has columns. */
	if (changed == InvalidAttrNumber)
	{
		Assert(batch->key.ncolumns > 0);
		changed = batch->key.attnums[0];
	}
	error_key_changed(target_relation(batch->target),
					  NameStr(target_column(batch->target, changed)->attname));
}

/*
 * Take the rows that an INSERT gave: it gives them in the order of the groups,
 * leaving out those that it did not insert.
 */
static void
take_created_rows(Batch *batch, GroupList list, const RowSet *set)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree created row",
												  ALLOCSET_SMALL_SIZES);
	bool as_given = set->nrows == list.ngroups &&
					!target_may_divert_inserts(batch->target);
	int g = 0;

	for (uint64 i = 0; i < set->nrows; i++)
	{
		if (!as_given)
		{
			MemoryContext old = MemoryContextSwitchTo(scratch);

			g = find_created_group(batch, list, g, set, i);
			MemoryContextSwitchTo(old);
			MemoryContextReset(scratch);
		}
		take_row(batch, list.groups[g], set, i);
		list.groups[g++]->state = GROUP_CREATED;
	}
	MemoryContextDelete(scratch);
}

/*
 * The groups without a row whose keys we hold locked, in the order in which
 * the input first names them, so that serial numbers follow it.
 */
static GroupList
select_insertable(const Batch *batch)
{
	GroupList list = make_list(batch->ngroups);

	for (int r = 0; r < batch->nrows; r++)
	{
		BatchGroup *group = &batch->groups[batch->group_of_row[r]];

		if (group->first == r && group->state == GROUP_MISSING &&
			group->key_locked)
			list.groups[list.ngroups++] = group;
	}
	return list;
}

/*
 * Count the rows of these groups, which have NULLs in the same columns of their
 * keys.
 */
static void
count_rows(Batch *batch, GroupList pattern, View view)
{
	RowSet set;

	for (int g = 0; g < pattern.ngroups; g++)
		pattern.groups[g]->nrows = 0;
	set = run_rows_count(batch->target,
						 batch_rows(batch, pattern.groups, pattern.ngroups,
									NULL, false),
						 &pattern.groups[0]->key, view);
	for (uint64 i = 0; i < set.nrows; i++)
		batch->groups[rowset_number(&set, i)].nrows++;
	rowset_free(&set);
}

/*
 * Check groups of which we created one row, and which have several.  A row that
 * is there without what we have done since that command is another session's.
 * On a remote server nothing is hidden from us, our own row neither.
 */
static void
check_several(Batch *batch, GroupList several, Snapshot snapshot,
			  CommandId since)
{
	int *nrows = MemoryContextAllocHuge(CurrentMemoryContext,
										sizeof(int) * several.ngroups);

	for (int g = 0; g < several.ngroups; g++)
		nrows[g] = several.groups[g]->nrows;
	count_rows(batch, several, VIEW_BEFORE(snapshot, since));
	for (int g = 0; g < several.ngroups; g++)
	{
		BatchGroup *group = several.groups[g];

		if (nrows[g] - group->nrows != 1)
			error_created_twice(target_relation(batch->target),
								batch_describe(batch, group));
	}
	pfree(nrows);
}

/* The same as below for groups with NULLs in the same columns of their keys. */
static void
check_pattern_once(Batch *batch, GroupList pattern, CommandId since)
{
	const ColumnValues *key = &pattern.groups[0]->key;
	GroupList several;
	Snapshot snapshot;

	if (!target_may_duplicate_key(batch->target, key->ncolumns, key->attnums,
								  key->nulls))
		return;
	snapshot = run_take_snapshot();
	count_rows(batch, pattern, VIEW_AT(snapshot));
	several = make_list(pattern.ngroups);
	for (int g = 0; g < pattern.ngroups; g++)
	{
		if (pattern.groups[g]->nrows > 1)
			several.groups[several.ngroups++] = pattern.groups[g];
	}
	if (several.ngroups > 0)
		check_several(batch, several, snapshot, since);
	run_release_snapshot(snapshot);
	pfree(several.groups);
}

/*
 * Code of the user's that took part in the INSERT may have called us for keys
 * of the batch: we hold their locks, so it did not wait.  A second row with one
 * of these keys is an error, unless it is there without what we have done since
 * that command: then it is another session's, which did not ask for the lock.
 */
static void
check_created_once(Batch *batch, GroupList inserted, CommandId since)
{
	GroupList list;
	GroupList pattern;

	if (!target_runs_user_code_on_insert(batch->target))
		return;
	list = make_list(inserted.ngroups);
	for (int g = 0; g < inserted.ngroups; g++)
	{
		if (inserted.groups[g]->state == GROUP_CREATED)
			list.groups[list.ngroups++] = inserted.groups[g];
	}
	while (next_pattern(batch, &list, &pattern))
	{
		check_pattern_once(batch, pattern, since);
		pfree(pattern.groups);
	}
	pfree(list.groups);
}

/*
 * Insert the rows that are not there, of keys that we hold locked.  "since" is
 * the command of the first such INSERT.
 */
static void
insert_missing_rows(Batch *batch, bool yield, CommandId since)
{
	GroupList list = select_insertable(batch);
	BatchColumns columns;
	RowSet inserted;

	if (list.ngroups == 0)
		return;

	columns = batch_given_columns(batch, list.groups, list.ngroups);
	check_insertable(batch, &columns);
	batch_fill_defaults(batch, list.groups, list.ngroups, &columns);
	columns.partial = NULL;
	for (int g = 0; g < list.ngroups; g++)
		list.groups[g]->tried = true;
	inserted = run_rows_insert(batch->target,
							   batch_rows(batch, list.groups, list.ngroups,
										  &columns, false),
							   &batch->key, &columns.columns, NULL, yield,
							   write_error_context, batch);
	take_created_rows(batch, list, &inserted);
	rowset_free(&inserted);
	check_created_once(batch, list, since);
	pfree(list.groups);
}

/* Are rows missing still?  Of some the keys may not be locked yet. */
static bool
any_missing(const Batch *batch, bool *all_locked)
{
	bool any = false;

	*all_locked = true;
	for (int g = 0; g < batch->ngroups; g++)
	{
		if (batch->groups[g].state != GROUP_MISSING)
			continue;
		any = true;
		*all_locked &= batch->groups[g].key_locked;
	}
	return any;
}

/*
 * The last INSERT did not create all rows.  If we had the key's lock, a
 * trigger swallowed the row; else the row was there, and is gone again.
 */
static void
give_up(Batch *batch)
{
	for (int g = 0; g < batch->ngroups; g++)
	{
		BatchGroup *group = &batch->groups[g];
		ErrorContextCallback blame;

		if (group->state != GROUP_MISSING)
			continue;
		batch_blame(&blame, group);
		if (group->key_locked)
			error_insert_suppressed(target_relation(batch->target));
		error_serialization(target_relation(batch->target));
	}
}

/*
 * See to it that there is a row for every group.  As for single rows, each
 * round looks with a snapshot that is newer than the locks, and the last INSERT
 * reports its conflict.
 */
static void
find_or_insert(Batch *batch, bool update, const char *function)
{
	int max_yields = 0;
	CommandId since = InvalidCommandId;
	bool all_locked;

	/*
	 * An update locks all its keys before it locks a row; where there is no
	 * order of rows that all batches share, one of them at a time.  Rows that
	 * this transaction can see are told from newer ones by looking first.
	 */
	if (update)
	{
		target_check_privileges(batch->target, ACL_SELECT | ACL_UPDATE);
		lock_keys_of(batch, select_groups(batch, GROUP_MISSING),
					 batch->ngroups > 1 && !has_row_order(batch->target),
					 function);
	}
	if (!update || IsolationUsesXactSnapshot())
		look(batch, VIEW_OWN, GROUP_FOUND);

	for (int round = 0;; round++)
	{
		look_under_lock(batch, since, function);
		if (round == 0)
			max_yields = arbiter_max_yields(batch->target);
		if (update)
			update_found_rows(batch);
		if (!any_missing(batch, &all_locked))
			return;
		if (round > max_yields)
			give_up(batch);

		if (round == 0 && (target_may_divert_inserts(batch->target) ||
						   target_runs_user_code_on_insert(batch->target)))
			since = run_next_command();
		insert_missing_rows(batch, round < max_yields, since);
		if (!any_missing(batch, &all_locked))
			return;
		/* Nothing to yield to: it will not be there next time either. */
		if (all_locked && !arbiter_can_yield(batch->target, &batch->key))
			round = max_yields;
	}
}

/* One result row for each input row, in input order. */
static void
return_rows(FunctionCallInfo fcinfo, const Batch *batch)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int r = 0; r < batch->nrows; r++)
	{
		const BatchGroup *group = &batch->groups[batch->group_of_row[r]];
		Datum values[3];
		bool nulls[3] = {false, false, false};

		CHECK_FOR_INTERRUPTS();
		values[0] = Int64GetDatum((int64) r + 1);
		values[1] = group->object;
		values[2] = BoolGetDatum(group->state == GROUP_CREATED &&
								 group->first == r);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

static Datum
upsert_many(FunctionCallInfo fcinfo, bool update, const char *function)
{
	Target *target;
	Batch *batch;

	if (PG_ARGISNULL(1))
		error_null_argument("rows");
	if (PG_ARGISNULL(2))
		error_null_argument("key");

	target = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
						 update ? RowExclusiveLock : AccessShareLock);
	batch = batch_parse(target, PG_GETARG_JSONB_P(1), PG_GETARG_ARRAYTYPE_P(2),
						update);
	run_begin();
	find_or_insert(batch, update, function);
	run_end();

	return_rows(fcinfo, batch);
	target_close(target);
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
