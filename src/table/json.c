/*-------------------------------------------------------------------------
 *
 * json.c
 *	  JSON objects to typed values in column order, and rows to JSON objects.
 *
 * Names are resolved first, and values converted only when they are needed: a
 * call that finds its row does not convert what it would have inserted.  The
 * conversion is core's own, jsonb_populate_record().
 *
 * Everything is allocated in the current memory context.  Values point into
 * the row that the conversion made, which lives there too.  What core's
 * functions keep from call to call is kept with the table.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "table/columns.h"
#include "table/json.h"

/*
 * jsonb_populate_record(), ready to be called for a table, with what it keeps
 * from call to call.
 */
typedef struct Populate
{
	FmgrInfo function;
	MemoryContext context; /* holds this struct and what the function keeps */
} Populate;

/* What is kept of a table to convert objects to its rows. */
typedef struct Conversion
{
	Datum null_row; /* a row of NULLs, to be filled */
	Populate *idle; /* NULL while a call uses it */
} Conversion;

/* The addresses by which the table's entry knows what is kept. */
static const char json_conversion_owner[] = "json conversion";
static const char json_to_jsonb_owner[] = "json to_jsonb";

/* A row of the table that is NULL in every column. */
static Datum
json_null_row(TupleDesc tupdesc)
{
	Datum *values = palloc0(sizeof(Datum) * (tupdesc->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (tupdesc->natts + 1));
	HeapTuple tuple;
	Datum row;

	memset(nulls, true, sizeof(bool) * (tupdesc->natts + 1));
	tuple = heap_form_tuple(tupdesc, values, nulls);
	row = heap_copy_tuple_as_datum(tuple, tupdesc);
	heap_freetuple(tuple);
	pfree(nulls);
	pfree(values);
	return row;
}

/* What is kept of the table for conversions, made at the first one. */
static Conversion *
json_conversion(const Target *target)
{
	MemoryContext context;
	void **kept = target_keep(target, json_conversion_owner, &context);

	if (*kept == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Conversion *conversion = palloc0(sizeof(Conversion));

		conversion->null_row = json_null_row(
			RelationGetDescr(target_relation(target)));
		MemoryContextSwitchTo(old);
		*kept = conversion;
	}
	return *kept;
}

/*
 * Prepare to call a function of one or two arguments, of which the first is a
 * row of this table.  The function learns the row's type from the call's
 * expression, so it gets one.  What the function keeps from call to call lives
 * in the memory context.
 */
static void
json_prepare_call(const Target *target, Oid function, Oid result_type,
				  bool with_jsonb, FmgrInfo *finfo, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List *args = list_make1(
		makeNullConst(target_relation(target)->rd_rel->reltype, -1,
					  InvalidOid));

	if (with_jsonb)
		args = lappend(args, makeNullConst(JSONBOID, -1, InvalidOid));
	fmgr_info_cxt(function, finfo, context);
	fmgr_info_set_expr((Node *) makeFuncExpr(function, result_type, args,
											 InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL),
					   finfo);
	MemoryContextSwitchTo(old);
}

/*
 * Prepare to call jsonb_populate_record(), in a memory context of its own,
 * which is a child of the current one.
 */
static Populate *
json_prepare_populate(const Target *target)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "racefree conversion",
												  ALLOCSET_SMALL_SIZES);
	Populate *populate = MemoryContextAlloc(context, sizeof(Populate));

	populate->context = context;
	json_prepare_call(target, F_JSONB_POPULATE_RECORD,
					  target_relation(target)->rd_rel->reltype, true,
					  &populate->function, context);
	return populate;
}

/* Call jsonb_populate_record(). */
static HeapTupleHeader
json_call_populate(Datum null_row, FmgrInfo *populate, Jsonb *object)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum row;

	InitFunctionCallInfoData(*fcinfo, populate, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = null_row;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = JsonbPGetDatum(object);
	fcinfo->args[1].isnull = false;

	row = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		elog(ERROR, "jsonb_populate_record returned NULL");
	return DatumGetHeapTupleHeader(row);
}

/*
 * Make a row of the table of a JSON object, as jsonb_populate_record() does,
 * with NULL in the columns that the object does not name.
 *
 * jsonb_populate_record() keeps state in its FmgrInfo, so it must not be called
 * again through the same FmgrInfo while it runs: a domain's CHECK, which runs
 * inside of it, can call racefree on the same table.  So each call takes the
 * idle state, or makes one.  While the call runs, the state belongs to the
 * caller's memory: an error, which may leave the state half-made, frees it.
 */
static HeapTupleHeader
json_populate(const Target *target, Jsonb *object)
{
	Conversion *conversion = json_conversion(target);
	Populate *populate = conversion->idle;
	HeapTupleHeader row;

	if (populate == NULL)
		populate = json_prepare_populate(target);
	else
		MemoryContextSetParent(populate->context, CurrentMemoryContext);
	conversion->idle = NULL;

	row = json_call_populate(conversion->null_row, &populate->function, object);

	/* A call within this one may have kept a state of its own by now. */
	if (conversion->idle == NULL)
	{
		MemoryContextSetParent(populate->context,
							   GetMemoryChunkContext(conversion));
		conversion->idle = populate;
	}
	else
		MemoryContextDelete(populate->context);
	return row;
}

/*
 * Return true if the value is a string that holds a JSON object or array, which
 * is what becomes of either when it is encoded twice.  A string that only begins
 * like one is text.
 */
static bool
json_is_encoded_twice(const JsonbValue *value)
{
	const char *c;
	const char *end;

	if (value->type != jbvString)
		return false;
	c = value->val.string.val;
	end = c + value->val.string.len;
	while (c < end && (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r'))
		c++;
	if (c == end || (*c != '{' && *c != '['))
		return false;
	return pg_parse_json(json_lexer(c, end - c, GetDatabaseEncoding()),
						 &nullSemAction) == JSON_SUCCESS;
}

/*
 * Report an error if JSON that may be of any kind was encoded twice: it would be
 * stored as a string, of which no field can be asked for.
 */
void
json_check_encoded_once(Jsonb *json, const char *argument)
{
	JsonbValue scalar;

	if (JsonbExtractScalar(&json->root, &scalar) &&
		json_is_encoded_twice(&scalar))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be a string that holds JSON",
						argument),
				 json_errdetail_found_value(&scalar),
				 errhint("Give the object or array itself.  A string that is "
						 "meant to hold JSON can be given in an object.")));
}

/* Add a detail that says what kind of JSON an element or field is. */
int
json_errdetail_found_value(JsonbValue *value)
{
	JsonbValue scalar;

	if (value->type == jbvBinary &&
		JsonbExtractScalar(value->val.binary.data, &scalar))
		value = &scalar;
	if (json_is_encoded_twice(value))
		return errdetail("It is a JSON string that holds JSON, as if that had "
						 "been encoded twice.");
	return errdetail("It is a JSON %s.", JsonbTypeName(value));
}

/* The same of an argument. */
int
json_errdetail_found(Jsonb *json)
{
	JsonbValue value;

	JsonbToJsonbValue(json, &value);
	return json_errdetail_found_value(&value);
}

/*
 * The columns that a JSON object names.  Anything but an object, and a field
 * that is no live user column of the table, is an error.
 */
ColumnValues *
json_columns(const Target *target, Jsonb *object, const char *argument)
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
				 json_errdetail_found(object),
				 errhint("Name columns and their values, such as "
						 "{\"name\": \"x\"}.")));

	/* Jsonb keeps the last of several values of a name, so names are unique. */
	columns = values_make(JB_ROOT_COUNT(object));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &field, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			values_set(columns, n++,
					   columns_find_by_bytes(target, field.val.string.val,
											 field.val.string.len),
					   (Datum) 0, true);
	}
	values_sort(columns);
	return columns;
}

/*
 * Convert the object's values as jsonb_populate_record() does.  "columns" is
 * what json_columns() made of the same object.
 */
void
json_convert(const Target *target, Jsonb *object, ColumnValues *columns)
{
	HeapTupleHeader row = json_populate(target, object);

	Assert(columns->ncolumns == JB_ROOT_COUNT(object));
	values_read_row(target, row, columns->ncolumns, columns->attnums,
					columns->values, columns->nulls);
}

/*
 * The same for one of many objects.  What the conversion leaves behind stays in
 * the scratch context, which the caller resets.
 */
void
json_convert_apart(const Target *target, Jsonb *object, ColumnValues *columns,
				   MemoryContext scratch)
{
	MemoryContext old = MemoryContextSwitchTo(scratch);

	json_convert(target, object, columns);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);

		if (!columns->nulls[i])
			columns->values[i] = datumCopy(columns->values[i], att->attbyval,
										   att->attlen);
	}
}

/* A row of the table as a JSON object, as to_jsonb() makes it. */
Datum
json_from_row(const Target *target, Datum row)
{
	MemoryContext context;
	void **kept = target_keep(target, json_to_jsonb_owner, &context);

	if (*kept == NULL)
	{
		FmgrInfo *to_jsonb = MemoryContextAlloc(context, sizeof(FmgrInfo));

		json_prepare_call(target, F_TO_JSONB, JSONBOID, false, to_jsonb,
						  context);
		*kept = to_jsonb;
	}
	return FunctionCall1((FmgrInfo *) *kept, row);
}
