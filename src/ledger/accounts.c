/*-------------------------------------------------------------------------
 *
 * accounts.c
 *	  The table that holds the accounts, and single accounts.
 *
 * Everything is allocated in the current memory context.  What was read of an
 * account points into the statement's result, and lasts as long as that.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/errors.h"
#include "ledger/accounts.h"
#include "table/columns.h"
#include "table/indexes.h"

/* ----------
 * The table
 * ----------
 */

/*
 * Resolve the column that holds the balances: it must be of an exact type, and
 * one that can be written.
 */
static void
accounts_resolve_balance(Accounts *accounts, const char *name)
{
	AttrNumber attnum = columns_find(accounts->table, name);
	Form_pg_attribute att = target_column(accounts->table, attnum);

	if (!money_column(accounts->table, attnum, &accounts->balance))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("balance column \"%s\" is of type %s, which cannot "
						"hold money exactly",
						name, format_type_be(att->atttypid)),
				 errhint("Use smallint, integer, bigint, numeric or "
						 "money.")));
	if (att->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("balance column \"%s\" is a generated column", name),
				 errdetail("Its value follows from other columns.")));
}

/* Check that transfers do not change what tells the rows apart. */
static void
accounts_check_is_no_key(const Accounts *accounts, AttrNumber attnum)
{
	const AttrNumber *key;
	int n = indexes_primary_key(accounts->table, &key);
	bool is_key = attnum == accounts->id.attnum;

	for (int i = 0; i < n; i++)
		is_key = is_key || key[i] == attnum;
	if (is_key)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s column \"%s\" is part of the accounts' key",
						attnum == accounts->balance.attnum ? "balance" : "held",
						NameStr(target_column(accounts->table, attnum)
									->attname))));
}

/*
 * Open the table, and resolve the columns that every transfer uses.  The
 * caller checks that a balance column is named.
 */
void
accounts_open(Accounts *accounts, Oid row_type, LOCKMODE lockmode,
			  const char *id_column, const char *balance_column)
{
	Assert(balance_column != NULL);
	accounts->table = target_open(row_type, lockmode);
	accounts_resolve_balance(accounts, balance_column);
	ids_resolve(&accounts->id, accounts->table, id_column);
	accounts_check_is_no_key(accounts, accounts->balance.attnum);
	accounts->has_held = false;
	accounts->match = (ColumnValues){0};
	accounts->nlimits = 0;
	memset(accounts->limits, 0, sizeof(accounts->limits));
}

void
accounts_close(Accounts *accounts)
{
	target_close(accounts->table);
}

/* Set the columns in which both accounts must be equal; NULL for none. */
void
accounts_set_match(Accounts *accounts, ArrayType *names)
{
	AttrNumber *attnums;
	Datum *elements;
	bool *nulls;
	int n;

	if (names == NULL)
		return;
	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &n);
	attnums = palloc(sizeof(AttrNumber) * n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			error_null_element("must_match");
		attnums[i] = columns_find(accounts->table,
								  NameStr(*DatumGetName(elements[i])));
		/* Raise an error if values of its type cannot be compared. */
		(void) columns_type(accounts->table, attnums[i], 0);
	}
	accounts_add_match(accounts, attnums, n);
}

/* Add columns in which both accounts must be equal, once each. */
void
accounts_add_match(Accounts *accounts, const AttrNumber *attnums, int n)
{
	ColumnValues *match = &accounts->match;
	AttrNumber *all = palloc(sizeof(AttrNumber) * (match->ncolumns + n));
	int nall = match->ncolumns;

	if (nall > 0)
		memcpy(all, match->attnums, sizeof(AttrNumber) * nall);
	for (int i = 0; i < n; i++)
	{
		bool known = false;

		for (int c = 0; c < nall; c++)
			known = known || all[c] == attnums[i];
		if (!known)
			all[nall++] = attnums[i];
	}
	*match = (ColumnValues){.ncolumns = nall, .attnums = all};
}

/* Set the column that has, of each account, what is held of its balance. */
bool
accounts_set_held(Accounts *accounts, AttrNumber attnum)
{
	accounts->has_held = money_column(accounts->table, attnum, &accounts->held);
	if (accounts->has_held)
		accounts_check_is_no_key(accounts, attnum);
	return accounts->has_held;
}

/* Return true if a type, no domain, can be that of a column with this limit. */
bool
accounts_is_limit_type(AccountLimit limit, Oid type)
{
	if (limit == ACCOUNT_CLOSED)
		return type == BOOLOID || type == TIMESTAMPTZOID;
	return money_is_type(type);
}

/* Set a column, of a type that suits, that limits each account. */
void
accounts_set_limit(Accounts *accounts, AccountLimit limit, AttrNumber attnum)
{
	LimitColumn *column = &accounts->limits[limit];

	Assert(column->attnum == InvalidAttrNumber);
	column->attnum = attnum;
	column->type = getBaseType(
		target_column(accounts->table, attnum)->atttypid);
	accounts->nlimits++;
	Assert(accounts_is_limit_type(limit, column->type));
}

/*
 * Return true if the columns that both accounts must share stay what they are
 * when balances change.  A generated column may depend on the balance.
 */
bool
accounts_match_is_stable(const Accounts *accounts)
{
	for (int i = 0; i < accounts->match.ncolumns; i++)
	{
		AttrNumber attnum = accounts->match.attnums[i];

		if (attnum == accounts->balance.attnum ||
			(accounts->has_held && attnum == accounts->held.attnum) ||
			target_column(accounts->table, attnum)->attgenerated != '\0')
			return false;
	}
	return true;
}

/*
 * The balance, then the held amount, then the columns that must match, then
 * those with limits: accounts_take_row() knows.
 */
ColumnValues *
accounts_columns(const Accounts *accounts)
{
	const ColumnValues *match = &accounts->match;
	ColumnValues *columns = values_make(2 + match->ncolumns +
										accounts->nlimits);
	int n = 0;

	values_set(columns, n++, accounts->balance.attnum, (Datum) 0, true);
	if (accounts->has_held)
		values_set(columns, n++, accounts->held.attnum, (Datum) 0, true);
	for (int i = 0; i < match->ncolumns; i++)
		values_set(columns, n++, match->attnums[i], (Datum) 0, true);
	for (int limit = 0; limit < NUM_ACCOUNT_LIMITS; limit++)
	{
		AttrNumber attnum = accounts->limits[limit].attnum;

		if (attnum != InvalidAttrNumber)
			values_set(columns, n++, attnum, (Datum) 0, true);
	}
	columns->ncolumns = n;
	return columns;
}

/* ----------
 * Single accounts
 * ----------
 */

/* Make room for what is read of an account. */
void
accounts_init(const Accounts *accounts, Account *account)
{
	int n = accounts->match.ncolumns;

	if (n == 0)
		return;
	account->match_values = palloc(sizeof(Datum) * n);
	account->match_nulls = palloc(sizeof(bool) * n);
}

/* Take a limit from its column; NULL is no limit. */
static void
accounts_take_limit(AccountLimit limit, Oid type, Datum value, bool isnull,
					Account *account)
{
	switch (limit)
	{
		case ACCOUNT_FLOOR:
			account->floor = isnull ? NULL : money_read(type, value);
			break;
		case ACCOUNT_CEILING:
			account->ceiling = isnull ? NULL : money_read(type, value);
			break;
		case ACCOUNT_CLOSED:
			account->closes = !isnull &&
							  (type != BOOLOID || DatumGetBool(value));
			account->closes_at = type == BOOLOID || isnull
									 ? DT_NOBEGIN
									 : DatumGetTimestampTz(value);
			break;
	}
}

/* Take the limits, the first of which is at that position in a row. */
static void
accounts_take_limits(const Accounts *accounts, const RowSet *set, uint64 i,
					 int position, Account *account)
{
	for (int limit = 0; limit < NUM_ACCOUNT_LIMITS; limit++)
	{
		const LimitColumn *column = &accounts->limits[limit];
		bool isnull;
		Datum value;

		if (column->attnum == InvalidAttrNumber)
			continue;
		value = rowset_column(set, i, column->attnum, position++, &isnull);
		accounts_take_limit(limit, column->type, value, isnull, account);
	}
}

/*
 * Take the balance, what is held, what must match, and limits from a row that
 * lists all columns, or those of accounts_columns().
 */
void
accounts_take_row(const Accounts *accounts, const RowSet *set, uint64 i,
				  Account *account)
{
	const ColumnValues *match = &accounts->match;
	Datum balance = rowset_column(set, i, accounts->balance.attnum, 1,
								  &account->balance_null);

	int before = accounts->has_held ? 2 : 1;

	account->found = true;
	account->balance = account->balance_null
						   ? NULL
						   : money_from_column(&accounts->balance, balance);
	if (accounts->has_held)
	{
		Datum held = rowset_column(set, i, accounts->held.attnum, 2,
								   &account->held_null);

		account->held = account->held_null
							? NULL
							: money_from_column(&accounts->held, held);
	}
	account->released = NULL;
	for (int c = 0; c < match->ncolumns; c++)
		account->match_values[c] = rowset_column(set, i, match->attnums[c],
												 before + c + 1,
												 &account->match_nulls[c]);
	if (accounts->nlimits > 0)
		accounts_take_limits(accounts, set, i, before + match->ncolumns + 1,
							 account);
}

/* What is held of the balance, after the holds that this call lets expire. */
Numeric
accounts_held(const Account *account)
{
	return account->released == NULL
			   ? account->held
			   : money_minus(account->held, account->released);
}

/* The first column in which two accounts differ, NULL being like NULL. */
AttrNumber
accounts_find_mismatch(const Accounts *accounts, const Account *a,
					   const Account *b)
{
	ColumnValues left = accounts->match;
	ColumnValues right = accounts->match;

	left.values = a->match_values;
	left.nulls = a->match_nulls;
	right.values = b->match_values;
	right.nulls = b->match_nulls;
	return values_find_difference(accounts->table, &left, &right);
}

/* ----------
 * Rows that guards see
 * ----------
 */

/*
 * Read an account's row whose balance, or what is held of it, was changed.  False
 * if it is another column of the row that was, or if the row has no account or
 * no number there.
 */
bool
accounts_read_written(const Accounts *accounts, const WrittenRow *row,
					  WrittenAccount *written)
{
	const Target *table = accounts->table;
	const MoneyColumn *money = &accounts->balance;
	Datum before;
	Datum after;
	bool nulls[3];

	if (row->before == NULL || row->after == NULL)
		return false;
	written->is_held = accounts->has_held &&
					   writes_is_column(table, row, accounts->held.attnum);
	if (written->is_held)
		money = &accounts->held;
	else if (!writes_is_column(table, row, money->attnum))
		return false;
	written->id = writes_column(table, row, row->after, accounts->id.attnum,
								&nulls[0]);
	before = writes_column(table, row, row->before, money->attnum, &nulls[1]);
	after = writes_column(table, row, row->after, money->attnum, &nulls[2]);
	if (nulls[0] || nulls[1] || nulls[2])
		return false;
	written->before = money_from_column(money, before);
	written->after = money_from_column(money, after);
	return true;
}

/* ----------
 * Messages
 * ----------
 */

const char *
accounts_table_name(const Accounts *accounts)
{
	return RelationGetRelationName(target_relation(accounts->table));
}

/* An account's id in its text form. */
char *
accounts_print_id(const Accounts *accounts, const Account *account)
{
	Assert(!account->id_null);
	return ids_print(accounts->table, accounts->id.attnum, account->id);
}

/* Report that several rows have the account's id. */
void
accounts_error_not_unique(const Accounts *accounts, const Account *account)
{
	ids_error_not_unique(accounts->table, accounts->id.attnum, account->id);
}

/* Report that the row does not hold the balance that was computed. */
void
accounts_error_not_stored(const Accounts *accounts, const Account *account,
						  Numeric expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("balance of account \"%s\" in table \"%s\" was not "
					"stored as computed",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("The balance should be %s.",
					   expected == NULL ? "null" : money_print(expected)),
			 errhint("A trigger, or a function in a CHECK or DEFAULT, seems to "
					 "change the balance or to suppress the update.")));
}

/* Report that the row does not hold the held amount that was computed. */
void
accounts_error_held_not_stored(const Accounts *accounts, const Account *account,
							   Numeric expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("held amount of account \"%s\" in table \"%s\" was not "
					"stored as computed",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("It should be %s.",
					   expected == NULL ? "null" : money_print(expected)),
			 errhint("A trigger, or a function in a CHECK or DEFAULT, seems to "
					 "change it or to suppress the update.")));
}
