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
 * is waited for.  What core refuses, say for a CHECK constraint, is told at once.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "utils/lsyscache.h"

#include "base/flush.h"
#include "ledger/ledger_private.h"
#include "table/privileges.h"

/*
 * Return true if the accounts' rows can be asked which transaction wrote them.
 * Partitions and children may be foreign tables, which do not know; nor need
 * other table access methods, and what the rows on other nodes of Citus know
 * are transactions of these.
 */
static bool
told_rows_know_writer(const Accounts *accounts)
{
	Form_pg_class form = target_relation(accounts->table)->rd_rel;

	return form->relkind == RELKIND_RELATION && !form->relhassubclass &&
		   target_spread(accounts->table)->kind == SPREAD_NOT &&
		   form->relam == HEAP_TABLE_AM_OID &&
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

/*
 * The same for all accounts of a batch that were found.  A transfer of a batch
 * may fail by a balance that the ones before it have left, and these have read
 * other accounts.  The rows are locked and not yet changed by this call, so they
 * know who wrote them.
 */
static void
told_flush_parties(const Ledger *ledger)
{
	Datum *ids = ALLOC_ARRAY(Datum, ledger->nparties);
	int nids = 0;

	for (int i = 0; i < ledger->nparties; i++)
	{
		if (ledger->parties[i].account.found)
			ids[nids++] = ledger->parties[i].account.id;
	}
	told_flush_accounts(&ledger->accounts, ids, nids);
	pfree(ids);
}

/* Wait until what is told of a transfer that failed is durable. */
void
told_flush_failure(const Ledger *ledger, int i, TransferStatus status)
{
	StatusTells tells = rules_status_tells(status);
	const Transfer *transfer = &ledger->transfers[i];

	if (tells == TELLS_OF_OTHERS || status == TRANSFER_REQUEST_DIFFERS)
		flush_all_commits();
	else if (tells != TELLS_NOTHING && ledger->many)
		told_flush_parties(ledger);
	else if (tells != TELLS_NOTHING)
	{
		Side side = tells == TELLS_OF_PAYER ? PAYER : PAYEE;
		Datum id = transfer->sides[side]->account.id;

		told_flush_accounts(&ledger->accounts, &id, 1);
	}
}

/* The same for all transfers of a call that reports failures. */
void
told_flush_failures(const Ledger *ledger)
{
	StatusTells most = TELLS_NOTHING;

	Assert(ledger->report);
	for (int i = 0; i < ledger->ntransfers; i++)
		most = Max(most, rules_status_tells(ledger->transfers[i].status));
	if (most == TELLS_OF_OTHERS)
		flush_all_commits();
	else if (most != TELLS_NOTHING)
		told_flush_parties(ledger);
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
