/*-------------------------------------------------------------------------
 *
 * verify_nodes.h
 *	  For verify_journal(): entries that several nodes of Citus have numbered.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_VERIFY_NODES_H
#define RACEFREE_VERIFY_NODES_H

#include "ledger/journal.h"

/*
 * Entries of an account that one node numbered, and of which each follows from
 * the one before.
 */
typedef struct Stretch Stretch;

/* Called with an entry, if it has an id, and what is wrong with it. */
typedef void (*ReportStretch)(const int64 *entry, const char *problem,
							  Numeric expected, Numeric found, void *arg);

/* What the stretches of an account say of its balance now. */
typedef struct StretchEnd
{
	Numeric balance; /* NULL if they do not say it */
	bool has_entry;	 /* the entry that says so has an id */
	int64 entry;
} StretchEnd;

/* Return true if the node that numbered the last entry numbered this one. */
extern bool stretch_is_of_node(const Stretch *last, const JournalEntry *entry);
/*
 * Add an entry to the stretches of an account, in the order of the ids.
 * "change" is what the entry added to the account; "balance", not NULL, is what
 * it had then.  "last" is the last stretch, or NULL; the result is the last one
 * now.  What is kept lives in "context".
 */
extern Stretch *stretch_add(Stretch *last, const JournalEntry *entry,
							Numeric balance, Numeric change,
							MemoryContext context);
/*
 * Report what keeps the stretches of an account from being parts of one
 * history, from "opening" to "balance".  Each may be NULL.
 */
extern StretchEnd stretches_join(Stretch *last, Numeric opening,
								 Numeric balance, ReportStretch report,
								 void *arg);

#endif /* RACEFREE_VERIFY_NODES_H */
