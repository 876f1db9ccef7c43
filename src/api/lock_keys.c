/*-------------------------------------------------------------------------
 *
 * lock_keys.c
 *	  lock_keys() and lock_keys_here(): take the locks of keys of several tables,
 *	  all at once and in one order.
 *
 * The former takes those of tables that Citus manages on the nodes that have the
 * rows, by calling the latter there.
 *
 * What the call allocates lives in the caller's memory context, which the
 * executor resets.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "keys/keylock.h"
#include "keys/routed.h"
#include "run/run.h"
#include "table/json.h"
#include "table/privileges.h"
#include "table/promises.h"
#include "table/traits.h"

PG_FUNCTION_INFO_V1(lock_keys);
PG_FUNCTION_INFO_V1(lock_keys_here);

/* Arguments */
enum
{
	ARG_KEYS
};

/* The locks that a call collects. */
typedef struct KeyLockList
{
	bool here; /* on this node, wherever the rows are */
	KeyLock *locks;
	int nlocks;
	int size;
	RoutedKey *routed; /* keys of tables that Citus manages */
	int nrouted;
	int routed_size;
	List *open; /* these tables */
} KeyLockList;

/* Add a lock to the list. */
static void
add_lock(KeyLockList *list, KeyLock lock)
{
	if (list->nlocks == list->size)
	{
		list->size *= 2;
		list->locks = repalloc_huge(list->locks, sizeof(KeyLock) * list->size);
	}
	list->locks[list->nlocks++] = lock;
}

/* Add a key that is to be locked where its shard is. */
static void
add_routed(KeyLockList *list, Target *target, const ColumnValues *key)
{
	promises_check_key_lock(target, key);
	if (list->routed == NULL)
	{
		list->routed_size = 64;
		list->routed = palloc(sizeof(RoutedKey) * list->routed_size);
	}
	if (list->nrouted == list->routed_size)
	{
		list->routed_size *= 2;
		list->routed = repalloc_huge(list->routed,
									 sizeof(RoutedKey) * list->routed_size);
	}
	list->routed[list->nrouted].target = target;
	list->routed[list->nrouted++].key = key;
}

/* The row type of a table, from a name as regclass takes it. */
static Oid
row_type_of_name(const char *name)
{
	Oid relid = DatumGetObjectId(
		DirectFunctionCall1(regclassin, CStringGetDatum(name)));
	Oid row_type = get_rel_type_id(relid);

	/* regclass also takes any number, be there a table or not. */
	if (get_rel_name(relid) == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"%s\" does not exist", name)));
	if (!OidIsValid(row_type))
		error_not_table(name, get_rel_relkind(relid));
	return row_type;
}

/* Check that the current user may lock this key. */
static void
check_may_lock(const Target *target, const ColumnValues *key, bool here)
{
	if (here)
		privileges_check_select(target, key->ncolumns, key->attnums);
	else
		privileges_check_insert(target, key->attnums, key->ncolumns, NULL, 0);
}

/*
 * Check that the current user may lock keys of the table: a role that may not
 * write must not be able to block others.  lock_keys_here() serves all functions
 * that lock keys, so there it is enough if one of them would do it.
 */
static void
check_may_lock_any(const Target *target, bool here)
{
	if (!here)
		privileges_check(target, ACL_SELECT | ACL_INSERT);
	else if (!traits_rows_can_move(target) || !privileges_may_update(target))
		privileges_check(target, ACL_INSERT);
}

/* Return true if the table's keys are locked in the order of their shards. */
static bool
is_routed(const KeyLockList *list, const Target *target)
{
	return !list->here && target_spread(target)->kind != SPREAD_NOT;
}

/* Add the lock of the key that an object gives. */
static void
add_key(KeyLockList *list, Target *target, const char *name, JsonbValue *value)
{
	Jsonb *object = JsonbValueToJsonb(value);
	ColumnValues *key = json_columns(target, object, name);

	check_may_lock(target, key, list->here);
	json_convert(target, object, key);
	if (is_routed(list, target))
		add_routed(list, target, key);
	else
		add_lock(list, keylock_of(target, key));
}

/*
 * Add the locks of keys of a table, which are an array of objects.  The memory of
 * each is reset, but for what is to be sent to other nodes.
 */
static void
add_keys(KeyLockList *list, Target *target, const char *name, JsonbValue *keys)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree keys",
												  ALLOCSET_DEFAULT_SIZES);
	bool keep = is_routed(list, target);
	JsonbIterator *it = JsonbIteratorInit(keys->val.binary.data);
	JsonbValue element;

	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		MemoryContext old = keep ? CurrentMemoryContext
								 : MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		add_key(list, target, name, &element);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
}

/* Add the locks of one table's keys, which are an array of objects. */
static void
add_locks_of_table(KeyLockList *list, const char *name, JsonbValue *keys)
{
	Target *target;

	if (keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keys of table \"%s\" must be a JSON array of objects",
						name),
				 json_errdetail_found_value(keys)));

	target = target_open(row_type_of_name(name), AccessShareLock);
	check_may_lock_any(target, list->here);
	if (!is_routed(list, target))
		target_hold_root(target);
	add_keys(list, target, name, keys);
	/* What is to be sent to other nodes, is sent by way of the open table. */
	if (is_routed(list, target))
		list->open = lappend(list->open, target);
	else
		target_close(target);
}

/* Lock keys where their shards are, and close their tables. */
static void
acquire_routed(KeyLockList *list)
{
	ListCell *cell;

	run_begin();
	routed_acquire(list->routed, list->nrouted);
	run_end();
	foreach(cell, list->open)
		target_close(lfirst(cell));
}

/* Lock the keys of the table whose name is each field's. */
static void
lock_keys_of_tables(FunctionCallInfo fcinfo, bool here)
{
	KeyLockList list = {.here = here, .size = 64};
	Jsonb *keys;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	char *table = NULL;

	arguments_require(fcinfo, ARG_KEYS, "keys");
	keys = PG_GETARG_JSONB_P(ARG_KEYS);
	if (!JB_ROOT_IS_OBJECT(keys))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", "keys"),
				 json_errdetail_found(keys),
				 errhint("Name tables and their keys, such as "
						 "{\"my_table\": [{\"name\": \"x\"}]}.")));

	list.locks = palloc(sizeof(KeyLock) * list.size);
	it = JsonbIteratorInit(&keys->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			table = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			add_locks_of_table(&list, table, &value);
	}
	if (here)
		keylock_acquire_part(list.locks, list.nlocks);
	else
		keylock_acquire(list.locks, list.nlocks);
	if (list.open != NIL)
		acquire_routed(&list);
}

/*
 * lock_keys(keys jsonb)
 *
 * Take the locks that get_or_create() and update_or_create() would take on
 * these keys if there was no row, over all tables in one order.
 */
Datum
lock_keys(PG_FUNCTION_ARGS)
{
	lock_keys_of_tables(fcinfo, false);
	PG_RETURN_VOID();
}

/*
 * lock_keys_here(keys jsonb) RETURNS integer
 *
 * The same on this node of Citus, wherever the rows are, and for any function
 * that locks keys; see keys/routed.c.  The result is the number of the node, -1
 * without Citus.
 */
Datum
lock_keys_here(PG_FUNCTION_ARGS)
{
	lock_keys_of_tables(fcinfo, true);
	PG_RETURN_INT32(spread_this_node());
}
