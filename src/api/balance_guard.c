/*-------------------------------------------------------------------------
 *
 * balance_guard.c
 *	  balance_guard(), entry_guard() and hold_guard(): let only racefree write
 *	  balances, entries and open holds.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"

#include "base/errors.h"
#include "ledger/guarded.h"

PG_FUNCTION_INFO_V1(balance_guard);
PG_FUNCTION_INFO_V1(entry_guard);
PG_FUNCTION_INFO_V1(hold_guard);

/* balance_guard(): a trigger on accounts, after each row and before TRUNCATE. */
Datum
balance_guard(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		error_not_trigger("balance_guard");
	guarded_check_account((TriggerData *) fcinfo->context, fcinfo->flinfo);
	PG_RETURN_POINTER(NULL);
}

/* entry_guard(): a trigger on a journal, after each row that is inserted. */
Datum
entry_guard(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		error_not_trigger("entry_guard");
	guarded_check_entry((TriggerData *) fcinfo->context);
	PG_RETURN_POINTER(NULL);
}

/* hold_guard(): a trigger on open holds, after each row and before TRUNCATE. */
Datum
hold_guard(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		error_not_trigger("hold_guard");
	guarded_check_hold((TriggerData *) fcinfo->context);
	PG_RETURN_POINTER(NULL);
}
