/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What a transfer must satisfy, and in which order.
 *
 * Single transfers and batches are checked here, so that the status of one is
 * the error of the other.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/errors.h"
#include "ledger/rules.h"
#include "table/traits.h"

/* ----------
 * Limits
 * ----------
 */

/* A limit may be infinite, but it must be a number. */
static void
rules_check_limit(Numeric limit, const char *argument)
{
	if (limit != NULL && numeric_is_nan(limit))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be NaN", argument)));
}

/* Check limits by themselves, before any table is opened. */
void
rules_check_args(const RuleArgs *args)
{
	rules_check_limit(args->min_balance, "min_balance");
	rules_check_limit(args->max_balance, "max_balance");
}

/*
 * The least balance that min_balance leaves and the column can hold.  The limit
 * may lie between two such numbers, or be one that no balance could reach.
 */
static Numeric
rules_floor(const MoneyColumn *column, Numeric min_balance)
{
	if (min_balance == NULL || money_compare(min_balance, column->lowest) < 0)
		return column->bounded ? column->lowest : NULL;
	if (money_compare(min_balance, column->highest) <= 0)
		return money_ceiling(column, min_balance);
	return NULL;
}

/*
 * The floor that a call means; NULL for none.  If it names none, that is each
 * account's own, or 0 where accounts have no floors of their own.
 */
static Numeric
rules_call_floor(const Accounts *accounts, Numeric min_balance)
{
	if (min_balance == NULL)
		return accounts->limits[ACCOUNT_FLOOR].attnum != InvalidAttrNumber
				   ? NULL
				   : int64_to_numeric(0);
	if (numeric_is_inf(min_balance) &&
		money_compare(min_balance, int64_to_numeric(0)) < 0)
		return NULL;
	return min_balance;
}

/* The balance that the payer must keep; NULL for none. */
static Numeric
rules_min_balance(const Rules *rules, const Account *from)
{
	return money_greatest(rules->min_balance, from->floor);
}

/* The balance that the payee must not exceed; NULL for none. */
static Numeric
rules_max_balance(const Rules *rules, const Account *to)
{
	return money_least(rules->max_balance, to->ceiling);
}

/* Take the limits for transfers between these accounts. */
void
rules_resolve(Rules *rules, const Accounts *accounts, const MoneyColumn *booked,
			  const RuleArgs *args)
{
	rules->accounts = accounts;
	rules->booked = booked;
	rules->min_balance = rules_call_floor(accounts, args->min_balance);
	rules->max_balance = args->max_balance;
	rules->up_to = args->up_to;
	rules->now = 0;
}

/*
 * Take the time at which accounts are closed or not, and holds expire.  The
 * accounts are locked: had it been taken before the call waited for one of them,
 * a transfer could be made long after the other one was closed.
 */
void
rules_set_time(Rules *rules)
{
	const LimitColumn *closed = &rules->accounts->limits[ACCOUNT_CLOSED];

	if (closed->attnum != InvalidAttrNumber || rules->accounts->has_held)
		rules->now = GetCurrentTimestamp();
}

/* ----------
 * Checking
 *
 * The order of the checks is a promise: it is the order of the table of errors
 * in the documentation of transfer().
 * ----------
 */

/* Return true if a transfer of that kind changes what is held. */
static bool
rules_kind_holds(EntryKind kind)
{
	return kind != ENTRY_TRANSFER && kind != ENTRY_REVERSAL;
}

/* Return true if the balances and the journal can hold the amount exactly. */
static bool
rules_amount_is_exact(const Rules *rules, EntryKind kind, Numeric amount)
{
	return money_is_exact(&rules->accounts->balance, amount) &&
		   (!rules_kind_holds(kind) ||
			money_is_exact(&rules->accounts->held, amount)) &&
		   (rules->booked == NULL || money_is_exact(rules->booked, amount));
}

/*
 * Check what is asked for, before the accounts are read.  The amount is NULL if
 * none was given.
 */
TransferStatus
rules_check_asked(const Rules *rules, EntryKind kind, const Account *from,
				  const Account *to, Numeric amount)
{
	if (from->id_null)
		return TRANSFER_FROM_ID_NULL;
	if (to->id_null)
		return TRANSFER_TO_ID_NULL;
	if (amount == NULL)
		return TRANSFER_AMOUNT_NULL;
	if (!money_is_positive(amount))
		return TRANSFER_AMOUNT_NOT_POSITIVE;
	if (from == to || ids_compare(&rules->accounts->id, from->id, to->id) == 0)
		return TRANSFER_SAME_ACCOUNT;
	/* With "up_to", only a part of the amount may be moved. */
	if (!rules->up_to && !rules_amount_is_exact(rules, kind, amount))
		return TRANSFER_AMOUNT_NOT_EXACT;
	return TRANSFER_OK;
}

/* Check that the two accounts are equal where they must be. */
TransferStatus
rules_check_match(const Rules *rules, const Account *from, const Account *to)
{
	Assert(from->found && to->found);
	if (rules->accounts->match.ncolumns > 0 &&
		accounts_find_mismatch(rules->accounts, from, to) != InvalidAttrNumber)
		return TRANSFER_MISMATCH;
	return TRANSFER_OK;
}

/* What the payer has and has not reserved, whatever it must keep. */
static Numeric
rules_funds(const Account *from)
{
	return from->held == NULL ? from->balance
							  : money_minus(from->balance, accounts_held(from));
}

/*
 * The amount, or what the payer can give if that is less: what is left of the
 * hold that is posted, and funds.  A balance minus the floor may be more than
 * the column can hold as an amount.
 */
static Numeric
rules_clip_amount(const Rules *rules, const Account *from, const Deal *deal)
{
	const MoneyColumn *column = &rules->accounts->balance;
	Numeric floor = rules_floor(column, rules_min_balance(rules, from));
	Numeric amount = deal->amount;
	Numeric available;

	if (floor == NULL)
		return amount;
	available = money_minus(rules_funds(from), floor);
	if (deal->rest != NULL)
		available = money_is_positive(available)
						? money_plus(available, deal->rest)
						: deal->rest;
	if (column->bounded && money_compare(available, column->highest) > 0)
		available = column->highest;
	return money_compare(available, amount) < 0 ? available : amount;
}

/* Return true if the account takes part in nothing any more. */
static bool
rules_is_closed(const Rules *rules, const Account *account)
{
	return account->closes && account->closes_at <= rules->now;
}

/* Return true if an account's held amount cannot be counted on. */
static bool
rules_held_is_invalid(const Rules *rules, const Account *account)
{
	return rules->accounts->has_held &&
		   (account->held_null || !money_is_finite(account->held) ||
			money_compare(account->held, int64_to_numeric(0)) < 0);
}

/* Check that an account has numbers that can be counted on. */
static TransferStatus
rules_check_numbers(const Rules *rules, const Account *account, Side side)
{
	bool pays = side == PAYER;

	if (account->balance_null)
		return pays ? TRANSFER_FROM_BALANCE_NULL : TRANSFER_TO_BALANCE_NULL;
	if (!money_is_finite(account->balance))
		return pays ? TRANSFER_FROM_BALANCE_NOT_FINITE
					: TRANSFER_TO_BALANCE_NOT_FINITE;
	if (rules_held_is_invalid(rules, account))
		return pays ? TRANSFER_FROM_HELD_INVALID : TRANSFER_TO_HELD_INVALID;
	return TRANSFER_OK;
}

/*
 * Check that there are two accounts that can take part.  The payee of a hold
 * only has to be there: what it may take is checked when the hold is posted.
 */
static TransferStatus
rules_check_pair(const Rules *rules, EntryKind kind, const Account *from,
				 const Account *to)
{
	TransferStatus status;

	if (!from->found)
		return TRANSFER_FROM_NOT_FOUND;
	if (!to->found)
		return TRANSFER_TO_NOT_FOUND;
	if (rules_is_closed(rules, from))
		return TRANSFER_FROM_CLOSED;
	if (rules_is_closed(rules, to))
		return TRANSFER_TO_CLOSED;
	if (rules_check_match(rules, from, to) != TRANSFER_OK)
		return TRANSFER_MISMATCH;
	status = rules_check_numbers(rules, from, PAYER);
	if (status == TRANSFER_OK && journal_kind_moves(kind))
		status = rules_check_numbers(rules, to, PAYEE);
	if (status != TRANSFER_OK)
		return status;
	if (from->floor != NULL && numeric_is_nan(from->floor))
		return TRANSFER_FROM_FLOOR_NAN;
	if (journal_kind_moves(kind) && to->ceiling != NULL &&
		numeric_is_nan(to->ceiling))
		return TRANSFER_TO_CEILING_NAN;
	return TRANSFER_OK;
}

/*
 * Check a transfer that only lets go of what is left of a hold.  A payer that is
 * closed can have it back, and nothing is asked of the payee.
 */
static TransferStatus
rules_check_release(const Rules *rules, const Account *from, const Deal *deal,
					Moved *moved)
{
	TransferStatus status;

	if (!from->found)
		return TRANSFER_FROM_NOT_FOUND;
	status = rules_check_numbers(rules, from, PAYER);
	if (status != TRANSFER_OK)
		return status;
	if (money_compare(accounts_held(from), deal->rest) < 0)
		return TRANSFER_HELD_SHORT;
	moved->amount = deal->rest;
	moved->balances[PAYER] = from->balance;
	moved->held = money_minus(from->held, deal->rest);
	moved->rest = int64_to_numeric(0);
	return TRANSFER_OK;
}

/* Check what is held after a transfer, and compute it. */
static TransferStatus
rules_check_held(const Rules *rules, const Account *from, const Deal *deal,
				 Moved *moved)
{
	const MoneyColumn *column = &rules->accounts->held;
	Numeric covered;
	Numeric settled;

	moved->held = from->held;
	if (deal->kind == ENTRY_HOLD)
	{
		moved->held = money_plus(from->held, moved->amount);
		if (column->bounded &&
			money_compare(money_plus(accounts_held(from), moved->amount),
						  column->highest) > 0)
			return TRANSFER_HELD_OUT_OF_RANGE;
	}
	else if (deal->kind == ENTRY_POST)
	{
		covered = money_least(moved->amount, deal->rest);
		settled = deal->final ? deal->rest : covered;
		if (money_compare(accounts_held(from), settled) < 0)
			return TRANSFER_HELD_SHORT;
		moved->held = money_minus(from->held, settled);
		moved->rest = money_minus(deal->rest, settled);
		if (money_compare(covered, settled) < 0)
			moved->left = money_minus(settled, covered);
	}
	return TRANSFER_OK;
}

/* Check that the payee can take the amount, and compute its balance. */
static TransferStatus
rules_check_payee(const Rules *rules, const Account *to, EntryKind kind,
				  Moved *moved)
{
	const MoneyColumn *column = &rules->accounts->balance;
	Numeric limit = rules_max_balance(rules, to);
	Numeric after;

	if (!journal_kind_moves(kind))
		return TRANSFER_OK;
	after = money_plus(to->balance, moved->amount);
	if (limit != NULL && money_compare(after, limit) > 0)
		return TRANSFER_LIMIT;
	if (column->bounded && money_compare(after, column->highest) > 0)
		return TRANSFER_TO_OUT_OF_RANGE;
	moved->balances[PAYEE] = after;
	return TRANSFER_OK;
}

/*
 * Check that the payer can give the amount, or reserve it, and compute its
 * balance.  What is posted of a hold was reserved, and needs no funds.
 */
static TransferStatus
rules_check_payer(const Rules *rules, const Account *from, const Deal *deal,
				  Moved *moved, bool *out_of_range)
{
	const MoneyColumn *column = &rules->accounts->balance;
	Numeric min_balance = rules_min_balance(rules, from);
	Numeric taken = moved->amount;
	Numeric left;

	moved->balances[PAYER] = journal_kind_moves(deal->kind)
								 ? money_minus(from->balance, moved->amount)
								 : from->balance;
	if (deal->rest != NULL)
		taken = money_minus(moved->amount, deal->rest);
	left = money_is_positive(taken) ? money_minus(rules_funds(from), taken)
									: moved->balances[PAYER];
	*out_of_range = column->bounded &&
					money_compare(moved->balances[PAYER], column->lowest) < 0;
	if (money_is_positive(taken) && min_balance != NULL &&
		money_compare(left, min_balance) < 0)
		return TRANSFER_FUNDS;
	return TRANSFER_OK;
}

/*
 * Check the accounts as they are under their locks, and compute what the
 * transfer does.  What is asked for has passed rules_check_asked().
 */
TransferStatus
rules_check_accounts(const Rules *rules, const Account *from, const Account *to,
					 const Deal *deal, Moved *moved)
{
	TransferStatus status;
	bool out_of_range;

	memset(moved, 0, sizeof(Moved));
	if (deal->kind == ENTRY_VOID || deal->kind == ENTRY_EXPIRY)
		return rules_check_release(rules, from, deal, moved);
	status = rules_check_pair(rules, deal->kind, from, to);
	if (status != TRANSFER_OK)
		return status;
	moved->amount = deal->amount;
	if (rules->up_to)
		moved->amount = rules_clip_amount(rules, from, deal);
	if (!money_is_positive(moved->amount))
		return TRANSFER_FUNDS;
	if (rules->up_to &&
		!rules_amount_is_exact(rules, deal->kind, moved->amount))
		return TRANSFER_MOVED_NOT_EXACT;
	status = rules_check_held(rules, from, deal, moved);
	if (status == TRANSFER_HELD_SHORT)
		return status;
	if (rules_check_payer(rules, from, deal, moved, &out_of_range) !=
		TRANSFER_OK)
		return TRANSFER_FUNDS;
	if (status == TRANSFER_OK)
		status = rules_check_payee(rules, to, deal->kind, moved);
	if (status != TRANSFER_LIMIT && out_of_range)
		return TRANSFER_FROM_OUT_OF_RANGE;
	return status;
}

/* ----------
 * Bounds
 *
 * An UPDATE that adds to a balance can ask that the old balance be within a
 * bound, under which the new one breaks neither a limit nor the column's range.
 * ----------
 */

/*
 * Return true if bounds can be computed without leaving numeric's range, and
 * without reading the accounts' own limits.
 */
bool
rules_bounds_are_sound(const Rules *rules, Numeric amount)
{
	const MoneyColumn *column = &rules->accounts->balance;

	return rules->accounts->nlimits == 0 && !rules->accounts->has_held &&
		   money_compare(amount, column->highest) <= 0 &&
		   (rules->min_balance == NULL ||
			money_compare(rules->min_balance, column->highest) <= 0) &&
		   (rules->max_balance == NULL ||
			money_compare(rules->max_balance, column->lowest) >= 0);
}

/*
 * The bound on the old balance for a change of it, which is negative for the
 * payer; "limit" is NULL if there is no bound.
 */
AddBound
rules_bound(const Rules *rules, Side side, Numeric change, Numeric *limit)
{
	const MoneyColumn *column = &rules->accounts->balance;
	bool pays = side == PAYER;
	Numeric bound = pays ? rules->min_balance : rules->max_balance;
	Numeric range = pays ? column->lowest : column->highest;

	/* Whichever is narrower: the limit, or the column's range. */
	if (column->bounded &&
		(bound == NULL || (money_compare(bound, range) > 0) != pays))
		bound = range;
	*limit = bound == NULL ? NULL : money_minus(bound, change);
	return bound == NULL ? ADD_ALWAYS : pays ? ADD_ABOVE : ADD_BELOW;
}

/* ----------
 * Reporting
 * ----------
 */

/* The status as a batch reports it, and whose rows it tells of. */
static const struct
{
	const char *name;
	StatusTells tells;
} status_infos[] = {
	[TRANSFER_OK] = {"ok", TELLS_NOTHING},
	[TRANSFER_REPLAYED] = {"replayed", TELLS_NOTHING},
	[TRANSFER_ID_INVALID] = {"invalid_id", TELLS_NOTHING},
	[TRANSFER_REQUEST_ID_INVALID] = {"invalid_request_id", TELLS_NOTHING},
	[TRANSFER_KIND_INVALID] = {"invalid_kind", TELLS_NOTHING},
	[TRANSFER_REQUEST_DIFFERS] = {"request_mismatch", TELLS_NOTHING},
	[TRANSFER_ENTRY_NOT_FOUND] = {"entry_not_found", TELLS_OF_OTHERS},
	[TRANSFER_ENTRY_INCOMPLETE] = {"account_not_found", TELLS_OF_OTHERS},
	[TRANSFER_HOLD_NOT_FOUND] = {"hold_not_found", TELLS_OF_OTHERS},
	[TRANSFER_HOLD_SETTLED] = {"hold_settled", TELLS_OF_OTHERS},
	[TRANSFER_HOLD_EXPIRED] = {"hold_expired", TELLS_OF_OTHERS},
	[TRANSFER_FROM_ID_NULL] = {"account_not_found", TELLS_NOTHING},
	[TRANSFER_TO_ID_NULL] = {"account_not_found", TELLS_NOTHING},
	[TRANSFER_AMOUNT_NULL] = {"invalid_amount", TELLS_NOTHING},
	[TRANSFER_AMOUNT_NOT_POSITIVE] = {"invalid_amount", TELLS_NOTHING},
	[TRANSFER_SAME_ACCOUNT] = {"same_account", TELLS_NOTHING},
	[TRANSFER_AMOUNT_NOT_EXACT] = {"invalid_amount", TELLS_NOTHING},
	[TRANSFER_EXPIRY_INVALID] = {"invalid_expires_at", TELLS_NOTHING},
	[TRANSFER_OVER_REVERSED] = {"over_reversed", TELLS_OF_OTHERS},
	[TRANSFER_OVER_POSTED] = {"over_posted", TELLS_OF_OTHERS},
	[TRANSFER_FROM_NOT_FOUND] = {"account_not_found", TELLS_OF_OTHERS},
	[TRANSFER_TO_NOT_FOUND] = {"account_not_found", TELLS_OF_OTHERS},
	[TRANSFER_FROM_CLOSED] = {"account_closed", TELLS_OF_PAYER},
	[TRANSFER_TO_CLOSED] = {"account_closed", TELLS_OF_PAYEE},
	[TRANSFER_MISMATCH] = {"mismatch", TELLS_OF_OTHERS},
	[TRANSFER_FROM_BALANCE_NULL] = {"invalid_balance", TELLS_OF_PAYER},
	[TRANSFER_FROM_BALANCE_NOT_FINITE] = {"invalid_balance", TELLS_OF_PAYER},
	[TRANSFER_FROM_HELD_INVALID] = {"invalid_balance", TELLS_OF_PAYER},
	[TRANSFER_TO_BALANCE_NULL] = {"invalid_balance", TELLS_OF_PAYEE},
	[TRANSFER_TO_BALANCE_NOT_FINITE] = {"invalid_balance", TELLS_OF_PAYEE},
	[TRANSFER_TO_HELD_INVALID] = {"invalid_balance", TELLS_OF_PAYEE},
	[TRANSFER_FROM_FLOOR_NAN] = {"invalid_balance", TELLS_OF_PAYER},
	[TRANSFER_TO_CEILING_NAN] = {"invalid_balance", TELLS_OF_PAYEE},
	[TRANSFER_HELD_SHORT] = {"invalid_balance", TELLS_OF_PAYER},
	[TRANSFER_FUNDS] = {"insufficient_funds", TELLS_OF_PAYER},
	[TRANSFER_MOVED_NOT_EXACT] = {"invalid_amount", TELLS_OF_PAYER},
	[TRANSFER_LIMIT] = {"limit_exceeded", TELLS_OF_PAYEE},
	[TRANSFER_FROM_OUT_OF_RANGE] = {"limit_exceeded", TELLS_OF_PAYER},
	[TRANSFER_TO_OUT_OF_RANGE] = {"limit_exceeded", TELLS_OF_PAYEE},
	[TRANSFER_HELD_OUT_OF_RANGE] = {"limit_exceeded", TELLS_OF_PAYER},
	[TRANSFER_REFUSED] = {"refused", TELLS_NOTHING},
	[TRANSFER_CHAIN_FAILED] = {"chain_failed", TELLS_NOTHING},
	[TRANSFER_LEFT_OUT] = {"left_out", TELLS_NOTHING},
};

StaticAssertDecl(lengthof(status_infos) == NUM_TRANSFER_STATUSES,
				 "status_infos must name every TransferStatus");

const char *
rules_status_name(TransferStatus status)
{
	Assert(status >= 0 && status < NUM_TRANSFER_STATUSES);
	return status_infos[status].name;
}

/* Whose rows, perhaps of other transactions, a status tells of. */
StatusTells
rules_status_tells(TransferStatus status)
{
	Assert(status >= 0 && status < NUM_TRANSFER_STATUSES);
	return status_infos[status].tells;
}

pg_noreturn static void
rules_error_not_exact(const Rules *rules, EntryKind kind, Numeric amount)
{
	const MoneyColumn *column = &rules->accounts->balance;
	Form_pg_attribute att;

	if (money_is_exact(column, amount) && rules_kind_holds(kind))
		column = &rules->accounts->held;
	if (money_is_exact(column, amount))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("amount %s cannot be held exactly in the journal",
						money_print(amount)),
				 errdetail("Its column for amounts is of type %s.",
						   format_type_with_typemod(rules->booked->type,
													rules->booked->typmod))));
	att = target_column(rules->accounts->table, column->attnum);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("amount %s cannot be held exactly in column \"%s\" of "
					"type %s",
					money_print(amount), NameStr(att->attname),
					format_type_with_typemod(column->type, column->typmod))));
}

pg_noreturn static void
rules_error_not_found(const Rules *rules, const Account *account)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_ACCOUNT_NOT_FOUND),
			 errmsg("account \"%s\" does not exist in table \"%s\"",
					accounts_print_id(rules->accounts, account),
					accounts_table_name(rules->accounts)),
			 traits_has_row_security(rules->accounts->table)
				 ? errhint("Row-level security may hide the account.")
				 : 0));
}

pg_noreturn static void
rules_error_mismatch(const Rules *rules, const Account *from, const Account *to)
{
	const Accounts *accounts = rules->accounts;
	AttrNumber attnum = accounts_find_mismatch(accounts, from, to);

	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_ACCOUNTS_DIFFER),
			 errmsg("accounts \"%s\" and \"%s\" of table \"%s\" differ in "
					"column \"%s\"",
					accounts_print_id(accounts, from),
					accounts_print_id(accounts, to),
					accounts_table_name(accounts),
					NameStr(target_column(accounts->table, attnum)->attname)),
			 errdetail("The column is named in \"must_match\".")));
}

pg_noreturn static void
rules_error_balance(const Rules *rules, const Account *account)
{
	if (account->balance_null)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("balance of account \"%s\" in table \"%s\" is "
							   "null",
							   accounts_print_id(rules->accounts, account),
							   accounts_table_name(rules->accounts))));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("balance of account \"%s\" in table \"%s\" is not finite",
					accounts_print_id(rules->accounts, account),
					accounts_table_name(rules->accounts))));
}

/* The name of the column with held amounts. */
static const char *
rules_held_column(const Accounts *accounts)
{
	return NameStr(
		target_column(accounts->table, accounts->held.attnum)->attname);
}

pg_noreturn static void
rules_error_held(const Rules *rules, const Account *account)
{
	const Accounts *accounts = rules->accounts;

	ereport(ERROR,
			(errcode(account->held_null ? ERRCODE_NULL_VALUE_NOT_ALLOWED
										: ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("held amount of account \"%s\" in table \"%s\" is %s",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts),
					account->held_null				  ? "null"
					: !money_is_finite(account->held) ? "not finite"
													  : "negative"),
			 errdetail("By the rules of the journal, column \"%s\" has it.",
					   rules_held_column(accounts))));
}

pg_noreturn static void
rules_error_held_short(const Rules *rules, const Account *account)
{
	const Accounts *accounts = rules->accounts;

	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("held amount of account \"%s\" in table \"%s\" is less "
					"than its holds",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("Column \"%s\" says %s.", rules_held_column(accounts),
					   money_print(account->held))));
}

/* The name of the column that limits accounts, by the rules of the journal. */
static const char *
rules_limit_column(const Accounts *accounts, AccountLimit limit)
{
	AttrNumber attnum = accounts->limits[limit].attnum;

	return NameStr(target_column(accounts->table, attnum)->attname);
}

pg_noreturn static void
rules_error_closed(const Rules *rules, const Account *account)
{
	const Accounts *accounts = rules->accounts;

	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_ACCOUNT_CLOSED),
			 errmsg("account \"%s\" of table \"%s\" is closed",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("By the rules of the journal, column \"%s\" says so.",
					   rules_limit_column(accounts, ACCOUNT_CLOSED))));
}

pg_noreturn static void
rules_error_limit_nan(const Rules *rules, const Account *account,
					  AccountLimit limit)
{
	const Accounts *accounts = rules->accounts;

	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("limit of account \"%s\" in table \"%s\" is not a number",
					accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("By the rules of the journal, column \"%s\" has it.",
					   rules_limit_column(accounts, limit))));
}

pg_noreturn static void
rules_error_funds(const Rules *rules, const Account *from, Numeric amount)
{
	Numeric min_balance = rules_min_balance(rules, from);
	Numeric floor = rules_floor(&rules->accounts->balance, min_balance);
	char *balance = money_print(from->balance);

	if (from->held != NULL)
		balance = psprintf("%s, of which %s is held", balance,
						   money_print(accounts_held(from)));
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_INSUFFICIENT_FUNDS),
			 errmsg("insufficient funds in account \"%s\" of table \"%s\"",
					accounts_print_id(rules->accounts, from),
					accounts_table_name(rules->accounts)),
			 errdetail("The balance is %s, the amount %s, the minimum "
					   "balance %s.",
					   balance, money_print(amount),
					   money_print(rules->up_to && floor != NULL
									   ? floor
									   : min_balance))));
}

pg_noreturn static void
rules_error_limit(const Rules *rules, const Account *to, Numeric amount)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_LIMIT_EXCEEDED),
			 errmsg("account \"%s\" of table \"%s\" cannot take the amount",
					accounts_print_id(rules->accounts, to),
					accounts_table_name(rules->accounts)),
			 errdetail("The balance is %s, the amount %s, the maximum "
					   "balance %s.",
					   money_print(to->balance), money_print(amount),
					   money_print(rules_max_balance(rules, to)))));
}

pg_noreturn static void
rules_error_range(const Rules *rules, const Account *account,
				  const MoneyColumn *column, const char *what)
{
	const Accounts *accounts = rules->accounts;
	Form_pg_attribute att = target_column(accounts->table, column->attnum);

	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s of account \"%s\" in table \"%s\" would be out of "
					"range",
					what, accounts_print_id(accounts, account),
					accounts_table_name(accounts)),
			 errdetail("Column \"%s\" is of type %s.", NameStr(att->attname),
					   format_type_with_typemod(column->type,
												column->typmod))));
}

/* Raise the error that a failure is, where failures are errors. */
void
rules_raise(const Rules *rules, TransferStatus status, const Account *from,
			const Account *to, const Deal *deal)
{
	const Accounts *accounts = rules->accounts;
	Numeric amount = deal->amount;

	switch (status)
	{
		case TRANSFER_FROM_ID_NULL:
			error_null_argument("from_id");
		case TRANSFER_TO_ID_NULL:
			error_null_argument("to_id");
		case TRANSFER_AMOUNT_NULL:
			error_null_argument("amount");
		case TRANSFER_AMOUNT_NOT_POSITIVE:
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("amount must be positive and finite")));
			break;
		case TRANSFER_EXPIRY_INVALID:
			if (deal->kind != ENTRY_HOLD)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("only a hold can have expires_at")));
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("expires_at must be in the future")));
			break;
		case TRANSFER_SAME_ACCOUNT:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot transfer from an account to itself")));
			break;
		case TRANSFER_AMOUNT_NOT_EXACT:
			rules_error_not_exact(rules, deal->kind, amount);
		case TRANSFER_FROM_NOT_FOUND:
			rules_error_not_found(rules, from);
		case TRANSFER_TO_NOT_FOUND:
			rules_error_not_found(rules, to);
		case TRANSFER_FROM_CLOSED:
			rules_error_closed(rules, from);
		case TRANSFER_TO_CLOSED:
			rules_error_closed(rules, to);
		case TRANSFER_MISMATCH:
			rules_error_mismatch(rules, from, to);
		case TRANSFER_FROM_BALANCE_NULL:
		case TRANSFER_FROM_BALANCE_NOT_FINITE:
			rules_error_balance(rules, from);
		case TRANSFER_TO_BALANCE_NULL:
		case TRANSFER_TO_BALANCE_NOT_FINITE:
			rules_error_balance(rules, to);
		case TRANSFER_FROM_HELD_INVALID:
			rules_error_held(rules, from);
		case TRANSFER_TO_HELD_INVALID:
			rules_error_held(rules, to);
		case TRANSFER_HELD_SHORT:
			rules_error_held_short(rules, from);
		case TRANSFER_FROM_FLOOR_NAN:
			rules_error_limit_nan(rules, from, ACCOUNT_FLOOR);
		case TRANSFER_TO_CEILING_NAN:
			rules_error_limit_nan(rules, to, ACCOUNT_CEILING);
		case TRANSFER_FUNDS:
			rules_error_funds(rules, from, amount);
		case TRANSFER_MOVED_NOT_EXACT:
			rules_error_not_exact(rules, deal->kind,
								  rules_clip_amount(rules, from, deal));
		case TRANSFER_LIMIT:
			rules_error_limit(rules, to, amount);
		case TRANSFER_FROM_OUT_OF_RANGE:
			rules_error_range(rules, from, &accounts->balance, "balance");
		case TRANSFER_TO_OUT_OF_RANGE:
			rules_error_range(rules, to, &accounts->balance, "balance");
		case TRANSFER_HELD_OUT_OF_RANGE:
			rules_error_range(rules, from, &accounts->held, "held amount");
		default:
			break;
	}
	/* Other failures, and successes, are not for the rules to raise. */
	elog(ERROR, "unexpected transfer status: %d", (int) status);
}
