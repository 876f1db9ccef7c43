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

#include "utils/reltrigger.h"

#include "table/target.h"

/* Keys of a guard's arguments. */
typedef enum GuardKey
{
	GUARD_ACCOUNTS,
	GUARD_ID_COLUMN,
	GUARD_BALANCE_COLUMN,
	/* Rules, see journal_rules.h */
	GUARD_MIN_BALANCE_COLUMN,
	GUARD_MAX_BALANCE_COLUMN,
	GUARD_CLOSED_COLUMN,
	GUARD_MUST_MATCH,
	GUARD_OPENING
} GuardKey;

#define NUM_GUARD_KEYS	 (GUARD_OPENING + 1)
#define GUARD_FIRST_RULE GUARD_MIN_BALANCE_COLUMN

/*
 * The rules of a journal as the arguments have them: names of columns as they
 * are, in "must_match" a list of quoted names, a number.  NULL for those that
 * there are not; the keys that are no rules are not used.
 */
typedef struct GuardRules
{
	const char *values[NUM_GUARD_KEYS];
} GuardRules;

extern const char *guard_key_name(GuardKey key);

/* Return true if the trigger, which is of a copy, guards a journal. */
extern bool guard_is_guard(const Trigger *trigger);

/* Accounts */

/* Arguments with these accounts, columns and rules, for CREATE TRIGGER. */
extern char *guard_arguments(const Target *accounts, AttrNumber id_attnum,
							 AttrNumber balance_attnum,
							 const GuardRules *rules);
/* Those of the journal's own guard that name accounts; empty if none do. */
extern char *guard_arguments_of(const Target *journal);
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
