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

#include "target.h"

/* Columns of a table in ascending order, with a value for each. */
typedef struct ColumnValues
{
	int ncolumns;
	AttrNumber *attnums;
	Datum *values; /* set by args_convert() */
	bool *nulls;   /* set by args_convert() */
} ColumnValues;

extern ColumnValues *args_columns(const Target *target, Jsonb *object,
								  const char *argument);
extern void args_convert(const Target *target, Jsonb *object,
						 ColumnValues *columns);
extern void args_check_disjoint(const Target *target, const ColumnValues *key,
								const ColumnValues *other,
								const char *argument);
extern ColumnValues *args_merge(const ColumnValues *a, const ColumnValues *b);
extern char *args_describe(const Target *target, const ColumnValues *columns);

#endif /* RACEFREE_ARGS_H */
