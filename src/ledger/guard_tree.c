/*-------------------------------------------------------------------------
 *
 * guard_tree.c
 *	  Guard a journal, with all its partitions and children.
 *
 * What it allocates lives until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
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
#include "ledger/guard_arguments.h"
#include "ledger/guard_tree.h"
#include "run/run.h"

/* Return true if guards are fired for all events of the trigger type. */
static bool
is_guarded(Relation rel, int16 type)
{
	int16 missing = type & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE |
							TRIGGER_TYPE_TRUNCATE);
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgqual == NULL && trigger->tgnattr == 0 &&
			TRIGGER_FOR_ROW(trigger->tgtype) == TRIGGER_FOR_ROW(type) &&
			guard_is_guard(trigger))
			missing &= ~trigger->tgtype;
	}
	return missing == 0;
}

/* Return true if one of these tables has a trigger of that name. */
static bool
trigger_exists(const char *name, List *tables)
{
	ListCell *lc;

	foreach(lc, tables)
	{
		if (OidIsValid(get_trigger_oid(lfirst_oid(lc), name, true)))
			return true;
	}
	return false;
}

/* A name that no trigger of these tables has. */
const char *
guard_tree_trigger_name(const char *name, List *tables)
{
	const char *chosen = name;

	for (int n = 1; trigger_exists(chosen, tables); n++)
		chosen = psprintf("%s_%d", name, n);
	return chosen;
}

/* The tables of the tree, parents first, locked as CREATE TRIGGER does. */
static List *
lock_tree(Oid root)
{
	List *tables = list_make1_oid(root);

	for (int i = 0; i < list_length(tables); i++)
	{
		Oid relid = list_nth_oid(tables, i);
		AclResult result = pg_class_aclcheck(relid, GetUserId(), ACL_TRIGGER);

		/* A role that may not must not be able to block others. */
		if (result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)),
						   get_rel_name(relid));
		locks_acquire_table(relid, ShareRowExclusiveLock);
		tables = list_concat_unique_oid(tables,
										find_inheritance_children(relid,
																  NoLock));
	}
	return tables;
}

/*
 * Create the guards that the table lacks; false if there are none.
 *
 * The guard against UPDATE and DELETE is a row-level trigger: a statement-level
 * trigger of a partition is not fired by statements on the parent, and one of a
 * partitioned table is not cloned for its partitions.  TRUNCATE has
 * statement-level triggers only.
 */
static bool
guard_table(Oid relid, List *tables, const char *function,
			const char *arguments)
{
	Relation rel = table_open(relid, NoLock);
	bool rows = is_guarded(rel, TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE |
									TRIGGER_TYPE_DELETE);
	bool truncate = is_guarded(rel, TRIGGER_TYPE_TRUNCATE) ||
					!can_guard_truncate(rel->rd_rel->relkind);
	bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	List *itself = list_make1_oid(relid);
	char *name = quote_qualified_identifier(get_namespace_name(
												RelationGetNamespace(rel)),
											RelationGetRelationName(rel));

	table_close(rel, NoLock);
	if (!rows)
		run_command(
			psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE ON %s"
					 " FOR EACH ROW EXECUTE FUNCTION %s(%s)",
					 guard_tree_trigger_name("journal_guard",
											 partitioned ? tables : itself),
					 name, function, arguments));
	if (!truncate)
		run_command(
			psprintf("CREATE TRIGGER %s BEFORE TRUNCATE ON %s"
					 " FOR EACH STATEMENT EXECUTE FUNCTION %s()",
					 guard_tree_trigger_name("journal_guard_truncate", itself),
					 name, function));
	return !rows || !truncate;
}

/*
 * Create the guards that are missing in the tree of tables, with these
 * arguments, and return how many tables lacked one.  "caller" is a function of
 * the extension, whose schema is that of journal_guard().
 */
int
guard_tree(Oid root, Oid caller, const char *arguments)
{
	List *tables = lock_tree(root);
	const char *function = quote_qualified_identifier(
		get_namespace_name(get_func_namespace(caller)), "journal_guard");
	int nguarded = 0;
	ListCell *lc;

	foreach(lc, tables)
	{
		if (guard_table(lfirst_oid(lc), tables, function, arguments))
			nguarded++;
	}
	return nguarded;
}
