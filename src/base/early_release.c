/*-------------------------------------------------------------------------
 *
 * early_release.c
 *	  Early lock release: locks fall before a commit is flushed.
 *
 * A row's lock is held until the commit record is on disk, and on synchronous
 * standbys.  So one account takes part in no more transfers than there are
 * flushes one after the other, although many sessions' commits can share one
 * flush.  With racefree.early_lock_release, a transaction that has moved money
 *
 *	1. inserts its commit record into WAL,
 *	2. lets its locks fall, and its changes be seen,
 *	3. waits for the record to be flushed, and for synchronous standbys,
 *	4. and only then tells the client.
 *
 * The next transaction for the same account goes on after step 2.  Its record
 * comes later in WAL, so it cannot be durable without the first one.  A session
 * that reads what was not flushed yet, and writes nothing, is the exception:
 * see flush.c.
 *
 * For core, such a commit is an asynchronous one.  We switch synchronous_commit
 * off when nothing but the commit is left to do, back on when it was recorded,
 * and wait ourselves when the locks are gone.  Where core flushes any commit,
 * say because files are to be removed, it still does.
 *
 * Transactions that are prepared keep their locks anyway, and are left alone.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/early_release.h"
#include "base/flush.h"

/* The setting racefree.early_lock_release. */
static bool early_lock_release = false;

/* The outermost subtransaction that asked for it, or invalid. */
static SubTransactionId early_release_subxact = InvalidSubTransactionId;

/*
 * Of the commit that is under way: synchronous_commit as it was, if we have
 * switched it off, and whether we have to wait when the locks are gone.
 */
static bool early_release_switched = false;
static int early_release_saved;
static bool early_release_owes_flush = false;

/* ----------
 * Whether to do it
 * ----------
 */

/* Let the setting decide for the transaction in which this is called. */
void
early_release_allow(void)
{
	if (early_release_subxact == InvalidSubTransactionId)
		early_release_subxact = GetCurrentSubTransactionId();
}

/*
 * Return true if a session waits for the end of the transaction.  Who waits for
 * a row waits for the subtransaction that has written it.
 */
static bool
early_release_is_awaited(TransactionId own)
{
	TransactionId *children;
	int nchildren = xactGetCommittedChildren(&children);
	LOCKTAG tag;

	SET_LOCKTAG_TRANSACTION(tag, own);
	if (LockHasWaiters(&tag, ExclusiveLock, false))
		return true;
	for (int i = 0; i < nchildren; i++)
	{
		SET_LOCKTAG_TRANSACTION(tag, children[i]);
		if (LockHasWaiters(&tag, ExclusiveLock, false))
			return true;
	}
	return false;
}

/*
 * Return true if another transaction that writes is under way, or waits for us.
 *
 * Without one, nobody gains from an early release, and it has a price: core
 * wakes the WAL writer for an asynchronous commit, and both want to write.  A
 * session that waits for a row has a transaction id, unless it waits to lock
 * the row only: then it waits for the end of our transaction.
 *
 * We read the array without a lock.  An id that is read too early or too late
 * does no more than to choose the other way to commit.  Entries that are not in
 * use can hold the ids of transactions that are over.
 */
static bool
early_release_helps(TransactionId own)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		TransactionId xid = ProcGlobal->xids[i];

		if (TransactionIdIsValid(xid) && xid != own &&
			!TransactionIdPrecedes(xid, RecentXmin))
			return true;
	}
	return early_release_is_awaited(own);
}

/*
 * Return true if the commit has to wait until standbys have applied it.  Then
 * its record must ask them to answer at once, which that of an asynchronous
 * commit does not.
 */
static bool
early_release_needs_apply(void)
{
	return synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_APPLY &&
		   flush_wants_standbys();
}

/*
 * Return true if the transaction that is to be committed is to release early.
 * One that has written no WAL, since its tables are temporary or unlogged, waits
 * for no flush anyway.
 */
static bool
early_release_wanted(void)
{
	TransactionId own = GetTopTransactionIdIfAny();

	return early_lock_release &&
		   early_release_subxact != InvalidSubTransactionId &&
		   TransactionIdIsValid(own) && XactLastRecEnd != 0 &&
		   synchronous_commit > SYNCHRONOUS_COMMIT_OFF &&
		   !early_release_needs_apply() && early_release_helps(own);
}

/* ----------
 * Doing it
 * ----------
 */

/*
 * Switch synchronous_commit off.  Only the variable changes: for which answer
 * of standbys to wait, core has kept elsewhere when the setting was set.
 */
static void
early_release_begin(void)
{
	Assert(!early_release_switched && !early_release_owes_flush);
	early_release_saved = synchronous_commit;
	synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
	early_release_switched = true;
}

/* Switch it back, unless somebody else has set it. */
static void
early_release_restore(void)
{
	if (early_release_switched && synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		synchronous_commit = early_release_saved;
	early_release_switched = false;
}

/*
 * Transaction callback.  When PRE_COMMIT comes, deferred triggers have run; an
 * error after it, say a serialization failure, ends in ABORT.
 */
static void
early_release_xact(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (early_release_wanted())
				early_release_begin();
			break;
		case XACT_EVENT_COMMIT:
			early_release_owes_flush = early_release_switched;
			early_release_restore();
			early_release_subxact = InvalidSubTransactionId;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			early_release_restore();
			early_release_subxact = InvalidSubTransactionId;
			break;
		default:
			break;
	}
}

/* Subtransaction callback: what a rolled back one has asked for is void. */
static void
early_release_sub(SubXactEvent event, SubTransactionId own,
				  SubTransactionId parent, void *arg)
{
	if (early_release_subxact != own)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		early_release_subxact = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		early_release_subxact = InvalidSubTransactionId;
}

/* Resource owner callback: the locks are gone, so wait for the flush. */
static void
early_release_flush(ResourceReleasePhase phase, bool is_commit,
					bool is_top_level, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !early_release_owes_flush)
		return;
	Assert(is_commit && is_top_level);
	early_release_owes_flush = false;
	flush_own_commit();
}

/* Define the setting, and register callbacks.  Called once, at load. */
void
early_release_init(void)
{
	DefineCustomBoolVariable(
		"racefree.early_lock_release",
		"Releases the locks of transfers before their commit is flushed.",
		"The client is told of the commit when it is flushed, as without this "
		"setting.  Other sessions can see the changes before.",
		&early_lock_release, false, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("racefree");
	RegisterXactCallback(early_release_xact, NULL);
	RegisterSubXactCallback(early_release_sub, NULL);
	RegisterResourceReleaseCallback(early_release_flush, NULL);
}
