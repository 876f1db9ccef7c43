/*-------------------------------------------------------------------------
 *
 * balance_at.c
 *	  balance_at(): the balance that an account had at a time, by the journal.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "ledger/journal.h"
#include "ledger/reports.h"
#include "run/run.h"

PG_FUNCTION_INFO_V1(balance_at);

/* Arguments */
enum
{
	ARG_JOURNAL,
	ARG_ACCOUNT_ID,
	ARG_AT
};

/*
 * balance_at(journal regclass, account_id anycompatible, at timestamptz)
 *		RETURNS numeric
 */
Datum
balance_at(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Journal journal;
	Numeric balance;

	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	arguments_require(fcinfo, ARG_ACCOUNT_ID, "account_id");
	arguments_require(fcinfo, ARG_AT, "at");
	journal_open(&journal, PG_GETARG_OID(ARG_JOURNAL), AccessShareLock);
	journal_need(&journal, JOURNAL_ID);
	journal_need(&journal, JOURNAL_FROM_BALANCE);
	journal_need(&journal, JOURNAL_TO_BALANCE);
	journal_need(&journal, JOURNAL_CREATED_AT);

	run_begin();
	balance = reports_balance_at(
		&journal, get_fn_expr_argtype(fcinfo->flinfo, ARG_ACCOUNT_ID),
		PG_GETARG_DATUM(ARG_ACCOUNT_ID), PG_GETARG_TIMESTAMPTZ(ARG_AT));
	if (balance != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		balance = DatumGetNumericCopy(NumericGetDatum(balance));
		MemoryContextSwitchTo(old);
	}
	run_end();
	journal_close(&journal);
	if (balance == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(balance);
}
