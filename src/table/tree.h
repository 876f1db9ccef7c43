/*-------------------------------------------------------------------------
 *
 * tree.h
 *	  The partition or inheritance tree that a table is in.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TREE_H
#define RACEFREE_TREE_H

#include "nodes/pg_list.h"

/* The root of the tree, under whose OID keys are locked. */
extern Oid tree_find_root(Oid relid, bool *several_parents);
/* Find the root, and keep the ancestors where they are. */
extern Oid tree_hold_root(Oid relid);

#endif /* RACEFREE_TREE_H */
