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
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "args.h"
#include "errors.h"

static int
compare_attnums(const void *a, const void *b)
{
	return *(const AttrNumber *) a - *(const AttrNumber *) b;
}

/* Put columns into ascending order. */
void
args_sort_attnums(AttrNumber *attnums, int n)
{
	qsort(attnums, n, sizeof(AttrNumber), compare_attnums);
}

/* Columns to be filled in, as one chunk of memory. */
ColumnValues *
args_make_columns(int ncolumns)
{
	ColumnValues *columns;
	char *place;

	columns = palloc(MAXALIGN(sizeof(ColumnValues)) +
					 (sizeof(Datum) + sizeof(AttrNumber) + sizeof(bool)) *
						 ncolumns);
	place = (char *) columns + MAXALIGN(sizeof(ColumnValues));
	columns->ncolumns = ncolumns;
	columns->values = (Datum *) place;
	columns->attnums = (AttrNumber *) (columns->values + ncolumns);
	columns->nulls = (bool *) (columns->attnums + ncolumns);
	return columns;
}

/* Put columns, with their values, into ascending order. */
void
args_sort_columns(ColumnValues *columns)
{
	/* There are few, and most often they are in order already. */
	for (int i = 1; i < columns->ncolumns; i++)
	{
		AttrNumber attnum = columns->attnums[i];
		Datum value = columns->values[i];
		bool isnull = columns->nulls[i];
		int j;

		for (j = i; j > 0 && columns->attnums[j - 1] > attnum; j--)
		{
			columns->attnums[j] = columns->attnums[j - 1];
			columns->values[j] = columns->values[j - 1];
			columns->nulls[j] = columns->nulls[j - 1];
		}
		columns->attnums[j] = attnum;
		columns->values[j] = value;
		columns->nulls[j] = isnull;
	}
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

	columns = args_make_columns(JB_ROOT_COUNT(object));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &field, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			columns->attnums[n++] =
				target_find_column_by_bytes(target, field.val.string.val,
											field.val.string.len);
	}
	args_sort_attnums(columns->attnums, n);
	return columns;
}

/* The values that a row of the table has in these columns. */
void
args_read_row(const Target *target, HeapTupleHeader row, int n,
			  const AttrNumber *attnums, Datum *values, bool *nulls)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	for (int i = 0; i < n; i++)
		values[i] = heap_getattr(&tuple, attnums[i], tupdesc, &nulls[i]);
}

/*
 * Convert the object's values as jsonb_populate_record() does.  "columns" is
 * what args_columns() made of the same object.
 */
void
args_convert(const Target *target, Jsonb *object, ColumnValues *columns)
{
	HeapTupleHeader row = target_populate(target, object);

	args_read_row(target, row, columns->ncolumns, columns->attnums,
				  columns->values, columns->nulls);
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

/*
 * All columns of two lists, in ascending order.  Of a column that both have,
 * the value of the second list counts.
 */
ColumnValues *
args_merge(const ColumnValues *a, const ColumnValues *b)
{
	ColumnValues *merged = args_make_columns(a->ncolumns + b->ncolumns);
	int n = 0;
	int i = 0;
	int j = 0;

	while (i < a->ncolumns || j < b->ncolumns)
	{
		bool from_a = j >= b->ncolumns ||
					  (i < a->ncolumns && a->attnums[i] < b->attnums[j]);
		const ColumnValues *from = from_a ? a : b;
		int k = from_a ? i : j;

		merged->attnums[n] = from->attnums[k];
		merged->values[n] = from->values[k];
		merged->nulls[n++] = from->nulls[k];
		if (i < a->ncolumns && a->attnums[i] == from->attnums[k])
			i++;
		if (!from_a)
			j++;
	}
	merged->ncolumns = n;
	return merged;
}

/* The values that the first list has for the columns of the second, its own. */
ColumnValues *
args_select(const ColumnValues *from, const ColumnValues *columns)
{
	ColumnValues *result = args_make_columns(columns->ncolumns);
	int f = 0;

	for (int i = 0; i < columns->ncolumns; i++)
	{
		while (from->attnums[f] != columns->attnums[i])
			f++;
		Assert(f < from->ncolumns);
		result->attnums[i] = from->attnums[f];
		result->values[i] = from->values[f];
		result->nulls[i] = from->nulls[f];
	}
	return result;
}

/*
 * The first column in which two keys of the same columns differ, by its own
 * equality and collation, NULLs being equal; InvalidAttrNumber if they ask
 * for the same row.
 */
AttrNumber
args_find_difference(const Target *target, const ColumnValues *a,
					 const ColumnValues *b)
{
	for (int i = 0; i < a->ncolumns; i++)
	{
		AttrNumber attnum = a->attnums[i];
		TypeCacheEntry *type = target_column_type(target, attnum,
												  TYPECACHE_EQ_OPR_FINFO);

		if (a->nulls[i] != b->nulls[i])
			return attnum;
		if (!a->nulls[i] &&
			!DatumGetBool(
				FunctionCall2Coll(&type->eq_opr_finfo,
								  target_column(target, attnum)->attcollation,
								  a->values[i], b->values[i])))
			return attnum;
	}
	return InvalidAttrNumber;
}

/* The values that a row which a statement gave has in these columns. */
ColumnValues *
args_from_row(const Target *target, const ColumnValues *columns,
			  HeapTuple tuple, TupleDesc tupdesc)
{
	ColumnValues *result = args_make_columns(columns->ncolumns);

	for (int i = 0; i < columns->ncolumns; i++)
	{
		result->attnums[i] = columns->attnums[i];
		result->values[i] = target_row_value(target, tuple, tupdesc,
											 columns->attnums[i],
											 &result->nulls[i]);
	}
	return result;
}

/*
 * Has the row, of this table, these very values?  Bit by bit, since not every
 * type has an equality.
 */
bool
args_row_has_values(const Target *target, Datum row,
					const ColumnValues *columns)
{
	for (int i = 0; i < columns->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);
		Datum value;
		bool isnull;

		args_read_row(target, DatumGetHeapTupleHeader(row), 1,
					  &columns->attnums[i], &value, &isnull);
		if (isnull != columns->nulls[i] ||
			(!isnull && !datum_image_eq(value, columns->values[i],
										att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/* A value's text form, for messages. */
char *
args_print(Oid type, Datum value)
{
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

static void
set_while(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * A value's text form with all its digits, and with dates that mean the same in
 * every session.
 */
char *
args_print_exactly(Oid type, Datum value)
{
	char *text;
	int level;

	if (args_keeps_text(type))
		return args_print(type, value);
	level = NewGUCNestLevel();
	set_while("datestyle", "ISO");
	set_while("intervalstyle", "postgres");
	set_while("extra_float_digits", "1");
	text = args_print(type, value);
	AtEOXact_GUC(true, level);
	return text;
}

/*
 * The columns and their values for an error's detail, as core writes keys:
 * (a, b)=(1, null).  Values are the caller's own, so showing them to the
 * caller discloses nothing.
 */
const char *
args_describe(const Target *target, const ColumnValues *columns)
{
	StringInfoData names;
	StringInfoData values;

	if (columns->ncolumns == 0)
		return "{}";
	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);
		const char *separator = i > 0 ? ", " : "";
		const char *value = "null";

		if (!columns->nulls[i])
			value = args_print(att->atttypid, columns->values[i]);
		appendStringInfo(&names, "%s%s", separator, NameStr(att->attname));
		appendStringInfo(&values, "%s%s", separator, value);
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}

/*
 * True for the types that keep all that the text of an id says.  Other types
 * may cut or round what they are given, so that two texts, of which each means
 * another id, could become one value.
 */
bool
args_keeps_text(Oid type)
{
	switch (type)
	{
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case BYTEAOID:
			return true;
		default:
			return false;
	}
}

/* The text of a number as a numeric, which keeps all its digits. */
static Datum
number_of(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* True if the text is nothing but a decimal number. */
static bool
is_decimal(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "+-0123456789.")] == '\0';
}

/* Is that what was printed, apart from zeros at the end, and from the T? */
static bool
is_same_time(const char *printed, const char *text)
{
	const char *zeros = " 0:.";

	for (; *printed != '\0' && *text != '\0'; printed++, text++)
	{
		if (*printed != *text && !(*printed == ' ' && *text == 'T'))
			break;
	}
	/* A time zone, or a month, is never left out. */
	if (*text == '\0')
		return printed[strspn(printed, zeros)] == '\0';
	return *printed == '\0' && text[strspn(text, "0.")] == '\0';
}

/*
 * True for the base types of core that cut or round what they are given, or
 * leave out some of it, and for those with such a part.
 */
static bool
loses_text(Oid type)
{
	TupleDesc tupdesc;
	bool loses = false;

	switch (type)
	{
		case NAMEOID:
		case CHAROID:
		case FLOAT4OID:
		case FLOAT8OID:
		case CASHOID:
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case INTERVALOID:
			return true;
		default:
			break;
	}
	if (OidIsValid(get_element_type(type)))
		return loses_text(getBaseType(get_element_type(type)));
	if (type_is_multirange(type))
		type = get_multirange_range(type);
	if (type_is_range(type))
		return loses_text(getBaseType(get_range_subtype(type)));
	if (!type_is_rowtype(type) || type == RECORDOID)
		return false;
	tupdesc = lookup_rowtype_tupdesc(type, -1);
	for (int i = 0; i < tupdesc->natts && !loses; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		loses = !att->attisdropped && loses_text(getBaseType(att->atttypid));
	}
	ReleaseTupleDesc(tupdesc);
	return loses;
}

/*
 * True if a value of the base type that was made of the text has lost nothing
 * of what that says.  Of dates and times, the text must mean the same in every
 * session.
 */
bool
args_says_the_same(Oid type, Datum value, const char *text)
{
	const char *printed;

	if (args_keeps_text(type) || !loses_text(type))
		return true;
	printed = args_print_exactly(type, value);
	if (strcmp(printed, text) == 0)
		return true;
	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													number_of(printed),
													number_of(text)));
		case CASHOID:
			return is_decimal(text) &&
				   DatumGetBool(DirectFunctionCall2(
					   numeric_eq, DirectFunctionCall1(cash_numeric, value),
					   number_of(text)));
		case TIMEOID:
		case TIMESTAMPOID:
			return is_same_time(printed, text);
		case INTERVALOID:
			/* Only fractions are rounded. */
			return strchr(text, '.') == NULL;
		default:
			return false;
	}
}

/*
 * Make an id of its text form.  One that the type cuts or rounds would name
 * another account.
 */
static Datum
id_from_text(Oid type, char *text)
{
	Oid function;
	Oid io_param;
	Datum id;

	getTypeInputInfo(type, &function, &io_param);
	id = OidInputFunctionCall(function, text, io_param, -1);
	/* What a timestamptz rounds off is less than a microsecond. */
	if (type != TIMESTAMPTZOID && !args_says_the_same(type, id, text))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("id \"%s\" cannot be held exactly in type %s", text,
						format_type_be(type)),
				 errdetail("It would be read as \"%s\".",
						   args_print_exactly(type, id))));
	return id;
}

/*
 * An id as a value of the id column's base type: as it is where the types
 * agree, else by its text form, so that ids from drivers that send text work.
 */
Datum
args_convert_id(Oid from, Oid to, Datum id)
{
	if (from == to || IsBinaryCoercible(from, to))
		return id;
	if (from == BPCHAROID)
		id = DirectFunctionCall1(rtrim1, id);
	if (from == TEXTOID || from == BPCHAROID)
		id = CStringGetDatum(TextDatumGetCString(id));
	else if (from == INT4OID && to == INT8OID)
		return Int64GetDatum(DatumGetInt32(id));
	else
		id = CStringGetDatum(args_print_exactly(from, id));
	return id_from_text(to, DatumGetCString(id));
}

/* An id's text form, for messages. */
char *
args_print_id(const Target *target, AttrNumber attnum, Datum id)
{
	return args_print(target_column(target, attnum)->atttypid, id);
}

/* Several rows have an id that should name one. */
void
args_error_id_not_unique(const Target *target, AttrNumber attnum, Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" has the id \"%s\"",
					RelationGetRelationName(target_relation(target)),
					args_print_id(target, attnum, id))));
}

/* The position of a word in a list of words, or an error naming them. */
int
args_choose(const char *argument, const char *word, const char *const *words,
			int nwords)
{
	StringInfoData list;

	for (int i = 0; i < nwords; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return i;
	}
	initStringInfo(&list);
	for (int i = 0; i < nwords; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", argument, word),
			 errhint("It must be one of %s.", list.data)));
}
