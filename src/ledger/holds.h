/*-------------------------------------------------------------------------
 *
 * holds.h
 *	  The table of open holds, beside a journal.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_HOLDS_H
#define RACEFREE_HOLDS_H

#include "ledger/journal.h"
#include "run/run.h"

/* The columns of the table. */
typedef enum HoldsColumn
{
	HOLDS_ENTRY_ID,
	HOLDS_FROM_ID,
	HOLDS_TO_ID,
	HOLDS_AMOUNT,
	HOLDS_EXPIRES_AT
} HoldsColumn;

#define NUM_HOLDS_COLUMNS (HOLDS_EXPIRES_AT + 1)

/* A table of holds that is open.  Read-only for other rooms. */
typedef struct Holds
{
	Target *table;
	AttrNumber columns[NUM_HOLDS_COLUMNS];
	Oid types[NUM_HOLDS_COLUMNS]; /* base types */
	Oid id_type;				  /* that of the accounts' ids */
} Holds;

/* An open hold, as its row has it. */
typedef struct Hold
{
	int64 entry;		  /* by which it was booked */
	Datum ids[NUM_SIDES]; /* of the type of the accounts' ids */
	Numeric rest;		  /* what is left of it */
	bool expires;
	TimestampTz expires_at;
} Hold;

/* The table */

/*
 * Create a table of holds for a journal of that name, and return the table's
 * name, quoted and schema-qualified.
 */
extern char *holds_create(Oid schema, const char *journal, Oid owner,
						  bool unlogged, const char *id_type);
/* Open the table of that name, which a rule of the journal has. */
extern void holds_open(Holds *holds, const Journal *journal, const char *name,
					   Oid id_type, LOCKMODE lockmode);
extern void holds_close(Holds *holds);
/* Return true if it is the name of a table with its schema. */
extern bool holds_is_name(const char *name);
/* The table of that name; invalid if there is none. */
extern Oid holds_table(const char *name);
/* Return true if the table has the columns of a table of holds. */
extern bool holds_has_columns(Oid relid);

/* Reading; what is returned lives until run_end() */

/* Find holds by their entries; each gets its hold, or NULL if none is open. */
extern void holds_find(const Holds *holds, const int64 *entries, int n,
					   Hold **found);
/* The holds of a payer that have expired by then, in the order of entries. */
extern Hold *holds_expired_of(const Holds *holds, Datum payer, TimestampTz now,
							  int *n);
/* The entries of holds that have expired by then, the first "most". */
extern int64 *holds_expired(const Holds *holds, TimestampTz now, int64 most,
							int *n);
/* Give all of them to the function, in the order of their entries. */
extern void holds_scan(const Holds *holds, void (*take)(const Hold *, void *),
					   void *arg);
/* Return true if any hold is open. */
extern bool holds_any(const Holds *holds);

/* User code has changed a hold while it was being settled. */
pg_noreturn extern void holds_error_changed(const Holds *holds, int64 entry);

/* For who reads or writes rows of the table */

/* All columns, in their order here, without values. */
extern ColumnValues *holds_all_columns(const Holds *holds);
/* The column by which holds are known, as a key. */
extern ColumnValues *holds_key(const Holds *holds, int64 entry);
/* Rows with an entry's id, and one more column unless that is the same. */
extern Rows *holds_begin_rows(const Holds *holds, int n, HoldsColumn data);

#endif /* RACEFREE_HOLDS_H */
