/*-------------------------------------------------------------------------
 *
 * keylock.h
 *	  Locks on keys of which there may be no row yet.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_KEYLOCK_H
#define RACEFREE_KEYLOCK_H

#include "table/values.h"

/* What is locked for a key; the same for keys that are equal. */
typedef struct KeyLock
{
	Oid root;	 /* the table, of a partition the root */
	uint32 hash; /* of the key, or KEYLOCK_WHOLE */
} KeyLock;

/*
 * Field 4 of the tags of advisory locks.  PostgreSQL's lockfuncs.c uses 1 for
 * locks on one bigint and 2 for locks on two integers; Citus uses small values
 * beginning with 4.  So an application's advisory locks, and those of Citus,
 * are never in the way of ours.
 *
 * If PostgreSQL or Citus should come to use one of our values, their locks and
 * ours would be the same only where the other three fields agree as well, and
 * sessions would wait for each other needlessly.  Then the value has to be
 * changed, and with that of keys the view racefree_locks, in an update script.
 * A server with both values loaded at the same time would not keep keys unique,
 * so the update would need a restart.
 */
typedef enum KeyLockClass
{
	KEYLOCK_CLASS_KEY = 21062, /* also in the definition of racefree_locks */
	KEYLOCK_CLASS_TURN = 21063 /* see turns.c */
} KeyLockClass;

/* The lock is on the keys of the table as a whole. */
#define KEYLOCK_WHOLE 0

/* Which lock a key has */

/* Hash a key; *complete is false if columns of it could not be hashed. */
extern uint64 keylock_hash(const Target *target, const ColumnValues *key,
						   bool *complete);
/* The lock of a key with that hash. */
extern KeyLock keylock_of_hash(const Target *target, uint64 hash,
							   bool complete);
/* The lock of a key. */
extern KeyLock keylock_of(const Target *target, const ColumnValues *key);

/* Taking locks */

/* Take locks, which are sorted in place, until the (sub)transaction ends. */
extern void keylock_acquire(KeyLock *locks, int nlocks);
/* The same for a part of a call's locks. */
extern void keylock_acquire_part(KeyLock *locks, int nlocks);
/* Return true if this transaction holds all of these locks. */
extern bool keylock_all_held(const KeyLock *locks, int nlocks);

#endif /* RACEFREE_KEYLOCK_H */
