/*-------------------------------------------------------------------------
 *
 * args.c
 *	  JSON objects to typed values in column order.
 *
 * Names are resolved first, values converted only when they are needed: a
 * call that finds its row never looks at what it would have inserted.  The
 * conversion is core's own, jsonb_populate_record().
 *
 * Everything is allocated in the current memory context.  Values point into
 * the row that the conversion made, which lives there too.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "args.h"
#include "errors.h"

static int
compare_attnums(const void *a, const void *b)
{
	return *(const AttrNumber *) a - *(const AttrNumber *) b;
}

static ColumnValues *
make_columns(int ncolumns)
{
	ColumnValues *columns = palloc(sizeof(ColumnValues));

	columns->ncolumns = ncolumns;
	columns->attnums = palloc(sizeof(AttrNumber) * ncolumns);
	columns->values = palloc(sizeof(Datum) * ncolumns);
	columns->nulls = palloc(sizeof(bool) * ncolumns);
	return columns;
}

/*
 * The columns that a JSON object names.  Anything but an object, and a field
 * that is no live user column of the table, is an error.
 */
ColumnValues *
args_columns(const Target *target, Jsonb *object, const char *argument)
{
	ColumnValues *columns;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue field;
	int n = 0;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", argument),
				 errhint("Name columns and their values, such as "
						 "{\"name\": \"x\"}.")));

	columns = make_columns(JB_ROOT_COUNT(object));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &field, true)) != WJB_DONE)
	{
		char *name;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(field.val.string.val, field.val.string.len);
		columns->attnums[n++] = target_find_column(target, name);
		pfree(name);
	}
	qsort(columns->attnums, n, sizeof(AttrNumber), compare_attnums);
	return columns;
}

/*
 * Convert the object's values as jsonb_populate_record() does.  "columns" is
 * what args_columns() made of the same object.
 */
void
args_convert(const Target *target, Jsonb *object, ColumnValues *columns)
{
	LOCAL_FCINFO(fcinfo, 2);
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));
	HeapTupleHeader row;
	HeapTupleData tuple;

	InitFunctionCallInfoData(*fcinfo, target_populate_function(target), 2,
							 InvalidOid, NULL, NULL);
	fcinfo->args[0].value = target_null_row(target);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = JsonbPGetDatum(object);
	fcinfo->args[1].isnull = false;
	row = DatumGetHeapTupleHeader(FunctionCallInvoke(fcinfo));
	if (fcinfo->isnull)
		elog(ERROR, "jsonb_populate_record returned NULL");

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	for (int i = 0; i < columns->ncolumns; i++)
		columns->values[i] = heap_getattr(&tuple, columns->attnums[i], tupdesc,
										  &columns->nulls[i]);
}

/* The key says which row, the other argument what to put there: not both. */
void
args_check_disjoint(const Target *target, const ColumnValues *key,
					const ColumnValues *other, const char *argument)
{
	int k = 0;
	int o = 0;

	while (k < key->ncolumns && o < other->ncolumns)
	{
		AttrNumber attnum = key->attnums[k];

		if (attnum == other->attnums[o])
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named in both \"key\" and \"%s\"",
							NameStr(target_column(target, attnum)->attname),
							argument)));
		if (attnum < other->attnums[o])
			k++;
		else
			o++;
	}
}

/* All columns of two disjoint lists, in ascending order. */
ColumnValues *
args_merge(const ColumnValues *a, const ColumnValues *b)
{
	ColumnValues *merged = make_columns(a->ncolumns + b->ncolumns);
	int i = 0;
	int j = 0;

	for (int n = 0; n < merged->ncolumns; n++)
	{
		bool from_a = j >= b->ncolumns ||
					  (i < a->ncolumns && a->attnums[i] < b->attnums[j]);
		const ColumnValues *from = from_a ? a : b;
		int k = from_a ? i++ : j++;

		merged->attnums[n] = from->attnums[k];
		merged->values[n] = from->values[k];
		merged->nulls[n] = from->nulls[k];
	}
	return merged;
}

/*
 * The columns and their values for an error's detail, as core writes keys:
 * (a, b)=(1, null).  Values are the caller's own, so showing them to the
 * caller discloses nothing.
 */
char *
args_describe(const Target *target, const ColumnValues *columns)
{
	StringInfoData names;
	StringInfoData values;

	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);
		const char *separator = i > 0 ? ", " : "";
		const char *value = "null";

		if (!columns->nulls[i])
		{
			Oid output;
			bool is_varlena;

			getTypeOutputInfo(att->atttypid, &output, &is_varlena);
			value = OidOutputFunctionCall(output, columns->values[i]);
		}
		appendStringInfo(&names, "%s%s", separator, NameStr(att->attname));
		appendStringInfo(&values, "%s%s", separator, value);
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}
