/*-------------------------------------------------------------------------
 *
 * guarded.h
 *	  Guarded journals: balances and entries that only racefree writes.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARDED_H
#define RACEFREE_GUARDED_H

#include "commands/trigger.h"

#include "ledger/holds.h"

/* For transfers */

/*
 * Return true if the balances are guarded.  Then the journal, which may be
 * NULL, must be one that guards them, and so must be its holds, if there are.
 */
extern bool guarded_check(const Accounts *accounts, const Journal *journal,
						  const Holds *holds);
/* Return true if the entries are guarded. */
extern bool guarded_entries(const Journal *journal);

/* For the triggers */

/* Report an error unless the account's row may be written like that. */
extern void guarded_check_account(TriggerData *trigger, FmgrInfo *flinfo);
/* Report an error unless racefree is writing the entry. */
extern void guarded_check_entry(const TriggerData *trigger);
/* The same for a row of the table of holds. */
extern void guarded_check_hold(const TriggerData *trigger);

#endif /* RACEFREE_GUARDED_H */
