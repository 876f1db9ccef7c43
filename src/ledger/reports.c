/*-------------------------------------------------------------------------
 *
 * reports.c
 *	  What a journal says as a whole: balances at a time, reversals added up.
 *
 * The queries are written here, over the columns of a journal: an attribute
 * number for each JournalColumn.  In their text the journal is "r".
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "ledger/reports.h"
#include "run/run.h"
#include "run/sql.h"

/* ----------
 * Balances
 * ----------
 */

/* ORDER BY r.created_at DESC, r.id DESC LIMIT 1 */
static void
balance_append_last(Statement *stmt, const AttrNumber *columns, bool before)
{
	const char *direction = before ? "" : " DESC";

	appendStringInfo(&stmt->text, " ORDER BY r.%s%s, r.%s%s LIMIT 1",
					 sql_column(stmt, columns[JOURNAL_CREATED_AT]), direction,
					 sql_column(stmt, columns[JOURNAL_ID]), direction);
}

/* r.from_id = $1 AND r.created_at <= $2 */
static void
balance_append_where(Statement *stmt, const AttrNumber *columns,
					 AttrNumber side, bool before)
{
	Oid type = getBaseType(target_column(stmt->target, side)->atttypid);
	const char *name = psprintf("r.%s", sql_column(stmt, side));
	const char *param = sql_param(stmt, type);

	sql_append_equality(stmt, side, name, param, type);
	appendStringInfo(&stmt->text, " AND r.%s OPERATOR(pg_catalog.%s) %s",
					 sql_column(stmt, columns[JOURNAL_CREATED_AT]),
					 before ? ">" : "<=", sql_param(stmt, TIMESTAMPTZOID));
}

/* (r.kind IS NULL OR r.kind <> ALL ('{hold,void,expiry}')), or true */
static void
balance_append_moves(Statement *stmt, const AttrNumber *columns)
{
	const char *kind;

	if (columns[JOURNAL_KIND] == InvalidAttrNumber)
	{
		sql_append(stmt, "true");
		return;
	}
	kind = sql_column(stmt, columns[JOURNAL_KIND]);
	appendStringInfo(&stmt->text,
					 "(r.%s IS NULL OR r.%s::pg_catalog.text"
					 " OPERATOR(pg_catalog.<>) ALL ('%s'))",
					 kind, kind, journal_idle_kinds());
}

/*
 * (SELECT r.created_at, r.id, r.from_balance AS balance FROM schema.journal r
 *		WHERE r.from_id = $1 AND r.created_at <= $2
 *		ORDER BY r.created_at DESC, r.id DESC LIMIT 1)
 *
 * With "before", the balance without the amount of the first entry after $2, if
 * that has moved it.  Entries that move nothing say nothing of the payee.
 */
static void
balance_append_side(Statement *stmt, const AttrNumber *columns, bool payer,
					bool before)
{
	AttrNumber side = columns[payer ? JOURNAL_FROM_ID : JOURNAL_TO_ID];
	AttrNumber balance =
		columns[payer ? JOURNAL_FROM_BALANCE : JOURNAL_TO_BALANCE];

	appendStringInfo(&stmt->text,
					 "(SELECT r.%s, r.%s, r.%s::pg_catalog.numeric",
					 sql_column(stmt, columns[JOURNAL_CREATED_AT]),
					 sql_column(stmt, columns[JOURNAL_ID]),
					 sql_column(stmt, balance));
	if (before)
	{
		appendStringInfo(&stmt->text, " OPERATOR(pg_catalog.%c) CASE WHEN ",
						 payer ? '+' : '-');
		balance_append_moves(stmt, columns);
		appendStringInfo(&stmt->text,
						 " THEN r.%s::pg_catalog.numeric ELSE 0 END",
						 sql_column(stmt, columns[JOURNAL_AMOUNT]));
	}
	sql_append(stmt, " AS racefree_balance FROM ");
	sql_append_table(stmt);
	sql_append(stmt, " r WHERE ");
	balance_append_where(stmt, columns, side, before);
	if (!payer)
	{
		sql_append(stmt, " AND ");
		balance_append_moves(stmt, columns);
	}
	balance_append_last(stmt, columns, before);
	appendStringInfoChar(&stmt->text, ')');
}

/*
 * SELECT r.balance FROM ((SELECT ... from_id ...) UNION ALL
 *		(SELECT ... to_id ...)) r ORDER BY r.created_at DESC, r.id DESC LIMIT 1
 */
static void
balance_write(Statement *stmt, const AttrNumber *columns, bool before)
{
	sql_append(stmt, "SELECT r.racefree_balance FROM (");
	balance_append_side(stmt, columns, true, before);
	sql_append(stmt, " UNION ALL ");
	balance_append_side(stmt, columns, false, before);
	sql_append(stmt, ") r");
	balance_append_last(stmt, columns, before);
}

/* The last balance that was booked by a time. */
static void
balance_write_at(Statement *stmt, const AttrNumber *columns)
{
	balance_write(stmt, columns, false);
}

/* The balance before the first entry that was booked after a time. */
static void
balance_write_before(Statement *stmt, const AttrNumber *columns)
{
	balance_write(stmt, columns, true);
}

static const SqlQuery balance_at_query = {balance_write_at, NUM_JOURNAL_COLUMNS,
										  4};
static const SqlQuery balance_before_query = {balance_write_before,
											  NUM_JOURNAL_COLUMNS, 4};

/* The balance that the query gives; NULL if it gives none. */
static Numeric
balance_read(const Journal *journal, const SqlQuery *query, Datum *values)
{
	RowSet found = run_query(journal->table, query, journal->columns, values);
	bool isnull;
	Datum balance;

	if (found.nrows == 0)
		return NULL;
	balance = rowset_position(&found, 0, 1, &isnull);
	return isnull ? NULL : DatumGetNumeric(balance);
}

/*
 * An account's balance at a time: that of its last entry by then or, if there
 * is none, the one before its first entry after that.  NULL without either.
 */
Numeric
reports_balance_at(const Journal *journal, Oid id_type, Datum id,
				   TimestampTz at)
{
	Datum values[4];
	Numeric balance;

	values[0] = journal_convert_id(journal, JOURNAL_FROM_ID, id_type, id);
	values[1] = TimestampTzGetDatum(at);
	values[2] = journal_convert_id(journal, JOURNAL_TO_ID, id_type, id);
	values[3] = TimestampTzGetDatum(at);
	balance = balance_read(journal, &balance_at_query, values);
	if (balance == NULL)
		balance = balance_read(journal, &balance_before_query, values);
	return balance;
}

/* ----------
 * Reversals
 * ----------
 */

/*
 * SELECT s.reverses::int8, t.amount::numeric, s.total
 *		FROM (SELECT reverses, sum(amount) AS total FROM schema.journal
 *			  WHERE reverses IS NOT NULL GROUP BY reverses) s
 *		LEFT JOIN schema.journal t ON t.id = s.reverses
 *		WHERE t.amount IS NULL OR s.total > t.amount
 */
static void
over_reversed_write(Statement *stmt, const AttrNumber *columns)
{
	const char *id = sql_column(stmt, columns[JOURNAL_ID]);
	const char *reverses = sql_column(stmt, columns[JOURNAL_REVERSES]);
	const char *amount = psprintf("%s::pg_catalog.numeric",
								  sql_column(stmt, columns[JOURNAL_AMOUNT]));

	appendStringInfo(&stmt->text,
					 "SELECT s.%s::pg_catalog.int8, t.%s, s.racefree_total"
					 " FROM (SELECT r.%s, pg_catalog.sum(r.%s) AS"
					 " racefree_total FROM ",
					 reverses, amount, reverses, amount);
	sql_append_table(stmt);
	appendStringInfo(&stmt->text,
					 " r WHERE r.%s IS NOT NULL GROUP BY r.%s) s LEFT JOIN ",
					 reverses, reverses);
	sql_append_table(stmt);
	appendStringInfo(&stmt->text,
					 " t ON t.%s OPERATOR(pg_catalog.=) s.%s"
					 " WHERE t.%s IS NULL OR s.racefree_total"
					 " OPERATOR(pg_catalog.>) t.%s ORDER BY s.%s",
					 id, reverses, id, amount, reverses);
}

static const SqlQuery over_reversed_query = {over_reversed_write,
											 NUM_JOURNAL_COLUMNS, 0};

/* A number in a row of a result, or NULL: so is a sum of nothing but NULLs. */
static Numeric
over_reversed_number(const RowSet *set, uint64 i, int position)
{
	bool isnull;
	Datum value = rowset_position(set, i, position, &isnull);

	return isnull ? NULL : DatumGetNumeric(value);
}

/*
 * Give the function the entries of which more was reversed than they moved, and
 * the ids of reversals whose entry is not there, without amount, in id order.
 */
void
reports_over_reversed(const Journal *journal, ReportOverReversed take,
					  void *arg)
{
	RowSet found;

	if (!journal_has(journal, JOURNAL_REVERSES))
		return;
	found = run_query(journal->table, &over_reversed_query, journal->columns,
					  NULL);
	for (uint64 i = 0; i < found.nrows; i++)
	{
		bool isnull;
		Datum entry = rowset_position(&found, i, 1, &isnull);

		take(DatumGetInt64(entry), over_reversed_number(&found, i, 2),
			 over_reversed_number(&found, i, 3), arg);
	}
	rowset_free(&found);
}
