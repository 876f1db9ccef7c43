/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  Waiting until commits cannot be undone by a crash.
 *
 * What a transaction has committed can be visible before it is on disk: with
 * synchronous_commit = off, or with early lock release.  Another session that
 * reads such rows and writes nothing waits for no disk by itself: its answer
 * could be about a payment that a crash undoes.  So whoever answers from rows
 * of others waits here first.
 *
 * A commit is durable when its record is flushed and, with synchronous standbys,
 * when they have it, as the session's synchronous_commit asks.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"

#include "base/compat.h"
#include "base/flush.h"

/*
 * Return true if commits of this session wait for synchronous standbys, as the
 * settings are.
 */
bool
flush_wants_standbys(void)
{
	return SyncRepRequested() && SyncRepStandbyNames != NULL &&
		   SyncRepStandbyNames[0] != '\0';
}

/* ----------
 * The own commit
 * ----------
 */

/*
 * Make the commit that has just been recorded as durable as it would have been
 * without early lock release.  The transaction is over for other sessions, but
 * the client was not told yet.
 *
 * As in core, a flush that fails must not become an error now, since the
 * transaction can no longer be aborted.
 */
void
flush_own_commit(void)
{
	Assert(InterruptHoldoffCount > 0);
	START_CRIT_SECTION();
	XLogFlush(XactLastCommitEnd);
	END_CRIT_SECTION();
	SyncRepWaitForLSN(XactLastCommitEnd, true);
}

/* ----------
 * Commits of others
 * ----------
 */

/* Return true if the standbys that count have all that is before "lsn". */
static bool
flush_is_on_standbys(XLogRecPtr lsn)
{
	int mode = synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_WRITE
				   ? SYNC_REP_WAIT_WRITE
				   : SYNC_REP_WAIT_FLUSH;
	bool done;

	LWLockAcquire(SyncRepLock, LW_SHARED);
	done = has_no_sync_standbys() || lsn <= WalSndCtl->lsn[mode];
	LWLockRelease(SyncRepLock);
	return done;
}

/*
 * Wait for synchronous standbys.
 *
 * core ends the wait early if it is canceled, since a commit cannot be taken
 * back.  An answer can be.
 */
static void
flush_to_standbys(XLogRecPtr lsn)
{
	if (!SyncRepRequested() || flush_is_on_standbys(lsn))
		return;
	HOLD_INTERRUPTS();
	/* At most as far as flushed: only commit records ask standbys for more. */
	SyncRepWaitForLSN(lsn, false);
	RESUME_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
	if (!flush_is_on_standbys(lsn))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling statement while waiting for synchronous "
						"replication"),
				 errdetail("The answer depends on another transaction, which "
						   "may not have been replicated.")));
}

/* Wait until all that is before "lsn" is durable. */
static void
flush_through(XLogRecPtr lsn)
{
	/* What a standby sees has come from disk. */
	if (XLogRecPtrIsInvalid(lsn) || RecoveryInProgress())
		return;
	if (XLogNeedsFlush(lsn))
		XLogFlush(lsn);
	flush_to_standbys(lsn);
}

/*
 * Up to where WAL must be flushed for the commit of a transaction to be on disk;
 * invalid if it is for sure.
 *
 * The location is kept with the buffer of the transaction's page of pg_xact,
 * for groups of transactions, so it may be later than needed.  When the buffer
 * is given to another page, all that the page says is flushed first, and the
 * locations are forgotten.
 *
 * A row's xmin can be older than all that is left of pg_xact, if the row was
 * frozen.
 */
static XLogRecPtr
flush_location(TransactionId xid)
{
	TransactionId next = ReadNextTransactionId();
	XLogRecPtr lsn = InvalidXLogRecPtr;

	if (!TransactionIdIsNormal(xid))
		return InvalidXLogRecPtr;
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	if (TransactionIdPrecedes(xid, next) &&
		TransactionIdFollowsOrEquals(xid, transam_variables()->oldestClogXid))
		lsn = TransactionIdGetCommitLSN(xid);
	LWLockRelease(XactTruncationLock);
	return lsn;
}

/*
 * Wait until the commits of these transactions are durable.  A row that our own
 * transaction has written hides whose row it has replaced: then all commits are
 * waited for.  So they are if standbys count: what pg_xact knows of a commit is
 * whether it is on the local disk.
 */
void
flush_commits_of(const TransactionId *xids, int n)
{
	XLogRecPtr last = InvalidXLogRecPtr;

	if (flush_wants_standbys())
	{
		flush_all_commits();
		return;
	}
	for (int i = 0; i < n; i++)
	{
		if (TransactionIdIsCurrentTransactionId(xids[i]))
		{
			flush_all_commits();
			return;
		}
		last = Max(last, flush_location(xids[i]));
	}
	flush_through(last);
}

/*
 * Where the last record ends that was inserted.  At the beginning of a page,
 * core gives the place behind the page's header, up to which there is nothing
 * to be flushed yet.
 */
static XLogRecPtr
flush_end_of_wal(void)
{
	XLogRecPtr end = GetXLogInsertRecPtr();
	uint32 offset = end % XLOG_BLCKSZ;

	if (offset == (XLogSegmentOffset(end, wal_segment_size) < XLOG_BLCKSZ
					   ? SizeOfXLogLongPHD
					   : SizeOfXLogShortPHD))
		end -= offset;
	return end;
}

/*
 * Wait until all commits so far are durable, those of asynchronous commits
 * included.  Any commit that is visible to us has its record in WAL.
 */
void
flush_all_commits(void)
{
	if (!RecoveryInProgress())
		flush_through(flush_end_of_wal());
}
