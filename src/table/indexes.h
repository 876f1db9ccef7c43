/*-------------------------------------------------------------------------
 *
 * indexes.h
 *	  What a table's indexes tell about it.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_INDEXES_H
#define RACEFREE_INDEXES_H

#include "table/target.h"

/* The columns of the primary key, in its own order; their number, or 0. */
extern int target_primary_key(const Target *target, const AttrNumber **columns);
/* True if rows in the order of this column are in that of the primary key. */
extern bool target_locks_by(const Target *target, AttrNumber attnum);

/* True if no two rows of the table can have the same value in the column. */
extern bool target_is_unique(const Target *target, AttrNumber attnum);
/* The same for values of several columns, NULLs apart. */
extern bool target_is_unique_key(const Target *target, int ncolumns,
								 const AttrNumber *attnums, const bool *nulls);
/* True if an index finds rows by a value of the column. */
extern bool target_has_index(const Target *target, AttrNumber attnum);

/* True if equal values of the column always conflict in the index. */
extern bool target_index_agrees(const Target *target, Relation index, int i);

#endif /* RACEFREE_INDEXES_H */
