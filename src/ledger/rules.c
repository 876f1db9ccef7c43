/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What a transfer must satisfy, in which order, and how it is told.
 *
 * Single transfers and batches are judged here, so that the status of one is
 * the error of the other.
 *
 * What is allocated lives in the current memory context.
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
#include "ledger/rules.h"
#include "table/ids.h"

/* ----------
 * Arguments
 * ----------
 */

/*
 * The column that holds the balances: it must be of an exact type, and one that
 * can be written.
 */
static void
resolve_balance(Rules *rules, const char *name)
{
	AttrNumber attnum = target_find_column(rules->accounts, name);

	if (!money_column(rules->accounts, attnum, &rules->balance))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("balance column \"%s\" is of type %s, which cannot "
						"hold money exactly",
						name,
						format_type_be(
							target_column(rules->accounts, attnum)->atttypid)),
				 errhint("Use smallint, integer, bigint, numeric or "
						 "money.")));
	if (target_column(rules->accounts, attnum)->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("balance column \"%s\" is a generated column", name),
				 errdetail("Its value follows from other columns.")));
}

/* What a transfer changes, must not be what tells the rows apart. */
static void
check_balance_is_no_key(const Rules *rules)
{
	const AttrNumber *key;
	int n = target_primary_key(rules->accounts, &key);
	bool is_key = rules->balance.attnum == rules->id.attnum;

	for (int i = 0; i < n; i++)
		is_key = is_key || key[i] == rules->balance.attnum;
	if (is_key)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("balance column \"%s\" is part of the accounts' key",
						NameStr(target_column(rules->accounts,
											  rules->balance.attnum)
									->attname))));
}

/* A limit of balances: NULL for none. */
static Numeric
check_limit(Numeric limit, const char *argument)
{
	if (limit != NULL && numeric_is_nan(limit))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be NaN", argument)));
	return limit;
}

/*
 * The floor may lie between two numbers that the column can hold, or be none
 * that a balance could meet.
 */
static void
resolve_floor(Rules *rules)
{
	const MoneyColumn *column = &rules->balance;
	Numeric floor = rules->min_balance;

	rules->floor = NULL;
	if (floor == NULL)
		return;
	if (money_compare(floor, column->lowest) < 0)
		rules->floor = column->bounded ? column->lowest : NULL;
	else if (money_compare(floor, column->highest) <= 0)
		rules->floor = money_ceiling(column, floor);
}

/* The columns that both accounts must share. */
static void
resolve_match(Rules *rules, ArrayType *array)
{
	ColumnValues *match = &rules->match;
	AttrNumber *attnums;
	Datum *names;
	bool *nulls;

	match->ncolumns = 0;
	if (array == NULL)
		return;
	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names,
					  &nulls, &match->ncolumns);
	match->attnums = attnums = palloc(sizeof(AttrNumber) * match->ncolumns);
	for (int i = 0; i < match->ncolumns; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not contain nulls",
								   "must_match")));
		attnums[i] = target_find_column(rules->accounts,
										NameStr(*DatumGetName(names[i])));
		(void) target_column_type(rules->accounts, attnums[i], 0);
	}
}

/*
 * Understand what is said of the accounts; what is wrong with it is an error.
 */
void
rules_resolve(Rules *rules, Target *accounts, const RuleArgs *args)
{
	rules->accounts = accounts;
	rules->booked = NULL;
	resolve_balance(rules, args->balance_column);
	rules->min_balance = check_limit(args->min_balance, "min_balance");
	rules->max_balance = check_limit(args->max_balance, "max_balance");
	rules->up_to = args->up_to;
	resolve_floor(rules);
	ids_resolve(&rules->id, accounts, args->id_column);
	check_balance_is_no_key(rules);
	resolve_match(rules, args->must_match);
}

/* ----------
 * Judging
 * ----------
 */

/* What leaves one account must be what arrives at the other, and is booked. */
static bool
amount_is_exact(const Rules *rules, Numeric amount)
{
	return money_is_exact(&rules->balance, amount) &&
		   (rules->booked == NULL || money_is_exact(rules->booked, amount));
}

/*
 * Judge what is asked for, before the accounts are looked at.  The amount is
 * NULL if none was given.
 */
Verdict
rules_check_request(const Rules *rules, const Account *from, const Account *to,
					Numeric amount)
{
	if (from->id_null)
		return VERDICT_FROM_ID_NULL;
	if (to->id_null)
		return VERDICT_TO_ID_NULL;
	if (amount == NULL)
		return VERDICT_AMOUNT_NULL;
	if (!money_is_positive(amount))
		return VERDICT_AMOUNT_NOT_POSITIVE;
	if (from == to || ids_compare(&rules->id, from->id, to->id) == 0)
		return VERDICT_SAME_ACCOUNT;
	/* With "up_to", it may be that only a part of it is moved. */
	if (!rules->up_to && !amount_is_exact(rules, amount))
		return VERDICT_AMOUNT_NOT_EXACT;
	return VERDICT_OK;
}

/* The first column that both accounts must share and do not. */
static AttrNumber
find_mismatch(const Rules *rules, const Account *from, const Account *to)
{
	ColumnValues a = rules->match;
	ColumnValues b = rules->match;

	a.values = from->match_values;
	a.nulls = from->match_nulls;
	b.values = to->match_values;
	b.nulls = to->match_nulls;
	return values_find_difference(rules->accounts, &a, &b);
}

/*
 * Do the columns that both must share stay what they are when the balances
 * change?  A generated column may depend on them.
 */
bool
rules_match_is_stable(const Rules *rules)
{
	for (int i = 0; i < rules->match.ncolumns; i++)
	{
		AttrNumber attnum = rules->match.attnums[i];

		if (attnum == rules->balance.attnum ||
			target_column(rules->accounts, attnum)->attgenerated != '\0')
			return false;
	}
	return true;
}

/* Do the two share what they must?  NULL is like NULL. */
Verdict
rules_check_match(const Rules *rules, const Account *from, const Account *to)
{
	if (rules->match.ncolumns > 0 &&
		find_mismatch(rules, from, to) != InvalidAttrNumber)
		return VERDICT_MISMATCH;
	return VERDICT_OK;
}

/*
 * How much the payer can give, if that is less than the amount.  Between the
 * ends of a column's range lies more than the column can hold as an amount.
 */
static Numeric
clip_amount(const Rules *rules, const Account *from, Numeric amount)
{
	const MoneyColumn *column = &rules->balance;
	Numeric available;

	if (rules->floor == NULL)
		return amount;
	available = money_minus(from->balance, rules->floor);
	if (column->bounded && money_compare(available, column->highest) > 0)
		available = column->highest;
	if (money_compare(available, amount) < 0)
		return available;
	return amount;
}

/*
 * Judge the accounts as they are under their locks, and say what the transfer
 * does.
 */
Verdict
rules_check_accounts(const Rules *rules, const Account *from, const Account *to,
					 Numeric amount, Movement *movement)
{
	const MoneyColumn *column = &rules->balance;

	if (!from->found)
		return VERDICT_FROM_NOT_FOUND;
	if (!to->found)
		return VERDICT_TO_NOT_FOUND;
	if (rules_check_match(rules, from, to) != VERDICT_OK)
		return VERDICT_MISMATCH;
	if (from->balance_null)
		return VERDICT_FROM_BALANCE_NULL;
	if (!money_is_finite(from->balance))
		return VERDICT_FROM_BALANCE_NOT_FINITE;
	if (to->balance_null)
		return VERDICT_TO_BALANCE_NULL;
	if (!money_is_finite(to->balance))
		return VERDICT_TO_BALANCE_NOT_FINITE;

	movement->amount = rules->up_to ? clip_amount(rules, from, amount) : amount;
	if (!money_is_positive(movement->amount))
		return VERDICT_FUNDS;
	if (rules->up_to && !amount_is_exact(rules, movement->amount))
		return VERDICT_MOVED_NOT_EXACT;
	movement->from_balance = money_minus(from->balance, movement->amount);
	movement->to_balance = money_plus(to->balance, movement->amount);
	if (rules->min_balance != NULL &&
		money_compare(movement->from_balance, rules->min_balance) < 0)
		return VERDICT_FUNDS;
	if (rules->max_balance != NULL &&
		money_compare(movement->to_balance, rules->max_balance) > 0)
		return VERDICT_LIMIT;
	if (column->bounded &&
		money_compare(movement->from_balance, column->lowest) < 0)
		return VERDICT_FROM_OUT_OF_RANGE;
	if (column->bounded &&
		money_compare(movement->to_balance, column->highest) > 0)
		return VERDICT_TO_OUT_OF_RANGE;
	return VERDICT_OK;
}

/* ----------
 * Telling
 * ----------
 */

/* The verdict as a batch reports it. */
const char *
rules_status(Verdict verdict)
{
	switch (verdict)
	{
		case VERDICT_OK:
			return "ok";
		case VERDICT_REPLAYED:
			return "replayed";
		case VERDICT_REQUEST_DIFFERS:
			return "request_mismatch";
		case VERDICT_AMOUNT_NULL:
		case VERDICT_AMOUNT_NOT_POSITIVE:
		case VERDICT_AMOUNT_NOT_EXACT:
		case VERDICT_MOVED_NOT_EXACT:
			return "invalid_amount";
		case VERDICT_SAME_ACCOUNT:
			return "same_account";
		case VERDICT_FROM_ID_NULL:
		case VERDICT_TO_ID_NULL:
		case VERDICT_FROM_NOT_FOUND:
		case VERDICT_TO_NOT_FOUND:
			return "account_not_found";
		case VERDICT_MISMATCH:
			return "mismatch";
		case VERDICT_FROM_BALANCE_NULL:
		case VERDICT_FROM_BALANCE_NOT_FINITE:
		case VERDICT_TO_BALANCE_NULL:
		case VERDICT_TO_BALANCE_NOT_FINITE:
			return "invalid_balance";
		case VERDICT_FUNDS:
			return "insufficient_funds";
		case VERDICT_LIMIT:
		case VERDICT_FROM_OUT_OF_RANGE:
		case VERDICT_TO_OUT_OF_RANGE:
			return "limit_exceeded";
		case VERDICT_CHAIN_FAILED:
			return "chain_failed";
	}
	elog(ERROR, "unrecognized verdict: %d", (int) verdict);
}

/* An account's id, for messages. */
static char *
account_name(const Rules *rules, const Account *account)
{
	return ids_print(rules->accounts, rules->id.attnum, account->id);
}

static const char *
table_name(const Rules *rules)
{
	return RelationGetRelationName(target_relation(rules->accounts));
}

static void
raise_not_exact(const Rules *rules, Numeric amount)
{
	const MoneyColumn *column = &rules->balance;
	Form_pg_attribute att;

	if (money_is_exact(column, amount))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount %s cannot be held exactly in the journal",
						money_print(amount)),
				 errdetail("Its column for amounts is of type %s.",
						   format_type_with_typemod(rules->booked->type,
													rules->booked->typmod))));
	att = target_column(rules->accounts, column->attnum);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("amount %s cannot be held exactly in column \"%s\" of "
					"type %s",
					money_print(amount), NameStr(att->attname),
					format_type_with_typemod(column->type, column->typmod))));
}

static void
raise_not_found(const Rules *rules, const Account *account)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_ACCOUNT_NOT_FOUND),
			 errmsg("account \"%s\" does not exist in table \"%s\"",
					account_name(rules, account), table_name(rules)),
			 target_has_row_security(rules->accounts)
				 ? errhint("Row-level security may hide the account.")
				 : 0));
}

static void
raise_mismatch(const Rules *rules, const Account *from, const Account *to)
{
	AttrNumber attnum = find_mismatch(rules, from, to);

	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_ACCOUNTS_DIFFER),
			 errmsg("accounts \"%s\" and \"%s\" of table \"%s\" differ in "
					"column \"%s\"",
					account_name(rules, from),
					account_name(rules, to), table_name(rules),
					NameStr(target_column(rules->accounts, attnum)->attname)),
			 errdetail("The column is named in \"must_match\".")));
}

static void
raise_balance(const Rules *rules, const Account *account)
{
	if (account->balance_null)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("balance of account \"%s\" in table \"%s\" is "
							   "null",
							   account_name(rules, account),
							   table_name(rules))));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("balance of account \"%s\" in table \"%s\" is not finite",
					account_name(rules, account), table_name(rules))));
}

static void
raise_funds(const Rules *rules, const Account *from, Numeric amount)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_INSUFFICIENT_FUNDS),
			 errmsg("insufficient funds in account \"%s\" of table \"%s\"",
					account_name(rules, from), table_name(rules)),
			 errdetail("The balance is %s, the amount %s, the minimum "
					   "balance %s.",
					   money_print(from->balance), money_print(amount),
					   money_print(rules->up_to && rules->floor != NULL
									   ? rules->floor
									   : rules->min_balance))));
}

static void
raise_limit(const Rules *rules, const Account *to, Numeric amount)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_LIMIT_EXCEEDED),
			 errmsg("account \"%s\" of table \"%s\" cannot take the amount",
					account_name(rules, to), table_name(rules)),
			 errdetail("The balance is %s, the amount %s, the maximum "
					   "balance %s.",
					   money_print(to->balance), money_print(amount),
					   money_print(rules->max_balance))));
}

static void
raise_range(const Rules *rules, const Account *account)
{
	const MoneyColumn *column = &rules->balance;
	Form_pg_attribute att = target_column(rules->accounts, column->attnum);

	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("balance of account \"%s\" in table \"%s\" would be out "
					"of range",
					account_name(rules, account), table_name(rules)),
			 errdetail("Column \"%s\" is of type %s.", NameStr(att->attname),
					   format_type_with_typemod(column->type,
												column->typmod))));
}

/* Raise the error that a failure is, where it is not to be reported. */
void
rules_raise(const Rules *rules, Verdict verdict, const Account *from,
			const Account *to, Numeric amount)
{
	switch (verdict)
	{
		case VERDICT_OK:
		case VERDICT_REPLAYED:
			return;
		case VERDICT_FROM_ID_NULL:
			error_null_argument("from_id");
		case VERDICT_TO_ID_NULL:
			error_null_argument("to_id");
		case VERDICT_AMOUNT_NULL:
			error_null_argument("amount");
		case VERDICT_AMOUNT_NOT_POSITIVE:
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("amount must be positive and finite")));
			break;
		case VERDICT_SAME_ACCOUNT:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot transfer from an account to itself")));
			break;
		case VERDICT_AMOUNT_NOT_EXACT:
			raise_not_exact(rules, amount);
			break;
		case VERDICT_MOVED_NOT_EXACT:
			raise_not_exact(rules, clip_amount(rules, from, amount));
			break;
		case VERDICT_FROM_NOT_FOUND:
			raise_not_found(rules, from);
			break;
		case VERDICT_TO_NOT_FOUND:
			raise_not_found(rules, to);
			break;
		case VERDICT_MISMATCH:
			raise_mismatch(rules, from, to);
			break;
		case VERDICT_FROM_BALANCE_NULL:
		case VERDICT_FROM_BALANCE_NOT_FINITE:
			raise_balance(rules, from);
			break;
		case VERDICT_TO_BALANCE_NULL:
		case VERDICT_TO_BALANCE_NOT_FINITE:
			raise_balance(rules, to);
			break;
		case VERDICT_FUNDS:
			raise_funds(rules, from, amount);
			break;
		case VERDICT_LIMIT:
			raise_limit(rules, to, amount);
			break;
		case VERDICT_FROM_OUT_OF_RANGE:
			raise_range(rules, from);
			break;
		case VERDICT_TO_OUT_OF_RANGE:
			raise_range(rules, to);
			break;
		case VERDICT_REQUEST_DIFFERS:
		case VERDICT_CHAIN_FAILED:
			break;
	}
	elog(ERROR, "unexpected verdict: %d", (int) verdict);
}

/* The row does not hold the balance that was computed. */
void
rules_raise_not_stored(const Rules *rules, const Account *account,
					   Numeric expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("balance of account \"%s\" in table \"%s\" was not "
					"stored as computed",
					account_name(rules, account), table_name(rules)),
			 errdetail("The balance should be %s.", money_print(expected)),
			 errhint("A trigger, or a function in a CHECK or DEFAULT, seems to "
					 "change the balance or to suppress the update.")));
}
