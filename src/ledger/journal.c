/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  The table that transfers are booked in.
 *
 * A journal is any table with the columns from_id, to_id and amount.  The other
 * columns of journal_columns.c are used where the table has them.
 *
 * Everything is allocated in the current memory context.  Entries that were
 * found point into results, and so last until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "ledger/guard.h"
#include "ledger/journal.h"
#include "table/columns.h"
#include "table/ids.h"
#include "table/traits.h"
#include "table/values.h"

/* ----------
 * The table
 * ----------
 */

const char *
journal_table_name(const Journal *journal)
{
	return RelationGetRelationName(target_relation(journal->table));
}

/*
 * Open a journal, locked in the given mode until the transaction ends.  A
 * table that cannot be one is an error.
 */
void
journal_open(Journal *journal, Oid relid, LOCKMODE lockmode)
{
	memset(journal, 0, sizeof(Journal));
	journal->table = target_open_table(relid, lockmode);
	journal->books = lockmode >= RowExclusiveLock;
	journal_columns_resolve(journal);
}

void
journal_close(Journal *journal)
{
	target_close(journal->table);
}

/* Check that ids which differ, or are equal, do so in both columns. */
static void
journal_check_id_collation(const Journal *journal, JournalColumn column,
						   const Accounts *accounts)
{
	Oid collation =
		target_column(journal->table, journal->columns[column])->attcollation;
	Oid other = accounts->id.collation;

	if (OidIsValid(collation) && OidIsValid(other) && collation != other &&
		(!get_collation_isdeterministic(collation) ||
		 !get_collation_isdeterministic(other)))
		ereport(ERROR,
				(errcode(ERRCODE_COLLATION_MISMATCH),
				 errmsg("column \"%s\" of journal \"%s\" has another "
						"collation than the accounts' ids",
						journal_column_name(column),
						journal_table_name(journal)),
				 errdetail("One of the two is not deterministic: ids that are "
						   "equal in it may differ in the other.")));
}

/* Check that a column can hold the accounts' ids. */
static void
journal_check_id_column(const Journal *journal, JournalColumn column,
						const Accounts *accounts)
{
	Oid type = journal->types[column];
	Oid id_base = accounts->id.type;
	Oid id_type = target_column(accounts->table, accounts->id.attnum)->atttypid;

	if (ids_is_integer(type) && ids_is_integer(id_base))
		return;
	if ((type != id_base && !IsBinaryCoercible(id_base, type)) ||
		columns_type(journal->table, journal->columns[column], 0)->eq_opr !=
			columns_type(accounts->table, accounts->id.attnum, 0)->eq_opr)
		journal_column_error_type(journal, column, format_type_be(id_type));
	journal_check_id_collation(journal, column, accounts);
}

/*
 * After a crash that empties the journal, requests would be booked again on
 * balances that had them.
 */
static void
journal_check_durability(const Journal *journal, const Accounts *accounts)
{
	if (traits_outlasts(accounts->table, journal->table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" is less durable than its accounts",
						journal_table_name(journal)),
				 errdetail("What is booked in a temporary or unlogged table is "
						   "lost when the session ends or the server crashes, "
						   "and requests would then be done again."),
				 errhint("Book in a permanent table. ALTER TABLE ... SET LOGGED "
						 "makes one of an unlogged table or partition.")));
}

/*
 * A request or reversal is looked for in the table that is named.  In a part of
 * a journal what another part has would not be found, and be booked again.  So
 * rules, too, are those of the whole.
 */
void
journal_check_is_whole(const Journal *journal)
{
	Relation rel = target_relation(journal->table);

	if (target_lock_root(journal->table) != RelationGetRelid(rel) ||
		target_has_several_parents(journal->table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is a part of a journal",
						RelationGetRelationName(rel)),
				 errdetail("Entries of the other parts would not be found."),
				 errhint("Name the table that it is a partition or child of.")));
}

/*
 * The journal must be that of these accounts, if it says whose it is, and be
 * able to hold their ids; to book entries, it must last as long as they do.
 */
void
journal_check_accounts(const Journal *journal, const Accounts *accounts)
{
	if (RelationGetRelid(target_relation(journal->table)) ==
		RelationGetRelid(target_relation(accounts->table)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table \"%s\" cannot hold both accounts and their "
						"journal",
						journal_table_name(journal))));
	guard_check_accounts(journal->table, accounts->table, accounts->id.attnum,
						 accounts->balance.attnum);
	if (journal->books)
	{
		journal_check_is_whole(journal);
		journal_check_durability(journal, accounts);
	}
	journal_check_id_column(journal, JOURNAL_FROM_ID, accounts);
	journal_check_id_column(journal, JOURNAL_TO_ID, accounts);
}

/* An id of that type as a value of the column's base type. */
Datum
journal_convert_id(const Journal *journal, JournalColumn column, Oid type,
				   Datum id)
{
	Oid column_type = journal->types[column];
	Datum value;
	int64 number;

	Assert(column == JOURNAL_FROM_ID || column == JOURNAL_TO_ID);
	if (type == column_type || !ids_is_integer(type) ||
		!ids_is_integer(column_type))
		return ids_convert(type, column_type, id);
	number = DatumGetInt64(ids_convert(type, INT8OID, id));
	if (!journal_integer_to_column(journal, column, number, &value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("account \"" INT64_FORMAT "\" cannot be named in "
						"column \"%s\" of journal \"%s\"",
						number, journal_column_name(column),
						journal_table_name(journal)),
				 errdetail("The column is of type %s.",
						   format_type_be(column_type))));
	return value;
}

/* ----------
 * Finding entries
 * ----------
 */

/* A column and its value, as a key. */
ColumnValues *
journal_key(const Journal *journal, JournalColumn column, Datum value)
{
	return values_one(journal->columns[column], value, false);
}

/* The columns of the journal that a statement gives, instead of all. */
ColumnValues *
journal_existing_columns(const Journal *journal)
{
	ColumnValues *columns = values_make(NUM_JOURNAL_COLUMNS);

	columns->ncolumns = 0;
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		if (journal_has(journal, c))
			values_set(columns, columns->ncolumns++, journal->columns[c],
					   (Datum) 0, true);
	}
	return columns;
}

/* Read an entry from a row of all columns, or of the existing ones. */
static void
journal_read_entry(const Journal *journal, const RowSet *set, uint64 i,
				   JournalEntry *entry)
{
	int position = 0;

	memset(entry, 0, sizeof(JournalEntry));
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		Datum value;
		bool isnull;

		if (!journal_has(journal, c))
			continue;
		position++;
		value = rowset_column(set, i, journal->columns[c], position, &isnull);
		journal_column_read(journal, c, value, isnull, entry);
	}
}

/* Report that several entries have the key. */
pg_noreturn static void
journal_error_several(const Journal *journal, const ColumnValues *key)
{
	error_several_rows(target_relation(journal->table),
					   psprintf("Key %s",
								values_describe(journal->table, key)));
}

/* Read an entry from a row, in the current memory context. */
static JournalEntry *
journal_make_entry(const Journal *journal, const RowSet *set, uint64 i)
{
	JournalEntry *entry = palloc(sizeof(JournalEntry));

	journal_read_entry(journal, set, i, entry);
	return entry;
}

/* Find the one entry that has the value in the column; NULL if there is none. */
static JournalEntry *
journal_find(const Journal *journal, JournalColumn column, Datum value,
			 View view, RowSet *row)
{
	ColumnValues *key = journal_key(journal, column, value);
	RowSet found = run_find(journal->table, key, view);

	Assert(journal_has(journal, column));
	if (found.nrows > 1)
		journal_error_several(journal, key);
	if (found.nrows == 0)
		return NULL;
	if (row != NULL)
		*row = found;
	return journal_make_entry(journal, &found, 0);
}

/* Find the entries that have the values in the column, with one statement. */
static int
journal_find_many(const Journal *journal, JournalColumn column,
				  const Datum *values, const bool *nulls, int nvalues,
				  View view, JournalEntry **entries)
{
	ColumnValues *key = journal_key(journal, column, (Datum) 0);
	Rows *rows = rows_begin(2, nvalues);
	RowSet found;

	rows_add_base_column(rows, 'k', 1, journal->table, key->attnums[0]);
	for (int i = 0; i < nvalues; i++)
	{
		if (nulls != NULL && nulls[i])
			continue;
		rows_set(rows, 'k', 1, values[i], false);
		rows_add(rows, i);
	}
	found = run_rows_find(journal->table, rows, key,
						  journal_existing_columns(journal), view);

	memset(entries, 0, sizeof(JournalEntry *) * nvalues);
	for (uint64 i = 0; i < found.nrows; i++)
	{
		int n = rowset_number(&found, i);

		key->values[0] = values[n];
		if (entries[n] != NULL)
			journal_error_several(journal, key);
		entries[n] = journal_make_entry(journal, &found, i);
	}
	return found.nrows;
}

/*
 * Find the entries that have the values in the column, and return their number.
 * A single value that is "alone" is looked for as one row, which "row" gets.
 */
int
journal_find_entries(const Journal *journal, JournalColumn column,
					 const Datum *values, const bool *nulls, int nvalues,
					 bool alone, View view, JournalEntry **entries, RowSet *row)
{
	if (!alone)
		return journal_find_many(journal, column, values, nulls, nvalues, view,
								 entries);
	Assert(nvalues == 1);
	entries[0] = NULL;
	if (nulls == NULL || !nulls[0])
		entries[0] = journal_find(journal, column, values[0], view, row);
	return entries[0] == NULL ? 0 : 1;
}

/*
 * The sum of the reversals of an entry.
 *
 * The caller holds the key lock of the entry's id, which every reversal takes
 * before it adds up and keeps until its transaction ends.  So all reversals of
 * other transactions are committed, and the snapshot is taken after the lock
 * was granted: at REPEATABLE READ, too, since the transaction's snapshot may be
 * older than a reversal for which this session waited.  With that snapshot the
 * reversal would not be counted, and more could go back than was moved.
 */
Numeric
journal_reversed(const Journal *journal, int64 id)
{
	Datum value;
	Numeric sum = NULL;

	Assert(journal->books && journal_has(journal, JOURNAL_REVERSES));
	if (journal_integer_to_column(journal, JOURNAL_REVERSES, id, &value))
		sum = run_sum(journal->table,
					  journal_key(journal, JOURNAL_REVERSES, value),
					  journal->columns[JOURNAL_AMOUNT], VIEW_LATEST);
	return sum == NULL ? int64_to_numeric(0) : sum;
}

/* The function that journal_scan() gives the entries to. */
typedef struct EntryTaker
{
	const Journal *journal;
	void (*take)(const JournalEntry *, void *);
	void *arg;
} EntryTaker;

/* Give one entry to the function. */
static void
journal_take_entry(const RowSet *set, uint64 i, void *arg)
{
	EntryTaker *taker = arg;
	JournalEntry entry;

	journal_read_entry(taker->journal, set, i, &entry);
	taker->take(&entry, taker->arg);
}

/*
 * Give all entries to the function, in the order of their ids, which is that
 * in which they were booked, as the query that called us sees them.  An entry
 * is there until the function returns.
 */
void
journal_scan(const Journal *journal, void (*take)(const JournalEntry *, void *),
			 void *arg)
{
	EntryTaker taker = {journal, take, arg};

	run_scan(journal->table, journal_key(journal, JOURNAL_ID, (Datum) 0),
			 journal_existing_columns(journal), journal_take_entry, &taker);
}
