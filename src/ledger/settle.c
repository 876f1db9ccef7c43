/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  The holds that transfers post or void: finding and checking them.
 *
 * What settles a hold takes its accounts from the hold, and its amount, if none
 * is given, from what is left of it.  Holds are looked for before their payers
 * are known, and so before these are locked, and again afterwards: whoever
 * changes a hold has locked its payer's row until its transaction ends, so what
 * is found then stays.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "ledger/guard.h"
#include "ledger/holds_write.h"
#include "ledger/ledger_private.h"
#include "table/indexes.h"
#include "table/traits.h"

/* Check that there can be holds. */
void
settle_need(const Ledger *ledger)
{
	const Journal *journal = ledger->journal;

	Assert(journal != NULL);
	if (ledger->holds == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("journal \"%s\" has no rule \"%s\"",
						journal_table_name(journal),
						guard_key_name(GUARD_HELD_COLUMN)),
				 errdetail("It names the column of the accounts that has what "
						   "is held of each balance."),
				 errhint("create_journal() and alter_journal() set it.")));
	journal_need(journal, JOURNAL_ID);
	journal_need(journal, JOURNAL_KIND);
	journal_need(journal, JOURNAL_SETTLES);
}

/* ----------
 * Finding holds
 * ----------
 */

/* Find entries by their ids, and return their number. */
static int
settle_look(const Ledger *ledger, const Datum *ids, const bool *nulls, int n,
			View view, JournalEntry **entries)
{
	return journal_find_entries(ledger->journal, JOURNAL_ID, ids, nulls, n,
								false, view, entries, NULL);
}

/* Return true if it is booked that the hold has expired. */
static bool
settle_has_lapsed(const Ledger *ledger, const NamedHold *named)
{
	const Journal *journal = ledger->journal;
	ColumnValues *key;
	Datum id;

	if (named->entry == NULL || !named->entry->has_expiry ||
		!journal_integer_to_column(journal, JOURNAL_SETTLES, named->id, &id))
		return false;
	key = values_make(2);
	values_set(key, 0, journal->columns[JOURNAL_SETTLES], id, false);
	values_set(key, 1, journal->columns[JOURNAL_KIND],
			   CStringGetTextDatum(journal_kind_name(ENTRY_EXPIRY)), false);
	values_sort(key);
	return run_count(journal->table, key, VIEW_OWN) > 0;
}

/* Return true if the entry is that of a hold, which may be settled. */
static bool
settle_is_hold(const JournalEntry *entry)
{
	return entry != NULL && entry->has_kind && entry->kind == ENTRY_HOLD;
}

/* Return true if the entry of the hold is wanted, and was not found yet. */
static bool
settle_wants_entry(const Ledger *ledger, const NamedHold *named)
{
	/* Whoever may not see the entry must not settle the hold. */
	return named->entry == NULL && !named->missing &&
		   (named->hold == NULL ||
			traits_has_row_security(ledger->journal->table));
}

/* Take the entry of a hold, or that the caller has none. */
static void
settle_take_entry(NamedHold *named, JournalEntry *entry)
{
	named->entry = entry;
	if (entry == NULL)
		named->hold = NULL;
}

/*
 * Find the entries of holds that are not open, or that may be hidden.  One that
 * was booked after the transaction's snapshot was taken is a serialization
 * failure, not a hold that does not exist.
 */
static void
settle_find_entries(Ledger *ledger)
{
	int n = ledger->nnamed;
	Datum *ids = ALLOC_ARRAY(Datum, n);
	bool *nulls = ALLOC_ARRAY(bool, n);
	JournalEntry **entries = ALLOC_ARRAY(JournalEntry *, n);
	int nwanted = 0;
	int nfound;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = !settle_wants_entry(ledger, &ledger->named[i]) ||
				   !journal_integer_to_column(ledger->journal, JOURNAL_ID,
											  ledger->named[i].id, &ids[i]);
		nwanted += nulls[i] ? 0 : 1;
	}
	if (nwanted == 0)
		return;
	nfound = settle_look(ledger, ids, nulls, n, VIEW_OWN, entries);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		settle_take_entry(&ledger->named[i], entries[i]);
		nulls[i] = entries[i] != NULL;
	}
	if (nfound < nwanted && IsolationUsesXactSnapshot() &&
		settle_look(ledger, ids, nulls, n, VIEW_LATEST, entries) > 0)
		error_serialization(target_relation(ledger->journal->table));
}

/* Find those of the named holds that are open; "again", of those that were. */
static void
settle_find_open(Ledger *ledger, bool again)
{
	int n = 0;
	int64 *ids = ALLOC_ARRAY(int64, ledger->nnamed);
	Hold **holds = ALLOC_ARRAY(Hold *, ledger->nnamed);

	for (int i = 0; i < ledger->nnamed; i++)
	{
		if (!again || ledger->named[i].hold != NULL)
			ids[n++] = ledger->named[i].id;
	}
	if (n > 0)
		holds_find(ledger->holds, ids, n, holds);
	n = 0;
	for (int i = 0; i < ledger->nnamed; i++)
	{
		NamedHold *named = &ledger->named[i];

		if (again && named->hold == NULL)
			continue;
		named->hold = holds[n++];
		named->rest = named->hold != NULL ? named->hold->rest : NULL;
	}
	pfree(holds);
	pfree(ids);
}

/* Find out of those that are settled whether they had expired. */
static void
settle_find_lapsed(Ledger *ledger)
{
	for (int i = 0; i < ledger->nnamed; i++)
	{
		NamedHold *named = &ledger->named[i];

		if (named->hold == NULL && settle_is_hold(named->entry))
			named->lapsed = settle_has_lapsed(ledger, named);
	}
}

/* Return true if one of them is not open. */
static bool
settle_any_is_gone(const Ledger *ledger)
{
	for (int i = 0; i < ledger->nnamed; i++)
	{
		if (ledger->named[i].hold == NULL)
			return true;
	}
	return false;
}

/* Return true if one has an entry, and is not open. */
static bool
settle_any_is_settled(const Ledger *ledger)
{
	for (int i = 0; i < ledger->nnamed; i++)
	{
		const NamedHold *named = &ledger->named[i];

		if (named->hold == NULL && settle_is_hold(named->entry))
			return true;
	}
	return false;
}

/*
 * Find the holds that are posted or voided, without a lock, and what is known of
 * those not open.  A hold can have been made after the open ones were read and
 * before its entry was: so these are read again, and then one that is not open
 * is settled.
 */
void
settle_find(Ledger *ledger)
{
	if (ledger->nnamed == 0)
		return;
	settle_find_open(ledger, false);
	settle_find_entries(ledger);
	for (int i = 0; i < ledger->nnamed; i++)
	{
		NamedHold *named = &ledger->named[i];

		named->missing = named->hold == NULL && named->entry == NULL;
	}
	if (!settle_any_is_settled(ledger))
		return;
	settle_find_open(ledger, false);
	for (int i = 0; i < ledger->nnamed; i++)
	{
		/* Not one that has been made since. */
		if (ledger->named[i].missing)
			ledger->named[i].hold = NULL;
	}
	settle_find_lapsed(ledger);
}

/*
 * Find those that were open again.  Their payers are locked now, so what is left
 * of them is what this call can take.
 */
void
settle_find_again(Ledger *ledger)
{
	if (ledger->nnamed == 0)
		return;
	settle_find_open(ledger, true);
	if (!settle_any_is_gone(ledger))
		return;
	settle_find_entries(ledger);
	settle_find_lapsed(ledger);
}

/* The account on a side of a hold, open or not; false if it is not known. */
static bool
settle_take_id(const Ledger *ledger, const NamedHold *named, Side side,
			   Datum *id)
{
	if (named->hold != NULL)
		*id = named->hold->ids[side];
	else if (settle_is_hold(named->entry) && !named->entry->no_id[side])
		*id = ids_convert(ledger->journal->types[JOURNAL_FROM_ID + side],
						  ledger->accounts.id.type, named->entry->ids[side]);
	else
		return false;
	return true;
}

/*
 * Take the accounts of one transfer from its hold.  Those of one that is settled
 * are wanted for the result of a replay.
 */
static void
settle_set_transfer_ids(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];

	for (int side = 0; side < NUM_SIDES; side++)
	{
		Datum id;
		Use *use;

		if (!settle_take_id(ledger, transfer->named, side, &id))
			continue;
		use = &ledger->uses[ledger->nuses++];
		use->value = id;
		use->transfer = i;
		use->side = side;
		transfer->asked.no_id[side] = false;
		transfer->asked.ids[side] = journal_convert_id(ledger->journal,
													   JOURNAL_FROM_ID + side,
													   ledger->accounts.id.type,
													   use->value);
	}
}

/* Take the accounts of the holds that are posted or voided. */
void
settle_set_ids(Ledger *ledger)
{
	Progress progress;

	if (ledger->nnamed == 0)
		return;
	ledger_progress(ledger, &progress);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		progress.number = i;
		if (ledger->transfers[i].named != NULL)
			settle_set_transfer_ids(ledger, i);
	}
	progress_end(&progress);
}

/* ----------
 * Checking
 * ----------
 */

/*
 * Check that a hold is open.  Before the payer is locked, it is not known yet
 * whether it has expired.
 */
TransferStatus
settle_check_open(const Ledger *ledger, const Transfer *transfer)
{
	const NamedHold *named = transfer->named;
	bool expires = transfer->asked.kind == ENTRY_EXPIRY;
	bool has_expired;

	if (named == NULL)
		return TRANSFER_OK;
	if (named->hold == NULL)
	{
		if (!settle_is_hold(named->entry))
			return TRANSFER_HOLD_NOT_FOUND;
		return named->lapsed ? TRANSFER_HOLD_EXPIRED : TRANSFER_HOLD_SETTLED;
	}
	if (!money_is_positive(named->rest))
		return TRANSFER_HOLD_SETTLED;
	has_expired = named->hold->expires &&
				  named->hold->expires_at <= ledger->rules.now;
	if (has_expired && !expires)
		return TRANSFER_HOLD_EXPIRED;
	if (expires && !has_expired && ledger->rules.now != 0)
		return TRANSFER_HOLD_SETTLED;
	return TRANSFER_OK;
}

/* Check what is asked for of the hold, and choose the amount. */
TransferStatus
settle_check_rest(const Ledger *ledger, const Transfer *transfer,
				  Numeric *amount)
{
	Numeric rest = transfer->named->rest;

	*amount = rest;
	if (transfer->asked.kind != ENTRY_POST)
		return TRANSFER_OK;
	if (transfer->asked.amount == NULL)
		return rules_check_asked(&ledger->rules, ENTRY_POST,
								 &transfer->sides[PAYER]->account,
								 &transfer->sides[PAYEE]->account, rest);
	*amount = transfer->asked.amount;
	return !transfer->beyond && money_compare(*amount, rest) > 0
			   ? TRANSFER_OVER_POSTED
			   : TRANSFER_OK;
}

/* Check that a hold is to expire in the future, and that nothing else is. */
TransferStatus
settle_check_expiry(const Ledger *ledger, const Transfer *transfer)
{
	const Asked *asked = &transfer->asked;

	if (asked->has_expiry &&
		(asked->kind != ENTRY_HOLD ||
		 (ledger->rules.now != 0 && asked->expires_at <= ledger->rules.now)))
		return TRANSFER_EXPIRY_INVALID;
	return TRANSFER_OK;
}

/* Raise the error that a failure of one of these checks is. */
void
settle_raise(const Ledger *ledger, const Transfer *transfer,
			 TransferStatus status)
{
	const char *journal = journal_table_name(ledger->journal);
	const NamedHold *named = transfer->named;

	switch (status)
	{
		case TRANSFER_HOLD_NOT_FOUND:
			ereport(ERROR,
					(errcode(ERRCODE_RACEFREE_HOLD_NOT_FOUND),
					 errmsg("journal \"%s\" has no hold " INT64_FORMAT, journal,
							named->id),
					 named->entry != NULL
						 ? errdetail("The entry is of another kind.")
						 : 0,
					 traits_has_row_security(ledger->journal->table)
						 ? errhint("Row-level security may hide the entry.")
						 : 0));
			break;
		case TRANSFER_HOLD_SETTLED:
			ereport(ERROR,
					(errcode(ERRCODE_RACEFREE_HOLD_SETTLED),
					 errmsg("hold " INT64_FORMAT " of journal \"%s\" was "
							"settled before",
							named->id, journal),
					 errdetail("Nothing is left of it."),
					 traits_has_row_security(ledger->holds->table)
						 ? errhint("Row-level security may hide the hold.")
						 : 0));
			break;
		case TRANSFER_HOLD_EXPIRED:
			ereport(ERROR,
					(errcode(ERRCODE_RACEFREE_HOLD_EXPIRED),
					 errmsg("hold " INT64_FORMAT " of journal \"%s\" has "
							"expired",
							named->id, journal),
					 errdetail("It expired at %s.",
							   timestamptz_to_str(
								   named->hold != NULL
									   ? named->hold->expires_at
									   : named->entry->expires_at))));
			break;
		case TRANSFER_OVER_POSTED:
			ereport(ERROR,
					(errcode(ERRCODE_RACEFREE_OVER_POSTED),
					 errmsg("cannot post more of hold " INT64_FORMAT
							" than is held",
							named->id),
					 errdetail("Of it %s is left, the amount is %s.",
							   money_print(named->rest),
							   money_print(transfer->asked.amount)),
					 errhint("With \"beyond\", the rest is taken from the "
							 "payer's funds.")));
			break;
		default:
			break;
	}
	elog(ERROR, "unexpected status of a hold: %d", (int) status);
}
