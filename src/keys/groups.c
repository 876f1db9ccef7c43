/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  Input rows, grouped by key, and what is known of each group's row.
 *
 * Input rows with equal keys make one group, since they are about one row of
 * the table.  Groups are kept in the canonical order of their keys; see
 * input.c.
 *
 * Verbs see groups as rows; see rows.h.  A row's number is that of the group.
 *
 * Groups, and the rows that are taken for them, live in the memory context that
 * was current at groups_parse().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "keys/groups.h"
#include "keys/input.h"
#include "keys/routed.h"
#include "table/defaults.h"
#include "table/indexes.h"
#include "table/promises.h"
#include "table/traits.h"

struct KeyGroups
{
	Target *target;
	MemoryContext context;
	const ColumnValues *key; /* the columns, without values */
	ColumnValues data;		 /* the columns, without values */
	bool any_null_key;		 /* true if a key has a NULL */
	int ninput;
	int *group_of_input; /* by number of the input row */
	int ngroups;
	KeyGroup *groups; /* in canonical order */
	int nsets;		  /* row sets that were taken so far */
};

/* ----------
 * Making groups
 * ----------
 */

/*
 * The data columns: all that any row gives, except those of the key; without
 * values.
 */
static ColumnValues
collect_data_columns(const Target *target, const InputRow *rows, int nrows,
					 const ColumnValues *key)
{
	int natts = RelationGetNumberOfAttributes(target_relation(target));
	bool *given = palloc0(sizeof(bool) * (natts + 1));
	ColumnValues data;

	for (int r = 0; r < nrows; r++)
	{
		for (int i = 0; i < rows[r].columns->ncolumns; i++)
			given[rows[r].columns->attnums[i]] = true;
	}
	for (int k = 0; k < key->ncolumns; k++)
		given[key->attnums[k]] = false;
	data = *values_make_flagged(target, given);
	pfree(given);
	return data;
}

/* Let a group give what a row gives, instead of what it gave before. */
static void
merge_row(KeyGroup *group, const InputRow *row)
{
	int d = 0;

	for (int i = 0; i < row->columns->ncolumns; i++)
	{
		while (d < group->data.ncolumns &&
			   group->data.attnums[d] < row->columns->attnums[i])
			d++;
		if (d == group->data.ncolumns)
			break;
		if (group->data.attnums[d] != row->columns->attnums[i])
			continue; /* a column of the key */
		group->data.values[d] = row->columns->values[i];
		group->data.nulls[d] = row->columns->nulls[i];
		group->given[d] = true;
		group->any_given = true;
	}
}

/* Make the row's key the next group. */
static void
start_group(KeyGroups *groups, const InputRow *row)
{
	KeyGroup *group = &groups->groups[groups->ngroups];
	int ndata = groups->data.ncolumns;

	memset(group, 0, sizeof(KeyGroup));
	group->number = groups->ngroups++;
	group->first = row->number;
	group->key = row->key;
	group->data = *values_make(ndata);
	group->data.attnums = groups->data.attnums;
	memset(group->data.nulls, true, sizeof(bool) * ndata);
	group->given = palloc0(sizeof(bool) * ndata);
	group->lock = keylock_of_hash(groups->target, row->hash, row->hashed);
	group->state = GROUP_MISSING;
	for (int k = 0; k < row->key.ncolumns; k++)
		groups->any_null_key |= row->key.nulls[k];
	merge_row(group, row);
}

/*
 * Put the sorted rows into groups.  Keys that compare as equal need not be
 * equal, so each row is compared with all groups of its run of such keys.
 */
static void
group_rows(KeyGroups *groups, const InputRow *rows, bool merge)
{
	int run = 0; /* the first group whose key compares as equal */

	for (int r = 0; r < groups->ninput; r++)
	{
		int g;

		CHECK_FOR_INTERRUPTS();
		if (r > 0 && input_compare(groups->target, &rows[r - 1], &rows[r]) != 0)
		{
			Assert(input_compare(groups->target, &rows[r - 1], &rows[r]) < 0);
			run = groups->ngroups;
		}
		for (g = groups->ngroups - 1; g >= run; g--)
		{
			if (values_find_difference(groups->target, &groups->groups[g].key,
									   &rows[r].key) == InvalidAttrNumber)
				break;
		}
		if (g < run)
		{
			g = groups->ngroups;
			start_group(groups, &rows[r]);
		}
		else if (merge)
			merge_row(&groups->groups[g], &rows[r]);
		groups->group_of_input[rows[r].number] = g;
	}
}

/* Group the objects of a JSON array by the columns that "key" names. */
KeyGroups *
groups_parse(Target *target, Jsonb *rows, ArrayType *key, bool merge)
{
	KeyGroups *groups = palloc0(sizeof(KeyGroups));
	InputRow *input;

	groups->target = target;
	groups->context = CurrentMemoryContext;
	groups->key = input_key(target, key);
	input = input_rows(target, rows, groups->key, &groups->ninput);
	groups->data = collect_data_columns(target, input, groups->ninput,
										groups->key);
	groups->group_of_input = MemoryContextAllocHuge(CurrentMemoryContext,
													sizeof(int) *
														(groups->ninput + 1));
	groups->groups = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(KeyGroup) *
												(groups->ninput + 1));
	group_rows(groups, input, merge);
	pfree(input);
	return groups;
}

/* ----------
 * Reading groups
 * ----------
 */

/* The number of groups. */
int
groups_count(const KeyGroups *groups)
{
	return groups->ngroups;
}

/* The number of input rows. */
int
groups_count_input(const KeyGroups *groups)
{
	return groups->ninput;
}

/* The group of the input row with that number. */
const KeyGroup *
groups_of_input(const KeyGroups *groups, int number)
{
	Assert(number >= 0 && number < groups->ninput);
	return &groups->groups[groups->group_of_input[number]];
}

/* The columns of the key, without values. */
const ColumnValues *
groups_key(const KeyGroups *groups)
{
	return groups->key;
}

/* A group's first input row and its key, for an error's detail. */
char *
groups_describe(const KeyGroups *groups, const KeyGroup *group)
{
	return psprintf("Row %d: key %s", group->first + 1,
					values_describe(groups->target, &group->key));
}

/* ----------
 * Lists of groups
 * ----------
 */

/* An empty list with room for that number of groups. */
static GroupList
make_group_list(int size)
{
	GroupList list = {NULL, 0};

	list.groups = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(KeyGroup *) * (size + 1));
	return list;
}

/* Free a list, but not its groups. */
void
groups_free_list(GroupList *list)
{
	pfree(list->groups);
	list->groups = NULL;
	list->ngroups = 0;
}

/* The groups in that state. */
GroupList
groups_select(const KeyGroups *groups, KeyGroupState state)
{
	GroupList list = make_group_list(groups->ngroups);

	for (int g = 0; g < groups->ngroups; g++)
	{
		if (groups->groups[g].state == state)
			list.groups[list.ngroups++] = &groups->groups[g];
	}
	return list;
}

/*
 * The groups without a row, in the order in which the input first names them, so
 * that serial numbers of new rows follow the input.  Their keys are locked.
 *
 * Where Citus manages the table, sessions on other nodes do not see these locks,
 * and meet at the unique index.  Two of them that insert the same keys in
 * different orders would deadlock, so there it is the canonical order.
 */
GroupList
groups_select_insertable(const KeyGroups *groups)
{
	GroupList list;

	if (target_spread(groups->target)->kind != SPREAD_NOT)
		return groups_select(groups, GROUP_MISSING);
	list = make_group_list(groups->ngroups);

	for (int r = 0; r < groups->ninput; r++)
	{
		const KeyGroup *group = groups_of_input(groups, r);

		if (group->first != r || group->state != GROUP_MISSING)
			continue;
		Assert(group->key_locked);
		list.groups[list.ngroups++] = group;
	}
	return list;
}

/*
 * Move the groups that "belongs" returns true for to a list of their own.  Both
 * lists keep the order.
 */
GroupList
groups_split(GroupList *list,
			 bool (*belongs)(const KeyGroup *group, const void *arg),
			 const void *arg)
{
	GroupList moved = make_group_list(list->ngroups);
	int nleft = 0;

	for (int g = 0; g < list->ngroups; g++)
	{
		const KeyGroup *group = list->groups[g];

		if (belongs(group, arg))
			moved.groups[moved.ngroups++] = group;
		else
			list->groups[nleft++] = group;
	}
	list->ngroups = nleft;
	return moved;
}

/* Return true if both keys have NULLs in the same columns. */
static bool
has_same_nulls(const KeyGroup *group, const void *other)
{
	const ColumnValues *key = other;

	return memcmp(group->key.nulls, key->nulls, sizeof(bool) * key->ncolumns) ==
		   0;
}

/*
 * Move groups whose keys have NULLs in the same columns to a list of their own,
 * in an order of such patterns that is the same for all calls.  False if the
 * list is empty, which is then freed.
 */
bool
groups_next_pattern(const KeyGroups *groups, GroupList *list,
					GroupList *pattern)
{
	size_t size = sizeof(bool) * groups->key->ncolumns;
	const ColumnValues *key;

	if (list->ngroups == 0)
	{
		groups_free_list(list);
		return false;
	}
	if (!groups->any_null_key)
	{
		*pattern = *list;
		*list = make_group_list(0);
		return true;
	}
	key = &list->groups[0]->key;
	for (int g = 1; g < list->ngroups; g++)
	{
		if (memcmp(list->groups[g]->key.nulls, key->nulls, size) < 0)
			key = &list->groups[g]->key;
	}
	*pattern = groups_split(list, has_same_nulls, key);
	return true;
}

/* Return true if the group gives the same data columns. */
static bool
gives_same_columns(const KeyGroup *group, const void *other)
{
	const KeyGroup *first = other;

	return memcmp(group->given, first->given,
				  sizeof(bool) * first->data.ncolumns) == 0;
}

/* Move those that give the same columns as the first to a list of their own. */
GroupList
groups_next_alike(GroupList *list)
{
	Assert(list->ngroups > 0);
	return groups_split(list, gives_same_columns, list->groups[0]);
}

/* ----------
 * Columns
 * ----------
 */

/* The data columns that at least one group on the list gives. */
GroupColumns
groups_given_columns(const KeyGroups *groups, GroupList list)
{
	int ndata = groups->data.ncolumns;
	GroupColumns result;

	result.columns = *values_make(ndata);
	result.columns.ncolumns = 0;
	result.positions = palloc(sizeof(int) * ndata);
	result.partial = palloc(sizeof(bool) * ndata);
	for (int d = 0; d < ndata; d++)
	{
		int n = result.columns.ncolumns;
		int ngiven = 0;

		for (int g = 0; g < list.ngroups; g++)
			ngiven += list.groups[g]->given[d];
		if (ngiven == 0)
			continue;
		values_set(&result.columns, n, groups->data.attnums[d], (Datum) 0,
				   true);
		result.positions[n] = d;
		result.partial[n] = ngiven < list.ngroups;
		result.columns.ncolumns++;
	}
	return result;
}

/*
 * Let errors name the group's first row, until the callback is removed from the
 * stack.
 */
void
groups_push_error_context(ErrorContextCallback *callback, const KeyGroup *group)
{
	callback->callback = input_error_context;
	callback->arg = unconstify(int *, &group->first);
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/* A group of the list, to be changed. */
static KeyGroup *
own_group(KeyGroups *groups, const KeyGroup *group)
{
	Assert(group == &groups->groups[group->number]);
	return &groups->groups[group->number];
}

/*
 * Set data column "d" to its DEFAULT in the groups that do not give it.  The
 * error context's callback is on our stack, since code of the user's that a
 * DEFAULT runs can call the function that we serve.
 */
static void
fill_column(KeyGroups *groups, GroupList list, int d, Defaults *defaults)
{
	for (int g = 0; g < list.ngroups; g++)
	{
		KeyGroup *group = own_group(groups, list.groups[g]);
		ErrorContextCallback callback;

		if (group->given[d])
			continue;
		groups_push_error_context(&callback, group);
		group->data.values[d] = defaults_value(defaults,
											   groups->data.attnums[d],
											   &group->data.nulls[d]);
		error_context_stack = callback.previous;
	}
}

/*
 * Set the columns that a group on the list does not give to their DEFAULTs.  No
 * column is partial then.
 */
void
groups_fill_defaults(KeyGroups *groups, GroupList list, GroupColumns *columns)
{
	Defaults *defaults = NULL;

	for (int c = 0; c < columns->columns.ncolumns; c++)
	{
		if (!columns->partial[c])
			continue;
		if (defaults == NULL)
			defaults = defaults_begin(groups->target);
		fill_column(groups, list, columns->positions[c], defaults);
		columns->partial[c] = false;
	}
	if (defaults != NULL)
		defaults_end(defaults);
}

/* ----------
 * Changing what is known
 * ----------
 */

/*
 * Return true if the lock of the group's key is one on another node, as it is in
 * a call for one row: no unique index spares it.
 */
static bool
is_locked_elsewhere(const KeyGroup *group, const void *arg)
{
	const KeyGroups *groups = arg;
	const ColumnValues *key = &group->key;

	return !indexes_unique_key(groups->target, key->ncolumns, key->attnums,
							   key->nulls) &&
		   promises_key_is_routed(groups->target, key);
}

/*
 * Lock the keys of groups where Citus has their rows.  The result is the other
 * groups on the list.
 */
static GroupList
lock_keys_elsewhere(KeyGroups *groups, GroupList list)
{
	GroupList rest = make_group_list(list.ngroups);
	GroupList routed;
	RoutedKey *keys;

	memcpy(rest.groups, list.groups, sizeof(KeyGroup *) * list.ngroups);
	rest.ngroups = list.ngroups;
	if (promises_at_home(groups->target))
		return rest;
	routed = groups_split(&rest, is_locked_elsewhere, groups);
	keys = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(RoutedKey) * (routed.ngroups + 1));
	for (int g = 0; g < routed.ngroups; g++)
	{
		KeyGroup *group = own_group(groups, routed.groups[g]);

		group->key_locked = true;
		keys[g].target = groups->target;
		keys[g].key = &group->key;
	}
	routed_acquire(keys, routed.ngroups);
	pfree(keys);
	groups_free_list(&routed);
	return rest;
}

/*
 * Lock the keys of the groups on the list, all at once, unless all of them are
 * held already.  With "whole", lock the table's keys as a whole instead.
 *
 * A session that holds all of the keys must not ask for the whole: two sessions
 * that each hold keys and wait for the whole would deadlock.
 */
void
groups_lock_keys(KeyGroups *groups, GroupList list, bool whole)
{
	KeyLock *locks;
	Oid root;

	if (target_spread(groups->target)->kind != SPREAD_NOT)
		list = lock_keys_elsewhere(groups, list);
	locks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(KeyLock) * (list.ngroups + 1));
	/* The root is known for certain only while it is held. */
	target_hold_root(groups->target);
	root = target_lock_root(groups->target);
	for (int g = 0; g < list.ngroups; g++)
	{
		KeyGroup *group = own_group(groups, list.groups[g]);

		group->lock.root = root;
		group->key_locked = true;
		locks[g] = group->lock;
	}
	if (!keylock_all_held(locks, list.ngroups))
	{
		for (int g = 0; g < list.ngroups && whole; g++)
			locks[g].hash = KEYLOCK_WHOLE;
		keylock_acquire(locks, list.ngroups);
	}
	pfree(locks);
}

/* Set the state of the groups on the list. */
void
groups_set_state(KeyGroups *groups, GroupList list, KeyGroupState state)
{
	for (int g = 0; g < list.ngroups; g++)
		own_group(groups, list.groups[g])->state = state;
}

/* Remember that an INSERT of their rows is tried. */
void
groups_set_tried(KeyGroups *groups, GroupList list)
{
	for (int g = 0; g < list.ngroups; g++)
	{
		Assert(list.groups[g]->key_locked);
		own_group(groups, list.groups[g])->tried = true;
	}
}

/* Take a row of a set as the group's row. */
static void
take_group_row(KeyGroups *groups, KeyGroup *group, const RowSet *set, uint64 i,
			   KeyGroupState state)
{
	MemoryContext old = MemoryContextSwitchTo(groups->context);

	if (DatumGetPointer(group->row) != NULL)
		pfree(DatumGetPointer(group->row));
	group->row = rowset_form_row(set, i);
	group->state = state;
	MemoryContextSwitchTo(old);
}

/*
 * Take the rows that a verb gave, with their groups' numbers, and free the set.
 * Their groups get the state.  Two rows of one group are an error.
 */
void
groups_take_rows(KeyGroups *groups, RowSet set, KeyGroupState state)
{
	int taken = ++groups->nsets;

	for (uint64 i = 0; i < set.nrows; i++)
	{
		int n = rowset_number(&set, i);
		KeyGroup *group = &groups->groups[n];

		Assert(n >= 0 && n < groups->ngroups);
		if (group->taken == taken)
		{
			if (state == GROUP_CREATED)
				error_created_twice(target_relation(groups->target),
									groups_describe(groups, group));
			error_several_rows(target_relation(groups->target),
							   groups_describe(groups, group));
		}
		group->taken = taken;
		take_group_row(groups, group, &set, i, state);
	}
	rowset_free(&set);
}

/*
 * The place on the list, from "g" on, of the group whose row was created.  If
 * there is none, a trigger changed the key, which is an error.
 */
static int
find_created_group(const KeyGroups *groups, GroupList list, int g,
				   const RowSet *set, uint64 i)
{
	ColumnValues *created = rowset_values(set, i, groups->key);
	AttrNumber changed = InvalidAttrNumber;

	for (; g < list.ngroups; g++)
	{
		AttrNumber difference = values_find_difference(groups->target,
													   &list.groups[g]->key,
													   created);

		if (difference == InvalidAttrNumber)
			return g;
		changed = difference;
	}
	/* Past the last group: there are several, and so the key has columns. */
	if (changed == InvalidAttrNumber)
	{
		Assert(groups->key->ncolumns > 0);
		changed = groups->key->attnums[0];
	}
	error_key_changed(target_relation(groups->target),
					  NameStr(target_column(groups->target, changed)->attname));
}

/*
 * Take the rows that an INSERT of the groups on the list gave, and free them.
 * It gives them in the order of the list, and leaves out those that it did not
 * insert.  Where triggers or routing can store another row than was given, each
 * row's key is compared.
 */
void
groups_take_created(KeyGroups *groups, GroupList list, RowSet set)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree created row",
												  ALLOCSET_SMALL_SIZES);
	bool as_given = set.nrows == list.ngroups &&
					!traits_may_divert_inserts(groups->target);
	int g = 0;

	for (uint64 i = 0; i < set.nrows; i++)
	{
		if (!as_given)
		{
			MemoryContext old = MemoryContextSwitchTo(scratch);

			g = find_created_group(groups, list, g, &set, i);
			MemoryContextSwitchTo(old);
			MemoryContextReset(scratch);
		}
		Assert(g < list.ngroups);
		take_group_row(groups, own_group(groups, list.groups[g++]), &set, i,
					   GROUP_CREATED);
	}
	MemoryContextDelete(scratch);
	rowset_free(&set);
}

/* ----------
 * Verbs over groups
 * ----------
 */

/* RowErrorContext callback: the first input row of the group. */
void
groups_error_context(int number, void *groups)
{
	const KeyGroups *all = groups;

	Assert(number >= 0 && number < all->ngroups);
	input_error_context(&all->groups[number].first);
}

/* Return true if some groups on the list give a column that others do not. */
static bool
any_partial_column(const GroupColumns *columns)
{
	for (int i = 0; columns != NULL && i < columns->columns.ncolumns; i++)
	{
		if (columns->partial[i])
			return true;
	}
	return false;
}

/* Set the bits that say which of these columns a group gives. */
static void
set_given_bits(const KeyGroup *group, const GroupColumns *columns, bytea *bits)
{
	int nbytes = (columns->columns.ncolumns + 7) / 8;

	SET_VARSIZE(bits, VARHDRSZ + nbytes);
	memset(VARDATA(bits), 0, nbytes);
	for (int i = 0; i < columns->columns.ncolumns; i++)
	{
		if (group->given[columns->positions[i]])
			VARDATA(bits)[i / 8] |= 1 << (i % 8);
	}
}

/* Set the primary key of the group's row. */
static void
set_primary_key(const KeyGroups *groups, const KeyGroup *group, Rows *rows)
{
	const AttrNumber *columns;
	int n = indexes_primary_key(groups->target, &columns);
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	Assert(DatumGetPointer(group->row) != NULL && n <= INDEX_MAX_KEYS);
	values_read_row(groups->target, DatumGetHeapTupleHeader(group->row), n,
					columns, values, nulls);
	for (int i = 0; i < n; i++)
		rows_set(rows, 'p', i + 1, values[i], nulls[i]);
}

/* Rows that have the columns which groups_rows() fills in. */
static Rows *
begin_group_rows(const KeyGroups *groups, int nrows,
				 const GroupColumns *columns, bool flags, bool with_primary_key)
{
	const Target *target = groups->target;
	const AttrNumber *primary_key = NULL;
	int nprimary = with_primary_key ? indexes_primary_key(target, &primary_key)
									: 0;
	int nkeys = groups->key->ncolumns;
	int ndata = columns == NULL ? 0 : columns->columns.ncolumns;
	Rows *rows = rows_begin(1 + nkeys + ndata + (flags ? 1 : 0) + nprimary,
							nrows);

	for (int i = 0; i < nkeys; i++)
		rows_add_column(rows, 'k', i + 1, target, groups->key->attnums[i]);
	for (int i = 0; i < ndata; i++)
		rows_add_column(rows, 'd', i + 1, target, columns->columns.attnums[i]);
	if (flags)
		rows_add_flags(rows);
	for (int i = 0; i < nprimary; i++)
		rows_add_column(rows, 'p', i + 1, target, primary_key[i]);
	return rows;
}

/*
 * The groups on the list as rows for a verb: with these data columns, or NULL
 * for none, and the primary keys of the groups' rows, if asked.
 */
Rows *
groups_rows(const KeyGroups *groups, GroupList list,
			const GroupColumns *columns, bool with_primary_key)
{
	int ndata = columns == NULL ? 0 : columns->columns.ncolumns;
	bool flags = any_partial_column(columns);
	bytea *bits = palloc(VARHDRSZ + ndata / 8 + 1);
	Rows *rows = begin_group_rows(groups, list.ngroups, columns, flags,
								  with_primary_key);

	for (int g = 0; g < list.ngroups; g++)
	{
		const KeyGroup *group = list.groups[g];

		for (int i = 0; i < group->key.ncolumns; i++)
			rows_set(rows, 'k', i + 1, group->key.values[i],
					 group->key.nulls[i]);
		for (int i = 0; i < ndata; i++)
		{
			int d = columns->positions[i];

			rows_set(rows, 'd', i + 1, group->data.values[d],
					 group->data.nulls[d]);
		}
		if (flags)
		{
			set_given_bits(group, columns, bits);
			rows_set_flags(rows, bits);
		}
		if (with_primary_key)
			set_primary_key(groups, group, rows);
		rows_add(rows, group->number);
	}
	pfree(bits);
	return rows;
}
