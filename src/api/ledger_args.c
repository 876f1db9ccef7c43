/*-------------------------------------------------------------------------
 *
 * ledger_args.c
 *	  The arguments that all functions which transfer have.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api/arguments.h"
#include "api/ledger_args.h"

/* Read the arguments: the tables, and the limits. */
void
ledger_args_read(FunctionCallInfo fcinfo, const LedgerArgNumbers *numbers,
				 LedgerArgs *args)
{
	arguments_require(fcinfo, numbers->balance_column, "balance_column");
	args->row_type = get_fn_expr_argtype(fcinfo->flinfo, numbers->accounts);
	args->id_column = arguments_get_name(fcinfo, numbers->id_column);
	args->balance_column = arguments_get_name(fcinfo, numbers->balance_column);
	if (numbers->must_match != NO_ARG)
		args->must_match = arguments_get_array(fcinfo, numbers->must_match);
	args->has_journal = !PG_ARGISNULL(numbers->journal);
	if (args->has_journal)
		args->journal = PG_GETARG_OID(numbers->journal);
	if (numbers->min_balance != NO_ARG)
		args->limits.min_balance = arguments_get_numeric(fcinfo,
														 numbers->min_balance);
	if (numbers->max_balance != NO_ARG)
		args->limits.max_balance = arguments_get_numeric(fcinfo,
														 numbers->max_balance);
	if (numbers->up_to != NO_ARG)
		args->limits.up_to = arguments_get_flag(fcinfo, numbers->up_to,
												"up_to");
}
