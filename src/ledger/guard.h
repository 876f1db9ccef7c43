/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  The triggers that guard a journal: the accounts that they name, and the
 *	  rules of the journal.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARD_H
#define RACEFREE_GUARD_H

#include "ledger/guard_arguments.h"

/* Accounts */

/* Check that the journal belongs to these accounts, or leaves it open. */
extern void guard_check_accounts(const Target *journal, const Target *accounts,
								 AttrNumber id_attnum,
								 AttrNumber balance_attnum);
/* The table that is named, and its balance column; or invalid and NULL. */
extern Oid guard_accounts(const Target *journal, const char **balance_column);

/* Rules */

/* Take the rules; false if there are none. */
extern bool guard_rules(const Target *journal, GuardRules *rules);
/* The same, but of guards that contradict each other the first one counts. */
extern void guard_first_rules(const Target *journal, GuardRules *rules);
/* The commands that give the journal these rules, instead of those it has. */
extern List *guard_rules_commands(const Target *journal,
								  const GuardRules *rules);
/* A call of alter_journal() with this JSON, as a statement to run. */
extern char *guard_alter_statement(const Target *journal, const char *json);

#endif /* RACEFREE_GUARD_H */
