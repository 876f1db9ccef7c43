/*-------------------------------------------------------------------------
 *
 * turns.c
 *	  Turns at rows that many sessions want to lock.
 *
 * In PostgreSQL, sessions that wait for a row queue at the version of the row
 * that they found.  When the row is updated, all of them wake up, one after the
 * other, find the new version locked, and queue there.  So each transaction
 * that changes a hot row costs as many wake-ups as there are sessions that wait,
 * and the more there are, the slower all of them are.
 *
 * A session that has met a hot row takes a turn just before a statement that
 * locks a row, and gives it back as soon as it has the row.  There are NUM_TURNS
 * turns at a row.  So no more than NUM_TURNS of these sessions wait for the row
 * itself, and the others sleep until their turn comes.  It is more than one so
 * that a session is ready to go on when the row is free.
 *
 * A turn is an advisory lock.  Its tag is like that of a key lock, but has a
 * class of its own, and the number of the turn in the lowest bits of the hash.
 *
 * What keeps the rows right are the locks of the rows; turns only decide where
 * sessions wait.  So it does no harm that others lock the rows without a turn.
 *
 * Turns add no deadlocks.  A session that holds a turn waits for nothing but the
 * row, so whoever waits for the turn waits for the transaction that has locked
 * the row, as it would without turns.  Two things see to that: the turn is taken
 * after the rows before have been locked, in the order of all rows, and not if
 * the transaction could have locked rows before the call, this one among them.
 * The exceptions are rows that share a turn since their hashes agree: 30 bits of
 * them count.
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

/* How many sessions may wait for a row itself; a power of 2. */
#define NUM_TURNS 4

/*
 * A session that has waited for a row for more than TURNS_WAIT_MICROS takes
 * turns in its next TURNS_AFTER_WAIT calls.  Others do not, since each turn is
 * a lock more to take.
 */
#define TURNS_WAIT_MICROS 1000
#define TURNS_AFTER_WAIT  64

/* In how many more calls this session takes turns. */
static int turns_left = 0;

/*
 * The number of the turn that this session waits for in this call.  It is
 * another one in each call, so that the sessions do not stay in queues of
 * different lengths.
 */
static uint32 turns_number = 0;

/*
 * Return true if a call is to take turns at rows of the table.
 *
 * A transaction without an id has locked no rows here, although perhaps on
 * other servers.  With a snapshot that lasts as long as the transaction, a
 * session that waits for a row mostly fails after it.  Foreign tables, also as
 * partitions, and tables of Citus have their rows elsewhere; row security
 * policies can run code that calls us again.
 */
bool
turns_wanted(const Target *table)
{
	if (turns_left <= 0 || IsolationUsesXactSnapshot() ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		!traits_is_simple(table) || target_spread(table)->kind != SPREAD_NOT)
		return false;
	if (turns_number == 0)
		turns_number = hash_bytes_uint32(MyProcPid);
	turns_number++;
	turns_left--;
	return true;
}

/* Fill in the tag of the turn at a row; false if its key has no hash. */
static bool
turns_tag(LOCKTAG *tag, const Target *table, const ColumnValues *key)
{
	KeyLock lock = keylock_of(table, key);
	uint32 hash = lock.hash - lock.hash % NUM_TURNS + turns_number % NUM_TURNS;

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, lock.root, hash,
						 KEYLOCK_CLASS_TURN);
	return lock.hash != KEYLOCK_WHOLE;
}

/*
 * Begin to lock the row with that key; if turns are wanted, wait for one.  After
 * an error, the end of the (sub)transaction gives it back.
 */
void
turns_begin(Turn *turn, bool wanted, const Target *table,
			const ColumnValues *key)
{
	INSTR_TIME_SET_CURRENT(turn->since);
	turn->held = wanted && turns_tag(&turn->tag, table, key);
	if (turn->held)
		(void) locks_acquire(&turn->tag, ExclusiveLock, true);
}

/* Give the turn back, if there is one, and see how long it all took. */
void
turns_end(Turn *turn)
{
	instr_time now;

	if (turn->held)
		locks_release(&turn->tag, ExclusiveLock);
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, turn->since);
	if (INSTR_TIME_GET_MICROSEC(now) > TURNS_WAIT_MICROS)
		turns_left = TURNS_AFTER_WAIT;
}
