/*-------------------------------------------------------------------------
 *
 * statements.h
 *	  The text of the statements that racefree runs.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_STATEMENTS_H
#define RACEFREE_STATEMENTS_H

#include "lib/stringinfo.h"
#include "nodes/lockoptions.h"

#include "run/run.h"
#include "table/values.h"

typedef enum StatementKind
{
	STMT_LOOK,			  /* SELECT by key */
	STMT_LOCK,			  /* SELECT by key FOR NO KEY UPDATE */
	STMT_LOCK_PAIR,		  /* the same for two ids, in order */
	STMT_EXISTS,		  /* SELECT no column by key */
	STMT_INSERT,		  /* INSERT, conflicts are errors */
	STMT_INSERT_OR_YIELD, /* INSERT ON CONFLICT DO NOTHING */
	STMT_UPDATE,		  /* UPDATE by key */
	STMT_ADD,			  /* UPDATE by key, adding to a column */
	STMT_ADD_ABOVE,		  /* same, if the old value is not below a bound */
	STMT_ADD_BELOW,		  /* same, if the old value is not above a bound */
	STMT_LOCK_IDS,		  /* SELECT by ids FOR some lock, in order */
	STMT_SUM,			  /* SELECT the sum of a column by key */
	STMT_SCAN,			  /* SELECT, in the order of the key */
	STMT_QUERY,			  /* SELECT that another room writes; see run.h */

	/* Statements over many rows of values; see rows.h. */
	STMT_BATCH_LOOK,			/* SELECT by key */
	STMT_BATCH_PROBE,			/* the same, by the index on its column */
	STMT_BATCH_LOCK,			/* SELECT by key FOR NO KEY UPDATE, in order */
	STMT_BATCH_LOCK_KEYS,		/* the same, in the order of the keys */
	STMT_BATCH_LOCK_IDS,		/* the same, where the key is an id */
	STMT_BATCH_INSERT,			/* INSERT, conflicts are errors */
	STMT_BATCH_INSERT_OR_YIELD, /* INSERT ON CONFLICT DO NOTHING */
	STMT_BATCH_UPDATE			/* UPDATE by key */
} StatementKind;

/* Which statement is wanted; what a kind does not need is NULL or zero. */
typedef struct StatementSpec
{
	StatementKind kind;
	const ColumnValues *key;
	const ColumnValues *data;
	LockClauseStrength strength; /* STMT_LOCK_IDS */
	LockWaitPolicy wait;		 /* STMT_LOCK_IDS */
	const bool *partial;		 /* STMT_BATCH_UPDATE: not given everywhere? */
	int size;					 /* STMT_BATCH_*: order of magnitude */
	const ColumnValues *result;	 /* columns to give, instead of all */
	const RunQuery *query;		 /* STMT_QUERY */
	const AttrNumber *columns;	 /* STMT_QUERY: those that it can name */
	bool by_index; /* rather not read the whole table, whatever it costs */
} StatementSpec;

/* A statement's text, and the types of its parameters. */
typedef struct Statement
{
	const Target *target;
	StringInfoData text;
	int nparams;
	Oid *types;
} Statement;

extern void statement_build(Statement *stmt, const Target *target,
							const StatementSpec *spec);

/* For rooms that write a query of their own */

/* The table's name, qualified and quoted. */
extern void statement_append_table(Statement *stmt);
/* A column's name, quoted. */
extern const char *statement_column(const Statement *stmt, AttrNumber attnum);
/* Declare the next parameter, and return its number. */
extern int statement_add_param(Statement *stmt, Oid type);
/* column = value, by the column's own equality and collation. */
extern void statement_append_equality(Statement *stmt, AttrNumber attnum,
									  const char *column, const char *value,
									  Oid value_type);

#endif /* RACEFREE_STATEMENTS_H */
