/*-------------------------------------------------------------------------
 *
 * beside.h
 *	  Whether a journal and its holds are where they belong beside accounts
 *	  that Citus manages.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_BESIDE_H
#define RACEFREE_BESIDE_H

#include "ledger/holds.h"
#include "ledger/requests.h"

/*
 * Check that transfers between the accounts, booked in the journal, are made as
 * a whole or not at all.  Journal and holds may be NULL.
 */
extern void beside_check(const Accounts *accounts, const Journal *journal,
						 const Holds *holds);
/* Return true if a transfer has a place in the journal by its request only. */
extern bool beside_wants_requests(const Journal *journal);
/* Check that each request of the claim is booked once, whoever asks. */
extern void beside_check_claim(const Journal *journal, const Claim *claim);
/* Check that a table can have the guards of a guarded journal. */
extern void beside_check_guarded(Relation rel);
/* Check that amounts can be held of accounts in that table. */
extern void beside_check_held(const Target *target);

#endif /* RACEFREE_BESIDE_H */
