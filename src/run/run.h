/*-------------------------------------------------------------------------
 *
 * run.h
 *	  What can be done to a table's rows: the verbs.
 *
 * A verb runs one statement, as the caller's own role, and returns the rows
 * that it gave.  No room above this storey sees SPI, a plan or a statement.
 *
 * All verbs want run_begin() before, and the table open and locked as strongly
 * as the statement needs.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_RUN_H
#define RACEFREE_RUN_H

#include "nodes/lockoptions.h"
#include "utils/numeric.h"

#include "run/rows.h"
#include "run/rowset.h"
#include "run/view.h"

struct SqlQuery; /* see sql.h */

/*
 * How often to lock a row, look, and lock again.  A statement that waits for a
 * row's lock gives no row if the other session deletes the row or changes its
 * key, even if there is another row with the key by then: the statement's
 * snapshot is older than that row.  So a caller whose statement gave no row
 * looks with a new snapshot, and locks what it finds.  Rows that are locked
 * late are locked out of order, which is rare, and at worst is a deadlock that
 * PostgreSQL resolves.
 */
#define LOCK_ATTEMPTS 4

/* What the old value must be for run_add() to add to it. */
typedef enum AddBound
{
	ADD_ALWAYS,
	ADD_ABOVE, /* not below the bound */
	ADD_BELOW  /* not above the bound */
} AddBound;

/* Called with each row of a scan; it may free nothing of the set. */
typedef void (*RunTake)(const RowSet *set, uint64 i, void *arg);

/* In which order run_rows_lock() locks. */
typedef enum RowsOrder
{
	ROWS_BY_PRIMARY_KEY, /* rows found before, by their primary keys p1 ... */
	ROWS_BY_ID,			 /* rows found by an id, in primary key order */
	ROWS_BY_NUMBER		 /* rows found by their keys, in input order */
} RowsOrder;

/* Beginning and end */

/* Begin to use verbs; memory is allocated in a context that goes at the end. */
extern void run_begin(void);
/* End it, and free all that was allocated since. */
extern void run_end(void);

/* Commands */

/* Run a utility command, such as CREATE TABLE. */
extern void run_command(const char *command);

/* Snapshots, for views */

/* The command that the next statement will be; for VIEW_BEFORE. */
extern CommandId run_next_command(void);
/* The latest snapshot, for several verbs, until it is released or an error. */
extern Snapshot run_take_snapshot(void);
extern void run_release_snapshot(Snapshot snapshot);

/* One row, by its key: at most two are given, two say that there are more */

/* Read the row. */
extern RowSet run_look(const Target *target, const ColumnValues *key,
					   View view);
/*
 * The same by a key of one column; where that has an index in each table of
 * the tree, the index is used whatever the statistics say.
 */
extern RowSet run_find(const Target *target, const ColumnValues *key,
					   View view);
/* Lock the row FOR NO KEY UPDATE, and read it. */
extern RowSet run_lock(const Target *target, const ColumnValues *key);
/* The same for two ids, in primary key order; at most three rows are given. */
extern RowSet run_lock_pair(const Target *target, AttrNumber id, Datum a,
							Datum b);
/* Count the rows with the key, up to eight. */
extern uint64 run_count(const Target *target, const ColumnValues *key,
						View view);
/*
 * Insert a row.  With "yield", a row that has the key already, in a unique
 * index, is no error but makes the INSERT do nothing.
 */
extern RowSet run_insert(const Target *target, const ColumnValues *key,
						 const ColumnValues *data, bool yield);
/* Set columns of the row. */
extern RowSet run_update(const Target *target, const ColumnValues *key,
						 const ColumnValues *data);
/* Add to a column of the row, if its old value is within the bound. */
extern RowSet run_add(const Target *target, const ColumnValues *key,
					  AttrNumber column, Datum change, AddBound bound,
					  Numeric limit);
/* Add up a column over the rows with the key; NULL without rows. */
extern Numeric run_sum(const Target *target, const ColumnValues *key,
					   AttrNumber column, View view);

/* Many rows */

/*
 * Give each row of the table to the function, in the order of the columns of
 * "order", or in any order if that is NULL.  "result" has the columns to give,
 * NULL for all.  The function runs in a memory context that is reset, so what
 * it keeps it allocates elsewhere.
 *
 * A scan and a query see what the query that called us sees, so that several of
 * them see the same; the caller has written nothing since.
 */
extern void run_scan(const Target *target, const ColumnValues *order,
					 const ColumnValues *result, RunTake take, void *arg);
/* Run a query; "columns" are those that its text names. */
extern RowSet run_query(const Target *target, const struct SqlQuery *query,
						const AttrNumber *columns, Datum *values);
/* Lock the rows whose id is in the array, in primary key order. */
extern RowSet run_lock_ids(const Target *target, AttrNumber id,
						   LockClauseStrength strength, LockWaitPolicy wait,
						   Datum ids);
/*
 * Verbs over rows of values, which they free.  "result" has the columns to
 * give, NULL for all; the number follows.  At most one row more is given than
 * there are rows of values, which says that one of them has two.
 */
extern RowSet run_rows_look(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							View view);
/* As run_find(). */
extern RowSet run_rows_find(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							View view);
/* Give the number of every row that has the key, and no column. */
extern RowSet run_rows_count(const Target *target, Rows *rows,
							 const ColumnValues *key, View view);
extern RowSet run_rows_lock(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							RowsOrder order);
/* The rows given are in input order, without numbers. */
extern RowSet run_rows_insert(const Target *target, Rows *rows,
							  const ColumnValues *key, const ColumnValues *data,
							  const ColumnValues *result, bool yield,
							  RowErrorContext context, void *arg);
/* Set columns; "partial" says which are not given by every row, NULL: none. */
extern RowSet run_rows_update(const Target *target, Rows *rows,
							  const ColumnValues *key, const ColumnValues *data,
							  const bool *partial, const ColumnValues *result,
							  RowErrorContext context, void *arg);

#endif /* RACEFREE_RUN_H */
