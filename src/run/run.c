/*-------------------------------------------------------------------------
 *
 * run.c
 *	  What can be done to a table's rows: the verbs.
 *
 * Each verb chooses the kind of statement, runs its kept plan by SPI, and
 * returns SPI's result as a value.  What is allocated is in the current memory
 * context, which is that of SPI unless the caller has switched.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/settings.h"
#include "run/plans.h"
#include "run/rows_private.h"
#include "run/run.h"
#include "run/statements.h"
#include "table/ids.h"
#include "table/indexes.h"
#include "table/traits.h"

/* How many rows a scan fetches at once. */
#define RUN_FETCH_SIZE 1000

/* Start to listen for invalidations.  Called once, when the module loads. */
void
run_init(void)
{
	plan_init();
}

/* ----------
 * Beginning and end
 * ----------
 */

/* Begin to use verbs, in SPI's memory context until run_end(). */
void
run_begin(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* End it, and free all that was allocated since run_begin(). */
void
run_end(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/* Run a utility command, such as CREATE TABLE. */
void
run_command(const char *command)
{
	int result = SPI_execute(command, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI returned %s for \"%s\"",
			 SPI_result_code_string(result), command);
}

/* Run a query for what it does, and not for its rows. */
void
run_query_for_effect(const char *query)
{
	int result = SPI_execute(query, false, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI returned %s for \"%s\"",
			 SPI_result_code_string(result), query);
}

/* ----------
 * Snapshots
 * ----------
 */

/*
 * Begin a new command, and return its number, which that of the next statement
 * is not below.  VIEW_BEFORE of it sees all that was done up to here.
 */
CommandId
run_next_command(void)
{
	CommandCounterIncrement();
	return GetCurrentCommandId(false);
}

/*
 * Take the latest snapshot, for several verbs to share, until
 * run_release_snapshot() or an error.
 */
Snapshot
run_take_snapshot(void)
{
	return RegisterSnapshot(GetLatestSnapshot());
}

/* End what run_take_snapshot() began. */
void
run_release_snapshot(Snapshot snapshot)
{
	UnregisterSnapshot(snapshot);
}

/* ----------
 * Running a statement
 * ----------
 */

/* The rows that the last statement gave, and that SPI frees at run_end(). */
static RowSet
run_result(const Target *target, uint64 nrows, bool whole, bool numbered)
{
	RowSet set = {.nrows = nrows,
				  .table = target,
				  .whole = whole,
				  .numbered = numbered,
				  .rows = SPI_tuptable};

	return set;
}

/* Check what SPI says of a statement that ran. */
static void
run_check_result(const StatementSpec *spec, int result)
{
	const StatementInfo *info = statement_info(spec->kind);
	int expected = info->command == CMD_SELECT	 ? SPI_OK_SELECT
				   : info->command == CMD_INSERT ? SPI_OK_INSERT_RETURNING
				   : info->command == CMD_DELETE ? SPI_OK_DELETE_RETURNING
												 : SPI_OK_UPDATE_RETURNING;

	if (result != expected)
		elog(ERROR, "SPI returned %s for statement \"%s\"",
			 SPI_result_code_string(result), info->name);
}

/* Add values that the statement takes, in the order of its text. */
static int
run_add_params(const ColumnValues *columns, bool skip_nulls, int n,
			   Datum *values, char *nulls)
{
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (skip_nulls && columns->nulls[i])
			continue;
		values[n] = columns->values[i];
		nulls[n++] = columns->nulls[i] ? 'n' : ' ';
	}
	return n;
}

/*
 * Run the statement, and return the number of rows that it gave, which are in
 * SPI_tuptable.  "limit" is the number of rows wanted, 0 for all.
 */
static uint64
run_statement(const Target *target, const StatementSpec *spec, Datum *values,
			  const char *nulls, View view, long limit)
{
	SPIPlanPtr plan = plan_fetch(target, spec);
	Snapshot snapshot = view.snapshot;
	bool as_it_is = view.before != InvalidCommandId;
	bool prefer = spec->by_index && !plan_is_made_in_advance(target, spec);
	int level = prefer ? plan_prefer_indexes() : 0;
	int result;

	Assert(view.latest || (view.snapshot == NULL && !as_it_is));
	if (view.latest && snapshot == NULL)
		snapshot = GetLatestSnapshot();

	/*
	 * To hide what this transaction has done since a command, set curcid of the
	 * snapshot to that command, and tell SPI that the statement is read-only:
	 * SPI then uses the snapshot as it is.  Otherwise SPI would use a copy with
	 * the current command as curcid.  Rows that our own INSERT, or a trigger of
	 * it, has created would be seen and be taken for those of other sessions:
	 * the caller would be told that it had not created its row, or get an error
	 * for a second row that another session has inserted.
	 *
	 * This writes to the snapshot that run_take_snapshot() copied, or to the one
	 * that the next GetLatestSnapshot() overwrites.  It must never be one that
	 * core uses, such as the active one or the transaction's: later queries of
	 * the user would not see what the transaction has done.
	 */
	if (as_it_is)
		snapshot->curcid = view.before;
	result = SPI_execute_snapshot(plan, values, nulls, snapshot,
								  InvalidSnapshot, as_it_is, true, limit);
	if (prefer)
		settings_end(level);
	run_check_result(spec, result);
	return SPI_processed;
}

/*
 * Return true if rows are to be found by this key with an index, whatever the
 * statistics say; see plan_prefer_indexes().
 */
static bool
run_by_index(const Target *target, const ColumnValues *key)
{
	if (!traits_is_simple(target))
		return false;
	if (key->ncolumns == 1)
		return !key->nulls[0] && indexes_find_by(target, key->attnums[0]);
	return indexes_unique_key(target, key->ncolumns, key->attnums, key->nulls);
}

/* Run a statement that takes parameters, and return all live columns. */
static RowSet
run_with_params(const Target *target, StatementSpec *spec, View view)
{
	const StatementInfo *info = statement_info(spec->kind);
	int ndata = spec->data ? spec->data->ncolumns : 0;
	int max_params = spec->key->ncolumns + ndata + 1;
	Datum *values = palloc((sizeof(Datum) + sizeof(char)) * max_params);
	char *nulls = (char *) &values[max_params];
	uint64 nrows;
	int n = 0;

	Assert(spec->data != NULL || !(info->takes & STMT_TAKES_DATA));
	if (info->takes & STMT_TAKES_DATA)
		n = run_add_params(spec->data, false, n, values, nulls);
	if (info->takes & STMT_TAKES_KEY)
		n = run_add_params(spec->key, true, n, values, nulls);
	if (info->takes & STMT_TAKES_VALUE)
	{
		values[n] = spec->value;
		nulls[n++] = ' ';
	}
	Assert(n <= max_params);
	if (info->takes & (STMT_TAKES_KEY | STMT_TAKES_VALUE))
		spec->by_index |= run_by_index(target, spec->key);
	nrows = run_statement(target, spec, values, nulls, view, info->limit);
	pfree(values);
	return run_result(target, nrows, true, false);
}

/* ----------
 * One row
 * ----------
 */

/* Run one of the statements about the row with a key. */
static RowSet
run_by_key(const Target *target, StatementKind kind, const ColumnValues *key,
		   const ColumnValues *data, View view)
{
	StatementSpec spec = {.kind = kind, .key = key, .data = data};

	return run_with_params(target, &spec, view);
}

/* Read the row. */
RowSet
run_look(const Target *target, const ColumnValues *key, View view)
{
	return run_by_key(target, STMT_LOOK, key, NULL, view);
}

/* Read the row by a key of one column, by its index if it has one. */
RowSet
run_find(const Target *target, const ColumnValues *key, View view)
{
	StatementSpec spec = {.kind = STMT_LOOK,
						  .key = key,
						  .by_index = indexes_find_by(target, key->attnums[0])};

	Assert(key->ncolumns == 1 && !key->nulls[0]);
	return run_with_params(target, &spec, view);
}

/* Lock the row FOR NO KEY UPDATE, and read it. */
RowSet
run_lock(const Target *target, const ColumnValues *key)
{
	return run_by_key(target, STMT_LOCK, key, NULL, VIEW_OWN);
}

/* Lock two rows by their ids, in primary key order, and read them. */
RowSet
run_lock_pair(const Target *target, AttrNumber id, Datum a, Datum b)
{
	AttrNumber attnums[2] = {id, id};
	Datum ids[2] = {a, b};
	bool nulls[2] = {false, false};
	ColumnValues key = {2, attnums, ids, nulls};

	return run_by_key(target, STMT_LOCK_PAIR, &key, NULL, VIEW_OWN);
}

/* Count the rows with the key, up to eight. */
uint64
run_count(const Target *target, const ColumnValues *key, View view)
{
	return run_by_key(target, STMT_EXISTS, key, NULL, view).nrows;
}

/* Insert a row, or yield to one that has the key already. */
RowSet
run_insert(const Target *target, const ColumnValues *key,
		   const ColumnValues *data, bool yield)
{
	return run_by_key(target, yield ? STMT_INSERT_OR_YIELD : STMT_INSERT, key,
					  data, VIEW_OWN);
}

/* Set columns of the row. */
RowSet
run_update(const Target *target, const ColumnValues *key,
		   const ColumnValues *data)
{
	return run_by_key(target, STMT_UPDATE, key, data, VIEW_OWN);
}

/* Delete the row, and give what it was. */
RowSet
run_delete(const Target *target, const ColumnValues *key)
{
	return run_by_key(target, STMT_DELETE, key, NULL, VIEW_OWN);
}

/* Add to a column of the row, unless its old value is beyond the bound. */
RowSet
run_add(const Target *target, const ColumnValues *key, AttrNumber column,
		Datum change, AddBound bound, Numeric limit)
{
	static const StatementKind kinds[] = {
		[ADD_ALWAYS] = STMT_ADD,
		[ADD_ABOVE] = STMT_ADD_ABOVE,
		[ADD_BELOW] = STMT_ADD_BELOW,
	};
	bool isnull = false;
	ColumnValues data = {1, &column, &change, &isnull};
	StatementSpec spec = {.kind = kinds[bound],
						  .key = key,
						  .data = &data,
						  .value = NumericGetDatum(limit)};

	Assert((bound == ADD_ALWAYS) == (limit == NULL));
	return run_with_params(target, &spec, VIEW_OWN);
}

/* Add up a column over the rows with a key of one column; NULL if none. */
Numeric
run_sum(const Target *target, const ColumnValues *key, AttrNumber column,
		View view)
{
	ColumnValues data = {.ncolumns = 1, .attnums = &column};
	StatementSpec spec = {.kind = STMT_SUM,
						  .key = key,
						  .data = &data,
						  .by_index = indexes_find_by(target, key->attnums[0])};
	RowSet set;
	bool isnull;
	Datum value;
	Numeric sum;

	Assert(key->ncolumns == 1 && !key->nulls[0]);
	set = run_with_params(target, &spec, view);
	value = rowset_position(&set, 0, 1, &isnull);
	sum = isnull ? NULL : DatumGetNumericCopy(value);
	/* A batch of reversals adds up the reversals of each entry. */
	rowset_free(&set);
	return sum;
}

/* ----------
 * All rows
 * ----------
 */

/*
 * Give each row of the table to the function.  The rows are streamed, so that
 * a scan needs no more memory for a large table than for a small one.
 */
void
run_scan(const Target *target, const ColumnValues *order,
		 const ColumnValues *result, RunTake take, void *arg)
{
	ColumnValues no_order = {0};
	StatementSpec spec = {.kind = STMT_SCAN,
						  .key = order ? order : &no_order,
						  .result = result};
	/* The portal holds the plan, whatever the function does. */
	Portal portal = SPI_cursor_open(NULL, plan_fetch(target, &spec), NULL, NULL,
									true);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree scan",
												  ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		MemoryContext old;
		RowSet set;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, RUN_FETCH_SIZE);
		set = run_result(target, SPI_processed, result == NULL, false);
		if (set.nrows == 0)
		{
			rowset_free(&set);
			break;
		}
		old = MemoryContextSwitchTo(scratch);
		for (uint64 i = 0; i < set.nrows; i++)
			take(&set, i, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
		rowset_free(&set);
	}
	SPI_cursor_close(portal);
	MemoryContextDelete(scratch);
}

/* Run a query that another room writes, over these columns of the table. */
RowSet
run_query(const Target *target, const struct SqlQuery *query,
		  const AttrNumber *columns, Datum *values)
{
	ColumnValues no_key = {0};
	StatementSpec spec = {.kind = STMT_QUERY,
						  .key = &no_key,
						  .query = query,
						  .columns = columns};
	int result = SPI_execute_plan(plan_fetch(target, &spec), values, NULL, true,
								  0);

	run_check_result(&spec, result);
	return run_result(target, SPI_processed, false, false);
}

/* Run a query of another room's with a view, and give "limit" rows at most. */
RowSet
run_query_view(const Target *target, const struct SqlQuery *query,
			   const AttrNumber *columns, Datum *values, View view, long limit)
{
	ColumnValues no_key = {0};
	StatementSpec spec = {.kind = STMT_QUERY,
						  .key = &no_key,
						  .query = query,
						  .columns = columns};
	uint64 nrows = run_statement(target, &spec, values, NULL, view, limit);

	return run_result(target, nrows, false, false);
}

/*
 * Lock keys where the rows are that the column leads to.
 *
 * Citus begins a transaction on the other node if this statement is in a
 * transaction block.  Otherwise the lock would end with the statement.  Alone in
 * its transaction, a call is in no block; as several statements that a client
 * sends at once are put into an implicit one, we do that for our own.  In an
 * error's wake, the end of the transaction ends it, too.
 */
int32
run_lock_keys(const Target *target, const ColumnValues *route, Datum keys)
{
	StatementSpec spec = {.kind = STMT_LOCK_KEYS, .key = route, .value = keys};
	bool alone = !IsTransactionBlock();
	int level = settings_begin();
	bool isnull;
	RowSet set;
	int32 node;

	settings_set("citus.select_opens_transaction_block", "on");
	if (alone)
		BeginImplicitTransactionBlock();
	set = run_with_params(target, &spec, VIEW_OWN);
	if (alone)
		EndImplicitTransactionBlock();
	settings_end(level);
	node = set.nrows == 1 ? DatumGetInt32(rowset_position(&set, 0, 1, &isnull))
						  : -1;
	rowset_free(&set);
	return node;
}

/* ----------
 * Many rows
 * ----------
 */

/* qsort comparator: ids. */
static int
run_compare_ids(const void *a, const void *b, void *column)
{
	return ids_compare(column, *(const Datum *) a, *(const Datum *) b);
}

/*
 * Lock rows that are on several nodes by a statement for each id, in the order
 * of the ids, which is that of the primary key.
 */
static RowSet
run_lock_ids_singly(const Target *target, StatementSpec *spec)
{
	ArrayType *array = DatumGetArrayTypeP(spec->value);
	RowSet set = {.table = target, .whole = true};
	IdColumn column;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *ids;
	int n;

	ids_of_column(&column, target, spec->key->attnums[0]);
	get_typlenbyvalalign(column.type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, column.type, typlen, typbyval, typalign, &ids,
					  NULL, &n);
	qsort_arg(ids, n, sizeof(Datum), run_compare_ids, &column);
	for (int i = 0; i < n; i++)
	{
		RowSet some;

		if (i > 0 && ids_compare(&column, ids[i - 1], ids[i]) == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		spec->value = PointerGetDatum(ids_make_array(&column, &ids[i], 1));
		some = run_with_params(target, spec, VIEW_OWN);
		rowset_append(&set, &some);
	}
	return set;
}

/* Lock the rows whose id is in the array, in primary key order. */
RowSet
run_lock_ids(const Target *target, AttrNumber id, LockClauseStrength strength,
			 LockWaitPolicy wait, Datum ids)
{
	bool isnull = false;
	ColumnValues key = {.ncolumns = 1, .attnums = &id, .nulls = &isnull};
	StatementSpec spec = {.kind = STMT_LOCK_IDS,
						  .key = &key,
						  .strength = strength,
						  .wait = wait,
						  .value = ids};

	if (target_spread(target)->kind == SPREAD_BY_COLUMN)
		return run_lock_ids_singly(target, &spec);
	return run_with_params(target, &spec, VIEW_OWN);
}

/* The transactions that wrote the latest rows whose id is in the array. */
TransactionId *
run_xmins(const Target *target, AttrNumber id, Datum ids, int *n)
{
	bool isnull = false;
	ColumnValues key = {.ncolumns = 1, .attnums = &id, .nulls = &isnull};
	StatementSpec spec = {.kind = STMT_XMINS, .key = &key, .value = ids};
	RowSet set = run_with_params(target, &spec, VIEW_LATEST);
	TransactionId *xmins = MemoryContextAllocHuge(CurrentMemoryContext,
												  sizeof(TransactionId) *
													  (set.nrows + 1));

	for (uint64 i = 0; i < set.nrows; i++)
		xmins[i] = DatumGetTransactionId(rowset_position(&set, i, 1, &isnull));
	*n = (int) set.nrows;
	rowset_free(&set);
	return xmins;
}

/*
 * The order of magnitude of a number of rows, since the best plan depends on
 * it; never 0, which says that there are no rows of values.
 */
static int
run_size(int nrows)
{
	int size = 1;

	for (; nrows > 1; nrows /= 8)
		size++;
	return size;
}

/* How many rows a statement over so many rows of values is to give; 0: all. */
static long
run_limit(const StatementSpec *spec, int nrows)
{
	long limit = statement_info(spec->kind)->limit;

	return limit == STMT_ROWS_AND_ONE ? (long) nrows + 1 : limit;
}

/* ----------
 * Many rows of a table that Citus manages
 *
 * Citus knows no statement that reads a relation of ours.  It sends parameters
 * to where the table's rows are: arrays, one for each column.  Two kinds of
 * statements are run for each row instead:
 *
 *	- An INSERT.  Citus would give the rows in the order of the shards.
 *	- A lock of rows that are on several nodes.  Citus locks those of one shard
 *	  only, and locks must be taken in one order by all calls.
 *
 * So is any statement over values that no array can carry.  What costs most of
 * all is a commit on several nodes, and there is one for the batch.
 * ----------
 */

/* How a statement over rows is given them. */
static RowsCarrier
run_carrier(const Target *target, const Rows *rows, StatementKind kind)
{
	switch (kind)
	{
		case STMT_MANY_INSERT:
		case STMT_MANY_INSERT_OR_YIELD:
		case STMT_MANY_INSERT_OVERRIDING:
			return ROWS_SINGLY;
		case STMT_MANY_LOCK:
		case STMT_MANY_LOCK_KEYS:
		case STMT_MANY_LOCK_IDS:
			if (target_spread(target)->kind == SPREAD_BY_COLUMN)
				return ROWS_SINGLY;
			break;
		default:
			break;
	}
	return rows_fit_arrays(rows) ? ROWS_ARRAYS : ROWS_SINGLY;
}

/* The columns of the primary key, and where a row of values has them. */
typedef struct KeyOrder
{
	const RowValues *rows;
	IdColumn columns[INDEX_MAX_KEYS];
	int ncolumns;
} KeyOrder;

/* qsort comparator: rows by the primary keys that they come with at the end. */
static int
run_compare_rows(const void *a, const void *b, void *arg)
{
	const KeyOrder *order = arg;
	int end = order->rows->ncolumns;
	const Datum *left = &order->rows->values[(Size) * (const int *) a * end];
	const Datum *right = &order->rows->values[(Size) * (const int *) b * end];

	for (int i = 0; i < order->ncolumns; i++)
	{
		int place = end - order->ncolumns + i;
		int result = ids_compare(&order->columns[i], left[place], right[place]);

		if (result != 0)
			return result;
	}
	return 0;
}

/*
 * The order in which the statement is run for the rows: as they come, or by the
 * primary key for those that come with one, all of it.
 */
static int *
run_order(const Target *target, const StatementSpec *spec,
		  const RowValues *rows)
{
	int *places = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(int) * rows->nrows);
	KeyOrder order = {.rows = rows};
	const AttrNumber *columns;

	for (int i = 0; i < rows->nrows; i++)
		places[i] = i;
	if (spec->kind != STMT_MANY_LOCK)
		return places;
	order.ncolumns = indexes_primary_key(target, &columns);
	for (int i = 0; i < order.ncolumns; i++)
		ids_of_column(&order.columns[i], target, columns[i]);
	qsort_arg(places, rows->nrows, sizeof(int), run_compare_rows, &order);
	return places;
}

/* Run a statement for each row of values, and add the rows that it gives. */
static void
run_singly(const Target *target, Rows *rows, const StatementSpec *spec,
		   View view, RowSet *set, RowErrorContext context, void *arg)
{
	RowValues values = rows_read(rows);
	int *places = run_order(target, spec, &values);
	char *nulls = palloc(values.ncolumns);
	RowsTurns turns;

	rows_begin_own_turns(&turns, rows, context, arg);
	for (int i = 0; i < values.nrows; i++)
	{
		Size first = (Size) places[i] * values.ncolumns;
		RowSet some = {.table = target};

		CHECK_FOR_INTERRUPTS();
		turns.turn = places[i] + 1;
		for (int c = 0; c < values.ncolumns; c++)
			nulls[c] = values.nulls[first + c] ? 'n' : ' ';
		some.nrows = run_statement(target, spec, &values.values[first], nulls,
								   view, run_limit(spec, 1));
		some.rows = SPI_tuptable;
		rowset_append(set, &some);
	}
	rows_end_turns(&turns);
}

/*
 * Run a statement over rows of values that are given as arrays.
 *
 * It touches several shards.  Citus would ask these at once, by several
 * connections to a node, and then refuse a later statement of the transaction
 * that writes to a reference table.  Calls for one row never have that effect.
 */
static void
run_arrays(const Target *target, Rows *rows, const StatementSpec *spec,
		   View view, RowSet *set)
{
	RowValues values = rows_read(rows);
	Datum *arrays = rows_make_arrays(&values);
	int level = settings_begin();

	settings_set("citus.multi_shard_modify_mode", "sequential");
	set->nrows = run_statement(target, spec, arrays, NULL, view,
							   run_limit(spec, values.nrows));
	settings_end(level);
	set->rows = SPI_tuptable;
}

/*
 * Run a statement over rows of values, one at least, on a table that Citus
 * manages, and free these.  "set" is empty, and gets the rows.
 */
static void
run_over_citus(const Target *target, Rows *rows, StatementSpec *spec, View view,
			   RowSet *set, RowErrorContext context, void *arg)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree rows of values",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	spec->carrier = run_carrier(target, rows, spec->kind);
	if (spec->carrier == ROWS_SINGLY)
	{
		spec->size = 0;
		run_singly(target, rows, spec, view, set, context, arg);
	}
	else
		run_arrays(target, rows, spec, view, set);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	rows_free(rows);
}

/* ----------
 * Many rows of any table
 * ----------
 */

/* Run a SELECT over rows of values, and free these. */
static RowSet
run_select_rows(const Target *target, Rows *rows, StatementSpec *spec,
				View view)
{
	int nrows = rows_count(rows);
	RowSet set = {.table = target,
				  .whole = spec->result == NULL,
				  .numbered = true};

	Assert(statement_info(spec->kind)->command == CMD_SELECT);
	if (nrows == 0)
	{
		rows_free(rows);
		return set;
	}
	spec->size = run_size(nrows);
	if (target_spread(target)->kind != SPREAD_NOT)
	{
		run_over_citus(target, rows, spec, view, &set, NULL, NULL);
		return set;
	}
	rows_register(rows);
	set.nrows = run_statement(target, spec, NULL, NULL, view,
							  run_limit(spec, nrows));
	set.rows = SPI_tuptable;
	rows_unregister(rows);
	return set;
}

/* Read the rows that have the keys. */
RowSet
run_rows_look(const Target *target, Rows *rows, const ColumnValues *key,
			  const ColumnValues *result, View view)
{
	StatementSpec spec = {.kind = STMT_MANY_LOOK, .key = key, .result = result};

	return run_select_rows(target, rows, &spec, view);
}

/* Read the rows that have the keys, of one column, by its index if it has one. */
RowSet
run_rows_find(const Target *target, Rows *rows, const ColumnValues *key,
			  const ColumnValues *result, View view)
{
	bool by_index = indexes_find_by(target, key->attnums[0]);
	StatementSpec spec = {.kind = by_index ? STMT_MANY_PROBE : STMT_MANY_LOOK,
						  .key = key,
						  .result = result,
						  .by_index = by_index};

	Assert(key->ncolumns == 1);
	return run_select_rows(target, rows, &spec, view);
}

/* Give no columns but the numbers, of all rows that have the keys. */
RowSet
run_rows_count(const Target *target, Rows *rows, const ColumnValues *key,
			   View view)
{
	ColumnValues no_columns = {0};
	StatementSpec spec = {.kind = STMT_MANY_COUNT,
						  .key = key,
						  .result = &no_columns};

	return run_select_rows(target, rows, &spec, view);
}

/* Lock the rows that have the keys, and read them. */
RowSet
run_rows_lock(const Target *target, Rows *rows, const ColumnValues *key,
			  const ColumnValues *result, RowsOrder order)
{
	static const StatementKind kinds[] = {
		[ROWS_BY_PRIMARY_KEY] = STMT_MANY_LOCK,
		[ROWS_BY_ID] = STMT_MANY_LOCK_IDS,
		[ROWS_BY_NUMBER] = STMT_MANY_LOCK_KEYS,
	};
	StatementSpec spec = {.kind = kinds[order], .key = key, .result = result};

	Assert(order != ROWS_BY_ID || key->ncolumns == 1);
	return run_select_rows(target, rows, &spec, VIEW_OWN);
}

/*
 * Run a statement that writes over rows of values, and free these.  The context of
 * errors names the row that it is at.
 */
static RowSet
run_write_rows(const Target *target, Rows *rows, StatementSpec *spec,
			   RowErrorContext context, void *arg)
{
	int nrows = rows_count(rows);
	SPIExecuteOptions options = {.tcount = run_limit(spec, nrows)};
	RowSet set = {.table = target,
				  .whole = spec->result == NULL,
				  .numbered = spec->kind == STMT_MANY_UPDATE ||
							  spec->kind == STMT_MANY_DELETE};
	SPIPlanPtr plan;
	RowsTurns turns;

	Assert(statement_info(spec->kind)->takes == STMT_TAKES_TURN);
	if (nrows == 0)
	{
		rows_free(rows);
		return set;
	}
	spec->size = run_size(nrows);
	if (target_spread(target)->kind != SPREAD_NOT)
	{
		run_over_citus(target, rows, spec, VIEW_OWN, &set, context, arg);
		return set;
	}
	rows_register(rows);
	plan = plan_fetch(target, spec);
	options.params = rows_begin_turns(&turns, rows, context, arg);
	run_check_result(spec, SPI_execute_plan_extended(plan, &options));
	rows_end_turns(&turns);
	set.nrows = SPI_processed;
	set.rows = SPI_tuptable;
	rows_unregister(rows);
	return set;
}

/* Insert rows, or yield to those that have the keys already. */
RowSet
run_rows_insert(const Target *target, Rows *rows, const ColumnValues *key,
				const ColumnValues *data, const ColumnValues *result,
				InsertMode mode, RowErrorContext context, void *arg)
{
	StatementSpec spec = {.kind = mode == INSERT_OR_YIELD
									  ? STMT_MANY_INSERT_OR_YIELD
								  : mode == INSERT_OVERRIDING
									  ? STMT_MANY_INSERT_OVERRIDING
									  : STMT_MANY_INSERT,
						  .key = key,
						  .data = data,
						  .result = result};

	return run_write_rows(target, rows, &spec, context, arg);
}

/* Set columns of the rows that have the keys. */
RowSet
run_rows_update(const Target *target, Rows *rows, const ColumnValues *key,
				const ColumnValues *data, const bool *partial,
				const ColumnValues *result, RowErrorContext context, void *arg)
{
	StatementSpec spec = {.kind = STMT_MANY_UPDATE,
						  .key = key,
						  .data = data,
						  .partial = partial,
						  .result = result};

	Assert(data->ncolumns > 0);
	return run_write_rows(target, rows, &spec, context, arg);
}

/* Delete the rows that have the keys. */
RowSet
run_rows_delete(const Target *target, Rows *rows, const ColumnValues *key,
				const ColumnValues *result)
{
	StatementSpec spec = {.kind = STMT_MANY_DELETE,
						  .key = key,
						  .result = result};

	return run_write_rows(target, rows, &spec, NULL, NULL);
}
