/*-------------------------------------------------------------------------
 *
 * booking.c
 *	  Transfers that were made become entries of a journal.
 *
 * An INSERT gives the columns in which an entry has something to say, so that
 * the others take their DEFAULT.  In a batch, these are the same for all.
 *
 * Everything is allocated in the current memory context.  The callers are
 * connected to SPI, and have the accounts locked and changed already.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "ledger/booking.h"
#include "run/plans.h"
#include "run/rows.h"
#include "table/tuples.h"
#include "table/values.h"

/* The columns that an INSERT gives, in ascending order. */
typedef struct BookedColumns
{
	int ncolumns;
	JournalColumn columns[NUM_JOURNAL_COLUMNS];
	AttrNumber attnums[NUM_JOURNAL_COLUMNS];
} BookedColumns;

/* Is there anything to say in that column? */
static bool
is_given(const Journal *journal, JournalColumn column,
		 const JournalEntry *entry)
{
	switch (column)
	{
		case JOURNAL_ID:
			return false;
		case JOURNAL_REQUEST_ID:
			return entry->has_request;
		case JOURNAL_REVERSES:
			return entry->has_reverses;
		case JOURNAL_DETAILS:
			return entry->details != NULL;
		default:
			return journal_has(journal, column);
	}
}

/* The columns in which any of the entries has something to say. */
static void
choose_columns(const Journal *journal, JournalEntry **entries, int nentries,
			   BookedColumns *booked)
{
	booked->ncolumns = 0;
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		int i;
		int n;

		for (i = 0; i < nentries && !is_given(journal, c, entries[i]); i++)
			;
		if (i == nentries)
			continue;
		journal_need(journal, c);
		for (n = booked->ncolumns++;
			 n > 0 && booked->attnums[n - 1] > journal->columns[c]; n--)
		{
			booked->columns[n] = booked->columns[n - 1];
			booked->attnums[n] = booked->attnums[n - 1];
		}
		booked->columns[n] = c;
		booked->attnums[n] = journal->columns[c];
	}
}

static Datum
balance_value(const Journal *journal, JournalColumn column, Numeric balance)
{
	const MoneyColumn *money = column == JOURNAL_FROM_BALANCE
								   ? &journal->from_balance
								   : &journal->to_balance;

	if (!money_is_exact(money, balance))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance %s cannot be held exactly in column \"%s\" "
						"of journal \"%s\"",
						money_print(balance), journal_column_name(column),
						RelationGetRelationName(target_relation(journal->table)))));
	return money_to_column(money, balance);
}

/* What goes into that column. */
static Datum
column_value(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, bool *isnull)
{
	Datum value = (Datum) 0;

	*isnull = false;
	switch (column)
	{
		case JOURNAL_REQUEST_ID:
			*isnull = !entry->has_request;
			return entry->request;
		case JOURNAL_FROM_ID:
		case JOURNAL_TO_ID:
			return entry->ids[column - JOURNAL_FROM_ID];
		case JOURNAL_AMOUNT:
			return money_to_column(&journal->amount, entry->amount);
		case JOURNAL_FROM_BALANCE:
			return balance_value(journal, column, entry->from_balance);
		case JOURNAL_TO_BALANCE:
			return balance_value(journal, column, entry->to_balance);
		case JOURNAL_REVERSES:
			*isnull = !entry->has_reverses;
			if (!journal_integer_to_column(journal, column, entry->reverses,
										   &value))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("entry " INT64_FORMAT " cannot be named in "
								"column \"%s\" of journal \"%s\"",
								entry->reverses, journal_column_name(column),
								RelationGetRelationName(
									target_relation(journal->table)))));
			return value;
		case JOURNAL_DETAILS:
			*isnull = entry->details == NULL;
			return JsonbPGetDatum(entry->details);
		case JOURNAL_CREATED_AT:
			/* Under the locks, so that it goes forward for each account. */
			return TimestampTzGetDatum(GetCurrentTimestamp());
		case JOURNAL_ID:
			break;
	}
	elog(ERROR, "unexpected column of a journal: %d", (int) column);
}

/* The values of an entry, in the order of the columns. */
static void
entry_values(const Journal *journal, const BookedColumns *booked,
			 const JournalEntry *entry, Datum *values, bool *nulls)
{
	for (int i = 0; i < booked->ncolumns; i++)
		values[i] = column_value(journal, booked->columns[i], entry, &nulls[i]);
}

/*
 * A trigger may have changed what was booked.  Then the journal would not tell
 * the truth, or the request would not be found the next time.
 */
static void
check_booked(const Journal *journal, const BookedColumns *booked,
			 const Datum *values, const bool *nulls, HeapTuple tuple,
			 TupleDesc tupdesc, const int *positions)
{
	for (int i = 0; i < booked->ncolumns; i++)
	{
		ColumnValues *given;
		ColumnValues *stored;

		if (booked->columns[i] == JOURNAL_DETAILS ||
			booked->columns[i] == JOURNAL_CREATED_AT)
			continue;
		given = journal_key(journal, booked->columns[i], values[i]);
		given->nulls[0] = nulls[i];
		stored = journal_key(journal, booked->columns[i], (Datum) 0);
		stored->values[0] = heap_getattr(tuple, positions[i], tupdesc,
										 &stored->nulls[0]);
		if (values_find_difference(journal->table, given, stored) !=
			InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("column \"%s\" of journal \"%s\" was not stored "
							"as given",
							journal_column_name(booked->columns[i]),
							RelationGetRelationName(
								target_relation(journal->table))),
					 errhint("The column's type rounds it, or a trigger on the "
							 "journal changes it.")));
	}
}

/*
 * Can it be that something else is stored than was given: by a trigger, or
 * because a column has a length or a scale?
 */
static bool
may_differ(const Journal *journal, const BookedColumns *booked)
{
	if (target_may_divert_inserts(journal->table))
		return true;
	for (int i = 0; i < booked->ncolumns; i++)
	{
		JournalColumn column = booked->columns[i];

		if ((column == JOURNAL_FROM_ID || column == JOURNAL_TO_ID) &&
			target_has_length(journal->table, booked->attnums[i]))
			return true;
	}
	return false;
}

/* Which entry is being inserted, for the context of errors. */
typedef struct BookingProgress
{
	JournalEntry **entries;
	int nentries;
	int turn; /* counted from 1 */
} BookingProgress;

static void
booking_error_context(void *arg)
{
	BookingProgress *progress = arg;

	if (progress->turn >= 1 && progress->turn <= progress->nentries &&
		progress->entries[progress->turn - 1]->number > 0)
		errcontext("transfer %d",
				   progress->entries[progress->turn - 1]->number);
}

/* The entries as rows for an INSERT. */
static Rows *
register_entries(const Journal *journal, const BookedColumns *booked,
				 BookingProgress *progress)
{
	Rows *rows = rows_begin(1 + booked->ncolumns, progress->nentries);
	MemoryContext scratch;
	MemoryContext old;

	for (int i = 0; i < booked->ncolumns; i++)
		rows_add_base_column(rows, 'd', i + 1, journal->table,
							 booked->attnums[i]);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree entries",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (int i = 0; i < progress->nentries; i++)
	{
		Datum values[1 + NUM_JOURNAL_COLUMNS];
		bool nulls[1 + NUM_JOURNAL_COLUMNS] = {false};

		progress->turn = i + 1;
		values[0] = Int32GetDatum(i);
		entry_values(journal, booked, progress->entries[i], values + 1,
					 nulls + 1);
		rows_put(rows, values, nulls);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	rows_register(rows);
	return rows;
}

/* What a statement gives: the id, and what is to be checked. */
static void
choose_result(const Journal *journal, const BookedColumns *booked, bool check,
			  AttrNumber *attnums, ColumnValues *result, int *positions)
{
	int n = 0;

	if (journal_has(journal, JOURNAL_ID))
		attnums[n++] = journal->columns[JOURNAL_ID];
	for (int i = 0; check && i < booked->ncolumns; i++)
	{
		attnums[n++] = booked->attnums[i];
		positions[i] = n;
	}
	*result = (ColumnValues){.ncolumns = n, .attnums = attnums};
}

/* Take the id that the entry was given. */
static void
take_id(const Journal *journal, JournalEntry *entry, Datum id, bool isnull)
{
	entry->has_id = !isnull;
	if (!isnull)
		entry->id = journal_integer_from_column(journal, JOURNAL_ID, id);
}

/* Take the ids that the entries were given, and check what was stored. */
static void
take_booked(const Journal *journal, const BookedColumns *booked,
			BookingProgress *progress, bool check, const int *positions)
{
	TupleDesc tupdesc = SPI_tuptable->tupdesc;

	for (int i = 0; i < progress->nentries; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		JournalEntry *entry = progress->entries[i];
		Datum values[NUM_JOURNAL_COLUMNS];
		bool nulls[NUM_JOURNAL_COLUMNS];

		progress->turn = i + 1;
		if (journal_has(journal, JOURNAL_ID))
		{
			Datum id = heap_getattr(tuple, 1, tupdesc, &nulls[0]);

			take_id(journal, entry, id, nulls[0]);
		}
		if (check)
		{
			entry_values(journal, booked, entry, values, nulls);
			check_booked(journal, booked, values, nulls, tuple, tupdesc,
						 positions);
		}
	}
}

/*
 * Book many entries with one INSERT, in their order, and fill in the ids that
 * they were given.  The accounts are locked and changed already.
 */
void
booking_insert_many(const Journal *journal, JournalEntry **entries,
					int nentries)
{
	BookedColumns booked;
	BookingProgress progress = {entries, nentries, 0};
	ErrorContextCallback callback = {.callback = booking_error_context,
									 .arg = &progress};
	AttrNumber result_attnums[1 + NUM_JOURNAL_COLUMNS];
	ColumnValues result;
	int positions[NUM_JOURNAL_COLUMNS];
	bool check;
	ColumnValues none = {0};
	ColumnValues data;
	StatementSpec spec = {.kind = STMT_BATCH_INSERT,
						  .key = &none,
						  .data = &data,
						  .result = &result,
						  .size = plan_batch_size(nentries)};
	Rows *rows;
	uint64 nrows;

	if (nentries == 0)
		return;
	choose_columns(journal, entries, nentries, &booked);
	data = (ColumnValues){.ncolumns = booked.ncolumns,
						  .attnums = booked.attnums};
	check = may_differ(journal, &booked);
	choose_result(journal, &booked, check, result_attnums, &result, positions);

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	rows = register_entries(journal, &booked, &progress);
	rows_put_end(rows);
	nrows = plan_write_batch(journal->table, &spec, &progress.turn, 0);
	if (nrows < nentries)
		error_insert_suppressed(target_relation(journal->table));
	take_booked(journal, &booked, &progress, check, positions);
	error_context_stack = callback.previous;
	rows_unregister(rows);
}

/*
 * Book one entry, and keep the row in the given memory context.
 */
void
booking_insert(const Journal *journal, JournalEntry *entry,
			   MemoryContext context)
{
	BookedColumns booked;
	Datum values[NUM_JOURNAL_COLUMNS];
	bool nulls[NUM_JOURNAL_COLUMNS];
	ColumnValues data;
	ColumnValues none = {0};
	MemoryContext old;
	HeapTuple tuple;
	TupleDesc tupdesc;

	choose_columns(journal, &entry, 1, &booked);
	entry_values(journal, &booked, entry, values, nulls);
	data = (ColumnValues){booked.ncolumns, booked.attnums, values, nulls};
	if (plan_run(journal->table, STMT_INSERT, &none, &data, VIEW_OWN) == 0)
		error_insert_suppressed(target_relation(journal->table));

	tuple = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	if (may_differ(journal, &booked))
	{
		int positions[NUM_JOURNAL_COLUMNS];

		for (int i = 0; i < booked.ncolumns; i++)
			positions[i] = tuples_position(journal->table, booked.attnums[i]);
		check_booked(journal, &booked, values, nulls, tuple, tupdesc,
					 positions);
	}
	if (journal_has(journal, JOURNAL_ID))
	{
		bool isnull;
		Datum id = tuples_value(journal->table, tuple, tupdesc,
								journal->columns[JOURNAL_ID], &isnull);

		take_id(journal, entry, id, isnull);
	}
	old = MemoryContextSwitchTo(context);
	entry->row = tuples_form_row(journal->table, tuple, tupdesc);
	MemoryContextSwitchTo(old);
}

/* ----------
 * Checking again
 *
 * Triggers and functions that ran may have changed or deleted the entry, or
 * have booked the same request themselves.  An entry is found by its request
 * id, by which a replay will look for it, or else by its id.
 * ----------
 */

/*
 * Tell what can have become of entries that were just booked.  "plain" says
 * that no code of the accounts ran while they were updated.
 */
BookingDoubt
booking_doubt(const Journal *journal, bool plain)
{
	if (target_ran_user_code_on_insert(journal->table))
		return BOOKING_TRIGGERS;
	if (!plain && journal_has(journal, JOURNAL_REQUEST_ID) &&
		!target_is_unique(journal->table, journal->columns[JOURNAL_REQUEST_ID]))
		return BOOKING_REPEATED;
	return BOOKING_SURE;
}

pg_noreturn static void
error_not_kept(const Journal *journal)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("entry of journal \"%s\" was not kept as it was booked",
					RelationGetRelationName(target_relation(journal->table))),
			 errhint("A trigger, or a function in a DEFAULT or CHECK, seems to "
					 "change or delete the entry, or to book its request "
					 "again.")));
}

/* The column by which the entry is found; false if there is none. */
static bool
choose_key(const Journal *journal, const JournalEntry *entry,
		   JournalColumn *column, Datum *value)
{
	if (entry->has_request)
	{
		*column = JOURNAL_REQUEST_ID;
		*value = entry->request;
		return true;
	}
	*column = JOURNAL_ID;
	return entry->has_id &&
		   journal_integer_to_column(journal, JOURNAL_ID, entry->id, value);
}

/* The entry as it is now must be the one that was booked. */
static void
check_kept(const Journal *journal, const BookedColumns *booked,
		   const JournalEntry *entry, HeapTuple tuple, TupleDesc tupdesc,
		   int id_position, const int *positions)
{
	Datum values[NUM_JOURNAL_COLUMNS];
	bool nulls[NUM_JOURNAL_COLUMNS];

	if (entry->has_id)
	{
		bool isnull;
		Datum id = heap_getattr(tuple, id_position, tupdesc, &isnull);

		if (isnull ||
			journal_integer_from_column(journal, JOURNAL_ID, id) != entry->id)
			error_not_kept(journal);
	}
	entry_values(journal, booked, entry, values, nulls);
	check_booked(journal, booked, values, nulls, tuple, tupdesc, positions);
}

/*
 * Check an entry that booking_insert() has booked after all triggers have run,
 * and keep the row as it is now in the given memory context.
 */
void
booking_check(const Journal *journal, JournalEntry *entry,
			  MemoryContext context)
{
	BookedColumns booked;
	int positions[NUM_JOURNAL_COLUMNS];
	int id_position = 0;
	JournalColumn column;
	Datum value;
	ColumnValues *key;
	uint64 nrows;
	MemoryContext old;

	if (!choose_key(journal, entry, &column, &value))
		return;
	key = journal_key(journal, column, value);
	nrows = plan_probe(journal->table, key, VIEW_OWN);
	if (nrows != 1)
		error_not_kept(journal);
	choose_columns(journal, &entry, 1, &booked);
	for (int i = 0; i < booked.ncolumns; i++)
		positions[i] = tuples_position(journal->table, booked.attnums[i]);
	if (journal_has(journal, JOURNAL_ID))
		id_position = tuples_position(journal->table,
									  journal->columns[JOURNAL_ID]);
	check_kept(journal, &booked, entry, SPI_tuptable->vals[0],
			   SPI_tuptable->tupdesc, id_position, positions);
	old = MemoryContextSwitchTo(context);
	entry->row = tuples_form_row(journal->table, SPI_tuptable->vals[0],
								 SPI_tuptable->tupdesc);
	MemoryContextSwitchTo(old);
}

/* The entries that are found by the column, as rows for a statement. */
static Rows *
register_keys(const Journal *journal, JournalColumn column,
			  JournalEntry **entries, int nentries, int *nrows)
{
	Rows *rows = rows_begin(2, nentries);

	rows_add_base_column(rows, 'k', 1, journal->table,
						 journal->columns[column]);
	*nrows = 0;
	for (int i = 0; i < nentries; i++)
	{
		JournalColumn by;
		Datum values[2] = {Int32GetDatum(i)};
		bool nulls[2] = {false, false};

		if (!choose_key(journal, entries[i], &by, &values[1]) || by != column)
			continue;
		rows_put(rows, values, nulls);
		(*nrows)++;
	}
	rows_register(rows);
	return rows;
}

/* Check each row that was found; there must be one for each that was not. */
static void
check_rows(const Journal *journal, const BookedColumns *booked,
		   BookingProgress *progress, uint64 nfound, const int *positions)
{
	TupleDesc tupdesc = SPI_tuptable->tupdesc;
	bool *seen = MemoryContextAllocExtended(CurrentMemoryContext,
											progress->nentries,
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	for (uint64 i = 0; i < nfound; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		bool isnull;
		int n = DatumGetInt32(
			heap_getattr(tuple, tupdesc->natts, tupdesc, &isnull));

		progress->turn = n + 1;
		if (seen[n])
			error_not_kept(journal);
		seen[n] = true;
		check_kept(journal, booked, progress->entries[n], tuple, tupdesc, 1,
				   positions);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	pfree(seen);
}

/*
 * The same for entries that booking_insert_many() has booked.
 */
void
booking_check_many(const Journal *journal, JournalEntry **entries, int nentries)
{
	static const JournalColumn keys[] = {JOURNAL_REQUEST_ID, JOURNAL_ID};
	BookedColumns booked;
	BookingProgress progress = {entries, nentries, 0};
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = booking_error_context,
									 .arg = &progress};
	AttrNumber result_attnums[1 + NUM_JOURNAL_COLUMNS];
	ColumnValues result;
	int positions[NUM_JOURNAL_COLUMNS];

	choose_columns(journal, entries, nentries, &booked);
	choose_result(journal, &booked, true, result_attnums, &result, positions);
	error_context_stack = &callback;
	for (int i = 0; i < lengthof(keys); i++)
	{
		ColumnValues *key;
		StatementSpec spec = {.kind = STMT_BATCH_LOOK, .result = &result};
		Rows *rows;
		int nrows;
		uint64 nfound;

		if (!journal_has(journal, keys[i]))
			continue;
		key = journal_key(journal, keys[i], (Datum) 0);
		spec.key = key;
		spec.by_index = target_has_index(journal->table, key->attnums[0]);
		if (spec.by_index)
			spec.kind = STMT_BATCH_PROBE;
		rows = register_keys(journal, keys[i], entries, nentries, &nrows);
		spec.size = plan_batch_size(nrows);
		nfound = nrows == 0 ? 0
							: plan_run_batch(journal->table, &spec, VIEW_OWN,
											 nrows + 1);
		rows_unregister(rows);
		if (nfound > 0)
			check_rows(journal, &booked, &progress, nfound, positions);
		progress.turn = 0;
		if (nfound < nrows)
			error_not_kept(journal);
	}
	error_context_stack = callback.previous;
}
