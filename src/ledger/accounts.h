/*-------------------------------------------------------------------------
 *
 * accounts.h
 *	  The table that holds the accounts, and single accounts.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ACCOUNTS_H
#define RACEFREE_ACCOUNTS_H

#include "utils/array.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "ledger/money.h"
#include "ledger/writes.h"
#include "run/rowset.h"
#include "table/ids.h"
#include "table/values.h"

/* The two accounts of a transfer, and of an entry. */
typedef enum Side
{
	PAYER, /* from */
	PAYEE  /* to */
} Side;

#define NUM_SIDES (PAYEE + 1)

/* What a column of an account's row can limit, by the rules of the journal. */
typedef enum AccountLimit
{
	ACCOUNT_FLOOR,	 /* the least balance that paying may leave */
	ACCOUNT_CEILING, /* the greatest that being paid may lead to */
	ACCOUNT_CLOSED	 /* whether, or when, it takes part in nothing any more */
} AccountLimit;

#define NUM_ACCOUNT_LIMITS (ACCOUNT_CLOSED + 1)

/* A column with such a limit. */
typedef struct LimitColumn
{
	AttrNumber attnum; /* invalid if there is none */
	Oid type;		   /* of a domain: the base type */
} LimitColumn;

/*
 * A table of accounts that is open, and the columns that transfers use.
 * Read-only for other rooms.
 */
typedef struct Accounts
{
	Target *table;
	IdColumn id;
	MoneyColumn balance;
	bool has_held; /* by the rules of the journal, a column has held amounts */
	MoneyColumn held;	/* that column */
	ColumnValues match; /* columns in which both accounts of a transfer must
						 * be equal; no values */
	int nlimits;		/* how many of the next there are */
	LimitColumn limits[NUM_ACCOUNT_LIMITS];
} Accounts;

/* One account: its id, and what was read of its row. */
typedef struct Account
{
	Datum id; /* of the id column's base type */
	bool id_null;
	bool found;
	bool balance_null;
	Numeric balance;
	bool held_null;
	Numeric held;	  /* NULL if no column has it; what "released" lets go of is
					   * not subtracted yet */
	Numeric released; /* the holds that this call lets expire; NULL for none */
	Datum *match_values; /* as Accounts.match */
	bool *match_nulls;
	Numeric floor; /* its own, or NULL; so is the next */
	Numeric ceiling;
	bool closes;
	TimestampTz closes_at; /* from then on it is closed */
} Account;

/* The table */

/*
 * Open the table of that row type, locked until the transaction ends.  Without
 * an id column, that is the primary key.  Unsuitable columns are errors.
 */
extern void accounts_open(Accounts *accounts, Oid row_type, LOCKMODE lockmode,
						  const char *id_column, const char *balance_column);
extern void accounts_close(Accounts *accounts);
/* Set the columns in which both accounts of a transfer must be equal. */
extern void accounts_set_match(Accounts *accounts, ArrayType *names);
/* Add columns to these, unless they are among them. */
extern void accounts_add_match(Accounts *accounts, const AttrNumber *attnums,
							   int n);
/* Set the column with held amounts; false if its type does not suit. */
extern bool accounts_set_held(Accounts *accounts, AttrNumber attnum);
/* Set a column, of a type that suits, that limits each account. */
extern void accounts_set_limit(Accounts *accounts, AccountLimit limit,
							   AttrNumber attnum);
/* Return true if a type, no domain, can be that of such a column. */
extern bool accounts_is_limit_type(AccountLimit limit, Oid type);
/* Return true if changes of balances cannot change these columns. */
extern bool accounts_match_is_stable(const Accounts *accounts);
/* The columns that are read of accounts, where not the whole row is. */
extern ColumnValues *accounts_columns(const Accounts *accounts);

/* Single accounts */

/* Make room for what is read of an account. */
extern void accounts_init(const Accounts *accounts, Account *account);
/* Take what a row of a statement's result says of an account. */
extern void accounts_take_row(const Accounts *accounts, const RowSet *set,
							  uint64 i, Account *account);
/* What is held of the balance; the account's held amount is a number. */
extern Numeric accounts_held(const Account *account);
/* The first column of "match" in which two accounts differ, or invalid. */
extern AttrNumber accounts_find_mismatch(const Accounts *accounts,
										 const Account *a, const Account *b);

/* An account's row as a guard sees it when the balance was changed. */
typedef struct WrittenAccount
{
	Datum id;
	bool is_held; /* the next are what is held, else the balance */
	Numeric before;
	Numeric after;
} WrittenAccount;

/* Read one; false if the row is none, or has another column that changed. */
extern bool accounts_read_written(const Accounts *accounts,
								  const WrittenRow *row,
								  WrittenAccount *written);

/* Messages */

extern const char *accounts_table_name(const Accounts *accounts);
extern char *accounts_print_id(const Accounts *accounts,
							   const Account *account);
pg_noreturn extern void accounts_error_not_unique(const Accounts *accounts,
												  const Account *account);
/* The row does not hold the balance that was computed. */
pg_noreturn extern void accounts_error_not_stored(const Accounts *accounts,
												  const Account *account,
												  Numeric expected);
/* The row does not hold the held amount that was computed. */
pg_noreturn extern void accounts_error_held_not_stored(const Accounts *accounts,
													   const Account *account,
													   Numeric expected);

#endif /* RACEFREE_ACCOUNTS_H */
