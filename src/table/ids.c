/*-------------------------------------------------------------------------
 *
 * ids.c
 *	  The column that identifies a table's rows, and its values.
 *
 * Everything is allocated in the current memory context.
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
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/errors.h"
#include "table/columns.h"
#include "table/ids.h"
#include "table/indexes.h"
#include "table/values.h"

/*
 * Describe a column that the caller has resolved.  Its type must have an order,
 * since rows are locked, and ids searched, in that order.
 */
void
ids_of_column(IdColumn *id, const Target *table, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(table, attnum);
	TypeCacheEntry *type = columns_type(table, attnum,
										TYPECACHE_CMP_PROC_FINFO);

	if (!OidIsValid(type->cmp_proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an ordering operator for type %s",
						format_type_be(type->type_id)),
				 errdetail("Ids are compared, and sorted, by it.")));
	id->table = table;
	id->attnum = attnum;
	id->type = getBaseType(att->atttypid);
	id->collation = att->attcollation;
	id->compare = &type->cmp_proc_finfo;
}

/*
 * Resolve the column whose values identify rows: the one of that name, or, if
 * the name is NULL, the one that is the primary key by itself.
 */
void
ids_resolve(IdColumn *id, const Target *table, const char *name)
{
	const AttrNumber *primary_key;

	if (name != NULL)
	{
		ids_of_column(id, table, columns_find(table, name));
		return;
	}
	if (indexes_primary_key(table, &primary_key) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" has no single-column primary key",
						RelationGetRelationName(target_relation(table))),
				 errhint("Name the column that identifies a row in "
						 "\"id_column\".")));
	ids_of_column(id, table, primary_key[0]);
}

/* Compare two ids, as qsort() does. */
int
ids_compare(const IdColumn *id, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll(id->compare, id->collation, a, b));
}

/* Ids of the column's type as an array; there is a type of such arrays. */
ArrayType *
ids_make_array(const IdColumn *id, Datum *ids, int nids)
{
	int16 typlen;
	bool typbyval;
	char typalign;

	Assert(OidIsValid(get_array_type(id->type)));
	get_typlenbyvalalign(id->type, &typlen, &typbyval, &typalign);
	return construct_array(ids, nids, id->type, typlen, typbyval, typalign);
}

/*
 * Return true for the types that keep all that the text of an id says.  Other
 * types may cut or round what they are given, so that the texts of two ids
 * could become the same value.
 */
bool
ids_type_keeps_text(Oid type)
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
ids_number_of(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* Return true if the text is nothing but a decimal number. */
static bool
ids_is_decimal(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "+-0123456789.")] == '\0';
}

/*
 * Return true if a time's printed form is the text, apart from zeros at the end
 * of either, and from a T between date and time.
 */
static bool
ids_is_same_time(const char *printed, const char *text)
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
 * Return true for the base types of core that cut or round what they are given,
 * or leave out some of it, and for types with such a part.
 */
static bool
ids_type_loses_text(Oid type)
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
		return ids_type_loses_text(getBaseType(get_element_type(type)));
	if (type_is_multirange(type))
		type = get_multirange_range(type);
	if (type_is_range(type))
		return ids_type_loses_text(getBaseType(get_range_subtype(type)));
	if (!type_is_rowtype(type) || type == RECORDOID)
		return false;
	tupdesc = lookup_rowtype_tupdesc(type, -1);
	for (int i = 0; i < tupdesc->natts && !loses; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		loses = !att->attisdropped &&
				ids_type_loses_text(getBaseType(att->atttypid));
	}
	ReleaseTupleDesc(tupdesc);
	return loses;
}

/*
 * Return true if a value of the base type that was made of the text keeps all
 * that the text says.  The text of a date or time must also be read the same in
 * every session, whatever its settings are.
 */
bool
ids_is_exact(Oid type, Datum value, const char *text)
{
	const char *printed;

	if (ids_type_keeps_text(type) || !ids_type_loses_text(type))
		return true;
	printed = values_print_exactly(type, value);
	if (strcmp(printed, text) == 0)
		return true;
	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													ids_number_of(printed),
													ids_number_of(text)));
		case CASHOID:
			return ids_is_decimal(text) &&
				   DatumGetBool(DirectFunctionCall2(
					   numeric_eq, DirectFunctionCall1(cash_numeric, value),
					   ids_number_of(text)));
		case TIMEOID:
		case TIMESTAMPOID:
			return ids_is_same_time(printed, text);
		case INTERVALOID:
			/* Only fractions are rounded. */
			return strchr(text, '.') == NULL;
		default:
			return false;
	}
}

/*
 * Make an id of its text form.  An id that the type cuts or rounds could name
 * another account, so it is an error.
 */
static Datum
ids_from_text(Oid type, char *text)
{
	Oid function;
	Oid io_param;
	Datum id;

	getTypeInputInfo(type, &function, &io_param);
	id = OidInputFunctionCall(function, text, io_param, -1);
	/*
	 * A timestamptz rounds off less than a microsecond, and the text of one
	 * depends on the time zone, so it would be refused needlessly.
	 */
	if (type != TIMESTAMPTZOID && !ids_is_exact(type, id, text))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("id \"%s\" cannot be held exactly in type %s", text,
						format_type_be(type)),
				 errdetail("It would be read as \"%s\".",
						   values_print_exactly(type, id))));
	return id;
}

/* Return true for the types of integers, which tables that refer to ids may mix. */
bool
ids_is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/*
 * An id as a value of the id column's base type: as it is if the types agree,
 * else by its text form, so that ids from drivers that send text work.
 */
Datum
ids_convert(Oid from, Oid to, Datum id)
{
	if (from == to || IsBinaryCoercible(from, to))
		return id;
	/* The text of a character(n) does not have the blanks at its end. */
	if (from == BPCHAROID)
		id = DirectFunctionCall1(rtrim1, id);
	if (from == TEXTOID || from == BPCHAROID)
		id = CStringGetDatum(TextDatumGetCString(id));
	/* What drivers send most need not go by way of text. */
	else if (from == INT4OID && to == INT8OID)
		return Int64GetDatum(DatumGetInt32(id));
	else
		id = CStringGetDatum(values_print_exactly(from, id));
	return ids_from_text(to, DatumGetCString(id));
}

/* An id's text form, for messages. */
char *
ids_print(const Target *target, AttrNumber attnum, Datum id)
{
	return values_print(target_column(target, attnum)->atttypid, id);
}

/* Report that several rows have an id that should name one. */
void
ids_error_not_unique(const Target *target, AttrNumber attnum, Datum id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" has the id \"%s\"",
					RelationGetRelationName(target_relation(target)),
					ids_print(target, attnum, id))));
}
