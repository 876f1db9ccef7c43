/*-------------------------------------------------------------------------
 *
 * guard_arguments.h
 *	  The arguments of the triggers that guard a journal: reading and writing
 *	  them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARD_ARGUMENTS_H
#define RACEFREE_GUARD_ARGUMENTS_H

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
	GUARD_OPENING,
	GUARD_HELD_COLUMN,
	GUARD_HOLDS /* see holds.h */
} GuardKey;

#define NUM_GUARD_KEYS	 (GUARD_HOLDS + 1)
#define GUARD_FIRST_RULE GUARD_MIN_BALANCE_COLUMN

/*
 * The rules of a journal as the arguments have them: names of columns as they
 * are, in "must_match" a list of quoted names, a number, in "holds" a qualified
 * name.  NULL for those that there are not; the keys that are no rules are not
 * used.
 */
typedef struct GuardRules
{
	const char *values[NUM_GUARD_KEYS];
} GuardRules;

/* One guard; what its arguments do not name is NULL. */
typedef struct Guard
{
	char *trigger;	/* its name */
	Oid function;	/* what it executes */
	char enabled;	/* as tgenabled */
	bool inherited; /* true on a partition, if it is the parent's */
	char *schema;
	char *names[NUM_GUARD_KEYS];
} Guard;

/* All guards of a journal's rows. */
typedef struct Guards
{
	int nguards;
	Guard guards[FLEXIBLE_ARRAY_MEMBER];
} Guards;

extern const char *guard_key_name(GuardKey key);

/* Return true if the trigger, which is of a copy, guards a journal. */
extern bool guard_is_guard(const Trigger *trigger);

/* Reading */

/* The guards of the journal's rows, kept with the table. */
extern const Guards *guard_arguments_read(const Target *journal);
/* The rules that one guard has; they point into it. */
extern void guard_arguments_rules(const Guard *guard, GuardRules *rules);

/* Writing, as CREATE TRIGGER takes them */

/*
 * Arguments that name these accounts, as far as the guard names any; all, if
 * the guard is NULL.  The rules follow.
 */
extern char *guard_arguments_print(const Target *accounts, AttrNumber id_attnum,
								   AttrNumber balance_attnum,
								   const Guard *guard, const GuardRules *rules);
/* Arguments that name the accounts which the guard has.  The rules follow. */
extern char *guard_arguments_change(const Guard *guard,
									const GuardRules *rules);
/* Those of the journal's own guard that name accounts; empty if none do. */
extern char *guard_arguments_of(const Target *journal);
/* Names as a list of quoted names; NULL if there are none. */
extern char *guard_arguments_print_names(List *names);
/* A table's name, quoted and schema-qualified. */
extern const char *guard_arguments_table(Relation rel);
/* A column's name, not quoted. */
extern const char *guard_arguments_column(const Target *accounts,
										  AttrNumber attnum);

#endif /* RACEFREE_GUARD_ARGUMENTS_H */
