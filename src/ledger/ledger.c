/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Transfers, one or many, between accounts.
 *
 * One engine makes all transfers: a single one is a batch of one.
 *
 *	1. Requests, and entries that are to be reversed, are locked by their keys,
 *	   all at once and in canonical order; those that were booked are found.
 *	2. The accounts are locked, all at once and in the order of the primary key,
 *	   or of their ids where there is none.
 *	3. The transfers are applied in memory, in order and by the rules.
 *	4. The balances are stored, and the entries are booked.
 *	5. Where user code could run, accounts and entries are read again.
 *
 * So locks are always taken in one order, keys before rows, and transfers never
 * wait for each other in a circle.
 *
 * For one transfer on a plain table, steps 2 to 4 are two UPDATEs; where they
 * do not suffice, the careful way takes over.  The locks of the UPDATEs are in
 * order, too, so the ways mix.
 *
 * Everything is allocated in the memory context that run_begin() makes, and
 * goes with run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/early_release.h"
#include "base/errors.h"
#include "ledger/beside.h"
#include "ledger/guarded.h"
#include "ledger/journal_rules.h"
#include "ledger/ledger_private.h"
#include "table/json.h"
#include "table/traits.h"

/* Error context callback: the transfer with that number, from 0. */
static void
ledger_error_context(int number, void *arg)
{
	errcontext("transfer %d", number + 1);
}

/* Begin to name the transfer that is worked on, if there are many. */
void
ledger_progress(const Ledger *ledger, Progress *progress)
{
	progress_begin(progress, ledger->many ? ledger_error_context : NULL, NULL);
}

/* ----------
 * Opening and closing
 * ----------
 */

/* Open the journal, if there is one, and take its rules. */
static void
ledger_open_journal(Ledger *ledger, const LedgerArgs *args)
{
	if (!args->has_journal)
		return;
	ledger->journal = &ledger->journal_space;
	journal_open(ledger->journal, args->journal, RowExclusiveLock);
	journal_check_accounts(ledger->journal, &ledger->accounts);
	journal_rules_apply(ledger->journal, &ledger->accounts);
	if (!ledger->accounts.has_held)
		return;
	ledger->holds = &ledger->holds_space;
	holds_open(ledger->holds, ledger->journal,
			   journal_rules_holds(ledger->journal), ledger->accounts.id.type,
			   RowExclusiveLock);
}

/* Check that the accounts can take part in a batch. */
static void
ledger_check_batch(const Ledger *ledger)
{
	if (ledger->many && !accounts_match_is_stable(&ledger->accounts))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("accounts of a batch cannot be matched by the balance "
						"or by a generated column"),
				 errdetail("It could change from one transfer to the next.")));
}

/*
 * Open the tables, and take the limits.
 */
Ledger *
ledger_open(const LedgerArgs *args)
{
	Ledger *ledger;

	rules_check_args(&args->limits);
	run_begin();
	ledger = palloc0(sizeof(Ledger));
	ledger->many = args->many;
	ledger->access = args->many ? &by_set : &by_row;
	ledger->nobody.account.id_null = true;
	if (args->many)
		ledger->scratch = AllocSetContextCreate(CurrentMemoryContext,
												"racefree transfers",
												ALLOCSET_SMALL_SIZES);
	accounts_open(&ledger->accounts, args->row_type, RowExclusiveLock,
				  args->id_column, args->balance_column);
	accounts_set_match(&ledger->accounts, args->must_match);
	ledger_check_batch(ledger);
	ledger_open_journal(ledger, args);
	beside_check(&ledger->accounts, ledger->journal, ledger->holds);
	ledger->guarded = guarded_check(&ledger->accounts, ledger->journal,
									ledger->holds);
	rules_resolve(&ledger->rules, &ledger->accounts,
				  ledger->journal != NULL
					  ? &ledger->journal->money[JOURNAL_AMOUNT]
					  : NULL,
				  &args->limits);
	return ledger;
}

/* Close the tables, and free everything. */
void
ledger_close(Ledger *ledger)
{
	if (ledger->holds != NULL)
		holds_close(ledger->holds);
	if (ledger->journal != NULL)
		journal_close(ledger->journal);
	accounts_close(&ledger->accounts);
	run_end();
}

/* ----------
 * Locking
 * ----------
 */

/* Return true if a transfer that is tried has no request. */
static bool
ledger_any_unnamed(const Ledger *ledger)
{
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		const Transfer *transfer = &ledger->transfers[i];

		if (transfer->fate == TRANSFER_OK && !transfer->asked.has_request)
			return true;
	}
	return false;
}

/* Lock the requests and entries, and find what was booked before. */
static void
ledger_claim(Ledger *ledger)
{
	Claim claim = {.nrequests = ledger->nrequests,
				   .nreversed = ledger->noriginals,
				   .alone = !ledger->many};
	Datum *requests = ALLOC_ARRAY(Datum, ledger->nrequests);
	int64 *reversed = ALLOC_ARRAY(int64, ledger->noriginals);

	claim.booked = ALLOC_ARRAY(JournalEntry *, ledger->nrequests);
	for (int i = 0; i < ledger->nrequests; i++)
		requests[i] = ledger->requests[i].value;
	for (int i = 0; i < ledger->noriginals; i++)
		reversed[i] = ledger->originals[i].id;
	claim.requests = requests;
	claim.reversed = reversed;
	claim.any_unnamed = beside_wants_requests(ledger->journal) &&
						ledger_any_unnamed(ledger);
	requests_claim(ledger->journal, &claim);
	for (int i = 0; i < ledger->nrequests; i++)
		ledger->requests[i].booked = claim.booked[i];
	ledger->entry_row = claim.row;
	pfree(claim.booked);
	pfree(reversed);
	pfree(requests);
}

/*
 * Only the accounts of transfers that may be applied are needed.  Of a hold, the
 * payee is only looked at: holds for one payee do not wait for each other.  The
 * same is so for what lets go of a hold, and then only for a result that shows
 * whole rows.
 */
static void
ledger_choose_needed(Ledger *ledger)
{
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		EntryKind kind = transfer->asked.kind;
		Numeric amount;

		if (apply_check_asked(ledger, i, &amount) != TRANSFER_OK)
			continue;
		transfer->sides[PAYER]->needed = true;
		if (journal_kind_moves(kind))
			transfer->sides[PAYEE]->needed = true;
		else if (kind == ENTRY_HOLD || !ledger->many)
			transfer->sides[PAYEE]->looked_at = true;
	}
}

/* Lock and read the accounts, and what is left of the holds that are named. */
static void
ledger_lock(Ledger *ledger)
{
	ledger->access->lock(ledger);
	for (int i = 0; i < ledger->nparties; i++)
	{
		Party *party = &ledger->parties[i];

		party->locked = party->account.balance;
		party->locked_held = party->account.held;
	}
	if (ledger->holds != NULL)
		ledger->access->look(ledger);
	rules_set_time(&ledger->rules);
	settle_find_again(ledger);
}

/*
 * Lock accounts, and look again.
 *
 * While a session waits for a row, the session that holds it may delete it and
 * insert another one with the same id.  The statement that waited then finds
 * nothing, since the new row is not in its snapshot, and the account would be
 * reported missing although there was one at any time.  So look, with a new
 * snapshot, whether it is there, and lock again.  Each round wants a session
 * that replaces the row just then, so a few rounds do.
 *
 * A row that is found late can be locked out of order, if rarely.  Then two
 * transfers may wait for each other, and PostgreSQL ends one of them (40P01).
 */
void
ledger_lock_again(Ledger *ledger, Party *party, bool (*lock)(Ledger *, Party *),
				  bool (*exists)(Ledger *, Party *))
{
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		if (lock(ledger, party) || !exists(ledger, party))
			return;
	}
}

/* ----------
 * Writing
 * ----------
 */

/* Let the account be written. */
static void
ledger_set_moved(const Ledger *ledger, Party *party)
{
	party->moved = true;
	if (ledger->holds != NULL)
		party->due_held = accounts_held(&party->account);
}

/*
 * Only accounts that applied transfers change are written: also where the
 * balance ends where it began, so that triggers, constraints, policies and
 * privileges apply; and those whose holds have expired.  The result is the
 * number of entries that this makes.
 */
static int
ledger_choose_moved(Ledger *ledger)
{
	int nmoved = list_length(ledger->lapses);
	ListCell *lc;

	foreach(lc, ledger->lapses)
		ledger_set_moved(ledger, ((const Lapse *) lfirst(lc))->payer);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Transfer *transfer = &ledger->transfers[i];

		if (transfer->status != TRANSFER_OK)
			continue;
		ledger_set_moved(ledger, transfer->sides[PAYER]);
		if (journal_kind_moves(transfer->asked.kind))
			ledger_set_moved(ledger, transfer->sides[PAYEE]);
		nmoved++;
	}
	return nmoved;
}

/* Error context callback: the transfer that is booked as that entry. */
static void
ledger_booking_context(int number, void *arg)
{
	const Ledger *ledger = arg;

	if (ledger->booked_by[number] >= 0)
		ledger_error_context(ledger->booked_by[number], NULL);
}

/* Count an entry, which is made, of a transfer. */
static void
ledger_add_entry(Ledger *ledger, int i)
{
	Chain *chain = ledger->transfers[i].chain;
	int n = ledger->nentries++;

	ledger->booked_by[n] = i;
	if (chain != NULL && chain->first_entry < 0)
		chain->first_entry = n;
	ledger->chained[n] = chain != NULL ? chain->first_entry : -1;
}

/* Make the entries of a transfer that was applied. */
static void
ledger_add_entries(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	JournalEntry *entry = &ledger->entries[ledger->nentries];

	journal_entry_of_asked(entry, &transfer->asked);
	entry->amount = transfer->moved.amount;
	entry->from_balance = transfer->moved.balances[PAYER];
	entry->to_balance = transfer->moved.balances[PAYEE];
	transfer->entry = entry;
	ledger_add_entry(ledger, i);
	if (settle_rest_entry(ledger, transfer, entry + 1))
		ledger_add_entry(ledger, i);
}

/* Make the entries, in the order in which they are booked. */
static void
ledger_make_entries(Ledger *ledger, int nmoved)
{
	int most = nmoved + settle_max_entries(ledger);
	ListCell *lc;

	ledger->entries = ALLOC_ARRAY(JournalEntry, most);
	ledger->booked_by = ALLOC_ARRAY(int, most);
	ledger->chained = ALLOC_ARRAY(int, most);
	foreach(lc, ledger->lapses)
	{
		settle_lapse_entry(ledger, lfirst(lc),
						   &ledger->entries[ledger->nentries]);
		ledger->booked_by[ledger->nentries] = -1;
		ledger->chained[ledger->nentries++] = -1;
	}
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		if (ledger->transfers[i].status == TRANSFER_OK)
			ledger_add_entries(ledger, i);
	}
	Assert(ledger->nentries >= nmoved && ledger->nentries <= most);
}

/* Book the entries from the first to before the next one. */
static void
ledger_book_some(Ledger *ledger, int first, int next, bool alone)
{
	Booking *booking;

	if (first == next)
		return;
	Assert(ledger->nbookings < lengthof(ledger->bookings));
	booking = &ledger->bookings[ledger->nbookings++];
	booking->journal = ledger->journal;
	booking->entries = &ledger->entries[first];
	booking->nentries = next - first;
	/* Only entries that are all booked together are in chains. */
	booking->chains = ledger->nchains > 0 ? ledger->chained : NULL;
	booking->alone = alone;
	booking->context = ledger->many ? ledger_booking_context : NULL;
	booking->arg = ledger;
	booking_insert(booking);
	if (alone)
		ledger->entry_row = booking->row;
}

/*
 * Book the transfers that were applied, and keep their entries: many at once, or
 * the one whose row is wanted by a statement of its own.
 */
static void
ledger_book(Ledger *ledger, int nmoved)
{
	int before = list_length(ledger->lapses);

	ledger_make_entries(ledger, nmoved);
	if (ledger->many)
		ledger_book_some(ledger, 0, ledger->nentries, false);
	else
	{
		Assert(nmoved == before + 1);
		ledger_book_some(ledger, 0, before, false);
		ledger_book_some(ledger, before, before + 1, true);
		ledger_book_some(ledger, before + 1, ledger->nentries, false);
	}
}

/*
 * Book what was moved.  Where user code has run with the accounts or the
 * journal, what it did must leave both as they were computed.
 */
static void
ledger_finish(Ledger *ledger, int nmoved, bool plain)
{
	BookingDoubt doubt = BOOKING_SURE;

	if (ledger->journal != NULL && nmoved > 0)
	{
		ledger_book(ledger, nmoved);
		settle_store(ledger);
		doubt = booking_doubt(ledger->journal, plain);
	}
	if (settle_ran_code(ledger))
		doubt = BOOKING_TRIGGERS;
	if (!plain || doubt == BOOKING_TRIGGERS)
		ledger->access->reread(ledger);
	for (int i = 0; i < ledger->nbookings && doubt != BOOKING_SURE; i++)
	{
		booking_check(&ledger->bookings[i]);
		if (ledger->bookings[i].alone)
			ledger->entry_row = ledger->bookings[i].row;
	}
	if (!plain || doubt == BOOKING_TRIGGERS)
	{
		reversals_check_again(ledger);
		settle_check_again(ledger);
	}
}

/* Return true if no user code runs when accounts are updated. */
static bool
ledger_updates_are_plain(const Ledger *ledger)
{
	const Accounts *accounts = &ledger->accounts;

	return !traits_update_runs_code(accounts->table,
									accounts->balance.attnum) &&
		   (!accounts->has_held ||
			!traits_update_runs_code(accounts->table, accounts->held.attnum));
}

/*
 * Make the transfers.  With "report", failures are statuses; else the first one
 * is an error.
 */
void
ledger_run(Ledger *ledger, bool report)
{
	bool plain = ledger_updates_are_plain(ledger);
	bool sound;
	int nmoved;

	ledger->report = report;
	ledger->work->kind = WORK_RUN;
	if (ledger->journal != NULL)
		ledger_claim(ledger);
	/* Now, before the accounts are locked.  Of a single one more is told. */
	if (ledger->many)
		told_flush_replays(ledger);
	reversals_find(ledger);
	reversals_set_ids(ledger);
	settle_find(ledger);
	settle_set_ids(ledger);
	ask_resolve_parties(ledger);
	ledger_choose_needed(ledger);
	racefree_injection_point("racefree-request-claimed");

	sound = !ledger->many && !report && plain && by_row_move_if_sound(ledger);
	if (!sound)
	{
		ledger_lock(ledger);
		racefree_injection_point("racefree-accounts-locked");
		apply_all(ledger);
		if (report)
			told_flush_failures(ledger);
	}
	nmoved = ledger_choose_moved(ledger);

	/*
	 * Citus tells other nodes to commit when this server has committed.  Were
	 * that not on disk yet, a crash could undo it here, and not there.
	 */
	if (nmoved > 0 && !spread_is_known())
		early_release_allow();
	if (!sound)
		ledger->access->store(ledger);
	racefree_injection_point("racefree-accounts-stored");
	ledger_finish(ledger, nmoved, plain);
	racefree_injection_point("racefree-transfer-booked");
	if (ledger->access->show != NULL &&
		ledger->transfers[0].status == TRANSFER_REPLAYED)
	{
		ledger->access->show(ledger);
		told_flush_replays(ledger);
	}
	ledger->work->kind = WORK_OTHER;
}

/*
 * Let go of holds that have expired.  Each is a transfer of the batch, which
 * fails if the hold is gone when its payer is locked.
 */
int
ledger_expire(Ledger *ledger, int64 most, Jsonb *columns)
{
	LedgerInput input = {0};
	int *kinds;
	int64 *entries;
	bool *no_nulls;
	bool *all_nulls;
	int released = 0;
	int n;

	settle_need(ledger);
	entries = holds_expired(ledger->holds, GetCurrentTimestamp(), most, &n);
	kinds = ALLOC_ARRAY(int, n);
	no_nulls = ALLOC_ARRAY0(bool, n);
	all_nulls = ALLOC_ARRAY(bool, n);
	input.ntransfers = n;
	input.entry_ids = (LedgerColumn){INT8OID, ALLOC_ARRAY(Datum, n), no_nulls};
	input.amounts = (LedgerColumn){NUMERICOID, ALLOC_ARRAY0(Datum, n),
								   all_nulls};
	input.kinds = kinds;
	input.columns = ALLOC_ARRAY(Jsonb *, n);
	for (int i = 0; i < n; i++)
	{
		kinds[i] = ENTRY_EXPIRY;
		input.columns[i] = columns;
		all_nulls[i] = true;
		input.entry_ids.values[i] = Int64GetDatum(entries[i]);
	}
	ledger_ask(ledger, &input);
	ledger_run(ledger, true);
	for (int i = 0; i < n; i++)
		released += ledger->transfers[i].status == TRANSFER_OK ? 1 : 0;
	return released;
}

/* ----------
 * Results
 * ----------
 */

/* What the payer has, and has not reserved, after a transfer that was made. */
static Numeric
ledger_available(const Ledger *ledger, const Transfer *transfer)
{
	const Account *payer = &transfer->sides[PAYER]->account;
	Numeric balance = transfer->moved.balances[PAYER];
	Numeric held = transfer->moved.held;

	if (ledger->holds == NULL)
		return balance;
	/* What this call lets expire is booked before all else. */
	if (payer->released != NULL)
		held = money_minus(held, payer->released);
	return money_minus(balance, held);
}

/* The outcome of a transfer: of a replay, what its entry says. */
void
ledger_result(const Ledger *ledger, int i, LedgerResult *result)
{
	const Transfer *transfer = &ledger->transfers[i];
	const JournalEntry *entry;

	Assert(i >= 0 && i < ledger->ntransfers);
	memset(result, 0, sizeof(LedgerResult));
	result->status = transfer->status;
	if (transfer->fate != TRANSFER_OK && transfer->status == transfer->fate)
		result->reason = ledger->reasons[i];
	if (transfer->status == TRANSFER_REPLAYED &&
		transfer->request->booked == NULL)
	{
		Assert(transfer->request->done >= 0);
		transfer = &ledger->transfers[transfer->request->done];
	}
	if (transfer->status == TRANSFER_OK)
	{
		entry = transfer->entry;
		result->amount = transfer->moved.amount;
		result->balances[PAYER] = transfer->moved.balances[PAYER];
		result->balances[PAYEE] = transfer->moved.balances[PAYEE];
	}
	else if (transfer->status == TRANSFER_REPLAYED)
	{
		entry = transfer->request->booked;
		result->amount = entry->amount;
		result->balances[PAYER] = entry->from_balance;
		result->balances[PAYEE] = entry->to_balance;
	}
	else
		return;
	if (result->status == TRANSFER_OK)
		result->available = ledger_available(ledger, transfer);
	result->has_entry = entry != NULL && entry->has_id;
	if (result->has_entry)
		result->entry = entry->id;
}

/* The table of the accounts. */
const Target *
ledger_accounts(const Ledger *ledger)
{
	return ledger->accounts.table;
}

/* The row of an account as it is now, of a ledger that is not for many. */
bool
ledger_account_row(const Ledger *ledger, Side side, Datum *row)
{
	const Party *party = ledger->transfers[0].sides[side];
	const PartyRow *place;

	Assert(!ledger->many);
	if (party == &ledger->nobody)
		return false;
	place = &ledger->rows[party - ledger->parties];
	if (place->set.nrows == 0)
		return false;
	*row = rowset_form_row(&place->set, place->i);
	return true;
}

/* The row of the entry as JSON, of a ledger that is not for many. */
bool
ledger_entry_json(const Ledger *ledger, Datum *json)
{
	Assert(!ledger->many);
	if (ledger->journal == NULL)
		return false;
	*json = json_from_row(ledger->journal->table,
						  rowset_form_row(&ledger->entry_row, 0));
	return true;
}
