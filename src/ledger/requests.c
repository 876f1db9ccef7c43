/*-------------------------------------------------------------------------
 *
 * requests.c
 *	  Requests for transfers, each of which is booked once.
 *
 * Who wants to book a request looks for it, locks its key as get_or_create()
 * does, and looks again with a snapshot that is newer than the lock.  The
 * entry is inserted when all else is done: one that was inserted earlier would
 * lock the accounts for its foreign keys before they are locked in order.  Who
 * wants to reverse an entry locks the key of its id, so that the sum of what
 * was reversed holds until the end.
 *
 * Everything is allocated in the current memory context.  Entries that were
 * found point into SPI's result, and so last until SPI_finish().  The callers
 * are connected to SPI.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "keys/keylock.h"
#include "ledger/requests.h"
#include "run/plans.h"
#include "run/rows.h"
#include "table/ids.h"
#include "table/values.h"

/* Wait for whoever books this request, or reverses this entry. */
static void
lock_keys_of(const Journal *journal, const JournalEntry *asked)
{
	KeyLock locks[2];
	int nlocks = 0;
	Datum id;

	target_hold_root(journal->table);
	if (asked->has_request)
		locks[nlocks++] = keylock_of(journal->table,
									 journal_key(journal, JOURNAL_REQUEST_ID,
												 asked->request));
	if (asked->has_reverses &&
		journal_integer_to_column(journal, JOURNAL_ID, asked->reverses, &id))
		locks[nlocks++] = keylock_of(journal->table,
									 journal_key(journal, JOURNAL_ID, id));
	keylock_acquire(locks, nlocks);
}

/*
 * A role that may not look for what was booked gets no lock, nor does it wait
 * for one, which would keep others from it.
 */
static void
check_may_look(const Journal *journal)
{
	ColumnValues *columns = journal_existing_columns(journal);

	target_check_readable(journal->table, columns->ncolumns, columns->attnums);
	pfree(columns);
}

/*
 * Was the request booked already?  Then give that entry and return true.
 * Otherwise it is ours until the transaction ends, and so is the entry that is
 * to be reversed.
 */
bool
requests_claim(const Journal *journal, const JournalEntry *asked,
			   JournalEntry *booked)
{
	if (asked->has_request && journal_find(journal, JOURNAL_REQUEST_ID,
										   asked->request, VIEW_OWN, booked))
		return true;
	/* Who may not book anything, shall not keep others from it. */
	target_check_privileges(journal->table, ACL_INSERT);
	if (!asked->has_request && asked->has_reverses)
		check_may_look(journal);
	lock_keys_of(journal, asked);
	if (!asked->has_request ||
		!journal_find(journal, JOURNAL_REQUEST_ID, asked->request, VIEW_LATEST,
					  booked))
		return false;
	if (IsolationUsesXactSnapshot() &&
		!journal_find(journal, JOURNAL_REQUEST_ID, asked->request, VIEW_OWN,
					  booked))
		error_serialization(target_relation(journal->table));
	return true;
}

/* Find the entries of many requests, and return their number. */
static int
find_requests(const Journal *journal, const Datum *requests, int nrequests,
			  View view, JournalEntry **booked)
{
	ColumnValues *key = journal_key(journal, JOURNAL_REQUEST_ID, (Datum) 0);
	bool by_index = target_has_index(journal->table, key->attnums[0]);
	StatementSpec spec = {.kind = by_index ? STMT_BATCH_PROBE : STMT_BATCH_LOOK,
						  .key = key,
						  .result = journal_existing_columns(journal),
						  .size = plan_batch_size(nrequests),
						  .by_index = by_index};
	Rows *rows = rows_begin(2, nrequests);
	uint64 nrows;

	rows_add_base_column(rows, 'k', 1, journal->table, key->attnums[0]);
	for (int i = 0; i < nrequests; i++)
	{
		Datum values[2] = {Int32GetDatum(i), requests[i]};
		bool nulls[2] = {false, false};

		rows_put(rows, values, nulls);
	}
	rows_register(rows);
	nrows = plan_run_batch(journal->table, &spec, view, nrequests + 1);
	rows_unregister(rows);

	memset(booked, 0, sizeof(JournalEntry *) * nrequests);
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc tupdesc = SPI_tuptable->tupdesc;
		bool isnull;
		int n = DatumGetInt32(
			heap_getattr(tuple, tupdesc->natts, tupdesc, &isnull));

		key->values[0] = requests[n];
		if (booked[n] != NULL)
			error_several_rows(target_relation(journal->table),
							   psprintf("Key %s",
										values_describe(journal->table, key)));
		booked[n] = palloc(sizeof(JournalEntry));
		journal_read_entry(journal, tuple, tupdesc, false, booked[n]);
	}
	return nrows;
}

/*
 * The same for the requests of a batch, one at least, all different.  Where one
 * was not booked, its entry is NULL, and it is ours.
 */
void
requests_claim_many(const Journal *journal, const Datum *requests,
					int nrequests, JournalEntry **booked)
{
	ColumnValues *key = journal_key(journal, JOURNAL_REQUEST_ID, (Datum) 0);
	KeyLock *locks;
	int nbooked;

	target_check_privileges(journal->table, ACL_INSERT);
	check_may_look(journal);
	target_hold_root(journal->table);
	locks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(KeyLock) * nrequests);
	for (int i = 0; i < nrequests; i++)
	{
		key->values[0] = requests[i];
		locks[i] = keylock_of(journal->table, key);
	}
	keylock_acquire(locks, nrequests);
	pfree(locks);

	nbooked = find_requests(journal, requests, nrequests, VIEW_LATEST, booked);
	if (nbooked > 0 && IsolationUsesXactSnapshot() &&
		find_requests(journal, requests, nrequests, VIEW_OWN, booked) < nbooked)
		error_serialization(target_relation(journal->table));
}

/* Do both have the same id on that side? */
static bool
same_id(const Journal *journal, const JournalEntry *booked,
		const JournalEntry *asked, JournalColumn column)
{
	int side = column - JOURNAL_FROM_ID;
	ColumnValues *a = journal_key(journal, column, booked->ids[side]);
	ColumnValues *b = journal_key(journal, column, asked->ids[side]);
	bool same;

	a->nulls[0] = booked->no_id[side];
	b->nulls[0] = asked->no_id[side];
	same = values_find_difference(journal->table, a, b) == InvalidAttrNumber;
	pfree(a);
	pfree(b);
	return same;
}

/*
 * Is it the amount that was asked for?  "up_to" may have moved less.  An amount
 * that is NULL was neither booked nor asked for.
 */
bool
requests_same_amount(Numeric booked, Numeric asked, bool up_to)
{
	int order;

	if (booked == NULL || asked == NULL)
		return booked == asked;
	order = money_compare(booked, asked);
	return order == 0 || (up_to && order < 0);
}

/*
 * What was booked under a request, and what is asked for now: the first column
 * in which they differ from "start" on, or NUM_JOURNAL_COLUMNS.  A reversal is
 * known by the entry that it reverses, and by its amount if it names one.
 */
static int
find_difference(const Journal *journal, const JournalEntry *booked,
				const JournalEntry *asked, bool up_to, int start)
{
	for (int c = start; c < NUM_JOURNAL_COLUMNS; c++)
	{
		bool same = true;

		if (c == JOURNAL_REQUEST_ID)
			same = !asked->has_request || !booked->has_request ||
				   journal_same_request(journal, booked->request,
										asked->request);
		else if (c == JOURNAL_REVERSES)
			same = booked->has_reverses == asked->has_reverses &&
				   booked->reverses == asked->reverses;
		else if (c == JOURNAL_AMOUNT)
			same = (asked->has_reverses && asked->amount == NULL) ||
				   requests_same_amount(booked->amount, asked->amount, up_to);
		else if (!asked->has_reverses &&
				 (c == JOURNAL_FROM_ID || c == JOURNAL_TO_ID))
			same = same_id(journal, booked, asked, c);
		if (!same)
			return c;
	}
	return NUM_JOURNAL_COLUMNS;
}

/* Was what is asked for booked just so? */
bool
requests_is_replay(const Journal *journal, const JournalEntry *booked,
				   const JournalEntry *asked, bool up_to)
{
	return find_difference(journal, booked, asked, up_to, 0) ==
		   NUM_JOURNAL_COLUMNS;
}

/* One column of an entry, for messages. */
static const char *
print_column(const Journal *journal, const JournalEntry *entry, int column)
{
	switch (column)
	{
		case JOURNAL_REQUEST_ID:
			return ids_print(journal->table, journal->columns[column],
							 entry->request);
		case JOURNAL_AMOUNT:
			return entry->amount ? money_print(entry->amount) : "null";
		case JOURNAL_REVERSES:
			return entry->has_reverses ? psprintf(INT64_FORMAT, entry->reverses)
									   : "null";
		default:
			if (entry->no_id[column - JOURNAL_FROM_ID])
				return "null";
			return ids_print(journal->table, journal->columns[column],
							 entry->ids[column - JOURNAL_FROM_ID]);
	}
}

/* Say in which columns they differ. */
void
requests_raise_difference(const Journal *journal, const JournalEntry *booked,
						  const JournalEntry *asked, bool up_to)
{
	StringInfoData detail;
	int c = 0;

	initStringInfo(&detail);
	while ((c = find_difference(journal, booked, asked, up_to, c)) <
		   NUM_JOURNAL_COLUMNS)
	{
		appendStringInfo(&detail, "%s\"%s\" was %s and is %s now",
						 detail.len > 0 ? ", " : "", journal_column_name(c),
						 print_column(journal, booked, c),
						 print_column(journal, asked, c));
		c++;
	}
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_REQUEST_DIFFERS),
			 errmsg("request \"%s\" was booked in journal \"%s\" as another "
					"transfer",
					ids_print(journal->table,
								  journal->columns[JOURNAL_REQUEST_ID],
								  asked->request),
					RelationGetRelationName(target_relation(journal->table))),
			 errdetail("%s.", detail.data),
			 errhint("Give each transfer a request_id of its own, and the "
					 "same one only when it is tried again.")));
}
