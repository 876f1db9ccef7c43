/*-------------------------------------------------------------------------
 *
 * promises.c
 *	  What can be promised of a table that Citus manages.
 *
 * A key lock keeps a key unique if every session that asks for the key asks at
 * the same place, and if a row is visible there by the time the lock is released.
 * So it is if the lock is taken where the key's row is to be, by the transaction
 * of that node which writes the row: sessions may be connected to any node, and
 * after a commit in two phases a row can stay invisible, and the lock be held,
 * until Citus recovers the transaction.  This needs a key that leads to one shard.
 * And it needs READ COMMITTED: at REPEATABLE READ, what the other node shows is
 * older than the lock, and no statement of ours can take a later snapshot there.
 * Elsewhere a unique index decides which row is the one; without it, we refuse.
 *
 * What is checked here costs one comparison where Citus knows nothing of the
 * table.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "base/compat.h"
#include "table/indexes.h"
#include "table/promises.h"
#include "table/shards.h"

static const char *
promises_table_name(const Target *target)
{
	return RelationGetRelationName(target_relation(target));
}

/* The name of the column by which the table is distributed. */
static const char *
promises_column_name(const Target *target, const Spread *spread)
{
	return NameStr(target_column(target, spread->column)->attname);
}

/* The isolation level, as SQL names it. */
static const char *
promises_isolation_name(void)
{
	return IsolationIsSerializable() ? "SERIALIZABLE" : "REPEATABLE READ";
}

/*
 * Return true if a statement on the table is run by this session itself, in its
 * own transaction and with its own snapshots: so it is for tables of which
 * Citus knows nothing, and on the coordinator for those that are local to it.
 */
bool
promises_at_home(const Target *target)
{
	SpreadKind kind = target_spread(target)->kind;

	return kind == SPREAD_NOT ||
		   (kind == SPREAD_LOCAL && spread_on_coordinator());
}

/*
 * Return true if a lock where the key's shard is keeps the key unique, in this
 * transaction.  SERIALIZABLE is of no help: it does not see what transactions of
 * other levels do.
 */
bool
promises_key_is_routed(const Target *target, const ColumnValues *key)
{
	return shards_are_one(target, key) && !IsolationUsesXactSnapshot();
}

/* Report that a key is unique at READ COMMITTED only. */
pg_noreturn static void
promises_error_isolation(const Target *target, const ColumnValues *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot keep the key unique in table \"%s\", which Citus "
					"distributes, at isolation level %s",
					promises_table_name(target), promises_isolation_name()),
			 errdetail("Other nodes show rows as they were before the key was "
					   "locked, and no unique index covers the key %s.",
					   values_describe(target, key)),
			 errhint("Create a unique index on columns of the key, or use READ "
					 "COMMITTED.")));
}

/* Say how a key can be kept unique of which no unique index covers columns. */
static int
promises_errhint_key(const Target *target)
{
	const Spread *spread = target_spread(target);

	if (spread->kind != SPREAD_BY_COLUMN)
		return errhint("Create a unique index on columns of the key.");
	return errhint("Have column \"%s\" in the key, with a value, or create a "
				   "unique index on columns of the key.",
				   promises_column_name(target, spread));
}

/* Check that one row at most is created with the key, whoever asks. */
void
promises_check_key(const Target *target, const ColumnValues *key)
{
	if (promises_at_home(target) || promises_key_is_routed(target, key) ||
		indexes_unique_key(target, key->ncolumns, key->attnums, key->nulls))
		return;
	if (shards_are_one(target, key))
		promises_error_isolation(target, key);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot keep the key unique in table \"%s\", which Citus "
					"distributes",
					promises_table_name(target)),
			 errdetail("Its row can be in several places, so there is none to "
					   "lock the key, and no unique index covers the key %s.",
					   values_describe(target, key)),
			 promises_errhint_key(target)));
}

/* Check that a lock of the key is seen wherever it is asked for. */
void
promises_check_key_lock(const Target *target, const ColumnValues *key)
{
	const Spread *spread = target_spread(target);

	if (promises_at_home(target) || shards_are_one(target, key))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock keys of table \"%s\", which Citus distributes",
					promises_table_name(target)),
			 errdetail("The row of the key %s can be in several places, so there "
					   "is none to lock the key.",
					   values_describe(target, key)),
			 spread->kind == SPREAD_BY_COLUMN
				 ? errhint("Have column \"%s\" in the key, with a value.",
						   promises_column_name(target, spread))
				 : 0));
}

/* Check that the row with the key can be locked: Citus must know its shard. */
void
promises_check_row_lock(const Target *target, const ColumnValues *key)
{
	const Spread *spread = target_spread(target);

	if (spread->kind != SPREAD_BY_COLUMN ||
		values_find_column(key, spread->column) >= 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock a row of table \"%s\" without its column "
					"\"%s\"",
					promises_table_name(target),
					promises_column_name(target, spread)),
			 errdetail("Citus distributes the table by that column."),
			 errhint("Have the column in the key.")));
}

/*
 * Check that rows, found by a column, can be locked in the order of the primary
 * key: those on several nodes are locked one by one, and Citus must know the
 * shard of each.
 */
void
promises_check_row_locks(const Target *target, AttrNumber attnum, int nrows)
{
	const Spread *spread = target_spread(target);

	if (spread->kind != SPREAD_BY_COLUMN ||
		(attnum == spread->column &&
		 (nrows <= 1 || indexes_in_key_order(target, attnum))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot lock rows of table \"%s\" in order, since they "
					"are on several nodes",
					promises_table_name(target)),
			 errdetail("Citus distributes the table by column \"%s\".",
					   promises_column_name(target, spread)),
			 errhint("Name them by that column, which the primary key must "
					 "begin with, or lock them one by one, each by a SELECT "
					 "that names a value of that column, in the order of the "
					 "primary key.")));
}

/*
 * Check that a trigger sees all rows that have the same key as one: on a shard,
 * rows of other shards are not there, so none of them may have the key.
 */
void
promises_check_key_guard(const Target *target, const ColumnValues *key,
						 const char *trigger)
{
	const Spread *whole = target_shard_of(target);

	if (whole->kind != SPREAD_BY_COLUMN ||
		values_find_column(key, whole->column) >= 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("trigger \"%s\" cannot guard a key over all shards of its "
					"table",
					trigger),
			 errhint("Let it guard column \"%s\", by which Citus distributes "
					 "the table, too.",
					 promises_column_name(target, whole))));
}
