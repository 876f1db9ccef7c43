/*-------------------------------------------------------------------------
 *
 * routed.c
 *	  Key locks that are taken on other nodes of Citus.
 *
 * A key lock is in the memory of one server.  It has to be the server that has
 * the key's shard, since clients may be connected to any node, and it has to
 * belong to the transaction that writes the row there: then it is released when
 * that transaction ends, and so never before the row is visible; PREPARE
 * TRANSACTION keeps it; and Citus' deadlock detector sees who waits for it.  So
 * it is taken by a query that Citus routes to the shard, on the connection on
 * which it will write to the shard.  On the node itself, Citus runs the query in
 * this session.
 *
 *	1. Pin the shards, so that none is moved between the lock and the INSERT: the
 *	   lock would be left behind, and another session get it anew.
 *	2. Send the keys to the shard's node, where lock_keys_here() takes the locks.
 *	   There, they are locks on keys of the table as that node knows it, the same
 *	   that are taken for a local table of that node.
 *	3. Check that the locks were taken there.  How Citus runs a query is its own
 *	   matter, and a lock that is somewhere else would not be missed.
 *
 * The keys go as text, and are hashed there: some hashes, such as those of
 * enums, differ between nodes.
 *
 * All sessions take these locks in the order of the numbers of the shards, which
 * are the same on all nodes, unlike the OIDs of tables; within a shard, in the
 * order of keylock_acquire_part().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "keys/keylock.h"
#include "keys/routed.h"
#include "run/run.h"
#include "table/promises.h"
#include "table/shards.h"

/* Append a column's value as JSON that the column's type reads. */
static void
routed_append_value(StringInfo json, Form_pg_attribute att, Datum value)
{
	char *text = values_print_exactly(att->atttypid, value);

	if (getBaseType(att->atttypid) == JSONBOID)
		appendStringInfoString(json, text);
	else
		escape_json(json, text);
	pfree(text);
}

/* Append {"a": "1", "b": null}. */
static void
routed_append_key(StringInfo json, const Target *target,
				  const ColumnValues *key)
{
	appendStringInfoChar(json, '{');
	for (int i = 0; i < key->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, key->attnums[i]);

		if (i > 0)
			appendStringInfoString(json, ", ");
		escape_json(json, NameStr(att->attname));
		appendStringInfoString(json, ": ");
		if (key->nulls[i])
			appendStringInfoString(json, "null");
		else
			routed_append_value(json, att, key->values[i]);
	}
	appendStringInfoChar(json, '}');
}

/* {"schema.table": [{"a": "1"}, {"a": "2"}]}, for lock_keys_here() */
static Datum
routed_json(const RoutedKey *keys, int nkeys)
{
	Relation rel = target_relation(keys[0].target);
	char *name = quote_qualified_identifier(get_namespace_name(
												RelationGetNamespace(rel)),
											RelationGetRelationName(rel));
	StringInfoData json;
	Datum result;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	escape_json(&json, name);
	appendStringInfoString(&json, ": [");
	for (int i = 0; i < nkeys; i++)
	{
		if (i > 0)
			appendStringInfoString(&json, ", ");
		routed_append_key(&json, keys[i].target, keys[i].key);
	}
	appendStringInfoString(&json, "]}");
	result = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
	pfree(json.data);
	return result;
}

/* Lock keys of one table that is local to this node. */
static void
routed_acquire_here(const RoutedKey *keys, int nkeys)
{
	KeyLock *locks = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(KeyLock) * nkeys);

	target_hold_root(keys[0].target);
	for (int i = 0; i < nkeys; i++)
		locks[i] = keylock_of(keys[0].target, keys[i].key);
	keylock_acquire_part(locks, nkeys);
	pfree(locks);
}

/* Lock keys of one shard. */
static void
routed_acquire_of_shard(const RoutedKey *keys, int nkeys)
{
	Target *target = keys[0].target;
	int64 shard = keys[0].shard;
	int32 node;

	if (promises_at_home(target))
	{
		routed_acquire_here(keys, nkeys);
		return;
	}
	node = run_lock_keys(target, shards_route(target, keys[0].key),
						 routed_json(keys, nkeys));
	if (!spread_shard_is_on(shard, node))
		elog(ERROR,
			 "keys of shard " INT64_FORMAT " of table \"%s\" were locked on "
			 "node %d, where it is not",
			 shard, RelationGetRelationName(target_relation(target)), node);
}

/* qsort comparator: the order in which all sessions take locks. */
static int
routed_compare(const void *a, const void *b)
{
	const RoutedKey *left = a;
	const RoutedKey *right = b;

	return left->shard < right->shard ? -1 : left->shard > right->shard;
}

/* The number of keys, of those from the first on, that are in one shard. */
static int
routed_count_alike(const RoutedKey *keys, int nkeys)
{
	int n = 1;

	while (n < nkeys && keys[n].shard == keys[0].shard)
		n++;
	return n;
}

/*
 * Sort the keys by their shards, and pin these.  Return false if a shard was
 * split while we waited, so that keys of it are in others.
 */
static bool
routed_pin(RoutedKey *keys, int nkeys)
{
	for (int i = 0; i < nkeys; i++)
	{
		Assert(target_spread(keys[i].target)->kind != SPREAD_NOT);
		keys[i].shard = shards_find(keys[i].target, keys[i].key);
	}
	qsort(keys, nkeys, sizeof(RoutedKey), routed_compare);
	for (int i = 0; i < nkeys; i += routed_count_alike(&keys[i], nkeys - i))
	{
		if (!promises_at_home(keys[i].target))
			shards_pin(keys[i].target, keys[i].shard);
	}
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].shard != shards_find(keys[i].target, keys[i].key))
			return false;
	}
	return true;
}

/*
 * Lock keys where their shards are.
 *
 * Rows that the former holders committed are visible only to statements that
 * begin after this returns, and at READ COMMITTED.
 */
void
routed_acquire(RoutedKey *keys, int nkeys)
{
	int n;

	while (!routed_pin(keys, nkeys))
		CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < nkeys; i += n)
	{
		CHECK_FOR_INTERRUPTS();
		n = routed_count_alike(&keys[i], nkeys - i);
		routed_acquire_of_shard(&keys[i], n);
	}
}

/* Lock one key where its shard is. */
void
routed_acquire_one(Target *target, const ColumnValues *key)
{
	RoutedKey one = {target, key, 0};

	routed_acquire(&one, 1);
}
