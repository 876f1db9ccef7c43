/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  A table's columns: their names, types, equality and hashes.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_COLUMNS_H
#define RACEFREE_COLUMNS_H

#include "utils/typcache.h"

#include "table/target.h"

/* Names */

/* The number of the column of that name, which must exist. */
extern AttrNumber columns_find(const Target *target, const char *name);
/* The same for a name that does not end with a zero byte. */
extern AttrNumber columns_find_by_bytes(const Target *target, const char *name,
										int len);

/* Types, equality and hashes */

/* The type cache's entry for the column's type, which must have equality. */
extern TypeCacheEntry *columns_type(const Target *target, AttrNumber attnum,
									int flags);
/* True if the type has a modifier, such as a length. */
extern bool columns_has_length(const Target *target, AttrNumber attnum);
/* True if equal values of the column may have hashes that differ. */
extern bool columns_hash_misleads(const Target *target, AttrNumber attnum);
/* True if the type has a hash, and equal values the same one. */
extern bool columns_has_hash(const Target *target, AttrNumber attnum);
/* The type as a column's definition has it, with its collation. */
extern char *columns_declared_type(const Target *target, AttrNumber attnum);
/* A collation's name, quoted and schema-qualified. */
extern char *columns_collation_name(Oid collation);

#endif /* RACEFREE_COLUMNS_H */
