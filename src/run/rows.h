/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Rows of values that statements see as a relation.
 *
 * The first column is "n", a number, not negative, by which the caller knows
 * the row.  The others are named by a kind, which is a letter, and a number:
 *
 *		k1, k2 ...			the key columns
 *		d1, d2 ...			the data columns
 *		g			bytea	which data columns are given: bit 0 stands for d1
 *		p1, p2 ...			the primary key of the row that was found
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ROWS_H
#define RACEFREE_ROWS_H

#include "nodes/params.h"

#include "table/target.h"

struct Statement;

/* The name under which statements see the rows. */
#define ROWS_RELATION "racefree_batch"

typedef struct Rows Rows;

/* Called for errors with the number of the row that a statement is at. */
typedef void (*RowErrorContext)(int number, void *arg);

/* Making rows, which a verb then frees */

/* Begin a relation of that many columns, "n" among them, and rows at most. */
extern Rows *rows_begin(int ncolumns, int nrows);
/* Add a column of values of the type of a table's column. */
extern void rows_add_column(Rows *rows, char kind, int number,
							const Target *target, AttrNumber attnum);
/* Add a column of values of that type's base type. */
extern void rows_add_base_column(Rows *rows, char kind, int number,
								 const Target *target, AttrNumber attnum);
/* Add the column of bits that say which data columns are given. */
extern void rows_add_flags(Rows *rows);
/* Set a value of the row that rows_add() will add. */
extern void rows_set(Rows *rows, char kind, int number, Datum value,
					 bool isnull);
/* Set the bits of the row that rows_add() will add. */
extern void rows_set_flags(Rows *rows, bytea *bits);
/* Add a row with this number and the values that were set. */
extern void rows_add(Rows *rows, int n);
/* The number of rows that were added. */
extern int rows_count(const Rows *rows);

/* For this storey: running statements over them */

/* Let statements see the rows. */
extern void rows_register(Rows *rows);
/* End that, and free the rows. */
extern void rows_unregister(Rows *rows);
/* Free rows that no statement sees. */
extern void rows_free(Rows *rows);

/* For this storey: which row an INSERT or UPDATE is at */

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
extern void rows_append_turn(struct Statement *stmt);
/* Begin to count turns, and to give row numbers to the context of errors. */
extern ParamListInfo rows_begin_turns(RowsTurns *turns, Rows *rows,
									  RowErrorContext context, void *arg);
/* End it. */
extern void rows_end_turns(RowsTurns *turns);

#endif /* RACEFREE_ROWS_H */
