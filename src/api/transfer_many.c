/*-------------------------------------------------------------------------
 *
 * transfer_many.c
 *	  transfer_many(): a batch of transfers.
 *
 * Arrays become columns with a value for each transfer; the engine does the
 * rest.  The number of its statements does not depend on that of the transfers,
 * but each entry that is reversed costs one, which adds up its reversals.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "api/ledger_args.h"
#include "base/errors.h"
#include "ledger/ledger.h"
#include "ledger/refusals.h"

PG_FUNCTION_INFO_V1(transfer_many);

enum
{
	ARG_ACCOUNTS,
	ARG_FROM_IDS,
	ARG_TO_IDS,
	ARG_AMOUNTS,
	ARG_REQUEST_IDS,
	ARG_CHAINS,
	ARG_ON_ERROR,
	ARG_JOURNAL,
	ARG_DETAILS,
	ARG_MIN_BALANCE,
	ARG_MAX_BALANCE,
	ARG_MUST_MATCH,
	ARG_UP_TO,
	ARG_ID_COLUMN,
	ARG_BALANCE_COLUMN,
	ARG_ENTRY_IDS,
	ARG_COLUMNS,
	ARG_KINDS,
	ARG_EXPIRES_AT,
	ARG_FINAL,
	ARG_BEYOND
};

/* The columns of the result. */
enum
{
	OUT_ORDINALITY,
	OUT_STATUS,
	OUT_AMOUNT,
	OUT_FROM_BALANCE,
	OUT_FROM_AVAILABLE,
	OUT_TO_BALANCE,
	OUT_ENTRY_ID,
	OUT_DETAIL,
	NUM_OUT
};

/* ----------
 * Arguments
 * ----------
 */

/* Return true if failures are to be reported, not raised. */
static bool
many_reports(FunctionCallInfo fcinfo)
{
	static const char *const words[] = {"raise", "report"};

	arguments_require(fcinfo, ARG_ON_ERROR, "on_error");
	return arguments_choose("on_error",
							arguments_get_text(fcinfo, ARG_ON_ERROR), words,
							lengthof(words)) == 1;
}

/*
 * The elements of an array, one for each transfer.  The first array that is
 * read, with "ntransfers" of -1, says how many there are.
 */
static LedgerColumn
many_read_array(FunctionCallInfo fcinfo, int argno, const char *argument,
				int *ntransfers)
{
	ArrayType *array;
	LedgerColumn column;
	int n;

	arguments_require(fcinfo, argno, argument);
	array = PG_GETARG_ARRAYTYPE_P(argno);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"%s\" must be a one-dimensional "
							   "array",
							   argument)));
	column.type = ARR_ELEMTYPE(array);
	arguments_deconstruct(array, &column.values, &column.nulls, &n);
	if (*ntransfers >= 0 && n != *ntransfers)
		error_element_count(argument, n, "from_ids", *ntransfers);
	*ntransfers = n;
	return column;
}

/*
 * A JSON value for each entry, of "details" or "columns": one for all, or an
 * array with one element per transfer.
 */
static Jsonb **
many_read_json(FunctionCallInfo fcinfo, int argno, const char *argument,
			   int ntransfers)
{
	Jsonb *json = arguments_get_jsonb(fcinfo, argno);
	Jsonb **each;
	JsonbIterator *it;
	JsonbValue element;
	int i = 0;

	if (json == NULL)
		return NULL;
	if (PG_ARGISNULL(ARG_JOURNAL))
		error_needs_journal(argument);
	each = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(Jsonb *) * ((Size) ntransfers + 1));
	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
	{
		for (i = 0; i < ntransfers; i++)
			each[i] = json;
		return each;
	}
	if (JB_ROOT_COUNT(json) != ntransfers)
		error_element_count(argument, JB_ROOT_COUNT(json), "from_ids",
							ntransfers);
	it = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
		each[i++] = element.type == jbvNull ? NULL
											: JsonbValueToJsonb(&element);
	Assert(i == ntransfers);
	return each;
}

/*
 * The entries that are to be reversed, posted or voided.  The accounts are taken
 * from the entry: others that are given may be a mistake that moves money elsewhere.
 */
static LedgerColumn
many_read_entry_ids(FunctionCallInfo fcinfo, const LedgerInput *input, int n)
{
	LedgerColumn ids = many_read_array(fcinfo, ARG_ENTRY_IDS, "entry_ids", &n);

	for (int i = 0; i < n; i++)
	{
		if (!ids.nulls[i] &&
			(!input->ids[PAYER].nulls[i] || !input->ids[PAYEE].nulls[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("transfer %d names accounts and an entry",
							i + 1),
					 errhint("Where \"entry_ids\" names the entry to be "
							 "reversed, posted or voided, the elements of "
							 "\"from_ids\" and \"to_ids\" must be null.")));
	}
	return ids;
}

/* A kind by its name.  That a hold expires cannot be asked for. */
static int
many_find_kind(Datum value)
{
	text *name = DatumGetTextPP(value);
	EntryKind kind;

	if (!journal_find_kind(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &kind) ||
		kind == ENTRY_EXPIRY)
		return LEDGER_KIND_INVALID;
	return kind;
}

/* The kinds of transfers, of which those that nothing names are by default. */
static const int *
many_read_kinds(FunctionCallInfo fcinfo, const LedgerInput *input, int n)
{
	LedgerColumn names = many_read_array(fcinfo, ARG_KINDS, "kinds", &n);
	int *kinds = MemoryContextAllocHuge(CurrentMemoryContext,
										sizeof(int) * ((Size) n + 1));

	for (int i = 0; i < n; i++)
	{
		kinds[i] = names.nulls[i] ? LEDGER_KIND_DEFAULT
								  : many_find_kind(names.values[i]);
		if (kinds[i] == ENTRY_VOID && !input->amounts.nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("transfer %d voids a hold and has an amount", i + 1),
					 errhint("All that is left of the hold is let go.  The "
							 "element of \"amounts\" must be null.")));
	}
	return kinds;
}

/* What only some kinds of transfers have. */
static void
many_read_kinds_input(FunctionCallInfo fcinfo, LedgerInput *input, int n)
{
	if (!PG_ARGISNULL(ARG_KINDS))
	{
		if (PG_ARGISNULL(ARG_JOURNAL))
			error_needs_journal("kinds");
		input->kinds = many_read_kinds(fcinfo, input, n);
	}
	if (!PG_ARGISNULL(ARG_EXPIRES_AT))
		input->expires_at = many_read_array(fcinfo, ARG_EXPIRES_AT,
											"expires_at", &n);
	if (!PG_ARGISNULL(ARG_FINAL))
		input->final = many_read_array(fcinfo, ARG_FINAL, "final", &n);
	if (!PG_ARGISNULL(ARG_BEYOND))
		input->beyond = many_read_array(fcinfo, ARG_BEYOND, "beyond", &n);
}

/* The transfers that the arrays ask for. */
static void
many_read_input(FunctionCallInfo fcinfo, LedgerInput *input)
{
	bool has_journal = !PG_ARGISNULL(ARG_JOURNAL);
	int n = -1;

	input->ids[PAYER] = many_read_array(fcinfo, ARG_FROM_IDS, "from_ids", &n);
	input->ids[PAYEE] = many_read_array(fcinfo, ARG_TO_IDS, "to_ids", &n);
	input->amounts = many_read_array(fcinfo, ARG_AMOUNTS, "amounts", &n);
	if (!PG_ARGISNULL(ARG_REQUEST_IDS))
	{
		if (!has_journal)
			error_needs_journal("request_ids");
		input->request_ids = many_read_array(fcinfo, ARG_REQUEST_IDS,
											 "request_ids", &n);
	}
	if (!PG_ARGISNULL(ARG_CHAINS))
		input->chains = many_read_array(fcinfo, ARG_CHAINS, "chains", &n);
	input->details = many_read_json(fcinfo, ARG_DETAILS, "details", n);
	input->columns = many_read_json(fcinfo, ARG_COLUMNS, "columns", n);
	if (!PG_ARGISNULL(ARG_ENTRY_IDS))
	{
		if (!has_journal)
			error_needs_journal("entry_ids");
		input->entry_ids = many_read_entry_ids(fcinfo, input, n);
	}
	many_read_kinds_input(fcinfo, input, n);
	input->ntransfers = n;
}

/* ----------
 * Result
 * ----------
 */

/* A number of the result, or NULL. */
static void
many_put_numeric(Numeric number, Datum *value, bool *isnull)
{
	*isnull = number == NULL;
	*value = NumericGetDatum(number);
}

/* Return a row for each transfer. */
static void
many_return_results(const Ledger *ledger, int ntransfers, void *arg)
{
	FunctionCallInfo fcinfo = arg;
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(rsinfo->setDesc->natts == NUM_OUT);
	for (int i = 0; i < ntransfers; i++)
	{
		LedgerResult result;
		Datum values[NUM_OUT];
		bool nulls[NUM_OUT] = {false};

		ledger_result(ledger, i, &result);
		values[OUT_ORDINALITY] = Int64GetDatum(i + 1);
		values[OUT_STATUS] = CStringGetTextDatum(
			rules_status_name(result.status));
		many_put_numeric(result.amount, &values[OUT_AMOUNT],
						 &nulls[OUT_AMOUNT]);
		many_put_numeric(result.balances[PAYER], &values[OUT_FROM_BALANCE],
						 &nulls[OUT_FROM_BALANCE]);
		many_put_numeric(result.available, &values[OUT_FROM_AVAILABLE],
						 &nulls[OUT_FROM_AVAILABLE]);
		many_put_numeric(result.balances[PAYEE], &values[OUT_TO_BALANCE],
						 &nulls[OUT_TO_BALANCE]);
		values[OUT_ENTRY_ID] = Int64GetDatum(result.entry);
		nulls[OUT_ENTRY_ID] = !result.has_entry;
		nulls[OUT_DETAIL] = result.reason == NULL;
		if (result.reason != NULL)
			values[OUT_DETAIL] = CStringGetTextDatum(result.reason);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		pfree(DatumGetPointer(values[OUT_STATUS]));
	}
}

/*
 * transfer_many(accounts anyelement, from_ids anycompatiblearray,
 *				 to_ids anycompatiblearray, amounts numeric[],
 *				 request_ids racefree_request[], chains integer[], on_error text,
 *				 journal regclass, details jsonb, min_balance numeric,
 *				 max_balance numeric, must_match name[], up_to boolean,
 *				 id_column name, balance_column name, entry_ids bigint[],
 *				 columns jsonb, kinds text[], expires_at timestamptz[],
 *				 final boolean[], beyond boolean[],
 *				 OUT ordinality bigint, OUT status text, OUT amount numeric,
 *				 OUT from_balance numeric, OUT from_available numeric,
 *				 OUT to_balance numeric, OUT entry_id bigint,
 *				 OUT detail text)
 *				 RETURNS SETOF record
 */
Datum
transfer_many(PG_FUNCTION_ARGS)
{
	static const LedgerArgNumbers numbers = {
		.accounts = ARG_ACCOUNTS,
		.id_column = ARG_ID_COLUMN,
		.balance_column = ARG_BALANCE_COLUMN,
		.must_match = ARG_MUST_MATCH,
		.journal = ARG_JOURNAL,
		.min_balance = ARG_MIN_BALANCE,
		.max_balance = ARG_MAX_BALANCE,
		.up_to = ARG_UP_TO,
	};
	LedgerArgs args = {.many = true};
	LedgerInput input = {0};
	bool report = many_reports(fcinfo);

	ledger_args_read(fcinfo, &numbers, &args);
	InitMaterializedSRF(fcinfo, 0);
	many_read_input(fcinfo, &input);
	if (report)
		refusals_run(&args, &input, many_return_results, fcinfo);
	else
	{
		Ledger *ledger = ledger_open(&args);

		ledger_ask(ledger, &input);
		ledger_run(ledger, false);
		many_return_results(ledger, input.ntransfers, fcinfo);
		ledger_close(ledger);
	}
	PG_RETURN_VOID();
}
