/*-------------------------------------------------------------------------
 *
 * statements.h
 *	  The kinds of statements that the verbs run, and their texts.
 *
 * For this storey only.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_STATEMENTS_H
#define RACEFREE_STATEMENTS_H

#include "nodes/lockoptions.h"
#include "nodes/nodes.h"

#include "run/rows_private.h"
#include "run/sql.h"

typedef enum StatementKind
{
	STMT_LOOK,			  /* SELECT by key */
	STMT_LOCK,			  /* SELECT by key FOR NO KEY UPDATE */
	STMT_LOCK_PAIR,		  /* the same for two ids, in order */
	STMT_EXISTS,		  /* SELECT no column by key */
	STMT_INSERT,		  /* INSERT, conflicts are errors */
	STMT_INSERT_OR_YIELD, /* INSERT ON CONFLICT DO NOTHING */
	STMT_UPDATE,		  /* UPDATE by key */
	STMT_DELETE,		  /* DELETE by key */
	STMT_ADD,			  /* UPDATE by key, adding to a column */
	STMT_ADD_ABOVE,		  /* same, if the old value is not below a bound */
	STMT_ADD_BELOW,		  /* same, if the old value is not above a bound */
	STMT_LOCK_IDS,		  /* SELECT by ids FOR some lock, in order */
	STMT_XMINS,			  /* SELECT xmin by ids */
	STMT_SUM,			  /* SELECT the sum of a column by key */
	STMT_SCAN,			  /* SELECT, in the order of the key */
	STMT_LOCK_KEYS,		  /* SELECT that locks keys where their shard is */
	STMT_QUERY,			  /* SELECT that another room writes; see sql.h */

	/* Statements over many rows of values; see rows.h. */
	STMT_MANY_LOOK,				 /* SELECT by key */
	STMT_MANY_COUNT,			 /* SELECT no column by key */
	STMT_MANY_PROBE,			 /* SELECT by the index on the key's column */
	STMT_MANY_LOCK,				 /* SELECT FOR NO KEY UPDATE, in order */
	STMT_MANY_LOCK_KEYS,		 /* the same, in the order of the keys */
	STMT_MANY_LOCK_IDS,			 /* the same, where the key is an id */
	STMT_MANY_INSERT,			 /* INSERT, conflicts are errors */
	STMT_MANY_INSERT_OR_YIELD,	 /* INSERT ON CONFLICT DO NOTHING */
	STMT_MANY_INSERT_OVERRIDING, /* INSERT, identity columns too */
	STMT_MANY_UPDATE,			 /* UPDATE by key */
	STMT_MANY_DELETE			 /* DELETE by key */
} StatementKind;

#define NUM_STATEMENT_KINDS (STMT_MANY_DELETE + 1)

/*
 * Which statement is wanted.  What a kind does not need is NULL or zero, but
 * for the key, which may be empty.
 */
typedef struct StatementSpec
{
	StatementKind kind;
	const ColumnValues *key;
	const ColumnValues *data;
	Datum value; /* STMT_ADD_*: the bound; STMT_LOCK_IDS, STMT_XMINS: ids;
					STMT_LOCK_KEYS: keys */
	LockClauseStrength strength; /* STMT_LOCK_IDS */
	LockWaitPolicy wait;		 /* STMT_LOCK_IDS */
	const bool *partial;		 /* STMT_MANY_UPDATE: not given by every row */
	RowsCarrier carrier;		 /* STMT_MANY_*: how rows are given */
	int size;					 /* STMT_MANY_*: order of magnitude */
	const ColumnValues *result;	 /* columns to give, instead of all */
	const SqlQuery *query;		 /* STMT_QUERY */
	const AttrNumber *columns;	 /* STMT_QUERY: those that it can name */
	bool by_index;				 /* prefer an index, whatever the costs say */
} StatementSpec;

/* The parameters of a kind of statement: these, in this order. */
#define STMT_TAKES_DATA	 0x01 /* the data */
#define STMT_TAKES_KEY	 0x02 /* the key but for NULLs */
#define STMT_TAKES_VALUE 0x04 /* the value */
#define STMT_TAKES_TURN	 0x08 /* what rows_private.h counts turns by */

/* As many rows as there are rows of values, and one. */
#define STMT_ROWS_AND_ONE (-1)

/* What a kind of statement is. */
typedef struct StatementInfo
{
	const char *name; /* for errors */
	CmdType command;
	void (*build)(Statement *stmt, const StatementSpec *spec);
	int takes;	/* STMT_TAKES_* */
	long limit; /* rows wanted at most, 0 for all */
} StatementInfo;

/* The kind's row of the table. */
extern const StatementInfo *statement_info(StatementKind kind);
/* Write the statement's text. */
extern void statement_build(Statement *stmt, const Target *target,
							const StatementSpec *spec);

#endif /* RACEFREE_STATEMENTS_H */
