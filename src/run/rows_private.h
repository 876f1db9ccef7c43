/*-------------------------------------------------------------------------
 *
 * rows_private.h
 *	  What this storey does with rows of values: it runs statements over them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ROWS_PRIVATE_H
#define RACEFREE_ROWS_PRIVATE_H

#include "nodes/params.h"

#include "run/rows.h"
#include "run/sql.h"

/* How statements are given rows */

typedef enum RowsCarrier
{
	ROWS_STORED, /* as a relation, which holds them */
	ROWS_ARRAYS, /* as parameters: an array for each column */
	ROWS_SINGLY	 /* as parameters: the statement is run for each row */
} RowsCarrier;

/* The values of rows, those of one row after those of another. */
typedef struct RowValues
{
	int nrows;
	int ncolumns;
	TupleDesc tupdesc; /* of the rows */
	Datum *values;
	bool *nulls;
} RowValues;

/* Running statements over rows */

/* The name under which statements see the rows. */
#define ROWS_RELATION "racefree_batch"

/* Let statements see the rows. */
extern void rows_register(Rows *rows);
/* End that, and free the rows. */
extern void rows_unregister(Rows *rows);
/* Free rows that no statement sees. */
extern void rows_free(Rows *rows);
/* True if each column's values can be put into an array. */
extern bool rows_fit_arrays(const Rows *rows);
/* Read the values; the result lasts as long as the rows. */
extern RowValues rows_read(Rows *rows);
/* An array of the values of each column. */
extern Datum *rows_make_arrays(const RowValues *values);
/* The type of an array of values of a column's type; invalid if there is none. */
extern Oid rows_array_type(Oid type);

/* Which row an INSERT or UPDATE is at */

/* A statement that writes, while it runs. */
typedef struct RowsTurns
{
	const Rows *rows;
	int turn; /* of the row that was fetched last, counted from 1 */
	RowErrorContext context;
	void *arg;
	ErrorContextCallback callback;
} RowsTurns;

/* Append the condition by which turns are counted. */
extern void rows_append_turn(Statement *stmt);
/* Begin to count turns, and to give row numbers to the context of errors. */
extern ParamListInfo rows_begin_turns(RowsTurns *turns, Rows *rows,
									  RowErrorContext context, void *arg);
/* The same, where the caller sets the turn. */
extern void rows_begin_own_turns(RowsTurns *turns, Rows *rows,
								 RowErrorContext context, void *arg);
/* End it. */
extern void rows_end_turns(RowsTurns *turns);

#endif /* RACEFREE_ROWS_PRIVATE_H */
