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
	bool one_copy;	   /* each row is on one node, by a hash of its column */
} Spread;

/* A shard of a table, which has the rows whose hash is not below "from". */
typedef struct Shard
{
	int32 from;
	int64 number; /* by which all nodes know it */
} Shard;

/* What Citus makes of an open table. */
extern Spread spread_of(Relation rel);
/* The same for the table that an open one is a shard of. */
extern Spread spread_of_shard(Relation rel);
/* Return true if this session has seen that the database has Citus. */
extern bool spread_is_known(void);
/* Return true on the node that has the rows of SPREAD_LOCAL. */
extern bool spread_on_coordinator(void);
/* The number of this node, -1 without Citus. */
extern int32 spread_this_node(void);
/* The shards of a table, in the order of their hashes. */
extern Shard *spread_shards(Oid relid, int *n);
/* Return true if the shard is on the node with that number. */
extern bool spread_shard_is_on(int64 shard, int32 node);
/* Keep a shard of the table where it is until the transaction ends. */
extern void spread_pin_shard(Relation rel, int64 shard);

#endif /* RACEFREE_SPREAD_H */
