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

#include "ledger/journal.h"

/* What can have become of entries since they were booked. */
typedef enum BookingDoubt
{
	BOOKING_SURE,
	BOOKING_REPEATED, /* code of the accounts may have booked the request */
	BOOKING_TRIGGERS  /* code of the journal may have done anything */
} BookingDoubt;

extern void booking_insert(const Journal *journal, JournalEntry *entry,
						   MemoryContext context);
extern void booking_insert_many(const Journal *journal, JournalEntry **entries,
								int nentries);
extern BookingDoubt booking_doubt(const Journal *journal, bool plain);
extern void booking_check(const Journal *journal, JournalEntry *entry,
						  MemoryContext context);
extern void booking_check_many(const Journal *journal, JournalEntry **entries,
							   int nentries);

#endif /* RACEFREE_BOOKING_H */
