/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  What a transfer must satisfy, and in which order.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_RULES_H
#define RACEFREE_RULES_H

#include "ledger/accounts.h"
#include "ledger/journal_columns.h"
#include "run/run.h"

/*
 * The status of a transfer.  Failures are in the order of precedence, which is
 * that of the table in the documentation of transfer().
 */
typedef enum TransferStatus
{
	TRANSFER_OK,
	TRANSFER_REPLAYED,
	TRANSFER_ID_INVALID, /* known before it is tried; so is the next one */
	TRANSFER_REQUEST_ID_INVALID,
	TRANSFER_KIND_INVALID,
	TRANSFER_REQUEST_DIFFERS,
	TRANSFER_ENTRY_NOT_FOUND,
	TRANSFER_ENTRY_INCOMPLETE, /* the entry does not name two accounts */
	TRANSFER_HOLD_NOT_FOUND,
	TRANSFER_HOLD_SETTLED,
	TRANSFER_HOLD_EXPIRED,
	TRANSFER_FROM_ID_NULL,
	TRANSFER_TO_ID_NULL,
	TRANSFER_AMOUNT_NULL,
	TRANSFER_AMOUNT_NOT_POSITIVE,
	TRANSFER_SAME_ACCOUNT,
	TRANSFER_AMOUNT_NOT_EXACT,
	TRANSFER_EXPIRY_INVALID,
	TRANSFER_OVER_REVERSED,
	TRANSFER_OVER_POSTED,
	TRANSFER_FROM_NOT_FOUND,
	TRANSFER_TO_NOT_FOUND,
	TRANSFER_FROM_CLOSED,
	TRANSFER_TO_CLOSED,
	TRANSFER_MISMATCH,
	TRANSFER_FROM_BALANCE_NULL,
	TRANSFER_FROM_BALANCE_NOT_FINITE,
	TRANSFER_FROM_HELD_INVALID, /* NULL, not finite, or negative */
	TRANSFER_TO_BALANCE_NULL,
	TRANSFER_TO_BALANCE_NOT_FINITE,
	TRANSFER_TO_HELD_INVALID,
	TRANSFER_FROM_FLOOR_NAN, /* the account's own; so is the ceiling */
	TRANSFER_TO_CEILING_NAN,
	TRANSFER_HELD_SHORT, /* less is held than is left of a hold */
	TRANSFER_FUNDS,
	TRANSFER_MOVED_NOT_EXACT, /* the amount that "up_to" leaves */
	TRANSFER_LIMIT,
	TRANSFER_FROM_OUT_OF_RANGE,
	TRANSFER_TO_OUT_OF_RANGE,
	TRANSFER_HELD_OUT_OF_RANGE,
	TRANSFER_REFUSED, /* by code of the user's */
	TRANSFER_CHAIN_FAILED,
	TRANSFER_LEFT_OUT /* it is not tried, nor has it failed */
} TransferStatus;

#define NUM_TRANSFER_STATUSES (TRANSFER_LEFT_OUT + 1)

/*
 * Whose rows a status tells of, from the least to the most.  What is booked
 * under a request id is not meant: see told.c.
 */
typedef enum StatusTells
{
	TELLS_NOTHING, /* that another transaction can have committed */
	TELLS_OF_PAYER,
	TELLS_OF_PAYEE,
	TELLS_OF_OTHERS /* of both, of entries, or that a row is not there */
} StatusTells;

/* The limits that a caller gives. */
typedef struct RuleArgs
{
	Numeric min_balance; /* of the payer; NULL for its own floor, or 0 */
	Numeric max_balance; /* of the payee, or NULL */
	bool up_to;			 /* move what is there, if it is less */
} RuleArgs;

/*
 * The same for certain accounts, which can have limits of their own: of a limit
 * of the call and one of the account the narrower one counts.  Read-only for
 * other rooms.
 */
typedef struct Rules
{
	const Accounts *accounts;
	const MoneyColumn *booked; /* where the amount is booked, or NULL */
	Numeric min_balance;	   /* NULL for none; so is the next one */
	Numeric max_balance;
	bool up_to;
	TimestampTz now; /* at which accounts are closed, or not yet */
} Rules;

/* What a transfer is about. */
typedef struct Deal
{
	EntryKind kind;
	Numeric amount;
	Numeric rest; /* what is left of the hold that it settles; or NULL */
	bool final;	  /* of a post: nothing stays on hold */
} Deal;

/* The amount that a transfer moves, and the accounts right after it. */
typedef struct Moved
{
	Numeric amount;
	Numeric balances[NUM_SIDES]; /* NULL of a payee that it does not touch */
	Numeric held; /* of the payer, as Account has it; NULL without holds */
	Numeric rest; /* of the hold that it settles; or NULL */
	Numeric left; /* what a final post does not take of it; or NULL */
} Moved;

/* Check limits by themselves, before any table is opened. */
extern void rules_check_args(const RuleArgs *args);
/* Limits; "booked" is the journal's column for amounts, NULL without one. */
extern void rules_resolve(Rules *rules, const Accounts *accounts,
						  const MoneyColumn *booked, const RuleArgs *args);

/* Take the time, when the accounts are locked. */
extern void rules_set_time(Rules *rules);

/* Checking, in order */

/* Check what is asked for, before the accounts are read. */
extern TransferStatus rules_check_asked(const Rules *rules, EntryKind kind,
										const Account *from, const Account *to,
										Numeric amount);
/* Check accounts that are locked, and compute what the transfer does. */
extern TransferStatus rules_check_accounts(const Rules *rules,
										   const Account *from,
										   const Account *to, const Deal *deal,
										   Moved *moved);
/* The one check that is left when both balances were changed within bounds. */
extern TransferStatus rules_check_match(const Rules *rules, const Account *from,
										const Account *to);

/* Bounds on old balances within which a change cannot break a rule */

/*
 * Return true if bounds for the amount tell all, and stay within numeric's
 * range.
 */
extern bool rules_bounds_are_sound(const Rules *rules, Numeric amount);
/* The bound for a change of the balance on one side. */
extern AddBound rules_bound(const Rules *rules, Side side, Numeric change,
							Numeric *limit);

/* Reporting */

/* The status as a batch reports it. */
extern const char *rules_status_name(TransferStatus status);
/* Whose rows it tells of. */
extern StatusTells rules_status_tells(TransferStatus status);
/* Raise the error that a failure of one of these checks is. */
pg_noreturn extern void rules_raise(const Rules *rules, TransferStatus status,
									const Account *from, const Account *to,
									const Deal *deal);

#endif /* RACEFREE_RULES_H */
