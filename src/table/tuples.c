/*-------------------------------------------------------------------------
 *
 * tuples.c
 *	  Rows of a statement's result, which list a table's live columns in order.
 *
 * A row of the table itself has a place for every column that was dropped, too,
 * so the two are laid out alike only if no column was.  Everything is allocated
 * in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */

#include "postgres.h"

#include "access/htup_details.h"

#include "table/tuples.h"

/*
 * Make a row of the table, a composite datum, from a row of a statement's
 * result.  What the result lists after the table's columns is left out.
 */
Datum
tuples_form_row(const Target *target, HeapTuple tuple, TupleDesc tupdesc)
{
	TupleDesc row_desc = RelationGetDescr(target_relation(target));
	Datum *given;
	bool *given_nulls;
	Datum *values;
	bool *nulls;
	Datum row;
	int column = 0;

	/* Laid out alike, the row is copied as it is. */
	if (!target_has_dropped_columns(target) &&
		tupdesc->natts == row_desc->natts)
		return heap_copy_tuple_as_datum(tuple, row_desc);

	given = palloc(sizeof(Datum) * tupdesc->natts);
	given_nulls = palloc(sizeof(bool) * tupdesc->natts);
	heap_deform_tuple(tuple, tupdesc, given, given_nulls);
	values = palloc0(sizeof(Datum) * (row_desc->natts + 1));
	nulls = palloc(sizeof(bool) * (row_desc->natts + 1));
	for (int i = 0; i < row_desc->natts; i++)
	{
		nulls[i] = true;
		if (TupleDescAttr(row_desc, i)->attisdropped)
			continue;
		Assert(column < tupdesc->natts);
		values[i] = given[column];
		nulls[i] = given_nulls[column++];
	}
	tuple = heap_form_tuple(row_desc, values, nulls);
	row = heap_copy_tuple_as_datum(tuple, row_desc);
	heap_freetuple(tuple);
	pfree(nulls);
	pfree(values);
	pfree(given_nulls);
	pfree(given);
	return row;
}

/* The place of a live column in such a row, counted from 1. */
static int
tuples_position(const Target *target, AttrNumber attnum)
{
	TupleDesc row_desc = RelationGetDescr(target_relation(target));
	int column = 0;

	Assert(attnum >= 1 && attnum <= row_desc->natts);
	Assert(!TupleDescAttr(row_desc, attnum - 1)->attisdropped);
	for (int i = 0; i < attnum; i++)
	{
		if (!TupleDescAttr(row_desc, i)->attisdropped)
			column++;
	}
	return column;
}

/* The value of a column in such a row; it points into the tuple. */
Datum
tuples_value(const Target *target, HeapTuple tuple, TupleDesc tupdesc,
			 AttrNumber attnum, bool *isnull)
{
	return heap_getattr(tuple, tuples_position(target, attnum), tupdesc,
						isnull);
}
