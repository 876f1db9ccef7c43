/*-------------------------------------------------------------------------
 *
 * rowset.h
 *	  The rows that a verb gave, as a value.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ROWSET_H
#define RACEFREE_ROWSET_H

#include "table/values.h"

struct SPITupleTable; /* see executor/spi.h */

/*
 * Rows that a verb gave.  They live until rowset_free() or run_end(), and so do
 * the values that point into them.  A set is "whole" if it has all live columns
 * of the table; otherwise it has the columns that were asked for.  Verbs over
 * many rows of values add the number of the row of values.
 */
typedef struct RowSet
{
	uint64 nrows;
	const Target *table;
	bool whole;
	bool numbered;
	struct SPITupleTable *rows; /* for rowset.c only */
} RowSet;

/* Of a whole set */

/* Form a row of the table: a composite datum, in the current context. */
extern Datum rowset_form_row(const RowSet *set, uint64 i);
/* A column of a row. */
extern Datum rowset_value(const RowSet *set, uint64 i, AttrNumber attnum,
						  bool *isnull);
/* Several columns of a row, in the current context. */
extern ColumnValues *rowset_values(const RowSet *set, uint64 i,
								   const ColumnValues *columns);

/* Of any set */

/* A column of a whole set or, of another one, what is at the position. */
extern Datum rowset_column(const RowSet *set, uint64 i, AttrNumber attnum,
						   int position, bool *isnull);

/* The column at that position, counted from 1. */
extern Datum rowset_position(const RowSet *set, uint64 i, int position,
							 bool *isnull);
/* The number of the row of values, of a row in a numbered set. */
extern int rowset_number(const RowSet *set, uint64 i);
/* Add the rows of another set, which is freed, to those of a set like it. */
extern void rowset_append(RowSet *set, RowSet *more);
/* Free the rows. */
extern void rowset_free(RowSet *set);

#endif /* RACEFREE_ROWSET_H */
