/*-------------------------------------------------------------------------
 *
 * own_triggers.c
 *	  Triggers whose functions are racefree's own.
 *
 * A function is known by its address, so that one of the same name in another
 * library, or in another schema, is told from ours.
 *
 * To look up a function may rebuild the table's relcache entry, which frees the
 * entry's triggers, so callers look at copies of them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "table/own_triggers.h"

extern PGDLLEXPORT Datum journal_guard(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum balance_guard(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum entry_guard(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum hold_guard(PG_FUNCTION_ARGS);

/* Our functions, by their names in C. */
static const struct
{
	const char *name;
	PGFunction address;
	OwnTrigger which;
} own_functions[] = {
	{"journal_guard", journal_guard, OWN_JOURNAL_GUARD},
	{"balance_guard", balance_guard, OWN_BALANCE_GUARD},
	{"entry_guard", entry_guard, OWN_ENTRY_GUARD},
	{"hold_guard", hold_guard, OWN_HOLD_GUARD},
};

/* The place of the name among those of our functions, or -1. */
static int
own_triggers_find(const char *name)
{
	for (int i = 0; i < lengthof(own_functions); i++)
	{
		if (strcmp(own_functions[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* Which of the functions it is, whatever its SQL name. */
OwnTrigger
own_triggers_which(Oid function)
{
	HeapTuple tuple;
	FmgrInfo info;
	Datum source;
	bool isnull;
	int found = -1;

	/* Those of core need not be looked up. */
	if (function < FirstNormalObjectId)
		return OWN_TRIGGER_NONE;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return OWN_TRIGGER_NONE;
	/* Do not load a library only to see that the function is another one. */
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId && !isnull)
		found = own_triggers_find(TextDatumGetCString(source));
	ReleaseSysCache(tuple);
	if (found < 0)
		return OWN_TRIGGER_NONE;
	fmgr_info(function, &info);
	return info.fn_addr == own_functions[found].address
			   ? own_functions[found].which
			   : OWN_TRIGGER_NONE;
}

/*
 * Return true if the trigger, which is of a copy, runs no code of the user's:
 * it is a guard that only compares the row with what racefree writes.  A WHEN
 * condition can call functions.
 */
bool
own_triggers_is_harmless(const Trigger *trigger)
{
	return trigger->tgqual == NULL && TRIGGER_FOR_AFTER(trigger->tgtype) &&
		   (own_triggers_which(trigger->tgfoid) &
			(OWN_BALANCE_GUARD | OWN_ENTRY_GUARD | OWN_HOLD_GUARD)) != 0;
}

/* Those of the functions that the table's row-level triggers fire. */
int
own_triggers_fired(Relation rel)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	int fired = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (!trigger->tgisinternal && TRIGGER_FOR_ROW(trigger->tgtype) &&
			trigger->tgenabled != TRIGGER_DISABLED)
			fired |= own_triggers_which(trigger->tgfoid);
	}
	FreeTriggerDesc(triggers);
	return fired;
}
