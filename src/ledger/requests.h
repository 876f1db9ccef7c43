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

extern bool requests_claim(const Journal *journal, const JournalEntry *asked,
						   JournalEntry *booked);
extern void requests_claim_many(const Journal *journal, const Datum *requests,
								int nrequests, JournalEntry **booked);
extern bool requests_same_amount(Numeric booked, Numeric asked, bool up_to);
extern bool requests_is_replay(const Journal *journal,
							   const JournalEntry *booked,
							   const JournalEntry *asked, bool up_to);
pg_noreturn extern void requests_raise_difference(const Journal *journal,
												  const JournalEntry *booked,
												  const JournalEntry *asked,
												  bool up_to);

#endif /* RACEFREE_REQUESTS_H */
