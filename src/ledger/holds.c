/*-------------------------------------------------------------------------
 *
 * holds.c
 *	  The table of open holds, beside a journal.
 *
 * A hold is booked in the journal, which keeps it for ever.  What is left of it
 * is in a row of this table, which is there exactly as long as something is: so
 * what a call reads does not grow with the number of holds that were settled.
 *
 * CREATE TABLE schema.journal_holds (entry_id int8 PRIMARY KEY,
 *		from_id ... NOT NULL, to_id ... NOT NULL,
 *		amount numeric NOT NULL CHECK (amount > 0), expires_at timestamptz)
 *
 * Rows need no locks of their own.  Whoever changes a hold has locked the row of
 * its payer, and changes it, too.
 *
 * Everything is allocated in the current memory context.  Holds that were found
 * point into results, and so last until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "ledger/guard.h"
#include "ledger/holds.h"
#include "run/sql.h"
#include "table/columns.h"
#include "table/traits.h"

static const struct
{
	const char *name;
	Oid type; /* which it must be of; invalid for ids of accounts */
} holds_columns[] = {
	[HOLDS_ENTRY_ID] = {"entry_id", INT8OID},
	[HOLDS_FROM_ID] = {"from_id", InvalidOid},
	[HOLDS_TO_ID] = {"to_id", InvalidOid},
	[HOLDS_AMOUNT] = {"amount", NUMERICOID},
	[HOLDS_EXPIRES_AT] = {"expires_at", TIMESTAMPTZOID},
};

StaticAssertDecl(lengthof(holds_columns) == NUM_HOLDS_COLUMNS,
				 "each column of holds is described");
StaticAssertDecl(HOLDS_TO_ID == HOLDS_FROM_ID + PAYEE,
				 "the accounts' columns must be in the order of the sides");

/* ----------
 * The table
 * ----------
 */

/*
 * Create a table of holds for a journal, which belongs to that owner.  Its name is that of the journal and
 * "holds", cut and numbered as core names indexes.
 */
char *
holds_create(Oid schema, const char *journal, Oid owner, bool unlogged,
			 const char *id_type)
{
	const char *name = quote_qualified_identifier(
		get_namespace_name(schema),
		ChooseRelationName(journal, NULL, "holds", schema, false));

	run_command(psprintf("CREATE %sTABLE %s ("
						 "entry_id pg_catalog.int8 PRIMARY KEY, "
						 "from_id %s NOT NULL, to_id %s NOT NULL, "
						 "amount pg_catalog.numeric NOT NULL"
						 " CHECK (amount OPERATOR(pg_catalog.>) 0), "
						 "expires_at pg_catalog.timestamptz)",
						 unlogged ? "UNLOGGED " : "", name, id_type, id_type));
	run_command(psprintf("CREATE INDEX ON %s (from_id, expires_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (expires_at)", name));
	if (owner != GetUserId())
		run_command(
			psprintf("ALTER TABLE %s OWNER TO %s", name,
					 quote_identifier(GetUserNameFromId(owner, false))));
	return pstrdup(name);
}

/* Return true if it is a name with its schema, quoted as in SQL. */
bool
holds_is_name(const char *name)
{
	List *names;

	return SplitIdentifierString(pstrdup(name), '.', &names) &&
		   list_length(names) == 2;
}

/* The table of that name, quoted and schema-qualified; invalid if none is. */
Oid
holds_table(const char *name)
{
	List *names;

	/* The guard's arguments have been checked. */
	if (!SplitIdentifierString(pstrdup(name), '.', &names) ||
		list_length(names) != 2)
		elog(ERROR, "invalid name of a table of holds: \"%s\"", name);
	return get_relname_relid(lsecond(names),
							 get_namespace_oid(linitial(names), true));
}

/* Return true if the table has the columns of a table of holds. */
bool
holds_has_columns(Oid relid)
{
	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
	{
		if (get_attnum(relid, holds_columns[c].name) <= 0)
			return false;
	}
	return true;
}

/* Report that the table is not there. */
pg_noreturn static void
holds_error_gone(const Journal *journal, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rule \"%s\" of journal \"%s\" names table %s, which does "
					"not exist",
					guard_key_name(GUARD_HOLDS), journal_table_name(journal),
					name),
			 errhint("If the table or its schema was renamed, run: %s",
					 guard_alter_statement(journal->table,
										   psprintf("{\"%s\": "
													"\"SCHEMA.NEW_NAME\"}",
													guard_key_name(
														GUARD_HOLDS))))));
}

/* Return true if the column, which is of a base type, has a type that suits. */
static bool
holds_type_suits(const Holds *holds, HoldsColumn column, Oid wanted)
{
	Oid type = holds->types[column];

	/* A scale would round what is left of a hold. */
	if (OidIsValid(holds_columns[column].type))
		return type == wanted &&
			   !columns_has_length(holds->table, holds->columns[column]);
	return type == wanted || (ids_is_integer(type) && ids_is_integer(wanted)) ||
		   IsBinaryCoercible(type, wanted);
}

/* Check that a column of the table has the type that is wanted. */
static void
holds_check_type(const Holds *holds, HoldsColumn column)
{
	Form_pg_attribute att = target_column(holds->table, holds->columns[column]);
	Oid wanted = holds_columns[column].type;

	if (!OidIsValid(wanted))
		wanted = holds->id_type;
	if (holds_type_suits(holds, column, wanted))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table \"%s\" is of type %s",
					holds_columns[column].name,
					RelationGetRelationName(target_relation(holds->table)),
					format_type_with_typemod(att->atttypid, att->atttypmod)),
			 errhint("It must be of type %s.", format_type_be(wanted))));
}

/*
 * What is held of the accounts must not last longer than the holds that say for
 * what.
 */
static void
holds_check_durability(const Holds *holds, const Journal *journal)
{
	if (journal->books && traits_outlasts(journal->table, holds->table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" of holds is less durable than journal "
						"\"%s\"",
						RelationGetRelationName(target_relation(holds->table)),
						journal_table_name(journal)),
				 errhint("ALTER TABLE ... SET LOGGED makes a permanent table of "
						 "an unlogged one.")));
}

/* Open the table of that name. */
void
holds_open(Holds *holds, const Journal *journal, const char *name, Oid id_type,
		   LOCKMODE lockmode)
{
	Oid relid = holds_table(name);

	if (!OidIsValid(relid))
		holds_error_gone(journal, name);
	holds->table = target_open_table(relid, lockmode);
	holds->id_type = id_type;
	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
	{
		AttrNumber attnum = columns_find(holds->table, holds_columns[c].name);

		holds->columns[c] = attnum;
		holds->types[c] = getBaseType(
			target_column(holds->table, attnum)->atttypid);
		holds_check_type(holds, c);
	}
	holds_check_durability(holds, journal);
}

void
holds_close(Holds *holds)
{
	target_close(holds->table);
}

/* Report that a hold is not as the call found it. */
void
holds_error_changed(const Holds *holds, int64 entry)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("hold " INT64_FORMAT " in table \"%s\" was not stored as "
					"computed",
					entry,
					RelationGetRelationName(target_relation(holds->table))),
			 errhint("A trigger, or a function in a CHECK or DEFAULT, seems to "
					 "change or settle the hold.")));
}

/* ----------
 * Reading
 * ----------
 */

/* Take a hold from a whole row, or from one of all columns in their order. */
static void
holds_read(const Holds *holds, const RowSet *set, uint64 i, Hold *hold)
{
	Datum values[NUM_HOLDS_COLUMNS];
	bool isnull;

	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
	{
		values[c] = rowset_column(set, i, holds->columns[c], c + 1, &isnull);
		if (isnull && c != HOLDS_EXPIRES_AT)
			elog(ERROR, "column \"%s\" of a hold is null",
				 holds_columns[c].name);
	}
	hold->entry = DatumGetInt64(values[HOLDS_ENTRY_ID]);
	for (int side = 0; side < NUM_SIDES; side++)
		hold->ids[side] = ids_convert(holds->types[HOLDS_FROM_ID + side],
									  holds->id_type,
									  values[HOLDS_FROM_ID + side]);
	hold->rest = DatumGetNumericCopy(values[HOLDS_AMOUNT]);
	hold->expires = !isnull;
	hold->expires_at = isnull ? 0
							  : DatumGetTimestampTz(values[HOLDS_EXPIRES_AT]);
}

/* All columns, in their order, without values. */
ColumnValues *
holds_all_columns(const Holds *holds)
{
	ColumnValues *columns = values_make(NUM_HOLDS_COLUMNS);

	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
		values_set(columns, c, holds->columns[c], (Datum) 0, true);
	return columns;
}

/* The column by which holds are known, as a key. */
ColumnValues *
holds_key(const Holds *holds, int64 entry)
{
	return values_one(holds->columns[HOLDS_ENTRY_ID], Int64GetDatum(entry),
					  false);
}

/* Rows of values, each with an entry's id, and with one more column or not. */
Rows *
holds_begin_rows(const Holds *holds, int n, HoldsColumn data)
{
	Rows *rows = rows_begin(data == HOLDS_ENTRY_ID ? 2 : 3, n);

	rows_add_base_column(rows, 'k', 1, holds->table,
						 holds->columns[HOLDS_ENTRY_ID]);
	if (data != HOLDS_ENTRY_ID)
		rows_add_base_column(rows, 'd', 1, holds->table, holds->columns[data]);
	return rows;
}

/* Find a hold by its entry; NULL if it is not open. */
static Hold *
holds_find_one(const Holds *holds, int64 entry)
{
	RowSet set = run_find(holds->table, holds_key(holds, entry), VIEW_OWN);
	Hold *hold;

	if (set.nrows == 0)
		return NULL;
	if (set.nrows > 1)
		holds_error_changed(holds, entry);
	hold = palloc(sizeof(Hold));
	holds_read(holds, &set, 0, hold);
	return hold;
}

/* Find holds by their entries. */
void
holds_find(const Holds *holds, const int64 *entries, int n, Hold **found)
{
	Rows *rows;
	RowSet set;

	if (n == 1)
	{
		found[0] = holds_find_one(holds, entries[0]);
		return;
	}
	rows = holds_begin_rows(holds, n, HOLDS_ENTRY_ID);
	for (int i = 0; i < n; i++)
	{
		found[i] = NULL;
		rows_set(rows, 'k', 1, Int64GetDatum(entries[i]), false);
		rows_add(rows, i);
	}
	set = run_rows_find(holds->table, rows, holds_key(holds, 0),
						holds_all_columns(holds), VIEW_OWN);
	for (uint64 i = 0; i < set.nrows; i++)
	{
		int place = rowset_number(&set, i);

		if (found[place] != NULL)
			holds_error_changed(holds, entries[place]);
		found[place] = palloc(sizeof(Hold));
		holds_read(holds, &set, i, found[place]);
	}
}

/* SELECT r.entry_id, r.from_id, ... FROM schema.journal_holds r */
static void
holds_append_select(Statement *stmt, const AttrNumber *columns)
{
	for (int c = 0; c < NUM_HOLDS_COLUMNS; c++)
		appendStringInfo(&stmt->text, "%sr.%s", c == 0 ? "SELECT " : ", ",
						 sql_column(stmt, columns[c]));
	sql_append(stmt, " FROM ");
	sql_append_table(stmt);
	sql_append(stmt, " r");
}

/*
 * SELECT ... WHERE r.from_id = $1 AND r.expires_at <= $2 ORDER BY r.entry_id
 */
static void
holds_write_expired_of(Statement *stmt, const AttrNumber *columns)
{
	AttrNumber payer = columns[HOLDS_FROM_ID];
	Oid type = getBaseType(target_column(stmt->target, payer)->atttypid);

	holds_append_select(stmt, columns);
	sql_append(stmt, " WHERE ");
	sql_append_equality(stmt, payer, psprintf("r.%s", sql_column(stmt, payer)),
						sql_param(stmt, type), type);
	appendStringInfo(&stmt->text, " AND r.%s OPERATOR(pg_catalog.<=) %s",
					 sql_column(stmt, columns[HOLDS_EXPIRES_AT]),
					 sql_param(stmt, TIMESTAMPTZOID));
	appendStringInfo(&stmt->text, " ORDER BY r.%s",
					 sql_column(stmt, columns[HOLDS_ENTRY_ID]));
}

/*
 * SELECT ... WHERE r.expires_at <= $1
 *		ORDER BY r.expires_at, r.entry_id LIMIT $2
 */
static void
holds_write_expired(Statement *stmt, const AttrNumber *columns)
{
	const char *expires_at = sql_column(stmt, columns[HOLDS_EXPIRES_AT]);

	holds_append_select(stmt, columns);
	appendStringInfo(&stmt->text, " WHERE r.%s OPERATOR(pg_catalog.<=) %s",
					 expires_at, sql_param(stmt, TIMESTAMPTZOID));
	appendStringInfo(&stmt->text, " ORDER BY r.%s, r.%s LIMIT %s", expires_at,
					 sql_column(stmt, columns[HOLDS_ENTRY_ID]),
					 sql_param(stmt, INT8OID));
}

/* SELECT ... LIMIT 1 */
static void
holds_write_any(Statement *stmt, const AttrNumber *columns)
{
	holds_append_select(stmt, columns);
	sql_append(stmt, " LIMIT 1");
}

static const SqlQuery holds_expired_of_query = {holds_write_expired_of,
												NUM_HOLDS_COLUMNS, 2};
static const SqlQuery holds_expired_query = {holds_write_expired,
											 NUM_HOLDS_COLUMNS, 2};
static const SqlQuery holds_any_query = {holds_write_any, NUM_HOLDS_COLUMNS, 0};

/* The holds of a payer that have expired by then. */
Hold *
holds_expired_of(const Holds *holds, Datum payer, TimestampTz now, int *n)
{
	Datum values[2] = {ids_convert(holds->id_type, holds->types[HOLDS_FROM_ID],
								   payer),
					   TimestampTzGetDatum(now)};
	RowSet set = run_query_view(holds->table, &holds_expired_of_query,
								holds->columns, values, VIEW_OWN, 0);
	Hold *expired = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Hold) * (set.nrows + 1));

	for (uint64 i = 0; i < set.nrows; i++)
		holds_read(holds, &set, i, &expired[i]);
	*n = (int) set.nrows;
	return expired;
}

/* The entries of holds that have expired by then, those first that did first. */
int64 *
holds_expired(const Holds *holds, TimestampTz now, int64 most, int *n)
{
	Datum values[2] = {TimestampTzGetDatum(now), Int64GetDatum(most)};
	RowSet set = run_query_view(holds->table, &holds_expired_query,
								holds->columns, values, VIEW_OWN, 0);
	int64 *entries = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(int64) * (set.nrows + 1));
	bool isnull;

	for (uint64 i = 0; i < set.nrows; i++)
		entries[i] = DatumGetInt64(rowset_position(&set, i, 1, &isnull));
	*n = (int) set.nrows;
	rowset_free(&set);
	return entries;
}

/* What holds_scan() passes on. */
typedef struct HoldTaker
{
	const Holds *holds;
	void (*take)(const Hold *, void *);
	void *arg;
} HoldTaker;

/* Give one hold to the function. */
static void
holds_take_row(const RowSet *set, uint64 i, void *arg)
{
	HoldTaker *taker = arg;
	Hold hold;

	holds_read(taker->holds, set, i, &hold);
	taker->take(&hold, taker->arg);
}

/*
 * Give all open holds to the function, in the order of their entries, as the
 * query that called us sees them.  A hold is there until the function returns.
 */
void
holds_scan(const Holds *holds, void (*take)(const Hold *, void *), void *arg)
{
	HoldTaker taker = {holds, take, arg};

	run_scan(holds->table, holds_key(holds, 0), holds_all_columns(holds),
			 holds_take_row, &taker);
}

/* Return true if any hold is open. */
bool
holds_any(const Holds *holds)
{
	return run_query_view(holds->table, &holds_any_query, holds->columns, NULL,
						  VIEW_LATEST, 0)
			   .nrows > 0;
}
