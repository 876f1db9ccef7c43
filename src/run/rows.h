/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Rows of values that statements see as a relation.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ROWS_H
#define RACEFREE_ROWS_H

#include "table/target.h"

/* The name under which statements see the rows. */
#define ROWS_RELATION "racefree_batch"

typedef struct Rows Rows;

extern Rows *rows_begin(int ncolumns, int nrows);
extern void rows_add_column(Rows *rows, char kind, int number,
							const Target *target, AttrNumber attnum);
extern void rows_add_base_column(Rows *rows, char kind, int number,
								 const Target *target, AttrNumber attnum);
extern void rows_add_flags(Rows *rows);
extern void rows_put(Rows *rows, Datum *values, bool *nulls);
/* Set a value of the row that rows_add() will add. */
extern void rows_set(Rows *rows, char kind, int number, Datum value,
					 bool isnull);
/* Set the bits of the row that rows_add() will add. */
extern void rows_set_flags(Rows *rows, bytea *bits);
/* Add a row of the values that were set, all of them since the last one. */
extern void rows_add(Rows *rows, int n);
extern int rows_count(const Rows *rows);
extern bool rows_number_of_turn(const Rows *rows, int turn, int *number);
extern void rows_put_end(Rows *rows);
extern void rows_register(Rows *rows);
extern void rows_unregister(Rows *rows);

#endif /* RACEFREE_ROWS_H */
