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
extern int indexes_primary_key(const Target *target,
							   const AttrNumber **columns);
/* True if rows in the order of this column are in that of the primary key. */
extern bool indexes_in_key_order(const Target *target, AttrNumber attnum);

/* True if no two rows of the table can have the same value in the column. */
extern bool indexes_unique(const Target *target, AttrNumber attnum);
/* The same for values of several columns, NULLs apart. */
extern bool indexes_unique_key(const Target *target, int ncolumns,
							   const AttrNumber *attnums, const bool *nulls);
/* True if an index finds rows by a value of the column. */
extern bool indexes_find_by(const Target *target, AttrNumber attnum);

/* True if equal values of the column always conflict in the index. */
extern bool indexes_agree(const Target *target, Relation index, int i);

#endif /* RACEFREE_INDEXES_H */
