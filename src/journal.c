/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  The table that transfers are booked in.
 *
 * A journal is any table with the columns from_id, to_id and amount.  What
 * else is in the list of column_names[] is used where it is there.
 *
 * A request is booked once: who wants to book one looks for it, locks its key
 * as get_or_create() does, looks again with a snapshot that is newer than the
 * lock, and inserts the entry when all else is done.  An entry that was
 * inserted earlier would lock the accounts for its foreign keys before they
 * are locked in order.  Who wants to reverse an entry locks the key of its id,
 * so that the sum of what was reversed holds until the end.
 *
 * Everything is allocated in the current memory context.  Entries that were
 * found point into SPI's result, and so last until SPI_finish().  The callers
 * are connected to SPI where statements are run.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "args.h"
#include "errors.h"
#include "journal.h"
#include "keylock.h"
#include "plans.h"
#include "rows.h"

static const char *const column_names[] = {
	[JOURNAL_ID] = "id",
	[JOURNAL_REQUEST_ID] = "request_id",
	[JOURNAL_FROM_ID] = "from_id",
	[JOURNAL_TO_ID] = "to_id",
	[JOURNAL_AMOUNT] = "amount",
	[JOURNAL_FROM_BALANCE] = "from_balance",
	[JOURNAL_TO_BALANCE] = "to_balance",
	[JOURNAL_REVERSES] = "reverses",
	[JOURNAL_DETAILS] = "details",
	[JOURNAL_CREATED_AT] = "created_at",
};

static Relation
journal_relation(const Journal *journal)
{
	return target_relation(journal->table);
}

/* ----------
 * Columns
 * ----------
 */

/* Has the journal that column? */
bool
journal_has(const Journal *journal, JournalColumn column)
{
	return journal->columns[column] != InvalidAttrNumber;
}

/* It is an error if it has not. */
void
journal_need(const Journal *journal, JournalColumn column)
{
	if (!journal_has(journal, column))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("journal \"%s\" has no column \"%s\"",
						RelationGetRelationName(journal_relation(journal)),
						column_names[column]),
				 errhint("create_journal() makes a journal with all "
						 "columns.")));
}

/* The base type of a column that is there. */
Oid
journal_column_type(const Journal *journal, JournalColumn column)
{
	return getBaseType(
		target_column(journal->table, journal->columns[column])->atttypid);
}

static void
error_column_type(const Journal *journal, JournalColumn column,
				  const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of journal \"%s\" is of type %s",
					column_names[column],
					RelationGetRelationName(journal_relation(journal)),
					format_type_be(target_column(journal->table,
												 journal->columns[column])
									   ->atttypid)),
			 errhint("It must be of type %s.", wanted)));
}

static void
check_type(const Journal *journal, JournalColumn column, Oid type)
{
	if (journal_has(journal, column) &&
		journal_column_type(journal, column) != type)
		error_column_type(journal, column, format_type_be(type));
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static void
check_integer(const Journal *journal, JournalColumn column)
{
	if (journal_has(journal, column) &&
		!is_integer(journal_column_type(journal, column)))
		error_column_type(journal, column, "smallint, integer or bigint");
}

static void
check_money(const Journal *journal, JournalColumn column, MoneyColumn *money)
{
	if (journal_has(journal, column) &&
		!money_column(journal->table, journal->columns[column], money))
		error_column_type(journal, column,
						  "smallint, integer, bigint, numeric or money");
}

/* Find the columns by their names, and see what they are. */
static void
find_columns(Journal *journal)
{
	TupleDesc tupdesc = RelationGetDescr(journal_relation(journal));

	memset(journal->columns, 0, sizeof(journal->columns));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		for (int c = 0; c < NUM_JOURNAL_COLUMNS && !att->attisdropped; c++)
		{
			if (strcmp(NameStr(att->attname), column_names[c]) == 0)
				journal->columns[c] = att->attnum;
		}
	}
	journal_need(journal, JOURNAL_FROM_ID);
	journal_need(journal, JOURNAL_TO_ID);
	journal_need(journal, JOURNAL_AMOUNT);
	check_integer(journal, JOURNAL_ID);
	check_integer(journal, JOURNAL_REVERSES);
	check_money(journal, JOURNAL_AMOUNT, &journal->amount);
	check_money(journal, JOURNAL_FROM_BALANCE, &journal->from_balance);
	check_money(journal, JOURNAL_TO_BALANCE, &journal->to_balance);
	check_type(journal, JOURNAL_DETAILS, JSONBOID);
	check_type(journal, JOURNAL_CREATED_AT, TIMESTAMPTZOID);
}

/*
 * Open a journal, locked in the given mode until the transaction ends.  A
 * table that cannot be one is an error.
 */
void
journal_open(Journal *journal, Oid relid, LOCKMODE lockmode)
{
	journal->table = target_open_table(relid, lockmode);
	find_columns(journal);
}

void
journal_close(Journal *journal)
{
	target_close(journal->table);
}

/* Can one column hold the ids of the other? */
static void
check_id_column(const Journal *journal, JournalColumn column,
				const Target *accounts, AttrNumber id_attnum)
{
	Oid type = journal_column_type(journal, column);
	Oid id_type = target_column(accounts, id_attnum)->atttypid;
	Oid id_base = getBaseType(id_type);

	if (type != id_base && !(is_integer(type) && is_integer(id_base)) &&
		!IsBinaryCoercible(id_base, type))
		error_column_type(journal, column, format_type_be(id_type));
}

/* The journal must be able to hold the ids of these accounts. */
void
journal_check_ids(const Journal *journal, const Target *accounts,
				  AttrNumber id_attnum)
{
	check_id_column(journal, JOURNAL_FROM_ID, accounts, id_attnum);
	check_id_column(journal, JOURNAL_TO_ID, accounts, id_attnum);
}

/* An id of that type as a value of the column's base type. */
Datum
journal_convert_id(const Journal *journal, JournalColumn column, Oid type,
				   Datum id)
{
	return args_convert_id(type, journal_column_type(journal, column), id);
}

/* A request id as a value of its column. */
Datum
journal_convert_request(const Journal *journal, const char *text)
{
	Form_pg_attribute att;
	Oid function;
	Oid io_param;

	journal_need(journal, JOURNAL_REQUEST_ID);
	att = target_column(journal->table, journal->columns[JOURNAL_REQUEST_ID]);
	getTypeInputInfo(att->atttypid, &function, &io_param);
	return OidInputFunctionCall(function, unconstify(char *, text), io_param,
								att->atttypmod);
}

/* The order of request ids, in which a batch sorts them. */
int
journal_compare_requests(const Journal *journal, Datum a, Datum b)
{
	AttrNumber attnum = journal->columns[JOURNAL_REQUEST_ID];
	FmgrInfo *compare = target_id_comparison(journal->table, attnum);

	return DatumGetInt32(FunctionCall2Coll(
		compare, target_column(journal->table, attnum)->attcollation, a, b));
}

/* An integer as a value of the column; false if it cannot hold it. */
static bool
integer_to_column(const Journal *journal, JournalColumn column, int64 number,
				  Datum *value)
{
	switch (journal_column_type(journal, column))
	{
		case INT2OID:
			*value = Int16GetDatum((int16) number);
			return number >= PG_INT16_MIN && number <= PG_INT16_MAX;
		case INT4OID:
			*value = Int32GetDatum((int32) number);
			return number >= PG_INT32_MIN && number <= PG_INT32_MAX;
		default:
			*value = Int64GetDatum(number);
			return true;
	}
}

static int64
integer_from_column(const Journal *journal, JournalColumn column, Datum value)
{
	switch (journal_column_type(journal, column))
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* ----------
 * Reading
 * ----------
 */

/* The columns of the journal that a statement gives, instead of all. */
static ColumnValues *
existing_columns(const Journal *journal)
{
	ColumnValues *columns = args_make_columns(NUM_JOURNAL_COLUMNS);

	columns->ncolumns = 0;
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		if (journal_has(journal, c))
			columns->attnums[columns->ncolumns++] = journal->columns[c];
	}
	return columns;
}

static Numeric
read_money(const MoneyColumn *column, Datum value, bool isnull)
{
	return isnull ? NULL : money_from_column(column, value);
}

/* Take one column of a row into the entry. */
static void
read_column(const Journal *journal, JournalColumn column, Datum value,
			bool isnull, JournalEntry *entry)
{
	switch (column)
	{
		case JOURNAL_ID:
			entry->has_id = !isnull;
			if (!isnull)
				entry->id = integer_from_column(journal, column, value);
			break;
		case JOURNAL_REQUEST_ID:
			entry->has_request = !isnull;
			entry->request = value;
			break;
		case JOURNAL_FROM_ID:
		case JOURNAL_TO_ID:
			entry->ids[column - JOURNAL_FROM_ID] = value;
			entry->no_id[column - JOURNAL_FROM_ID] = isnull;
			break;
		case JOURNAL_AMOUNT:
			entry->amount = read_money(&journal->amount, value, isnull);
			break;
		case JOURNAL_FROM_BALANCE:
			entry->from_balance = read_money(&journal->from_balance, value,
											 isnull);
			break;
		case JOURNAL_TO_BALANCE:
			entry->to_balance = read_money(&journal->to_balance, value, isnull);
			break;
		case JOURNAL_REVERSES:
			entry->has_reverses = !isnull;
			if (!isnull)
				entry->reverses = integer_from_column(journal, column, value);
			break;
		case JOURNAL_DETAILS:
		case JOURNAL_CREATED_AT:
			break;
	}
}

/*
 * Read an entry from a row that lists all live columns ("whole"), or the
 * existing columns of a journal.
 */
static void
read_entry(const Journal *journal, HeapTuple tuple, TupleDesc tupdesc,
		   bool whole, JournalEntry *entry)
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
		value = whole ? target_row_value(journal->table, tuple, tupdesc,
										 journal->columns[c], &isnull)
					  : heap_getattr(tuple, position, tupdesc, &isnull);
		read_column(journal, c, value, isnull, entry);
	}
}

/* A column and its value, as a key. */
static ColumnValues *
make_key(const Journal *journal, JournalColumn column, Datum value)
{
	ColumnValues *key = args_make_columns(1);

	key->attnums[0] = journal->columns[column];
	key->values[0] = value;
	key->nulls[0] = false;
	return key;
}

/* Find the one entry that has the value in the column. */
static bool
find_entry(const Journal *journal, JournalColumn column, Datum value,
		   PlanView view, JournalEntry *entry)
{
	ColumnValues *key = make_key(journal, column, value);
	uint64 nrows = plan_run(journal->table, STMT_LOOK, key, NULL, view);

	if (nrows > 1)
		error_several_rows(journal_relation(journal),
						   psprintf("Key %s",
									args_describe(journal->table, key)));
	if (nrows == 0)
		return false;
	read_entry(journal, SPI_tuptable->vals[0], SPI_tuptable->tupdesc, true,
			   entry);
	entry->row = target_form_row(journal->table, SPI_tuptable->vals[0],
								 SPI_tuptable->tupdesc);
	return true;
}

/*
 * Find an entry by its id, which is locked.  One that was booked after our
 * snapshot is a serialization failure.
 */
bool
journal_find_entry(const Journal *journal, int64 id, JournalEntry *entry)
{
	Datum value;

	if (!integer_to_column(journal, JOURNAL_ID, id, &value))
		return false;
	if (find_entry(journal, JOURNAL_ID, value, VIEW_OWN, entry))
		return true;
	if (IsolationUsesXactSnapshot() &&
		find_entry(journal, JOURNAL_ID, value, VIEW_LATEST, entry))
		error_serialization(journal_relation(journal));
	return false;
}

/* How much of an entry, whose id is locked, was reversed by now. */
Numeric
journal_reversed(const Journal *journal, int64 id)
{
	AttrNumber amount = journal->columns[JOURNAL_AMOUNT];
	ColumnValues data = {.ncolumns = 1, .attnums = &amount};
	Datum value;
	Datum sum;
	bool isnull;

	if (!integer_to_column(journal, JOURNAL_REVERSES, id, &value))
		return int64_to_numeric(0);
	(void) plan_sum(journal->table, make_key(journal, JOURNAL_REVERSES, value),
					&data, VIEW_LATEST);
	sum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						&isnull);
	return isnull ? int64_to_numeric(0) : DatumGetNumeric(sum);
}

/* The column that gives the order in which entries were booked. */
static JournalColumn
order_column(const Journal *journal)
{
	if (!journal_has(journal, JOURNAL_ID) &&
		journal_has(journal, JOURNAL_CREATED_AT))
		return JOURNAL_CREATED_AT;
	journal_need(journal, JOURNAL_ID);
	return JOURNAL_ID;
}

/* What journal_scan() gives the entries to. */
typedef struct EntryTaker
{
	const Journal *journal;
	void (*take)(const JournalEntry *, void *);
	void *arg;
} EntryTaker;

static void
take_entry(HeapTuple tuple, TupleDesc tupdesc, void *arg)
{
	EntryTaker *taker = arg;
	JournalEntry entry;

	read_entry(taker->journal, tuple, tupdesc, false, &entry);
	taker->take(&entry, taker->arg);
}

/*
 * Give all entries to the function, in the order in which they were booked, as
 * the query that called us sees them.  An entry is there until the function
 * returns.
 */
void
journal_scan(const Journal *journal, void (*take)(const JournalEntry *, void *),
			 void *arg)
{
	EntryTaker taker = {journal, take, arg};
	StatementSpec spec = {.kind = STMT_SCAN,
						  .key = make_key(journal, order_column(journal), 0),
						  .result = existing_columns(journal)};

	plan_scan(journal->table, &spec, take_entry, &taker);
}

/* ----------
 * Requests
 * ----------
 */

/* Wait for whoever books this request, or reverses this entry. */
static void
lock_keys_of(const Journal *journal, const JournalEntry *asked)
{
	KeyLock locks[2];
	int nlocks = 0;
	Datum id;

	if (asked->has_request)
		locks[nlocks++] = keylock_of(journal->table,
									 make_key(journal, JOURNAL_REQUEST_ID,
											  asked->request));
	if (asked->has_reverses &&
		integer_to_column(journal, JOURNAL_ID, asked->reverses, &id))
		locks[nlocks++] = keylock_of(journal->table,
									 make_key(journal, JOURNAL_ID, id));
	keylock_acquire(locks, nlocks);
}

/*
 * Was the request booked already?  Then give that entry and return true.
 * Otherwise it is ours until the transaction ends, and so is the entry that is
 * to be reversed.
 */
bool
journal_claim(const Journal *journal, const JournalEntry *asked,
			  JournalEntry *booked)
{
	if (asked->has_request && find_entry(journal, JOURNAL_REQUEST_ID,
										 asked->request, VIEW_OWN, booked))
		return true;
	lock_keys_of(journal, asked);
	if (!asked->has_request || !find_entry(journal, JOURNAL_REQUEST_ID,
										   asked->request, VIEW_LATEST, booked))
		return false;
	if (IsolationUsesXactSnapshot() &&
		!find_entry(journal, JOURNAL_REQUEST_ID, asked->request, VIEW_OWN,
					booked))
		error_serialization(journal_relation(journal));
	return true;
}

/* Find the entries of many requests, and return their number. */
static int
find_requests(const Journal *journal, const Datum *requests, int nrequests,
			  PlanView view, JournalEntry **booked)
{
	ColumnValues *key = make_key(journal, JOURNAL_REQUEST_ID, (Datum) 0);
	StatementSpec spec = {.kind = STMT_BATCH_LOOK,
						  .key = key,
						  .result = existing_columns(journal),
						  .size = plan_batch_size(nrequests)};
	Rows *rows = rows_begin(2, nrequests);
	uint64 nrows;

	rows_add_column(rows, 'k', 1, journal->table, key->attnums[0]);
	for (int i = 0; i < nrequests; i++)
	{
		Datum values[2] = {Int32GetDatum(i), requests[i]};
		bool nulls[2] = {false, false};

		rows_put(rows, values, nulls);
	}
	rows_register(rows);
	nrows = plan_run_batch(journal->table, &spec, view, nrequests + 1);
	rows_unregister(rows);

	memset(booked, 0, sizeof(JournalEntry *) * nrequests);
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc tupdesc = SPI_tuptable->tupdesc;
		bool isnull;
		int n = DatumGetInt32(
			heap_getattr(tuple, tupdesc->natts, tupdesc, &isnull));

		key->values[0] = requests[n];
		if (booked[n] != NULL)
			error_several_rows(journal_relation(journal),
							   psprintf("Key %s",
										args_describe(journal->table, key)));
		booked[n] = palloc(sizeof(JournalEntry));
		read_entry(journal, tuple, tupdesc, false, booked[n]);
	}
	return nrows;
}

/*
 * The same for the requests of a batch, which are all different.  Where one
 * was not booked, its entry is NULL, and it is ours.
 */
void
journal_claim_many(const Journal *journal, const Datum *requests, int nrequests,
				   JournalEntry **booked)
{
	ColumnValues *key = make_key(journal, JOURNAL_REQUEST_ID, (Datum) 0);
	KeyLock *locks;
	int nbooked;

	if (nrequests == 0)
		return;
	locks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(KeyLock) * nrequests);
	for (int i = 0; i < nrequests; i++)
	{
		key->values[0] = requests[i];
		locks[i] = keylock_of(journal->table, key);
	}
	keylock_acquire(locks, nrequests);
	pfree(locks);

	nbooked = find_requests(journal, requests, nrequests, VIEW_LATEST, booked);
	if (nbooked > 0 && IsolationUsesXactSnapshot() &&
		find_requests(journal, requests, nrequests, VIEW_OWN, booked) < nbooked)
		error_serialization(journal_relation(journal));
}

/* Do both have the same id on that side? */
static bool
same_id(const Journal *journal, const JournalEntry *booked,
		const JournalEntry *asked, JournalColumn column)
{
	int side = column - JOURNAL_FROM_ID;
	ColumnValues *a = make_key(journal, column, booked->ids[side]);
	ColumnValues *b = make_key(journal, column, asked->ids[side]);
	bool same;

	a->nulls[0] = booked->no_id[side];
	b->nulls[0] = asked->no_id[side];
	same = args_find_difference(journal->table, a, b) == InvalidAttrNumber;
	pfree(a);
	pfree(b);
	return same;
}

/* "up_to" may have moved less than was asked for. */
static bool
same_amount(const JournalEntry *booked, const JournalEntry *asked, bool up_to)
{
	int order;

	if (booked->amount == NULL || asked->amount == NULL)
		return false;
	order = money_compare(booked->amount, asked->amount);
	return order == 0 || (up_to && order < 0);
}

/*
 * What was booked under a request, and what is asked for now: the first column
 * in which they differ from "start" on, or NUM_JOURNAL_COLUMNS.  A reversal is
 * known by the entry that it reverses, and by its amount if it names one.
 */
static int
find_difference(const Journal *journal, const JournalEntry *booked,
				const JournalEntry *asked, bool up_to, int start)
{
	for (int c = start; c < NUM_JOURNAL_COLUMNS; c++)
	{
		bool same = true;

		if (c == JOURNAL_REVERSES)
			same = booked->has_reverses == asked->has_reverses &&
				   booked->reverses == asked->reverses;
		else if (c == JOURNAL_AMOUNT)
			same = (asked->has_reverses && asked->amount == NULL) ||
				   same_amount(booked, asked, up_to);
		else if (!asked->has_reverses &&
				 (c == JOURNAL_FROM_ID || c == JOURNAL_TO_ID))
			same = same_id(journal, booked, asked, c);
		if (!same)
			return c;
	}
	return NUM_JOURNAL_COLUMNS;
}

/* Was what is asked for booked just so? */
bool
journal_is_replay(const Journal *journal, const JournalEntry *booked,
				  const JournalEntry *asked, bool up_to)
{
	return find_difference(journal, booked, asked, up_to, 0) ==
		   NUM_JOURNAL_COLUMNS;
}

/* One column of an entry, for messages. */
static const char *
print_column(const Journal *journal, const JournalEntry *entry, int column)
{
	switch (column)
	{
		case JOURNAL_AMOUNT:
			return entry->amount ? money_print(entry->amount) : "null";
		case JOURNAL_REVERSES:
			return entry->has_reverses ? psprintf(INT64_FORMAT, entry->reverses)
									   : "null";
		default:
			if (entry->no_id[column - JOURNAL_FROM_ID])
				return "null";
			return args_print_id(journal->table, journal->columns[column],
								 entry->ids[column - JOURNAL_FROM_ID]);
	}
}

/* Say in which columns they differ. */
void
journal_raise_difference(const Journal *journal, const JournalEntry *booked,
						 const JournalEntry *asked, bool up_to)
{
	StringInfoData detail;
	int c = 0;

	initStringInfo(&detail);
	while ((c = find_difference(journal, booked, asked, up_to, c)) <
		   NUM_JOURNAL_COLUMNS)
	{
		appendStringInfo(&detail, "%s\"%s\" was %s and is %s now",
						 detail.len > 0 ? ", " : "", column_names[c],
						 print_column(journal, booked, c),
						 print_column(journal, asked, c));
		c++;
	}
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_REQUEST_DIFFERS),
			 errmsg("request \"%s\" was booked in journal \"%s\" as another "
					"transfer",
					args_print_id(journal->table,
								  journal->columns[JOURNAL_REQUEST_ID],
								  asked->request),
					RelationGetRelationName(journal_relation(journal))),
			 errdetail("%s.", detail.data),
			 errhint("Give each transfer a request_id of its own, and the "
					 "same one only when it is tried again.")));
}

/* ----------
 * Booking
 * ----------
 */

/* The columns that an INSERT gives, in ascending order. */
typedef struct BookedColumns
{
	int ncolumns;
	JournalColumn columns[NUM_JOURNAL_COLUMNS];
	AttrNumber attnums[NUM_JOURNAL_COLUMNS];
} BookedColumns;

/* Is there anything to say in that column? */
static bool
is_given(const Journal *journal, JournalColumn column,
		 const JournalEntry *entry)
{
	switch (column)
	{
		case JOURNAL_ID:
			return false;
		case JOURNAL_REQUEST_ID:
			return entry->has_request;
		case JOURNAL_REVERSES:
			return entry->has_reverses;
		case JOURNAL_DETAILS:
			return entry->details != NULL;
		default:
			return journal_has(journal, column);
	}
}

/* The columns in which any of the entries has something to say. */
static void
choose_columns(const Journal *journal, JournalEntry **entries, int nentries,
			   BookedColumns *booked)
{
	booked->ncolumns = 0;
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		int i;
		int n;

		for (i = 0; i < nentries && !is_given(journal, c, entries[i]); i++)
			;
		if (i == nentries)
			continue;
		journal_need(journal, c);
		for (n = booked->ncolumns++;
			 n > 0 && booked->attnums[n - 1] > journal->columns[c]; n--)
		{
			booked->columns[n] = booked->columns[n - 1];
			booked->attnums[n] = booked->attnums[n - 1];
		}
		booked->columns[n] = c;
		booked->attnums[n] = journal->columns[c];
	}
}

static Datum
balance_value(const Journal *journal, JournalColumn column, Numeric balance)
{
	const MoneyColumn *money = column == JOURNAL_FROM_BALANCE
								   ? &journal->from_balance
								   : &journal->to_balance;

	if (!money_is_exact(money, balance))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance %s cannot be held exactly in column \"%s\" "
						"of journal \"%s\"",
						money_print(balance), column_names[column],
						RelationGetRelationName(journal_relation(journal)))));
	return money_to_column(money, balance);
}

/* What goes into that column. */
static Datum
column_value(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, TimestampTz now, bool *isnull)
{
	Datum value = (Datum) 0;

	*isnull = false;
	switch (column)
	{
		case JOURNAL_REQUEST_ID:
			*isnull = !entry->has_request;
			return entry->request;
		case JOURNAL_FROM_ID:
		case JOURNAL_TO_ID:
			return entry->ids[column - JOURNAL_FROM_ID];
		case JOURNAL_AMOUNT:
			return money_to_column(&journal->amount, entry->amount);
		case JOURNAL_FROM_BALANCE:
			return balance_value(journal, column, entry->from_balance);
		case JOURNAL_TO_BALANCE:
			return balance_value(journal, column, entry->to_balance);
		case JOURNAL_REVERSES:
			*isnull = !entry->has_reverses;
			(void) integer_to_column(journal, column, entry->reverses, &value);
			return value;
		case JOURNAL_DETAILS:
			*isnull = entry->details == NULL;
			return JsonbPGetDatum(entry->details);
		case JOURNAL_CREATED_AT:
			return TimestampTzGetDatum(now);
		case JOURNAL_ID:
			break;
	}
	elog(ERROR, "unexpected column of a journal: %d", (int) column);
}

/* The values of an entry, in the order of the columns. */
static void
entry_values(const Journal *journal, const BookedColumns *booked,
			 const JournalEntry *entry, TimestampTz now, Datum *values,
			 bool *nulls)
{
	for (int i = 0; i < booked->ncolumns; i++)
		values[i] = column_value(journal, booked->columns[i], entry, now,
								 &nulls[i]);
}

/*
 * A trigger may have changed what was booked.  Then the journal would not tell
 * the truth, or the request would not be found the next time.
 */
static void
check_booked(const Journal *journal, const BookedColumns *booked,
			 const Datum *values, const bool *nulls, HeapTuple tuple,
			 TupleDesc tupdesc, const int *positions)
{
	for (int i = 0; i < booked->ncolumns; i++)
	{
		ColumnValues *given;
		ColumnValues *stored;

		if (booked->columns[i] == JOURNAL_DETAILS ||
			booked->columns[i] == JOURNAL_CREATED_AT)
			continue;
		given = make_key(journal, booked->columns[i], values[i]);
		given->nulls[0] = nulls[i];
		stored = make_key(journal, booked->columns[i], (Datum) 0);
		stored->values[0] = heap_getattr(tuple, positions[i], tupdesc,
										 &stored->nulls[0]);
		if (args_find_difference(journal->table, given, stored) !=
			InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("column \"%s\" of journal \"%s\" was not stored "
							"as given",
							column_names[booked->columns[i]],
							RelationGetRelationName(
								journal_relation(journal))),
					 errhint("A trigger on the journal seems to change the "
							 "column.")));
	}
}

/* Which entry is being inserted, for the context of errors. */
typedef struct BookingProgress
{
	JournalEntry **entries;
	int nentries;
	int turn; /* counted from 1 */
} BookingProgress;

static void
booking_error_context(void *arg)
{
	BookingProgress *progress = arg;

	if (progress->turn >= 1 && progress->turn <= progress->nentries &&
		progress->entries[progress->turn - 1]->number > 0)
		errcontext("transfer %d",
				   progress->entries[progress->turn - 1]->number);
}

/* The entries as rows for an INSERT. */
static Rows *
register_entries(const Journal *journal, const BookedColumns *booked,
				 BookingProgress *progress, TimestampTz now)
{
	Rows *rows = rows_begin(1 + booked->ncolumns, progress->nentries);
	MemoryContext scratch;
	MemoryContext old;

	for (int i = 0; i < booked->ncolumns; i++)
		rows_add_column(rows, 'd', i + 1, journal->table, booked->attnums[i]);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree entries",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (int i = 0; i < progress->nentries; i++)
	{
		Datum values[1 + NUM_JOURNAL_COLUMNS];
		bool nulls[1 + NUM_JOURNAL_COLUMNS] = {false};

		progress->turn = i + 1;
		values[0] = Int32GetDatum(i);
		entry_values(journal, booked, progress->entries[i], now, values + 1,
					 nulls + 1);
		rows_put(rows, values, nulls);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	rows_register(rows);
	return rows;
}

/* What the INSERT gives: the id, and what is to be checked. */
static void
choose_result(const Journal *journal, const BookedColumns *booked, bool check,
			  ColumnValues *result, int *positions)
{
	result->ncolumns = 0;
	if (journal_has(journal, JOURNAL_ID))
		result->attnums[result->ncolumns++] = journal->columns[JOURNAL_ID];
	for (int i = 0; check && i < booked->ncolumns; i++)
	{
		result->attnums[result->ncolumns++] = booked->attnums[i];
		positions[i] = result->ncolumns;
	}
}

/* Take the ids that the entries were given, and check what was stored. */
static void
take_booked(const Journal *journal, const BookedColumns *booked,
			BookingProgress *progress, bool check, const int *positions,
			TimestampTz now)
{
	TupleDesc tupdesc = SPI_tuptable->tupdesc;

	for (int i = 0; i < progress->nentries; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		JournalEntry *entry = progress->entries[i];
		Datum values[NUM_JOURNAL_COLUMNS];
		bool nulls[NUM_JOURNAL_COLUMNS];

		progress->turn = i + 1;
		if (journal_has(journal, JOURNAL_ID))
		{
			Datum id = heap_getattr(tuple, 1, tupdesc, &nulls[0]);

			read_column(journal, JOURNAL_ID, id, nulls[0], entry);
		}
		if (check)
		{
			entry_values(journal, booked, entry, now, values, nulls);
			check_booked(journal, booked, values, nulls, tuple, tupdesc,
						 positions);
		}
	}
}

/*
 * Book many entries with one INSERT, in their order, and fill in the ids that
 * they were given.  The accounts are locked and changed already.
 */
void
journal_book_many(const Journal *journal, JournalEntry **entries, int nentries)
{
	BookedColumns booked;
	BookingProgress progress = {entries, nentries, 0};
	ErrorContextCallback callback = {.callback = booking_error_context,
									 .arg = &progress};
	AttrNumber result_attnums[1 + NUM_JOURNAL_COLUMNS];
	ColumnValues result = {.attnums = result_attnums};
	int positions[NUM_JOURNAL_COLUMNS];
	bool check = target_may_divert_inserts(journal->table);
	TimestampTz now = GetCurrentTimestamp();
	ColumnValues none = {0};
	ColumnValues data;
	StatementSpec spec = {.kind = STMT_BATCH_INSERT,
						  .key = &none,
						  .data = &data,
						  .result = &result,
						  .size = plan_batch_size(nentries)};
	Rows *rows;
	uint64 nrows;

	if (nentries == 0)
		return;
	choose_columns(journal, entries, nentries, &booked);
	data = (ColumnValues){.ncolumns = booked.ncolumns,
						  .attnums = booked.attnums};
	choose_result(journal, &booked, check, &result, positions);

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	rows = register_entries(journal, &booked, &progress, now);
	rows_put_end(rows);
	nrows = plan_write_batch(journal->table, &spec, &progress.turn, 0);
	if (nrows < nentries)
		error_insert_suppressed(journal_relation(journal));
	take_booked(journal, &booked, &progress, check, positions, now);
	error_context_stack = callback.previous;
	rows_unregister(rows);
}

/*
 * Book one entry, and keep the row in the given memory context.
 */
void
journal_book(const Journal *journal, JournalEntry *entry, MemoryContext context)
{
	BookedColumns booked;
	Datum values[NUM_JOURNAL_COLUMNS];
	bool nulls[NUM_JOURNAL_COLUMNS];
	ColumnValues data;
	ColumnValues none = {0};
	MemoryContext old;
	HeapTuple tuple;
	TupleDesc tupdesc;

	choose_columns(journal, &entry, 1, &booked);
	entry_values(journal, &booked, entry, GetCurrentTimestamp(), values, nulls);
	data = (ColumnValues){booked.ncolumns, booked.attnums, values, nulls};
	if (plan_run(journal->table, STMT_INSERT, &none, &data, VIEW_OWN) == 0)
		error_insert_suppressed(journal_relation(journal));

	tuple = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	if (target_may_divert_inserts(journal->table))
	{
		int positions[NUM_JOURNAL_COLUMNS];

		for (int i = 0; i < booked.ncolumns; i++)
			positions[i] = target_row_position(journal->table,
											   booked.attnums[i]);
		check_booked(journal, &booked, values, nulls, tuple, tupdesc,
					 positions);
	}
	old = MemoryContextSwitchTo(context);
	entry->row = target_form_row(journal->table, tuple, tupdesc);
	MemoryContextSwitchTo(old);
}
