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

#include "args.h"

typedef enum StatementKind
{
	STMT_LOOK,			  /* SELECT by key */
	STMT_LOCK,			  /* SELECT by key FOR NO KEY UPDATE */
	STMT_EXISTS,		  /* SELECT no column by key */
	STMT_INSERT,		  /* INSERT, conflicts are errors */
	STMT_INSERT_OR_YIELD, /* INSERT ON CONFLICT DO NOTHING */
	STMT_UPDATE,		  /* UPDATE by key */
	STMT_ADD,			  /* UPDATE by key, adding to a column */
	STMT_ADD_ABOVE,		  /* same, if the old value is not below a bound */
	STMT_ADD_BELOW,		  /* same, if the old value is not above a bound */
	STMT_LOCK_IDS,		  /* SELECT by ids FOR some lock, in id order */

	/* Statements over the groups of a batch; see batch.h. */
	STMT_BATCH_LOOK,			/* SELECT by key */
	STMT_BATCH_LOCK,			/* SELECT by key FOR NO KEY UPDATE, in order */
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

#endif /* RACEFREE_STATEMENTS_H */
