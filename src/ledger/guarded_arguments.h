/*-------------------------------------------------------------------------
 *
 * guarded_arguments.h
 *	  The arguments of the triggers that guard balances.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARDED_ARGUMENTS_H
#define RACEFREE_GUARDED_ARGUMENTS_H

#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

/* One guard of accounts, as its arguments have it; names are not quoted. */
typedef struct BalanceGuard
{
	const char *trigger; /* its name */
	const char *schema;	 /* of the journal */
	const char *journal;
	const char *id_column;
	List *columns; /* of char * */
} BalanceGuard;

/* Return true if the trigger, which is of a copy, guards rows of accounts. */
extern bool guarded_arguments_is_guard(const Trigger *trigger);
/* Read the arguments; others than there can be are an error. */
extern void guarded_arguments_read(const Trigger *trigger, Relation rel,
								   BalanceGuard *guard);
/* The journal that the guard names; invalid if there is none. */
extern Oid guarded_arguments_journal(const BalanceGuard *guard);
/* Return true if the guard names this journal. */
extern bool guarded_arguments_names_journal(const BalanceGuard *guard,
											Relation journal);

/* Lists of names */

/* Return true if both lists have the same names in the same order. */
extern bool guarded_arguments_same_names(List *a, List *b);
/* Return true if the name is one of the list. */
extern bool guarded_arguments_has_name(List *names, const char *name);

#endif /* RACEFREE_GUARDED_ARGUMENTS_H */
