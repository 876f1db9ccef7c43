/*-------------------------------------------------------------------------
 *
 * booking.c
 *	  Transfers that were made become entries of a journal.
 *
 * An INSERT gives the columns in which an entry has a value, so that the others
 * take their DEFAULT.  In a batch, these are the same for all entries.  The
 * journal's own columns come with the others, but nothing is checked of them.
 *
 * An entry that is alone is inserted by a statement for one row, which gives
 * the whole row; the entries of a batch by a statement over rows of values,
 * which gives their ids, in order, and what is to be checked.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "ledger/booking.h"
#include "ledger/guarded.h"
#include "ledger/own_columns.h"
#include "ledger/progress.h"
#include "table/columns.h"
#include "table/defaults.h"
#include "table/indexes.h"
#include "table/privileges.h"
#include "table/traits.h"
#include "table/values.h"

/* The columns that an INSERT gives, in ascending order. */
typedef struct BookedColumns
{
	int ncolumns;
	JournalColumn columns[NUM_JOURNAL_COLUMNS];
	AttrNumber attnums[NUM_JOURNAL_COLUMNS];
} BookedColumns;

/* The values of an entry in these columns. */
typedef struct BookedValues
{
	Datum values[NUM_JOURNAL_COLUMNS];
	bool nulls[NUM_JOURNAL_COLUMNS];
} BookedValues;

/* ----------
 * Making entries
 * ----------
 */

/* Return true if an INSERT has to give the column for any of the entries. */
static bool
booking_gives(const Booking *booking, JournalColumn column)
{
	for (int i = 0; i < booking->nentries; i++)
	{
		if (journal_column_is_given(booking->journal, column,
									&booking->entries[i]))
			return true;
	}
	return false;
}

/*
 * The columns that an INSERT gives, which the journal must have.  Among them is
 * the id only if it has been drawn.
 */
static void
booking_choose_columns(const Booking *booking, bool with_ids,
					   BookedColumns *booked)
{
	const Journal *journal = booking->journal;

	booked->ncolumns = 0;
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		int n;

		if ((c == JOURNAL_ID && !with_ids) || !booking_gives(booking, c))
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
	Assert(booked->ncolumns > 0);
}

/* The values of an entry, in the order of the columns. */
static void
booking_values(const Booking *booking, const BookedColumns *booked,
			   const JournalEntry *entry, BookedValues *values)
{
	for (int i = 0; i < booked->ncolumns; i++)
		values->values[i] = journal_column_value(booking->journal,
												 booked->columns[i], entry,
												 &values->nulls[i]);
}

/* The columns that an INSERT gives, own ones among them, without values. */
static ColumnValues *
booking_all_columns(const BookedColumns *booked, const ColumnValues *own)
{
	ColumnValues *all = values_make(booked->ncolumns);

	for (int i = 0; i < booked->ncolumns; i++)
		values_set(all, i, booked->attnums[i], (Datum) 0, true);
	return own == NULL ? all : values_merge(all, own);
}

/* The values of an entry in all of them; "values" has those of "booked". */
static ColumnValues
booking_all_values(const Booking *booking, const BookedColumns *booked,
				   const JournalEntry *entry, BookedValues *values)
{
	ColumnValues all = {booked->ncolumns, booked->attnums, values->values,
						values->nulls};

	booking_values(booking, booked, entry, values);
	return entry->columns == NULL ? all : *values_merge(&all, entry->columns);
}

/*
 * The columns that statements over many rows give: the id, if the journal has
 * it, then those that are to be checked.
 */
static ColumnValues *
booking_result(const Booking *booking, const BookedColumns *booked, bool check)
{
	const Journal *journal = booking->journal;
	ColumnValues *result = values_make(1 + booked->ncolumns);
	int n = 0;

	if (journal_has(journal, JOURNAL_ID))
		values_set(result, n++, journal->columns[JOURNAL_ID], (Datum) 0, true);
	for (int i = 0; check && i < booked->ncolumns; i++)
		values_set(result, n++, booked->attnums[i], (Datum) 0, true);
	result->ncolumns = n;
	return result;
}

/* ----------
 * Reading what was stored
 * ----------
 */

/* The id of an entry in a row that was stored. */
static bool
booking_stored_id(const Booking *booking, const RowSet *set, uint64 i,
				  int64 *id)
{
	const Journal *journal = booking->journal;
	JournalEntry stored = {0};
	bool isnull;
	Datum value;

	if (!journal_has(journal, JOURNAL_ID))
		return false;
	value = rowset_column(set, i, journal->columns[JOURNAL_ID], 1, &isnull);
	journal_column_read(journal, JOURNAL_ID, value, isnull, &stored);
	*id = stored.id;
	return stored.has_id;
}

/* The value that was stored in the column which was given as the n-th. */
static Datum
booking_stored_value(const Booking *booking, const BookedColumns *booked,
					 const RowSet *set, uint64 i, int n, bool *isnull)
{
	int before = journal_has(booking->journal, JOURNAL_ID) ? 1 : 0;

	return rowset_column(set, i, booked->attnums[n], before + n + 1, isnull);
}

/* Return true if the value is the one that was given in the n-th column. */
static bool
booking_is_given(const Booking *booking, const BookedColumns *booked,
				 BookedValues *given, int n, Datum value, bool isnull)
{
	AttrNumber attnum = booked->attnums[n];
	ColumnValues a = {1, &attnum, &given->values[n], &given->nulls[n]};
	ColumnValues b = {1, &attnum, &value, &isnull};

	return values_find_difference(booking->journal->table, &a, &b) ==
		   InvalidAttrNumber;
}

/*
 * Check that a row holds what was given.  A trigger may have changed it; then
 * the journal would not say what was moved, or the request would not be found
 * when it is repeated, and be made again.
 */
static void
booking_check_row(const Booking *booking, const BookedColumns *booked,
				  BookedValues *given, const RowSet *set, uint64 i)
{
	const Journal *journal = booking->journal;

	for (int n = 0; n < booked->ncolumns; n++)
	{
		bool isnull;
		Datum value;

		if (!journal_column_is_checked(booked->columns[n]))
			continue;
		value = booking_stored_value(booking, booked, set, i, n, &isnull);
		if (!booking_is_given(booking, booked, given, n, value, isnull))
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("column \"%s\" of journal \"%s\" was not stored "
							"as given",
							journal_column_name(booked->columns[n]),
							journal_table_name(journal)),
					 errhint("The column's type rounds it, or a trigger on the "
							 "journal changes it.")));
	}
}

/*
 * Return true if something else may be stored than is given: by a trigger, or
 * because a column of ids has a length or a scale.
 */
static bool
booking_may_differ(const Booking *booking, const BookedColumns *booked)
{
	const Target *table = booking->journal->table;

	if (traits_may_divert_inserts(table))
		return true;
	for (int i = 0; i < booked->ncolumns; i++)
	{
		JournalColumn column = booked->columns[i];

		if ((column == JOURNAL_FROM_ID || column == JOURNAL_TO_ID) &&
			columns_has_length(table, booked->attnums[i]))
			return true;
	}
	return false;
}

/* ----------
 * Inserting
 * ----------
 */

/* The entries that an INSERT is to write, in their order. */
typedef struct ExpectedEntries
{
	const Booking *booking;
	const BookedColumns *booked;
	int nwritten;
	WrittenOnce last; /* where the last of these is */
} ExpectedEntries;

/* Return true if the row holds what is given for that entry. */
static bool
booking_is_entry(const ExpectedEntries *expected, const WrittenRow *row, int i)
{
	const Booking *booking = expected->booking;
	const BookedColumns *booked = expected->booked;
	BookedValues given;

	booking_values(booking, booked, &booking->entries[i], &given);
	for (int n = 0; n < booked->ncolumns; n++)
	{
		bool isnull;
		Datum value;

		if (!journal_column_is_checked(booked->columns[n]))
			continue;
		value = writes_column(booking->journal->table, row, row->after,
							  booked->attnums[n], &isnull);
		if (!booking_is_given(booking, booked, &given, n, value, isnull))
			return false;
	}
	return true;
}

/* Return true if the row is the entry that comes next, or the last again. */
static bool
booking_expects(const WrittenRow *row, void *arg)
{
	ExpectedEntries *expected = arg;

	if (expected->nwritten > 0 && writes_count(&expected->last, row))
		return true;
	if (expected->nwritten == expected->booking->nentries ||
		!booking_is_entry(expected, row, expected->nwritten))
		return false;
	expected->nwritten++;
	expected->last = (WrittenOnce){0};
	return writes_count(&expected->last, row);
}

/* Run the INSERT, of "rows" or of the values of one entry. */
static RowSet
booking_run(const Booking *booking, Rows *rows, const ColumnValues *data,
			const ColumnValues *result)
{
	const Target *table = booking->journal->table;
	ColumnValues no_key = {0};

	if (rows == NULL)
		return run_insert(table, &no_key, data, false);
	return run_rows_insert(table, rows, &no_key, data, result,
						   booking->entries[0].has_id ? INSERT_OVERRIDING
													  : INSERT_STRICT,
						   booking->context, booking->arg);
}

/* The same; where entries are guarded, tell the guards. */
static RowSet
booking_run_guarded(const Booking *booking, const BookedColumns *booked,
					Rows *rows, const ColumnValues *data,
					const ColumnValues *result)
{
	ExpectedEntries expected = {.booking = booking, .booked = booked};
	RowSet set;

	if (!guarded_entries(booking->journal))
		return booking_run(booking, rows, data, result);
	WRITES_EXPECT(booking->journal->table, booking_expects, &expected,
				  set = booking_run(booking, rows, data, result));
	return set;
}

/* Insert an entry that is alone, and keep its row. */
static void
booking_insert_alone(Booking *booking, const BookedColumns *booked)
{
	Target *table = booking->journal->table;
	JournalEntry *entry = &booking->entries[0];
	BookedValues values;
	ColumnValues data;

	Assert(booking->nentries == 1);
	data = booking_all_values(booking, booked, entry, &values);
	booking->row = booking_run_guarded(booking, booked, NULL, &data, NULL);
	if (booking->row.nrows == 0)
		error_insert_suppressed(target_relation(table));
	if (booking_may_differ(booking, booked))
		booking_check_row(booking, booked, &values, &booking->row, 0);
	entry->has_id = booking_stored_id(booking, &booking->row, 0, &entry->id);
}

/* The entries as rows of these columns for an INSERT. */
static Rows *
booking_make_rows(const Booking *booking, const BookedColumns *booked,
				  const ColumnValues *columns, Progress *progress)
{
	Rows *rows = rows_begin(1 + columns->ncolumns, booking->nentries);
	MemoryContext scratch;
	MemoryContext old;

	for (int i = 0; i < columns->ncolumns; i++)
		rows_add_base_column(rows, 'd', i + 1, booking->journal->table,
							 columns->attnums[i]);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree entries",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (int i = 0; i < booking->nentries; i++)
	{
		BookedValues values;
		ColumnValues all;

		progress->number = i;
		all = booking_all_values(booking, booked, &booking->entries[i],
								 &values);
		Assert(all.ncolumns == columns->ncolumns);
		for (int n = 0; n < all.ncolumns; n++)
			rows_set(rows, 'd', n + 1, all.values[n], all.nulls[n]);
		rows_add(rows, i);
		MemoryContextReset(scratch);
	}
	progress->number = PROGRESS_NONE;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return rows;
}

/*
 * Draw ids for the entries, in their order, if some of them are in chains whose
 * id the journal wants, which is that of the first entry.  An id without a
 * DEFAULT cannot be drawn; then the chains have none.
 */
static void
booking_draw_ids(Booking *booking)
{
	const Journal *journal = booking->journal;
	AttrNumber attnums[2] = {journal->columns[JOURNAL_ID],
							 journal->columns[JOURNAL_CHAIN_ID]};
	Defaults *defaults;
	int drawn = 0;

	/* Who may not INSERT must not use up sequences. */
	privileges_check_insert(journal->table, attnums, lengthof(attnums), NULL,
							0);
	defaults = defaults_begin(journal->table);
	for (int i = 0; i < booking->nentries; i++)
	{
		JournalEntry *entry = &booking->entries[i];
		bool isnull;
		Datum id = defaults_draw(defaults, attnums[0], &isnull);

		CHECK_FOR_INTERRUPTS();
		journal_column_read(journal, JOURNAL_ID, id, isnull, entry);
		if (!entry->has_id)
			break;
		drawn++;
	}
	defaults_end(defaults);
	for (int i = 0; i < booking->nentries; i++)
	{
		JournalEntry *entry = &booking->entries[i];

		entry->has_id = drawn == booking->nentries;
		entry->has_chain = entry->has_id && booking->chains[i] >= 0;
		if (entry->has_chain)
			entry->chain = booking->entries[booking->chains[i]].id;
	}
}

/*
 * Report an error if an entry gives a column that is always generated: an INSERT
 * with ids that were drawn would store it.
 */
static void
booking_check_own_columns(const Booking *booking)
{
	const Target *table = booking->journal->table;

	for (int i = 0; i < booking->nentries; i++)
	{
		const ColumnValues *own = booking->entries[i].columns;

		for (int c = 0; own != NULL && c < own->ncolumns; c++)
		{
			Form_pg_attribute att = target_column(table, own->attnums[c]);

			if (att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
				ereport(ERROR,
						(errcode(ERRCODE_GENERATED_ALWAYS),
						 errmsg("cannot insert a non-DEFAULT value into column "
								"\"%s\"",
								NameStr(att->attname)),
						 errdetail("Column \"%s\" is an identity column "
								   "defined as GENERATED ALWAYS.",
								   NameStr(att->attname))));
		}
	}
}

/* Return true if the journal wants to know the chains of these entries. */
static bool
booking_wants_chains(const Booking *booking)
{
	if (booking->chains == NULL ||
		!journal_has(booking->journal, JOURNAL_CHAIN_ID) ||
		!journal_has(booking->journal, JOURNAL_ID))
		return false;
	for (int i = 0; i < booking->nentries; i++)
	{
		if (booking->chains[i] >= 0)
			return true;
	}
	return false;
}

/* Take the id that an entry was given, or has kept. */
static void
booking_take_id(const Booking *booking, const RowSet *set, uint64 i,
				JournalEntry *entry)
{
	int64 id;
	bool has_id = booking_stored_id(booking, set, i, &id);

	if (entry->has_id && (!has_id || id != entry->id))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("column \"%s\" of journal \"%s\" was not stored as "
						"given",
						journal_column_name(JOURNAL_ID),
						journal_table_name(booking->journal)),
				 errhint("A trigger on the journal changes it.")));
	entry->has_id = has_id;
	entry->id = id;
}

/* Insert the entries of a batch, in their order. */
static void
booking_insert_rows(Booking *booking, const BookedColumns *booked)
{
	Target *table = booking->journal->table;
	bool check = booking_may_differ(booking, booked);
	ColumnValues *data;
	Progress progress;
	Rows *rows;
	RowSet stored;

	progress_begin(&progress, booking->context, booking->arg);
	own_columns_fill(booking->journal, booking->entries, booking->nentries,
					 &progress);
	data = booking_all_columns(booked, booking->entries[0].columns);
	rows = booking_make_rows(booking, booked, data, &progress);
	stored = booking_run_guarded(booking, booked, rows, data,
								 booking_result(booking, booked, check));
	if (stored.nrows < booking->nentries)
		error_insert_suppressed(target_relation(table));
	for (int i = 0; i < booking->nentries; i++)
	{
		JournalEntry *entry = &booking->entries[i];
		BookedValues values;

		progress.number = i;
		booking_take_id(booking, &stored, i, entry);
		if (!check)
			continue;
		booking_values(booking, booked, entry, &values);
		booking_check_row(booking, booked, &values, &stored, i);
	}
	progress_end(&progress);
}

/*
 * Book the entries with one statement, and fill in the ids that they were
 * given.  The accounts are locked and updated already.
 */
void
booking_insert(Booking *booking)
{
	BookedColumns booked;

	if (booking->nentries == 0)
		return;
	if (booking_wants_chains(booking))
	{
		booking_check_own_columns(booking);
		booking_draw_ids(booking);
	}
	booking_choose_columns(booking, true, &booked);
	if (booking->alone)
		booking_insert_alone(booking, &booked);
	else
		booking_insert_rows(booking, &booked);
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
 * Tell whether entries that were just booked may have been changed since.
 * "plain" says that no user code ran while the accounts were updated.
 */
BookingDoubt
booking_doubt(const Journal *journal, bool plain)
{
	if (traits_insert_ran_code(journal->table))
		return BOOKING_TRIGGERS;
	if (!plain && journal_has(journal, JOURNAL_REQUEST_ID) &&
		!indexes_unique(journal->table, journal->columns[JOURNAL_REQUEST_ID]))
		return BOOKING_REPEATED;
	return BOOKING_SURE;
}

pg_noreturn static void
booking_error_not_kept(const Booking *booking)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("entry of journal \"%s\" was not kept as it was booked",
					journal_table_name(booking->journal)),
			 errhint("A trigger, or a function in a DEFAULT or CHECK, seems to "
					 "change or delete the entry, or to book its request "
					 "again.")));
}

/* The column by which the entry is found; false if there is none. */
static bool
booking_choose_key(const Booking *booking, const JournalEntry *entry,
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
		   journal_integer_to_column(booking->journal, JOURNAL_ID, entry->id,
									 value);
}

/* Check that a row, as it is now, is the entry that was booked. */
static void
booking_check_kept(const Booking *booking, const BookedColumns *booked,
				   const JournalEntry *entry, const RowSet *set, uint64 i)
{
	BookedValues values;
	int64 id;

	if (entry->has_id &&
		(!booking_stored_id(booking, set, i, &id) || id != entry->id))
		booking_error_not_kept(booking);
	booking_values(booking, booked, entry, &values);
	booking_check_row(booking, booked, &values, set, i);
}

/* Check an entry that is alone, and keep its row as it is now. */
static void
booking_check_alone(Booking *booking, const BookedColumns *booked)
{
	const Journal *journal = booking->journal;
	const JournalEntry *entry = &booking->entries[0];
	JournalColumn column;
	Datum value;

	if (!booking_choose_key(booking, entry, &column, &value))
		return;
	booking->row = run_find(journal->table, journal_key(journal, column, value),
							VIEW_OWN);
	if (booking->row.nrows != 1)
		booking_error_not_kept(booking);
	booking_check_kept(booking, booked, entry, &booking->row, 0);
}

/* Read the entries that are found by the column. */
static RowSet
booking_find(const Booking *booking, const BookedColumns *booked,
			 JournalColumn column, int *nwanted)
{
	const Journal *journal = booking->journal;
	Rows *rows = rows_begin(2, booking->nentries);

	rows_add_base_column(rows, 'k', 1, journal->table,
						 journal->columns[column]);
	for (int i = 0; i < booking->nentries; i++)
	{
		JournalColumn by;
		Datum value;

		if (!booking_choose_key(booking, &booking->entries[i], &by, &value) ||
			by != column)
			continue;
		rows_set(rows, 'k', 1, value, false);
		rows_add(rows, i);
	}
	*nwanted = rows_count(rows);
	return run_rows_find(journal->table, rows,
						 journal_key(journal, column, (Datum) 0),
						 booking_result(booking, booked, true), VIEW_OWN);
}

/* Check each row that was found; none may be the second of an entry. */
static void
booking_check_rows(const Booking *booking, const BookedColumns *booked,
				   const RowSet *found, Progress *progress)
{
	bool *seen = MemoryContextAllocExtended(CurrentMemoryContext,
											booking->nentries,
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	for (uint64 i = 0; i < found->nrows; i++)
	{
		int n = rowset_number(found, i);

		Assert(n >= 0 && n < booking->nentries);
		progress->number = n;
		if (seen[n])
			booking_error_not_kept(booking);
		seen[n] = true;
		booking_check_kept(booking, booked, &booking->entries[n], found, i);
		MemoryContextReset(scratch);
	}
	progress->number = PROGRESS_NONE;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	pfree(seen);
}

/* Check the entries of a batch, by each column that finds some of them. */
static void
booking_check_batch(const Booking *booking, const BookedColumns *booked)
{
	static const JournalColumn keys[] = {JOURNAL_REQUEST_ID, JOURNAL_ID};
	Progress progress;

	progress_begin(&progress, booking->context, booking->arg);
	for (int i = 0; i < lengthof(keys); i++)
	{
		RowSet found;
		int nwanted;

		if (!journal_has(booking->journal, keys[i]))
			continue;
		found = booking_find(booking, booked, keys[i], &nwanted);
		if (found.nrows > 0)
			booking_check_rows(booking, booked, &found, &progress);
		if (found.nrows < nwanted)
			booking_error_not_kept(booking);
	}
	progress_end(&progress);
}

/*
 * Check entries that were booked after all triggers have run.
 */
void
booking_check(Booking *booking)
{
	BookedColumns booked;

	if (booking->nentries == 0)
		return;
	booking_choose_columns(booking, false, &booked);
	if (booking->alone)
		booking_check_alone(booking, &booked);
	else
		booking_check_batch(booking, &booked);
}
