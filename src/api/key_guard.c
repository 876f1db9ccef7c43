/*-------------------------------------------------------------------------
 *
 * key_guard.c
 *	  key_guard(): a trigger that keeps a key unique where no unique index
 *	  can.
 *
 * Each INSERT or UPDATE of a key takes the key lock that get_or_create() would
 * take, and then looks for another row with the key: in the whole partition or
 * inheritance tree, NULLs being equal, with a snapshot that is taken after the
 * lock was granted.
 *
 * What the calls allocate lives in the memory context of triggers, which the
 * executor resets for each row, or goes with run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/flush.h"
#include "keys/keylock.h"
#include "run/run.h"
#include "table/columns.h"
#include "table/promises.h"
#include "table/target.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(key_guard);

/* Check that we were called as BEFORE INSERT OR UPDATE FOR EACH ROW. */
static void
check_guard_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		error_not_trigger("key_guard");
	if (!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!(TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		  TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE INSERT OR "
						"UPDATE FOR EACH ROW",
						"key_guard")));
	if (trigger->tg_trigger->tgnargs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must name the columns of the key",
						trigger->tg_trigger->tgname),
				 errhint("Name them as arguments, such as "
						 "EXECUTE FUNCTION key_guard('name').")));
}

/*
 * The column that one of the trigger's arguments names.  The arguments are text
 * and do not change when a column is renamed, so the error says what to do.
 */
static AttrNumber
guarded_column(const Target *target, const Trigger *trigger, const char *name)
{
	Relation rel = target_relation(target);
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), name);

	if (attnum < InvalidAttrNumber)
		error_undefined_column(rel, name);
	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errdetail("Trigger \"%s\" guards it.", trigger->tgname),
				 errhint("If the column was renamed, drop the trigger and "
						 "create it again with the column's new name.")));
	return attnum;
}

/* The key's columns, as the trigger's arguments name them. */
static ColumnValues *
guarded_columns(const Target *target, const Trigger *trigger)
{
	ColumnValues *key = values_make(trigger->tgnargs);
	AttrNumber twice;

	for (int i = 0; i < trigger->tgnargs; i++)
	{
		Form_pg_attribute att;

		values_set(key, i, guarded_column(target, trigger, trigger->tgargs[i]),
				   (Datum) 0, true);
		att = target_column(target, key->attnums[i]);
		if (att->attgenerated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("trigger \"%s\" cannot guard generated column "
							"\"%s\"",
							trigger->tgname, NameStr(att->attname)),
					 errdetail("Generated columns are computed after BEFORE "
							   "triggers.")));
	}
	values_sort(key);
	twice = values_find_duplicate(key);
	if (twice != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("trigger \"%s\" names column \"%s\" twice",
						trigger->tgname,
						NameStr(target_column(target, twice)->attname))));
	return key;
}

/* Read the key's values from a row. */
static void
read_guarded_key(const Target *target, HeapTuple tuple, ColumnValues *key)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));

	for (int i = 0; i < key->ncolumns; i++)
		key->values[i] = heap_getattr(tuple, key->attnums[i], tupdesc,
									  &key->nulls[i]);
}

/* The same key for the root, whose columns may be laid out differently. */
static ColumnValues *
key_of_root(const Target *target, const ColumnValues *key, const Target *root)
{
	ColumnValues *root_key = values_make(key->ncolumns);

	for (int i = 0; i < key->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, key->attnums[i]);

		values_set(root_key, i, columns_find(root, NameStr(att->attname)),
				   key->values[i], key->nulls[i]);
	}
	values_sort(root_key);
	return root_key;
}

/* Return true if the old row has the same key as the new one. */
static bool
keeps_key(const Target *target, HeapTuple old_row, const ColumnValues *key)
{
	ColumnValues *old = values_merge(key, key);

	read_guarded_key(target, old_row, old);
	return values_find_difference(target, old, key) == InvalidAttrNumber;
}

/*
 * Report an error if another row has the key.  The caller holds the key's lock.
 *
 * The race: another session inserts the key and commits while we wait for the
 * key's lock.  A snapshot that is older than the lock's grant does not show
 * that row, and both rows would stay, so the latest one is used at any
 * isolation level.  If the transaction's own snapshot does not show the row,
 * the conflict is one of serialization: a repeated transaction will see it.
 */
static void
check_unique_key(const Target *root, const ColumnValues *key,
				 const TriggerData *trigger)
{
	bool found;
	bool visible = true;

	run_begin();
	found = run_count(root, key, VIEW_LATEST) > 0;
	if (found && IsolationUsesXactSnapshot())
		visible = run_count(root, key, VIEW_OWN) > 0;
	run_end();

	if (found && !visible)
		error_serialization(target_relation(root));
	if (!found)
		return;
	/* A crash must not undo the row that we tell of. */
	flush_all_commits();
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates key guard \"%s\"",
					trigger->tg_trigger->tgname),
			 errdetail("Key %s already exists.", values_describe(root, key)),
			 errtable(trigger->tg_relation)));
}

/* Lock the key, and check that no other row of the tree has it. */
static void
guard_key(Target *target, const ColumnValues *key, const TriggerData *trigger)
{
	Target *root;
	KeyLock lock;

	target_hold_root(target);
	lock = keylock_of(target, key);
	racefree_injection_point("racefree-guard-fired");
	keylock_acquire(&lock, 1);
	racefree_injection_point("racefree-guard-locked");

	root = target_open(get_rel_type_id(target_lock_root(target)),
					   AccessShareLock);
	check_unique_key(root, key_of_root(target, key, root), trigger);
	racefree_injection_point("racefree-guard-checked");
	target_close(root);
}

/*
 * key_guard('column', ...) RETURNS trigger
 */
Datum
key_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple row;
	Target *target;
	ColumnValues *key;
	bool update;

	check_guard_call(fcinfo);
	update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	row = update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	target = target_open(trigger->tg_relation->rd_rel->reltype,
						 RowExclusiveLock);
	if (target_has_several_parents(target))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("trigger \"%s\" cannot guard table \"%s\", which "
						"inherits from several tables",
						trigger->tg_trigger->tgname,
						RelationGetRelationName(trigger->tg_relation))));
	key = guarded_columns(target, trigger->tg_trigger);
	promises_check_key_guard(target, key, trigger->tg_trigger->tgname);
	read_guarded_key(target, row, key);
	if (!update || !keeps_key(target, trigger->tg_trigtuple, key))
		guard_key(target, key, trigger);
	target_close(target);
	return PointerGetDatum(row);
}
