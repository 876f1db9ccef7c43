/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Many rows of arguments: a JSON array of objects becomes typed values,
 *	  grouped by key.
 *
 * Input rows with equal keys make one group, since they are about one row of
 * the table.  Groups are kept in canonical order, which depends on their keys
 * only: the order of a hash that agrees with the columns' equality, then of
 * values whose type has no such hash.
 *
 * Statements see groups as rows; see rows.h.  A row's number is that of the
 * group, in canonical order, from 0.
 *
 * A batch and all that it points to lives in the memory context that was
 * current at batch_parse().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "keys/batch.h"
#include "table/json.h"

/* An input row while it is being sorted. */
typedef struct InputRow
{
	int number; /* in the input, counted from 0 */
	uint64 hash;
	bool hashed; /* do all of the key's values count in it? */
	ColumnValues key;
	ColumnValues *columns; /* all that it gives */
} InputRow;

/* Error context callback: the row of the input with that number, from 0. */
void
batch_error_context(void *number)
{
	errcontext("row %d of argument \"%s\"", *(int *) number + 1, "rows");
}

/* The key's columns, in ascending order. */
static void
parse_key(const Target *target, ArrayType *array, ColumnValues *key)
{
	AttrNumber *attnums;
	Datum *names;
	bool *nulls;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names,
					  &nulls, &key->ncolumns);
	key->attnums = attnums = palloc(sizeof(AttrNumber) * key->ncolumns);
	key->nulls = palloc0(sizeof(bool) * key->ncolumns);
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain nulls", "key")));
		attnums[i] = target_find_column(target,
										NameStr(*DatumGetName(names[i])));
	}
	values_sort_attnums(attnums, key->ncolumns);
	for (int i = 1; i < key->ncolumns; i++)
	{
		if (key->attnums[i] == key->attnums[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named twice in \"key\"",
							NameStr(target_column(target,
												  key->attnums[i])->attname))));
	}
}

/* Take the key's values out of what a row gives. */
static void
extract_key(const Target *target, const ColumnValues *key, InputRow *row)
{
	int c = 0;

	row->key = *values_make(key->ncolumns);
	row->key.attnums = key->attnums;
	for (int k = 0; k < key->ncolumns; k++)
	{
		while (c < row->columns->ncolumns &&
			   row->columns->attnums[c] < key->attnums[k])
			c++;
		if (c == row->columns->ncolumns ||
			row->columns->attnums[c] != key->attnums[k])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("key column \"%s\" is missing",
							NameStr(target_column(target,
												  key->attnums[k])->attname)),
					 errhint("Each row must give a value, or null, for every "
							 "column of the key.")));
		row->key.values[k] = row->columns->values[c];
		row->key.nulls[k] = row->columns->nulls[c];
	}
}

/*
 * Convert one object; what the conversion leaves behind stays in the scratch
 * context, which is reset.
 */
static void
parse_row(const Target *target, const ColumnValues *key, JsonbValue *value,
		  InputRow *row, MemoryContext scratch)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *object;
	ColumnValues *columns;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("each row must be a JSON object")));

	MemoryContextSwitchTo(scratch);
	object = JsonbValueToJsonb(value);
	MemoryContextSwitchTo(context);
	columns = json_columns(target, object, "rows");
	MemoryContextSwitchTo(scratch);
	json_convert(target, object, columns);
	MemoryContextSwitchTo(context);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);

		if (!columns->nulls[i])
			columns->values[i] = datumCopy(columns->values[i], att->attbyval,
										   att->attlen);
	}
	row->columns = columns;
	extract_key(target, key, row);
	row->hash = keylock_hash(target, &row->key, &row->hashed);
	MemoryContextReset(scratch);
}

static InputRow *
parse_rows(const Target *target, Jsonb *rows, const ColumnValues *key,
		   int *nrows)
{
	ErrorContextCallback callback;
	MemoryContext scratch;
	JsonbIterator *it;
	JsonbValue value;
	InputRow *result;
	int n = 0;

	if (!JB_ROOT_IS_ARRAY(rows) || JB_ROOT_IS_SCALAR(rows))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON array of objects",
						"rows")));
	*nrows = JB_ROOT_COUNT(rows);
	result = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(InputRow) * (*nrows + 1));
	scratch = AllocSetContextCreate(CurrentMemoryContext, "racefree row",
									ALLOCSET_DEFAULT_SIZES);

	callback.callback = batch_error_context;
	callback.arg = &n;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	it = JsonbIteratorInit(&rows->root);
	(void) JsonbIteratorNext(&it, &value, false);
	for (; JsonbIteratorNext(&it, &value, true) == WJB_ELEM; n++)
	{
		CHECK_FOR_INTERRUPTS();
		result[n].number = n;
		parse_row(target, key, &value, &result[n], scratch);
	}
	error_context_stack = callback.previous;
	MemoryContextDelete(scratch);
	return result;
}

/* Compare two values of a type that has no hash, NULLs last. */
static int
compare_unhashed(const Target *target, const InputRow *left,
				 const InputRow *right, int i)
{
	AttrNumber attnum = left->key.attnums[i];
	Form_pg_attribute att = target_column(target, attnum);
	TypeCacheEntry *type = target_column_type(target, attnum,
											  TYPECACHE_CMP_PROC_FINFO);

	if (left->key.nulls[i] || right->key.nulls[i])
		return left->key.nulls[i] - right->key.nulls[i];
	/* Equality is all there is: group_rows() will find out. */
	if (!OidIsValid(type->cmp_proc))
		return 0;
	return DatumGetInt32(
		FunctionCall2Coll(&type->cmp_proc_finfo, att->attcollation,
						  left->key.values[i], right->key.values[i]));
}

/*
 * Compare two keys in canonical order: by hash, and by value where a type has
 * no hash.  Keys that compare as equal are, but for collisions.
 */
static int
compare_keys(const Target *target, const InputRow *left, const InputRow *right)
{
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	for (int i = 0; i < left->key.ncolumns && !left->hashed; i++)
	{
		int order;

		if (target_has_hash(target, left->key.attnums[i]))
			continue;
		order = compare_unhashed(target, left, right, i);
		if (order != 0)
			return order;
	}
	return 0;
}

/* Rows with one key stay in the order of the input. */
static int
compare_rows(const void *a, const void *b, void *target)
{
	const InputRow *left = a;
	const InputRow *right = b;
	int order = compare_keys(target, left, right);

	return order != 0 ? order : left->number - right->number;
}

/* The data columns: all that any row gives, but for the key. */
static void
collect_data_columns(const Target *target, const InputRow *rows, int nrows,
					 const ColumnValues *key, ColumnValues *data)
{
	int natts = RelationGetNumberOfAttributes(target_relation(target));
	bool *given = palloc0(sizeof(bool) * (natts + 1));
	AttrNumber *attnums = palloc(sizeof(AttrNumber) * natts);

	for (int r = 0; r < nrows; r++)
	{
		for (int i = 0; i < rows[r].columns->ncolumns; i++)
			given[rows[r].columns->attnums[i]] = true;
	}
	for (int k = 0; k < key->ncolumns; k++)
		given[key->attnums[k]] = false;

	data->ncolumns = 0;
	data->attnums = attnums;
	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
	{
		if (given[attnum])
			attnums[data->ncolumns++] = attnum;
	}
	pfree(given);
}

/* Let a group give what a row gives; what it gave before is replaced. */
static void
merge_row(BatchGroup *group, const InputRow *row)
{
	int d = 0;

	for (int i = 0; i < row->columns->ncolumns; i++)
	{
		while (d < group->data.ncolumns &&
			   group->data.attnums[d] < row->columns->attnums[i])
			d++;
		if (d == group->data.ncolumns)
			break;
		if (group->data.attnums[d] != row->columns->attnums[i])
			continue; /* a column of the key */
		group->data.values[d] = row->columns->values[i];
		group->data.nulls[d] = row->columns->nulls[i];
		group->given[d] = true;
		group->any_given = true;
	}
}

static void
start_group(const Target *target, BatchGroup *group, const InputRow *row,
			const ColumnValues *data)
{
	memset(group, 0, sizeof(BatchGroup));
	group->key = row->key;
	group->data = *values_make(data->ncolumns);
	group->data.attnums = data->attnums;
	memset(group->data.nulls, true, sizeof(bool) * data->ncolumns);
	group->given = palloc0(sizeof(bool) * data->ncolumns);
	group->lock = keylock_of_hash(target, row->hash, row->hashed);
	group->first = row->number;
	group->state = GROUP_MISSING;
	merge_row(group, row);
}

/* Put the sorted rows into groups, all of a run before the next run. */
static void
group_rows(Batch *batch, const InputRow *rows, const ColumnValues *data,
		   bool merge)
{
	int run = 0; /* the first group whose key compares as equal */

	for (int r = 0; r < batch->nrows; r++)
	{
		int g;

		CHECK_FOR_INTERRUPTS();
		if (r > 0 && compare_keys(batch->target, &rows[r - 1], &rows[r]) != 0)
			run = batch->ngroups;
		for (g = batch->ngroups - 1; g >= run; g--)
		{
			if (values_find_difference(batch->target, &batch->groups[g].key,
									   &rows[r].key) == InvalidAttrNumber)
				break;
		}
		if (g < run)
		{
			g = batch->ngroups++;
			start_group(batch->target, &batch->groups[g], &rows[r], data);
		}
		else if (merge)
			merge_row(&batch->groups[g], &rows[r]);
		batch->group_of_row[rows[r].number] = g;
	}
}

static bool
has_null(const ColumnValues *columns)
{
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (columns->nulls[i])
			return true;
	}
	return false;
}

/*
 * Make a batch of a JSON array of objects and the names of the key's columns.
 * With "merge", rows with one key are applied one after the other; without,
 * the first one counts.
 */
Batch *
batch_parse(Target *target, Jsonb *rows, ArrayType *key, bool merge)
{
	Batch *batch = palloc0(sizeof(Batch));
	ColumnValues key_columns;
	ColumnValues data_columns;
	InputRow *input;

	batch->target = target;
	batch->context = CurrentMemoryContext;
	parse_key(target, key, &key_columns);
	input = parse_rows(target, rows, &key_columns, &batch->nrows);
	qsort_arg(input, batch->nrows, sizeof(InputRow), compare_rows, target);

	collect_data_columns(target, input, batch->nrows, &key_columns,
						 &data_columns);
	batch->key = key_columns;
	batch->data = data_columns;
	batch->group_of_row = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(int) *
													 (batch->nrows + 1));
	batch->groups = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(BatchGroup) *
											   (batch->nrows + 1));
	group_rows(batch, input, &data_columns, merge);
	for (int g = 0; g < batch->ngroups && !batch->null_keys; g++)
		batch->null_keys = has_null(&batch->groups[g].key);
	pfree(input);
	return batch;
}

/* A group's key for an error's detail, with the row that gave it first. */
char *
batch_describe(const Batch *batch, const BatchGroup *group)
{
	return psprintf("Row %d: key %s", group->first + 1,
					values_describe(batch->target, &group->key));
}

/*
 * Let errors name the group's first row, until batch_absolve().  The callback
 * is the caller's, on its stack: what runs in between can call for a batch
 * itself.
 */
void
batch_blame(ErrorContextCallback *callback, BatchGroup *group)
{
	callback->callback = batch_error_context;
	callback->arg = &group->first;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/* End what batch_blame() began with this callback. */
void
batch_absolve(const ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}

/* Without a DEFAULT a column is NULL, which its domain may not allow. */
static void
check_null_default(Form_pg_attribute att)
{
	if (getBaseType(att->atttypid) != att->atttypid)
		domain_check((Datum) 0, true, att->atttypid, NULL, NULL);
}

/* The data columns that at least one of these groups gives. */
BatchColumns
batch_given_columns(const Batch *batch, BatchGroup **groups, int ngroups)
{
	int ndata = batch->data.ncolumns;
	BatchColumns result;

	result.columns = *values_make(ndata);
	result.columns.ncolumns = 0;
	result.positions = palloc(sizeof(int) * ndata);
	result.partial = palloc(sizeof(bool) * ndata);
	for (int d = 0; d < ndata; d++)
	{
		int n = result.columns.ncolumns;
		int ngiven = 0;

		for (int g = 0; g < ngroups; g++)
			ngiven += groups[g]->given[d];
		if (ngiven == 0)
			continue;
		values_set(&result.columns, n, batch->data.attnums[d], (Datum) 0, true);
		result.positions[n] = d;
		result.partial[n] = ngiven < ngroups;
		result.columns.ncolumns++;
	}
	return result;
}

/*
 * For columns that a group does not give, but others do: the values of their
 * DEFAULTs, as COPY computes them for columns that it is not given.
 */
void
batch_fill_defaults(const Batch *batch, BatchGroup **groups, int ngroups,
					const BatchColumns *columns)
{
	Relation rel = target_relation(batch->target);
	EState *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);

	for (int c = 0; c < columns->columns.ncolumns; c++)
	{
		int d = columns->positions[c];
		AttrNumber attnum = batch->data.attnums[d];
		Form_pg_attribute att = target_column(batch->target, attnum);
		ExprState *expr = NULL;

		/* To give a generated column is an error, which is core's to raise. */
		if (att->attgenerated != '\0')
			continue;
		for (int g = 0; g < ngroups; g++)
		{
			ColumnValues *data = &groups[g]->data;

			if (groups[g]->given[d])
				continue;
			if (expr == NULL)
			{
				Expr *node = (Expr *) build_column_default(rel, attnum);

				if (node == NULL)
				{
					ErrorContextCallback blame;

					batch_blame(&blame, groups[g]);
					check_null_default(att);
					batch_absolve(&blame);
					break;
				}
				expr = ExecPrepareExpr(node, estate);
			}
			data->values[d] = ExecEvalExprSwitchContext(expr, econtext,
														&data->nulls[d]);
			if (!data->nulls[d])
				data->values[d] = datumCopy(data->values[d], att->attbyval,
											att->attlen);
			ResetExprContext(econtext);
		}
	}
	FreeExecutorState(estate);
}

/* ----------
 * Groups as a relation that statements see
 * ----------
 */

/* Must statements be told which groups give which columns? */
static bool
any_partial(const BatchColumns *columns)
{
	if (columns == NULL || columns->partial == NULL)
		return false;
	for (int i = 0; i < columns->columns.ncolumns; i++)
	{
		if (columns->partial[i])
			return true;
	}
	return false;
}

/* Which of these columns a group gives, as bits.  The space is the caller's. */
static Datum
given_bits(const BatchGroup *group, const BatchColumns *columns, bytea *space)
{
	int nbytes = (columns->columns.ncolumns + 7) / 8;

	SET_VARSIZE(space, VARHDRSZ + nbytes);
	memset(VARDATA(space), 0, nbytes);
	for (int i = 0; i < columns->columns.ncolumns; i++)
	{
		if (group->given[columns->positions[i]])
			VARDATA(space)[i / 8] |= 1 << (i % 8);
	}
	return PointerGetDatum(space);
}

/*
 * These groups as rows for a verb, with these data columns, if any, and with
 * the primary keys of the rows that were found, if asked.
 */
Rows *
batch_rows(const Batch *batch, BatchGroup **groups, int ngroups,
		   const BatchColumns *columns, bool with_primary_key)
{
	const AttrNumber *primary_key = NULL;
	int nprimary = with_primary_key
					   ? target_primary_key(batch->target, &primary_key)
					   : 0;
	int nkeys = batch->key.ncolumns;
	int ndata = columns ? columns->columns.ncolumns : 0;
	bool flags = any_partial(columns);
	int nvalues = 1 + nkeys + ndata + (flags ? 1 : 0) + nprimary;
	Rows *rows = rows_begin(nvalues, ngroups);
	bytea *bits = palloc(VARHDRSZ + ndata / 8 + 1);
	Datum *values = palloc(sizeof(Datum) * nvalues);
	bool *nulls = palloc0(sizeof(bool) * nvalues);

	for (int i = 0; i < nkeys; i++)
		rows_add_column(rows, 'k', i + 1, batch->target, batch->key.attnums[i]);
	for (int i = 0; i < ndata; i++)
		rows_add_column(rows, 'd', i + 1, batch->target,
						columns->columns.attnums[i]);
	if (flags)
		rows_add_flags(rows);
	for (int i = 0; i < nprimary; i++)
		rows_add_column(rows, 'p', i + 1, batch->target, primary_key[i]);

	for (int g = 0; g < ngroups; g++)
	{
		BatchGroup *group = groups[g];

		values[0] = Int32GetDatum(group - batch->groups);
		memcpy(values + 1, group->key.values, sizeof(Datum) * nkeys);
		memcpy(nulls + 1, group->key.nulls, sizeof(bool) * nkeys);
		for (int i = 0; i < ndata; i++)
		{
			int d = columns->positions[i];

			values[1 + nkeys + i] = group->data.values[d];
			nulls[1 + nkeys + i] = group->data.nulls[d];
		}
		if (flags)
			values[1 + nkeys + ndata] = given_bits(group, columns, bits);
		if (nprimary > 0)
			values_read_row(batch->target,
							DatumGetHeapTupleHeader(group->object), nprimary,
							primary_key, values + nvalues - nprimary,
							nulls + nvalues - nprimary);
		rows_put(rows, values, nulls);
	}
	pfree(nulls);
	pfree(values);
	pfree(bits);
	return rows;
}
