/*-------------------------------------------------------------------------
 *
 * tuples.h
 *	  Rows of a statement's result, which list a table's live columns in order.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TUPLES_H
#define RACEFREE_TUPLES_H

#include "table/target.h"

/* Such a row as a row of the table: a composite datum. */
extern Datum tuples_form_row(const Target *target, HeapTuple tuple,
							 TupleDesc tupdesc);
/* The value of a column in such a row; it points into the tuple. */
extern Datum tuples_value(const Target *target, HeapTuple tuple,
						  TupleDesc tupdesc, AttrNumber attnum, bool *isnull);

#endif /* RACEFREE_TUPLES_H */
