/*-------------------------------------------------------------------------
 *
 * rowset.c
 *	  The rows that a verb gave, as a value.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/memutils.h"

#include "run/rowset.h"
#include "table/tuples.h"

/* Form a row of the table: a composite datum, in the current context. */
Datum
rowset_form_row(const RowSet *set, uint64 i)
{
	Assert(set->whole && i < set->nrows);
	return tuples_form_row(set->table, set->rows->vals[i], set->rows->tupdesc);
}

/* A column of a row. */
Datum
rowset_value(const RowSet *set, uint64 i, AttrNumber attnum, bool *isnull)
{
	Assert(set->whole && i < set->nrows);
	return tuples_value(set->table, set->rows->vals[i], set->rows->tupdesc,
						attnum, isnull);
}

/* Several columns of a row, in the current context. */
ColumnValues *
rowset_values(const RowSet *set, uint64 i, const ColumnValues *columns)
{
	Assert(set->whole && i < set->nrows);
	return values_from_row(set->table, columns, set->rows->vals[i],
						   set->rows->tupdesc);
}

/* The column at that position, counted from 1. */
Datum
rowset_position(const RowSet *set, uint64 i, int position, bool *isnull)
{
	Assert(i < set->nrows);
	Assert(position >= 1 && position <= set->rows->tupdesc->natts);
	return heap_getattr(set->rows->vals[i], position, set->rows->tupdesc,
						isnull);
}

/*
 * A column of a row: of a whole set by its number, of a set that lists the
 * columns which were asked for by its position among them, counted from 1.
 */
Datum
rowset_column(const RowSet *set, uint64 i, AttrNumber attnum, int position,
			  bool *isnull)
{
	return set->whole ? rowset_value(set, i, attnum, isnull)
					  : rowset_position(set, i, position, isnull);
}

/* The number of the row of values, of a row in a numbered set. */
int
rowset_number(const RowSet *set, uint64 i)
{
	bool isnull;
	Datum n;

	Assert(set->numbered);
	n = rowset_position(set, i, set->rows->tupdesc->natts, &isnull);
	Assert(!isnull);
	return DatumGetInt32(n);
}

/*
 * Add the rows of another set, which is freed, to those of a set like it, which
 * may have none yet.
 */
void
rowset_append(RowSet *set, RowSet *more)
{
	MemoryContext old;

	if (set->rows == NULL)
	{
		set->rows = more->rows;
		set->nrows = more->nrows;
		return;
	}
	if (more->nrows > 0)
	{
		/* The context that SPI frees with the set. */
		old = MemoryContextSwitchTo(GetMemoryChunkContext(set->rows->vals));
		set->rows->vals = repalloc_huge(set->rows->vals,
										sizeof(HeapTuple) *
											(set->nrows + more->nrows));
		for (uint64 i = 0; i < more->nrows; i++)
			set->rows->vals[set->nrows++] = heap_copytuple(more->rows->vals[i]);
		set->rows->numvals = set->nrows;
		MemoryContextSwitchTo(old);
	}
	rowset_free(more);
}

/* Free the rows. */
void
rowset_free(RowSet *set)
{
	SPI_freetuptable(set->rows);
	set->rows = NULL;
	set->nrows = 0;
}
