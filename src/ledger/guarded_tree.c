/*-------------------------------------------------------------------------
 *
 * guarded_tree.c
 *	  Make a journal a guarded one, or end that.
 *
 * The triggers that do it are shown in guarded.c.  A row-level trigger of a
 * partitioned table is cloned for its partitions; children have one each.
 *
 * What it allocates lives until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/locks.h"
#include "ledger/beside.h"
#include "ledger/guard.h"
#include "ledger/guard_tree.h"
#include "ledger/guarded_arguments.h"
#include "ledger/guarded_tree.h"
#include "ledger/holds.h"
#include "run/run.h"
#include "table/own_triggers.h"

/* Called with each trigger of a table, which is of a copy. */
typedef void (*TakeTrigger)(const Trigger *trigger, Relation rel, void *arg);

/* ----------
 * Names
 * ----------
 */

/* Report that the journal does not say what is to be guarded. */
pg_noreturn static void
error_guarded_names(const Target *journal)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("journal \"%s\" does not name the accounts that are to be "
					"guarded",
					RelationGetRelationName(target_relation(journal))),
			 errhint("Its trigger \"journal_guard\" needs the arguments "
					 "'accounts=schema.table', 'id_column=name' and "
					 "'balance_column=name'.")));
}

/* Add what the rules of the journal say of held amounts, and of holds. */
static void
add_held_names(const Target *journal, GuardedNames *names)
{
	GuardRules rules;

	guard_first_rules(journal, &rules);
	names->holds = InvalidOid;
	if (rules.values[GUARD_HELD_COLUMN] == NULL)
		return;
	names->columns = lappend(names->columns,
							 pstrdup(rules.values[GUARD_HELD_COLUMN]));
	if (rules.values[GUARD_HOLDS] != NULL)
		names->holds = holds_table(rules.values[GUARD_HOLDS]);
}

/* Take what the journal's own guard says of its accounts: it must say all. */
void
guarded_tree_names(const Target *journal, GuardedNames *names)
{
	const Guards *guards = guard_arguments_read(journal);

	for (int i = 0; i < guards->nguards; i++)
	{
		const Guard *guard = &guards->guards[i];
		const char *const *named = (const char *const *) guard->names;

		if (named[GUARD_ACCOUNTS] == NULL || named[GUARD_ID_COLUMN] == NULL ||
			named[GUARD_BALANCE_COLUMN] == NULL)
			continue;
		names->journal = RelationGetRelid(target_relation(journal));
		names->accounts = get_relname_relid(named[GUARD_ACCOUNTS],
											get_namespace_oid(guard->schema,
															  false));
		names->id_column = pstrdup(named[GUARD_ID_COLUMN]);
		names->columns = list_make1(pstrdup(named[GUARD_BALANCE_COLUMN]));
		add_held_names(journal, names);
		if (OidIsValid(names->accounts))
			return;
	}
	error_guarded_names(journal);
}

/* A table's name, quoted and schema-qualified. */
static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* A function of the extension, in the schema of another one. */
static char *
extension_function(Oid caller, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_func_namespace(caller)),
									  name);
}

/* ----------
 * Tables
 * ----------
 */

/* Lock the tables of a tree, parents first, which the current user must own. */
static List *
lock_owned_tree(Oid root, LOCKMODE lockmode)
{
	List *tables = list_make1_oid(root);

	for (int i = 0; i < list_length(tables); i++)
	{
		Oid relid = list_nth_oid(tables, i);

		/* A role that may not must not be able to block others. */
		if (!owns_relation(relid, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER,
						   get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
		locks_acquire_table(relid, lockmode);
		tables = list_concat_unique_oid(tables,
										find_inheritance_children(relid,
																  NoLock));
	}
	return tables;
}

/* ----------
 * Triggers that there are
 * ----------
 */

/* Give each trigger of the table to the function; the table is locked. */
static void
for_each_trigger(Oid relid, TakeTrigger take, void *arg)
{
	Relation rel = table_open(relid, NoLock);
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (!triggers->triggers[i].tgisinternal)
			take(&triggers->triggers[i], rel, arg);
	}
	table_close(rel, NoLock);
}

/* What there is of the triggers that are wanted. */
typedef struct FoundGuards
{
	const GuardedNames *names;
	bool kept;			 /* a guard of rows is as it should be */
	bool inherited;		 /* the one to be replaced is of the parent */
	const char *replace; /* the guard of rows to be replaced, or NULL */
	bool truncate;		 /* there is a guard against TRUNCATE */
	bool entries;		 /* there is a guard of entries */
	bool holds;			 /* there is one of holds, */
	bool holds_truncate; /* and one against their TRUNCATE */
	int others;			 /* guards of rows for other journals */
} FoundGuards;

/* Return true if the guard has these columns. */
static bool
has_columns(const BalanceGuard *guard, const GuardedNames *names)
{
	return guarded_arguments_same_names(guard->columns, names->columns) &&
		   strcmp(guard->id_column, names->id_column) == 0;
}

/*
 * Return true if the guard is that of the journal.  One whose journal is gone,
 * and that guards the same columns, is that of this journal before it was
 * renamed.
 */
static bool
is_of_journal(const BalanceGuard *guard, const GuardedNames *names)
{
	Oid journal = guarded_arguments_journal(guard);

	if (!OidIsValid(journal))
		return has_columns(guard, names);
	return journal == names->journal;
}

/* The events that fire a guard of rows. */
#define ROW_EVENTS \
	(TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)

/*
 * Return true if the trigger is fired by all of these events, without a
 * condition, and after them, if not by TRUNCATE.
 */
static bool
is_whole(const Trigger *trigger, int16 events)
{
	return (trigger->tgtype & events) == events && trigger->tgqual == NULL &&
		   trigger->tgnattr == 0 &&
		   ((events & TRIGGER_TYPE_TRUNCATE) != 0 ||
			(TRIGGER_FOR_ROW(trigger->tgtype) &&
			 TRIGGER_FOR_AFTER(trigger->tgtype)));
}

/* Take a guard of rows. */
static void
take_row_guard(const Trigger *trigger, Relation rel, FoundGuards *found)
{
	const GuardedNames *names = found->names;
	BalanceGuard guard;

	guarded_arguments_read(trigger, rel, &guard);
	if (!is_of_journal(&guard, names))
		found->others++;
	else if (OidIsValid(guarded_arguments_journal(&guard)) &&
			 has_columns(&guard, names) && is_whole(trigger, ROW_EVENTS))
		found->kept = true;
	else
	{
		found->replace = guard.trigger;
		found->inherited = trigger->tgisclone;
	}
}

/* Take what a trigger is. */
static void
take_trigger(const Trigger *trigger, Relation rel, void *arg)
{
	FoundGuards *found = arg;

	switch (own_triggers_which(trigger->tgfoid))
	{
		case OWN_BALANCE_GUARD:
			if (TRIGGER_FOR_ROW(trigger->tgtype))
				take_row_guard(trigger, rel, found);
			else
				found->truncate |= is_whole(trigger, TRIGGER_TYPE_TRUNCATE);
			break;
		case OWN_ENTRY_GUARD:
			found->entries |= is_whole(trigger, TRIGGER_TYPE_INSERT);
			break;
		case OWN_HOLD_GUARD:
			if (TRIGGER_FOR_ROW(trigger->tgtype))
				found->holds |= is_whole(trigger, ROW_EVENTS);
			else
				found->holds_truncate |= is_whole(trigger,
												  TRIGGER_TYPE_TRUNCATE);
			break;
		default:
			break;
	}
}

/* Find out what a table has of the triggers that are wanted. */
static FoundGuards
find_guards(Oid relid, const GuardedNames *names)
{
	FoundGuards found = {.names = names};

	for_each_trigger(relid, take_trigger, &found);
	return found;
}

/* ----------
 * Guarding
 * ----------
 */

/* Report that a foreign table cannot be guarded. */
static void
check_can_be_guarded(Oid relid)
{
	char relkind = get_rel_relkind(relid);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" cannot be guarded", get_rel_name(relid)),
				 errdetail("Only the other server can guard a foreign "
						   "table.")));
}

/* Report an error unless the accounts have the column. */
static void
check_has_column(const GuardedNames *names, const char *column)
{
	if (get_attnum(names->accounts, column) > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("journal \"%s\" names column \"%s\", which table \"%s\" "
					"does not have",
					get_rel_name(names->journal), column,
					get_rel_name(names->accounts)),
			 errhint("If the column was renamed, the hint of the error that a "
					 "transfer raises tells what to do.")));
}

/* Report an error unless the accounts have all that is to be guarded. */
static void
check_has_columns(const GuardedNames *names)
{
	ListCell *lc;

	check_has_column(names, names->id_column);
	foreach(lc, names->columns)
		check_has_column(names, lfirst(lc));
}

/* 'journal=schema.table', 'id_column=id', 'columns=balance' */
static char *
balance_guard_arguments(const GuardedNames *names)
{
	return psprintf("%s, %s, %s",
					quote_literal_cstr(
						psprintf("journal=%s", qualified_name(names->journal))),
					quote_literal_cstr(
						psprintf("id_column=%s", names->id_column)),
					quote_literal_cstr(
						psprintf("columns=%s",
								 guard_arguments_print_names(names->columns))));
}

/* Guard the rows of a table of accounts, unless it is. */
static void
guard_balances(Oid relid, List *tables, const GuardedNames *names,
			   const char *function)
{
	FoundGuards found = find_guards(relid, names);
	const char *trigger = found.replace;

	check_can_be_guarded(relid);
	/* A partition's is its parent's, and was replaced with that. */
	if (!found.kept && !found.inherited)
	{
		if (trigger == NULL)
			trigger = guard_tree_trigger_name("balance_guard", tables);
		run_command(psprintf("CREATE OR REPLACE TRIGGER %s AFTER INSERT OR "
							 "UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE "
							 "FUNCTION %s(%s)",
							 quote_identifier(trigger), qualified_name(relid),
							 function, balance_guard_arguments(names)));
	}
	if (!found.truncate)
		run_command(
			psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH "
					 "STATEMENT EXECUTE FUNCTION %s()",
					 guard_tree_trigger_name("balance_guard_truncate", tables),
					 qualified_name(relid), function));
}

/* Guard the entries of a table of a journal, unless they are. */
static void
guard_entries(Oid relid, List *tables, const GuardedNames *names,
			  const char *function)
{
	check_can_be_guarded(relid);
	if (find_guards(relid, names).entries)
		return;
	run_command(psprintf("CREATE TRIGGER %s AFTER INSERT ON %s FOR EACH ROW "
						 "EXECUTE FUNCTION %s()",
						 guard_tree_trigger_name("entry_guard", tables),
						 qualified_name(relid), function));
}

/* Guard a table of holds, unless it is. */
static void
guard_holds(Oid relid, List *tables, const GuardedNames *names,
			const char *function)
{
	FoundGuards found = find_guards(relid, names);

	check_can_be_guarded(relid);
	if (!found.holds)
		run_command(psprintf("CREATE TRIGGER %s AFTER INSERT OR UPDATE OR "
							 "DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %s()",
							 guard_tree_trigger_name("hold_guard", tables),
							 qualified_name(relid), function));
	if (!found.holds_truncate)
		run_command(
			psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s FOR EACH "
					 "STATEMENT EXECUTE FUNCTION %s()",
					 guard_tree_trigger_name("hold_guard_truncate", tables),
					 qualified_name(relid), function));
}

/* Check that each of the tables can have guards. */
static void
check_all_can_be_guarded(const List *tables)
{
	ListCell *lc;

	foreach(lc, tables)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		beside_check_guarded(rel);
		table_close(rel, NoLock);
	}
}

/* The table of holds, and all below it, locked; none if nothing can be held. */
static List *
lock_owned_holds(const GuardedNames *names, LOCKMODE lockmode)
{
	return OidIsValid(names->holds) ? lock_owned_tree(names->holds, lockmode)
									: NIL;
}

/*
 * Guard the accounts, the journal, its holds, and all that is below them.  The
 * current user must own all: who may write to them is for the owner to decide.
 * "caller" is a function of the extension.
 */
void
guarded_tree_begin(const GuardedNames *names, Oid caller)
{
	List *accounts = lock_owned_tree(names->accounts, GUARDED_BEGIN_LOCK);
	List *journals = lock_owned_tree(names->journal, GUARDED_BEGIN_LOCK);
	List *holds = lock_owned_holds(names, GUARDED_BEGIN_LOCK);
	ListCell *lc;

	check_has_columns(names);
	check_all_can_be_guarded(accounts);
	check_all_can_be_guarded(journals);
	foreach(lc, accounts)
		guard_balances(lfirst_oid(lc), accounts, names,
					   extension_function(caller, "balance_guard"));
	foreach(lc, journals)
		guard_entries(lfirst_oid(lc), journals, names,
					  extension_function(caller, "entry_guard"));
	foreach(lc, holds)
		guard_holds(lfirst_oid(lc), holds, names,
					extension_function(caller, "hold_guard"));
}

/* ----------
 * Ending it
 * ----------
 */

/* Triggers of one table to be dropped. */
typedef struct Unwanted
{
	const GuardedNames *names;
	bool last;	/* no other journal guards the accounts */
	List *drop; /* of char * */
} Unwanted;

/* Collect a trigger if it is one of this journal's guards. */
static void
collect_unwanted(const Trigger *trigger, Relation rel, void *arg)
{
	Unwanted *unwanted = arg;
	BalanceGuard guard;
	bool drop = false;

	switch (own_triggers_which(trigger->tgfoid))
	{
		case OWN_BALANCE_GUARD:
			drop = unwanted->last;
			if (!TRIGGER_FOR_ROW(trigger->tgtype))
				break;
			guarded_arguments_read(trigger, rel, &guard);
			drop = is_of_journal(&guard, unwanted->names);
			break;
		case OWN_ENTRY_GUARD:
		case OWN_HOLD_GUARD:
			drop = RelationGetRelid(rel) != unwanted->names->accounts;
			break;
		default:
			break;
	}
	/* Those of partitions go with their parents'. */
	if (drop && !trigger->tgisclone)
		unwanted->drop = lappend(unwanted->drop, pstrdup(trigger->tgname));
}

/* Drop the guards of one table. */
static void
drop_guards(Oid relid, const GuardedNames *names)
{
	Unwanted unwanted = {.names = names,
						 .last = find_guards(relid, names).others == 0};
	ListCell *lc;

	for_each_trigger(relid, collect_unwanted, &unwanted);
	foreach(lc, unwanted.drop)
		run_command(psprintf("DROP TRIGGER %s ON %s",
							 quote_identifier(lfirst(lc)),
							 qualified_name(relid)));
}

/* End it.  The current user must own both. */
void
guarded_tree_end(const GuardedNames *names)
{
	List *tables = lock_owned_tree(names->accounts, GUARDED_END_LOCK);
	ListCell *lc;

	tables = list_concat(tables,
						 lock_owned_tree(names->journal, GUARDED_END_LOCK));
	tables = list_concat(tables, lock_owned_holds(names, GUARDED_END_LOCK));
	foreach(lc, tables)
		drop_guards(lfirst_oid(lc), names);
}
