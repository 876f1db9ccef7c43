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
#include "base/errors.h"
#include "ledger/journal.h"
#include "ledger/reports.h"
#include "run/run.h"

PG_FUNCTION_INFO_V1(balance_at);

/*
 * balance_at(journal regclass, account_id anycompatible, at timestamptz)
 *		RETURNS numeric
 */
Datum
balance_at(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"journal", "account_id", "at"};
	MemoryContext context = CurrentMemoryContext;
	Journal journal;
	Numeric balance;

	for (int i = 0; i < lengthof(arguments); i++)
	{
		if (PG_ARGISNULL(i))
			error_null_argument(arguments[i]);
	}
	journal_open(&journal, PG_GETARG_OID(0), AccessShareLock);
	journal_need(&journal, JOURNAL_ID);
	journal_need(&journal, JOURNAL_FROM_BALANCE);
	journal_need(&journal, JOURNAL_TO_BALANCE);
	journal_need(&journal, JOURNAL_CREATED_AT);

	run_begin();
	balance = reports_balance_at(&journal,
								 get_fn_expr_argtype(fcinfo->flinfo, 1),
								 PG_GETARG_DATUM(1), PG_GETARG_TIMESTAMPTZ(2));
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
