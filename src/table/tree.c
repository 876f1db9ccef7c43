/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  The partition or inheritance tree that a table is in.
 *
 * All tables of a tree share the locks of their keys, so that a row that is
 * created through one of them is not created again through another.  The locks
 * go by the tree's root: the ancestor that is reached by going from a table to
 * its only parent.  A table with several parents is the root of its own tree.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"

#include "base/locks.h"
#include "table/tree.h"

/*
 * The only parent of a table.  InvalidOid if it has none, or several, which
 * "several" tells apart.
 */
static Oid
tree_only_parent(Oid relid, bool *several)
{
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid parent = InvalidOid;
	int nparents = 0;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
		nparents++;
	}
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	*several = nparents > 1;
	return nparents == 1 ? parent : InvalidOid;
}

/*
 * The root of the table's tree.  "several_parents" is set if it is the root
 * because it has more than one parent.
 */
Oid
tree_find_root(Oid relid, bool *several_parents)
{
	Oid parent;

	Assert(OidIsValid(relid));
	while (OidIsValid(parent = tree_only_parent(relid, several_parents)))
		relid = parent;
	return relid;
}

/*
 * Find the root of the table's tree, and lock the table's ancestors until the
 * transaction ends.  The caller has the table itself locked, so it gets no
 * other parent.
 *
 * Without these locks, an ancestor could get a parent of its own concurrently.
 * Another session that calls after that would find another root, and take
 * another lock for the same key: both sessions would create the row.  With
 * them, ALTER TABLE ... INHERIT or ATTACH PARTITION waits.
 */
Oid
tree_hold_root(Oid relid)
{
	bool several_parents;
	Oid parent;

	Assert(OidIsValid(relid));
	while (OidIsValid(parent = tree_only_parent(relid, &several_parents)))
	{
		/* Once locked, the parent keeps the parents that it has. */
		locks_acquire_table(parent, AccessShareLock);
		relid = parent;
	}
	return relid;
}
