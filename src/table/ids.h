/*-------------------------------------------------------------------------
 *
 * ids.h
 *	  The column that identifies a table's rows, and its values.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_IDS_H
#define RACEFREE_IDS_H

#include "utils/array.h"

#include "base/compat.h"
#include "table/target.h"

/* A column whose values identify rows, with what compares them. */
typedef struct IdColumn
{
	const Target *table;
	AttrNumber attnum;
	Oid type; /* of a domain: the base type */
	Oid collation;
	FmgrInfo *compare; /* btree comparison, of the type cache */
} IdColumn;

/* The column */

/* Resolve the column of that name, or the one that is the primary key. */
extern void ids_resolve(IdColumn *id, const Target *table, const char *name);
/* Describe a column that the caller knows already. */
extern void ids_of_column(IdColumn *id, const Target *table, AttrNumber attnum);
/* Compare two ids, as qsort() does. */
extern int ids_compare(const IdColumn *id, Datum a, Datum b);

/* Ids of the column's type as an array; there is a type of such arrays. */
extern ArrayType *ids_make_array(const IdColumn *id, Datum *ids, int nids);

/* Converting ids */

/* True for the types of integers, which tables that refer to ids may mix. */
extern bool ids_is_integer(Oid type);
/* An id of type "from" as a value of type "to". */
extern Datum ids_convert(Oid from, Oid to, Datum id);
/* True for the types that keep all that an id's text says. */
extern bool ids_type_keeps_text(Oid type);
/* True if a value that was made of a text keeps all that the text says. */
extern bool ids_is_exact(Oid type, Datum value, const char *text);

/* Messages */

/* An id's text form. */
extern char *ids_print(const Target *target, AttrNumber attnum, Datum id);
/* Report that several rows have an id that should name one. */
pg_noreturn extern void ids_error_not_unique(const Target *target,
											 AttrNumber attnum, Datum id);

#endif /* RACEFREE_IDS_H */
