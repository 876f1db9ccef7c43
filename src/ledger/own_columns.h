/*-------------------------------------------------------------------------
 *
 * own_columns.h
 *	  Values for the columns that a journal has besides those of racefree.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_OWN_COLUMNS_H
#define RACEFREE_OWN_COLUMNS_H

#include "ledger/journal_columns.h"
#include "ledger/progress.h"

/*
 * Convert an object of columns and values; NULL if it names none.  "scratch" is
 * for one of many objects, or NULL.
 */
extern const ColumnValues *
own_columns_read(const Journal *journal, Jsonb *object, MemoryContext scratch);
/* Let all entries give the same columns, by DEFAULTs where they give none. */
extern void own_columns_fill(const Journal *journal, JournalEntry *entries,
							 int nentries, Progress *progress);

#endif /* RACEFREE_OWN_COLUMNS_H */
