/*-------------------------------------------------------------------------
 *
 * own_columns.c
 *	  Values for the columns that a journal has besides those of racefree.
 *
 * A journal may have further columns, such as the order that is paid.  A call
 * can give values for them, which are stored as an INSERT of the caller's own
 * would store them: racefree neither reads nor checks them, and a trigger may
 * change them.
 *
 * Values are converted before anything is locked, since that can run code of
 * the user's: a domain's CHECK can call racefree, too.
 *
 * Everything is allocated in the current memory context.  Values of one object
 * may point into what the conversion made, which lives there, too.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "ledger/own_columns.h"
#include "table/defaults.h"
#include "table/json.h"
#include "table/privileges.h"

/* ----------
 * Reading them
 * ----------
 */

/* Report an error if the column is one that transfers fill in. */
static void
own_columns_check(const Journal *journal, AttrNumber attnum)
{
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		if (journal->columns[c] == attnum)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" of journal \"%s\" cannot be named "
							"in \"columns\"",
							journal_column_name(c),
							RelationGetRelationName(
								target_relation(journal->table))),
					 errdetail("racefree fills in this column.")));
	}
}

/* Convert an object of columns and values; NULL if it names none. */
const ColumnValues *
own_columns_read(const Journal *journal, Jsonb *object, MemoryContext scratch)
{
	ColumnValues *columns = json_columns(journal->table, object, "columns");

	for (int i = 0; i < columns->ncolumns; i++)
		own_columns_check(journal, columns->attnums[i]);
	if (columns->ncolumns == 0)
		return NULL;
	if (scratch == NULL)
		json_convert(journal->table, object, columns);
	else
	{
		json_convert_apart(journal->table, object, columns, scratch);
		MemoryContextReset(scratch);
	}
	return columns;
}

/* ----------
 * Filling them up
 * ----------
 */

/* Return true if both entries give the same columns. */
static bool
own_columns_are_alike(const JournalEntry *a, const JournalEntry *b)
{
	if (a->columns == b->columns)
		return true;
	return a->columns != NULL && b->columns != NULL &&
		   a->columns->ncolumns == b->columns->ncolumns &&
		   memcmp(a->columns->attnums, b->columns->attnums,
				  sizeof(AttrNumber) * a->columns->ncolumns) == 0;
}

/* Return true if all entries give the same columns, or none. */
static bool
own_columns_are_full(const JournalEntry *entries, int nentries)
{
	for (int i = 1; i < nentries; i++)
	{
		if (!own_columns_are_alike(&entries[0], &entries[i]))
			return false;
	}
	return true;
}

/* The columns that any of the entries gives, without values. */
static ColumnValues *
own_columns_of_any(const Journal *journal, const JournalEntry *entries,
				   int nentries)
{
	int natts = RelationGetNumberOfAttributes(target_relation(journal->table));
	bool *given = palloc0(sizeof(bool) * (natts + 1));
	ColumnValues *columns;

	for (int i = 0; i < nentries; i++)
	{
		const ColumnValues *own = entries[i].columns;

		for (int c = 0; own != NULL && c < own->ncolumns; c++)
			given[own->attnums[c]] = true;
	}
	columns = values_make_flagged(journal->table, given);
	pfree(given);
	return columns;
}

/* The values that an entry gives for these columns, and DEFAULTs. */
static const ColumnValues *
own_columns_with_defaults(const ColumnValues *own, const ColumnValues *columns,
						  Defaults *defaults)
{
	ColumnValues *filled = values_make(columns->ncolumns);
	int n = 0;

	for (int i = 0; i < columns->ncolumns; i++)
	{
		AttrNumber attnum = columns->attnums[i];
		Datum value;
		bool isnull;

		if (own != NULL && n < own->ncolumns && own->attnums[n] == attnum)
		{
			value = own->values[n];
			isnull = own->nulls[n++];
		}
		else
			value = defaults_value(defaults, attnum, &isnull);
		values_set(filled, i, attnum, value, isnull);
	}
	return filled;
}

/*
 * Let all entries give the same columns, since one INSERT books them: a column
 * that others give gets the value of its DEFAULT.  Errors name the entry.
 */
void
own_columns_fill(const Journal *journal, JournalEntry *entries, int nentries,
				 Progress *progress)
{
	ColumnValues *columns;
	Defaults *defaults;

	if (own_columns_are_full(entries, nentries))
		return;
	columns = own_columns_of_any(journal, entries, nentries);
	/* Who may not INSERT must not use up sequences. */
	privileges_check_insert(journal->table, columns->attnums, columns->ncolumns,
							NULL, 0);
	defaults = defaults_begin(journal->table);
	for (int i = 0; i < nentries; i++)
	{
		CHECK_FOR_INTERRUPTS();
		progress->number = i;
		entries[i].columns = own_columns_with_defaults(entries[i].columns,
													   columns, defaults);
	}
	progress->number = PROGRESS_NONE;
	defaults_end(defaults);
}
