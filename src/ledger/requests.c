/*-------------------------------------------------------------------------
 *
 * requests.c
 *	  Requests for transfers, each of which is booked once.
 *
 * A session that wants to book a request locks the request's key, as
 * get_or_create() does, and looks for its entry with a snapshot that is taken
 * after the lock was granted.  The lock is kept until the transaction ends, so
 * of two sessions with the same request the second waits, and then finds the
 * entry of the first.  With an older snapshot it would not, and the request
 * would be booked twice.
 *
 * The entry itself is inserted when all else is done.  Inserted earlier, its
 * foreign keys would lock the accounts before they are locked in order, and
 * two transfers could wait for each other.
 *
 * A session that wants to reverse an entry locks the key of the entry's id,
 * before it adds up what was reversed; see journal_reversed().
 *
 * Everything is allocated in the current memory context.  Entries that were
 * found point into results, and so last until run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "keys/keylock.h"
#include "keys/routed.h"
#include "ledger/beside.h"
#include "ledger/request_ids.h"
#include "ledger/requests.h"
#include "table/ids.h"
#include "table/privileges.h"
#include "table/promises.h"
#include "table/values.h"

/* ----------
 * Request ids
 * ----------
 */

/* Report that two texts would become one value of the column. */
pg_noreturn static void
requests_error_not_exact(const Journal *journal, const char *text,
						 Datum request)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("request \"%s\" cannot be held exactly in column \"%s\" "
					"of journal \"%s\"",
					text, journal_column_name(JOURNAL_REQUEST_ID),
					journal_table_name(journal)),
			 errdetail("It would be read as \"%s\".",
					   values_print_exactly(journal->types[JOURNAL_REQUEST_ID],
											request))));
}

/* An id that says nothing is most likely a mistake of the client's. */
pg_noreturn static void
requests_error_empty(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("request_id must not be empty")));
}

/* A text as a value of the column. */
Datum
requests_convert_id(const Journal *journal, const char *text)
{
	Form_pg_attribute att;
	Oid function;
	Oid io_param;
	Oid base;
	int32 typmod;
	Datum request;

	journal_need(journal, JOURNAL_REQUEST_ID);
	att = target_column(journal->table, journal->columns[JOURNAL_REQUEST_ID]);
	typmod = att->atttypmod;
	base = getBaseTypeAndTypmod(att->atttypid, &typmod);
	if (text[0] == '\0')
		requests_error_empty();
	getTypeInputInfo(att->atttypid, &function, &io_param);
	request = OidInputFunctionCall(function, unconstify(char *, text), io_param,
								   att->atttypmod);
	if (request_ids_is_empty(base, request))
		requests_error_empty();
	/* Cut or rounded, two requests would be taken for one. */
	if (!ids_is_exact(base, request, text))
		requests_error_not_exact(journal, text, request);
	if (typmod < 0)
		return request;
	getTypeInputInfo(base, &function, &io_param);
	if (requests_compare_ids(journal, request,
							 OidInputFunctionCall(function,
												  unconstify(char *, text),
												  io_param, -1)) != 0)
		requests_error_not_exact(journal, text, request);
	return request;
}

/* The order of request ids, in which a batch sorts them. */
int
requests_compare_ids(const Journal *journal, Datum a, Datum b)
{
	IdColumn request;

	if (journal->request.compare != NULL)
		return ids_compare(&journal->request, a, b);
	/* The type has no order, which this reports. */
	ids_of_column(&request, journal->table,
				  journal->columns[JOURNAL_REQUEST_ID]);
	return ids_compare(&request, a, b);
}

/* ----------
 * Claiming
 * ----------
 */

/*
 * Report an error if the caller may not look for what was booked.  Such a
 * caller must get no lock, nor wait for one, which would block others.
 */
static void
requests_check_readable(const Journal *journal)
{
	ColumnValues *columns = journal_existing_columns(journal);

	privileges_check_select(journal->table, columns->ncolumns,
							columns->attnums);
	pfree(columns);
}

/*
 * Lock the keys of the requests and of the entries where the journal is, on other
 * nodes.  Return false if the locks of this session are enough: what cannot be
 * locked elsewhere has a unique index, which beside_check_claim() has checked.
 * Even where there is one, these locks are of use: whoever makes the same request
 * waits, and gets the replay instead of an error.
 */
static bool
requests_lock_elsewhere(const Journal *journal, const Claim *claim)
{
	RoutedKey *keys;
	int nkeys = 0;
	Datum id;

	if (promises_at_home(journal->table))
		return false;
	keys = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(RoutedKey) * (claim->nrequests +
													   claim->nreversed + 1));
	for (int i = 0; i < claim->nrequests; i++)
		keys[nkeys++].key = journal_key(journal, JOURNAL_REQUEST_ID,
										claim->requests[i]);
	for (int i = 0; i < claim->nreversed; i++)
	{
		/* What the column cannot hold is no entry's id. */
		if (journal_integer_to_column(journal, JOURNAL_ID, claim->reversed[i],
									  &id))
			keys[nkeys++].key = journal_key(journal, JOURNAL_ID, id);
	}
	for (int i = 0; i < nkeys; i++)
	{
		if (!promises_key_is_routed(journal->table, keys[i].key))
			return false;
		keys[i].target = journal->table;
	}
	routed_acquire(keys, nkeys);
	return true;
}

/* Lock the keys of the requests and of the entries, in canonical order. */
static void
requests_lock(const Journal *journal, const Claim *claim)
{
	KeyLock *locks;
	int nlocks = 0;

	if (target_spread(journal->table)->kind != SPREAD_NOT &&
		requests_lock_elsewhere(journal, claim))
		return;
	target_hold_root(journal->table);
	locks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(KeyLock) * (claim->nrequests +
													  claim->nreversed + 1));
	for (int i = 0; i < claim->nrequests; i++)
	{
		bool isnull = false;
		ColumnValues key = {1, &journal->columns[JOURNAL_REQUEST_ID],
							unconstify(Datum *, &claim->requests[i]), &isnull};

		locks[nlocks++] = keylock_of(journal->table, &key);
	}
	for (int i = 0; i < claim->nreversed; i++)
	{
		bool isnull = false;
		Datum id;
		ColumnValues key = {1, &journal->columns[JOURNAL_ID], &id, &isnull};

		/* What the column cannot hold is no entry's id. */
		if (journal_integer_to_column(journal, JOURNAL_ID, claim->reversed[i],
									  &id))
			locks[nlocks++] = keylock_of(journal->table, &key);
	}
	keylock_acquire(locks, nlocks);
	pfree(locks);
}

/* Find the entries of the requests, and return their number. */
static int
requests_find(const Journal *journal, Claim *claim, View view)
{
	if (claim->nrequests == 0)
		return 0;
	return journal_find_entries(journal, JOURNAL_REQUEST_ID, claim->requests,
								NULL, claim->nrequests, claim->alone, view,
								claim->booked, &claim->row);
}

/*
 * Lock the requests and the entries to be reversed, and find the requests that
 * were booked before; "booked" has room for them.  The others are the caller's
 * until its transaction ends, and so is what is left of the entries.
 *
 * The locks come first, then the snapshot.  The other way round, this session
 * could take its snapshot, wait for the session that books the request, and go
 * on to book it again, since the entry is not in the snapshot.
 *
 * At REPEATABLE READ an entry may be committed that the transaction's own
 * snapshot does not show.  To return it would show the caller an entry whose
 * effects on the accounts it cannot see: that is a serialization failure.
 */
void
requests_claim(const Journal *journal, Claim *claim)
{
	int nkeys = claim->nrequests + claim->nreversed;
	int nbooked;

	Assert(journal->books);
	Assert(!claim->alone || claim->nrequests <= 1);

	/* A single request that was booked needs no lock, nor INSERT privilege. */
	if (claim->alone && requests_find(journal, claim, VIEW_OWN) > 0)
		return;
	beside_check_claim(journal, claim);
	if (nkeys == 0 && !claim->alone)
		return;
	/*
	 * Check privileges before locking: a role that cannot book anything must
	 * not be able to block others.
	 */
	privileges_check(journal->table, ACL_INSERT);
	if (nkeys == 0)
		return;
	if (!claim->alone || claim->nrequests == 0)
		requests_check_readable(journal);
	racefree_injection_point("racefree-request-looked");
	requests_lock(journal, claim);
	racefree_injection_point("racefree-request-locked");
	nbooked = requests_find(journal, claim, VIEW_LATEST);
	if (nbooked > 0 && IsolationUsesXactSnapshot() &&
		requests_find(journal, claim, VIEW_OWN) < nbooked)
		error_serialization(target_relation(journal->table));
}

/* ----------
 * Repeating
 * ----------
 */

/*
 * The first column from "start" on that tells an entry from what is asked for,
 * or NUM_JOURNAL_COLUMNS.
 */
static int
requests_find_difference(const Journal *journal, const JournalEntry *booked,
						 const Asked *asked, bool up_to, int start)
{
	int c = start;

	while (c < NUM_JOURNAL_COLUMNS &&
		   journal_column_agrees(journal, c, booked, asked, up_to))
		c++;
	return c;
}

/* Return true if an entry is what is asked for. */
bool
requests_is_replay(const Journal *journal, const JournalEntry *booked,
				   const Asked *asked, bool up_to)
{
	return requests_find_difference(journal, booked, asked, up_to, 0) ==
		   NUM_JOURNAL_COLUMNS;
}

/* Report in which columns they differ. */
void
requests_raise_difference(const Journal *journal, const JournalEntry *booked,
						  const Asked *asked, bool up_to)
{
	StringInfoData detail;
	JournalEntry now;
	int c = 0;

	Assert(asked->has_request);
	journal_entry_of_asked(&now, asked);
	initStringInfo(&detail);
	while ((c = requests_find_difference(journal, booked, asked, up_to, c)) <
		   NUM_JOURNAL_COLUMNS)
	{
		appendStringInfo(&detail, "%s\"%s\" was %s and is %s now",
						 detail.len > 0 ? ", " : "", journal_column_name(c),
						 journal_column_print(journal, c, booked),
						 journal_column_print(journal, c, &now));
		c++;
	}
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_REQUEST_DIFFERS),
			 errmsg("request \"%s\" was booked in journal \"%s\" as another "
					"transfer",
					journal_column_print(journal, JOURNAL_REQUEST_ID, &now),
					journal_table_name(journal)),
			 errdetail("%s.", detail.data),
			 errhint("Give each transfer a request_id of its own, and the "
					 "same one only when it is tried again.")));
}
