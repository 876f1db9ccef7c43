/*-------------------------------------------------------------------------
 *
 * writes.h
 *	  What racefree is writing just now, for the guards that let nothing else
 *	  pass.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_WRITES_H
#define RACEFREE_WRITES_H

#include "access/htup.h"

#include "table/target.h"

/* A row that a statement has written, as a guard sees it after the write. */
typedef struct WrittenRow
{
	Relation rel;	   /* the table that holds it: perhaps a partition */
	HeapTuple before;  /* NULL for an INSERT */
	HeapTuple after;   /* NULL for a DELETE */
	AttrNumber column; /* of "rel": the guarded one that has changed */
} WrittenRow;

/* Return true if the row is one that the running statement was to write. */
typedef bool (*WritesExpected)(const WrittenRow *row, void *arg);

/* The statement that runs; on the stack of who runs it. */
typedef struct Writes
{
	struct Writes *outer; /* that of a call further up the stack, or NULL */
	const Target *table;
	CommandId command;
	WritesExpected expected;
	void *arg;
} Writes;

/* The one row that was counted as an expected one. */
typedef struct WrittenOnce
{
	Oid relid; /* invalid until there is one */
	ItemPointerData place;
} WrittenOnce;

/* For who writes */

/*
 * Run the statement, which calls one verb, and expect meanwhile what it writes.
 * An error ends the expectation, too.
 */
#define WRITES_EXPECT(table, expected, arg, statement)      \
	do                                                      \
	{                                                       \
		Writes writes_;                                     \
                                                            \
		writes_begin(&writes_, (table), (expected), (arg)); \
		PG_TRY();                                           \
		{                                                   \
			statement;                                      \
		}                                                   \
		PG_FINALLY();                                       \
		{                                                   \
			writes_end(&writes_);                           \
		}                                                   \
		PG_END_TRY();                                       \
	} while (0)

/* For WRITES_EXPECT() */
extern void writes_begin(Writes *writes, const Target *table,
						 WritesExpected expected, void *arg);
extern void writes_end(const Writes *writes);
/* Count the row as the expected one; false if another row was it. */
extern bool writes_count(WrittenOnce *once, const WrittenRow *row);
/* A column of the row, old or new, by its number in the table. */
extern Datum writes_column(const Target *table, const WrittenRow *row,
						   HeapTuple version, AttrNumber attnum, bool *isnull);
/* Return true if that column of the table is the guarded one that changed. */
extern bool writes_is_column(const Target *table, const WrittenRow *row,
							 AttrNumber attnum);

/* For guards */

/* Who has written a row. */
typedef enum WrittenBy
{
	WRITTEN_BY_OTHERS,
	WRITTEN_BY_US, /* what was expected */
	WRITTEN_OVER   /* racefree has, but something else is stored */
} WrittenBy;

/* Tell whether racefree is writing the row just now. */
extern WrittenBy writes_judge(const WrittenRow *row);

#endif /* RACEFREE_WRITES_H */
