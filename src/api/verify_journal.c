/*-------------------------------------------------------------------------
 *
 * verify_journal.c
 *	  verify_journal(): check that a journal and its accounts add up.
 *
 * The entries are read once, in the order in which they were booked, and the
 * last balance of each account is kept in a hash table.  All statements see
 * what the query that called us sees, so that transfers that are made
 * concurrently do not matter.
 *
 * That is so on one server.  Where Citus manages the journal, the order of the
 * ids is that of the entries for one node only; see verify_nodes.c.  There is
 * no snapshot over nodes: while transfers are made, some are seen in part.
 *
 * What the call allocates lives in the memory context of run_begin(), and goes
 * with run_end().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "api/verify_holds.h"
#include "api/verify_nodes.h"
#include "base/errors.h"
#include "ledger/accounts.h"
#include "ledger/journal.h"
#include "ledger/journal_rules.h"
#include "ledger/reports.h"
#include "run/run.h"
#include "table/columns.h"
#include "table/ids.h"
#include "table/target.h"
#include "table/traits.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(verify_journal);

/* Arguments */
enum
{
	ARG_JOURNAL,
	ARG_ACCOUNTS,
	ARG_ID_COLUMN,
	ARG_BALANCE_COLUMN,
	ARG_OPENING
};

/* The columns of the result. */
enum
{
	OUT_ACCOUNT_ID,
	OUT_ENTRY_ID,
	OUT_PROBLEM,
	OUT_EXPECTED,
	OUT_FOUND,
	NUM_OUT
};

/* ----------
 * Accounts, as far as the journal was read
 * ----------
 */

/* What the journal says of an account so far. */
typedef struct AccountState
{
	Datum id; /* hash key, of the id column's base type */
	uint32 hash;
	char status;	/* for simplehash */
	bool seen;		/* in the table of accounts */
	bool has_entry; /* the last entry has an id */
	bool has_time;	/* an entry had a time */
	int64 entry;	/* the id of the last entry */
	TimestampTz time;
	Numeric balance; /* in the last entry that has one */
	Numeric held;	 /* by holds that are open; NULL if there were none */
	Stretch *last;	 /* of its entries, where several nodes number them */
} AccountState;

/*
 * The type in which ids of the journal and of the accounts are compared: that
 * of the accounts, or bigint for all integers.
 */
typedef struct AccountKeys
{
	TypeCacheEntry *type;
	Oid collation;
	bool hashed; /* equal ids have equal hashes */
} AccountKeys;

static uint32
verify_hash_id(const AccountKeys *keys, Datum id)
{
	/* Slow, but few types that have an order have no hash. */
	if (!keys->hashed)
		return 0;
	return DatumGetUInt32(
		FunctionCall1Coll(&keys->type->hash_proc_finfo, keys->collation, id));
}

static int
verify_compare_ids(const AccountKeys *keys, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll(&keys->type->cmp_proc_finfo, keys->collation, a, b));
}

#define SH_PREFIX			 states
#define SH_ELEMENT_TYPE		 AccountState
#define SH_KEY_TYPE			 Datum
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) verify_hash_id((tb)->private_data, key)
#define SH_EQUAL(tb, a, b)	 (verify_compare_ids((tb)->private_data, a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE		   static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A call of verify_journal(). */
typedef struct Verification
{
	Accounts accounts;
	Journal journal;
	AccountKeys keys;
	states_hash *states;
	MemoryContext context; /* holds the states' ids and balances */
	Numeric opening;	   /* of each account; NULL if it is not given */
	bool by_nodes;		   /* several nodes may number the entries */
	Holds holds_space;
	Holds *holds; /* NULL if nothing can be held now */
	OpenHolds *open;
	ReturnSetInfo *result;
} Verification;

/* ----------
 * Reporting and keeping
 * ----------
 */

/* Add a row to the result. */
static void
verify_report(Verification *verification, const Datum *account,
			  const int64 *entry, const char *problem, Numeric expected,
			  Numeric found)
{
	ReturnSetInfo *result = verification->result;
	Datum values[NUM_OUT];
	bool nulls[NUM_OUT] = {
		[OUT_ACCOUNT_ID] = account == NULL,
		[OUT_ENTRY_ID] = entry == NULL,
		[OUT_EXPECTED] = expected == NULL,
		[OUT_FOUND] = found == NULL,
	};

	Assert(result->setDesc->natts == NUM_OUT);
	if (account != NULL)
		values[OUT_ACCOUNT_ID] = CStringGetTextDatum(
			values_print(verification->keys.type->type_id, *account));
	if (entry != NULL)
		values[OUT_ENTRY_ID] = Int64GetDatum(*entry);
	values[OUT_PROBLEM] = CStringGetTextDatum(problem);
	values[OUT_EXPECTED] = NumericGetDatum(expected);
	values[OUT_FOUND] = NumericGetDatum(found);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Keep a number, in place if it is as long as the last one. */
static void
verify_keep(Verification *verification, Numeric *place, Numeric number)
{
	if (*place == NULL || VARSIZE(*place) != VARSIZE(number))
	{
		if (*place != NULL)
			pfree(*place);
		*place = MemoryContextAlloc(verification->context, VARSIZE(number));
	}
	memcpy(*place, number, VARSIZE(number));
}

/* The state of the account; a new one if this is its first entry. */
static AccountState *
verify_find_state(Verification *verification, Datum id, bool *found)
{
	TypeCacheEntry *type = verification->keys.type;
	AccountState *state = states_insert(verification->states, id, found);
	MemoryContext old;

	if (*found)
		return state;
	old = MemoryContextSwitchTo(verification->context);
	state->id = datumCopy(id, type->typbyval, type->typlen);
	MemoryContextSwitchTo(old);
	state->seen = false;
	state->has_time = false;
	state->balance = NULL;
	state->held = NULL;
	state->last = NULL;
	return state;
}

/* ----------
 * Entries
 * ----------
 */

/* Check that the times of an account's entries do not run back. */
static void
verify_check_time(Verification *verification, const JournalEntry *entry,
				  AccountState *state)
{
	if (!entry->has_time)
		return;
	if (state->has_time && entry->time < state->time)
		verify_report(verification, &state->id,
					  entry->has_id ? &entry->id : NULL, "time_runs_back", NULL,
					  NULL);
	state->has_time = true;
	state->time = entry->time;
}

/* Check that the account began with what all accounts begin with. */
static void
verify_check_opening(Verification *verification, const Datum *id,
					 const int64 *entry, Numeric found)
{
	if (verification->opening != NULL &&
		(found == NULL || money_compare(found, verification->opening) != 0))
		verify_report(verification, id, entry, "opening_differs",
					  verification->opening, found);
}

/* The state of the account on a side of an entry. */
static AccountState *
verify_side_state(Verification *verification, const JournalEntry *entry,
				  Side side, bool *found)
{
	Oid id_type = verification->journal.types[JOURNAL_FROM_ID + side];

	return verify_find_state(verification,
							 ids_convert(id_type,
										 verification->keys.type->type_id,
										 entry->ids[side]),
							 found);
}

/*
 * Keep what an entry says of an account, where several nodes number the entries:
 * which one it follows from shows when all are read.  The clocks of the nodes
 * may differ, too.
 */
static void
verify_keep_side(Verification *verification, const JournalEntry *entry,
				 AccountState *state, Numeric balance, Numeric change)
{
	if (!stretch_is_of_node(state->last, entry))
		state->has_time = false;
	verify_check_time(verification, entry, state);
	state->has_entry = entry->has_id;
	state->entry = entry->id;
	if (balance == NULL)
		verify_report(verification, &state->id,
					  entry->has_id ? &entry->id : NULL, "balance_gap", NULL,
					  NULL);
	else
		state->last = stretch_add(state->last, entry, balance, change,
								  verification->context);
}

/* Check that an entry follows from the one before, of the account on a side. */
static void
verify_check_side(Verification *verification, const JournalEntry *entry,
				  Side side, Numeric amount)
{
	Numeric balance = side == PAYER ? entry->from_balance : entry->to_balance;
	const int64 *entry_id = entry->has_id ? &entry->id : NULL;
	AccountState *state;
	bool found;

	if (entry->no_id[side])
	{
		/* If all accounts are known, money comes from one and goes to one. */
		if (verification->opening != NULL)
			verify_report(verification, NULL, entry_id, "account_missing", NULL,
						  NULL);
		return;
	}
	state = verify_side_state(verification, entry, side, &found);
	if (verification->by_nodes)
	{
		verify_keep_side(verification, entry, state, balance,
						 side == PAYEE
							 ? amount
							 : money_minus(int64_to_numeric(0), amount));
		return;
	}
	verify_check_time(verification, entry, state);
	state->has_entry = entry->has_id;
	state->entry = entry->id;
	if (state->balance != NULL || balance == NULL)
	{
		Numeric expected = state->balance == NULL ? NULL
						   : side == PAYER ? money_minus(state->balance, amount)
										   : money_plus(state->balance, amount);

		if (expected == NULL || balance == NULL ||
			money_compare(expected, balance) != 0)
			verify_report(verification, &state->id, entry_id, "balance_gap",
						  expected, balance);
		if (balance == NULL)
			balance = expected;
	}
	else if (!found)
		verify_check_opening(verification, &state->id, entry_id,
							 side == PAYER ? money_plus(balance, amount)
										   : money_minus(balance, amount));
	if (balance != NULL)
		verify_keep(verification, &state->balance, balance);
}

/* Check what an entry does to a hold, and to what is held of its payer. */
static void
verify_check_hold(Verification *verification, const JournalEntry *entry)
{
	Numeric held;
	Numeric expected;
	const char *problem = open_holds_take(verification->open, entry, &held,
										  &expected);
	AccountState *state;
	bool found;

	if (problem == NULL && held == NULL)
		return;
	if (entry->no_id[PAYER])
	{
		verify_report(verification, NULL, entry->has_id ? &entry->id : NULL,
					  problem, expected, entry->amount);
		return;
	}
	state = verify_side_state(verification, entry, PAYER, &found);
	if (problem != NULL)
		verify_report(verification, &state->id,
					  entry->has_id ? &entry->id : NULL, problem, expected,
					  entry->amount);
	if (held != NULL)
		verify_keep(verification, &state->held,
					state->held == NULL ? held : money_plus(state->held, held));
}

/*
 * Check an entry that journal_scan() gives.  One that moves nothing tells the
 * balance of its payer only, and has locked no other account.
 */
static void
verify_check_entry(const JournalEntry *entry, void *arg)
{
	Numeric nothing = int64_to_numeric(0);
	Numeric amount = entry->amount ? entry->amount : nothing;

	if (entry->odd_kind)
		verify_report(arg, NULL, entry->has_id ? &entry->id : NULL,
					  "unknown_kind", NULL, NULL);
	if (entry->has_kind && !journal_kind_moves(entry->kind))
		verify_check_side(arg, entry, PAYER, nothing);
	else
	{
		verify_check_side(arg, entry, PAYER, amount);
		verify_check_side(arg, entry, PAYEE, amount);
	}
	verify_check_hold(arg, entry);
}

/* ----------
 * Accounts
 * ----------
 */

/*
 * Check an account that no entry names, perhaps because it has no id.  It must
 * have the balance that all accounts begin with.  Without "opening", that is
 * nothing: an account with money may have had entries that are gone.
 */
static void
verify_check_idle(Verification *verification, const Datum *id, Numeric balance)
{
	if (verification->opening != NULL)
		verify_check_opening(verification, id, NULL, balance);
	else if (balance != NULL &&
			 money_compare(balance, int64_to_numeric(0)) != 0)
		verify_report(verification, id, NULL, "no_entries", NULL, balance);
}

/* Check that what is held of an account is what its open holds say. */
static void
verify_check_held(Verification *verification, const Datum *id,
				  const AccountState *state, const RowSet *set, uint64 i)
{
	Numeric expected = int64_to_numeric(0);
	Numeric held = NULL;
	bool isnull;
	Datum value;

	if (!verification->accounts.has_held)
		return;
	value = rowset_position(set, i, 3, &isnull);
	if (!isnull)
		held = money_from_column(&verification->accounts.held, value);
	if (state != NULL && state->held != NULL)
		expected = state->held;
	if (held == NULL || money_compare(held, expected) != 0)
		verify_report(verification, id,
					  state != NULL && state->has_entry ? &state->entry : NULL,
					  "held_differs", expected, held);
}

/* What verify_report() needs to know of an account. */
typedef struct AccountReport
{
	Verification *verification;
	const AccountState *state;
} AccountReport;

/* Report what is wrong with an entry of an account. */
static void
verify_report_stretch(const int64 *entry, const char *problem, Numeric expected,
					  Numeric found, void *arg)
{
	const AccountReport *report = arg;

	verify_report(report->verification, &report->state->id, entry, problem,
				  expected, found);
}

/*
 * Check the entries of an account that several nodes have numbered, which has
 * that balance, or NULL, and find what it should have.
 */
static void
verify_join(Verification *verification, AccountState *state, Numeric balance)
{
	AccountReport report = {verification, state};
	StretchEnd end;

	if (state->last == NULL)
		return;
	end = stretches_join(state->last, verification->opening, balance,
						 verify_report_stretch, &report);
	state->has_entry = end.has_entry;
	state->entry = end.entry;
	if (end.balance != NULL)
		verify_keep(verification, &state->balance, end.balance);
}

/* Check that an account has what its last entry and its holds say. */
static void
verify_check_account(const RowSet *set, uint64 i, void *arg)
{
	Verification *verification = arg;
	AccountState *state;
	Numeric balance;
	bool isnull;
	bool no_balance;
	Datum id = rowset_position(set, i, 1, &isnull);
	Datum value = rowset_position(set, i, 2, &no_balance);

	balance = no_balance
				  ? NULL
				  : money_from_column(&verification->accounts.balance, value);
	if (isnull)
	{
		verify_check_idle(verification, NULL, balance);
		verify_check_held(verification, NULL, NULL, set, i);
		return;
	}
	id = ids_convert(verification->accounts.id.type,
					 verification->keys.type->type_id, id);
	state = states_lookup(verification->states, id);
	verify_check_held(verification, &id, state, set, i);
	if (state == NULL)
	{
		verify_check_idle(verification, &id, balance);
		return;
	}
	if (state->seen)
		verify_report(verification, &state->id, NULL, "several_accounts", NULL,
					  balance);
	else
		verify_join(verification, state, balance);
	state->seen = true;
	if (balance == NULL || state->balance == NULL ||
		money_compare(balance, state->balance) != 0)
		verify_report(verification, &state->id,
					  state->has_entry ? &state->entry : NULL,
					  "balance_differs", state->balance, balance);
}

/* Compare the accounts with their last entries. */
static void
verify_check_accounts(Verification *verification)
{
	Accounts *accounts = &verification->accounts;
	AttrNumber attnums[3] = {accounts->id.attnum, accounts->balance.attnum,
							 accounts->held.attnum};
	ColumnValues result = {.ncolumns = accounts->has_held ? 3 : 2,
						   .attnums = attnums};

	run_scan(accounts->table, NULL, &result, verify_check_account,
			 verification);
}

static int
verify_compare_states(const void *a, const void *b, void *keys)
{
	return verify_compare_ids(keys, (*(AccountState *const *) a)->id,
							  (*(AccountState *const *) b)->id);
}

/* Report accounts that entries name and that are not there, in id order. */
static void
verify_report_missing(Verification *verification)
{
	states_iterator iterator;
	AccountState *state;
	AccountState **missing;
	int nmissing = 0;

	missing = MemoryContextAllocHuge(CurrentMemoryContext,
									 sizeof(AccountState *) *
										 (verification->states->members + 1));
	states_start_iterate(verification->states, &iterator);
	while ((state = states_iterate(verification->states, &iterator)) != NULL)
	{
		if (!state->seen)
			missing[nmissing++] = state;
	}
	qsort_arg(missing, nmissing, sizeof(AccountState *), verify_compare_states,
			  &verification->keys);
	for (int i = 0; i < nmissing; i++)
	{
		verify_join(verification, missing[i], NULL);
		verify_report(verification, &missing[i]->id,
					  missing[i]->has_entry ? &missing[i]->entry : NULL,
					  "account_missing", missing[i]->balance, NULL);
	}
	pfree(missing);
}

/* Report an entry that was reversed too far, or that is not there. */
static void
verify_report_over_reversed(int64 entry, Numeric amount, Numeric total,
							void *arg)
{
	verify_report(arg, NULL, &entry,
				  amount == NULL ? "reversal_without_entry" : "over_reversed",
				  amount, total);
}

/* Report a hold whose row is not what the journal says, or should not be. */
static void
verify_report_hold(int64 entry, Numeric expected, Numeric found, void *arg)
{
	verify_report(arg, NULL, &entry, "hold_differs", expected, found);
}

/* Return true if two accounts are the same. */
static bool
verify_ids_are_equal(Datum a, Datum b, void *arg)
{
	const Verification *verification = arg;

	return verify_compare_ids(&verification->keys, a, b) == 0;
}

/* ----------
 * verify_journal
 * ----------
 */

/* Choose the type in which ids are compared. */
static void
verify_choose_keys(Verification *verification)
{
	const Accounts *accounts = &verification->accounts;
	Oid type = accounts->id.type;

	/* The journal may name accounts that the table cannot hold. */
	if (type == INT2OID || type == INT4OID)
		type = INT8OID;
	verification->keys.type = lookup_type_cache(type,
												TYPECACHE_CMP_PROC_FINFO |
													TYPECACHE_HASH_PROC_FINFO);
	verification->keys.collation = accounts->id.collation;
	verification->keys.hashed =
		OidIsValid(verification->keys.type->hash_proc) &&
		!columns_hash_misleads(accounts->table, accounts->id.attnum);
}

/* Report an error if rows may be hidden, since these would not be checked. */
static void
verify_check_row_security(const Target *table)
{
	if (traits_has_row_security(table))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security can hide rows of table \"%s\"",
						RelationGetRelationName(target_relation(table))),
				 errhint("Verify a journal as a role that sees all entries and "
						 "accounts: as the owner of the tables, or one with "
						 "BYPASSRLS.")));
}

/* What all accounts begin with, or NULL: by default what the journal says. */
static Numeric
verify_read_opening(FunctionCallInfo fcinfo, const Journal *journal)
{
	Numeric opening = arguments_get_numeric(fcinfo, ARG_OPENING);

	if (opening == NULL)
		return journal_rules_opening(journal);
	journal_rules_check_opening(opening);
	return opening;
}

/* Open the tables, and check that they can be verified. */
static void
verify_open(Verification *verification, FunctionCallInfo fcinfo)
{
	Accounts *accounts = &verification->accounts;
	Journal *journal = &verification->journal;

	accounts_open(accounts, get_fn_expr_argtype(fcinfo->flinfo, ARG_ACCOUNTS),
				  AccessShareLock, arguments_get_name(fcinfo, ARG_ID_COLUMN),
				  arguments_get_name(fcinfo, ARG_BALANCE_COLUMN));
	journal_open(journal, PG_GETARG_OID(ARG_JOURNAL), AccessShareLock);
	journal_check_accounts(journal, accounts);
	journal_need(journal, JOURNAL_ID);
	journal_need(journal, JOURNAL_FROM_BALANCE);
	journal_need(journal, JOURNAL_TO_BALANCE);

	verify_choose_keys(verification);
	journal_rules_apply_held(journal, accounts);
	if (accounts->has_held)
	{
		verification->holds = &verification->holds_space;
		holds_open(verification->holds, journal, journal_rules_holds(journal),
				   verification->keys.type->type_id, AccessShareLock);
		verify_check_row_security(verification->holds->table);
	}

	verify_check_row_security(journal->table);
	verify_check_row_security(accounts->table);

	verification->opening = verify_read_opening(fcinfo, journal);
	verification->by_nodes = target_spread(journal->table)->kind != SPREAD_NOT;
	verification->result = (ReturnSetInfo *) fcinfo->resultinfo;
}

/*
 * verify_journal(journal regclass, accounts anyelement, id_column name,
 *				  balance_column name, opening numeric, OUT account_id text,
 *				  OUT entry_id bigint, OUT problem text, OUT expected numeric,
 *				  OUT found numeric) RETURNS SETOF record
 */
Datum
verify_journal(PG_FUNCTION_ARGS)
{
	Verification verification = {0};

	arguments_require(fcinfo, ARG_JOURNAL, "journal");
	arguments_require(fcinfo, ARG_BALANCE_COLUMN, "balance_column");
	InitMaterializedSRF(fcinfo, 0);
	verify_open(&verification, fcinfo);

	run_begin();
	verification.context = CurrentMemoryContext;
	verification.states = states_create(CurrentMemoryContext, 1024,
										&verification.keys);
	verification.open = open_holds_begin(&verification.journal,
										 verification.keys.type->type_id,
										 verify_ids_are_equal, &verification);
	journal_scan(&verification.journal, verify_check_entry, &verification);
	verify_check_accounts(&verification);
	verify_report_missing(&verification);
	if (verification.holds != NULL)
		open_holds_compare(verification.open, verification.holds,
						   verify_report_hold, &verification);
	reports_over_reversed(&verification.journal, verify_report_over_reversed,
						  &verification);
	run_end();

	if (verification.holds != NULL)
		holds_close(verification.holds);
	journal_close(&verification.journal);
	accounts_close(&verification.accounts);
	PG_RETURN_VOID();
}
