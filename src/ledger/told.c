/*-------------------------------------------------------------------------
 *
 * told.c
 *	  What the engine tells of other transactions is durable before it is told.
 *
 * A transfer that is refused, and one that is repeated, writes nothing: its
 * answer is what others have written.  Their commit may be visible and not yet
 * be durable; see flush.c.  If a crash undid it, the caller would have been told
 * of a payment that was never made, or be refused for the lack of money that is
 * there.  So the engine waits for their commits before it answers.
 *
 * A transfer that is made needs none of this: its own commit comes later in WAL
 * than those of all transactions that it has seen.
 *
 * For a refusal, only those transactions are waited for that wrote the accounts'
 * rows, where these can be known: mostly their commits are durable, and nothing
 * is waited for.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "base/flush.h"
#include "ledger/ledger_private.h"
#include "table/privileges.h"

/*
 * Return true if the accounts' rows can be asked which transaction wrote them:
 * partitions and children may be foreign tables, which do not know.
 */
static bool
told_rows_know_writer(const Accounts *accounts)
{
	Form_pg_class form = target_relation(accounts->table)->rd_rel;

	return form->relkind == RELKIND_RELATION && !form->relhassubclass &&
		   OidIsValid(get_array_type(accounts->id.type)) &&
		   privileges_may_select_all(accounts->table);
}

/*
 * Wait for the transactions that wrote the rows of these accounts, which are
 * locked.  If policies hide a row now, wait for all.
 */
static void
told_flush_accounts(const Accounts *accounts, Datum *ids, int nids)
{
	TransactionId *xmins;
	int nxmins;

	if (nids == 0)
		return;
	if (!told_rows_know_writer(accounts))
	{
		flush_all_commits();
		return;
	}
	xmins = run_xmins(accounts->table, accounts->id.attnum,
					  PointerGetDatum(ids_make_array(&accounts->id, ids, nids)),
					  &nxmins);
	if (nxmins < nids)
		flush_all_commits();
	else
		flush_commits_of(xmins, nxmins);
	pfree(xmins);
}

/* The party that a status tells of, if that is all that it tells. */
static Party *
told_party(const Transfer *transfer, StatusTells tells)
{
	return tells == TELLS_OF_PAYER	 ? transfer->sides[PAYER]
		   : tells == TELLS_OF_PAYEE ? transfer->sides[PAYEE]
									 : NULL;
}

/* Wait until what is told of a transfer that failed is durable. */
void
told_flush_failure(Ledger *ledger, int i, TransferStatus status)
{
	StatusTells tells = rules_status_tells(status);
	const Party *party = told_party(&ledger->transfers[i], tells);

	if (party != NULL)
	{
		Datum id = party->account.id;

		told_flush_accounts(&ledger->accounts, &id, 1);
	}
	else if (tells != TELLS_NOTHING || status == TRANSFER_REQUEST_DIFFERS)
		flush_all_commits();
}

/*
 * The same for all transfers of a call that reports failures.  The accounts are
 * locked and their rows not yet changed by this call, so they know who wrote
 * them.  One that is told of several times is asked once.
 */
void
told_flush_failures(Ledger *ledger)
{
	Datum *ids = ALLOC_ARRAY(Datum, ledger->nparties);
	int nids = 0;

	Assert(ledger->report);
	for (int i = 0; i < ledger->ntransfers; i++)
	{
		const Transfer *transfer = &ledger->transfers[i];
		StatusTells tells = rules_status_tells(transfer->status);
		Party *party = told_party(transfer, tells);

		if (tells == TELLS_OF_OTHERS)
		{
			flush_all_commits();
			pfree(ids);
			return;
		}
		if (party == NULL || party->told)
			continue;
		party->told = true;
		ids[nids++] = party->account.id;
	}
	told_flush_accounts(&ledger->accounts, ids, nids);
	pfree(ids);
}

/* Wait until what is told of requests that were booked before is durable. */
void
told_flush_replays(const Ledger *ledger)
{
	for (int i = 0; i < ledger->nrequests; i++)
	{
		if (ledger->requests[i].booked == NULL)
			continue;
		flush_all_commits();
		return;
	}
}
