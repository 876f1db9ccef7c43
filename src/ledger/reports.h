/*-------------------------------------------------------------------------
 *
 * reports.h
 *	  What a journal says as a whole: balances at a time, reversals added up.
 *
 * All read what the query that called us sees.  The caller has called
 * run_begin(), and what is returned lives until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_REPORTS_H
#define RACEFREE_REPORTS_H

#include "ledger/journal.h"

/* Called with an entry of which more was reversed than it moved. */
typedef void (*ReportOverReversed)(int64 entry, Numeric amount, Numeric total,
								   void *arg);

/* An account's balance at a time; NULL if no entry tells it. */
extern Numeric reports_balance_at(const Journal *journal, Oid id_type, Datum id,
								  TimestampTz at);
/* Give the entries to the function; "amount" is NULL if there is no entry. */
extern void reports_over_reversed(const Journal *journal,
								  ReportOverReversed take, void *arg);

#endif /* RACEFREE_REPORTS_H */
