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
 *		field 4		KEYLOCK_CLASS
 *
 * The SQL functions for advisory locks use 1 and 2 in field 4, so an
 * application's own locks are never in the way.  Keys that share a hash share
 * a lock: they wait for each other needlessly, and nothing worse.
 *
 * As with locks on tables and rows, whoever locks one key first announces it
 * on the whole.  RowExclusiveLock there lets others lock other keys;
 * ExclusiveLock keeps everybody out.
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

/* Field 4 of the tags of all locks that racefree takes. */
#define KEYLOCK_CLASS 21062

/*
 * The lock manager's memory is shared by all sessions, and by default holds
 * some 14,000 locks.  So who locks more keys of one table than this in one
 * call, locks the table's keys as a whole instead; and who has locked more one
 * by one in one transaction, does if nobody else has keys locked.  The two
 * exclude each other exactly when they must, whoever runs them; the numbers are
 * fixed so that nobody has to know other sessions' settings to tell who waits
 * for whom.
 */
#define MAX_KEYS_PER_CALL		 500
#define MAX_KEYS_PER_TRANSACTION 4000

/* How many keys of a table this transaction has locked, or a bit fewer. */
typedef struct KeyCount
{
	Oid root; /* hash key */
	int nkeys;
} KeyCount;

/* Lives in the transaction's memory context, and goes with it. */
static HTAB *key_counts = NULL;

/* Take one lock, or return false if that would mean to wait. */
static bool
acquire(Oid root, uint32 hash, LOCKMODE mode, bool wait)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, root, hash, KEYLOCK_CLASS);
	return locks_acquire(&tag, mode, wait);
}

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
		type = target_column_type(target, key->attnums[i],
								  TYPECACHE_HASH_EXTENDED_PROC_FINFO);
		if (!OidIsValid(type->hash_extended_proc) ||
			target_hash_misleads(target, key->attnums[i]))
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

	if (complete)
	{
		lock.hash = (uint32) (hash ^ (hash >> 32));
		if (lock.hash == KEYLOCK_WHOLE)
			lock.hash = 1;
	}
	return lock;
}

KeyLock
keylock_of(const Target *target, const ColumnValues *key)
{
	bool complete;
	uint64 hash = keylock_hash(target, key, &complete);

	return keylock_of_hash(target, hash, complete);
}

/* The order in which everybody takes locks: the order of their tags. */
static int
compare_locks(const void *a, const void *b)
{
	const KeyLock *left = a;
	const KeyLock *right = b;

	if (left->root != right->root)
		return left->root < right->root ? -1 : 1;
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return 0;
}

static void
forget_counts(void *arg)
{
	key_counts = NULL;
}

/*
 * Count keys that are about to be locked, and return how many the transaction
 * will have locked then.  Locks that a rolled back savepoint gave up are still
 * counted, which does no harm.
 */
static int
count_keys(Oid root, int nkeys)
{
	KeyCount *count;
	bool found;

	if (key_counts == NULL)
	{
		MemoryContextCallback *callback;
		HASHCTL ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(KeyCount);
		ctl.hcxt = TopTransactionContext;
		callback = MemoryContextAlloc(TopTransactionContext,
									  sizeof(MemoryContextCallback));
		callback->func = forget_counts;
		callback->arg = NULL;
		key_counts = hash_create("racefree key counts", 8, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	count = hash_search(key_counts, &root, HASH_ENTER, &found);
	if (!found)
		count->nkeys = 0;
	count->nkeys += nkeys;
	return count->nkeys;
}

/* Does this transaction hold the lock, so that it keeps everybody out? */
static bool
holds(Oid root, uint32 hash)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, root, hash, KEYLOCK_CLASS);
	return lock_held_by_me(&tag, ExclusiveLock);
}

/*
 * Does this transaction hold all of these keys, by themselves or with the
 * table's keys as a whole?
 */
bool
keylock_all_held(const KeyLock *locks, int nlocks)
{
	for (int i = 0; i < nlocks; i++)
	{
		if (!holds(locks[i].root, locks[i].hash) &&
			!holds(locks[i].root, KEYLOCK_WHOLE))
			return false;
	}
	return true;
}

/* Take the locks on one table's keys, which are in order. */
static void
acquire_of_table(const KeyLock *locks, int nlocks)
{
	Oid root = locks[0].root;
	int nkeys = 1;

	for (int i = 1; i < nlocks; i++)
	{
		if (locks[i].hash != locks[i - 1].hash)
			nkeys++;
	}
	if (holds(root, KEYLOCK_WHOLE))
		return;
	if (locks[0].hash == KEYLOCK_WHOLE || nkeys > MAX_KEYS_PER_CALL)
	{
		(void) acquire(root, KEYLOCK_WHOLE, ExclusiveLock, true);
		return;
	}
	/* Two that both wait for the whole, and both hold keys, would deadlock. */
	if (count_keys(root, nkeys) > MAX_KEYS_PER_TRANSACTION &&
		acquire(root, KEYLOCK_WHOLE, ExclusiveLock, false))
		return;
	(void) acquire(root, KEYLOCK_WHOLE, RowExclusiveLock, true);
	for (int i = 0; i < nlocks; i++)
	{
		if (i == 0 || locks[i].hash != locks[i - 1].hash)
			(void) acquire(root, locks[i].hash, ExclusiveLock, true);
	}
}

/*
 * Wait until no other transaction holds any of these keys, and hold them
 * until this transaction (or the savepoint in which they were taken) ends.
 * The array is sorted in place: whoever takes all its locks in one call
 * cannot deadlock with others that do.
 *
 * Rows that the former holders committed are visible only to snapshots taken
 * after this returns.
 */
void
keylock_acquire(KeyLock *locks, int nlocks)
{
	int start = 0;

	qsort(locks, nlocks, sizeof(KeyLock), compare_locks);
	for (int i = 1; i <= nlocks; i++)
	{
		if (i < nlocks && locks[i].root == locks[start].root)
			continue;
		acquire_of_table(&locks[start], i - start);
		start = i;
	}
}
