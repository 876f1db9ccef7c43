/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Many rows of arguments, grouped by key and in canonical order.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_BATCH_H
#define RACEFREE_BATCH_H

#include "utils/array.h"
#include "utils/jsonb.h"

#include "table/values.h"
#include "keys/keylock.h"
#include "run/rows.h"

typedef enum BatchState
{
	GROUP_MISSING, /* there is no row, or none was seen yet */
	GROUP_FOUND,   /* there is a row */
	GROUP_LOCKED,  /* there is one, and we locked it */
	GROUP_UPDATED, /* there is one, and it is as it should be */
	GROUP_CREATED  /* we inserted it */
} BatchState;

/* The input rows that have one key, taken together. */
typedef struct BatchGroup
{
	ColumnValues key;
	ColumnValues data; /* all data columns of the batch */
	bool *given;	   /* which of them this group gives */
	bool any_given;
	KeyLock lock;
	int first; /* the first input row, counted from 0 */
	BatchState state;
	bool key_locked;
	bool tried;	   /* did we try to insert it? */
	int statement; /* the last one that gave a row for it, from 1 */
	int nrows;	   /* its rows, when they were counted last */
	Datum object;  /* the row as it is, once there is one */
} BatchGroup;

typedef struct Batch
{
	Target *target;
	MemoryContext context; /* holds it all, result rows too */
	ColumnValues key;	   /* the columns, no values, none NULL */
	ColumnValues data;	   /* the columns, no values */
	bool null_keys;		   /* has any group a NULL in its key? */
	int nrows;
	int *group_of_row;
	int ngroups;
	BatchGroup *groups; /* in canonical order */
	int nstatements;	/* verbs that ran over groups by now */
} Batch;

/* The data columns that one statement is about. */
typedef struct BatchColumns
{
	ColumnValues columns; /* no values */
	int *positions;		  /* in the groups' data */
	bool *partial;		  /* do some groups give it, and others not?  NULL if
						   * it does not matter */
} BatchColumns;

extern Batch *batch_parse(Target *target, Jsonb *rows, ArrayType *key,
						  bool merge);
extern BatchColumns batch_given_columns(const Batch *batch, BatchGroup **groups,
										int ngroups);
extern void batch_fill_defaults(const Batch *batch, BatchGroup **groups,
								int ngroups, const BatchColumns *columns);
extern char *batch_describe(const Batch *batch, const BatchGroup *group);

extern void batch_error_context(void *number);
extern void batch_blame(ErrorContextCallback *callback, BatchGroup *group);
extern void batch_absolve(const ErrorContextCallback *callback);

extern Rows *batch_rows(const Batch *batch, BatchGroup **groups, int ngroups,
						const BatchColumns *columns, bool with_primary_key);

#endif /* RACEFREE_BATCH_H */
