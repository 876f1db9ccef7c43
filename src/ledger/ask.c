/*-------------------------------------------------------------------------
 *
 * ask.c
 *	  What is asked for becomes transfers between accounts.
 *
 * Accounts, requests, chains and entries that are reversed are each known by
 * their place among those that differ, in order, so that transfers which name
 * the same one share it.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "ledger/ledger_private.h"
#include "ledger/own_columns.h"
#include "table/json.h"

/* ----------
 * Values that transfers share
 * ----------
 */

/* The order in which uses are sorted. */
typedef struct UseOrder
{
	const Ledger *ledger;
	int (*compare)(const Ledger *ledger, Datum a, Datum b);
} UseOrder;

static int
ask_compare_uses(const void *a, const void *b, void *arg)
{
	const UseOrder *order = arg;
	const Use *left = a;
	const Use *right = b;
	int result = order->compare(order->ledger, left->value, right->value);

	return result != 0 ? result : left->transfer - right->transfer;
}

/*
 * Sort the uses by their values, those with the same value by transfer, and
 * number the values that differ, from 0.
 */
static int
ask_number_uses(const Ledger *ledger, Use *uses, int nuses,
				int (*compare)(const Ledger *, Datum, Datum))
{
	UseOrder order = {ledger, compare};
	int nplaces = 0;

	qsort_arg(uses, nuses, sizeof(Use), ask_compare_uses, &order);
	for (int i = 0; i < nuses; i++)
	{
		if (i == 0 || compare(ledger, uses[i - 1].value, uses[i].value) != 0)
			nplaces++;
		uses[i].place = nplaces - 1;
	}
	return nplaces;
}

static int
ask_compare_ids(const Ledger *ledger, Datum a, Datum b)
{
	return ids_compare(&ledger->accounts.id, a, b);
}

static int
ask_compare_requests(const Ledger *ledger, Datum a, Datum b)
{
	return requests_compare_ids(ledger->journal, a, b);
}

static int
ask_compare_integers(const Ledger *ledger, Datum a, Datum b)
{
	int64 left = DatumGetInt64(a);
	int64 right = DatumGetInt64(b);

	return left == right ? 0 : left < right ? -1 : 1;
}

/* ----------
 * What an error is about
 * ----------
 */

/* A kind of values is converted, of transfers one after the other. */
static void
ask_begin(Ledger *ledger, Progress *progress, LedgerWorkKind kind)
{
	ledger_progress(ledger, progress);
	ledger->work->kind = kind;
	ledger->work->transfer = PROGRESS_NONE;
}

/* Go on to a value of this transfer. */
static void
ask_go_on(Ledger *ledger, Progress *progress, int i)
{
	progress->number = i;
	ledger->work->transfer = i;
}

static void
ask_end(Ledger *ledger, const Progress *progress)
{
	ledger->work->kind = WORK_OTHER;
	progress_end(progress);
}

/* ----------
 * Accounts
 * ----------
 */

/* Collect the ids of one side; a transfer without one has nobody there. */
static void
ask_take_ids(Ledger *ledger, const LedgerInput *input, Side side)
{
	const LedgerColumn *ids = &input->ids[side];
	Progress progress;

	ask_begin(ledger, &progress, WORK_ID);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Use *use;

		ledger->transfers[i].sides[side] = &ledger->nobody;
		if (ids->values == NULL || ids->nulls[i] ||
			ledger->transfers[i].fate != TRANSFER_OK)
			continue;
		ask_go_on(ledger, &progress, i);
		use = &ledger->uses[ledger->nuses++];
		use->value = ids_convert(ids->type, ledger->accounts.id.type,
								 ids->values[i]);
		use->transfer = i;
		use->side = side;
	}
	ask_end(ledger, &progress);
}

/* The accounts of transfers that are no reversals, as the journal has them. */
static void
ask_set_journal_ids(Ledger *ledger)
{
	Progress progress;

	ask_begin(ledger, &progress, WORK_ID);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		for (int side = 0; side < NUM_SIDES; side++)
			ledger->transfers[i].asked.no_id[side] = true;
	}
	for (int i = 0; i < ledger->nuses; i++)
	{
		const Use *use = &ledger->uses[i];
		Asked *asked = &ledger->transfers[use->transfer].asked;

		ask_go_on(ledger, &progress, use->transfer);
		asked->no_id[use->side] = false;
		asked->ids[use->side] = journal_convert_id(ledger->journal,
												   JOURNAL_FROM_ID + use->side,
												   ledger->accounts.id.type,
												   use->value);
	}
	ask_end(ledger, &progress);
}

/* Check what is asked for by each transfer, now that its accounts are known. */
static void
ask_check_transfers(Ledger *ledger)
{
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		TransferStatus status = reversals_check_entry(transfer);

		/*
		 * The amount of a reversal or post without one is checked when it is
		 * known, and so are the accounts of a hold that is not open.
		 */
		if (status == TRANSFER_OK &&
			((transfer->original == NULL && transfer->named == NULL) ||
			 transfer->asked.amount != NULL))
			status = rules_check_asked(&ledger->rules, transfer->asked.kind,
									   &transfer->sides[PAYER]->account,
									   &transfer->sides[PAYEE]->account,
									   transfer->asked.amount);
		transfer->asked_status = status;
	}
}

/*
 * Find out which accounts there are, in id order, which is the order in which
 * accounts are locked one by one.
 */
void
ask_resolve_parties(Ledger *ledger)
{
	ledger->nparties = ask_number_uses(ledger, ledger->uses, ledger->nuses,
									   ask_compare_ids);
	ledger->parties = ALLOC_ARRAY0(Party, ledger->nparties);
	for (int i = 0; i < ledger->nuses; i++)
	{
		const Use *use = &ledger->uses[i];
		Party *party = &ledger->parties[use->place];

		if (i == 0 || use->place != ledger->uses[i - 1].place)
		{
			party->account.id = use->value;
			accounts_init(&ledger->accounts, &party->account);
		}
		Assert(ledger->transfers[use->transfer].sides[use->side] ==
			   &ledger->nobody);
		ledger->transfers[use->transfer].sides[use->side] = party;
	}
	pfree(ledger->uses);
	ledger->uses = NULL;
	ask_check_transfers(ledger);
}

/* ----------
 * Requests, entries, chains
 * ----------
 */

/* The request ids that are given, as values of their column. */
static void
ask_take_requests(Ledger *ledger, const LedgerColumn *ids)
{
	Progress progress;
	Use *uses;
	int nuses = 0;

	if (ids->values == NULL)
		return;
	Assert(ledger->journal != NULL);
	uses = ALLOC_ARRAY(Use, ledger->ntransfers);
	ask_begin(ledger, &progress, WORK_REQUEST_ID);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Asked *asked = &ledger->transfers[i].asked;

		if (ids->nulls[i] || ledger->transfers[i].fate != TRANSFER_OK)
			continue;
		ask_go_on(ledger, &progress, i);
		asked->has_request = true;
		asked->request = requests_convert_id(ledger->journal,
											 TextDatumGetCString(
												 ids->values[i]));
		uses[nuses++] = (Use){.value = asked->request, .transfer = i};
	}
	ask_end(ledger, &progress);

	ledger->nrequests = ask_number_uses(ledger, uses, nuses,
										ask_compare_requests);
	ledger->requests = ALLOC_ARRAY(Request, ledger->nrequests);
	for (int i = 0; i < nuses; i++)
	{
		Request *request = &ledger->requests[uses[i].place];

		if (i == 0 || uses[i].place != uses[i - 1].place)
			*request = (Request){uses[i].value, NULL, -1};
		ledger->transfers[uses[i].transfer].request = request;
	}
	pfree(uses);
}

/* The kind of a transfer, which names an entry or does not. */
static void
ask_take_kind(Ledger *ledger, const LedgerInput *input, int i)
{
	Transfer *transfer = &ledger->transfers[i];
	int kind = input->kinds == NULL ? LEDGER_KIND_DEFAULT : input->kinds[i];
	bool has_entry = input->entry_ids.values != NULL &&
					 !input->entry_ids.nulls[i];

	if (kind == LEDGER_KIND_DEFAULT)
		kind = has_entry ? ENTRY_REVERSAL : ENTRY_TRANSFER;
	if (kind == LEDGER_KIND_INVALID ||
		has_entry == (kind == ENTRY_TRANSFER || kind == ENTRY_HOLD))
	{
		transfer->kind_invalid = true;
		kind = ENTRY_TRANSFER;
	}
	transfer->asked.kind = kind;
	if (kind == ENTRY_TRANSFER || kind == ENTRY_REVERSAL)
		return;
	Assert(ledger->journal != NULL);
	settle_need(ledger);
}

/* The flag of a transfer, or what it is where none is given. */
static bool
ask_flag(const LedgerColumn *flags, int i, bool otherwise)
{
	return flags->values == NULL || flags->nulls[i]
			   ? otherwise
			   : DatumGetBool(flags->values[i]);
}

/* The kinds, and what only some of them have. */
static void
ask_take_kinds(Ledger *ledger, const LedgerInput *input)
{
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		const LedgerColumn *expires_at = &input->expires_at;

		ask_take_kind(ledger, input, i);
		transfer->final = ask_flag(&input->final, i, true);
		transfer->beyond = ask_flag(&input->beyond, i, false);
		if (expires_at->values == NULL || expires_at->nulls[i])
			continue;
		transfer->asked.has_expiry = true;
		transfer->asked.expires_at = DatumGetTimestampTz(expires_at->values[i]);
	}
}

/* The holds that are posted or voided. */
static void
ask_take_holds(Ledger *ledger, const LedgerColumn *ids)
{
	Use *uses;
	int nuses = 0;

	if (ids->values == NULL || ledger->holds == NULL)
		return;
	uses = ALLOC_ARRAY(Use, ledger->ntransfers);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Asked *asked = &ledger->transfers[i].asked;

		if (ids->nulls[i] || asked->kind == ENTRY_REVERSAL ||
			ledger->transfers[i].kind_invalid)
			continue;
		asked->has_settles = true;
		asked->settles = DatumGetInt64(ids->values[i]);
		uses[nuses++] = (Use){.value = ids->values[i], .transfer = i};
	}
	ledger->nnamed = ask_number_uses(ledger, uses, nuses, ask_compare_integers);
	ledger->named = ALLOC_ARRAY0(NamedHold, ledger->nnamed);
	for (int i = 0; i < nuses; i++)
	{
		NamedHold *named = &ledger->named[uses[i].place];

		named->id = DatumGetInt64(uses[i].value);
		ledger->transfers[uses[i].transfer].named = named;
	}
	pfree(uses);
}

/* The entries that are to be reversed. */
static void
ask_take_entries(Ledger *ledger, const LedgerColumn *ids)
{
	Use *uses;
	int nuses = 0;

	if (ids->values == NULL)
		return;
	Assert(ledger->journal != NULL);
	uses = ALLOC_ARRAY(Use, ledger->ntransfers);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		Asked *asked = &ledger->transfers[i].asked;

		if (ids->nulls[i] || asked->kind != ENTRY_REVERSAL)
			continue;
		asked->has_reverses = true;
		asked->reverses = DatumGetInt64(ids->values[i]);
		uses[nuses++] = (Use){.value = ids->values[i], .transfer = i};
	}
	if (nuses > 0)
	{
		journal_need(ledger->journal, JOURNAL_ID);
		journal_need(ledger->journal, JOURNAL_REVERSES);
	}

	ledger->noriginals = ask_number_uses(ledger, uses, nuses,
										 ask_compare_integers);
	ledger->originals = ALLOC_ARRAY0(Original, ledger->noriginals);
	for (int i = 0; i < nuses; i++)
	{
		Original *original = &ledger->originals[uses[i].place];

		original->id = DatumGetInt64(uses[i].value);
		ledger->transfers[uses[i].transfer].original = original;
	}
	pfree(uses);
}

/* The chains; transfers without a number are in none. */
static void
ask_take_chains(Ledger *ledger, const LedgerColumn *numbers)
{
	Use *uses;
	int nuses = 0;

	if (numbers->values == NULL)
		return;
	uses = ALLOC_ARRAY(Use, ledger->ntransfers);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		int32 number;

		if (numbers->nulls[i])
			continue;
		number = DatumGetInt32(numbers->values[i]);
		uses[nuses++] = (Use){.value = Int64GetDatum(number), .transfer = i};
	}
	ledger->nchains = ask_number_uses(ledger, uses, nuses,
									  ask_compare_integers);
	ledger->chains = ALLOC_ARRAY(Chain, ledger->nchains);
	for (int i = 0; i < nuses; i++)
	{
		Chain *chain = &ledger->chains[uses[i].place];

		if (i == 0 || uses[i].place != uses[i - 1].place)
			*chain = (Chain){.first = uses[i].transfer, .first_entry = -1};
		ledger->transfers[uses[i].transfer].chain = chain;
	}
	pfree(uses);
}

/*
 * The values for the journal's own columns.  Transfers that share one object
 * share its values, and an error in it is not one of theirs.
 */
static void
ask_take_columns(Ledger *ledger, Jsonb **objects)
{
	int n = ledger->ntransfers;
	const Jsonb *last = NULL;
	const ColumnValues *columns = NULL;
	Progress progress;

	if (objects == NULL)
		return;
	ask_begin(ledger, &progress, WORK_JSON);
	for (int i = 0; i < n; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		bool shared = i + 1 < n && objects[i] == objects[i + 1];

		if (objects[i] == NULL || transfer->fate != TRANSFER_OK)
			continue;
		Assert(ledger->journal != NULL);
		if (objects[i] != last)
		{
			CHECK_FOR_INTERRUPTS();
			ask_go_on(ledger, &progress, shared ? PROGRESS_NONE : i);
			columns = own_columns_read(ledger->journal, objects[i],
									   ledger->scratch);
			last = objects[i];
		}
		transfer->asked.columns = columns;
	}
	ask_end(ledger, &progress);
}

/*
 * The details, which may be JSON of any kind.  As above, an error in what
 * transfers share is not one of theirs.
 */
static void
ask_take_details(Ledger *ledger, Jsonb **details)
{
	int n = ledger->ntransfers;
	const Jsonb *last = NULL;
	Progress progress;

	if (details == NULL)
		return;
	ask_begin(ledger, &progress, WORK_JSON);
	for (int i = 0; i < n; i++)
	{
		Transfer *transfer = &ledger->transfers[i];
		bool shared = i + 1 < n && details[i] == details[i + 1];

		if (details[i] == NULL || transfer->fate != TRANSFER_OK)
			continue;
		if (details[i] != last)
		{
			ask_go_on(ledger, &progress, shared ? PROGRESS_NONE : i);
			json_check_encoded_once(details[i], "details");
			last = details[i];
		}
		transfer->asked.details = details[i];
	}
	ask_end(ledger, &progress);
}

/* ----------
 * All of it
 * ----------
 */

/*
 * Take what is asked for.  What no call could make sense of is an error now;
 * the rest is checked when the requests are known.
 */
void
ledger_ask(Ledger *ledger, const LedgerInput *input)
{
	int n = input->ntransfers;

	Assert(ledger->transfers == NULL);
	Assert(ledger->many || n == 1);
	Assert(input->amounts.values != NULL || n == 0);
	ledger->ntransfers = n;
	ledger->transfers = ALLOC_ARRAY0(Transfer, n);
	ledger->work = input->work != NULL ? input->work : &ledger->own_work;
	ledger->reasons = input->reasons;
	for (int i = 0; i < n && input->fates != NULL; i++)
		ledger->transfers[i].fate = input->fates[i];
	ledger->uses = ALLOC_ARRAY(Use, NUM_SIDES * (Size) n);
	ask_take_ids(ledger, input, PAYER);
	ask_take_ids(ledger, input, PAYEE);
	for (int i = 0; i < n; i++)
	{
		Asked *asked = &ledger->transfers[i].asked;

		if (!input->amounts.nulls[i])
			asked->amount = DatumGetNumeric(input->amounts.values[i]);
	}
	ask_take_requests(ledger, &input->request_ids);
	ask_take_chains(ledger, &input->chains);
	ask_take_kinds(ledger, input);
	ask_take_entries(ledger, &input->entry_ids);
	ask_take_holds(ledger, &input->entry_ids);
	if (ledger->journal != NULL)
		ask_set_journal_ids(ledger);
	ask_take_details(ledger, input->details);
	ask_take_columns(ledger, input->columns);
}
