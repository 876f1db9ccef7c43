/*-------------------------------------------------------------------------
 *
 * own_triggers.h
 *	  Triggers whose functions are racefree's own.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_OWN_TRIGGERS_H
#define RACEFREE_OWN_TRIGGERS_H

#include "utils/rel.h"
#include "utils/reltrigger.h"

/* The functions that racefree tells from others; a set of bits. */
typedef enum OwnTrigger
{
	OWN_TRIGGER_NONE = 0,
	OWN_JOURNAL_GUARD = 0x01, /* refuses changes to entries */
	OWN_BALANCE_GUARD = 0x02, /* refuses changes of others to balances */
	OWN_ENTRY_GUARD = 0x04,	  /* refuses entries of others */
	OWN_HOLD_GUARD = 0x08	  /* refuses changes of others to open holds */
} OwnTrigger;

/* Which of the functions it is, whatever its SQL name. */
extern OwnTrigger own_triggers_which(Oid function);
/* True if the trigger, which is of a copy, runs no code of the user's. */
extern bool own_triggers_is_harmless(const Trigger *trigger);
/* Those of the functions that a table's row-level triggers fire. */
extern int own_triggers_fired(Relation rel);

#endif /* RACEFREE_OWN_TRIGGERS_H */
