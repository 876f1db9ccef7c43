/*-------------------------------------------------------------------------
 *
 * expire_holds.c
 *	  expire_holds(): let go of holds that have expired.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api/arguments.h"
#include "api/ledger_args.h"
#include "ledger/ledger.h"

PG_FUNCTION_INFO_V1(expire_holds);

enum
{
	ARG_ACCOUNTS,
	ARG_JOURNAL,
	ARG_MAX_COUNT,
	ARG_ID_COLUMN,
	ARG_BALANCE_COLUMN,
	ARG_COLUMNS
};

/*
 * expire_holds(accounts anyelement, journal regclass, max_count integer,
 *				id_column name, balance_column name, columns jsonb)
 *				RETURNS bigint
 */
Datum
expire_holds(PG_FUNCTION_ARGS)
{
	static const LedgerArgNumbers numbers = {
		.accounts = ARG_ACCOUNTS,
		.id_column = ARG_ID_COLUMN,
		.balance_column = ARG_BALANCE_COLUMN,
		.must_match = NO_ARG,
		.journal = ARG_JOURNAL,
		.min_balance = NO_ARG,
		.max_balance = NO_ARG,
		.up_to = NO_ARG,
	};
	LedgerArgs args = {.many = true};
	Ledger *ledger;
	Jsonb *columns = NULL;
	int released;

	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	arguments_require(fcinfo, ARG_MAX_COUNT, "max_count");
	if (PG_GETARG_INT32(ARG_MAX_COUNT) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_count must be positive")));
	ledger_args_read(fcinfo, &numbers, &args);
	ledger = ledger_open(&args);
	if (!PG_ARGISNULL(ARG_COLUMNS))
		columns = PG_GETARG_JSONB_P(ARG_COLUMNS);
	released = ledger_expire(ledger, PG_GETARG_INT32(ARG_MAX_COUNT), columns);
	ledger_close(ledger);
	PG_RETURN_INT64(released);
}
