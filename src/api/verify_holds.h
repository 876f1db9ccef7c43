/*-------------------------------------------------------------------------
 *
 * verify_holds.h
 *	  For verify_journal(): the holds that are open by the entries of a journal.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_VERIFY_HOLDS_H
#define RACEFREE_VERIFY_HOLDS_H

#include "ledger/holds.h"

/* The holds that are open, as far as the journal was read. */
typedef struct OpenHolds OpenHolds;

/* Returns true if two ids of accounts are equal. */
typedef bool (*AccountsAreEqual)(Datum a, Datum b, void *arg);

/* Called with a hold's entry, what should be left of it, and what is. */
typedef void (*ReportHold)(int64 entry, Numeric expected, Numeric found,
						   void *arg);

/*
 * Begin, with no hold.  What is kept lives in the current memory context; ids
 * of accounts are compared as values of "id_type".
 */
extern OpenHolds *open_holds_begin(const Journal *journal, Oid id_type,
								   AccountsAreEqual equal, void *arg);

/*
 * Take an entry, in the order in which they were booked.  "held" is by how much
 * what is held of its payer grows, or NULL.  The result is NULL, or names the
 * problem that the entry has; "expected" is what was left of the hold then.
 */
extern const char *open_holds_take(OpenHolds *open, const JournalEntry *entry,
								   Numeric *held, Numeric *expected);

/* Compare the holds that are left with the table of holds. */
extern void open_holds_compare(OpenHolds *open, const Holds *holds,
							   ReportHold report, void *arg);

#endif /* RACEFREE_VERIFY_HOLDS_H */
