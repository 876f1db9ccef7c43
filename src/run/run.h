/*-------------------------------------------------------------------------
 *
 * run.h
 *	  What can be done to a table's rows: the verbs.
 *
 * A verb runs one statement, with the privileges of the current role, and
 * returns the rows that it gave.  No room above this storey sees SPI, a plan or
 * a statement.
 *
 * Before a verb is used, the caller calls run_begin(), and opens the table with
 * a lock as strong as the statement needs.  The lock comes first: the plan of a
 * statement is checked when it is fetched, and only a lock that is held by then
 * keeps another session from changing the table before the plan is run.
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

struct SqlQuery; /* see run/sql.h */

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

/* Called with each row of a scan, which the function does not free. */
typedef void (*RunTake)(const RowSet *set, uint64 i, void *arg);

/* In which order run_rows_lock() locks. */
typedef enum RowsOrder
{
	ROWS_BY_PRIMARY_KEY, /* in primary key order, found by p1, p2 ... */
	ROWS_BY_ID,			 /* in primary key order, found by an id, k1 */
	ROWS_BY_NUMBER		 /* in input order, found by k1, k2 ... */
} RowsOrder;

/* Start to listen for invalidations.  Called once, when the module loads. */
extern void run_init(void);

/* Beginning and end */

/* Begin to use verbs, in a memory context that lasts until run_end(). */
extern void run_begin(void);
/* End it, and free what was allocated since, the rows of verbs among it. */
extern void run_end(void);

/* Commands */

/* Run a utility command, such as CREATE TABLE. */
extern void run_command(const char *command);
/* Run a query for what it does, and not for its rows. */
extern void run_query_for_effect(const char *query);

/* Snapshots, for views */

/* Begin a new command, and return its number, for VIEW_BEFORE. */
extern CommandId run_next_command(void);
/* Take the latest snapshot, for several verbs to share. */
extern Snapshot run_take_snapshot(void);
/* Release it; an error releases it, too. */
extern void run_release_snapshot(Snapshot snapshot);

/* One row, by its key.  A second row says that several have the key. */

/* Read the row. */
extern RowSet run_look(const Target *target, const ColumnValues *key,
					   View view);
/*
 * Read the row by a key of one column.  If that has an index in each table of
 * the tree, the index is used whatever the statistics say.
 */
extern RowSet run_find(const Target *target, const ColumnValues *key,
					   View view);
/* Lock the row FOR NO KEY UPDATE, and read it. */
extern RowSet run_lock(const Target *target, const ColumnValues *key);
/* Lock two rows by their ids, in primary key order; a third says of several. */
extern RowSet run_lock_pair(const Target *target, AttrNumber id, Datum a,
							Datum b);
/* Count the rows with the key, up to eight. */
extern uint64 run_count(const Target *target, const ColumnValues *key,
						View view);
/*
 * Insert a row.  With "yield", the INSERT does nothing if a unique index has a
 * row with the key; see arbiter.h.
 */
extern RowSet run_insert(const Target *target, const ColumnValues *key,
						 const ColumnValues *data, bool yield);
/* Set columns of the row, one at least. */
extern RowSet run_update(const Target *target, const ColumnValues *key,
						 const ColumnValues *data);
/* Delete the row, and give what it was. */
extern RowSet run_delete(const Target *target, const ColumnValues *key);
/* Add to a column of the row, unless its old value is beyond the bound. */
extern RowSet run_add(const Target *target, const ColumnValues *key,
					  AttrNumber column, Datum change, AddBound bound,
					  Numeric limit);
/*
 * Add up a column over the rows with a key of one column; NULL if none.  The
 * sum is allocated in the current memory context.
 */
extern Numeric run_sum(const Target *target, const ColumnValues *key,
					   AttrNumber column, View view);

/*
 * All rows, as the query that called us sees them: several scans and queries
 * see the same.  The caller has written nothing before.
 */

/*
 * Give each row of the table to the function, in the order of the columns of
 * "order", or in any order if that is NULL.  "result" has the columns to give,
 * NULL for all.  The function is called in a memory context that is reset, and
 * allocates elsewhere what it keeps.
 */
extern void run_scan(const Target *target, const ColumnValues *order,
					 const ColumnValues *result, RunTake take, void *arg);
/* Run a query that another room writes, over these columns of the table. */
extern RowSet run_query(const Target *target, const struct SqlQuery *query,
						const AttrNumber *columns, Datum *values);
/*
 * Run such a query as a verb over rows is run: it sees what the view shows.  It
 * gives "limit" rows at most, or all if that is 0.
 */
extern RowSet run_query_view(const Target *target, const struct SqlQuery *query,
							 const AttrNumber *columns, Datum *values,
							 View view, long limit);

/* Keys of rows on other nodes */

/*
 * Run lock_keys_here() where the rows are that the column, if any, leads to, in
 * the transaction of that node which is to write them.  Return what it returns.
 */
extern int32 run_lock_keys(const Target *target, const ColumnValues *route,
						   Datum keys);

/* Rows by their ids */

/* Lock the rows whose id is in the array, in primary key order. */
extern RowSet run_lock_ids(const Target *target, AttrNumber id,
						   LockClauseStrength strength, LockWaitPolicy wait,
						   Datum ids);
/*
 * The transactions that wrote the rows whose id is in the array, in any order.
 * The table is a plain one, and the current user may SELECT from all of it.
 */
extern TransactionId *run_xmins(const Target *target, AttrNumber id, Datum ids,
								int *n);

/*
 * Many rows, each for a row of values, which the verb frees
 *
 * "result" has the columns to give, NULL for all.  Rows come with the number of
 * the row of values.  At most one row more is given than there are rows of
 * values, which says that several have one key.
 */

/* Read the rows that have the keys. */
extern RowSet run_rows_look(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							View view);
/* Read the rows that have the keys, of one column, as run_find() does. */
extern RowSet run_rows_find(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							View view);
/* Give no columns but the numbers, of all rows that have the keys. */
extern RowSet run_rows_count(const Target *target, Rows *rows,
							 const ColumnValues *key, View view);
/* Lock the rows FOR NO KEY UPDATE, and read them. */
extern RowSet run_rows_lock(const Target *target, Rows *rows,
							const ColumnValues *key, const ColumnValues *result,
							RowsOrder order);
/* What an INSERT of many rows does besides. */
typedef enum InsertMode
{
	INSERT_STRICT,
	INSERT_OR_YIELD,  /* ON CONFLICT DO NOTHING */
	INSERT_OVERRIDING /* OVERRIDING SYSTEM VALUE */
} InsertMode;

/*
 * Insert the rows; see run_insert().  They come in input order, unnumbered.
 * Errors call "context", unless it is NULL.
 */
extern RowSet run_rows_insert(const Target *target, Rows *rows,
							  const ColumnValues *key, const ColumnValues *data,
							  const ColumnValues *result, InsertMode mode,
							  RowErrorContext context, void *arg);
/* Set columns; "partial" says which ones not every row gives, NULL: none. */
extern RowSet run_rows_update(const Target *target, Rows *rows,
							  const ColumnValues *key, const ColumnValues *data,
							  const bool *partial, const ColumnValues *result,
							  RowErrorContext context, void *arg);
/* Delete the rows that have the keys. */
extern RowSet run_rows_delete(const Target *target, Rows *rows,
							  const ColumnValues *key,
							  const ColumnValues *result);

#endif /* RACEFREE_RUN_H */
