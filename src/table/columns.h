/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  A table's columns: their types, equality and hashes.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_COLUMNS_H
#define RACEFREE_COLUMNS_H

#include "utils/typcache.h"

#include "table/target.h"

/* The type cache's entry for the column's type, which must have equality. */
extern TypeCacheEntry *target_column_type(const Target *target,
										  AttrNumber attnum, int flags);
/* True if the type has a modifier, such as a length. */
extern bool target_has_length(const Target *target, AttrNumber attnum);
/* True if equal values of the column may have hashes that differ. */
extern bool target_hash_misleads(const Target *target, AttrNumber attnum);
/* True if the type has a hash, and equal values the same one. */
extern bool target_has_hash(const Target *target, AttrNumber attnum);
/* A collation's name, quoted and schema-qualified. */
extern char *target_collation_name(Oid collation);

#endif /* RACEFREE_COLUMNS_H */
