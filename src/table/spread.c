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
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "table/spread.h"

/* Set when a catalog of Citus was found; a session has one database. */
static bool spread_found_citus = false;

/* The first row of a catalog of Citus that has a key. */
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
	Spread spread = {SPREAD_BY_COLUMN, InvalidAttrNumber, 0};

	spread.together = DatumGetInt32(spread_get(row, "colocationid"));
	if (DatumGetChar(spread_get(row, "partmethod")) != 'n')
		spread.column = spread_column(spread_get(row, "partkey"));
	else if (DatumGetChar(spread_get(row, "repmodel")) == 't')
		spread.kind = SPREAD_REFERENCE;
	else
		spread.kind = spread.together != 0 ? SPREAD_SINGLE : SPREAD_LOCAL;
	return spread;
}

/* What Citus makes of the table with that OID. */
static Spread
spread_of_table(Oid relid)
{
	Spread spread = {SPREAD_NOT, InvalidAttrNumber, 0};
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
	Spread spread = {SPREAD_NOT, InvalidAttrNumber, 0};
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

/* Return true on the node that has the rows of local tables. */
bool
spread_on_coordinator(void)
{
	SpreadRow row;
	bool coordinator;

	if (!spread_find(&row, "pg_dist_local_group", NULL, NULL, InvalidOid,
					 (Datum) 0))
		return false;
	coordinator = HeapTupleIsValid(row.tuple) &&
				  DatumGetInt32(spread_get(&row, "groupid")) == 0;
	spread_end(&row);
	return coordinator;
}
