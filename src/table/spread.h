/*-------------------------------------------------------------------------
 *
 * spread.h
 *	  What Citus makes of a table: where its rows are.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_SPREAD_H
#define RACEFREE_SPREAD_H

#include "access/attnum.h"
#include "utils/rel.h"

/* Where the rows of a table are that Citus manages. */
typedef enum SpreadKind
{
	SPREAD_NOT,		  /* here: Citus does not manage the table */
	SPREAD_LOCAL,	  /* on the coordinator: a local table known to all nodes */
	SPREAD_SINGLE,	  /* on one node, with those of the tables beside it */
	SPREAD_REFERENCE, /* on all nodes, the same everywhere */
	SPREAD_BY_COLUMN  /* on several nodes, by the value of a column */
} SpreadKind;

typedef struct Spread
{
	SpreadKind kind;
	AttrNumber column; /* of SPREAD_BY_COLUMN */
	int32 together;	   /* tables with the same number are beside each other */
} Spread;

/* What Citus makes of an open table. */
extern Spread spread_of(Relation rel);
/* The same for the table that an open one is a shard of. */
extern Spread spread_of_shard(Relation rel);
/* Return true if this session has seen that the database has Citus. */
extern bool spread_is_known(void);
/* Return true on the node that has the rows of SPREAD_LOCAL. */
extern bool spread_on_coordinator(void);

#endif /* RACEFREE_SPREAD_H */
