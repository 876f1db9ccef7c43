/*-------------------------------------------------------------------------
 *
 * routed.h
 *	  Key locks that are taken on other nodes of Citus.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ROUTED_H
#define RACEFREE_ROUTED_H

#include "table/values.h"

/* A key whose row is, or will be, in one shard. */
typedef struct RoutedKey
{
	Target *target;
	const ColumnValues *key;
	int64 shard; /* set by routed_acquire() */
} RoutedKey;

/*
 * Lock keys where their shards are, until the (sub)transaction ends.  The keys
 * are sorted in place.  The caller has checked that the current user may write
 * to the tables.  A verb is run, so this is called after run_begin().
 */
extern void routed_acquire(RoutedKey *keys, int nkeys);
/* The same for one key. */
extern void routed_acquire_one(Target *target, const ColumnValues *key);

#endif /* RACEFREE_ROUTED_H */
