/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  What a transfer must satisfy, in which order, and how it is told.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_RULES_H
#define RACEFREE_RULES_H

#include "utils/array.h"

#include "table/ids.h"
#include "table/values.h"
#include "base/compat.h"
#include "ledger/money.h"

/* What becomes of a transfer; failures are in the order of precedence. */
typedef enum Verdict
{
	VERDICT_OK,
	VERDICT_REPLAYED,
	VERDICT_REQUEST_DIFFERS,
	VERDICT_FROM_ID_NULL,
	VERDICT_TO_ID_NULL,
	VERDICT_AMOUNT_NULL,
	VERDICT_AMOUNT_NOT_POSITIVE,
	VERDICT_SAME_ACCOUNT,
	VERDICT_AMOUNT_NOT_EXACT,
	VERDICT_FROM_NOT_FOUND,
	VERDICT_TO_NOT_FOUND,
	VERDICT_MISMATCH,
	VERDICT_FROM_BALANCE_NULL,
	VERDICT_FROM_BALANCE_NOT_FINITE,
	VERDICT_TO_BALANCE_NULL,
	VERDICT_TO_BALANCE_NOT_FINITE,
	VERDICT_FUNDS,
	VERDICT_MOVED_NOT_EXACT, /* the amount that "up_to" leaves */
	VERDICT_LIMIT,
	VERDICT_FROM_OUT_OF_RANGE,
	VERDICT_TO_OUT_OF_RANGE,
	VERDICT_CHAIN_FAILED
} Verdict;

/* What the caller says of the accounts and how they may be changed. */
typedef struct RuleArgs
{
	const char *id_column; /* NULL: the primary key */
	const char *balance_column;
	Numeric min_balance; /* of the payer, or NULL */
	Numeric max_balance; /* of the payee, or NULL */
	ArrayType *must_match;
	bool up_to;
} RuleArgs;

/* The same, understood. */
typedef struct Rules
{
	Target *accounts;
	IdColumn id;
	MoneyColumn balance;
	const MoneyColumn *booked; /* where the amount is booked, or NULL */
	Numeric min_balance;
	Numeric max_balance;
	Numeric floor;		/* the least balance that min_balance and the
						 * column's range allow, or NULL */
	ColumnValues match; /* columns that both must share, no values */
	bool up_to;			/* move what is there, if it is less */
} Rules;

/* An account, as far as the rules mind it. */
typedef struct Account
{
	Datum id; /* of the id column's base type */
	bool id_null;
	bool found;
	bool balance_null;
	Numeric balance;
	Datum *match_values; /* as Rules.match */
	bool *match_nulls;
} Account;

/* What a transfer that is allowed does. */
typedef struct Movement
{
	Numeric amount;
	Numeric from_balance; /* right after */
	Numeric to_balance;
} Movement;

extern void rules_resolve(Rules *rules, Target *accounts, const RuleArgs *args);
extern Verdict rules_check_request(const Rules *rules, const Account *from,
								   const Account *to, Numeric amount);
extern bool rules_match_is_stable(const Rules *rules);
extern Verdict rules_check_match(const Rules *rules, const Account *from,
								 const Account *to);
extern Verdict rules_check_accounts(const Rules *rules, const Account *from,
									const Account *to, Numeric amount,
									Movement *movement);
extern const char *rules_status(Verdict verdict);
extern void rules_raise(const Rules *rules, Verdict verdict,
						const Account *from, const Account *to, Numeric amount);
pg_noreturn extern void rules_raise_not_stored(const Rules *rules,
											   const Account *account,
											   Numeric expected);

#endif /* RACEFREE_RULES_H */
