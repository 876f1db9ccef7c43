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

#include "keylock.h"

/* Field 4 of the tags of all locks that racefree takes. */
#define KEYLOCK_CLASS 21062

/* Field 3 where the lock is on the table's whole key space. */
#define KEYLOCK_WHOLE 0

static void
acquire(Oid root, uint32 hash, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, root, hash, KEYLOCK_CLASS);
	(void) LockAcquire(&tag, mode, false, false);
}

/*
 * Hash a key so that keys that are equal, by the columns' own equality and
 * collations, have equal hashes.  Columns count by name and in any order, so
 * that a partition whose columns are laid out differently agrees with its
 * root.  False if a column's type has an equality but no hash that agrees
 * with it.
 */
static bool
hash_key(const Target *target, const ColumnValues *key, uint32 *result)
{
	uint64 sum = 0;

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
		if (!OidIsValid(type->hash_extended_proc))
			return false;
		if (!key->nulls[i])
			hash = DatumGetUInt64(
				FunctionCall2Coll(&type->hash_extended_proc_finfo,
								  att->attcollation, key->values[i],
								  UInt64GetDatum(hash)));
		sum += hash;
	}

	*result = (uint32) (sum ^ (sum >> 32));
	if (*result == KEYLOCK_WHOLE)
		*result = 1;
	return true;
}

/*
 * Wait until no other transaction holds this key, and hold it until this
 * transaction (or the savepoint in which it was taken) ends.
 *
 * Rows that the former holder committed are visible only to snapshots taken
 * after this returns.
 */
void
keylock_acquire(const Target *target, const ColumnValues *key)
{
	Oid root = target_lock_root(target);
	uint32 hash;

	if (hash_key(target, key, &hash))
	{
		acquire(root, KEYLOCK_WHOLE, RowExclusiveLock);
		acquire(root, hash, ExclusiveLock);
	}
	else
		acquire(root, KEYLOCK_WHOLE, ExclusiveLock);
}
