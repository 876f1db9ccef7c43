/*-------------------------------------------------------------------------
 *
 * requests.h
 *	  Requests for transfers, each of which is booked once.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_REQUESTS_H
#define RACEFREE_REQUESTS_H

#include "base/compat.h"
#include "ledger/journal.h"

/* The keys that a call is about to book, and the entries that it finds. */
typedef struct Claim
{
	const Datum *requests; /* request ids, all different */
	int nrequests;
	const int64 *reversed; /* ids of entries to be reversed, all different */
	int nreversed;
	bool alone;		  /* the call is about one transfer, and wants whole rows */
	bool any_unnamed; /* where that matters: a transfer has no request */

	/* Filled in: the entries of requests, NULL for those not booked before. */
	JournalEntry **booked;
	RowSet row; /* of the one entry of a request that is alone */
} Claim;

/* Request ids */

/* A text as a value of the column for request ids. */
extern Datum requests_convert_id(const Journal *journal, const char *text);
/* Compare two ids as qsort() does. */
extern int requests_compare_ids(const Journal *journal, Datum a, Datum b);

/* Claiming */

/* Lock the requests and entries, and find the requests that were booked. */
extern void requests_claim(const Journal *journal, Claim *claim);

/* Repeating */

/* Return true if an entry is what is asked for. */
extern bool requests_is_replay(const Journal *journal,
							   const JournalEntry *booked, const Asked *asked,
							   bool up_to);
/* Report in which columns they differ. */
pg_noreturn extern void requests_raise_difference(const Journal *journal,
												  const JournalEntry *booked,
												  const Asked *asked,
												  bool up_to);

#endif /* RACEFREE_REQUESTS_H */
