/*-------------------------------------------------------------------------
 *
 * turns.c
 *	  Turns at rows that many sessions want to lock.
 *
 * PostgreSQL lets those who wait for a row queue at the version of the row that
 * they found.  When that is updated, all of them wake up, one after the other,
 * find the new version locked, and queue there.  So each transaction that
 * changes a hot row costs as many wake-ups as there are sessions that wait, and
 * the more there are, the slower all of them are.
 *
 * Sessions that have met a hot row take a turn before the statement that locks
 * it, and give it back as soon as they have the row.  There are NUM_TURNS turns
 * at a row, and a session always waits for the same one of them.  So no more
 * than NUM_TURNS sessions wait for the row itself, and the others sleep until
 * their turn comes.  It is more than one so that a session is ready to go on
 * when the row is free.
 *
 * A turn is an advisory lock, whose tag is like that of a key lock, but has the
 * class TURN_CLASS, and the number of the turn in the lowest bits of the hash.
 *
 * Turns decide who waits where, and nothing else: what keeps the rows right are
 * the locks of the rows.  So it does no harm that others lock the rows without a
 * turn.  Rows that share a turn, by their hashes, wait for each other needlessly.
 *
 * Calls do not wait for turns in a circle.  Who waits for a turn has locked no
 * row, since its transaction has no id yet; who has locked a row waits for no
 * turn; and turns at several rows are taken in one order.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"

#include "base/locks.h"
#include "keys/keylock.h"
#include "keys/turns.h"
#include "table/spread.h"
#include "table/traits.h"

/* Field 4 of the tags, as KEYLOCK_CLASS_KEY is that of key locks. */
#define TURN_CLASS 21063

/* How many sessions may wait for a row itself; a power of 2. */
#define NUM_TURNS 8

/*
 * To take turns costs little, but more than nothing.  A session takes them for
 * so many calls after it has waited for rows for so long.
 */
#define TURNS_AFTER_WAIT  64
#define TURNS_WAIT_MICROS 1000

/* For how many more calls this session takes turns. */
static int turns_left = 0;

/*
 * Return true if this transaction is to take turns at the rows of the table.
 *
 * With a snapshot that lasts as long as the transaction, who waits for a row
 * fails in the end anyway.  Rows on other servers are locked there, and give
 * this transaction no id.  Policies can have code that calls us again.
 */
static bool
turns_wanted(const Target *table)
{
	return turns_left > 0 && !IsolationUsesXactSnapshot() &&
		   !TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		   traits_is_simple(table) && target_spread(table)->kind == SPREAD_NOT;
}

/* Fill in the tag of the turn of this session at a row; false if it has none. */
static bool
turns_tag(LOCKTAG *tag, const Target *table, const ColumnValues *key)
{
	KeyLock lock = keylock_of(table, key);
	uint32 number = hash_bytes_uint32(MyProcPid) % NUM_TURNS;

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, lock.root,
						 (lock.hash & ~(NUM_TURNS - 1)) | number, TURN_CLASS);
	return lock.hash != KEYLOCK_WHOLE;
}

/* Wait for the turns at the rows, in the order of their tags. */
static void
turns_wait(Turns *turns)
{
	const LOCKTAG *tags = turns->tags;
	int first = turns->nrows > 1 &&
				tags[1].locktag_field3 < tags[0].locktag_field3;

	for (int n = 0; n < turns->nrows; n++)
	{
		int i = n == 0 ? first : 1 - first;

		if (turns->held[i])
			(void) locks_acquire(&tags[i], ExclusiveLock, true);
	}
}

void
turns_begin(Turns *turns, const Target *table, const ColumnValues *keys,
			int nkeys)
{
	Assert(nkeys <= MAX_TURNS);
	memset(turns, 0, sizeof(Turns));
	turns->nrows = nkeys;
	INSTR_TIME_SET_CURRENT(turns->since);
	if (!turns_wanted(table))
		return;
	turns_left--;
	for (int i = 0; i < nkeys; i++)
		turns->held[i] = turns_tag(&turns->tags[i], table, &keys[i]);
	turns_wait(turns);
}

void
turns_end(Turns *turns, int i)
{
	instr_time now;

	Assert(i < MAX_TURNS && turns->nrows > 0);
	if (turns->held[i])
		locks_release(&turns->tags[i], ExclusiveLock);
	turns->held[i] = false;
	if (--turns->nrows > 0)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, turns->since);
	if (INSTR_TIME_GET_MICROSEC(now) > TURNS_WAIT_MICROS)
		turns_left = TURNS_AFTER_WAIT;
}
