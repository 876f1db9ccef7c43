/*-------------------------------------------------------------------------
 *
 * refusals.h
 *	  Batches of which code of the user's refuses some transfers.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_REFUSALS_H
#define RACEFREE_REFUSALS_H

#include "ledger/ledger.h"

/* Called with the ledger when its transfers were made. */
typedef void (*RefusalsTake)(const Ledger *ledger, int ntransfers, void *arg);

/*
 * Make the transfers, and report failures as statuses, also those that are
 * errors for an UPDATE or INSERT of one of them.
 */
extern void refusals_run(const LedgerArgs *args, const LedgerInput *input,
						 RefusalsTake take, void *arg);

#endif /* RACEFREE_REFUSALS_H */
