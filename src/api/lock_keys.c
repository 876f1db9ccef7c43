/*-------------------------------------------------------------------------
 *
 * lock_keys.c
 *	  lock_keys(): take the locks of keys of several tables, all at once and in
 *	  one order.
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
#include "table/json.h"
#include "table/privileges.h"
#include "table/promises.h"

PG_FUNCTION_INFO_V1(lock_keys);

/* Arguments */
enum
{
	ARG_KEYS
};

/* The locks that lock_keys() collects. */
typedef struct KeyLockList
{
	KeyLock *locks;
	int nlocks;
	int size;
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

/* The lock of the key that an object gives. */
static KeyLock
lock_of_object(const Target *target, const char *name, JsonbValue *value)
{
	Jsonb *object = JsonbValueToJsonb(value);
	ColumnValues *key = json_columns(target, object, name);

	privileges_check_insert(target, key->attnums, key->ncolumns, NULL, 0);
	json_convert(target, object, key);
	return keylock_of(target, key);
}

/* Add the locks of one table's keys, which are an array of objects. */
static void
add_locks_of_table(KeyLockList *list, const char *name, JsonbValue *keys)
{
	Target *target;
	JsonbIterator *it;
	JsonbValue element;
	MemoryContext scratch;

	if (keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keys of table \"%s\" must be a JSON array of objects",
						name),
				 json_errdetail_found_value(keys)));

	/* A role that may not insert must not be able to block others. */
	target = target_open(row_type_of_name(name), AccessShareLock);
	privileges_check(target, ACL_SELECT | ACL_INSERT);
	promises_check_key_lock(target);
	target_hold_root(target);

	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree keys",
									ALLOCSET_DEFAULT_SIZES);
	it = JsonbIteratorInit(keys->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		MemoryContext old = MemoryContextSwitchTo(scratch);
		KeyLock lock;

		CHECK_FOR_INTERRUPTS();
		lock = lock_of_object(target, name, &element);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
		add_lock(list, lock);
	}
	MemoryContextDelete(scratch);
	target_close(target);
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
	KeyLockList list = {.nlocks = 0, .size = 64};
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
	keylock_acquire(list.locks, list.nlocks);
	PG_RETURN_VOID();
}
