/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Holds that transfers post, void, or let expire.
 *
 * What settles a hold takes its accounts from the hold, and its amount, if none
 * is given, from what is left of it.  Holds are looked for before their payers
 * are known, and so before these are locked, and again afterwards: whoever
 * changes a hold has locked its payer's row until its transaction ends, so what
 * is found then stays.
 *
 * Where a payer lacks funds, those of its holds that have expired are let go
 * first, once in a call.  They are booked before all else, and are not undone
 * with a chain that fails even so.
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

/* ----------
 * Holds that have expired
 * ----------
 */

/*
 * Those of the columns that several entries can have alike: one that is unique is
 * left to its DEFAULT.
 */
static const ColumnValues *
settle_repeated_columns(const Ledger *ledger, const ColumnValues *columns)
{
	ColumnValues *repeated;
	int n = 0;

	if (columns == NULL)
		return NULL;
	repeated = values_make(columns->ncolumns);
	for (int i = 0; i < columns->ncolumns; i++)
	{
		if (!indexes_unique(ledger->journal->table, columns->attnums[i]))
			values_set(repeated, n++, columns->attnums[i], columns->values[i],
					   columns->nulls[i]);
	}
	repeated->ncolumns = n;
	return n > 0 ? repeated : NULL;
}

/*
 * Let a payer's holds that have expired go, once in a call; false if there is
 * nothing to let go.  The entries have these columns of the journal's own.  The
 * payer is locked.  If less was held of it than its holds say, nothing is let
 * go: verify_journal() tells of it.
 */
bool
settle_lapse(Ledger *ledger, Party *payer, const ColumnValues *columns)
{
	Account *account = &payer->account;
	Numeric released = int64_to_numeric(0);
	Hold *holds;
	int n;

	Assert(account->found && !account->held_null && account->released == NULL);
	payer->expired = true;
	holds = holds_expired_of(ledger->holds, account->id, ledger->rules.now, &n);
	for (int i = 0; i < n; i++)
		released = money_plus(released, holds[i].rest);
	if (n == 0 || money_compare(released, account->held) > 0 ||
		money_compare(released, payer->locked_held) > 0)
		return false;
	account->released = released;
	for (int i = 0; i < n; i++)
	{
		Lapse *lapse = palloc(sizeof(Lapse));

		lapse->payer = payer;
		lapse->hold = &holds[i];
		lapse->columns = settle_repeated_columns(ledger, columns);
		ledger->lapses = lappend(ledger->lapses, lapse);
	}
	return true;
}

/* ----------
 * Entries
 * ----------
 */

/* The most entries that are booked besides those of transfers. */
int
settle_max_entries(const Ledger *ledger)
{
	return list_length(ledger->lapses) +
		   (ledger->nnamed > 0 ? ledger->ntransfers : 0);
}

/* Make an entry that settles a hold, and moves nothing. */
static void
settle_make_entry(JournalEntry *entry, EntryKind kind, int64 hold,
				  Numeric amount, Numeric balance)
{
	memset(entry, 0, sizeof(JournalEntry));
	entry->has_kind = true;
	entry->kind = kind;
	entry->has_settles = true;
	entry->settles = hold;
	entry->amount = amount;
	entry->from_balance = balance;
}

/* The entry of a hold that expires: the first of the call, for its payer. */
void
settle_lapse_entry(const Ledger *ledger, const Lapse *lapse,
				   JournalEntry *entry)
{
	const Hold *hold = lapse->hold;

	settle_make_entry(entry, ENTRY_EXPIRY, hold->entry, hold->rest,
					  lapse->payer->locked);
	entry->columns = lapse->columns;
	for (int side = 0; side < NUM_SIDES; side++)
		entry->ids[side] = journal_convert_id(ledger->journal,
											  JOURNAL_FROM_ID + side,
											  ledger->accounts.id.type,
											  hold->ids[side]);
}

/* The entry that voids what a final post leaves; false if there is none. */
bool
settle_rest_entry(const Ledger *ledger, const Transfer *transfer,
				  JournalEntry *entry)
{
	if (transfer->named == NULL || transfer->moved.left == NULL)
		return false;
	settle_make_entry(entry, ENTRY_VOID, transfer->named->id,
					  transfer->moved.left, transfer->moved.balances[PAYER]);
	for (int side = 0; side < NUM_SIDES; side++)
		entry->ids[side] = transfer->asked.ids[side];
	entry->columns = settle_repeated_columns(ledger, transfer->asked.columns);
	return true;
}

/* ----------
 * Storing
 * ----------
 */

/* Return true if transfers of this call have changed the hold. */
static bool
settle_was_changed(const NamedHold *named)
{
	return named->hold != NULL && named->rest != named->hold->rest;
}

/* Delete the holds of which nothing is left. */
static void
settle_delete(const Ledger *ledger)
{
	int most = ledger->nnamed + list_length(ledger->lapses);
	const Hold **gone = ALLOC_ARRAY(const Hold *, most);
	int ngone = 0;
	ListCell *lc;

	foreach(lc, ledger->lapses)
		gone[ngone++] = ((const Lapse *) lfirst(lc))->hold;
	for (int i = 0; i < ledger->nnamed; i++)
	{
		const NamedHold *named = &ledger->named[i];

		if (settle_was_changed(named) && !money_is_positive(named->rest))
			gone[ngone++] = named->hold;
	}
	if (ngone > 0)
		holds_delete(ledger->holds, gone, ngone);
	pfree(gone);
}

/* A hold that was changed, as it is to be stored; NULL if nothing is left. */
static const Hold *
settle_changed_hold(const NamedHold *named)
{
	Hold *hold;

	if (!money_is_positive(named->rest))
		return NULL;
	hold = palloc(sizeof(Hold));
	*hold = *named->hold;
	hold->rest = named->rest;
	return hold;
}

/* Store what is left of the others that were changed. */
static void
settle_update(const Ledger *ledger)
{
	const Hold **changed = ALLOC_ARRAY(const Hold *, ledger->nnamed);
	int nchanged = 0;

	for (int i = 0; i < ledger->nnamed; i++)
	{
		const NamedHold *named = &ledger->named[i];

		if (settle_was_changed(named) && money_is_positive(named->rest))
			changed[nchanged++] = settle_changed_hold(named);
	}
	if (nchanged > 0)
		holds_update(ledger->holds, changed, nchanged);
	pfree(changed);
}

/* Return true if the transfer was a hold, and was made. */
static bool
settle_is_made(const Transfer *transfer)
{
	return transfer->status == TRANSFER_OK &&
		   transfer->asked.kind == ENTRY_HOLD;
}

/* The hold that a transfer has made. */
static const Hold *
settle_made_hold(const Transfer *transfer)
{
	Hold *hold = palloc(sizeof(Hold));

	Assert(transfer->entry != NULL && transfer->entry->has_id);
	hold->entry = transfer->entry->id;
	for (int side = 0; side < NUM_SIDES; side++)
		hold->ids[side] = transfer->sides[side]->account.id;
	hold->rest = transfer->moved.amount;
	hold->expires = transfer->asked.has_expiry;
	hold->expires_at = transfer->asked.expires_at;
	return hold;
}

/* Insert the holds that were made. */
static void
settle_insert(const Ledger *ledger)
{
	const Hold **made = ALLOC_ARRAY(const Hold *, ledger->ntransfers);
	int nmade = 0;

	for (int i = 0; i < ledger->ntransfers; i++)
	{
		const Transfer *transfer = &ledger->transfers[i];

		if (!settle_is_made(transfer))
			continue;
		if (!transfer->entry->has_id)
			error_insert_suppressed(target_relation(ledger->journal->table));
		made[nmade++] = settle_made_hold(transfer);
	}
	if (nmade > 0)
		holds_insert(ledger->holds, made, nmade);
	pfree(made);
}

/* Store the holds, when all entries are booked. */
void
settle_store(const Ledger *ledger)
{
	if (ledger->holds == NULL)
		return;
	settle_delete(ledger);
	settle_update(ledger);
	settle_insert(ledger);
}

/* ----------
 * Checking again
 * ----------
 */

/* Return true if code of the user's can have run while holds were stored. */
bool
settle_ran_code(const Ledger *ledger)
{
	const Holds *holds = ledger->holds;

	return holds != NULL &&
		   (traits_insert_ran_code(holds->table) ||
			traits_update_runs_code(holds->table,
									holds->columns[HOLDS_AMOUNT]) ||
			traits_delete_runs_code(holds->table));
}

/* Holds that a call has stored, by their entries; NULL of those that are gone. */
typedef struct StoredHolds
{
	int n;
	int64 *entries;
	const Hold **holds;
} StoredHolds;

static void
stored_add(StoredHolds *stored, int64 entry, const Hold *hold)
{
	stored->entries[stored->n] = entry;
	stored->holds[stored->n++] = hold;
}

/* All holds that the call has stored. */
static void
settle_list_stored(const Ledger *ledger, StoredHolds *stored)
{
	int most = ledger->nnamed + list_length(ledger->lapses) +
			   ledger->ntransfers;
	ListCell *lc;

	stored->n = 0;
	stored->entries = ALLOC_ARRAY(int64, most);
	stored->holds = ALLOC_ARRAY(const Hold *, most);
	for (int i = 0; i < ledger->nnamed; i++)
	{
		const NamedHold *named = &ledger->named[i];

		if (settle_was_changed(named))
			stored_add(stored, named->id, settle_changed_hold(named));
	}
	foreach(lc, ledger->lapses)
		stored_add(stored, ((const Lapse *) lfirst(lc))->hold->entry, NULL);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		const Transfer *transfer = &ledger->transfers[i];

		if (settle_is_made(transfer))
			stored_add(stored, transfer->entry->id, settle_made_hold(transfer));
	}
}

/* Return true if both are the same hold, of which the same is left. */
static bool
settle_is_same(const Ledger *ledger, const Hold *a, const Hold *b)
{
	const IdColumn *id = &ledger->accounts.id;

	if (a == NULL || b == NULL)
		return a == b;
	return money_compare(a->rest, b->rest) == 0 &&
		   ids_compare(id, a->ids[PAYER], b->ids[PAYER]) == 0 &&
		   ids_compare(id, a->ids[PAYEE], b->ids[PAYEE]) == 0 &&
		   a->expires == b->expires &&
		   (!a->expires || a->expires_at == b->expires_at);
}

/*
 * Check that user code has not changed the holds, after all triggers have run.
 */
void
settle_check_again(const Ledger *ledger)
{
	StoredHolds stored;
	Hold **found;

	if (ledger->holds == NULL)
		return;
	settle_list_stored(ledger, &stored);
	found = ALLOC_ARRAY(Hold *, stored.n);
	if (stored.n > 0)
		holds_find(ledger->holds, stored.entries, stored.n, found);
	for (int i = 0; i < stored.n; i++)
	{
		if (!settle_is_same(ledger, stored.holds[i], found[i]))
			holds_error_changed(ledger->holds, stored.entries[i]);
	}
	pfree(found);
	pfree(stored.holds);
	pfree(stored.entries);
}
