/*-------------------------------------------------------------------------
 *
 * journal_columns.h
 *	  The columns of a journal, and entries, which have a value for each.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_JOURNAL_COLUMNS_H
#define RACEFREE_JOURNAL_COLUMNS_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "ledger/accounts.h"
#include "ledger/money.h"
#include "table/ids.h"

/* The columns of a journal, described by a row each in journal_columns.c. */
typedef enum JournalColumn
{
	JOURNAL_ID,
	JOURNAL_REQUEST_ID,
	JOURNAL_KIND,
	JOURNAL_FROM_ID,
	JOURNAL_TO_ID,
	JOURNAL_AMOUNT,
	JOURNAL_FROM_BALANCE,
	JOURNAL_TO_BALANCE,
	JOURNAL_REVERSES,
	JOURNAL_SETTLES,
	JOURNAL_EXPIRES_AT,
	JOURNAL_CHAIN_ID,
	JOURNAL_DETAILS,
	JOURNAL_CREATED_AT
} JournalColumn;

#define NUM_JOURNAL_COLUMNS (JOURNAL_CREATED_AT + 1)

/* What an entry does. */
typedef enum EntryKind
{
	ENTRY_TRANSFER, /* moves money */
	ENTRY_REVERSAL, /* moves it back */
	ENTRY_HOLD,		/* reserves money of the payer's */
	ENTRY_POST,		/* moves what is held, or a part of it, or more */
	ENTRY_VOID,		/* lets go of what is left of a hold */
	ENTRY_EXPIRY	/* the same, after the hold has expired */
} EntryKind;

#define NUM_ENTRY_KINDS (ENTRY_EXPIRY + 1)

/*
 * A journal that is open, and where its columns are.  Read-only for other
 * rooms.
 */
typedef struct Journal
{
	Target *table;
	bool books;								 /* opened to book entries */
	AttrNumber columns[NUM_JOURNAL_COLUMNS]; /* invalid where missing */
	Oid types[NUM_JOURNAL_COLUMNS];			 /* base types */
	MoneyColumn money[NUM_JOURNAL_COLUMNS];	 /* of those that hold money */
	IdColumn request; /* how request ids are compared; "compare" is NULL if
					   * they cannot be */
} Journal;

/* A transfer that is asked for, as the journal would book it. */
typedef struct Asked
{
	Numeric amount; /* NULL if none is given; of a reversal, all that is left */
	Datum ids[NUM_SIDES]; /* of the columns' base types */
	bool no_id[NUM_SIDES];
	bool has_request;
	Datum request; /* of the column's base type */
	EntryKind kind;
	bool has_reverses;
	int64 reverses; /* the id of the entry that is to be reversed */
	bool has_settles;
	int64 settles; /* the id of the hold that is posted or voided */
	bool has_expiry;
	TimestampTz expires_at;		 /* of a hold */
	Jsonb *details;				 /* or NULL */
	const ColumnValues *columns; /* of the journal's own; or NULL */
} Asked;

/* An entry that was booked, or is about to be. */
typedef struct JournalEntry
{
	bool has_id;
	int64 id;
	bool has_request;
	Datum request; /* of the column's base type */
	bool has_kind;
	bool odd_kind; /* of an entry that was read: it is none of these */
	EntryKind kind;
	Datum ids[NUM_SIDES]; /* of the columns' base types */
	bool no_id[NUM_SIDES];
	Numeric amount; /* NULL if there is none; so are the balances */
	Numeric from_balance;
	Numeric to_balance;
	bool has_reverses;
	int64 reverses; /* the id of another entry; so is the next one */
	bool has_settles;
	int64 settles;
	bool has_expiry;
	TimestampTz expires_at;
	bool has_chain;
	int64 chain; /* the id of the first entry of its chain */
	bool has_time;
	TimestampTz time; /* of an entry that was read */
	bool has_details;
	Jsonb *details; /* of an entry to be booked; they are not read */
	const ColumnValues *columns; /* the same, of own_columns.h; or NULL */
} JournalEntry;

/* Kinds of entries */

/* The name of a kind, as it is booked. */
extern const char *journal_kind_name(EntryKind kind);
/* Find the kind of that name; false if there is none. */
extern bool journal_find_kind(const char *name, size_t length, EntryKind *kind);
/* Return true if entries of the kind change balances. */
extern bool journal_kind_moves(EntryKind kind);
/* The names of those that do not, as a literal of an array. */
extern char *journal_idle_kinds(void);

/* Columns of the table */

/* Find the columns by their names, and check their types. */
extern void journal_columns_resolve(Journal *journal);
/* Return true if the journal has the column. */
extern bool journal_has(const Journal *journal, JournalColumn column);
/* Report an error unless it does. */
extern void journal_need(const Journal *journal, JournalColumn column);
extern const char *journal_column_name(JournalColumn column);
/* Report that a column cannot be of the type that it has. */
pg_noreturn extern void journal_column_error_type(const Journal *journal,
												  JournalColumn column,
												  const char *wanted);
/* An integer as a value of the column; false if the column cannot hold it. */
extern bool journal_integer_to_column(const Journal *journal,
									  JournalColumn column, int64 number,
									  Datum *value);

/* Values of entries */

/* The entry that is to be booked, as far as it is known yet. */
extern void journal_entry_of_asked(JournalEntry *entry, const Asked *asked);
/* Take a column's value into an entry. */
extern void journal_column_read(const Journal *journal, JournalColumn column,
								Datum value, bool isnull, JournalEntry *entry);
/* Return true if an INSERT of the entry has to give the column. */
extern bool journal_column_is_given(const Journal *journal,
									JournalColumn column,
									const JournalEntry *entry);
/* The value that an INSERT gives. */
extern Datum journal_column_value(const Journal *journal, JournalColumn column,
								  const JournalEntry *entry, bool *isnull);
/* Return true if the value that is stored must be the one that was given. */
extern bool journal_column_is_checked(JournalColumn column);
/* Return true unless the column tells an entry from what is asked for. */
extern bool journal_column_agrees(const Journal *journal, JournalColumn column,
								  const JournalEntry *booked,
								  const Asked *asked, bool up_to);
/* The value of an entry, for messages. */
extern const char *journal_column_print(const Journal *journal,
										JournalColumn column,
										const JournalEntry *entry);

#endif /* RACEFREE_JOURNAL_COLUMNS_H */
