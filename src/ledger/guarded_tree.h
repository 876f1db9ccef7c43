/*-------------------------------------------------------------------------
 *
 * guarded_tree.h
 *	  Make a journal a guarded one, or end that.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARDED_TREE_H
#define RACEFREE_GUARDED_TREE_H

#include "table/target.h"

/* What is to be guarded; names are not quoted. */
typedef struct GuardedNames
{
	Oid journal;
	Oid accounts;
	Oid holds; /* invalid if nothing can be held */
	const char *id_column;
	List *columns; /* of char *: balances, and what else is like them */
} GuardedNames;

/* Take what the journal's own guard says of its accounts: it must say all. */
extern void guarded_tree_names(const Target *journal, GuardedNames *names);
/* How that locks the accounts, and then the journal: as CREATE TRIGGER does. */
#define GUARDED_BEGIN_LOCK ShareRowExclusiveLock
/* How to end it does: as DROP TRIGGER. */
#define GUARDED_END_LOCK AccessExclusiveLock

/*
 * Guard the accounts, the journal, and all that is below them.  Neither is open,
 * and the current user must own both.  "caller" is a function of the extension.
 */
extern void guarded_tree_begin(const GuardedNames *names, Oid caller);
/* End it.  The current user must own both. */
extern void guarded_tree_end(const GuardedNames *names);

#endif /* RACEFREE_GUARDED_TREE_H */
