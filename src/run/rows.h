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

#include "table/target.h"

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

#endif /* RACEFREE_ROWS_H */
