/*-------------------------------------------------------------------------
 *
 * groups.h
 *	  Input rows, grouped by key, and what is known of each group's row.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GROUPS_H
#define RACEFREE_GROUPS_H

#include "utils/array.h"
#include "utils/jsonb.h"

#include "keys/keylock.h"
#include "run/rows.h"
#include "run/rowset.h"
#include "table/values.h"

/* The state of a group's row in the table, as far as it is known. */
typedef enum KeyGroupState
{
	GROUP_MISSING, /* none was seen yet, or it was deleted since */
	GROUP_FOUND,   /* one was seen */
	GROUP_LOCKED,  /* we have locked it */
	GROUP_UPDATED, /* we have locked it, and set what was to be set */
	GROUP_CREATED  /* we have inserted it */
} KeyGroupState;

/* All groups of the input, in canonical order of their keys. */
typedef struct KeyGroups KeyGroups;

/*
 * The input rows that have one key, taken together.  Others read it, and let
 * the functions below change it.
 */
typedef struct KeyGroup
{
	int number; /* in canonical order, from 0 */
	int first;	/* the first of its input rows, from 0 */
	ColumnValues key;
	ColumnValues data; /* a value for each column that any group gives */
	bool *given;	   /* which of them this group gives */
	bool any_given;
	bool key_locked; /* true if we hold the lock of its key */
	bool tried;		 /* true if we have tried to insert its row */
	KeyGroupState state;
	Datum row; /* the row as last seen, a composite datum */

	/* For groups.c only */
	KeyLock lock;
	int taken; /* the number of the row set that gave "row" */
} KeyGroup;

/* Some of the groups. */
typedef struct GroupList
{
	const KeyGroup **groups;
	int ngroups;
} GroupList;

/* The data columns that one statement is about. */
typedef struct GroupColumns
{
	ColumnValues columns; /* no values */
	int *positions;		  /* of each in a group's data */
	bool *partial;		  /* true for those that not all groups give */
} GroupColumns;

/* Making them */

/*
 * Group the objects of a JSON array by the columns that "key" names.  If two
 * rows of a group give the same column, the later one counts with "merge";
 * without, only the first row does.
 */
extern KeyGroups *groups_parse(Target *target, Jsonb *rows, ArrayType *key,
							   bool merge);

/* Reading them */

/* The number of groups. */
extern int groups_count(const KeyGroups *groups);
/* The number of input rows. */
extern int groups_count_input(const KeyGroups *groups);
/* The group of the input row with that number. */
extern const KeyGroup *groups_of_input(const KeyGroups *groups, int number);
/* The columns of the key, without values. */
extern const ColumnValues *groups_key(const KeyGroups *groups);
/* A group's first input row and its key, for an error's detail. */
extern char *groups_describe(const KeyGroups *groups, const KeyGroup *group);

/* Choosing some */

/* The groups in that state. */
extern GroupList groups_select(const KeyGroups *groups, KeyGroupState state);
/* The groups without a row, in the order to insert; their keys are locked. */
extern GroupList groups_select_insertable(const KeyGroups *groups);
/* Move the groups that "belongs" returns true for to a list of their own. */
extern GroupList groups_split(GroupList *list,
							  bool (*belongs)(const KeyGroup *group,
											  const void *arg),
							  const void *arg);
/*
 * Move groups whose keys have NULLs in the same columns to a list of their own;
 * false if the list is empty, which is then freed.
 */
extern bool groups_next_pattern(const KeyGroups *groups, GroupList *list,
								GroupList *pattern);
/* Move those that give the same columns as the first to a list of their own. */
extern GroupList groups_next_alike(GroupList *list);
/* Free a list, but not its groups. */
extern void groups_free_list(GroupList *list);

/* Columns */

/* The data columns that at least one group on the list gives. */
extern GroupColumns groups_given_columns(const KeyGroups *groups,
										 GroupList list);
/*
 * Set the columns that a group on the list does not give to their DEFAULTs.
 * All columns are given then.
 */
extern void groups_fill_defaults(KeyGroups *groups, GroupList list,
								 GroupColumns *columns);

/* Changing what is known */

/* Lock the keys, or with "whole" all keys of the table. */
extern void groups_lock_keys(KeyGroups *groups, GroupList list, bool whole);
/* Set the state of the groups on the list. */
extern void groups_set_state(KeyGroups *groups, GroupList list,
							 KeyGroupState state);
/* Remember that an INSERT of their rows is tried. */
extern void groups_set_tried(KeyGroups *groups, GroupList list);
/*
 * Take the rows that a verb gave, with their groups' numbers, and free the set.
 * Their groups get the state.  Two rows of one group are an error.
 */
extern void groups_take_rows(KeyGroups *groups, RowSet set,
							 KeyGroupState state);
/* Take the rows that an INSERT of the list's groups gave, and free the set. */
extern void groups_take_created(KeyGroups *groups, GroupList list, RowSet set);

/* Verbs over them */

/*
 * The groups on the list as rows for a verb: with these data columns, or NULL
 * for none, and the primary keys of the groups' rows, if asked.
 */
extern Rows *groups_rows(const KeyGroups *groups, GroupList list,
						 const GroupColumns *columns, bool with_primary_key);
/* RowErrorContext callback for verbs over groups. */
extern void groups_error_context(int number, void *groups);
/* Let errors name the group's first row, until the callback is removed. */
extern void groups_push_error_context(ErrorContextCallback *callback,
									  const KeyGroup *group);

#endif /* RACEFREE_GROUPS_H */
