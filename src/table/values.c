/*-------------------------------------------------------------------------
 *
 * values.c
 *	  Columns of a table with a value for each: a row's key, or what is to be
 *	  stored in it.
 *
 * Columns are in ascending order, so that two lists can be merged, and that the
 * same columns always make the same statement.  Everything is allocated in the
 * current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/settings.h"
#include "table/columns.h"
#include "table/ids.h"
#include "table/tuples.h"
#include "table/values.h"

#ifdef USE_ASSERT_CHECKING
/* Return true if the columns are in ascending order, each of them once. */
static bool
values_are_sorted(const ColumnValues *columns)
{
	for (int i = 1; i < columns->ncolumns; i++)
	{
		if (columns->attnums[i - 1] >= columns->attnums[i])
			return false;
	}
	return true;
}
#endif

/*
 * The first column that a sorted list has more than once, or InvalidAttrNumber.
 */
AttrNumber
values_find_duplicate(const ColumnValues *columns)
{
	for (int i = 1; i < columns->ncolumns; i++)
	{
		Assert(columns->attnums[i - 1] <= columns->attnums[i]);
		if (columns->attnums[i - 1] == columns->attnums[i])
			return columns->attnums[i];
	}
	return InvalidAttrNumber;
}

/* The place of a column in the list, or -1. */
int
values_find_column(const ColumnValues *columns, AttrNumber attnum)
{
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (columns->attnums[i] == attnum)
			return i;
	}
	return -1;
}

/*
 * Columns to be filled in by values_set().  The struct and its arrays are one
 * chunk of memory: the arrays are in the order of their alignment.
 */
ColumnValues *
values_make(int ncolumns)
{
	ColumnValues *columns;
	char *place;

	Assert(ncolumns >= 0);
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

/* The table's columns whose flags are set, by number from 1, without values. */
ColumnValues *
values_make_flagged(const Target *target, const bool *flags)
{
	int natts = RelationGetNumberOfAttributes(target_relation(target));
	ColumnValues *columns = values_make(natts);
	int n = 0;

	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
	{
		if (flags[attnum])
			values_set(columns, n++, attnum, (Datum) 0, true);
	}
	columns->ncolumns = n;
	return columns;
}

/* Set column "i" of what values_make() made. */
void
values_set(ColumnValues *columns, int i, AttrNumber attnum, Datum value,
		   bool isnull)
{
	Assert(i >= 0);
	Assert(attnum > 0);
	unconstify(AttrNumber *, columns->attnums)[i] = attnum;
	columns->values[i] = value;
	columns->nulls[i] = isnull;
}

/* One column and its value. */
ColumnValues *
values_one(AttrNumber attnum, Datum value, bool isnull)
{
	ColumnValues *one = values_make(1);

	values_set(one, 0, attnum, value, isnull);
	return one;
}

/* Put columns, with their values, into ascending order. */
void
values_sort(ColumnValues *columns)
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
			values_set(columns, j, columns->attnums[j - 1],
					   columns->values[j - 1], columns->nulls[j - 1]);
		}
		values_set(columns, j, attnum, value, isnull);
	}
}

/*
 * The values that a row of the table, a composite datum, has in these columns.
 * They point into the row.
 */
void
values_read_row(const Target *target, HeapTupleHeader row, int n,
				const AttrNumber *attnums, Datum *values, bool *nulls)
{
	TupleDesc tupdesc = RelationGetDescr(target_relation(target));
	HeapTupleData tuple;
	Datum *row_values;
	bool *row_nulls;

	/* A composite datum is a tuple without a place in the table. */
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	/* For a single column, do not deform those behind it. */
	if (n <= 1)
	{
		if (n == 1)
			values[0] = heap_getattr(&tuple, attnums[0], tupdesc, &nulls[0]);
		return;
	}

	row_values = palloc(tupdesc->natts * sizeof(Datum));
	row_nulls = palloc(tupdesc->natts * sizeof(bool));
	heap_deform_tuple(&tuple, tupdesc, row_values, row_nulls);
	for (int i = 0; i < n; i++)
	{
		Assert(attnums[i] >= 1 && attnums[i] <= tupdesc->natts);
		values[i] = row_values[attnums[i] - 1];
		nulls[i] = row_nulls[attnums[i] - 1];
	}
	pfree(row_nulls);
	pfree(row_values);
}

/*
 * All columns of two lists, in ascending order.  A column that both have gets
 * the value of the second list.
 */
ColumnValues *
values_merge(const ColumnValues *a, const ColumnValues *b)
{
	ColumnValues *merged = values_make(a->ncolumns + b->ncolumns);
	int n = 0;
	int i = 0;
	int j = 0;

	Assert(values_are_sorted(a) && values_are_sorted(b));
	while (i < a->ncolumns || j < b->ncolumns)
	{
		bool from_a = j >= b->ncolumns ||
					  (i < a->ncolumns && a->attnums[i] < b->attnums[j]);
		const ColumnValues *from = from_a ? a : b;
		int k = from_a ? i : j;

		values_set(merged, n++, from->attnums[k], from->values[k],
				   from->nulls[k]);
		/* A column of both was taken from the second list: skip the first's. */
		if (i < a->ncolumns && a->attnums[i] == from->attnums[k])
			i++;
		if (!from_a)
			j++;
	}
	merged->ncolumns = n;
	return merged;
}

/*
 * The values that a list has for the columns of another one, which it all has.
 */
ColumnValues *
values_select(const ColumnValues *from, const ColumnValues *columns)
{
	ColumnValues *result = values_make(columns->ncolumns);
	int f = 0;

	Assert(values_are_sorted(from) && values_are_sorted(columns));
	for (int i = 0; i < columns->ncolumns; i++)
	{
		while (from->attnums[f] != columns->attnums[i])
		{
			f++;
			Assert(f < from->ncolumns);
		}
		values_set(result, i, from->attnums[f], from->values[f],
				   from->nulls[f]);
	}
	return result;
}

/*
 * The first column in which two keys of the same columns differ, or
 * InvalidAttrNumber.  Values are compared by the column's equality under its
 * collation; NULL equals NULL.
 */
AttrNumber
values_find_difference(const Target *target, const ColumnValues *a,
					   const ColumnValues *b)
{
	Assert(a->ncolumns == b->ncolumns);
	for (int i = 0; i < a->ncolumns; i++)
	{
		AttrNumber attnum = a->attnums[i];
		TypeCacheEntry *type = columns_type(target, attnum,
											TYPECACHE_EQ_OPR_FINFO);

		Assert(attnum == b->attnums[i]);
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

/*
 * The values that a row of a statement's result has in these columns.  They
 * point into the row.
 */
ColumnValues *
values_from_row(const Target *target, const ColumnValues *columns,
				HeapTuple tuple, TupleDesc tupdesc)
{
	ColumnValues *result = values_make(columns->ncolumns);

	for (int i = 0; i < columns->ncolumns; i++)
	{
		bool isnull;
		Datum value = tuples_value(target, tuple, tupdesc, columns->attnums[i],
								   &isnull);

		values_set(result, i, columns->attnums[i], value, isnull);
	}
	return result;
}

/*
 * Return true if the row of the table has these very values.  They are compared
 * bit by bit, since not every type has an equality.
 */
bool
values_match_row(const Target *target, Datum row, const ColumnValues *columns)
{
	int n = columns->ncolumns;
	ColumnValues *found = values_make(n);

	values_read_row(target, DatumGetHeapTupleHeader(row), n, columns->attnums,
					found->values, found->nulls);
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = target_column(target, columns->attnums[i]);

		if (found->nulls[i] != columns->nulls[i] ||
			(!found->nulls[i] &&
			 !datum_image_eq(found->values[i], columns->values[i],
							 att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/* A value's text form, for messages. */
char *
values_print(Oid type, Datum value)
{
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

/*
 * A value's text form with all its digits, and with dates that are read the
 * same in every session, whatever its settings are.
 */
char *
values_print_exactly(Oid type, Datum value)
{
	char *text;
	int level;

	if (ids_type_keeps_text(type))
		return values_print(type, value);
	level = settings_begin();
	settings_set("datestyle", "ISO");
	settings_set("intervalstyle", "postgres");
	settings_set("extra_float_digits", "1");
	text = values_print(type, value);
	settings_end(level);
	return text;
}

/*
 * The columns and their values for an error's detail, as core writes keys:
 * (a, b)=(1, null).  The caller of the SQL function gave the values itself, so
 * no privilege is needed to show them.
 */
const char *
values_describe(const Target *target, const ColumnValues *columns)
{
	StringInfoData names;
	StringInfoData values;

	/* The empty key names no column: show it as it was given. */
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
			value = values_print(att->atttypid, columns->values[i]);
		appendStringInfo(&names, "%s%s", separator, NameStr(att->attname));
		appendStringInfo(&values, "%s%s", separator, value);
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}
