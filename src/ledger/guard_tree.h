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

/*
 * Create the guards that are missing in the tree of tables, with these
 * arguments, and return how many tables lacked one.  "caller" is a function of
 * the extension, whose schema is that of journal_guard().
 */
extern int guard_tree(Oid root, Oid caller, const char *arguments);

#endif /* RACEFREE_GUARD_TREE_H */
