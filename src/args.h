/*-------------------------------------------------------------------------
 *
 * args.h
 *	  What the caller gave: JSON objects whose fields are columns.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_ARGS_H
#define RACEFREE_ARGS_H

#include "utils/jsonb.h"

#include "compat.h"
#include "target.h"

/* Columns of a table in ascending order, with a value for each. */
typedef struct ColumnValues
{
	int ncolumns;
	AttrNumber *attnums;
	Datum *values; /* set by args_convert() */
	bool *nulls;   /* set by args_convert() */
} ColumnValues;

extern ColumnValues *args_make_columns(int ncolumns);
extern ColumnValues *args_columns(const Target *target, Jsonb *object,
								  const char *argument);
extern void args_read_row(const Target *target, HeapTupleHeader row, int n,
						  const AttrNumber *attnums, Datum *values,
						  bool *nulls);
extern bool args_row_has_values(const Target *target, Datum row,
								const ColumnValues *columns);
extern void args_convert(const Target *target, Jsonb *object,
						 ColumnValues *columns);
extern void args_check_disjoint(const Target *target, const ColumnValues *key,
								const ColumnValues *other,
								const char *argument);
extern ColumnValues *args_merge(const ColumnValues *a, const ColumnValues *b);
extern ColumnValues *args_select(const ColumnValues *from,
								 const ColumnValues *columns);
extern AttrNumber args_find_difference(const Target *target,
									   const ColumnValues *a,
									   const ColumnValues *b);
extern ColumnValues *args_from_row(const Target *target,
								   const ColumnValues *columns, HeapTuple tuple,
								   TupleDesc tupdesc);
extern void args_sort_attnums(AttrNumber *attnums, int n);
extern void args_sort_columns(ColumnValues *columns);
extern const char *args_describe(const Target *target,
								 const ColumnValues *columns);

extern bool args_keeps_text(Oid type);
extern bool args_says_the_same(Oid type, Datum value, const char *text);
extern Datum args_convert_id(Oid from, Oid to, Datum id);
extern char *args_print(Oid type, Datum value);
extern char *args_print_exactly(Oid type, Datum value);
extern char *args_print_id(const Target *target, AttrNumber attnum, Datum id);
pg_noreturn extern void args_error_id_not_unique(const Target *target,
												 AttrNumber attnum, Datum id);

extern int args_choose(const char *argument, const char *word,
					   const char *const *words, int nwords);

#endif /* RACEFREE_ARGS_H */
