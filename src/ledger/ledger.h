/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  Transfers, one or many, between accounts.
 *
 * A call opens a ledger, asks, runs, reads the results, and closes the ledger,
 * which frees everything.  Only what lives in the caller's memory context, or
 * is copied there before ledger_close(), is left.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_LEDGER_H
#define RACEFREE_LEDGER_H

#include "utils/array.h"
#include "utils/jsonb.h"

#include "ledger/rules.h"

typedef struct Ledger Ledger;

/* Where and under which limits transfers are made; NULL for what is missing. */
typedef struct LedgerArgs
{
	Oid row_type; /* of the accounts */
	const char *id_column;
	const char *balance_column;
	ArrayType *must_match;
	bool has_journal;
	Oid journal;
	RuleArgs limits;
	bool many; /* a batch, or one transfer with the rows that it leads to */
} LedgerArgs;

/* An argument with a value for each transfer; "values" is NULL if missing. */
typedef struct LedgerColumn
{
	Oid type; /* of the values */
	Datum *values;
	bool *nulls;
} LedgerColumn;

/* Kinds of transfers that no EntryKind is. */
#define LEDGER_KIND_DEFAULT (-1) /* a reversal if it names an entry */
#define LEDGER_KIND_INVALID (-2)

/* What a call is at, so that it is known what an error is about. */
typedef enum LedgerWorkKind
{
	WORK_OTHER, /* the call as a whole */
	WORK_ID,
	WORK_REQUEST_ID,
	WORK_JSON, /* details, and values for the journal's own columns */
	WORK_RUN
} LedgerWorkKind;

typedef struct LedgerWork
{
	LedgerWorkKind kind;
	int transfer; /* of what is asked for by one; -1 if it is by several */
} LedgerWork;

/* The transfers that are asked for. */
typedef struct LedgerInput
{
	int ntransfers;
	LedgerColumn ids[NUM_SIDES];
	LedgerColumn amounts;	  /* numeric */
	LedgerColumn request_ids; /* racefree_request, as text */
	LedgerColumn chains;	  /* integer */
	LedgerColumn entry_ids;	  /* bigint: what is reversed, posted or voided */
	const int *kinds;		  /* EntryKind or LEDGER_KIND_...; or NULL */
	LedgerColumn expires_at;  /* timestamptz: of holds */
	LedgerColumn final;		  /* boolean: a post settles the hold; NULL: true */
	LedgerColumn beyond;	  /* boolean: it may take more; NULL: false */
	Jsonb **details;		  /* NULL for none, as are its elements */
	Jsonb **columns;		  /* the same: objects; one may stand for several */

	/* For refusals.c, else NULL */
	const TransferStatus *fates; /* TRANSFER_OK, or not to be tried */
	const char *const *reasons;	 /* why not, or NULL */
	LedgerWork *work;			 /* kept up to date */
} LedgerInput;

/* The outcome of a transfer. */
typedef struct LedgerResult
{
	TransferStatus status;
	Numeric amount; /* NULL if nothing was moved; so are the balances */
	Numeric balances[NUM_SIDES];
	Numeric available; /* of the payer's; NULL if it is not known, too */
	bool has_entry;
	int64 entry;
	const char *reason; /* of a refusal, or NULL */
} LedgerResult;

/* Open the tables; the memory context is the ledger's until ledger_close(). */
extern Ledger *ledger_open(const LedgerArgs *args);
/* Take what is asked for; its values must live until ledger_close(). */
extern void ledger_ask(Ledger *ledger, const LedgerInput *input);
/* Make the transfers.  Failures are errors, or statuses with "report". */
extern void ledger_run(Ledger *ledger, bool report);
/*
 * Instead of both, let go of holds that have expired, "most" at most; the result
 * is how many these were.  "columns", or NULL, is for the journal's own columns.
 */
extern int ledger_expire(Ledger *ledger, int64 most, Jsonb *columns);
/* Close the tables, and free everything. */
extern void ledger_close(Ledger *ledger);

/* Results */

/* The outcome of a transfer, counted from 0. */
extern void ledger_result(const Ledger *ledger, int i, LedgerResult *result);
/* The table of the accounts. */
extern const Target *ledger_accounts(const Ledger *ledger);

/* Of a ledger that is not for many */

/* The row of an account as it is now; false if there is none. */
extern bool ledger_account_row(const Ledger *ledger, Side side, Datum *row);
/* The row of the entry as JSON; false without a journal. */
extern bool ledger_entry_json(const Ledger *ledger, Datum *json);

#endif /* RACEFREE_LEDGER_H */
