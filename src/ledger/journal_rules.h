/*-------------------------------------------------------------------------
 *
 * journal_rules.h
 *	  The rules of a journal, which every transfer that it books must satisfy.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_JOURNAL_RULES_H
#define RACEFREE_JOURNAL_RULES_H

#include "ledger/guard.h"
#include "ledger/journal.h"

/* The rules that there are */

/* Let the accounts be read and compared as the journal's rules say. */
extern void journal_rules_apply(const Journal *journal, Accounts *accounts);
/* Let what is held of the accounts' balances be read, but no other rule count. */
extern void journal_rules_apply_held(const Journal *journal,
									 Accounts *accounts);
/* The name of the table of open holds, which there must be. */
extern const char *journal_rules_holds(const Journal *journal);
/* The balance that each account began with; NULL if no rule says it. */
extern Numeric journal_rules_opening(const Journal *journal);

/* Rules that are given: values as a guard's arguments have them */

/* Report an error unless a balance to begin with is finite. */
extern void journal_rules_check_opening(Numeric opening);
/* The balance to begin with, which is checked. */
extern char *journal_rules_print_opening(Numeric opening);
/* Check that the columns exist and suit; the balance column may be unknown. */
extern void journal_rules_check(const GuardRules *rules, const Target *accounts,
								AttrNumber balance);

#endif /* RACEFREE_JOURNAL_RULES_H */
