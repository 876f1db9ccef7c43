/*-------------------------------------------------------------------------
 *
 * shards.c
 *	  The shard of a table that the row with a key is in.
 *
 * Citus hashes the value of the distribution column by its type's hash function,
 * and each shard has a range of hashes.  The shards are kept with the table until
 * it changes; to split a shard is a change.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "table/columns.h"
#include "table/shards.h"

/* The shards of a table. */
typedef struct ShardList
{
	int nshards;
	Shard *shards; /* in the order of their hashes */
} ShardList;

/* The address by which the table's entry knows the list. */
static const char shards_owner[] = "shards";

/* The shards of the table, which are kept. */
static const ShardList *
shards_list(const Target *target)
{
	MemoryContext context;
	void **kept = target_keep(target, shards_owner, &context);

	if (*kept == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		ShardList *list = palloc0(sizeof(ShardList));

		list->shards = spread_shards(RelationGetRelid(target_relation(target)),
									 &list->nshards);
		MemoryContextSwitchTo(old);
		*kept = list;
	}
	return *kept;
}

/*
 * Return true if all rows that can have the key are in one shard on one node.
 *
 * Values that are equal and have other hashes can be in different shards.  Of a
 * shard that has copies, a SELECT reads any.
 */
bool
shards_are_one(const Target *target, const ColumnValues *key)
{
	const Spread *spread = target_spread(target);
	int place;

	if (spread->kind == SPREAD_LOCAL || spread->kind == SPREAD_SINGLE)
		return true;
	if (spread->kind != SPREAD_BY_COLUMN || !spread->one_copy)
		return false;
	place = values_find_column(key, spread->column);
	return place >= 0 && !key->nulls[place] &&
		   columns_has_hash(target, spread->column);
}

/* The column that leads to the shard with its value; none if there is one shard. */
ColumnValues *
shards_route(const Target *target, const ColumnValues *key)
{
	const Spread *spread = target_spread(target);
	int place = values_find_column(key, spread->column);

	Assert(shards_are_one(target, key));
	if (spread->kind != SPREAD_BY_COLUMN)
		return values_make(0);
	return values_one(spread->column, key->values[place], false);
}

/* The hash by which Citus chooses the shard. */
static int32
shards_hash(const Target *target, const ColumnValues *key)
{
	const Spread *spread = target_spread(target);
	TypeCacheEntry *type = columns_type(target, spread->column,
										TYPECACHE_HASH_PROC_FINFO);
	Oid collation = target_column(target, spread->column)->attcollation;
	int place = values_find_column(key, spread->column);

	return DatumGetInt32(FunctionCall1Coll(&type->hash_proc_finfo, collation,
										   key->values[place]));
}

/* The number of the shard that the row with the key is in. */
int64
shards_find(const Target *target, const ColumnValues *key)
{
	const ShardList *list = shards_list(target);
	int low = 0;
	int high = list->nshards;
	int32 hash;

	Assert(shards_are_one(target, key));
	if (list->nshards == 0)
		elog(ERROR, "table with OID %u has no shards",
			 RelationGetRelid(target_relation(target)));
	if (target_spread(target)->kind != SPREAD_BY_COLUMN)
		return list->shards[0].number;
	hash = shards_hash(target, key);
	/* The last one that does not begin above the hash. */
	while (high - low > 1)
	{
		int middle = low + (high - low) / 2;

		if (list->shards[middle].from <= hash)
			low = middle;
		else
			high = middle;
	}
	return list->shards[low].number;
}

/*
 * Keep a shard of the table where it is until the transaction ends.  Afterwards,
 * the table is as it is known by then: if the shard was split while we waited,
 * shards_find() gives another number for its keys.
 */
void
shards_pin(Target *target, int64 shard)
{
	spread_pin_shard(target_relation(target), shard);
	target_lock(target, AccessShareLock);
}
