/*-------------------------------------------------------------------------
 *
 * guard_tree.h
 *	  Guard a journal, with all its partitions and children.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_GUARD_TREE_H
#define RACEFREE_GUARD_TREE_H

#include "nodes/pg_list.h"

/*
 * Create the guards that are missing in the tree of tables, with these
 * arguments, and return how many tables lacked one.  "caller" is a function of
 * the extension, whose schema is that of journal_guard().
 */
extern int guard_tree(Oid root, Oid caller, const char *arguments);

/* A name that no trigger of these tables has: this one, or one with a number. */
extern const char *guard_tree_trigger_name(const char *name, List *tables);

#endif /* RACEFREE_GUARD_TREE_H */
