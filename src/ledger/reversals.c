/*-------------------------------------------------------------------------
 *
 * reversals.c
 *	  Transfers that move back what an entry of the journal moved.
 *
 * A reversal takes its accounts from the entry, the other way round, and its
 * amount, if none is given, from what is left of the entry.  The entry's key
 * is locked, so the sum of its reversals is known until the transaction ends;
 * the reversals of this call are added as they are applied, so that the second
 * of the same entry finds what the first has left.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "base/errors.h"
#include "ledger/ledger_private.h"
#include "table/traits.h"

/* ----------
 * The entries
 * ----------
 */

/* Find entries by their ids, and return their number. */
static int
reversals_look(const Ledger *ledger, const Datum *ids, const bool *nulls,
			   View view, JournalEntry **entries)
{
	return journal_find_entries(ledger->journal, JOURNAL_ID, ids, nulls,
								ledger->noriginals, !ledger->many, view,
								entries, NULL);
}

/*
 * Find the entries.  One that was booked after the transaction's snapshot was
 * taken is a serialization failure, not an entry that does not exist.
 */
static void
reversals_find_entries(Ledger *ledger)
{
	const Journal *journal = ledger->journal;
	int n = ledger->noriginals;
	Datum *ids = ALLOC_ARRAY(Datum, n);
	bool *nulls = ALLOC_ARRAY(bool, n);
	JournalEntry **entries = ALLOC_ARRAY(JournalEntry *, n);
	int nfound;

	for (int i = 0; i < n; i++)
		nulls[i] = !journal_integer_to_column(journal, JOURNAL_ID,
											  ledger->originals[i].id, &ids[i]);
	nfound = reversals_look(ledger, ids, nulls, VIEW_OWN, entries);
	for (int i = 0; i < n; i++)
	{
		ledger->originals[i].entry = entries[i];
		nulls[i] = nulls[i] || entries[i] != NULL;
	}
	if (nfound < n && IsolationUsesXactSnapshot() &&
		reversals_look(ledger, ids, nulls, VIEW_LATEST, entries) > 0)
		error_serialization(target_relation(journal->table));
	pfree(entries);
	pfree(nulls);
	pfree(ids);
}

/* Find the entries that are reversed, and what was reversed of them. */
void
reversals_find(Ledger *ledger)
{
	if (ledger->noriginals == 0)
		return;
	reversals_find_entries(ledger);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		Original *original = transfer->original;

		/* A request that was booked before is only repeated. */
		if (original == NULL || original->entry == NULL || original->summed ||
			(transfer->request != NULL && transfer->request->booked != NULL))
			continue;
		original->moved = original->entry->amount != NULL
							  ? original->entry->amount
							  : int64_to_numeric(0);
		original->locked = journal_reversed(ledger->journal, original->id);
		original->reversed = original->locked;
		original->summed = true;
	}
}

/* Take the accounts of a reversal from its entry, the other way round. */
static void
reversals_set_transfer_ids(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	const JournalEntry *entry = transfer->original->entry;
	const Journal *journal = ledger->journal;
	Oid type = ledger->accounts.id.type;

	for (int side = 0; side < NUM_SIDES; side++)
	{
		Side other = side == PAYER ? PAYEE : PAYER;
		Use *use;

		if (entry == NULL || entry->no_id[side])
			continue;
		use = &ledger->uses[ledger->nuses++];
		use->value = ids_convert(journal->types[JOURNAL_FROM_ID + side], type,
								 entry->ids[side]);
		use->transfer = i;
		use->side = other;
		transfer->asked.no_id[other] = false;
		transfer->asked.ids[other] = journal_convert_id(journal,
														JOURNAL_FROM_ID + other,
														type, use->value);
	}
}

/* Take the accounts of the entries that are reversed. */
void
reversals_set_ids(Ledger *ledger)
{
	Progress progress;

	if (ledger->noriginals == 0)
		return;
	ledger_progress(ledger, &progress);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		progress.number = i;
		if (ledger->transfers[i].original != NULL)
			reversals_set_transfer_ids(ledger, i);
	}
	progress_end(&progress);
}

/* ----------
 * Checking
 * ----------
 */

/* Check that there is an entry which can be reversed. */
TransferStatus
reversals_check_entry(const Transfer *transfer)
{
	const Original *original = transfer->original;

	if (original == NULL)
		return TRANSFER_OK;
	if (original->entry == NULL || (original->entry->has_kind &&
									!journal_kind_moves(original->entry->kind)))
		return TRANSFER_ENTRY_NOT_FOUND;
	if (original->entry->no_id[PAYER] || original->entry->no_id[PAYEE])
		return TRANSFER_ENTRY_INCOMPLETE;
	return TRANSFER_OK;
}

/* The part of an entry that was not reversed yet. */
Numeric
reversals_rest(const Original *original)
{
	Assert(original->summed);
	return money_minus(original->moved, original->reversed);
}

/*
 * Check that what is asked for is left of the entry, and choose the amount: the
 * one that is given, which was checked by itself, or all that is left.
 */
TransferStatus
reversals_check_rest(const Ledger *ledger, const Transfer *transfer,
					 Numeric *amount)
{
	Numeric rest = reversals_rest(transfer->original);

	if (!money_is_positive(rest))
		return TRANSFER_OVER_REVERSED;
	if (transfer->asked.amount != NULL)
	{
		*amount = transfer->asked.amount;
		return money_compare(*amount, rest) > 0 ? TRANSFER_OVER_REVERSED
												: TRANSFER_OK;
	}
	*amount = rest;
	return rules_check_asked(&ledger->rules, ENTRY_REVERSAL,
							 &transfer->sides[PAYER]->account,
							 &transfer->sides[PAYEE]->account, rest);
}

pg_noreturn static void
reversals_error_over_reversed(const Original *original, Numeric before)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_OVER_REVERSED),
			 errmsg("cannot reverse more of entry " INT64_FORMAT
					" than it moved",
					original->id),
			 errdetail("It moved %s, of which %s was reversed before.",
					   money_print(original->moved), money_print(before))));
}

/* Raise the error that a failure of one of these checks is. */
void
reversals_raise(const Ledger *ledger, const Transfer *transfer,
				TransferStatus status)
{
	const Journal *journal = ledger->journal;
	const Original *original = transfer->original;

	if (status == TRANSFER_ENTRY_NOT_FOUND && original->entry != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_RACEFREE_ENTRY_NOT_FOUND),
				 errmsg("entry " INT64_FORMAT " of journal \"%s\" cannot be "
						"reversed",
						original->id, journal_table_name(journal)),
				 errdetail("It is of kind \"%s\", which moves nothing.",
						   journal_kind_name(original->entry->kind))));
	if (status == TRANSFER_ENTRY_NOT_FOUND)
		ereport(ERROR,
				(errcode(ERRCODE_RACEFREE_ENTRY_NOT_FOUND),
				 errmsg("entry " INT64_FORMAT " does not exist in journal "
						"\"%s\"",
						original->id, journal_table_name(journal)),
				 traits_has_row_security(journal->table)
					 ? errhint("Row-level security may hide the entry.")
					 : 0));
	if (status == TRANSFER_ENTRY_INCOMPLETE)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry " INT64_FORMAT " of journal \"%s\" does not "
						"name two accounts",
						original->id, journal_table_name(journal))));
	Assert(status == TRANSFER_OVER_REVERSED);
	reversals_error_over_reversed(original, original->reversed);
}

/* The last transfer that was applied to an entry; there is one. */
static int
reversals_last(const Ledger *ledger, const Original *original)
{
	int i = ledger->ntransfers - 1;

	while (ledger->transfers[i].original != original ||
		   ledger->transfers[i].status != TRANSFER_OK)
	{
		Assert(i > 0);
		i--;
	}
	return i;
}

/*
 * Add up the reversals again, after user code has run: it may have reversed the
 * same entries, under key locks that this transaction holds already.
 */
void
reversals_check_again(const Ledger *ledger)
{
	Progress progress;

	ledger_progress(ledger, &progress);
	for (int i = 0; i < ledger->noriginals; i++)
	{
		const Original *original = &ledger->originals[i];
		Numeric now;

		if (original->reversed == original->locked)
			continue;
		now = journal_reversed(ledger->journal, original->id);
		if (money_compare(now, original->moved) <= 0)
			continue;
		progress.number = reversals_last(ledger, original);
		reversals_error_over_reversed(
			original, money_minus(now, money_minus(original->reversed,
												   original->locked)));
	}
	progress_end(&progress);
}
