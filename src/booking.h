/*-------------------------------------------------------------------------
 *
 * booking.h
 *	  Transfers that were made become entries of a journal.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_BOOKING_H
#define RACEFREE_BOOKING_H

#include "journal.h"

extern void booking_insert(const Journal *journal, JournalEntry *entry,
						   MemoryContext context);
extern void booking_insert_many(const Journal *journal, JournalEntry **entries,
								int nentries);
extern void booking_check(const Journal *journal, JournalEntry *entry,
						  MemoryContext context);
extern void booking_check_many(const Journal *journal, JournalEntry **entries,
							   int nentries);

#endif /* RACEFREE_BOOKING_H */
