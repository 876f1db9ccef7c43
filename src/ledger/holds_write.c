/*-------------------------------------------------------------------------
 *
 * holds_write.c
 *	  Writing to the table of open holds.
 *
 * A call inserts, changes or deletes all of its holds with one statement each.
 * One hold is written by a statement for one row, which is faster.  Where the
 * table is guarded, the guards are told which rows to expect; see writes.c.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "ledger/holds_write.h"
#include "ledger/writes.h"

/* Holds that one statement writes. */
typedef struct HoldsWrite
{
	const Holds *holds;
	const Hold *const *all;
	int n;
	void (*run)(const struct HoldsWrite *write);
} HoldsWrite;

/* ----------
 * What is written
 * ----------
 */

/* Return true if the hold has no value in the column. */
static bool
write_is_null(const Hold *hold, HoldsColumn column)
{
	return column == HOLDS_EXPIRES_AT && !hold->expires;
}

/* The value of a hold in a column. */
static Datum
write_value(const Holds *holds, const Hold *hold, HoldsColumn column)
{
	switch (column)
	{
		case HOLDS_ENTRY_ID:
			return Int64GetDatum(hold->entry);
		case HOLDS_FROM_ID:
		case HOLDS_TO_ID:
			return ids_convert(holds->id_type, holds->types[column],
							   hold->ids[column - HOLDS_FROM_ID]);
		case HOLDS_AMOUNT:
			return NumericGetDatum(hold->rest);
		case HOLDS_EXPIRES_AT:
			return TimestampTzGetDatum(hold->expires_at);
	}
	return (Datum) 0;
}

/* Report the hold that a statement gave no row for, if it gave too few. */
static void
write_check_all(const HoldsWrite *write, const RowSet *set)
{
	bool *seen = palloc0(sizeof(bool) * (write->n + 1));

	for (uint64 i = 0; i < set->nrows; i++)
		seen[rowset_number(set, i)] = true;
	for (int i = 0; i < write->n; i++)
	{
		if (!seen[i])
			holds_error_changed(write->holds, write->all[i]->entry);
	}
	pfree(seen);
}

/* ----------
 * Guards
 * ----------
 */

/* A hold that is to be written, and whether it has been. */
typedef struct ExpectedHold
{
	const Hold *hold;
	WrittenOnce once;
} ExpectedHold;

typedef struct ExpectedHolds
{
	const HoldsWrite *write;
	bool deletes;
	ExpectedHold *expected; /* in the order of the entries */
} ExpectedHolds;

static int
expected_compare(const void *a, const void *b)
{
	int64 left = ((const ExpectedHold *) a)->hold->entry;
	int64 right = ((const ExpectedHold *) b)->hold->entry;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* Return true if a row has all that the hold has. */
static bool
expected_is_stored(const Holds *holds, const Hold *hold, const WrittenRow *row)
{
	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
	{
		AttrNumber attnum = holds->columns[c];
		Datum given = write_value(holds, hold, c);
		bool null = write_is_null(hold, c);
		bool isnull;
		Datum value = writes_column(holds->table, row, row->after, attnum,
									&isnull);
		ColumnValues a = {1, &attnum, &given, &null};
		ColumnValues b = {1, &attnum, &value, &isnull};

		if (values_find_difference(holds->table, &a, &b) != InvalidAttrNumber)
			return false;
	}
	return true;
}

/* Return true if the row is one of the holds, as it was to be written. */
static bool
holds_expect(const WrittenRow *row, void *arg)
{
	ExpectedHolds *expected = arg;
	const Holds *holds = expected->write->holds;
	HeapTuple version = row->after != NULL ? row->after : row->before;
	bool isnull;
	Hold wanted = {.entry = DatumGetInt64(
					   writes_column(holds->table, row, version,
									 holds->columns[HOLDS_ENTRY_ID], &isnull))};
	ExpectedHold key = {.hold = &wanted};
	ExpectedHold *found = bsearch(&key, expected->expected, expected->write->n,
								  sizeof(ExpectedHold), expected_compare);

	if (isnull || found == NULL || expected->deletes != (row->after == NULL) ||
		(row->after != NULL && !expected_is_stored(holds, found->hold, row)))
		return false;
	return writes_count(&found->once, row);
}

/* The holds that guards are to expect. */
static ExpectedHold *
holds_expected_rows(const HoldsWrite *write)
{
	ExpectedHold *expected =
		MemoryContextAllocExtended(CurrentMemoryContext,
								   sizeof(ExpectedHold) * write->n,
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int i = 0; i < write->n; i++)
		expected[i].hold = write->all[i];
	qsort(expected, write->n, sizeof(ExpectedHold), expected_compare);
	return expected;
}

/* Run the statement; where holds are guarded, tell the guards. */
static void
holds_run(const HoldsWrite *write, bool deletes)
{
	const Target *table = write->holds->table;
	ExpectedHolds expected = {.write = write, .deletes = deletes};

	Assert(write->n > 0);
	if (!target_fires(table, OWN_HOLD_GUARD))
	{
		write->run(write);
		return;
	}
	expected.expected = holds_expected_rows(write);
	WRITES_EXPECT(table, holds_expect, &expected, write->run(write));
	pfree(expected.expected);
}

/* ----------
 * INSERT
 * ----------
 */

/* The columns in the order of their numbers in the table. */
static void
insert_sort_columns(const Holds *holds, HoldsColumn *sorted)
{
	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
	{
		int place = 0;

		for (int other = 0; other < NUM_HOLDS_COLUMNS; other++)
			place += holds->columns[other] < holds->columns[c] ? 1 : 0;
		sorted[place] = c;
	}
}

/* Insert the one hold. */
static void
insert_one(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	const Hold *hold = write->all[0];
	ColumnValues no_key = {0};
	ColumnValues *data = values_make(NUM_HOLDS_COLUMNS);

	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
		values_set(data, c, holds->columns[c], write_value(holds, hold, c),
				   write_is_null(hold, c));
	values_sort(data);
	if (run_insert(holds->table, &no_key, data, false).nrows != 1)
		holds_error_changed(holds, hold->entry);
}

/* Insert several. */
static void
insert_many(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	ColumnValues no_key = {0};
	ColumnValues *data = holds_all_columns(holds);
	Rows *rows = rows_begin(1 + NUM_HOLDS_COLUMNS, write->n);
	HoldsColumn sorted[NUM_HOLDS_COLUMNS];
	RowSet set;

	values_sort(data);
	insert_sort_columns(holds, sorted);
	for (int n = 0; n < NUM_HOLDS_COLUMNS; n++)
		rows_add_base_column(rows, 'd', n + 1, holds->table,
							 holds->columns[sorted[n]]);
	for (int i = 0; i < write->n; i++)
	{
		for (int n = 0; n < NUM_HOLDS_COLUMNS; n++)
			rows_set(rows, 'd', n + 1,
					 write_value(holds, write->all[i], sorted[n]),
					 write_is_null(write->all[i], sorted[n]));
		rows_add(rows, i);
	}
	set = run_rows_insert(holds->table, rows, &no_key, data,
						  holds_key(holds, 0), INSERT_STRICT, NULL, NULL);
	if (set.nrows < write->n)
		holds_error_changed(holds, write->all[set.nrows]->entry);
}

/* Insert holds that were made. */
void
holds_insert(const Holds *holds, const Hold *const *all, int n)
{
	HoldsWrite write = {holds, all, n, n == 1 ? insert_one : insert_many};

	holds_run(&write, false);
}

/* ----------
 * UPDATE
 * ----------
 */

static void
update_one(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	const Hold *hold = write->all[0];
	ColumnValues *data = values_one(holds->columns[HOLDS_AMOUNT],
									NumericGetDatum(hold->rest), false);

	if (run_update(holds->table, holds_key(holds, hold->entry), data).nrows !=
		1)
		holds_error_changed(holds, hold->entry);
}

static void
update_many(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	ColumnValues *data = values_one(holds->columns[HOLDS_AMOUNT], (Datum) 0,
									false);
	Rows *rows = holds_begin_rows(holds, write->n, HOLDS_AMOUNT);
	RowSet set;

	for (int i = 0; i < write->n; i++)
	{
		rows_set(rows, 'k', 1, Int64GetDatum(write->all[i]->entry), false);
		rows_set(rows, 'd', 1, NumericGetDatum(write->all[i]->rest), false);
		rows_add(rows, i);
	}
	set = run_rows_update(holds->table, rows, holds_key(holds, 0), data, NULL,
						  holds_key(holds, 0), NULL, NULL);
	write_check_all(write, &set);
}

/* Store what is left of holds. */
void
holds_update(const Holds *holds, const Hold *const *all, int n)
{
	HoldsWrite write = {holds, all, n, n == 1 ? update_one : update_many};

	holds_run(&write, false);
}

/* ----------
 * DELETE
 * ----------
 */

static void
delete_one(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	int64 entry = write->all[0]->entry;

	if (run_delete(holds->table, holds_key(holds, entry)).nrows != 1)
		holds_error_changed(holds, entry);
}

static void
delete_many(const HoldsWrite *write)
{
	const Holds *holds = write->holds;
	Rows *rows = holds_begin_rows(holds, write->n, HOLDS_ENTRY_ID);
	RowSet set;

	for (int i = 0; i < write->n; i++)
	{
		rows_set(rows, 'k', 1, Int64GetDatum(write->all[i]->entry), false);
		rows_add(rows, i);
	}
	set = run_rows_delete(holds->table, rows, holds_key(holds, 0),
						  holds_key(holds, 0));
	write_check_all(write, &set);
}

/* Delete holds of which nothing is left. */
void
holds_delete(const Holds *holds, const Hold *const *all, int n)
{
	HoldsWrite write = {holds, all, n, n == 1 ? delete_one : delete_many};

	holds_run(&write, true);
}
