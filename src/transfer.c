/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  transfer(): money from one account to another.
 *
 * The two rows are always locked in the order of their ids, so transfers
 * never wait for each other in a circle.
 *
 * On a plain table with unique ids, whose UPDATEs fire no triggers but those
 * of foreign keys, two UPDATEs do it all.  Each also asks that the old balance be within the
 * bound in which nothing can go wrong.  Where that does not hold, or cannot
 * be known to suffice, the careful way takes over: lock both rows, judge
 * them in the documented order, update, and verify what was stored.  Row
 * locks that the first way took are in order, too, so the ways mix.
 *
 * Amounts and balances are compared as numeric, in which every supported
 * type is exact.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "args.h"
#include "errors.h"
#include "plans.h"
#include "target.h"

PG_FUNCTION_INFO_V1(transfer);

/* The column that holds the balances, and what it can hold. */
typedef struct BalanceColumn
{
	AttrNumber attnum;
	Oid type; /* of a domain: the base type */
	int32 typmod;
	Numeric lowest;
	Numeric highest;
	bool bounded; /* can a sum be out of range at all? */
} BalanceColumn;

/* One of the two accounts. */
typedef struct Account
{
	ColumnValues id; /* the id column and its value */
	AttrNumber id_attnum;
	Datum id_value;
	bool id_null;
	Numeric change; /* what is added to the balance */
	Numeric floor;	/* below this it must not fall, or NULL */
	bool found;
	bool updated;
	bool balance_null;
	Numeric balance; /* as it was when locked */
	Datum row;		 /* as it is now */
} Account;

typedef struct Transfer
{
	Target *accounts;
	BalanceColumn balance;
	Account from;
	Account to;
	Account *first; /* from and to in id order */
	Account *second;
	MemoryContext context; /* where the result rows go */
} Transfer;

/* ----------
 * Numbers
 * ----------
 */

static int
numeric_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

static bool
is_finite(Numeric a)
{
	return !numeric_is_nan(a) && !numeric_is_inf(a);
}

static Numeric
numeric_plus(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static Numeric
numeric_negate(Numeric a)
{
	return DatumGetNumeric(
		DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

static Numeric
numeric_parse(const char *text)
{
	return DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static char *
numeric_print(Numeric a)
{
	return DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(a)));
}

/* A number as the balance column's type, rounded if that cannot hold it. */
static Datum
balance_from_numeric(const BalanceColumn *column, Numeric number)
{
	Datum n = NumericGetDatum(number);

	switch (column->type)
	{
		case INT2OID:
			return DirectFunctionCall1(numeric_int2, n);
		case INT4OID:
			return DirectFunctionCall1(numeric_int4, n);
		case INT8OID:
			return DirectFunctionCall1(numeric_int8, n);
		case CASHOID:
			return DirectFunctionCall1(numeric_cash, n);
		default:
			return DirectFunctionCall2(numeric, n,
									   Int32GetDatum(column->typmod));
	}
}

/* A value of the balance column's type as a number. */
static Numeric
balance_to_numeric(const BalanceColumn *column, Datum value)
{
	switch (column->type)
	{
		case INT2OID:
			return int64_to_numeric(DatumGetInt16(value));
		case INT4OID:
			return int64_to_numeric(DatumGetInt32(value));
		case INT8OID:
			return int64_to_numeric(DatumGetInt64(value));
		case CASHOID:
			return DatumGetNumeric(DirectFunctionCall1(cash_numeric, value));
		default:
			return DatumGetNumeric(value);
	}
}

/*
 * The largest numeric(precision, scale): so many nines.  The last one is kept,
 * since most sessions meet no other.
 */
static Numeric
highest_numeric(int32 typmod)
{
	static int32 kept_typmod = -1;
	static Numeric kept = NULL;
	int precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	int scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	StringInfoData digits;
	Numeric highest;

	/* The caller gets a copy: a call within its call may keep another one. */
	if (typmod == kept_typmod)
		return DatumGetNumericCopy(NumericGetDatum(kept));

	initStringInfo(&digits);
	for (int i = 0; i < precision; i++)
		appendStringInfoChar(&digits, '9');
	appendStringInfo(&digits, "e%d", -scale);
	highest = numeric_parse(digits.data);

	kept_typmod = -1;
	if (kept != NULL)
		pfree(kept);
	kept = NULL;
	kept = MemoryContextAlloc(TopMemoryContext, VARSIZE(highest));
	memcpy(kept, highest, VARSIZE(highest));
	kept_typmod = typmod;
	return highest;
}

/*
 * The largest number that the column can hold.  For numeric without precision
 * there is no limit that a sum of balances could meet, and any number that is
 * large will do.
 */
static Numeric
balance_highest(const BalanceColumn *column)
{
	switch (column->type)
	{
		case INT2OID:
			return int64_to_numeric(PG_INT16_MAX);
		case INT4OID:
			return int64_to_numeric(PG_INT32_MAX);
		case INT8OID:
			return int64_to_numeric(PG_INT64_MAX);
		case CASHOID:
			return DatumGetNumeric(
				DirectFunctionCall1(cash_numeric, Int64GetDatum(PG_INT64_MAX)));
		default:
			return column->bounded ? highest_numeric(column->typmod)
								   : numeric_parse("1e131071");
	}
}

/* ----------
 * Arguments
 * ----------
 */

/* The column that holds the balances: it must be of an exact type. */
static void
resolve_balance(Transfer *transfer, const char *name)
{
	BalanceColumn *column = &transfer->balance;
	Form_pg_attribute att;

	column->attnum = target_find_column(transfer->accounts, name);
	att = target_column(transfer->accounts, column->attnum);
	column->typmod = att->atttypmod;
	column->type = getBaseTypeAndTypmod(att->atttypid, &column->typmod);

	switch (column->type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case CASHOID:
		case NUMERICOID:
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("balance column \"%s\" is of type %s, which cannot "
							"hold money exactly",
							name, format_type_be(att->atttypid)),
					 errhint("Use smallint, integer, bigint, numeric or "
							 "money.")));
	}
	column->bounded = column->type != NUMERICOID ||
					  column->typmod >= (int32) VARHDRSZ;
	column->highest = balance_highest(column);
	column->lowest = numeric_negate(column->highest);
}

static void
set_account(Account *account, AttrNumber attnum, Datum id, Numeric change)
{
	account->id_attnum = attnum;
	account->id_value = id;
	account->id.ncolumns = 1;
	account->id.attnums = &account->id_attnum;
	account->id.values = &account->id_value;
	account->id.nulls = &account->id_null;
	account->change = change;
}

/* Find out which two rows are meant, and which of them comes first. */
static void
resolve_accounts(Transfer *transfer, FunctionCallInfo fcinfo, Numeric amount)
{
	Target *accounts = transfer->accounts;
	AttrNumber attnum;
	Form_pg_attribute att;
	FmgrInfo *compare;
	Oid id_type;
	int order;

	attnum = target_id_column(accounts, PG_ARGISNULL(5)
											? NULL
											: NameStr(*PG_GETARG_NAME(5)));
	att = target_column(accounts, attnum);
	compare = target_id_comparison(accounts, attnum);

	id_type = getBaseType(att->atttypid);
	set_account(&transfer->from, attnum,
				args_convert_id(get_fn_expr_argtype(fcinfo->flinfo, 1), id_type,
								PG_GETARG_DATUM(1)),
				numeric_negate(amount));
	set_account(&transfer->to, attnum,
				args_convert_id(get_fn_expr_argtype(fcinfo->flinfo, 2), id_type,
								PG_GETARG_DATUM(2)),
				amount);

	order = DatumGetInt32(FunctionCall2Coll(compare, att->attcollation,
											transfer->from.id_value,
											transfer->to.id_value));
	if (order == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot transfer from an account to itself")));
	transfer->first = order < 0 ? &transfer->from : &transfer->to;
	transfer->second = order < 0 ? &transfer->to : &transfer->from;
}

static void
check_amount(Numeric amount)
{
	if (!is_finite(amount) || numeric_compare(amount, int64_to_numeric(0)) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount must be positive and finite")));
}

/* What leaves one account must be what arrives at the other. */
static void
check_amount_is_exact(Transfer *transfer, Numeric amount)
{
	BalanceColumn *column = &transfer->balance;
	Form_pg_attribute att = target_column(transfer->accounts, column->attnum);
	bool exact = !column->bounded ||
				 numeric_compare(amount, column->highest) <= 0;

	if (exact)
	{
		Datum rounded = balance_from_numeric(column, amount);

		exact = numeric_compare(balance_to_numeric(column, rounded), amount) ==
				0;
	}
	if (!exact)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount %s cannot be held exactly in column \"%s\" of "
						"type %s",
						numeric_print(amount), NameStr(att->attname),
						format_type_with_typemod(column->type,
												 column->typmod))));
}

/* ----------
 * Judging
 * ----------
 */

static char *
account_name(const Transfer *transfer, const Account *account)
{
	return args_print_id(transfer->accounts, account->id_attnum,
						 account->id_value);
}

static const char *
table_name(const Transfer *transfer)
{
	return RelationGetRelationName(target_relation(transfer->accounts));
}

static void
check_found(const Transfer *transfer, const Account *account)
{
	if (!account->found)
		ereport(ERROR,
				(errcode(ERRCODE_RACEFREE_ACCOUNT_NOT_FOUND),
				 errmsg("account \"%s\" does not exist in table \"%s\"",
						account_name(transfer, account),
						table_name(transfer)),
				 target_has_row_security(transfer->accounts)
					 ? errhint("Row-level security may hide the account.")
					 : 0));
}

static void
check_balance(const Transfer *transfer, const Account *account)
{
	if (account->updated)
		return;
	if (account->balance_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("balance of account \"%s\" in table \"%s\" is null",
						account_name(transfer, account),
						table_name(transfer))));
	if (!is_finite(account->balance))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("balance of account \"%s\" in table \"%s\" is not "
						"finite",
						account_name(transfer, account),
						table_name(transfer))));
}

static void
check_funds(const Transfer *transfer, const Account *account)
{
	if (account->updated || account->floor == NULL)
		return;
	if (numeric_compare(numeric_plus(account->balance, account->change),
						account->floor) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_RACEFREE_INSUFFICIENT_FUNDS),
				 errmsg("insufficient funds in account \"%s\" of table \"%s\"",
						account_name(transfer, account),
						table_name(transfer)),
				 errdetail("The balance is %s, the amount %s, the minimum "
						   "balance %s.",
						   numeric_print(account->balance),
						   numeric_print(numeric_negate(account->change)),
						   numeric_print(account->floor))));
}

/* Both rows are locked (or updated, then nothing is wrong with them): judge. */
static void
check_accounts(const Transfer *transfer)
{
	check_found(transfer, &transfer->from);
	check_found(transfer, &transfer->to);
	check_balance(transfer, &transfer->from);
	check_balance(transfer, &transfer->to);
	check_funds(transfer, &transfer->from);
}

/* ----------
 * Moving
 * ----------
 */

/* Keep the row that a statement gave as the account's; false if none. */
static bool
take_row(Transfer *transfer, Account *account, uint64 nrows)
{
	MemoryContext old;
	HeapTuple tuple;
	TupleDesc tupdesc;
	Datum balance;

	if (nrows > 1)
		args_error_id_not_unique(transfer->accounts, account->id_attnum,
								 account->id_value);
	account->found = nrows == 1;
	if (!account->found)
		return false;

	tuple = SPI_tuptable->vals[0];
	tupdesc = SPI_tuptable->tupdesc;
	balance = target_row_value(transfer->accounts, tuple, tupdesc,
							   transfer->balance.attnum,
							   &account->balance_null);
	if (!account->balance_null)
		account->balance = balance_to_numeric(&transfer->balance, balance);

	old = MemoryContextSwitchTo(transfer->context);
	account->row = target_form_row(transfer->accounts, tuple, tupdesc);
	MemoryContextSwitchTo(old);
	return true;
}

/* The change to an account's balance, as the statements take it. */
static ColumnValues
change_values(Transfer *transfer, Account *account, Datum *value, bool *isnull)
{
	ColumnValues change = {1, &transfer->balance.attnum, value, isnull};

	*value = balance_from_numeric(&transfer->balance, account->change);
	*isnull = false;
	return change;
}

/*
 * Change the balance if the row is there and nothing can go wrong with it.
 * False if it was left alone; it may be locked or not.
 */
static bool
update_if_sound(Transfer *transfer, Account *account)
{
	BalanceColumn *column = &transfer->balance;
	bool pays = account == &transfer->from;
	Datum value;
	bool isnull;
	ColumnValues change = change_values(transfer, account, &value, &isnull);
	StatementKind kind = STMT_ADD;
	Numeric bound = NULL;
	uint64 nrows;

	/* The new balance must be over the floor, and in the column's range. */
	if (pays && account->floor != NULL &&
		numeric_compare(account->floor, column->lowest) > 0)
		bound = account->floor;
	else if (column->bounded)
		bound = pays ? column->lowest : column->highest;
	if (bound != NULL)
	{
		kind = pays ? STMT_ADD_ABOVE : STMT_ADD_BELOW;
		bound = numeric_plus(bound, numeric_negate(account->change));
	}

	nrows = plan_run_bounded(transfer->accounts, kind, &account->id, &change,
							 NumericGetDatum(bound));
	/* A balance that was no number is none now: see what to say of it. */
	account->updated = take_row(transfer, account, nrows) &&
					   !account->balance_null && is_finite(account->balance);
	return account->updated;
}

/* Can bounds on the old balance be computed without leaving numeric's range? */
static bool
bounds_are_sound(const Transfer *transfer)
{
	Numeric highest = transfer->balance.highest;
	Numeric floor = transfer->from.floor;

	return numeric_compare(transfer->to.change, highest) <= 0 &&
		   (floor == NULL || numeric_compare(floor, highest) <= 0);
}

static void
lock_account(Transfer *transfer, Account *account)
{
	if (!account->updated)
		(void) take_row(transfer, account,
						plan_run(transfer->accounts, STMT_LOCK, &account->id,
								 NULL, VIEW_OWN));
}

/* The row must hold what was computed, whatever triggers do. */
static void
check_stored(const Transfer *transfer, const Account *account, Numeric expected)
{
	if (!account->found || account->balance_null ||
		numeric_compare(account->balance, expected) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("balance of account \"%s\" in table \"%s\" was not "
						"stored as computed",
						account_name(transfer, account),
						table_name(transfer)),
				 errdetail("The balance should be %s.",
						   numeric_print(expected)),
				 errhint("A trigger on the table seems to change or suppress "
						 "the update.")));
}

static void
update_account(Transfer *transfer, Account *account)
{
	Datum value;
	bool isnull;
	ColumnValues change;
	Numeric expected;

	if (account->updated)
		return;
	expected = numeric_plus(account->balance, account->change);
	change = change_values(transfer, account, &value, &isnull);
	(void) take_row(transfer, account,
					plan_run(transfer->accounts, STMT_ADD, &account->id,
							 &change, VIEW_OWN));
	check_stored(transfer, account, expected);
	account->updated = true;
}

/* Read a row again after all triggers have run. */
static void
reread_account(Transfer *transfer, Account *account)
{
	Numeric expected = account->balance;

	(void) take_row(transfer, account,
					plan_run(transfer->accounts, STMT_LOOK, &account->id, NULL,
							 VIEW_OWN));
	check_stored(transfer, account, expected);
}

/*
 * Move the money.  The caller is connected to SPI.
 */
static void
move(Transfer *transfer)
{
	bool plain = target_updates_are_plain(transfer->accounts);

	if (plain &&
		target_is_unique(transfer->accounts, transfer->from.id_attnum) &&
		bounds_are_sound(transfer) &&
		update_if_sound(transfer, transfer->first) &&
		update_if_sound(transfer, transfer->second))
		return;

	lock_account(transfer, transfer->first);
	lock_account(transfer, transfer->second);
	check_accounts(transfer);
	update_account(transfer, transfer->first);
	update_account(transfer, transfer->second);
	if (!plain)
	{
		reread_account(transfer, transfer->first);
		reread_account(transfer, transfer->second);
	}
}

/* Arguments without which there is nothing to do. */
static void
check_null_arguments(FunctionCallInfo fcinfo)
{
	static const struct
	{
		int argno;
		const char *name;
	} required[] = {{1, "from_id"},
					{2, "to_id"},
					{3, "amount"},
					{6, "balance_column"}};

	for (int i = 0; i < lengthof(required); i++)
	{
		if (PG_ARGISNULL(required[i].argno))
			error_null_argument(required[i].name);
	}
}

/*
 * transfer(accounts anyelement, from_id anycompatible, to_id anycompatible,
 *			amount numeric, min_balance numeric, id_column name,
 *			balance_column name,
 *			OUT from_account anyelement, OUT to_account anyelement)
 */
Datum
transfer(PG_FUNCTION_ARGS)
{
	Transfer transfer = {.context = CurrentMemoryContext};
	Numeric amount;
	Numeric min_balance;
	Datum rows[2];
	Datum result;

	check_null_arguments(fcinfo);
	amount = PG_GETARG_NUMERIC(3);
	min_balance = PG_ARGISNULL(4) ? NULL : PG_GETARG_NUMERIC(4);

	transfer.accounts = target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
									RowExclusiveLock);
	resolve_balance(&transfer, NameStr(*PG_GETARG_NAME(6)));
	check_amount(amount);
	if (min_balance != NULL && numeric_is_nan(min_balance))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_balance must not be NaN")));
	resolve_accounts(&transfer, fcinfo, amount);
	transfer.from.floor = min_balance;
	check_amount_is_exact(&transfer, amount);

	SPI_connect();
	move(&transfer);
	SPI_finish();

	rows[0] = transfer.from.row;
	rows[1] = transfer.to.row;
	result = target_form_record(transfer.accounts, RECORD_TRANSFER, rows);
	target_close(transfer.accounts);
	PG_RETURN_DATUM(result);
}
