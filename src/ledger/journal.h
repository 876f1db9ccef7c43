/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  The table that transfers are booked in.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_JOURNAL_H
#define RACEFREE_JOURNAL_H

#include "ledger/accounts.h"
#include "ledger/journal_columns.h"
#include "run/run.h"

/* The table */

/* Open a journal; with RowExclusiveLock, to book entries. */
extern void journal_open(Journal *journal, Oid relid, LOCKMODE lockmode);
extern void journal_close(Journal *journal);
/* Check that transfers between these accounts can be booked in the journal. */
extern void journal_check_accounts(const Journal *journal,
								   const Accounts *accounts);
/* Check that it is a whole one, and not a partition or child of one. */
extern void journal_check_is_whole(const Journal *journal);
extern const char *journal_table_name(const Journal *journal);
/* An account's id, of that type, as a value of the column. */
extern Datum journal_convert_id(const Journal *journal, JournalColumn column,
								Oid type, Datum id);
/* A column and its value, as a key. */
extern ColumnValues *journal_key(const Journal *journal, JournalColumn column,
								 Datum value);
/* The columns that are read of entries, where not the whole row is. */
extern ColumnValues *journal_existing_columns(const Journal *journal);

/* Finding entries */

/*
 * Find the entries that have the values in the column; NULL for those that do
 * not exist, and where "nulls" is true.  The result is their number.  With
 * "alone", there is one value, and "row", if not NULL, gets the whole row.
 */
extern int journal_find_entries(const Journal *journal, JournalColumn column,
								const Datum *values, const bool *nulls,
								int nvalues, bool alone, View view,
								JournalEntry **entries, RowSet *row);
/* The sum of the reversals of an entry; the caller holds the id's key lock. */
extern Numeric journal_reversed(const Journal *journal, int64 id);
/* Give all entries to a function, in the order of their ids. */
extern void journal_scan(const Journal *journal,
						 void (*take)(const JournalEntry *, void *), void *arg);

#endif /* RACEFREE_JOURNAL_H */
