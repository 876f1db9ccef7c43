/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Transfers are applied to accounts in memory, by the rules and in order.
 *
 * A chain that fails is as if it had not been there: what was applied since
 * its first transfer is undone, and applied again without it.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "ledger/ledger_private.h"

/* ----------
 * Checking one transfer
 * ----------
 */

/* The entry of a request that a transfer of this call does. */
static JournalEntry *
apply_entry_of_done(const Ledger *ledger, const Request *request)
{
	const Transfer *done = &ledger->transfers[request->done];
	JournalEntry *entry = palloc(sizeof(JournalEntry));

	Assert(done->status == TRANSFER_OK);
	journal_entry_of_asked(entry, &done->asked);
	entry->amount = done->moved.amount;
	return entry;
}

/*
 * Return true if the request was done as the transfer asks for it, before this
 * call or by it.
 */
static bool
apply_is_replay(const Ledger *ledger, const Transfer *transfer)
{
	const Request *request = transfer->request;
	JournalEntry *done = NULL;
	const JournalEntry *entry = request->booked;
	bool same;

	if (entry == NULL)
		entry = done = apply_entry_of_done(ledger, request);
	same = requests_is_replay(ledger->journal, entry, &transfer->asked,
							  ledger->rules.up_to);
	if (done != NULL)
		pfree(done);
	return same;
}

/* Check the request of a transfer: TRANSFER_OK if it was not done yet. */
static TransferStatus
apply_check_request(const Ledger *ledger, const Transfer *transfer)
{
	const Request *request = transfer->request;

	if (request == NULL || (request->booked == NULL && request->done < 0))
		return TRANSFER_OK;
	return apply_is_replay(ledger, transfer) ? TRANSFER_REPLAYED
											 : TRANSFER_REQUEST_DIFFERS;
}

/*
 * Check a transfer as far as that needs no account, and choose the amount that
 * it is about.
 */
TransferStatus
apply_check_asked(const Ledger *ledger, int i, Numeric *amount)
{
	const Transfer *transfer = &ledger->transfers[i];
	TransferStatus status;

	if (transfer->fate != TRANSFER_OK)
		return transfer->fate;
	if (transfer->kind_invalid)
		return TRANSFER_KIND_INVALID;
	status = apply_check_request(ledger, transfer);
	if (status == TRANSFER_OK)
		status = settle_check_open(ledger, transfer);
	if (status == TRANSFER_OK)
		status = transfer->asked_status;
	if (status == TRANSFER_OK)
		status = settle_check_expiry(ledger, transfer);
	if (status != TRANSFER_OK)
		return status;
	*amount = transfer->asked.amount;
	if (transfer->original != NULL)
		return reversals_check_rest(ledger, transfer, amount);
	if (transfer->named != NULL)
		return settle_check_rest(ledger, transfer, amount);
	return TRANSFER_OK;
}

/* A copy of a number, which may be NULL. */
static Numeric
apply_keep(Numeric number)
{
	return number == NULL ? NULL : money_copy(number);
}

/* Copy what outlives the scratch context; an amount may be the caller's. */
static void
apply_keep_moved(Transfer *transfer, const Moved *moved)
{
	transfer->moved.amount = moved->amount == transfer->asked.amount
								 ? moved->amount
								 : money_copy(moved->amount);
	for (int side = 0; side < NUM_SIDES; side++)
		transfer->moved.balances[side] = apply_keep(moved->balances[side]);
	transfer->moved.held = apply_keep(moved->held);
	transfer->moved.rest = apply_keep(moved->rest);
	transfer->moved.left = apply_keep(moved->left);
}

/* What a transfer is about, with that amount. */
static Deal
apply_deal(const Transfer *transfer, Numeric amount)
{
	Deal deal = {transfer->asked.kind, amount, NULL, transfer->final};

	if (transfer->named != NULL)
		deal.rest = transfer->named->rest;
	return deal;
}

/*
 * Check a transfer on the balances that it finds, and compute what it does.
 * "lacks" says whether it would do more if the payer had more funds.
 */
static TransferStatus
apply_check_now(const Ledger *ledger, int i, Moved *moved, bool *lacks)
{
	const Transfer *transfer = &ledger->transfers[i];
	Numeric amount;
	TransferStatus status = apply_check_asked(ledger, i, &amount);
	Deal deal;

	*lacks = false;
	if (status != TRANSFER_OK)
		return status;
	deal = apply_deal(transfer, amount);
	status = rules_check_accounts(&ledger->rules,
								  &transfer->sides[PAYER]->account,
								  &transfer->sides[PAYEE]->account, &deal,
								  moved);
	*lacks = status == TRANSFER_FUNDS || status == TRANSFER_MOVED_NOT_EXACT ||
			 status == TRANSFER_HELD_OUT_OF_RANGE ||
			 (status == TRANSFER_OK &&
			  money_compare(moved->amount, amount) < 0);
	return status;
}

/* The status of a transfer whose chain has failed already. */
static TransferStatus
apply_status_in_failed_chain(const Ledger *ledger, int i)
{
	const Transfer *transfer = &ledger->transfers[i];
	const Chain *chain = transfer->chain;

	Assert(chain->failed && i >= chain->first);
	/* What was booked before this call stays booked. */
	if (transfer->request != NULL && transfer->request->booked != NULL &&
		apply_check_request(ledger, transfer) == TRANSFER_REPLAYED)
		return TRANSFER_REPLAYED;
	return chain->failure == i ? chain->status : TRANSFER_CHAIN_FAILED;
}

/* Return true if the payer can have holds that have expired. */
static bool
apply_can_lapse(const Ledger *ledger, const Party *payer)
{
	return ledger->holds != NULL && !payer->expired &&
		   money_is_positive(payer->account.held);
}

/*
 * Choose the status of a transfer.  Only what is needed later is kept, since a
 * transfer of a chain may be checked many times.
 */
static TransferStatus
apply_check(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	Party *payer = transfer->sides[PAYER];
	MemoryContext old = CurrentMemoryContext;
	bool lacks = false;
	TransferStatus status;
	Moved moved;

	if (ledger->scratch != NULL)
		MemoryContextSwitchTo(ledger->scratch);
	if (transfer->chain != NULL && transfer->chain->failed)
		status = apply_status_in_failed_chain(ledger, i);
	else
		status = apply_check_now(ledger, i, &moved, &lacks);
	MemoryContextSwitchTo(old);
	if (lacks && apply_can_lapse(ledger, payer) &&
		settle_lapse(ledger, payer, transfer->asked.columns))
	{
		if (ledger->scratch != NULL)
			MemoryContextReset(ledger->scratch);
		return apply_check(ledger, i);
	}
	if (status == TRANSFER_OK)
	{
		if (ledger->scratch != NULL)
			apply_keep_moved(transfer, &moved);
		else
			transfer->moved = moved;
	}
	if (ledger->scratch != NULL)
		MemoryContextReset(ledger->scratch);
	return status;
}

/* ----------
 * Applying and undoing
 * ----------
 */

/* Note that a transfer's request is done, and what it reverses. */
void
apply_note_done(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	Original *original = transfer->original;

	if (transfer->request != NULL)
		transfer->request->done = i;
	if (transfer->named != NULL)
	{
		transfer->rest_before = transfer->named->rest;
		transfer->named->rest = transfer->moved.rest;
	}
	if (original == NULL)
		return;
	transfer->reversed_before = original->reversed;
	original->reversed = money_plus(original->reversed, transfer->moved.amount);
	Assert(money_compare(original->reversed, original->moved) <= 0);
}

/* Apply a transfer that was checked. */
static void
apply_transfer(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	Account *payer = &transfer->sides[PAYER]->account;

	for (int side = 0; side < NUM_SIDES; side++)
	{
		Account *account = &transfer->sides[side]->account;

		if (transfer->moved.balances[side] == NULL)
			continue;
		Assert(account->found);
		transfer->before[side] = account->balance;
		account->balance = transfer->moved.balances[side];
		Assert(money_is_finite(account->balance));
	}
	if (ledger->holds != NULL)
	{
		transfer->held_before = payer->held;
		payer->held = transfer->moved.held;
	}
	apply_note_done(ledger, i);
}

/* Undo a transfer, if it was applied: the last one that is. */
static void
apply_undo(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	Moved *moved = &transfer->moved;

	if (transfer->status != TRANSFER_OK)
		return;
	for (int side = 0; side < NUM_SIDES; side++)
	{
		Account *account = &transfer->sides[side]->account;

		if (moved->balances[side] == NULL)
			continue;
		Assert(account->balance == moved->balances[side]);
		account->balance = transfer->before[side];
		pfree(moved->balances[side]);
	}
	if (ledger->holds != NULL)
	{
		Assert(transfer->sides[PAYER]->account.held == moved->held);
		transfer->sides[PAYER]->account.held = transfer->held_before;
		pfree(moved->held);
	}
	if (transfer->named != NULL)
	{
		pfree(transfer->named->rest);
		transfer->named->rest = transfer->rest_before;
	}
	if (transfer->request != NULL)
		transfer->request->done = -1;
	if (transfer->original != NULL)
	{
		pfree(transfer->original->reversed);
		transfer->original->reversed = transfer->reversed_before;
	}
	if (transfer->moved.amount != transfer->asked.amount)
		pfree(transfer->moved.amount);
}

/* Raise the error that a failure is. */
void
apply_raise(Ledger *ledger, int i, TransferStatus status)
{
	const Transfer *transfer = &ledger->transfers[i];
	Numeric amount = transfer->asked.amount;
	Progress progress;
	Deal deal;

	Assert(status != TRANSFER_OK && status != TRANSFER_REPLAYED);
	Assert(status != TRANSFER_CHAIN_FAILED);
	ledger_progress(ledger, &progress);
	progress.number = i;
	told_flush_failure(ledger, i, status);
	switch (status)
	{
		case TRANSFER_REQUEST_DIFFERS:
			requests_raise_difference(
				ledger->journal,
				transfer->request->booked != NULL
					? transfer->request->booked
					: apply_entry_of_done(ledger, transfer->request),
				&transfer->asked, ledger->rules.up_to);
		case TRANSFER_KIND_INVALID:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid kind of transfer"),
					 errhint("A \"transfer\" or \"hold\" names accounts, a "
							 "\"reversal\", \"post\" or \"void\" an entry.")));
			break;
		case TRANSFER_HOLD_NOT_FOUND:
		case TRANSFER_HOLD_SETTLED:
		case TRANSFER_HOLD_EXPIRED:
		case TRANSFER_OVER_POSTED:
			settle_raise(ledger, transfer, status);
		case TRANSFER_ENTRY_NOT_FOUND:
		case TRANSFER_ENTRY_INCOMPLETE:
		case TRANSFER_OVER_REVERSED:
			reversals_raise(ledger, transfer, status);
		default:
			if (transfer->original != NULL && amount == NULL)
				amount = reversals_rest(transfer->original);
			if (transfer->named != NULL && amount == NULL)
				amount = transfer->named->rest;
			deal = apply_deal(transfer, amount);
			rules_raise(&ledger->rules, status,
						&transfer->sides[PAYER]->account,
						&transfer->sides[PAYEE]->account, &deal);
	}
}

/* A transfer failed: so does its chain.  Return the transfer to go on with. */
static int
apply_fail(Ledger *ledger, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	Chain *chain = transfer->chain;

	if (!ledger->report)
		apply_raise(ledger, i, transfer->status);
	if (chain == NULL || chain->failed)
		return i + 1;
	Assert(chain->first <= i);
	chain->failed = true;
	chain->failure = i;
	chain->status = transfer->status;
	for (int done = i - 1; done >= chain->first; done--)
		apply_undo(ledger, done);
	return chain->first;
}

/*
 * Apply all transfers, in order.  The first one that fails is an error; or, if
 * failures are to be reported, has a status.  When one of a chain fails, go on
 * from the first of the chain, without the chain.
 *
 * The accounts of transfers that may be applied are locked and read; requests
 * are locked, and those that were booked before are known.
 */
void
apply_all(Ledger *ledger)
{
	int i = 0;

	while (i < ledger->ntransfers)
	{
		Transfer *transfer = &ledger->transfers[i];

		CHECK_FOR_INTERRUPTS();
		if (transfer->fate == TRANSFER_LEFT_OUT)
		{
			transfer->status = TRANSFER_LEFT_OUT;
			i++;
			continue;
		}
		transfer->status = apply_check(ledger, i);
		if (transfer->status == TRANSFER_OK)
			apply_transfer(ledger, i);
		if (transfer->status == TRANSFER_OK ||
			transfer->status == TRANSFER_REPLAYED)
			i++;
		else
			i = apply_fail(ledger, i);
	}
}
