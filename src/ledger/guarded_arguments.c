/*-------------------------------------------------------------------------
 *
 * guarded_arguments.c
 *	  The arguments of the triggers that guard balances.
 *
 * They name the journal that guards, the accounts' ids, and the columns that are
 * guarded; guarded.c shows them.  Everything is allocated in the current memory
 * context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "ledger/guarded_arguments.h"
#include "table/own_triggers.h"

/* ----------
 * Reading
 * ----------
 */

/* Report that the arguments of a guard of balances are not what they must be. */
pg_noreturn static void
error_balance_guard_arguments(const Trigger *trigger, Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("trigger \"%s\" of table \"%s\" has invalid arguments",
					trigger->tgname, RelationGetRelationName(rel)),
			 errhint("Its arguments are 'journal=schema.table', "
					 "'id_column=name' and 'columns=name, ...', each once.")));
}

/* The value of the argument with that key, a copy; NULL if there is none. */
static char *
find_balance_argument(const Trigger *trigger, const char *key)
{
	size_t len = strlen(key);

	for (int i = 0; i < trigger->tgnargs; i++)
	{
		const char *argument = trigger->tgargs[i];

		if (strncmp(argument, key, len) == 0 && argument[len] == '=')
			return pstrdup(argument + len + 1);
	}
	return NULL;
}

/* Read the arguments of a guard, in the current memory context. */
void
guarded_arguments_read(const Trigger *trigger, Relation rel,
					   BalanceGuard *guard)
{
	char *journal = find_balance_argument(trigger, "journal");
	char *columns = find_balance_argument(trigger, "columns");
	List *names;

	guard->trigger = pstrdup(trigger->tgname);
	guard->id_column = find_balance_argument(trigger, "id_column");
	if (trigger->tgnargs != 3 || journal == NULL || columns == NULL ||
		guard->id_column == NULL ||
		!SplitIdentifierString(journal, '.', &names) ||
		list_length(names) != 2 ||
		!SplitIdentifierString(columns, ',', &guard->columns) ||
		guard->columns == NIL)
		error_balance_guard_arguments(trigger, rel);
	guard->schema = linitial(names);
	guard->journal = lsecond(names);
}

/* Return true if both lists have the same names in the same order. */
bool
guarded_arguments_same_names(List *a, List *b)
{
	ListCell *la;
	ListCell *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth(la, a, lb, b)
	{
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	}
	return true;
}

/* Return true if the name is one of the list. */
bool
guarded_arguments_has_name(List *names, const char *name)
{
	ListCell *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* The journal that the guard names; invalid if there is none. */
Oid
guarded_arguments_journal(const BalanceGuard *guard)
{
	return get_relname_relid(guard->journal,
							 get_namespace_oid(guard->schema, true));
}

/* Return true if the trigger guards the rows of accounts. */
bool
guarded_arguments_is_guard(const Trigger *trigger)
{
	return !trigger->tgisinternal && TRIGGER_FOR_ROW(trigger->tgtype) &&
		   own_triggers_which(trigger->tgfoid) == OWN_BALANCE_GUARD;
}

/* Return true if the guard names this journal. */
bool
guarded_arguments_names_journal(const BalanceGuard *guard, Relation journal)
{
	char *schema;

	if (strcmp(guard->journal, RelationGetRelationName(journal)) != 0)
		return false;
	schema = get_namespace_name(RelationGetNamespace(journal));
	return schema != NULL && strcmp(guard->schema, schema) == 0;
}
