/*-------------------------------------------------------------------------
 *
 * beside.c
 *	  Whether a journal and its holds are where they belong beside accounts
 *	  that Citus manages.
 *
 * Citus commits a transaction that writes on several nodes in two phases, but
 * what the session's own server writes to tables of which Citus knows nothing
 * has no part in that: the other node is told to commit first.  If this server
 * fails at that moment, accounts have changed and there is no entry, so the
 * request would be done again.  So both are Citus tables, or neither.
 *
 * A call looks for a request, and for reversals of an entry, under a lock where
 * the journal is, which needs a key that leads to one shard; see promises.c.  A
 * request can also be left to a unique index, which refuses a second entry.
 * Reversals cannot: one that has been prepared, but not been committed yet, would
 * not be counted.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/beside.h"
#include "table/indexes.h"
#include "table/promises.h"
#include "table/shards.h"
#include "table/spread.h"

/* Return true if Citus manages the table. */
static bool
beside_is_spread(const Target *target)
{
	return target_spread(target)->kind != SPREAD_NOT;
}

/* ----------
 * Accounts
 * ----------
 */

/* Check that accounts can be locked by their ids, one after the other. */
static void
beside_check_accounts(const Accounts *accounts)
{
	const Target *table = accounts->table;
	const Spread *spread = target_spread(table);

	if (spread->kind != SPREAD_BY_COLUMN)
		return;
	if (spread->column != accounts->id.attnum)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("accounts of table \"%s\" cannot be found by their ids "
						"alone",
						accounts_table_name(accounts)),
				 errdetail("Citus distributes the table by column \"%s\".",
						   NameStr(target_column(table, spread->column)
									   ->attname)),
				 errhint("Distribute the table by the ids, or have the accounts "
						 "that belong together in one shard, as with "
						 "schema-based sharding.")));
	if (!indexes_in_key_order(table, accounts->id.attnum))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("accounts of table \"%s\" cannot be locked in the order "
						"of their primary key",
						accounts_table_name(accounts)),
				 errdetail("They are on several nodes, and the primary key "
						   "does not begin with the id."),
				 errhint("Create the primary key on the id.")));
}

/* ----------
 * The journal
 * ----------
 */

/* Report that the one is in Citus' hands, and the other is not. */
pg_noreturn static void
beside_error_apart(const Accounts *accounts, const Journal *journal)
{
	bool journal_is_plain = !beside_is_spread(journal->table);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("journal \"%s\" and accounts \"%s\" are not committed as "
					"one",
					journal_table_name(journal),
					accounts_table_name(accounts)),
			 errdetail("Citus manages only table \"%s\" of the two.  If a "
					   "server fails during a commit, one can have changed "
					   "without the other.",
					   journal_is_plain ? accounts_table_name(accounts)
										: journal_table_name(journal)),
			 errhint("citus_add_local_table_to_metadata('%s') on the "
					 "coordinator puts the other one under Citus, too.",
					 journal_is_plain ? journal_table_name(journal)
									  : accounts_table_name(accounts))));
}

/* Check that accounts and journal are committed as one. */
static void
beside_check_journal(const Accounts *accounts, const Journal *journal)
{
	if (beside_is_spread(accounts->table) == beside_is_spread(journal->table) ||
		(promises_at_home(accounts->table) && promises_at_home(journal->table)))
		return;
	beside_error_apart(accounts, journal);
}

/* ----------
 * Holds
 * ----------
 */

/*
 * Check that amounts can be held of accounts in that table, and holds be kept
 * in it.  A call reads and writes several holds with one statement, which Citus
 * does not take.
 */
void
beside_check_held(const Target *target)
{
	if (!beside_is_spread(target))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("nothing can be held in table \"%s\", which Citus manages",
					RelationGetRelationName(target_relation(target))),
			 errhint("Have accounts with holds, their journal and its holds in "
					 "tables that are not given to Citus.")));
}

/* Check that no guard of a guarded journal is fired on another server. */
void
beside_check_guarded(Relation rel)
{
	if (spread_of(rel).kind == SPREAD_NOT)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" cannot be guarded, since Citus manages it",
					RelationGetRelationName(rel)),
			 errdetail("The guards would be fired by the shards, where nothing "
					   "is known of the transfer."),
			 errhint("Grant no role more than SELECT on the table, and let it "
					 "transfer by a SECURITY DEFINER function.")));
}

/* ----------
 * All of it
 * ----------
 */

/* Check what the tables are to each other, where Citus manages any. */
void
beside_check(const Accounts *accounts, const Journal *journal,
			 const Holds *holds)
{
	bool any = beside_is_spread(accounts->table) ||
			   (journal != NULL && beside_is_spread(journal->table)) ||
			   (holds != NULL && beside_is_spread(holds->table));

	if (!any)
		return;
	beside_check_accounts(accounts);
	if (target_fires(accounts->table, OWN_BALANCE_GUARD))
		beside_check_guarded(target_relation(accounts->table));
	if (journal != NULL)
		beside_check_journal(accounts, journal);
	if (holds == NULL)
		return;
	beside_check_held(accounts->table);
	beside_check_held(journal->table);
	beside_check_held(holds->table);
}

/* ----------
 * Requests and reversals
 * ----------
 */

/* Return true if a transfer has a place in the journal by its request only. */
bool
beside_wants_requests(const Journal *journal)
{
	const Spread *spread = target_spread(journal->table);

	return spread->kind == SPREAD_BY_COLUMN &&
		   journal_has(journal, JOURNAL_REQUEST_ID) &&
		   spread->column == journal->columns[JOURNAL_REQUEST_ID];
}

/* Report that a transfer without a request has no place in the journal. */
pg_noreturn static void
beside_error_unnamed(const Journal *journal)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a transfer without a request cannot be booked in journal "
					"\"%s\"",
					journal_table_name(journal)),
			 errdetail("Citus distributes the journal by column \"%s\".",
					   journal_column_name(JOURNAL_REQUEST_ID)),
			 errhint("Give each transfer a request_id.")));
}

/* Report that what was reversed of an entry can be added up nowhere. */
pg_noreturn static void
beside_error_reversal(const Journal *journal)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("entries of journal \"%s\" cannot be reversed",
					journal_table_name(journal)),
			 errdetail("Its entries are in several places, so there is none to "
					   "lock an id: more could be reversed than was moved."),
			 errhint("Transfer the amount back, with a request_id of its "
					 "own.")));
}

/* Report that it can be added up at READ COMMITTED only. */
pg_noreturn static void
beside_error_isolation(const Journal *journal)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("entries of journal \"%s\" cannot be reversed at this "
					"isolation level",
					journal_table_name(journal)),
			 errdetail("The journal is on another node, which shows entries as "
					   "they were before the id was locked: more could be "
					   "reversed than was moved."),
			 errhint("Use READ COMMITTED.")));
}

/* Check that what was reversed of an entry can be added up. */
static void
beside_check_reversal(const Journal *journal)
{
	ColumnValues *key = journal_key(journal, JOURNAL_ID, (Datum) 0);

	if (promises_at_home(journal->table) ||
		promises_key_is_routed(journal->table, key))
		return;
	if (shards_are_one(journal->table, key))
		beside_error_isolation(journal);
	beside_error_reversal(journal);
}

/* Check that each request of the claim is booked once, whoever asks. */
void
beside_check_claim(const Journal *journal, const Claim *claim)
{
	if (!beside_is_spread(journal->table))
		return;
	if (claim->nreversed > 0)
		beside_check_reversal(journal);
	if (claim->any_unnamed)
		beside_error_unnamed(journal);
	for (int i = 0; i < claim->nrequests; i++)
		promises_check_key(journal->table,
						   journal_key(journal, JOURNAL_REQUEST_ID,
									   claim->requests[i]));
}
