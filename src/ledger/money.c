/*-------------------------------------------------------------------------
 *
 * money.c
 *	  Columns that hold amounts of money, and arithmetic that is exact.
 *
 * Numbers are numeric, in which every supported type is exact; the arithmetic
 * is core's own.  Results are in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "ledger/money.h"

/* Compare two numbers as qsort() does; NaN is above all others. */
int
money_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/* The greater of two numbers, of which either may be NULL. */
Numeric
money_greatest(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return money_compare(a, b) >= 0 ? a : b;
}

/* The less of two numbers, of which either may be NULL. */
Numeric
money_least(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return money_compare(a, b) <= 0 ? a : b;
}

/* Return true unless it is NaN or infinite. */
bool
money_is_finite(Numeric a)
{
	return !numeric_is_nan(a) && !numeric_is_inf(a);
}

/* Return true for a finite amount greater than zero. */
bool
money_is_positive(Numeric a)
{
	return money_is_finite(a) && money_compare(a, int64_to_numeric(0)) > 0;
}

Numeric
money_copy(Numeric a)
{
	return DatumGetNumericCopy(NumericGetDatum(a));
}

Numeric
money_plus(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

Numeric
money_minus(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

Numeric
money_negate(Numeric a)
{
	return DatumGetNumeric(
		DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}

/* A constant as a number. */
static Numeric
money_parse(const char *text)
{
	return DatumGetNumeric(
		DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

char *
money_print(Numeric a)
{
	return DatumGetCString(
		DirectFunctionCall1(numeric_out, NumericGetDatum(a)));
}

/* A number as the column's type, rounded if that cannot hold it. */
Datum
money_to_column(const MoneyColumn *column, Numeric number)
{
	Datum n = NumericGetDatum(number);

	switch (column->type)
	{
		case INT2OID:
			return DirectFunctionCall1(numeric_int2, n);
		case INT4OID:
			return DirectFunctionCall1(numeric_int4, n);
		case INT8OID:
			return DirectFunctionCall1(numeric_int8, n);
		case CASHOID:
			return DirectFunctionCall1(numeric_cash, n);
		default:
			return DirectFunctionCall2(numeric, n,
									   Int32GetDatum(column->typmod));
	}
}

/* Return true if a type, no domain, holds money exactly. */
bool
money_is_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID ||
		   type == CASHOID || type == NUMERICOID;
}

/* A value of such a type as a number. */
Numeric
money_read(Oid type, Datum value)
{
	switch (type)
	{
		case INT2OID:
			return int64_to_numeric(DatumGetInt16(value));
		case INT4OID:
			return int64_to_numeric(DatumGetInt32(value));
		case INT8OID:
			return int64_to_numeric(DatumGetInt64(value));
		case CASHOID:
			return DatumGetNumeric(DirectFunctionCall1(cash_numeric, value));
		default:
			Assert(type == NUMERICOID);
			return DatumGetNumeric(value);
	}
}

/* A value of the column's type as a number. */
Numeric
money_from_column(const MoneyColumn *column, Datum value)
{
	return money_read(column->type, value);
}

/* The scale of numeric(p, s), as core packs it. */
static int
money_scale(int32 typmod)
{
	return (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
}

/*
 * The largest numeric(p, s): p nines.  The last one is kept, since most
 * sessions meet no other.
 */
static Numeric
money_highest_numeric(int32 typmod)
{
	static int32 kept_typmod = -1;
	static Numeric kept = NULL;
	int precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	StringInfoData digits;
	Numeric highest;

	/* Return a copy, since a nested call may replace the one that is kept. */
	if (typmod == kept_typmod)
		return DatumGetNumericCopy(NumericGetDatum(kept));

	initStringInfo(&digits);
	for (int i = 0; i < precision; i++)
		appendStringInfoChar(&digits, '9');
	appendStringInfo(&digits, "e%d", -money_scale(typmod));
	highest = money_parse(digits.data);

	kept_typmod = -1;
	if (kept != NULL)
		pfree(kept);
	kept = NULL;
	kept = MemoryContextAlloc(TopMemoryContext, VARSIZE(highest));
	memcpy(kept, highest, VARSIZE(highest));
	kept_typmod = typmod;
	return highest;
}

/*
 * The largest number that the column can hold.  For numeric without precision
 * there is no limit that a sum of balances could meet, and any number that is
 * large will do.
 */
static Numeric
money_highest(const MoneyColumn *column)
{
	switch (column->type)
	{
		case INT2OID:
			return int64_to_numeric(PG_INT16_MAX);
		case INT4OID:
			return int64_to_numeric(PG_INT32_MAX);
		case INT8OID:
			return int64_to_numeric(PG_INT64_MAX);
		case CASHOID:
			return DatumGetNumeric(
				DirectFunctionCall1(cash_numeric, Int64GetDatum(PG_INT64_MAX)));
		default:
			return column->bounded ? money_highest_numeric(column->typmod)
								   : money_parse("1e131071");
	}
}

/* The smallest number that it can hold: integers reach one further down. */
static Numeric
money_lowest(const MoneyColumn *column)
{
	switch (column->type)
	{
		case INT2OID:
			return int64_to_numeric(PG_INT16_MIN);
		case INT4OID:
			return int64_to_numeric(PG_INT32_MIN);
		case INT8OID:
			return int64_to_numeric(PG_INT64_MIN);
		case CASHOID:
			return DatumGetNumeric(
				DirectFunctionCall1(cash_numeric, Int64GetDatum(PG_INT64_MIN)));
		default:
			return money_negate(column->highest);
	}
}

/*
 * Describe a column.  False if its type cannot hold money exactly.
 */
bool
money_column(const Target *target, AttrNumber attnum, MoneyColumn *column)
{
	Form_pg_attribute att = target_column(target, attnum);

	column->attnum = attnum;
	column->typmod = att->atttypmod;
	column->type = getBaseTypeAndTypmod(att->atttypid, &column->typmod);
	if (!money_is_type(column->type))
		return false;
	column->bounded = column->type != NUMERICOID ||
					  column->typmod >= (int32) VARHDRSZ;
	column->highest = money_highest(column);
	column->lowest = money_lowest(column);
	return true;
}

/* Return true if the column can hold a finite number without rounding it. */
bool
money_is_exact(const MoneyColumn *column, Numeric number)
{
	Datum rounded;

	Assert(money_is_finite(number));
	if (!column->bounded)
		return true;
	if (money_compare(number, column->highest) > 0 ||
		money_compare(number, column->lowest) < 0)
		return false;
	rounded = money_to_column(column, number);
	return money_compare(money_from_column(column, rounded), number) == 0;
}

/* The smallest step between two numbers that a bounded column can hold. */
static Numeric
money_step(const MoneyColumn *column)
{
	switch (column->type)
	{
		case CASHOID:
			return DatumGetNumeric(
				DirectFunctionCall1(cash_numeric, Int64GetDatum(1)));
		case NUMERICOID:
			return money_parse(psprintf("1e%d", -money_scale(column->typmod)));
		default:
			return int64_to_numeric(1);
	}
}

/*
 * The smallest number that the column can hold and that is not less than this
 * one, which is within its range.
 */
Numeric
money_ceiling(const MoneyColumn *column, Numeric number)
{
	Numeric rounded;

	Assert(money_compare(number, column->lowest) >= 0 &&
		   money_compare(number, column->highest) <= 0);
	if (!column->bounded)
		return number;
	rounded = money_from_column(column, money_to_column(column, number));
	return money_compare(rounded, number) < 0
			   ? money_plus(rounded, money_step(column))
			   : rounded;
}
