/*-------------------------------------------------------------------------
 *
 * keylock.c
 *	  Locks on keys of which there may be no row yet.
 *
 * A key lock is an advisory lock of PostgreSQL's lock manager, held until the
 * transaction ends.  Its tag:
 *
 *		field 1		the database
 *		field 2		the table's OID (of a partition: of the root)
 *		field 3		a hash of the key's columns and values, never 0;
 *					0 for the table's key space as a whole
 *		field 4		the class, KEYLOCK_CLASS_KEY
 *
 * Keys that share a hash share a lock: their sessions wait for each other
 * needlessly, and nothing worse.
 *
 * As a session that locks a row first locks the table, a session that locks a
 * key first locks the table's key space.  RowExclusiveLock on the key space
 * lets other sessions lock other keys; ExclusiveLock keeps all of them out.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/locks.h"
#include "keys/keylock.h"
#include "table/columns.h"

/*
 * Escalation thresholds.  The lock manager's memory is shared by all sessions,
 * and by default holds some 14,000 locks.  A call that needs more than
 * MAX_KEYS_PER_CALL keys of a table takes the lock on the table's key space
 * instead.  A transaction that has locked more than MAX_KEYS_PER_TRANSACTION
 * keys of a table one by one tries to, without waiting.
 *
 * They are compile-time constants because what a call locks decides what it
 * waits for: with a setting, one would have to know the settings of all
 * sessions to tell which of them wait for each other.
 */
#define MAX_KEYS_PER_CALL		 500
#define MAX_KEYS_PER_TRANSACTION 4000

/*
 * An upper bound of the number of keys of a table that this transaction has
 * locked.  Keys that are locked again, and keys that were locked in a
 * subtransaction that was rolled back, are counted, too.  Then the transaction
 * tries earlier to lock the key space, which is harmless.
 */
typedef struct KeyCount
{
	Oid root; /* hash key */
	int nkeys;
} KeyCount;

/* Lives in the transaction's memory context, and goes with it. */
static HTAB *key_counts = NULL;

/* ----------
 * One lock
 * ----------
 */

/* Fill in the tag of a lock. */
static void
keylock_tag(LOCKTAG *tag, Oid root, uint32 hash)
{
	Assert(OidIsValid(root));
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, root, hash, KEYLOCK_CLASS_KEY);
}

/*
 * Take one lock, which lasts as long as the rows that are written under it; see
 * locks.c.  Without "wait", return false if the lock is not available.
 */
static bool
keylock_take(Oid root, uint32 hash, LOCKMODE mode, bool wait)
{
	LOCKTAG tag;

	keylock_tag(&tag, root, hash);
	return locks_acquire(&tag, mode, wait);
}

/* Return true if this transaction holds the lock so that it excludes others. */
static bool
keylock_is_held(Oid root, uint32 hash)
{
	LOCKTAG tag;

	keylock_tag(&tag, root, hash);
	return lock_held_by_me(&tag, ExclusiveLock);
}

/* ----------
 * Which lock a key has
 * ----------
 */

/*
 * Hash a key so that keys that are equal, by the columns' own equality and
 * collations, have equal hashes.  Columns count by name and in any order, so
 * that a partition whose columns are laid out differently agrees with its
 * root.  The hash is not complete if a column's type has an equality but no
 * hash that agrees with it: such values do not count.
 */
uint64
keylock_hash(const Target *target, const ColumnValues *key, bool *complete)
{
	uint64 sum = 0;

	*complete = true;
	for (int i = 0; i < key->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, key->attnums[i]);
		const char *name = NameStr(att->attname);
		TypeCacheEntry *type;
		uint64 hash;

		hash = hash_bytes_extended((const unsigned char *) name, strlen(name),
								   0);
		type = columns_type(target, key->attnums[i],
							TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		if (!OidIsValid(type->hash_extended_proc) ||
			columns_hash_misleads(target, key->attnums[i]))
			*complete = false;
		else if (!key->nulls[i])
			hash = DatumGetUInt64(
				FunctionCall2Coll(&type->hash_extended_proc_finfo,
								  att->attcollation, key->values[i],
								  UInt64GetDatum(hash)));
		sum += hash;
	}
	return sum;
}

/*
 * The lock of a key with that hash.  Keys that are equal have the same lock.
 * Where the hash is not complete, the lock is on the table's keys as a whole.
 */
KeyLock
keylock_of_hash(const Target *target, uint64 hash, bool complete)
{
	KeyLock lock = {target_lock_root(target), KEYLOCK_WHOLE};

	Assert(OidIsValid(lock.root));

	if (complete)
	{
		lock.hash = (uint32) (hash ^ (hash >> 32));
		if (lock.hash == KEYLOCK_WHOLE)
			lock.hash = 1;
	}
	return lock;
}

/* The lock of a key. */
KeyLock
keylock_of(const Target *target, const ColumnValues *key)
{
	bool complete;
	uint64 hash = keylock_hash(target, key, &complete);

	return keylock_of_hash(target, hash, complete);
}

/* ----------
 * Taking locks
 * ----------
 */

/* qsort comparator: the order of tags, in which all sessions take locks. */
static int
compare_keylocks(const void *a, const void *b)
{
	const KeyLock *left = a;
	const KeyLock *right = b;

	if (left->root != right->root)
		return left->root < right->root ? -1 : 1;
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return 0;
}

/* Memory context callback: the counts go with the transaction. */
static void
keylock_forget_counts(void *arg)
{
	key_counts = NULL;
}

/* Create the table of counts, for the rest of the transaction. */
static void
keylock_make_counts(void)
{
	MemoryContextCallback *callback;
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(KeyCount);
	ctl.hcxt = TopTransactionContext;
	callback = MemoryContextAlloc(TopTransactionContext,
								  sizeof(MemoryContextCallback));
	callback->func = keylock_forget_counts;
	callback->arg = NULL;
	key_counts = hash_create("racefree key counts", 8, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
}

/*
 * Count keys that are about to be locked, and return how many the transaction
 * will have locked then.
 */
static int
keylock_count(Oid root, int nkeys)
{
	KeyCount *count;
	bool found;

	if (key_counts == NULL)
		keylock_make_counts();
	count = hash_search(key_counts, &root, HASH_ENTER, &found);
	if (!found)
		count->nkeys = 0;
	count->nkeys += nkeys;
	return count->nkeys;
}

/* Take the locks on one table's keys, which are sorted; see below. */
static void
keylock_acquire_of_table(const KeyLock *locks, int nlocks, bool singly)
{
	Oid root = locks[0].root;
	int nkeys = 1;

	Assert(nlocks > 0);
	for (int i = 1; i < nlocks; i++)
	{
		Assert(compare_keylocks(&locks[i - 1], &locks[i]) <= 0);
		Assert(locks[i].root == root);
		if (locks[i].hash != locks[i - 1].hash)
			nkeys++;
	}
	if (keylock_is_held(root, KEYLOCK_WHOLE))
		return;
	if (locks[0].hash == KEYLOCK_WHOLE ||
		(nkeys > MAX_KEYS_PER_CALL && !singly))
	{
		(void) keylock_take(root, KEYLOCK_WHOLE, ExclusiveLock, true);
		return;
	}

	/*
	 * Do not wait for the key space here: this transaction holds keys of it,
	 * and so RowExclusiveLock on it.  Two transactions that each hold that and
	 * wait for ExclusiveLock would deadlock, although neither needs a key of
	 * the other one.  A call that takes the key space at once can be in the
	 * same place if its transaction has locked keys before, but that is for the
	 * caller to avoid, who can put all keys into one call.
	 */
	if (keylock_count(root, nkeys) > MAX_KEYS_PER_TRANSACTION &&
		keylock_take(root, KEYLOCK_WHOLE, ExclusiveLock, false))
		return;
	(void) keylock_take(root, KEYLOCK_WHOLE, RowExclusiveLock, true);
	for (int i = 0; i < nlocks; i++)
	{
		if (i == 0 || locks[i].hash != locks[i - 1].hash)
			(void) keylock_take(root, locks[i].hash, ExclusiveLock, true);
		racefree_injection_point("racefree-key-locked");
	}
}

/*
 * Wait until no other transaction holds any of these keys, and hold them until
 * this transaction, or the subtransaction in which they are taken, ends.
 *
 * The array is sorted in place.  Sessions that take all of their locks in one
 * call cannot deadlock with each other, since all of them take locks in the
 * order of their tags.
 *
 * Rows that the former holders committed are visible only to snapshots that are
 * taken after this returns.
 */
static void
keylock_acquire_all(KeyLock *locks, int nlocks, bool singly)
{
	int start = 0;

	Assert(nlocks >= 0);
	qsort(locks, nlocks, sizeof(KeyLock), compare_keylocks);
	for (int i = 1; i <= nlocks; i++)
	{
		if (i < nlocks && locks[i].root == locks[start].root)
			continue;
		keylock_acquire_of_table(&locks[start], i - start, singly);
		start = i;
	}
}

/* Take the locks, for one call. */
void
keylock_acquire(KeyLock *locks, int nlocks)
{
	keylock_acquire_all(locks, nlocks, false);
}

/*
 * The same for a part of a call, which takes the locks of other parts before and
 * after: many keys are no reason to wait for a table's key space as a whole, of
 * which the call holds keys already.
 */
void
keylock_acquire_part(KeyLock *locks, int nlocks)
{
	keylock_acquire_all(locks, nlocks, true);
}

/*
 * Return true if this transaction holds all of these keys, by themselves or
 * with the table's key space as a whole.
 */
bool
keylock_all_held(const KeyLock *locks, int nlocks)
{
	Assert(nlocks >= 0);
	for (int i = 0; i < nlocks; i++)
	{
		if (!keylock_is_held(locks[i].root, locks[i].hash) &&
			!keylock_is_held(locks[i].root, KEYLOCK_WHOLE))
			return false;
	}
	return true;
}
