/*-------------------------------------------------------------------------
 *
 * verify_journal.c
 *	  verify_journal(): does it all add up?
 *
 * The entries are read once, in the order in which they were booked, and the
 * last balance of each account is kept in a hash table.  All statements see
 * what the query that called us sees, so that transfers that are made
 * meanwhile do not matter.
 *
 * What the call allocates lives in the memory context of run_begin(), and goes with
 * run_end().
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

#include "base/errors.h"
#include "ledger/accounts.h"
#include "ledger/journal.h"
#include "ledger/reports.h"
#include "run/run.h"
#include "table/columns.h"
#include "table/ids.h"
#include "table/target.h"
#include "table/traits.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(verify_journal);

/* What the journal says of an account so far. */
typedef struct AccountState
{
	Datum id; /* hash key, of the id column's base type */
	uint32 hash;
	char status;	/* for simplehash */
	bool seen;		/* in the table of accounts */
	bool has_entry; /* has the last entry an id? */
	bool has_time;	/* is it known when an entry was made? */
	int64 entry;	/* the id of the last entry */
	TimestampTz time;
	Numeric balance; /* in the last entry */
} AccountState;

/*
 * The type in which ids of the journal and of the accounts are compared: that
 * of the accounts, or bigint for all integers.
 */
typedef struct AccountKeys
{
	TypeCacheEntry *type;
	Oid collation;
	bool hashed; /* have equal ids equal hashes? */
} AccountKeys;

static uint32
hash_id(const AccountKeys *keys, Datum id)
{
	/* Slow, but right: few types have an order and no hash. */
	if (!keys->hashed)
		return 0;
	return DatumGetUInt32(
		FunctionCall1Coll(&keys->type->hash_proc_finfo, keys->collation, id));
}

static int
compare_ids(const AccountKeys *keys, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll(&keys->type->cmp_proc_finfo, keys->collation, a, b));
}

#define SH_PREFIX			 states
#define SH_ELEMENT_TYPE		 AccountState
#define SH_KEY_TYPE			 Datum
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) hash_id((tb)->private_data, key)
#define SH_EQUAL(tb, a, b)	 (compare_ids((tb)->private_data, a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE		   static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Verification
{
	Accounts accounts;
	Journal journal;
	AccountKeys keys;
	states_hash *states;
	MemoryContext context; /* holds the states' ids and balances */
	Numeric opening;	   /* of each account, or NULL if it is as it is */
	ReturnSetInfo *result;
} Verification;

/* Add a row to the result. */
static void
report(Verification *verification, const Datum *account, const int64 *entry,
	   const char *problem, Numeric expected, Numeric found)
{
	Datum values[5];
	bool nulls[5] = {account == NULL, entry == NULL, false, expected == NULL,
					 found == NULL};

	if (account != NULL)
		values[0] = CStringGetTextDatum(
			values_print(verification->keys.type->type_id, *account));
	if (entry != NULL)
		values[1] = Int64GetDatum(*entry);
	values[2] = CStringGetTextDatum(problem);
	values[3] = NumericGetDatum(expected);
	values[4] = NumericGetDatum(found);
	tuplestore_putvalues(verification->result->setResult,
						 verification->result->setDesc, values, nulls);
}

/* Keep a balance, in place if it is as long as the last one. */
static void
keep_balance(Verification *verification, AccountState *state, Numeric balance)
{
	if (state->balance == NULL || VARSIZE(state->balance) != VARSIZE(balance))
	{
		if (state->balance != NULL)
			pfree(state->balance);
		state->balance = MemoryContextAlloc(verification->context,
											VARSIZE(balance));
	}
	memcpy(state->balance, balance, VARSIZE(balance));
}

/* What the account is known by so far; made, if this is its first entry. */
static AccountState *
find_state(Verification *verification, Datum id, bool *found)
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
	return state;
}

/* The clock may stand still from one entry of an account to the next. */
static void
check_time(Verification *verification, const JournalEntry *entry,
		   AccountState *state)
{
	if (!entry->has_time)
		return;
	if (state->has_time && entry->time < state->time)
		report(verification, &state->id, entry->has_id ? &entry->id : NULL,
			   "time_runs_back", NULL, NULL);
	state->has_time = true;
	state->time = entry->time;
}

/* Did the account begin with what all accounts begin with? */
static void
check_opening(Verification *verification, const Datum *id, const int64 *entry,
			  Numeric found)
{
	if (verification->opening != NULL &&
		(found == NULL || money_compare(found, verification->opening) != 0))
		report(verification, id, entry, "opening_differs",
			   verification->opening, found);
}

/* One side of an entry: does it follow from the account's entry before? */
static void
check_side(Verification *verification, const JournalEntry *entry, int side)
{
	Numeric balance = side == 0 ? entry->from_balance : entry->to_balance;
	Numeric amount = entry->amount ? entry->amount : int64_to_numeric(0);
	const int64 *entry_id = entry->has_id ? &entry->id : NULL;
	Oid id_type = verification->journal.types[JOURNAL_FROM_ID + side];
	AccountState *state;
	bool found;

	if (entry->no_id[side])
	{
		/* Money from or to nobody is what no account began with. */
		if (verification->opening != NULL)
			report(verification, NULL, entry_id, "account_missing", NULL, NULL);
		return;
	}
	state = find_state(verification,
					   ids_convert(id_type, verification->keys.type->type_id,
								   entry->ids[side]),
					   &found);
	check_time(verification, entry, state);
	state->has_entry = entry->has_id;
	state->entry = entry->id;
	if (state->balance != NULL || balance == NULL)
	{
		Numeric expected = state->balance == NULL ? NULL
						   : side == 0 ? money_minus(state->balance, amount)
									   : money_plus(state->balance, amount);

		if (expected == NULL || balance == NULL ||
			money_compare(expected, balance) != 0)
			report(verification, &state->id, entry_id, "balance_gap", expected,
				   balance);
		if (balance == NULL)
			balance = expected;
	}
	else if (!found)
		check_opening(verification, &state->id, entry_id,
					  side == 0 ? money_plus(balance, amount)
								: money_minus(balance, amount));
	if (balance != NULL)
		keep_balance(verification, state, balance);
}

static void
check_entry(const JournalEntry *entry, void *arg)
{
	check_side(arg, entry, 0);
	check_side(arg, entry, 1);
}

/*
 * An account that no entry names, perhaps for want of an id: it has what it
 * began with.  If that is not
 * said, it is nothing, or else its entries may be gone.
 */
static void
check_idle(Verification *verification, const Datum *id, Numeric balance)
{
	if (verification->opening != NULL)
		check_opening(verification, id, NULL, balance);
	else if (balance != NULL &&
			 money_compare(balance, int64_to_numeric(0)) != 0)
		report(verification, id, NULL, "no_entries", NULL, balance);
}

/* Is the balance of the account that of its last entry? */
static void
check_account(const RowSet *set, uint64 i, void *arg)
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
		check_idle(verification, NULL, balance);
		return;
	}
	id = ids_convert(verification->accounts.id.type,
					 verification->keys.type->type_id, id);
	state = states_lookup(verification->states, id);
	if (state == NULL)
	{
		check_idle(verification, &id, balance);
		return;
	}
	if (state->seen)
		report(verification, &state->id, NULL, "several_accounts", NULL,
			   balance);
	state->seen = true;
	if (balance == NULL || state->balance == NULL ||
		money_compare(balance, state->balance) != 0)
		report(verification, &state->id,
			   state->has_entry ? &state->entry : NULL, "balance_differs",
			   state->balance, balance);
}

/* Compare the accounts with their last entries. */
static void
check_accounts(Verification *verification)
{
	Accounts *accounts = &verification->accounts;
	AttrNumber attnums[2] = {accounts->id.attnum, accounts->balance.attnum};
	ColumnValues result = {.ncolumns = 2, .attnums = attnums};

	run_scan(accounts->table, NULL, &result, check_account, verification);
}

static int
compare_states(const void *a, const void *b, void *keys)
{
	return compare_ids(keys, (*(AccountState *const *) a)->id,
					   (*(AccountState *const *) b)->id);
}

/* Accounts that entries name and that are not there, in id order. */
static void
report_missing(Verification *verification)
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
	qsort_arg(missing, nmissing, sizeof(AccountState *), compare_states,
			  &verification->keys);
	for (int i = 0; i < nmissing; i++)
		report(verification, &missing[i]->id,
			   missing[i]->has_entry ? &missing[i]->entry : NULL,
			   "account_missing", missing[i]->balance, NULL);
	pfree(missing);
}

/* An entry of which more was reversed than it moved, or that is not there. */
static void
report_over_reversed(int64 entry, Numeric amount, Numeric total, void *arg)
{
	report(arg, NULL, &entry,
		   amount == NULL ? "reversal_without_entry" : "over_reversed", amount,
		   total);
}

/* Choose the type in which ids are compared. */
static void
choose_keys(Verification *verification)
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

/* Nothing is well that was not looked at. */
static void
check_row_security(const Target *table)
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

/* What all accounts begin with, or NULL. */
static Numeric
get_opening(FunctionCallInfo fcinfo)
{
	Numeric opening;

	if (PG_ARGISNULL(4))
		return NULL;
	opening = PG_GETARG_NUMERIC(4);
	if (!money_is_finite(opening))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be finite", "opening")));
	return opening;
}

static void
open_verification(Verification *verification, FunctionCallInfo fcinfo)
{
	Accounts *accounts = &verification->accounts;
	Journal *journal = &verification->journal;
	const char *id_column = PG_ARGISNULL(2) ? NULL
											: NameStr(*PG_GETARG_NAME(2));

	accounts_open(accounts, get_fn_expr_argtype(fcinfo->flinfo, 1),
				  AccessShareLock, id_column, NameStr(*PG_GETARG_NAME(3)));
	journal_open(journal, PG_GETARG_OID(0), AccessShareLock);
	journal_check_accounts(journal, accounts);
	journal_need(journal, JOURNAL_ID);
	journal_need(journal, JOURNAL_FROM_BALANCE);
	journal_need(journal, JOURNAL_TO_BALANCE);

	check_row_security(journal->table);
	check_row_security(accounts->table);

	choose_keys(verification);
	verification->opening = get_opening(fcinfo);
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

	if (PG_ARGISNULL(0))
		error_null_argument("journal");
	if (PG_ARGISNULL(3))
		error_null_argument("balance_column");
	InitMaterializedSRF(fcinfo, 0);
	open_verification(&verification, fcinfo);

	run_begin();
	verification.context = CurrentMemoryContext;
	verification.states = states_create(CurrentMemoryContext, 1024,
										&verification.keys);
	journal_scan(&verification.journal, check_entry, &verification);
	check_accounts(&verification);
	report_missing(&verification);
	reports_over_reversed(&verification.journal, report_over_reversed,
						  &verification);
	run_end();

	journal_close(&verification.journal);
	accounts_close(&verification.accounts);
	PG_RETURN_VOID();
}
