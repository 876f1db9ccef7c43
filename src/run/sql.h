/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  The pieces that the text of a statement is put together from.
 *
 * For this storey, and for rooms above that write a query of their own, which
 * run_query() runs.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_SQL_H
#define RACEFREE_SQL_H

#include "lib/stringinfo.h"

#include "table/values.h"

/* A statement's text, and the types of its parameters. */
typedef struct Statement
{
	const Target *target;
	StringInfoData text;
	int nparams;
	int max_params;
	Oid *types;
} Statement;

/*
 * A SELECT that another room writes.  Its plan is kept like those of the verbs'
 * statements; it is known by its address, so it is a static constant.
 */
typedef struct SqlQuery
{
	void (*write)(Statement *stmt, const AttrNumber *columns);
	int ncolumns; /* of the table that the text can name */
	int nparams;  /* that the text declares */
} SqlQuery;

/* The statement */

/* Begin the text of a statement with that many parameters at most. */
extern void sql_begin(Statement *stmt, const Target *target, int max_params);
/* Append text as it is. */
extern void sql_append(Statement *stmt, const char *text);
/* Declare the next parameter, of the type's base type; its text, as in $1. */
extern const char *sql_param(Statement *stmt, Oid type);

/* Names */

/* Append the table's name, qualified and quoted. */
extern void sql_append_table(Statement *stmt);
/* A column's name, quoted. */
extern const char *sql_column(const Statement *stmt, AttrNumber attnum);
/* Append the name of a function of this extension, qualified and quoted. */
extern void sql_append_function(Statement *stmt, const char *name);
/* Append columns, each with the prefix; all live ones if "columns" is NULL. */
extern void sql_append_columns(Statement *stmt, const ColumnValues *columns,
							   const char *prefix);

/* Expressions; "column" and "value" are texts */

/* Append column = value, by the column's own equality and collation. */
extern void sql_append_equality(Statement *stmt, AttrNumber attnum,
								const char *column, const char *value,
								Oid value_type);
/* The same in a form of which the planner makes no use of a hash. */
extern void sql_append_sure_equality(Statement *stmt, AttrNumber attnum,
									 const char *column, const char *value,
									 Oid value_type);
/* Append column = ANY (array). */
extern void sql_append_any(Statement *stmt, AttrNumber attnum,
						   const char *column, const char *array);
/* Append a test for NULL. */
extern void sql_append_is_null(Statement *stmt, const char *value);
/* Append a column, by the type's own order, to ORDER BY. */
extern void sql_append_order(Statement *stmt, AttrNumber attnum,
							 const char *prefix);

#endif /* RACEFREE_SQL_H */
