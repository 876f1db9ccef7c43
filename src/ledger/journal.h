/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  The table that transfers are booked in.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_JOURNAL_H
#define RACEFREE_JOURNAL_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "ledger/money.h"
#include "run/plans.h"
#include "run/statements.h"

/* The columns of a journal. */
typedef enum JournalColumn
{
	JOURNAL_ID,
	JOURNAL_REQUEST_ID,
	JOURNAL_FROM_ID,
	JOURNAL_TO_ID,
	JOURNAL_AMOUNT,
	JOURNAL_FROM_BALANCE,
	JOURNAL_TO_BALANCE,
	JOURNAL_REVERSES,
	JOURNAL_DETAILS,
	JOURNAL_CREATED_AT
} JournalColumn;

#define NUM_JOURNAL_COLUMNS (JOURNAL_CREATED_AT + 1)

/* A journal that is open, and where its columns are. */
typedef struct Journal
{
	Target *table;
	bool books;								 /* is it opened to book entries? */
	AttrNumber columns[NUM_JOURNAL_COLUMNS]; /* invalid where missing */
	MoneyColumn amount;
	MoneyColumn from_balance;
	MoneyColumn to_balance;
} Journal;

/* What is booked, or to be booked. */
typedef struct JournalEntry
{
	int number; /* in the batch, counted from 1 */
	bool has_id;
	int64 id;
	bool has_request;
	Datum request; /* of the column's base type */
	Datum ids[2];  /* from and to, of the columns' base types */
	bool no_id[2];
	Numeric amount; /* NULL if there is none; so are the balances */
	Numeric from_balance;
	Numeric to_balance;
	bool has_reverses;
	int64 reverses; /* the id of another entry */
	bool has_time;
	TimestampTz time; /* of an entry that was read */
	Jsonb *details;
	Datum row; /* the whole row, of an entry that was found or booked alone */
} JournalEntry;

extern void journal_open(Journal *journal, Oid relid, LOCKMODE lockmode);
extern void journal_close(Journal *journal);
extern bool journal_has(const Journal *journal, JournalColumn column);
extern void journal_need(const Journal *journal, JournalColumn column);
extern Oid journal_column_type(const Journal *journal, JournalColumn column);
extern void journal_check_accounts(const Journal *journal,
								   const Target *accounts, AttrNumber id_attnum,
								   AttrNumber balance_attnum);
extern Datum journal_convert_id(const Journal *journal, JournalColumn column,
								Oid type, Datum id);
extern void journal_set_id(const Journal *journal, JournalEntry *entry,
						   int side, Oid type, Datum id, bool isnull);
extern Datum journal_convert_request(const Journal *journal, const char *text);
extern void journal_check_request_type(Oid type);
extern bool journal_same_request(const Journal *journal, Datum a, Datum b);
extern int journal_compare_requests(const Journal *journal, Datum a, Datum b);

extern const char *journal_column_name(JournalColumn column);
extern bool journal_integer_to_column(const Journal *journal,
									  JournalColumn column, int64 number,
									  Datum *value);
extern int64 journal_integer_from_column(const Journal *journal,
										 JournalColumn column, Datum value);

extern ColumnValues *journal_key(const Journal *journal, JournalColumn column,
								 Datum value);
extern ColumnValues *journal_existing_columns(const Journal *journal);
extern void journal_read_entry(const Journal *journal, HeapTuple tuple,
							   TupleDesc tupdesc, bool whole,
							   JournalEntry *entry);
extern bool journal_find(const Journal *journal, JournalColumn column,
						 Datum value, View view, JournalEntry *entry);
extern bool journal_find_entry(const Journal *journal, int64 id,
							   JournalEntry *entry);
extern void journal_scan(const Journal *journal,
						 void (*take)(const JournalEntry *, void *), void *arg);
extern Numeric journal_reversed(const Journal *journal, int64 id);

#endif /* RACEFREE_JOURNAL_H */
