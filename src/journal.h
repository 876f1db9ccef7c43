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

#include "money.h"
#include "statements.h"

/* A journal that is open, and where its columns are. */
typedef struct Journal
{
	Target *table;
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
	Jsonb *details;
	Datum row; /* the whole row, of an entry that was found or booked alone */
} JournalEntry;

extern void journal_open(Journal *journal, Oid relid, LOCKMODE lockmode);
extern void journal_close(Journal *journal);
extern bool journal_has(const Journal *journal, JournalColumn column);
extern void journal_need(const Journal *journal, JournalColumn column);
extern Oid journal_column_type(const Journal *journal, JournalColumn column);
extern void journal_check_ids(const Journal *journal, const Target *accounts,
							  AttrNumber id_attnum);
extern Datum journal_convert_id(const Journal *journal, JournalColumn column,
								Oid type, Datum id);
extern Datum journal_convert_request(const Journal *journal, const char *text);
extern int journal_compare_requests(const Journal *journal, Datum a, Datum b);

extern bool journal_claim(const Journal *journal, const JournalEntry *asked,
						  JournalEntry *booked);
extern void journal_claim_many(const Journal *journal, const Datum *requests,
							   int nrequests, JournalEntry **booked);
extern bool journal_is_replay(const Journal *journal,
							  const JournalEntry *booked,
							  const JournalEntry *asked, bool up_to);
pg_noreturn extern void journal_raise_difference(const Journal *journal,
												 const JournalEntry *booked,
												 const JournalEntry *asked,
												 bool up_to);

extern bool journal_find_entry(const Journal *journal, int64 id,
							   JournalEntry *entry);
extern void journal_scan(const Journal *journal,
						 void (*take)(const JournalEntry *, void *), void *arg);
extern Numeric journal_reversed(const Journal *journal, int64 id);
extern void journal_book(const Journal *journal, JournalEntry *entry,
						 MemoryContext context);
extern void journal_book_many(const Journal *journal, JournalEntry **entries,
							  int nentries);

#endif /* RACEFREE_JOURNAL_H */
