/*-------------------------------------------------------------------------
 *
 * journal_guard.c
 *	  guard_journal() and journal_guard(): keep a journal's entries from being
 *	  changed.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "ledger/guard_arguments.h"
#include "ledger/guard_tree.h"
#include "ledger/journal.h"
#include "run/run.h"

PG_FUNCTION_INFO_V1(guard_journal);
PG_FUNCTION_INFO_V1(journal_guard);

/* Arguments of guard_journal() */
enum
{
	ARG_JOURNAL
};

/* guard_journal(journal regclass) RETURNS integer */
Datum
guard_journal(PG_FUNCTION_ARGS)
{
	Journal journal;
	Oid relid;
	char *arguments;
	int nguarded;

	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	relid = PG_GETARG_OID(ARG_JOURNAL);
	journal_open(&journal, relid, AccessShareLock);
	arguments = guard_arguments_of(journal.table);
	journal_close(&journal);

	run_begin();
	nguarded = guard_tree(relid, fcinfo->flinfo->fn_oid, arguments);
	run_end();
	PG_RETURN_INT32(nguarded);
}

/* journal_guard(): a trigger that reports an error whatever fires it. */
Datum
journal_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		error_not_trigger("journal_guard");
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("entries of journal \"%s\" cannot be changed",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("reverse_transfer() books another entry that moves the "
					 "money back.")));
}
