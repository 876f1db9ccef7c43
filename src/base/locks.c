/*-------------------------------------------------------------------------
 *
 * locks.c
 *	  Locks that last until the transaction or savepoint ends, or are released.
 *
 * The lock manager gives a lock to the current resource owner, which may be a
 * cursor's.  A cursor that was opened before a savepoint and fails after it
 * gives up its locks when the savepoint is rolled back, but the rows that it
 * wrote before the savepoint stay.  Another session would then get the lock of
 * a key, not see the uncommitted row, and create a second row with that key;
 * or it would alter a table that holds such rows.  So these locks belong to the
 * transaction or savepoint itself, as the rows do that are written under them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lmgr.h"
#include "utils/resowner.h"

#include "base/locks.h"

/* Lock a table, waiting until the lock is free. */
void
locks_acquire_table(Oid relid, LOCKMODE lockmode)
{
	ResourceOwner owner = CurrentResourceOwner;

	/* After an error, the end of the (sub)transaction resets the owner. */
	CurrentResourceOwner = CurTransactionResourceOwner;
	LockRelationOid(relid, lockmode);
	CurrentResourceOwner = owner;
}

/*
 * Take the lock.  Return false if another transaction holds a conflicting lock
 * and the caller does not want to wait.
 */
bool
locks_acquire(const LOCKTAG *tag, LOCKMODE lockmode, bool wait)
{
	ResourceOwner owner = CurrentResourceOwner;
	LockAcquireResult result;

	/* After an error, the end of the (sub)transaction resets the owner. */
	CurrentResourceOwner = CurTransactionResourceOwner;
	result = LockAcquire(tag, lockmode, false, !wait);
	CurrentResourceOwner = owner;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/* Release a lock that locks_acquire() took in this (sub)transaction. */
void
locks_release(const LOCKTAG *tag, LOCKMODE lockmode)
{
	ResourceOwner owner = CurrentResourceOwner;
	bool was_held PG_USED_FOR_ASSERTS_ONLY;

	CurrentResourceOwner = CurTransactionResourceOwner;
	was_held = LockRelease(tag, lockmode, false);
	CurrentResourceOwner = owner;
	Assert(was_held);
}
