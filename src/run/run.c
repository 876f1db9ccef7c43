/*-------------------------------------------------------------------------
 *
 * run.c
 *	  What can be done to a table's rows: the verbs.
 *
 * Each verb chooses the statement, runs it by its kept plan, and returns the
 * rows as a value.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"

#include "run/plans.h"
#include "run/run.h"

/* ----------
 * Beginning and end
 * ----------
 */

/* Begin to use verbs: until run_end(), the memory context is SPI's. */
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

/* ----------
 * Snapshots
 * ----------
 */

/* The command that the next statement will be; for VIEW_BEFORE. */
CommandId
run_next_command(void)
{
	CommandCounterIncrement();
	return GetCurrentCommandId(false);
}

/*
 * The latest snapshot, for several statements to look with, until
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
 * One row
 * ----------
 */

/* The rows that the last statement gave. */
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

/* Run one of the statements that find one row by its key. */
static RowSet
run_by_key(const Target *target, StatementKind kind, const ColumnValues *key,
		   const ColumnValues *data, View view)
{
	uint64 nrows = plan_run(target, kind, key, data, view);

	return run_result(target, nrows, true, false);
}

/* Read the row. */
RowSet
run_look(const Target *target, const ColumnValues *key, View view)
{
	return run_by_key(target, STMT_LOOK, key, NULL, view);
}

/* Read the row by a key of one column, by its index where it has one. */
RowSet
run_find(const Target *target, const ColumnValues *key, View view)
{
	uint64 nrows;

	Assert(key->ncolumns == 1);
	nrows = plan_probe(target, key, view);
	return run_result(target, nrows, true, false);
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
	return plan_run(target, STMT_EXISTS, key, NULL, view);
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

/* Add to a column of the row, if its old value is within the bound. */
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
	uint64 nrows;

	Assert((bound == ADD_ALWAYS) == (limit == NULL));
	nrows = plan_run_bounded(target, kinds[bound], key, &data,
							 NumericGetDatum(limit));
	return run_result(target, nrows, true, false);
}

/* Add up a column over the rows with the key; NULL without rows. */
Numeric
run_sum(const Target *target, const ColumnValues *key, AttrNumber column,
		View view)
{
	ColumnValues data = {.ncolumns = 1, .attnums = &column};
	bool isnull;
	Datum sum;

	plan_sum(target, key, &data, view);
	sum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						&isnull);
	return isnull ? NULL : DatumGetNumeric(sum);
}

/* ----------
 * Many rows
 * ----------
 */

/* Where a scan gives its rows. */
typedef struct ScanRun
{
	RowSet set;
	RunTake take;
	void *arg;
} ScanRun;

/* Give the rows that were fetched to the caller's function. */
static void
run_take_fetched(uint64 nrows, void *arg)
{
	ScanRun *run = arg;

	run->set.nrows = nrows;
	run->set.rows = SPI_tuptable;
	for (uint64 i = 0; i < nrows; i++)
		run->take(&run->set, i, run->arg);
}

/* Give each row of the table to the function. */
void
run_scan(const Target *target, const ColumnValues *order,
		 const ColumnValues *result, RunTake take, void *arg)
{
	ColumnValues no_order = {0};
	StatementSpec spec = {.kind = STMT_SCAN,
						  .key = order ? order : &no_order,
						  .result = result};
	ScanRun run = {.set = run_result(target, 0, result == NULL, false),
				   .take = take,
				   .arg = arg};

	plan_scan(target, &spec, run_take_fetched, &run);
}

/* Run a query of another room's. */
RowSet
run_query(const Target *target, const struct SqlQuery *query,
		  const AttrNumber *columns, Datum *values)
{
	ColumnValues no_key = {0};
	StatementSpec spec = {.kind = STMT_QUERY,
						  .key = &no_key,
						  .query = query,
						  .columns = columns};
	uint64 nrows = plan_read(target, &spec, values);

	return run_result(target, nrows, false, false);
}

/* Lock the rows whose id is in the array, in primary key order. */
RowSet
run_lock_ids(const Target *target, AttrNumber id, LockClauseStrength strength,
			 LockWaitPolicy wait, Datum ids)
{
	uint64 nrows = plan_lock_ids(target, id, strength, wait, ids);

	return run_result(target, nrows, true, false);
}

/*
 * Run a SELECT over rows of values, and free these.  With one row more than
 * there are rows of values, one of them has two.
 */
static RowSet
run_select_rows(const Target *target, Rows *rows, StatementSpec *spec,
				View view, bool all)
{
	int nrows = rows_count(rows);
	RowSet set = run_result(target, 0, spec->result == NULL, true);

	spec->size = plan_batch_size(nrows);
	rows_register(rows);
	if (nrows > 0)
	{
		set.nrows = plan_run_batch(target, spec, view, all ? 0 : nrows + 1);
		set.rows = SPI_tuptable;
	}
	else
		set.rows = NULL;
	rows_unregister(rows);
	return set;
}

/* Read the rows that have the keys. */
RowSet
run_rows_look(const Target *target, Rows *rows, const ColumnValues *key,
			  const ColumnValues *result, View view)
{
	StatementSpec spec = {.kind = STMT_MANY_LOOK, .key = key, .result = result};

	return run_select_rows(target, rows, &spec, view, false);
}

/* The same by keys of one column, by its index where it has one. */
RowSet
run_rows_find(const Target *target, Rows *rows, const ColumnValues *key,
			  const ColumnValues *result, View view)
{
	bool by_index = target_has_index(target, key->attnums[0]);
	StatementSpec spec = {.kind = by_index ? STMT_MANY_PROBE : STMT_MANY_LOOK,
						  .key = key,
						  .result = result,
						  .by_index = by_index};

	Assert(key->ncolumns == 1);
	return run_select_rows(target, rows, &spec, view, false);
}

/* Give the number of every row that has the key, and no column. */
RowSet
run_rows_count(const Target *target, Rows *rows, const ColumnValues *key,
			   View view)
{
	ColumnValues no_columns = {0};
	StatementSpec spec = {.kind = STMT_MANY_LOOK,
						  .key = key,
						  .result = &no_columns};

	return run_select_rows(target, rows, &spec, view, true);
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

	return run_select_rows(target, rows, &spec, VIEW_OWN, false);
}

/* An INSERT or UPDATE over rows of values, while it runs. */
typedef struct WriteRun
{
	const Rows *rows;
	int turn; /* of the row that was fetched last, counted from 1 */
	RowErrorContext context;
	void *arg;
} WriteRun;

/* Error context callback: give the row's number to the caller's callback. */
static void
run_error_context(void *arg)
{
	WriteRun *run = arg;
	int number;

	if (rows_number_of_turn(run->rows, run->turn, &number))
		run->context(number, run->arg);
}

/*
 * Run an INSERT or UPDATE over rows of values, and free these.  A row more than
 * there are is put behind them, so that a plan which reads all rows before it
 * writes leaves the turn past the end, and no row is named for an error.
 */
static RowSet
run_write_rows(const Target *target, Rows *rows, StatementSpec *spec,
			   RowErrorContext context, void *arg)
{
	int nrows = rows_count(rows);
	WriteRun run = {.rows = rows, .context = context, .arg = arg};
	ErrorContextCallback callback = {.callback = run_error_context,
									 .arg = &run};
	RowSet set = run_result(target, 0, spec->result == NULL,
							spec->kind == STMT_MANY_UPDATE);

	spec->size = plan_batch_size(nrows);
	rows_put_end(rows);
	rows_register(rows);
	set.rows = NULL;
	if (nrows > 0)
	{
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		set.nrows = plan_write_batch(target, spec, &run.turn,
									 set.numbered ? nrows + 1 : 0);
		error_context_stack = callback.previous;
		set.rows = SPI_tuptable;
	}
	rows_unregister(rows);
	return set;
}

/* Insert rows, or yield to those that have the keys already. */
RowSet
run_rows_insert(const Target *target, Rows *rows, const ColumnValues *key,
				const ColumnValues *data, const ColumnValues *result,
				bool yield, RowErrorContext context, void *arg)
{
	StatementSpec spec = {.kind = yield ? STMT_MANY_INSERT_OR_YIELD
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

	return run_write_rows(target, rows, &spec, context, arg);
}
