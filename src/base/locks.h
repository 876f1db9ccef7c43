/*-------------------------------------------------------------------------
 *
 * locks.h
 *	  Locks that last until the transaction or savepoint ends, or are released.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_LOCKS_H
#define RACEFREE_LOCKS_H

#include "storage/lock.h"

/* Lock a table, waiting until the lock is free. */
extern void locks_acquire_table(Oid relid, LOCKMODE lockmode);
/* Take the lock; return false if it is not free and "wait" is not set. */
extern bool locks_acquire(const LOCKTAG *tag, LOCKMODE lockmode, bool wait);
/* Release a lock that locks_acquire() took in this (sub)transaction. */
extern void locks_release(const LOCKTAG *tag, LOCKMODE lockmode);

#endif /* RACEFREE_LOCKS_H */
