/*-------------------------------------------------------------------------
 *
 * promises.h
 *	  What can be promised of a table that Citus manages.
 *
 * Each check does nothing for a table of which Citus knows nothing.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PROMISES_H
#define RACEFREE_PROMISES_H

#include "table/target.h"
#include "table/values.h"

/* Return true if a statement on the table is run by this session itself. */
extern bool promises_at_home(const Target *target);
/* Return true if a lock where the key's shard is keeps the key unique. */
extern bool promises_key_is_routed(const Target *target,
								   const ColumnValues *key);
/* Check that one row at most is created with the key, whoever asks. */
extern void promises_check_key(const Target *target, const ColumnValues *key);
/* Check that a lock of the key is seen wherever it is asked for. */
extern void promises_check_key_lock(const Target *target,
									const ColumnValues *key);
/* Check that the row with the key can be locked. */
extern void promises_check_row_lock(const Target *target,
									const ColumnValues *key);
/* Check that so many rows, found by a column, can be locked in order. */
extern void promises_check_row_locks(const Target *target, AttrNumber attnum,
									 int nrows);
/* Check that a trigger sees all rows that have the same key as one. */
extern void promises_check_key_guard(const Target *target,
									 const ColumnValues *key,
									 const char *trigger);

#endif /* RACEFREE_PROMISES_H */
