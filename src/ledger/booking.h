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

/* Entries that are booked together. */
typedef struct Booking
{
	const Journal *journal;
	JournalEntry *entries; /* their ids are filled in */
	int nentries;
	const int *chains; /* the place of the first entry of each one's chain, or
						* -1; NULL if none is in a chain */
	bool alone;		   /* one entry, of which the row is wanted */
	RowErrorContext context; /* names an entry, by its place, for errors */
	void *arg;
	RowSet row; /* filled in: of an entry that is alone */
} Booking;

/* Reasons to doubt that entries are still as they were booked. */
typedef enum BookingDoubt
{
	BOOKING_SURE,
	BOOKING_REPEATED, /* code of the accounts may have booked the request */
	BOOKING_TRIGGERS  /* code of the journal may have done anything */
} BookingDoubt;

/* Insert the entries, with one statement; the accounts are updated already. */
extern void booking_insert(Booking *booking);
/*
 * Tell whether entries may have been changed since; "plain" says that no user
 * code ran while the accounts were updated.
 */
extern BookingDoubt booking_doubt(const Journal *journal, bool plain);
/* Check that the entries are still as they were booked. */
extern void booking_check(Booking *booking);

#endif /* RACEFREE_BOOKING_H */
