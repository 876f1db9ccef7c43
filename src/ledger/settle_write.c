/*-------------------------------------------------------------------------
 *
 * settle_write.c
 *	  What settling holds writes: entries, and what is left of the holds.
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

#include "base/errors.h"
#include "ledger/holds_write.h"
#include "ledger/ledger_private.h"
#include "table/indexes.h"
#include "table/traits.h"

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
