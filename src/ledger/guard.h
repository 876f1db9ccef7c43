/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  The triggers that guard a journal, and the accounts that they name.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARD_H
#define RACEFREE_GUARD_H

#include "utils/reltrigger.h"

#include "table/target.h"

/* Return true if the trigger, which is of a copy, guards a journal. */
extern bool guard_is_guard(const Trigger *trigger);
/* Arguments that name these accounts and columns, for CREATE TRIGGER. */
extern char *guard_arguments(const Target *accounts, AttrNumber id_attnum,
							 AttrNumber balance_attnum);
/* The arguments of the journal's own guard; empty if it has none. */
extern char *guard_arguments_of(const Target *journal);
/* Check that the journal belongs to these accounts, or leaves it open. */
extern void guard_check_accounts(const Target *journal, const Target *accounts,
								 AttrNumber id_attnum,
								 AttrNumber balance_attnum);

#endif /* RACEFREE_GUARD_H */
