/*-------------------------------------------------------------------------
 *
 * journal_columns.c
 *	  The columns of a journal, and entries, which have a value for each.
 *
 * A column is a row of journal_columns[]: its name, the kind of its values, and
 * what it is for.  To add a column of a kind that exists, add it to the enum,
 * to JournalEntry, and to the table; to create_journal()'s table, too.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "ledger/journal_columns.h"
#include "ledger/request_ids.h"
#include "table/columns.h"
#include "table/values.h"

/* The functions that columns of one kind share. */
typedef struct JournalKind
{
	/* Check the column's type; NULL if it is checked with the accounts. */
	void (*check)(Journal *journal, JournalColumn column);
	/* Take a value into an entry; NULL if the column is not read. */
	void (*read)(const Journal *journal, JournalColumn column, Datum value,
				 bool isnull, JournalEntry *entry);
	/* Make the value that an INSERT gives; false for NULL. */
	bool (*give)(const Journal *journal, JournalColumn column,
				 const JournalEntry *entry, Datum *value);
	/* Print the value of an entry; NULL if messages never do. */
	const char *(*print)(const Journal *journal, JournalColumn column,
						 const JournalEntry *entry);
} JournalKind;

/* When an INSERT gives a column, if the journal has it. */
typedef enum JournalGiven
{
	GIVEN_WITH_VALUE, /* if an entry has a value; then the column must exist */
	GIVEN_ALWAYS
} JournalGiven;

/* A column of a journal. */
typedef struct JournalColumnInfo
{
	const char *name;
	const JournalKind *kind;
	size_t field;  /* where entries have the value */
	size_t flag;   /* where they have the bool that says whether they do */
	bool required; /* a table without it is no journal */
	JournalGiven given;
	bool checked; /* a row must hold the value that was given */
	/* Compare an entry with what is asked for; NULL if it does not matter. */
	bool (*agrees)(const Journal *journal, const JournalEntry *booked,
				   const Asked *asked, bool up_to);
} JournalColumnInfo;

static const JournalKind integer_kind;
static const JournalKind request_kind;
static const JournalKind kind_kind;
static const JournalKind account_kind;
static const JournalKind amount_kind;
static const JournalKind balance_kind;
static const JournalKind details_kind;
static const JournalKind expiry_kind;
static const JournalKind time_kind;

static bool request_agrees(const Journal *journal, const JournalEntry *booked,
						   const Asked *asked, bool up_to);
static bool kind_agrees(const Journal *journal, const JournalEntry *booked,
						const Asked *asked, bool up_to);
static bool from_agrees(const Journal *journal, const JournalEntry *booked,
						const Asked *asked, bool up_to);
static bool to_agrees(const Journal *journal, const JournalEntry *booked,
					  const Asked *asked, bool up_to);
static bool amount_agrees(const Journal *journal, const JournalEntry *booked,
						  const Asked *asked, bool up_to);
static bool reverses_agrees(const Journal *journal, const JournalEntry *booked,
							const Asked *asked, bool up_to);
static bool settles_agrees(const Journal *journal, const JournalEntry *booked,
						   const Asked *asked, bool up_to);

#define FIELD(name) offsetof(JournalEntry, name)
#define NO_FLAG		0

static const JournalColumnInfo journal_columns[] = {
	[JOURNAL_ID] = {"id", &integer_kind, FIELD(id), FIELD(has_id), false,
					GIVEN_WITH_VALUE, false, NULL},
	[JOURNAL_REQUEST_ID] = {"request_id", &request_kind, FIELD(request),
							FIELD(has_request), false, GIVEN_WITH_VALUE, true,
							request_agrees},
	[JOURNAL_KIND] = {"kind", &kind_kind, FIELD(kind), FIELD(has_kind), false,
					  GIVEN_ALWAYS, true, kind_agrees},
	[JOURNAL_FROM_ID] = {"from_id", &account_kind, FIELD(ids[PAYER]),
						 FIELD(no_id[PAYER]), true, GIVEN_ALWAYS, true,
						 from_agrees},
	[JOURNAL_TO_ID] = {"to_id", &account_kind, FIELD(ids[PAYEE]),
					   FIELD(no_id[PAYEE]), true, GIVEN_ALWAYS, true,
					   to_agrees},
	[JOURNAL_AMOUNT] = {"amount", &amount_kind, FIELD(amount), NO_FLAG, true,
						GIVEN_ALWAYS, true, amount_agrees},
	[JOURNAL_FROM_BALANCE] = {"from_balance", &balance_kind,
							  FIELD(from_balance), NO_FLAG, false, GIVEN_ALWAYS,
							  true, NULL},
	[JOURNAL_TO_BALANCE] = {"to_balance", &balance_kind, FIELD(to_balance),
							NO_FLAG, false, GIVEN_ALWAYS, true, NULL},
	[JOURNAL_REVERSES] = {"reverses", &integer_kind, FIELD(reverses),
						  FIELD(has_reverses), false, GIVEN_WITH_VALUE, true,
						  reverses_agrees},
	[JOURNAL_SETTLES] = {"settles", &integer_kind, FIELD(settles),
						 FIELD(has_settles), false, GIVEN_WITH_VALUE, true,
						 settles_agrees},
	[JOURNAL_EXPIRES_AT] = {"expires_at", &expiry_kind, FIELD(expires_at),
							FIELD(has_expiry), false, GIVEN_WITH_VALUE, true,
							NULL},
	[JOURNAL_CHAIN_ID] = {"chain_id", &integer_kind, FIELD(chain),
						  FIELD(has_chain), false, GIVEN_WITH_VALUE, true,
						  NULL},
	[JOURNAL_DETAILS] = {"details", &details_kind, FIELD(details),
						 FIELD(has_details), false, GIVEN_WITH_VALUE, false,
						 NULL},
	[JOURNAL_CREATED_AT] = {"created_at", &time_kind, FIELD(time),
							FIELD(has_time), false, GIVEN_ALWAYS, false, NULL},
};

StaticAssertDecl(lengthof(journal_columns) == NUM_JOURNAL_COLUMNS,
				 "journal_columns must describe every JournalColumn");
StaticAssertDecl(JOURNAL_TO_ID == JOURNAL_FROM_ID + PAYEE,
				 "the accounts' columns must be in the order of the sides");

/* The field of an entry that holds the column's value. */
#define ENTRY_FIELD(entry, column, type) \
	((type *) ((char *) (entry) + journal_columns[column].field))
/* The field that says whether there is a value. */
#define ENTRY_FLAG(entry, column) \
	((bool *) ((char *) (entry) + journal_columns[column].flag))
/* The same of an entry that is only read. */
#define CONST_ENTRY_FIELD(entry, column, type) \
	((const type *) ((const char *) (entry) + journal_columns[column].field))
#define CONST_ENTRY_FLAG(entry, column) \
	((const bool *) ((const char *) (entry) + journal_columns[column].flag))

/* ----------
 * Kinds of entries
 * ----------
 */

static const char *const kind_names[] = {
	[ENTRY_TRANSFER] = "transfer", [ENTRY_REVERSAL] = "reversal",
	[ENTRY_HOLD] = "hold",		   [ENTRY_POST] = "post",
	[ENTRY_VOID] = "void",		   [ENTRY_EXPIRY] = "expiry",
};

StaticAssertDecl(lengthof(kind_names) == NUM_ENTRY_KINDS,
				 "kind_names must name every EntryKind");

/* The name of a kind, as it is booked. */
const char *
journal_kind_name(EntryKind kind)
{
	Assert(kind >= 0 && kind < NUM_ENTRY_KINDS);
	return kind_names[kind];
}

/* Find the kind of that name, which need not end with a zero byte. */
bool
journal_find_kind(const char *name, size_t length, EntryKind *kind)
{
	for (int i = 0; i < NUM_ENTRY_KINDS; i++)
	{
		if (strlen(kind_names[i]) != length ||
			memcmp(kind_names[i], name, length) != 0)
			continue;
		*kind = i;
		return true;
	}
	return false;
}

/* Return true if entries of the kind change balances. */
bool
journal_kind_moves(EntryKind kind)
{
	return kind == ENTRY_TRANSFER || kind == ENTRY_REVERSAL ||
		   kind == ENTRY_POST;
}

/* The names of the kinds that change no balance, as a literal of an array. */
char *
journal_idle_kinds(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int kind = 0; kind < NUM_ENTRY_KINDS; kind++)
	{
		if (!journal_kind_moves(kind))
			appendStringInfo(&names, "%c%s", names.len > 0 ? ',' : '{',
							 journal_kind_name(kind));
	}
	appendStringInfoChar(&names, '}');
	return names.data;
}

static Relation
journal_columns_relation(const Journal *journal)
{
	return target_relation(journal->table);
}

/* ----------
 * Columns of the table
 * ----------
 */

/* The column's name. */
const char *
journal_column_name(JournalColumn column)
{
	return journal_columns[column].name;
}

/* Return true if the journal has the column. */
bool
journal_has(const Journal *journal, JournalColumn column)
{
	return journal->columns[column] != InvalidAttrNumber;
}

/* Report an error unless it does. */
void
journal_need(const Journal *journal, JournalColumn column)
{
	if (!journal_has(journal, column))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("journal \"%s\" has no column \"%s\"",
						RelationGetRelationName(
							journal_columns_relation(journal)),
						journal_column_name(column)),
				 errhint("A journal needs the columns from_id, to_id and "
						 "amount; create_journal() makes one with all that "
						 "are used.")));
}

/* Report that a column cannot be of the type that it has. */
void
journal_column_error_type(const Journal *journal, JournalColumn column,
						  const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of journal \"%s\" is of type %s",
					journal_column_name(column),
					RelationGetRelationName(journal_columns_relation(journal)),
					format_type_be(target_column(journal->table,
												 journal->columns[column])
									   ->atttypid)),
			 errhint("It must be of type %s.", wanted)));
}

/*
 * Find the columns by their names, and check them.  The table is open.
 */
void
journal_columns_resolve(Journal *journal)
{
	TupleDesc tupdesc = RelationGetDescr(journal_columns_relation(journal));

	memset(journal->columns, 0, sizeof(journal->columns));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		for (int c = 0; c < NUM_JOURNAL_COLUMNS && !att->attisdropped; c++)
		{
			if (strcmp(NameStr(att->attname), journal_columns[c].name) != 0)
				continue;
			journal->columns[c] = att->attnum;
			journal->types[c] = getBaseType(att->atttypid);
		}
	}
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		if (journal_columns[c].required)
			journal_need(journal, c);
	}
	for (int c = 0; c < NUM_JOURNAL_COLUMNS; c++)
	{
		if (journal_has(journal, c) && journal_columns[c].kind->check != NULL)
			journal_columns[c].kind->check(journal, c);
	}
}

/* ----------
 * Kinds of columns: integers
 * ----------
 */

static void
integer_check(Journal *journal, JournalColumn column)
{
	Oid type = journal->types[column];

	if (!ids_is_integer(type))
		journal_column_error_type(journal, column,
								  "smallint, integer or bigint");
}

/* An integer as a value of the column; false if the column cannot hold it. */
bool
journal_integer_to_column(const Journal *journal, JournalColumn column,
						  int64 number, Datum *value)
{
	switch (journal->types[column])
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

static void
integer_read(const Journal *journal, JournalColumn column, Datum value,
			 bool isnull, JournalEntry *entry)
{
	int64 *field = ENTRY_FIELD(entry, column, int64);

	*ENTRY_FLAG(entry, column) = !isnull;
	if (isnull)
		return;
	switch (journal->types[column])
	{
		case INT2OID:
			*field = DatumGetInt16(value);
			break;
		case INT4OID:
			*field = DatumGetInt32(value);
			break;
		default:
			*field = DatumGetInt64(value);
			break;
	}
}

static bool
integer_give(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, Datum *value)
{
	int64 number = *CONST_ENTRY_FIELD(entry, column, int64);

	if (!*CONST_ENTRY_FLAG(entry, column))
		return false;
	if (!journal_integer_to_column(journal, column, number, value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("entry " INT64_FORMAT " cannot be named in "
						"column \"%s\" of journal \"%s\"",
						number, journal_column_name(column),
						RelationGetRelationName(
							journal_columns_relation(journal)))));
	return true;
}

static const char *
integer_print(const Journal *journal, JournalColumn column,
			  const JournalEntry *entry)
{
	if (!*CONST_ENTRY_FLAG(entry, column))
		return "null";
	return psprintf(INT64_FORMAT, *CONST_ENTRY_FIELD(entry, column, int64));
}

/* The ids of entries. */
static const JournalKind integer_kind = {integer_check, integer_read,
										 integer_give, integer_print};

/* ----------
 * Kinds of columns: ids of requests and of accounts
 * ----------
 */

/*
 * Describe how request ids are compared.  A type without an order is an error
 * where ids have to be compared, not before.
 */
static void
request_check(Journal *journal, JournalColumn column)
{
	TypeCacheEntry *type = columns_type(journal->table,
										journal->columns[column],
										TYPECACHE_CMP_PROC_FINFO);

	if (OidIsValid(type->cmp_proc))
		ids_of_column(&journal->request, journal->table,
					  journal->columns[column]);
}

static void
request_read(const Journal *journal, JournalColumn column, Datum value,
			 bool isnull, JournalEntry *entry)
{
	*ENTRY_FLAG(entry, column) = !isnull;
	*ENTRY_FIELD(entry, column, Datum) = value;
}

static bool
request_give(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, Datum *value)
{
	*value = *CONST_ENTRY_FIELD(entry, column, Datum);
	return *CONST_ENTRY_FLAG(entry, column);
}

static const char *
request_print(const Journal *journal, JournalColumn column,
			  const JournalEntry *entry)
{
	if (!*CONST_ENTRY_FLAG(entry, column))
		return "null";
	return ids_print(journal->table, journal->columns[column],
					 *CONST_ENTRY_FIELD(entry, column, Datum));
}

static const JournalKind request_kind = {request_check, request_read,
										 request_give, request_print};

/* Of accounts, the flag says that there is no id. */
static void
account_read(const Journal *journal, JournalColumn column, Datum value,
			 bool isnull, JournalEntry *entry)
{
	*ENTRY_FLAG(entry, column) = isnull;
	*ENTRY_FIELD(entry, column, Datum) = value;
}

static bool
account_give(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, Datum *value)
{
	*value = *CONST_ENTRY_FIELD(entry, column, Datum);
	return !*CONST_ENTRY_FLAG(entry, column);
}

static const char *
account_print(const Journal *journal, JournalColumn column,
			  const JournalEntry *entry)
{
	if (*CONST_ENTRY_FLAG(entry, column))
		return "null";
	return ids_print(journal->table, journal->columns[column],
					 *CONST_ENTRY_FIELD(entry, column, Datum));
}

static const JournalKind account_kind = {NULL, account_read, account_give,
										 account_print};

/* ----------
 * Kinds of columns: the kind of an entry
 * ----------
 */

static void
kind_check(Journal *journal, JournalColumn column)
{
	Oid type = journal->types[column];

	if (type != TEXTOID && type != VARCHAROID)
		journal_column_error_type(journal, column, "text or character varying");
}

/* An entry whose kind is none of racefree's has none. */
static void
kind_read(const Journal *journal, JournalColumn column, Datum value,
		  bool isnull, JournalEntry *entry)
{
	entry->has_kind = false;
	entry->odd_kind = false;
	if (!isnull)
	{
		text *name = DatumGetTextPP(value);

		entry->has_kind = journal_find_kind(VARDATA_ANY(name),
											VARSIZE_ANY_EXHDR(name),
											&entry->kind);
		entry->odd_kind = !entry->has_kind;
	}
}

static bool
kind_give(const Journal *journal, JournalColumn column,
		  const JournalEntry *entry, Datum *value)
{
	if (entry->has_kind)
		*value = CStringGetTextDatum(journal_kind_name(entry->kind));
	return entry->has_kind;
}

static const char *
kind_print(const Journal *journal, JournalColumn column,
		   const JournalEntry *entry)
{
	return entry->has_kind ? journal_kind_name(entry->kind) : "null";
}

static const JournalKind kind_kind = {kind_check, kind_read, kind_give,
									  kind_print};

/* ----------
 * Kinds of columns: money
 * ----------
 */

static void
journal_money_check(Journal *journal, JournalColumn column)
{
	if (!money_column(journal->table, journal->columns[column],
					  &journal->money[column]))
		journal_column_error_type(journal, column,
								  "smallint, integer, bigint, numeric or "
								  "money");
}

static void
journal_money_read(const Journal *journal, JournalColumn column, Datum value,
				   bool isnull, JournalEntry *entry)
{
	*ENTRY_FIELD(entry, column, Numeric) =
		isnull ? NULL : money_from_column(&journal->money[column], value);
}

/* The rules have made sure that the column holds the amount exactly. */
static bool
amount_give(const Journal *journal, JournalColumn column,
			const JournalEntry *entry, Datum *value)
{
	Assert(entry->amount != NULL);
	*value = money_to_column(&journal->money[column], entry->amount);
	return true;
}

static bool
balance_give(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, Datum *value)
{
	const MoneyColumn *money = &journal->money[column];
	Numeric balance = *CONST_ENTRY_FIELD(entry, column, Numeric);

	/* Of the payee, where nothing is moved. */
	if (balance == NULL)
		return false;
	if (!money_is_exact(money, balance))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance %s cannot be held exactly in column \"%s\" "
						"of journal \"%s\"",
						money_print(balance), journal_column_name(column),
						RelationGetRelationName(
							journal_columns_relation(journal)))));
	*value = money_to_column(money, balance);
	return true;
}

static const char *
journal_money_print(const Journal *journal, JournalColumn column,
					const JournalEntry *entry)
{
	Numeric number = *CONST_ENTRY_FIELD(entry, column, Numeric);

	return number == NULL ? "null" : money_print(number);
}

static const JournalKind amount_kind = {journal_money_check, journal_money_read,
										amount_give, journal_money_print};
static const JournalKind balance_kind = {journal_money_check,
										 journal_money_read, balance_give,
										 journal_money_print};

/* ----------
 * Kinds of columns: details and times
 * ----------
 */

/* Check a column that must be of one type. */
static void
journal_column_check_type(const Journal *journal, JournalColumn column,
						  Oid type)
{
	if (journal->types[column] != type)
		journal_column_error_type(journal, column, format_type_be(type));
}

static void
details_check(Journal *journal, JournalColumn column)
{
	journal_column_check_type(journal, column, JSONBOID);
}

static bool
details_give(const Journal *journal, JournalColumn column,
			 const JournalEntry *entry, Datum *value)
{
	*value = JsonbPGetDatum(entry->details);
	return entry->has_details;
}

static const JournalKind details_kind = {details_check, NULL, details_give,
										 NULL};

static void
time_check(Journal *journal, JournalColumn column)
{
	journal_column_check_type(journal, column, TIMESTAMPTZOID);
}

static void
time_read(const Journal *journal, JournalColumn column, Datum value,
		  bool isnull, JournalEntry *entry)
{
	*ENTRY_FLAG(entry, column) = !isnull;
	if (!isnull)
		*ENTRY_FIELD(entry, column, TimestampTz) = DatumGetTimestampTz(value);
}

/*
 * The clock is read while the accounts are locked, so that times go forward
 * for each account.  The time at which the transaction began, as a DEFAULT of
 * now() gives it, may be before that of an entry that another session booked
 * while this one waited for the account.
 */
static bool
time_give(const Journal *journal, JournalColumn column,
		  const JournalEntry *entry, Datum *value)
{
	*value = TimestampTzGetDatum(GetCurrentTimestamp());
	return true;
}

static const JournalKind time_kind = {time_check, time_read, time_give, NULL};

static bool
expiry_give(const Journal *journal, JournalColumn column,
			const JournalEntry *entry, Datum *value)
{
	*value = TimestampTzGetDatum(entry->expires_at);
	return entry->has_expiry;
}

static const JournalKind expiry_kind = {time_check, time_read, expiry_give,
										NULL};

/* ----------
 * Comparing entries with what is asked for
 *
 * A reversal is known by the entry that it reverses, what settles a hold by the
 * hold, and both by the amount if they name one.
 * ----------
 */

static bool
request_agrees(const Journal *journal, const JournalEntry *booked,
			   const Asked *asked, bool up_to)
{
	return !asked->has_request || !booked->has_request ||
		   request_ids_are_same(journal->types[JOURNAL_REQUEST_ID],
								booked->request, asked->request);
}

/* An entry of a time when the journal had no kinds can be any. */
static bool
kind_agrees(const Journal *journal, const JournalEntry *booked,
			const Asked *asked, bool up_to)
{
	return !booked->has_kind || booked->kind == asked->kind;
}

static bool
account_agrees(const Journal *journal, const JournalEntry *booked,
			   const Asked *asked, Side side)
{
	const AttrNumber *attnum = &journal->columns[JOURNAL_FROM_ID + side];
	ColumnValues a = {1, attnum, unconstify(Datum *, &booked->ids[side]),
					  unconstify(bool *, &booked->no_id[side])};
	ColumnValues b = {1, attnum, unconstify(Datum *, &asked->ids[side]),
					  unconstify(bool *, &asked->no_id[side])};

	return asked->has_reverses || asked->has_settles ||
		   values_find_difference(journal->table, &a, &b) == InvalidAttrNumber;
}

static bool
from_agrees(const Journal *journal, const JournalEntry *booked,
			const Asked *asked, bool up_to)
{
	return account_agrees(journal, booked, asked, PAYER);
}

static bool
to_agrees(const Journal *journal, const JournalEntry *booked,
		  const Asked *asked, bool up_to)
{
	return account_agrees(journal, booked, asked, PAYEE);
}

/*
 * With "up_to", less may have been moved than was asked for.  An amount that is
 * NULL was neither booked nor asked for.
 */
static bool
amount_agrees(const Journal *journal, const JournalEntry *booked,
			  const Asked *asked, bool up_to)
{
	int order;

	if ((asked->has_reverses || asked->has_settles) && asked->amount == NULL)
		return true;
	if (booked->amount == NULL || asked->amount == NULL)
		return booked->amount == asked->amount;
	order = money_compare(booked->amount, asked->amount);
	return order == 0 || (up_to && order < 0);
}

static bool
reverses_agrees(const Journal *journal, const JournalEntry *booked,
				const Asked *asked, bool up_to)
{
	return booked->has_reverses == asked->has_reverses &&
		   (!asked->has_reverses || booked->reverses == asked->reverses);
}

static bool
settles_agrees(const Journal *journal, const JournalEntry *booked,
			   const Asked *asked, bool up_to)
{
	return booked->has_settles == asked->has_settles &&
		   (!asked->has_settles || booked->settles == asked->settles);
}

/* ----------
 * Values of entries
 * ----------
 */

/* The entry that is to be booked: what it moves is not known yet. */
void
journal_entry_of_asked(JournalEntry *entry, const Asked *asked)
{
	memset(entry, 0, sizeof(JournalEntry));
	entry->has_request = asked->has_request;
	entry->request = asked->request;
	for (int side = 0; side < NUM_SIDES; side++)
	{
		entry->ids[side] = asked->ids[side];
		entry->no_id[side] = asked->no_id[side];
	}
	entry->has_kind = true;
	entry->kind = asked->kind;
	entry->amount = asked->amount;
	entry->has_reverses = asked->has_reverses;
	entry->reverses = asked->reverses;
	entry->has_settles = asked->has_settles;
	entry->settles = asked->settles;
	entry->has_expiry = asked->has_expiry;
	entry->expires_at = asked->expires_at;
	entry->has_details = asked->details != NULL;
	entry->details = asked->details;
	entry->columns = asked->columns;
}

/* Take a column's value into an entry. */
void
journal_column_read(const Journal *journal, JournalColumn column, Datum value,
					bool isnull, JournalEntry *entry)
{
	const JournalKind *kind = journal_columns[column].kind;

	if (kind->read != NULL)
		kind->read(journal, column, value, isnull, entry);
}

/*
 * Return true if an INSERT of the entry has to give the column.  What is not
 * given takes its DEFAULT.
 */
bool
journal_column_is_given(const Journal *journal, JournalColumn column,
						const JournalEntry *entry)
{
	switch (journal_columns[column].given)
	{
		case GIVEN_WITH_VALUE:
			return *CONST_ENTRY_FLAG(entry, column);
		case GIVEN_ALWAYS:
			break;
	}
	return journal_has(journal, column);
}

/* The value that an INSERT gives. */
Datum
journal_column_value(const Journal *journal, JournalColumn column,
					 const JournalEntry *entry, bool *isnull)
{
	Datum value = (Datum) 0;

	*isnull = !journal_columns[column].kind->give(journal, column, entry,
												  &value);
	return value;
}

/* Return true if the value that is stored must be the one that was given. */
bool
journal_column_is_checked(JournalColumn column)
{
	return journal_columns[column].checked;
}

/* Return true unless the column tells an entry from what is asked for. */
bool
journal_column_agrees(const Journal *journal, JournalColumn column,
					  const JournalEntry *booked, const Asked *asked,
					  bool up_to)
{
	return journal_columns[column].agrees == NULL ||
		   journal_columns[column].agrees(journal, booked, asked, up_to);
}

/* The value of an entry, for messages. */
const char *
journal_column_print(const Journal *journal, JournalColumn column,
					 const JournalEntry *entry)
{
	Assert(journal_columns[column].kind->print != NULL);
	return journal_columns[column].kind->print(journal, column, entry);
}
