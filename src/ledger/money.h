/*-------------------------------------------------------------------------
 *
 * money.h
 *	  Columns that hold amounts of money, and arithmetic that is exact.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_MONEY_H
#define RACEFREE_MONEY_H

#include "utils/numeric.h"

#include "table/target.h"

/* A column of an exact type, and what it can hold. */
typedef struct MoneyColumn
{
	AttrNumber attnum;
	Oid type; /* of a domain: the base type */
	int32 typmod;
	Numeric lowest;
	Numeric highest;
	bool bounded; /* a sum of values can be out of its range */
} MoneyColumn;

/* Columns */

/* Describe a column; false if its type cannot hold money exactly. */
extern bool money_column(const Target *target, AttrNumber attnum,
						 MoneyColumn *column);
/* Return true if a type, no domain, holds money exactly. */
extern bool money_is_type(Oid type);
/* A value of such a type as a number; it may point into the value. */
extern Numeric money_read(Oid type, Datum value);
/* A number as a value of the column, rounded if it cannot hold it. */
extern Datum money_to_column(const MoneyColumn *column, Numeric number);
/* A value of the column as a number; it may point into the value. */
extern Numeric money_from_column(const MoneyColumn *column, Datum value);
/* Return true if the column can hold a finite number without rounding it. */
extern bool money_is_exact(const MoneyColumn *column, Numeric number);
/* The smallest number that is not less and that the column can hold. */
extern Numeric money_ceiling(const MoneyColumn *column, Numeric number);

/* Numbers */

/* Compare two numbers as qsort() does; NaN is above all others. */
extern int money_compare(Numeric a, Numeric b);
/* The greater, or the less, of two numbers; a NULL does not count. */
extern Numeric money_greatest(Numeric a, Numeric b);
extern Numeric money_least(Numeric a, Numeric b);
/* Return true unless it is NaN or infinite. */
extern bool money_is_finite(Numeric a);
/* Return true for a finite amount greater than zero. */
extern bool money_is_positive(Numeric a);
/* A copy in the current memory context. */
extern Numeric money_copy(Numeric a);
extern Numeric money_plus(Numeric a, Numeric b);
extern Numeric money_minus(Numeric a, Numeric b);
extern Numeric money_negate(Numeric a);
extern char *money_print(Numeric a);

#endif /* RACEFREE_MONEY_H */
