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

#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "ledger/journal.h"
#include "run/plans.h"

PG_FUNCTION_INFO_V1(balance_at);

/* The balance that such a statement gives; false if it gives none. */
static bool
read_balance(const Journal *journal, StatementKind kind, Datum *values,
			 MemoryContext context, Datum *balance)
{
	ColumnValues none = {0};
	StatementSpec spec = {.kind = kind,
						  .key = &none,
						  .journal = journal->columns};
	MemoryContext old;
	bool isnull;

	if (plan_read(journal->table, &spec, values) == 0)
		return false;
	*balance = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							 &isnull);
	if (isnull)
		return false;
	old = MemoryContextSwitchTo(context);
	*balance = datumCopy(*balance, false, -1);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * balance_at(journal regclass, account_id anycompatible, at timestamptz)
 *		RETURNS numeric
 */
Datum
balance_at(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"journal", "account_id", "at"};
	MemoryContext context = CurrentMemoryContext;
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	Journal journal;
	Datum values[4];
	Datum balance;
	bool found;

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
	values[0] = journal_convert_id(&journal, JOURNAL_FROM_ID, type,
								   PG_GETARG_DATUM(1));
	values[1] = PG_GETARG_DATUM(2);
	values[2] = journal_convert_id(&journal, JOURNAL_TO_ID, type,
								   PG_GETARG_DATUM(1));
	values[3] = PG_GETARG_DATUM(2);

	SPI_connect();
	found =
		read_balance(&journal, STMT_BALANCE_AT, values, context, &balance) ||
		read_balance(&journal, STMT_BALANCE_BEFORE, values, context, &balance);
	SPI_finish();
	journal_close(&journal);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(balance);
}
