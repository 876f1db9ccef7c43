/*-------------------------------------------------------------------------
 *
 * spread.c
 *	  What Citus makes of a table: where its rows are.
 *
 * Citus keeps a row for each of its tables in pg_dist_partition, one for each
 * shard of a table in pg_dist_shard, and the number of the node, 0 for the
 * coordinator, in pg_dist_local_group.  They are read as any table is, by name:
 * racefree needs nothing of Citus to be built, and one look into a cache shows
 * that a database has no Citus.
 *
 * When Citus distributes a table, or undoes that, it invalidates the table's
 * relcache entry, as any change of the table does.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "table/spread.h"

/* Set when a catalog of Citus was found; a session has one database. */
static bool spread_found_citus = false;

/* A row of a catalog of Citus that has a key. */
typedef struct SpreadRow
{
	Relation catalog;
	SysScanDesc scan;
	HeapTuple tuple; /* NULL if there is none */
} SpreadRow;

/*
 * Find the first row of the catalog that has the key in a column, or any row if
 * no column is named.  Return false if this database has no such catalog.
 */
static bool
spread_find(SpreadRow *row, const char *catalog, const char *index,
			const char *column, RegProcedure equals, Datum key)
{
	Oid relid = get_relname_relid(catalog, PG_CATALOG_NAMESPACE);
	Oid index_relid = InvalidOid;
	ScanKeyData scan_key;

	if (!OidIsValid(relid))
		return false;
	spread_found_citus = true;
	if (column != NULL)
	{
		index_relid = get_relname_relid(index, PG_CATALOG_NAMESPACE);
		ScanKeyInit(&scan_key, get_attnum(relid, column), BTEqualStrategyNumber,
					equals, key);
	}
	row->catalog = table_open(relid, AccessShareLock);
	row->scan = systable_beginscan(row->catalog, index_relid,
								   OidIsValid(index_relid), NULL,
								   column != NULL ? 1 : 0, &scan_key);
	row->tuple = systable_getnext(row->scan);
	return true;
}

/* Go on to the next row. */
static void
spread_next(SpreadRow *row)
{
	row->tuple = systable_getnext(row->scan);
}

/* The value of a column of the row; 0 if it is NULL. */
static Datum
spread_get(const SpreadRow *row, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(row->catalog), column);
	bool isnull = true;
	Datum value = (Datum) 0;

	if (attnum != InvalidAttrNumber)
		value = heap_getattr(row->tuple, attnum, RelationGetDescr(row->catalog),
							 &isnull);
	return isnull ? (Datum) 0 : value;
}

static void
spread_end(SpreadRow *row)
{
	systable_endscan(row->scan);
	table_close(row->catalog, AccessShareLock);
}

/* The column by which rows are distributed, as Citus writes it: a Var. */
static AttrNumber
spread_column(Datum partkey)
{
	Node *node;

	if (DatumGetPointer(partkey) == NULL)
		return InvalidAttrNumber;
	node = stringToNode(TextDatumGetCString(partkey));
	return node != NULL && IsA(node, Var) ? ((Var *) node)->varattno
										  : InvalidAttrNumber;
}

/* What the row of a table says. */
static Spread
spread_read(const SpreadRow *row)
{
	Spread spread = {.kind = SPREAD_BY_COLUMN};
	char method = DatumGetChar(spread_get(row, "partmethod"));
	char copies = DatumGetChar(spread_get(row, "repmodel"));

	spread.together = DatumGetInt32(spread_get(row, "colocationid"));
	if (method != 'n')
	{
		spread.column = spread_column(spread_get(row, "partkey"));
		spread.one_copy = method == 'h' && copies == 's';
	}
	else if (copies == 't')
		spread.kind = SPREAD_REFERENCE;
	else
		spread.kind = spread.together != 0 ? SPREAD_SINGLE : SPREAD_LOCAL;
	return spread;
}

/* What Citus makes of the table with that OID. */
static Spread
spread_of_table(Oid relid)
{
	Spread spread = {.kind = SPREAD_NOT};
	SpreadRow row;

	if (!spread_find(&row, "pg_dist_partition",
					 "pg_dist_partition_logical_relid_index", "logicalrelid",
					 F_OIDEQ, ObjectIdGetDatum(relid)))
		return spread;
	if (HeapTupleIsValid(row.tuple))
		spread = spread_read(&row);
	spread_end(&row);
	return spread;
}

/* What Citus makes of an open table. */
Spread
spread_of(Relation rel)
{
	return spread_of_table(RelationGetRelid(rel));
}

/* The number at the end of a shard's name; 0 if there is none. */
static int64
spread_shard_number(const char *name)
{
	const char *number = strrchr(name, '_');

	if (number == NULL || number[1] < '1' || number[1] > '9')
		return 0;
	return strtoll(number + 1, NULL, 10);
}

/*
 * What Citus makes of the table that an open one is a shard of.  Nothing if it
 * is no shard.
 */
Spread
spread_of_shard(Relation rel)
{
	Spread spread = {.kind = SPREAD_NOT};
	int64 number = spread_shard_number(RelationGetRelationName(rel));
	Oid whole = InvalidOid;
	SpreadRow row;

	if (number == 0 ||
		!spread_find(&row, "pg_dist_shard", "pg_dist_shard_shardid_index",
					 "shardid", F_INT8EQ, Int64GetDatum(number)))
		return spread;
	if (HeapTupleIsValid(row.tuple))
		whole = DatumGetObjectId(spread_get(&row, "logicalrelid"));
	spread_end(&row);
	if (!OidIsValid(whole) || whole == RelationGetRelid(rel) ||
		get_rel_namespace(whole) != RelationGetNamespace(rel))
		return spread;
	spread = spread_of_table(whole);
	/* The columns of a shard may be laid out differently. */
	if (spread.column != InvalidAttrNumber)
		spread.column = get_attnum(RelationGetRelid(rel),
								   get_attname(whole, spread.column, false));
	return spread;
}

/*
 * Return true if this session has seen that the database has Citus: when the
 * first table was opened, at the latest.
 */
bool
spread_is_known(void)
{
	return spread_found_citus;
}

/* The number of this node, -1 without Citus. */
int32
spread_this_node(void)
{
	SpreadRow row;
	int32 node = -1;

	if (!spread_find(&row, "pg_dist_local_group", NULL, NULL, InvalidOid,
					 (Datum) 0))
		return node;
	if (HeapTupleIsValid(row.tuple))
		node = DatumGetInt32(spread_get(&row, "groupid"));
	spread_end(&row);
	return node;
}

/* Return true on the node that has the rows of local tables. */
bool
spread_on_coordinator(void)
{
	return spread_this_node() == 0;
}

/* ----------
 * Shards
 * ----------
 */

/* The lowest hash of the shard's rows.  A shard that has all rows names none. */
static int32
spread_shard_from(const SpreadRow *row)
{
	Datum from = spread_get(row, "shardminvalue");

	if (DatumGetPointer(from) == NULL)
		return PG_INT32_MIN;
	return pg_strtoint32(TextDatumGetCString(from));
}

/* qsort comparator: by hash. */
static int
spread_compare_shards(const void *a, const void *b)
{
	const Shard *left = a;
	const Shard *right = b;

	return left->from < right->from ? -1 : left->from > right->from;
}

/*
 * The shards of a table, in the order of their hashes, in the current memory
 * context.  Their hashes have no gap and no overlap.  When Citus splits a shard,
 * it invalidates the table's relcache entry.
 */
Shard *
spread_shards(Oid relid, int *n)
{
	int size = 32;
	Shard *shards = palloc(sizeof(Shard) * size);
	SpreadRow row;

	*n = 0;
	if (!spread_find(&row, "pg_dist_shard", "pg_dist_shard_logical_relid_index",
					 "logicalrelid", F_OIDEQ, ObjectIdGetDatum(relid)))
		return shards;
	for (; HeapTupleIsValid(row.tuple); spread_next(&row))
	{
		if (*n == size)
		{
			size *= 2;
			shards = repalloc(shards, sizeof(Shard) * size);
		}
		shards[*n].from = spread_shard_from(&row);
		shards[(*n)++].number = DatumGetInt64(spread_get(&row, "shardid"));
	}
	spread_end(&row);
	qsort(shards, *n, sizeof(Shard), spread_compare_shards);
	return shards;
}

/* Return true if the shard is on the node with that number. */
bool
spread_shard_is_on(int64 shard, int32 node)
{
	SpreadRow row;
	bool found = false;

	if (!spread_find(&row, "pg_dist_placement",
					 "pg_dist_placement_shardid_index", "shardid", F_INT8EQ,
					 Int64GetDatum(shard)))
		return false;
	for (; HeapTupleIsValid(row.tuple) && !found; spread_next(&row))
		found = DatumGetInt32(spread_get(&row, "groupid")) == node;
	spread_end(&row);
	return found;
}

/* Call lock_shard_metadata(mode, ARRAY[shard]) of Citus. */
static void
spread_lock_shard(int64 shard, LOCKMODE mode)
{
	Oid types[] = {INT4OID, INT8ARRAYOID};
	Oid function = LookupFuncName(list_make2(makeString("pg_catalog"),
											 makeString("lock_shard_metadata")),
								  lengthof(types), types, false);
	Datum shards = OidInputFunctionCall(F_ARRAY_IN,
										psprintf("{" INT64_FORMAT "}", shard),
										INT8OID, -1);

	(void) OidFunctionCall2(function, Int32GetDatum(mode), shards);
}

/*
 * Keep a shard of the table where it is until the transaction ends, as Citus
 * does for what it writes to the shard itself: a move waits on all nodes that
 * have metadata, and so on this one, until the lock is free.
 *
 * Citus lets only the table's owner call the function.  So we do that in the
 * owner's name, and nothing else: no code of the user's runs meanwhile.  The
 * caller has checked that the current user may write to the table, whose writes
 * take the same lock.
 */
void
spread_pin_shard(Relation rel, int64 shard)
{
	ResourceOwner resources = CurrentResourceOwner;
	Oid user;
	int context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	/* See locks.c.  After an error, both are reset. */
	CurrentResourceOwner = CurTransactionResourceOwner;
	spread_lock_shard(shard, ShareLock);
	CurrentResourceOwner = resources;
	SetUserIdAndSecContext(user, context);
	/* Of a move that we have waited for. */
	AcceptInvalidationMessages();
}
