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
	bool bounded; /* can a sum be out of range at all? */
} MoneyColumn;

extern bool money_column(const Target *target, AttrNumber attnum,
						 MoneyColumn *column);
extern Datum money_to_column(const MoneyColumn *column, Numeric number);
extern Numeric money_from_column(const MoneyColumn *column, Datum value);
extern bool money_is_exact(const MoneyColumn *column, Numeric number);
extern Numeric money_ceiling(const MoneyColumn *column, Numeric number);

extern int money_compare(Numeric a, Numeric b);
extern bool money_is_finite(Numeric a);
extern bool money_is_positive(Numeric a);
extern Numeric money_copy(Numeric a);
extern Numeric money_plus(Numeric a, Numeric b);
extern Numeric money_minus(Numeric a, Numeric b);
extern Numeric money_negate(Numeric a);
extern char *money_print(Numeric a);

#endif /* RACEFREE_MONEY_H */
