/*-------------------------------------------------------------------------
 *
 * values.h
 *	  Columns of a table with a value for each.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_VALUES_H
#define RACEFREE_VALUES_H

#include "table/target.h"

/*
 * Columns of a table in ascending order, with a value for each.  Where only
 * the columns matter, "values" and "nulls" are NULL or not filled in.
 */
typedef struct ColumnValues
{
	int ncolumns;
	const AttrNumber *attnums;
	Datum *values;
	bool *nulls;
} ColumnValues;

/* Making them */

/* Columns to be filled in, as one chunk of memory. */
extern ColumnValues *values_make(int ncolumns);
/* The table's columns whose flags are set, by number from 1, without values. */
extern ColumnValues *values_make_flagged(const Target *target,
										 const bool *flags);
/* Set column "i", which values_make() made. */
extern void values_set(ColumnValues *columns, int i, AttrNumber attnum,
					   Datum value, bool isnull);
/* One column and its value. */
extern ColumnValues *values_one(AttrNumber attnum, Datum value, bool isnull);
/* Sort columns, with their values. */
extern void values_sort(ColumnValues *columns);
/* The first column that a sorted list has twice, or InvalidAttrNumber. */
extern AttrNumber values_find_duplicate(const ColumnValues *columns);
/* The place of a column in the list, or -1. */
extern int values_find_column(const ColumnValues *columns, AttrNumber attnum);
/* The columns of both lists; a column of both has the second list's value. */
extern ColumnValues *values_merge(const ColumnValues *a, const ColumnValues *b);
/* The values that a list has for the columns of another one. */
extern ColumnValues *values_select(const ColumnValues *from,
								   const ColumnValues *columns);

/* Reading them from rows */

/* Read columns from a row of the table. */
extern void values_read_row(const Target *target, HeapTupleHeader row, int n,
							const AttrNumber *attnums, Datum *values,
							bool *nulls);
/* Read columns from a row of a statement's result. */
extern ColumnValues *values_from_row(const Target *target,
									 const ColumnValues *columns,
									 HeapTuple tuple, TupleDesc tupdesc);

/* Comparing them */

/* The first column in which two keys differ, or InvalidAttrNumber. */
extern AttrNumber values_find_difference(const Target *target,
										 const ColumnValues *a,
										 const ColumnValues *b);
/* Compare values with those of a row, bit by bit. */
extern bool values_match_row(const Target *target, Datum row,
							 const ColumnValues *columns);

/* Printing them */

/* A value's text form. */
extern char *values_print(Oid type, Datum value);
/* The same, with all digits and the same in every session. */
extern char *values_print_exactly(Oid type, Datum value);
/* Columns and values as an error's detail has them. */
extern const char *values_describe(const Target *target,
								   const ColumnValues *columns);

#endif /* RACEFREE_VALUES_H */
