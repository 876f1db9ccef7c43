/*-------------------------------------------------------------------------
 *
 * shards.h
 *	  The shard of a table that the row with a key is in.
 *
 * For tables that Citus manages.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_SHARDS_H
#define RACEFREE_SHARDS_H

#include "table/target.h"
#include "table/values.h"

/* Return true if all rows that can have the key are in one shard on one node. */
extern bool shards_are_one(const Target *target, const ColumnValues *key);
/* The column of such a key that leads to the shard, if it takes one. */
extern ColumnValues *shards_route(const Target *target,
								  const ColumnValues *key);
/* The number of the shard. */
extern int64 shards_find(const Target *target, const ColumnValues *key);
/* Keep a shard where it is until the transaction ends, unless it was split. */
extern void shards_pin(Target *target, int64 shard);

#endif /* RACEFREE_SHARDS_H */
