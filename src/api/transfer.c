/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  transfer(), reverse_transfer(), hold_transfer(), post_transfer() and
 *	  void_transfer(): money from one account to another, now or later.
 *
 * All read their arguments, and return the rows that the transfer led to; the
 * engine of transfer_many() does the rest.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"

#include "api/arguments.h"
#include "api/ledger_args.h"
#include "base/compat.h"
#include "base/errors.h"
#include "ledger/ledger.h"

PG_FUNCTION_INFO_V1(transfer);
PG_FUNCTION_INFO_V1(reverse_transfer);
PG_FUNCTION_INFO_V1(hold_transfer);
PG_FUNCTION_INFO_V1(post_transfer);
PG_FUNCTION_INFO_V1(void_transfer);

/* ----------
 * Arguments
 * ----------
 */

/* The arguments that these functions have, by their numbers. */
typedef struct TransferArgNumbers
{
	LedgerArgNumbers ledger;
	int amount; /* or NO_ARG */
	int request_id;
	int details;
	int columns;
} TransferArgNumbers;

/* An argument as a column with one value; the value lives in the argument. */
static LedgerColumn
transfer_column(FunctionCallInfo fcinfo, int argno)
{
	LedgerColumn column = {get_fn_expr_argtype(fcinfo->flinfo, argno),
						   &fcinfo->args[argno].value,
						   &fcinfo->args[argno].isnull};

	return column;
}

/* A JSON argument that is booked, or NULL. */
static Jsonb *
transfer_read_json(FunctionCallInfo fcinfo, const TransferArgNumbers *numbers,
				   int argno, const char *argument)
{
	if (!PG_ARGISNULL(argno) && PG_ARGISNULL(numbers->ledger.journal))
		error_needs_journal(argument);
	return arguments_get_jsonb(fcinfo, argno);
}

/* Take the amount, and what is booked with it. */
static void
transfer_read_input(FunctionCallInfo fcinfo, const TransferArgNumbers *numbers,
					LedgerInput *input, Jsonb **details, Jsonb **columns)
{
	static bool no_amount = true;
	static Datum amount = (Datum) 0;

	input->ntransfers = 1;
	if (numbers->amount != NO_ARG)
		input->amounts = transfer_column(fcinfo, numbers->amount);
	else
		input->amounts = (LedgerColumn){NUMERICOID, &amount, &no_amount};
	if (!PG_ARGISNULL(numbers->request_id))
	{
		if (PG_ARGISNULL(numbers->ledger.journal))
			error_needs_journal("request_id");
		input->request_ids = transfer_column(fcinfo, numbers->request_id);
	}
	*details = transfer_read_json(fcinfo, numbers, numbers->details, "details");
	input->details = details;
	*columns = transfer_read_json(fcinfo, numbers, numbers->columns, "columns");
	input->columns = columns;
}

/* ----------
 * Result
 * ----------
 */

/* The columns of the result. */
enum
{
	OUT_FROM_ACCOUNT,
	OUT_TO_ACCOUNT,
	OUT_AMOUNT,
	OUT_REPLAYED,
	OUT_ENTRY,
	OUT_FROM_BALANCE,
	OUT_TO_BALANCE,
	OUT_ENTRY_ID,
	NUM_OUT
};

/* The address by which the table's entry knows the result's type. */
static const char result_owner[] = "transfer result";

/* The type of the result for accounts of this row type. */
static TupleDesc
transfer_build_result(Oid row_type)
{
	const struct
	{
		const char *name;
		Oid type;
	} columns[NUM_OUT] = {
		[OUT_FROM_ACCOUNT] = {"from_account", row_type},
		[OUT_TO_ACCOUNT] = {"to_account", row_type},
		[OUT_AMOUNT] = {"amount", NUMERICOID},
		[OUT_REPLAYED] = {"replayed", BOOLOID},
		[OUT_ENTRY] = {"entry", JSONBOID},
		[OUT_FROM_BALANCE] = {"from_balance", NUMERICOID},
		[OUT_TO_BALANCE] = {"to_balance", NUMERICOID},
		[OUT_ENTRY_ID] = {"entry_id", INT8OID},
	};
	TupleDesc tupdesc = CreateTemplateTupleDesc(NUM_OUT);

	for (int i = 0; i < NUM_OUT; i++)
		TupleDescInitEntry(tupdesc, i + 1, columns[i].name, columns[i].type, -1,
						   0);
	TupleDescFinalize(tupdesc);
	return tupdesc;
}

/* The result record, in the given memory context. */
static Datum
transfer_form_result(const Ledger *ledger, MemoryContext context)
{
	LedgerResult result;
	Datum values[NUM_OUT];
	bool nulls[NUM_OUT] = {false};
	MemoryContext old;
	Datum record;

	ledger_result(ledger, 0, &result);
	for (int side = 0; side < NUM_SIDES; side++)
	{
		nulls[OUT_FROM_ACCOUNT + side] =
			!ledger_account_row(ledger, side, &values[OUT_FROM_ACCOUNT + side]);
		nulls[OUT_FROM_BALANCE + side] = result.balances[side] == NULL;
		values[OUT_FROM_BALANCE + side] = NumericGetDatum(
			result.balances[side]);
	}
	nulls[OUT_AMOUNT] = result.amount == NULL;
	values[OUT_AMOUNT] = NumericGetDatum(result.amount);
	values[OUT_REPLAYED] = BoolGetDatum(result.status == TRANSFER_REPLAYED);
	nulls[OUT_ENTRY] = !ledger_entry_json(ledger, &values[OUT_ENTRY]);
	nulls[OUT_ENTRY_ID] = !result.has_entry;
	values[OUT_ENTRY_ID] = Int64GetDatum(result.entry);

	old = MemoryContextSwitchTo(context);
	record = arguments_form_record(ledger_accounts(ledger), result_owner,
								   transfer_build_result, values, nulls);
	MemoryContextSwitchTo(old);
	return record;
}

/*
 * Make the one transfer that is asked for, and return the result record.  The
 * caller has read the arguments that only one of the functions has.
 */
static Datum
transfer_run(FunctionCallInfo fcinfo, const TransferArgNumbers *numbers,
			 LedgerInput *input)
{
	MemoryContext context = CurrentMemoryContext;
	LedgerArgs args = {0};
	Ledger *ledger;
	Jsonb *details;
	Jsonb *columns;
	Datum result;

	ledger_args_read(fcinfo, &numbers->ledger, &args);
	ledger = ledger_open(&args);
	transfer_read_input(fcinfo, numbers, input, &details, &columns);
	ledger_ask(ledger, input);
	ledger_run(ledger, false);
	result = transfer_form_result(ledger, context);
	ledger_close(ledger);
	return result;
}

/* ----------
 * Entry points
 * ----------
 */

enum
{
	TRANSFER_ARG_ACCOUNTS,
	TRANSFER_ARG_FROM_ID,
	TRANSFER_ARG_TO_ID,
	TRANSFER_ARG_AMOUNT,
	TRANSFER_ARG_MIN_BALANCE,
	TRANSFER_ARG_ID_COLUMN,
	TRANSFER_ARG_BALANCE_COLUMN,
	TRANSFER_ARG_JOURNAL,
	TRANSFER_ARG_REQUEST_ID,
	TRANSFER_ARG_DETAILS,
	TRANSFER_ARG_MAX_BALANCE,
	TRANSFER_ARG_MUST_MATCH,
	TRANSFER_ARG_UP_TO,
	TRANSFER_ARG_COLUMNS
};

/*
 * transfer(accounts anyelement, from_id anycompatible, to_id anycompatible,
 *			amount numeric, min_balance numeric, id_column name,
 *			balance_column name, journal regclass, request_id racefree_request,
 *			details jsonb, max_balance numeric, must_match name[],
 *			up_to boolean, columns jsonb,
 *			OUT from_account anyelement, OUT to_account anyelement,
 *			OUT amount numeric, OUT replayed boolean, OUT entry jsonb,
 *			OUT from_balance numeric, OUT to_balance numeric,
 *			OUT entry_id bigint)
 */
Datum
transfer(PG_FUNCTION_ARGS)
{
	static const TransferArgNumbers numbers = {
		.ledger = {.accounts = TRANSFER_ARG_ACCOUNTS,
				   .id_column = TRANSFER_ARG_ID_COLUMN,
				   .balance_column = TRANSFER_ARG_BALANCE_COLUMN,
				   .must_match = TRANSFER_ARG_MUST_MATCH,
				   .journal = TRANSFER_ARG_JOURNAL,
				   .min_balance = TRANSFER_ARG_MIN_BALANCE,
				   .max_balance = TRANSFER_ARG_MAX_BALANCE,
				   .up_to = TRANSFER_ARG_UP_TO},
		.amount = TRANSFER_ARG_AMOUNT,
		.request_id = TRANSFER_ARG_REQUEST_ID,
		.details = TRANSFER_ARG_DETAILS,
		.columns = TRANSFER_ARG_COLUMNS,
	};
	LedgerInput input = {0};

	for (int side = 0; side < NUM_SIDES; side++)
		input.ids[side] = transfer_column(fcinfo, TRANSFER_ARG_FROM_ID + side);
	PG_RETURN_DATUM(transfer_run(fcinfo, &numbers, &input));
}

enum
{
	REVERSE_ARG_ACCOUNTS,
	REVERSE_ARG_JOURNAL,
	REVERSE_ARG_ENTRY_ID,
	REVERSE_ARG_AMOUNT,
	REVERSE_ARG_REQUEST_ID,
	REVERSE_ARG_DETAILS,
	REVERSE_ARG_MIN_BALANCE,
	REVERSE_ARG_MAX_BALANCE,
	REVERSE_ARG_UP_TO,
	REVERSE_ARG_ID_COLUMN,
	REVERSE_ARG_BALANCE_COLUMN,
	REVERSE_ARG_COLUMNS
};

/*
 * reverse_transfer(accounts anyelement, journal regclass, entry_id bigint,
 *					amount numeric, request_id racefree_request, details jsonb,
 *					min_balance numeric, max_balance numeric, up_to boolean,
 *					id_column name, balance_column name, columns jsonb,
 *					OUT as of transfer())
 */
Datum
reverse_transfer(PG_FUNCTION_ARGS)
{
	static const TransferArgNumbers numbers = {
		.ledger = {.accounts = REVERSE_ARG_ACCOUNTS,
				   .id_column = REVERSE_ARG_ID_COLUMN,
				   .balance_column = REVERSE_ARG_BALANCE_COLUMN,
				   .must_match = NO_ARG,
				   .journal = REVERSE_ARG_JOURNAL,
				   .min_balance = REVERSE_ARG_MIN_BALANCE,
				   .max_balance = REVERSE_ARG_MAX_BALANCE,
				   .up_to = REVERSE_ARG_UP_TO},
		.amount = REVERSE_ARG_AMOUNT,
		.request_id = REVERSE_ARG_REQUEST_ID,
		.details = REVERSE_ARG_DETAILS,
		.columns = REVERSE_ARG_COLUMNS,
	};
	LedgerInput input = {0};

	arguments_require(fcinfo, REVERSE_ARG_JOURNAL, "journal");
	arguments_require(fcinfo, REVERSE_ARG_ENTRY_ID, "entry_id");
	input.entry_ids = transfer_column(fcinfo, REVERSE_ARG_ENTRY_ID);
	PG_RETURN_DATUM(transfer_run(fcinfo, &numbers, &input));
}

/* ----------
 * Holds
 * ----------
 */

enum
{
	HOLD_ARG_ACCOUNTS,
	HOLD_ARG_FROM_ID,
	HOLD_ARG_TO_ID,
	HOLD_ARG_AMOUNT,
	HOLD_ARG_JOURNAL,
	HOLD_ARG_EXPIRES_AT,
	HOLD_ARG_REQUEST_ID,
	HOLD_ARG_DETAILS,
	HOLD_ARG_COLUMNS,
	HOLD_ARG_MIN_BALANCE,
	HOLD_ARG_MUST_MATCH,
	HOLD_ARG_UP_TO,
	HOLD_ARG_ID_COLUMN,
	HOLD_ARG_BALANCE_COLUMN
};

/*
 * hold_transfer(accounts anyelement, from_id anycompatible,
 *				 to_id anycompatible, amount numeric, journal regclass,
 *				 expires_at timestamptz, request_id racefree_request, details jsonb,
 *				 columns jsonb, min_balance numeric, must_match name[],
 *				 up_to boolean, id_column name, balance_column name,
 *				 OUT as of transfer())
 */
Datum
hold_transfer(PG_FUNCTION_ARGS)
{
	static const TransferArgNumbers numbers = {
		.ledger = {.accounts = HOLD_ARG_ACCOUNTS,
				   .id_column = HOLD_ARG_ID_COLUMN,
				   .balance_column = HOLD_ARG_BALANCE_COLUMN,
				   .must_match = HOLD_ARG_MUST_MATCH,
				   .journal = HOLD_ARG_JOURNAL,
				   .min_balance = HOLD_ARG_MIN_BALANCE,
				   .max_balance = NO_ARG,
				   .up_to = HOLD_ARG_UP_TO},
		.amount = HOLD_ARG_AMOUNT,
		.request_id = HOLD_ARG_REQUEST_ID,
		.details = HOLD_ARG_DETAILS,
		.columns = HOLD_ARG_COLUMNS,
	};
	static const int kind = ENTRY_HOLD;
	LedgerInput input = {.kinds = &kind};

	arguments_require(fcinfo, HOLD_ARG_JOURNAL, "journal");
	for (int side = 0; side < NUM_SIDES; side++)
		input.ids[side] = transfer_column(fcinfo, HOLD_ARG_FROM_ID + side);
	input.expires_at = transfer_column(fcinfo, HOLD_ARG_EXPIRES_AT);
	PG_RETURN_DATUM(transfer_run(fcinfo, &numbers, &input));
}

enum
{
	POST_ARG_ACCOUNTS,
	POST_ARG_JOURNAL,
	POST_ARG_ENTRY_ID,
	POST_ARG_AMOUNT,
	POST_ARG_FINAL,
	POST_ARG_REQUEST_ID,
	POST_ARG_DETAILS,
	POST_ARG_BEYOND,
	POST_ARG_MIN_BALANCE,
	POST_ARG_MAX_BALANCE,
	POST_ARG_ID_COLUMN,
	POST_ARG_BALANCE_COLUMN,
	POST_ARG_COLUMNS
};

/*
 * post_transfer(accounts anyelement, journal regclass, entry_id bigint,
 *				 amount numeric, final boolean,
 *				 request_id racefree_request, details jsonb,
 *				 beyond boolean, min_balance numeric, max_balance numeric,
 *				 id_column name, balance_column name, columns jsonb,
 *				 OUT as of transfer())
 */
Datum
post_transfer(PG_FUNCTION_ARGS)
{
	static const TransferArgNumbers numbers = {
		.ledger = {.accounts = POST_ARG_ACCOUNTS,
				   .id_column = POST_ARG_ID_COLUMN,
				   .balance_column = POST_ARG_BALANCE_COLUMN,
				   .must_match = NO_ARG,
				   .journal = POST_ARG_JOURNAL,
				   .min_balance = POST_ARG_MIN_BALANCE,
				   .max_balance = POST_ARG_MAX_BALANCE,
				   .up_to = NO_ARG},
		.amount = POST_ARG_AMOUNT,
		.request_id = POST_ARG_REQUEST_ID,
		.details = POST_ARG_DETAILS,
		.columns = POST_ARG_COLUMNS,
	};
	static const int kind = ENTRY_POST;
	LedgerInput input = {.kinds = &kind};

	arguments_require(fcinfo, POST_ARG_JOURNAL, "journal");
	arguments_require(fcinfo, POST_ARG_ENTRY_ID, "entry_id");
	arguments_require(fcinfo, POST_ARG_FINAL, "final");
	arguments_require(fcinfo, POST_ARG_BEYOND, "beyond");
	input.entry_ids = transfer_column(fcinfo, POST_ARG_ENTRY_ID);
	input.final = transfer_column(fcinfo, POST_ARG_FINAL);
	input.beyond = transfer_column(fcinfo, POST_ARG_BEYOND);
	PG_RETURN_DATUM(transfer_run(fcinfo, &numbers, &input));
}

enum
{
	VOID_ARG_ACCOUNTS,
	VOID_ARG_JOURNAL,
	VOID_ARG_ENTRY_ID,
	VOID_ARG_REQUEST_ID,
	VOID_ARG_DETAILS,
	VOID_ARG_ID_COLUMN,
	VOID_ARG_BALANCE_COLUMN,
	VOID_ARG_COLUMNS
};

/*
 * void_transfer(accounts anyelement, journal regclass, entry_id bigint,
 *				 request_id racefree_request, details jsonb, id_column name,
 *				 balance_column name, columns jsonb, OUT as of transfer())
 */
Datum
void_transfer(PG_FUNCTION_ARGS)
{
	static const TransferArgNumbers numbers = {
		.ledger = {.accounts = VOID_ARG_ACCOUNTS,
				   .id_column = VOID_ARG_ID_COLUMN,
				   .balance_column = VOID_ARG_BALANCE_COLUMN,
				   .must_match = NO_ARG,
				   .journal = VOID_ARG_JOURNAL,
				   .min_balance = NO_ARG,
				   .max_balance = NO_ARG,
				   .up_to = NO_ARG},
		.amount = NO_ARG,
		.request_id = VOID_ARG_REQUEST_ID,
		.details = VOID_ARG_DETAILS,
		.columns = VOID_ARG_COLUMNS,
	};
	static const int kind = ENTRY_VOID;
	LedgerInput input = {.kinds = &kind};

	arguments_require(fcinfo, VOID_ARG_JOURNAL, "journal");
	arguments_require(fcinfo, VOID_ARG_ENTRY_ID, "entry_id");
	input.entry_ids = transfer_column(fcinfo, VOID_ARG_ENTRY_ID);
	PG_RETURN_DATUM(transfer_run(fcinfo, &numbers, &input));
}
