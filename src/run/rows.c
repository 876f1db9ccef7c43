/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Rows of values that statements see as a relation: a named tuplestore, as
 *	  triggers see transition tables.  Where Citus manages the table, they
 *	  become parameters.
 *
 * Rows live in the memory context that was current at rows_begin(), and spill
 * to disk beyond work_mem.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "run/rows.h"
#include "run/rows_private.h"
#include "run/sql.h"

/* The number of the last row, which is none of the caller's. */
#define ROWS_END (-1)

/* Kinds of columns: k, d, g and p. */
#define NUM_ROW_KINDS 4

struct Rows
{
	EphemeralNamedRelationData relation;
	AttrNumber ncolumns; /* added so far */
	int most;			 /* rows there can be */
	int nrows;			 /* added so far */
	int *numbers; /* of the rows, in the order in which they were added */

	/* The row that rows_add() will add. */
	Datum *values;
	bool *nulls;
	AttrNumber first[NUM_ROW_KINDS]; /* where a kind's values begin */
};

/* The place of a kind's first value in the arrays of values. */
static inline AttrNumber *
rows_first_of_kind(Rows *rows, char kind)
{
	switch (kind)
	{
		case 'k':
			return &rows->first[0];
		case 'd':
			return &rows->first[1];
		case 'g':
			return &rows->first[2];
		case 'p':
			return &rows->first[3];
		default:
			elog(ERROR, "unrecognized kind of column: %c", kind);
	}
}

/* Count the column that was described; the last one completes the descriptor. */
static void
rows_column_described(Rows *rows)
{
	TupleDesc tupdesc = rows->relation.md.tupdesc;

	if (++rows->ncolumns == tupdesc->natts)
		TupleDescFinalize(tupdesc);
}

/*
 * Begin a relation of that many columns, "n" among them, and at most that many
 * rows.  The caller adds all other columns before it adds rows.
 */
Rows *
rows_begin(int ncolumns, int nrows)
{
	Rows *rows = palloc0(sizeof(Rows));
	EphemeralNamedRelationMetadata md = &rows->relation.md;

	md->name = ROWS_RELATION;
	md->reliddesc = InvalidOid;
	md->tupdesc = CreateTemplateTupleDesc(ncolumns);
	md->enrtype = ENR_NAMED_TUPLESTORE;
	md->enrtuples = nrows;
	rows->relation.reldata = tuplestore_begin_heap(false, false, work_mem);
	rows->numbers = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(int) * (nrows + 1));
	rows->most = nrows;
	rows->values = palloc0(sizeof(Datum) * ncolumns);
	rows->nulls = palloc0(sizeof(bool) * ncolumns);
	TupleDescInitEntry(md->tupdesc, 1, "n", INT4OID, -1, 0);
	rows_column_described(rows);
	return rows;
}

static void
rows_new_column(Rows *rows, char kind, int number, Oid type, int32 typmod,
				Oid collation)
{
	TupleDesc tupdesc = rows->relation.md.tupdesc;

	/* A kind's columns are added one after the other, from 1. */
	if (number == 1)
		*rows_first_of_kind(rows, kind) = rows->ncolumns;
	Assert(*rows_first_of_kind(rows, kind) + number - 1 == rows->ncolumns);
	TupleDescInitEntry(tupdesc, rows->ncolumns + 1,
					   psprintf("%c%d", kind, number), type, typmod, 0);
	TupleDescInitEntryCollation(tupdesc, rows->ncolumns + 1, collation);
	rows_column_described(rows);
}

/* Add a column of values of the type of a table's column. */
void
rows_add_column(Rows *rows, char kind, int number, const Target *target,
				AttrNumber attnum)
{
	Form_pg_attribute att = target_column(target, attnum);

	rows_new_column(rows, kind, number, att->atttypid, att->atttypmod,
					att->attcollation);
}

/*
 * Add a column of values of that type's base type.  The statement that reads
 * them applies the declared length and the checks of a domain.
 */
void
rows_add_base_column(Rows *rows, char kind, int number, const Target *target,
					 AttrNumber attnum)
{
	Form_pg_attribute att = target_column(target, attnum);

	rows_new_column(rows, kind, number, getBaseType(att->atttypid), -1,
					att->attcollation);
}

/*
 * Add the column of bits that say which data columns are given.  (A column for
 * each bit could exceed the number of columns that a relation can have.)
 */
void
rows_add_flags(Rows *rows)
{
	*rows_first_of_kind(rows, 'g') = rows->ncolumns;
	TupleDescInitEntry(rows->relation.md.tupdesc, rows->ncolumns + 1, "g",
					   BYTEAOID, -1, 0);
	rows_column_described(rows);
}

/* Set a value of the row that rows_add() will add. */
void
rows_set(Rows *rows, char kind, int number, Datum value, bool isnull)
{
	int i = *rows_first_of_kind(rows, kind) + number - 1;

	Assert(number >= 1 && i >= 1 && i < rows->ncolumns);
	rows->values[i] = value;
	rows->nulls[i] = isnull;
}

/* Set the bits of the row that rows_add() will add. */
void
rows_set_flags(Rows *rows, bytea *bits)
{
	rows_set(rows, 'g', 1, PointerGetDatum(bits), false);
}

/*
 * Add a row with this number and the values that were set.  The caller sets all
 * of them for each row.
 */
void
rows_add(Rows *rows, int n)
{
	Assert(rows->nrows < rows->most);
	Assert(rows->ncolumns == rows->relation.md.tupdesc->natts);
	/* The condition of rows_append_turn() is false for a negative number. */
	Assert(n >= 0);
	rows->values[0] = Int32GetDatum(n);
	rows->numbers[rows->nrows++] = n;
	tuplestore_putvalues(rows->relation.reldata, rows->relation.md.tupdesc,
						 rows->values, rows->nulls);
}

/* The number of rows that were added. */
int
rows_count(const Rows *rows)
{
	return rows->nrows;
}

/* ----------
 * Running statements over them
 * ----------
 */

/*
 * Let statements see the rows as ROWS_RELATION until rows_unregister(), after
 * run_begin().
 */
void
rows_register(Rows *rows)
{
	Assert(rows->ncolumns == rows->relation.md.tupdesc->natts);
	if (SPI_register_relation(&rows->relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
}

/* End that, and free the rows. */
void
rows_unregister(Rows *rows)
{
	if (SPI_unregister_relation(ROWS_RELATION) != SPI_OK_REL_UNREGISTER)
		elog(ERROR, "SPI_unregister_relation failed");
	rows_free(rows);
}

/* Free rows that no statement sees. */
void
rows_free(Rows *rows)
{
	tuplestore_end(rows->relation.reldata);
	FreeTupleDesc(rows->relation.md.tupdesc);
	pfree(rows->numbers);
	pfree(rows->values);
	pfree(rows->nulls);
	pfree(rows);
}

/* ----------
 * Rows as parameters
 *
 * Citus does not know a statement's relation of rows, and sends parameters to
 * where the table's rows are.
 * ----------
 */

/*
 * The type of an array of values of a column's type, or InvalidOid where unnest()
 * would not give back the values: it takes arrays and rows apart, too.
 */
Oid
rows_array_type(Oid type)
{
	Oid base = getBaseType(type);

	return type_is_rowtype(base) || type_is_array(base) ? InvalidOid
														: get_array_type(base);
}

/* Return true if the values of each column can be put into an array. */
bool
rows_fit_arrays(const Rows *rows)
{
	TupleDesc tupdesc = rows->relation.md.tupdesc;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (!OidIsValid(rows_array_type(TupleDescAttr(tupdesc, i)->atttypid)))
			return false;
	}
	return true;
}

/* Read the values of a row, which the slot does not keep. */
static void
rows_read_one(TupleTableSlot *slot, Datum *values, bool *nulls)
{
	TupleDesc tupdesc = slot->tts_tupleDescriptor;

	slot_getallattrs(slot);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		nulls[i] = slot->tts_isnull[i];
		values[i] = nulls[i] ? (Datum) 0
							 : datumCopy(slot->tts_values[i], att->attbyval,
										 att->attlen);
	}
}

/* Read the values, in the current context; "tupdesc" is that of the rows. */
RowValues
rows_read(Rows *rows)
{
	TupleDesc tupdesc = rows->relation.md.tupdesc;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(tupdesc,
													&TTSOpsMinimalTuple);
	Size n = (Size) rows->nrows * tupdesc->natts;
	RowValues result = {.nrows = rows->nrows,
						.ncolumns = tupdesc->natts,
						.tupdesc = tupdesc};

	result.values = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Datum) * (n + 1));
	result.nulls = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(bool) * (n + 1));
	tuplestore_rescan(rows->relation.reldata);
	for (int i = 0; i < rows->nrows; i++)
	{
		Size first = (Size) i * tupdesc->natts;

		if (!tuplestore_gettupleslot(rows->relation.reldata, true, false, slot))
			elog(ERROR, "could not read a row of values");
		rows_read_one(slot, &result.values[first], &result.nulls[first]);
	}
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/* An array of the values of one column. */
static Datum
rows_make_array(const RowValues *values, int column)
{
	Oid type = getBaseType(TupleDescAttr(values->tupdesc, column)->atttypid);
	Datum *elements = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(Datum) * values->nrows);
	bool *nulls = palloc_extended(sizeof(bool) * values->nrows,
								  MCXT_ALLOC_HUGE);
	int dims[1] = {values->nrows};
	int lbs[1] = {1};
	int16 typlen;
	bool typbyval;
	char typalign;

	for (int i = 0; i < values->nrows; i++)
	{
		Size place = (Size) i * values->ncolumns + column;

		elements[i] = values->values[place];
		nulls[i] = values->nulls[place];
	}
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(elements, nulls, 1, dims, lbs,
											  type, typlen, typbyval,
											  typalign));
}

/* An array of the values of each column. */
Datum *
rows_make_arrays(const RowValues *values)
{
	Datum *arrays = palloc(sizeof(Datum) * values->ncolumns);

	for (int column = 0; column < values->ncolumns; column++)
		arrays[column] = rows_make_array(values, column);
	return arrays;
}

/* ----------
 * Which row an INSERT or UPDATE is at
 *
 * An error in one of many rows should name the row.  The executor does not say
 * which row it is at, but it evaluates the condition r.n >= $1 once for each
 * row that it reads, and asks for the value of $1, which is 0, each time: so
 * the rows that were read can be counted.
 *
 * The last row that was read is the one being written if the plan writes each
 * row before it reads the next one.  A plan may also read all rows before it
 * writes, say for a hash join, and every error would then seem to be one in the
 * last row.  So behind the caller's rows comes one of which the condition is
 * false: once that was read, no row is named.
 * ----------
 */

/* r.n OPERATOR(pg_catalog.>=) $1 */
void
rows_append_turn(Statement *stmt)
{
	sql_append(stmt, "r.n OPERATOR(pg_catalog.>=) ");
	sql_append(stmt, sql_param(stmt, INT4OID));
	/* It is the only parameter, since rows_fetch_param() knows no other. */
	Assert(stmt->nparams == 1);
}

/* ParamFetch hook: count the row for which the executor asks. */
static ParamExternData *
rows_fetch_param(ParamListInfo params, int id, bool speculative,
				 ParamExternData *workspace)
{
	RowsTurns *turns = params->paramFetchArg;

	Assert(id == 1);
	if (!speculative)
		turns->turn++;
	workspace->value = Int32GetDatum(0);
	workspace->isnull = false;
	workspace->pflags = 0;
	workspace->ptype = INT4OID;
	return workspace;
}

/* Put the last row, which is none of the caller's. */
static void
rows_put_end(Rows *rows)
{
	memset(rows->nulls, true, sizeof(bool) * rows->ncolumns);
	rows->values[0] = Int32GetDatum(ROWS_END);
	rows->nulls[0] = false;
	tuplestore_putvalues(rows->relation.reldata, rows->relation.md.tupdesc,
						 rows->values, rows->nulls);
}

/* Error context callback: give the row's number to the caller's callback. */
static void
rows_error_context(void *arg)
{
	RowsTurns *turns = arg;
	int turn = turns->turn;

	/* No row was read yet, or all of them were. */
	if (turn < 1 || turn > turns->rows->nrows)
		return;
	if (turns->context != NULL)
		turns->context(turns->rows->numbers[turn - 1], turns->arg);
}

/*
 * Begin to give errors the context of the row that is at its turn, which the
 * caller sets.
 */
void
rows_begin_own_turns(RowsTurns *turns, Rows *rows, RowErrorContext context,
					 void *arg)
{
	turns->rows = rows;
	turns->turn = 0;
	turns->context = context;
	turns->arg = arg;
	turns->callback.callback = rows_error_context;
	turns->callback.arg = turns;
	turns->callback.previous = error_context_stack;
	error_context_stack = &turns->callback;
}

/*
 * Begin to count the rows that a statement reads, and to give errors the
 * context of the row that it is at.  The result has the statement's parameter.
 * No more rows can be added.
 */
ParamListInfo
rows_begin_turns(RowsTurns *turns, Rows *rows, RowErrorContext context,
				 void *arg)
{
	ParamListInfo params = makeParamList(1);

	params->paramFetch = rows_fetch_param;
	params->paramFetchArg = turns;
	rows_put_end(rows);
	rows_begin_own_turns(turns, rows, context, arg);
	return params;
}

/* End it.  An error ends it, too. */
void
rows_end_turns(RowsTurns *turns)
{
	Assert(error_context_stack == &turns->callback);
	error_context_stack = turns->callback.previous;
}
