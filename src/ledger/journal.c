/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  The table that transfers are booked in.
 *
 * A journal is any table with the columns from_id, to_id and amount.  What
 * else is in the list of column_names[] is used where it is there.
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
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "ledger/journal.h"
#include "ledger/guard.h"
#include "run/plans.h"
#include "run/run.h"
#include "table/ids.h"
#include "table/tuples.h"
#include "table/values.h"

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

/* The column's name. */
const char *
journal_column_name(JournalColumn column)
{
	return column_names[column];
}

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
				 errhint("A journal needs the columns from_id, to_id and "
						 "amount; create_journal() makes one with all that "
						 "are used.")));
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
	journal->books = lockmode >= RowExclusiveLock;
	find_columns(journal);
}

void
journal_close(Journal *journal)
{
	target_close(journal->table);
}

/* Two accounts must not be one in the journal, nor one be two. */
static void
check_id_collation(const Journal *journal, JournalColumn column,
				   const Target *accounts, AttrNumber id_attnum)
{
	Oid collation =
		target_column(journal->table, journal->columns[column])->attcollation;
	Oid other = target_column(accounts, id_attnum)->attcollation;

	if (OidIsValid(collation) && OidIsValid(other) && collation != other &&
		(!get_collation_isdeterministic(collation) ||
		 !get_collation_isdeterministic(other)))
		ereport(ERROR,
				(errcode(ERRCODE_COLLATION_MISMATCH),
				 errmsg("column \"%s\" of journal \"%s\" has another "
						"collation than the accounts' ids",
						column_names[column],
						RelationGetRelationName(journal_relation(journal))),
				 errdetail("One of the two is not deterministic: ids that are "
						   "equal in it may differ in the other.")));
}

/* Can one column hold the ids of the other? */
static void
check_id_column(const Journal *journal, JournalColumn column,
				const Target *accounts, AttrNumber id_attnum)
{
	Oid type = journal_column_type(journal, column);
	Oid id_type = target_column(accounts, id_attnum)->atttypid;
	Oid id_base = getBaseType(id_type);

	if (is_integer(type) && is_integer(id_base))
		return;
	if ((type != id_base && !IsBinaryCoercible(id_base, type)) ||
		target_column_type(journal->table, journal->columns[column], 0)
				->eq_opr != target_column_type(accounts, id_attnum, 0)->eq_opr)
		error_column_type(journal, column, format_type_be(id_type));
	check_id_collation(journal, column, accounts, id_attnum);
}

/*
 * After a crash that empties the journal, requests would be booked again on
 * balances that had them.
 */
static void
check_durability(const Journal *journal, const Target *accounts)
{
	if (target_outlasts(accounts, journal->table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" is less durable than its accounts",
						RelationGetRelationName(journal_relation(journal))),
				 errdetail("What is booked in a temporary or unlogged table is "
						   "lost when the session ends or the server crashes, "
						   "and requests would then be done again."),
				 errhint("Book in a permanent table. ALTER TABLE ... SET LOGGED "
						 "makes one of an unlogged table or partition.")));
}

/*
 * A request or reversal is looked for in the table that is named.  In a part of
 * a journal what another part has would not be found, and be booked again.
 */
static void
check_is_whole(const Journal *journal)
{
	Relation rel = journal_relation(journal);

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
journal_check_accounts(const Journal *journal, const Target *accounts,
					   AttrNumber id_attnum, AttrNumber balance_attnum)
{
	if (RelationGetRelid(journal_relation(journal)) ==
		RelationGetRelid(target_relation(accounts)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table \"%s\" cannot hold both accounts and their "
						"journal",
						RelationGetRelationName(journal_relation(journal)))));
	guard_check_accounts(journal->table, accounts, id_attnum, balance_attnum);
	if (journal->books)
	{
		check_is_whole(journal);
		check_durability(journal, accounts);
	}
	check_id_column(journal, JOURNAL_FROM_ID, accounts, id_attnum);
	check_id_column(journal, JOURNAL_TO_ID, accounts, id_attnum);
}

/* An id of that type as a value of the column's base type. */
Datum
journal_convert_id(const Journal *journal, JournalColumn column, Oid type,
				   Datum id)
{
	Oid column_type = journal_column_type(journal, column);
	Datum value;
	int64 number;

	if (type == column_type || !is_integer(type) || !is_integer(column_type))
		return ids_convert(type, column_type, id);
	number = DatumGetInt64(ids_convert(type, INT8OID, id));
	if (!journal_integer_to_column(journal, column, number, &value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("account \"" INT64_FORMAT "\" cannot be named in "
						"column \"%s\" of journal \"%s\"",
						number, column_names[column],
						RelationGetRelationName(journal_relation(journal))),
				 errdetail("The column is of type %s.",
						   format_type_be(column_type))));
	return value;
}

/* Take an id of that type as the entry's payer (0) or payee (1). */
void
journal_set_id(const Journal *journal, JournalEntry *entry, int side, Oid type,
			   Datum id, bool isnull)
{
	entry->no_id[side] = isnull;
	if (!isnull)
		entry->ids[side] = journal_convert_id(journal, JOURNAL_FROM_ID + side,
											  type, id);
}

/* ----------
 * Request ids
 * ----------
 */

/* True for the type of the extension citext, which ignores case, no more. */
static bool
is_citext(Oid type)
{
	Oid extension = getExtensionOfObject(TypeRelationId, type);
	char *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return name != NULL && strcmp(name, "citext") == 0;
}

/*
 * Request ids of this type must tell requests apart: of two that differ in what
 * the type cuts or rounds, the second would be taken for the first, and not be
 * made.
 */
void
journal_check_request_type(Oid type)
{
	Oid base = getBaseType(type);

	if (!ids_type_keeps_text(base) && !is_citext(base))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("request ids cannot be of type %s",
						format_type_be(type)),
				 errdetail("The type may not keep all that it is given."),
				 errhint("Use uuid, text, varchar, char, citext, smallint, "
						 "integer, bigint, numeric or bytea.")));
}

static void
error_request_not_exact(const Journal *journal, const char *text, Datum request)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("request \"%s\" cannot be held exactly in column \"%s\" "
					"of journal \"%s\"",
					text, column_names[JOURNAL_REQUEST_ID],
					RelationGetRelationName(journal_relation(journal))),
			 errdetail("It would be read as \"%s\".",
					   values_print_exactly(journal_column_type(journal,
															  JOURNAL_REQUEST_ID),
										  request))));
}

/* An id that says nothing is most likely a mistake of the client's. */
static void
error_request_empty(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("request_id must not be empty")));
}

/* True if the value, of that base type, is empty though its text was not. */
static bool
is_empty(Oid base, Datum value)
{
	text *bytes = (text *) DatumGetPointer(value);

	if (base == BPCHAROID)
		return bpchartruelen(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)) == 0;
	return base == BYTEAOID && VARSIZE_ANY_EXHDR(bytes) == 0;
}

/* A request id as a value of its column. */
Datum
journal_convert_request(const Journal *journal, const char *text)
{
	Form_pg_attribute att;
	Oid function;
	Oid io_param;
	Oid base;
	int32 typmod;
	Datum request;

	journal_need(journal, JOURNAL_REQUEST_ID);
	att = target_column(journal->table, journal->columns[JOURNAL_REQUEST_ID]);
	typmod = att->atttypmod;
	base = getBaseTypeAndTypmod(att->atttypid, &typmod);
	if (text[0] == '\0')
		error_request_empty();
	getTypeInputInfo(att->atttypid, &function, &io_param);
	request = OidInputFunctionCall(function, unconstify(char *, text), io_param,
								   att->atttypmod);
	if (is_empty(base, request))
		error_request_empty();
	/* Cut or rounded, two requests would be taken for one. */
	if (!ids_is_exact(base, request, text))
		error_request_not_exact(journal, text, request);
	if (typmod < 0)
		return request;
	getTypeInputInfo(base, &function, &io_param);
	if (journal_compare_requests(journal, request,
								 OidInputFunctionCall(function,
													  unconstify(char *, text),
													  io_param, -1)) != 0)
		error_request_not_exact(journal, text, request);
	return request;
}

/*
 * True if two request ids that are equal for their type are also written alike.
 * -0 and 0 are equal, but not the same id; nor are 30 days and 1 month.  Types
 * that keep what they are given decide themselves what is equal.
 */
bool
journal_same_request(const Journal *journal, Datum a, Datum b)
{
	Oid type = journal_column_type(journal, JOURNAL_REQUEST_ID);

	return ids_type_keeps_text(type) ||
		   strcmp(values_print_exactly(type, a),
				  values_print_exactly(type, b)) == 0 ||
		   is_citext(type);
}

/* The order of request ids, in which a batch sorts them. */
int
journal_compare_requests(const Journal *journal, Datum a, Datum b)
{
	IdColumn request;

	ids_of_column(&request, journal->table,
				  journal->columns[JOURNAL_REQUEST_ID]);
	return ids_compare(&request, a, b);
}

/* An integer as a value of the column; false if it cannot hold it. */
bool
journal_integer_to_column(const Journal *journal, JournalColumn column,
						  int64 number, Datum *value)
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

int64
journal_integer_from_column(const Journal *journal, JournalColumn column,
							Datum value)
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
				entry->id = journal_integer_from_column(journal, column, value);
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
				entry->reverses = journal_integer_from_column(journal, column,
															  value);
			break;
		case JOURNAL_CREATED_AT:
			entry->has_time = !isnull;
			if (!isnull)
				entry->time = DatumGetTimestampTz(value);
			break;
		case JOURNAL_DETAILS:
			break;
	}
}

/*
 * Read an entry from a row that lists all live columns ("whole"), or the
 * existing columns of a journal.
 */
void
journal_read_entry(const Journal *journal, HeapTuple tuple, TupleDesc tupdesc,
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
		value = whole ? tuples_value(journal->table, tuple, tupdesc,
									 journal->columns[c], &isnull)
					  : heap_getattr(tuple, position, tupdesc, &isnull);
		read_column(journal, c, value, isnull, entry);
	}
}

/* A column and its value, as a key. */
ColumnValues *
journal_key(const Journal *journal, JournalColumn column, Datum value)
{
	return values_one(journal->columns[column], value, false);
}

/* Find the one entry that has the value in the column. */
bool
journal_find(const Journal *journal, JournalColumn column, Datum value,
			 View view, JournalEntry *entry)
{
	ColumnValues *key = journal_key(journal, column, value);
	uint64 nrows = plan_probe(journal->table, key, view);

	if (nrows > 1)
		error_several_rows(journal_relation(journal),
						   psprintf("Key %s",
									values_describe(journal->table, key)));
	if (nrows == 0)
		return false;
	journal_read_entry(journal, SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
					   true, entry);
	entry->row = tuples_form_row(journal->table, SPI_tuptable->vals[0],
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

	if (!journal_integer_to_column(journal, JOURNAL_ID, id, &value))
		return false;
	if (journal_find(journal, JOURNAL_ID, value, VIEW_OWN, entry))
		return true;
	if (IsolationUsesXactSnapshot() &&
		journal_find(journal, JOURNAL_ID, value, VIEW_LATEST, entry))
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

	if (!journal_integer_to_column(journal, JOURNAL_REVERSES, id, &value))
		return int64_to_numeric(0);
	plan_sum(journal->table, journal_key(journal, JOURNAL_REVERSES, value),
			 &data, VIEW_LATEST);
	sum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						&isnull);
	return isnull ? int64_to_numeric(0) : DatumGetNumeric(sum);
}

/* What journal_scan() gives the entries to. */
typedef struct EntryTaker
{
	const Journal *journal;
	void (*take)(const JournalEntry *, void *);
	void *arg;
} EntryTaker;

static void
take_entry(const RowSet *set, uint64 i, void *arg)
{
	EntryTaker *taker = arg;
	JournalEntry entry = {0};
	int position = 0;

	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		Datum value;
		bool isnull;

		if (!journal_has(taker->journal, c))
			continue;
		value = rowset_position(set, i, ++position, &isnull);
		read_column(taker->journal, c, value, isnull, &entry);
	}
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
			 journal_existing_columns(journal), take_entry, &taker);
}
