/*-------------------------------------------------------------------------
 *
 * input.c
 *	  A JSON array of objects as rows of typed values, in canonical order.
 *
 * The canonical order of rows depends on their keys only, so that all sessions
 * agree on it: the order of a hash that agrees with the columns' equality, then
 * of values whose type has no such hash.
 *
 * Rows live in the memory context that was current at input_rows().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "keys/input.h"
#include "keys/keylock.h"
#include "table/columns.h"
#include "table/json.h"

/* Error context callback: the row with that number, counted from 0. */
void
input_error_context(void *number)
{
	errcontext("row %d of argument \"%s\"", *(int *) number + 1, "rows");
}

/* The columns of the key, in ascending order, from an array of their names. */
ColumnValues *
input_key(const Target *target, ArrayType *names)
{
	ColumnValues *key;
	AttrNumber twice;
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &n);
	key = values_make(n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			error_null_element("key");
		values_set(key, i,
				   columns_find(target, NameStr(*DatumGetName(elements[i]))),
				   (Datum) 0, false);
	}
	values_sort(key);
	twice = values_find_duplicate(key);
	if (twice != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" is named twice in \"key\"",
						NameStr(target_column(target, twice)->attname))));
	return key;
}

/* Take the key's values out of what a row gives. */
static void
extract_key(const Target *target, const ColumnValues *key, InputRow *row)
{
	const ColumnValues *columns = row->columns;
	int c = 0;

	row->key = *values_make(key->ncolumns);
	row->key.attnums = key->attnums;
	for (int k = 0; k < key->ncolumns; k++)
	{
		while (c < columns->ncolumns && columns->attnums[c] < key->attnums[k])
			c++;
		if (c == columns->ncolumns || columns->attnums[c] != key->attnums[k])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("key column \"%s\" is missing",
							NameStr(target_column(target,
												  key->attnums[k])->attname)),
					 errhint("Each row must give a value, or null, for every "
							 "column of the key.")));
		row->key.values[k] = columns->values[c];
		row->key.nulls[k] = columns->nulls[c];
	}
}

/*
 * Convert one object.  What the conversion leaves behind stays in the scratch
 * context, which is reset.
 */
static void
parse_object(const Target *target, const ColumnValues *key, JsonbValue *value,
			 InputRow *row, MemoryContext scratch)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *object;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("each row must be a JSON object"),
				 json_errdetail_found_value(value)));

	MemoryContextSwitchTo(scratch);
	object = JsonbValueToJsonb(value);
	MemoryContextSwitchTo(context);
	row->columns = json_columns(target, object, "rows");
	json_convert_apart(target, object, row->columns, scratch);
	extract_key(target, key, row);
	row->hash = keylock_hash(target, &row->key, &row->hashed);
	MemoryContextReset(scratch);
}

/* Convert the objects of the array; errors name the row. */
static void
parse_objects(const Target *target, Jsonb *array, const ColumnValues *key,
			  InputRow *rows, int nrows)
{
	int n = 0;
	ErrorContextCallback callback = {.callback = input_error_context,
									 .arg = &n};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree row",
												  ALLOCSET_DEFAULT_SIZES);
	JsonbIterator *it = JsonbIteratorInit(&array->root);
	JsonbValue value;

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) JsonbIteratorNext(&it, &value, false);
	for (; JsonbIteratorNext(&it, &value, true) == WJB_ELEM; n++)
	{
		CHECK_FOR_INTERRUPTS();
		Assert(n < nrows);
		rows[n].number = n;
		parse_object(target, key, &value, &rows[n], scratch);
	}
	error_context_stack = callback.previous;
	MemoryContextDelete(scratch);
}

/* Compare two values of a type that has no hash, NULLs last. */
static int
compare_unhashed(const Target *target, const InputRow *left,
				 const InputRow *right, int i)
{
	AttrNumber attnum = left->key.attnums[i];
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type = columns_type(target, attnum,
										TYPECACHE_CMP_PROC_FINFO);

	if (left->key.nulls[i] || right->key.nulls[i])
		return left->key.nulls[i] - right->key.nulls[i];
	/* The type has an equality but no order: all its values are in one run. */
	if (!OidIsValid(type->cmp_proc))
		return 0;
	return DatumGetInt32(
		FunctionCall2Coll(&type->cmp_proc_finfo, att->attcollation,
						  left->key.values[i], right->key.values[i]));
}

/*
 * Compare the keys of two rows in canonical order.  Equal keys compare as
 * equal; so do different ones whose hashes collide, or whose types have no
 * order.
 */
int
input_compare(const Target *target, const InputRow *left, const InputRow *right)
{
	Assert(left->key.ncolumns == right->key.ncolumns);
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	for (int i = 0; i < left->key.ncolumns && !left->hashed; i++)
	{
		int order;

		if (columns_has_hash(target, left->key.attnums[i]))
			continue;
		order = compare_unhashed(target, left, right, i);
		if (order != 0)
			return order;
	}
	return 0;
}

/* qsort comparator: rows with one key stay in the order of the input. */
static int
compare_input_rows(const void *a, const void *b, void *target)
{
	const InputRow *left = a;
	const InputRow *right = b;
	int order = input_compare(target, left, right);

	return order != 0 ? order : left->number - right->number;
}

/* The objects of the array, sorted by key, those of one key by number. */
InputRow *
input_rows(const Target *target, Jsonb *array, const ColumnValues *key,
		   int *nrows)
{
	InputRow *rows;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON array of objects",
						"rows"),
				 json_errdetail_found(array)));
	*nrows = JB_ROOT_COUNT(array);
	rows = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(InputRow) * (*nrows + 1));
	parse_objects(target, array, key, rows, *nrows);
	qsort_arg(rows, *nrows, sizeof(InputRow), compare_input_rows,
			  (void *) target);
	return rows;
}
