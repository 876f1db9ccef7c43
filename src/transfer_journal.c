/*-------------------------------------------------------------------------
 *
 * transfer_journal.c
 *	  create_journal(), journal_guard(), balance_at(), verify_journal(): the
 *	  tables that transfers are booked in.
 *
 * What the calls allocate lives in SPI's memory context, and goes with
 * SPI_finish(), or in the caller's.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "args.h"
#include "errors.h"
#include "journal.h"
#include "plans.h"
#include "rules.h"
#include "target.h"

PG_FUNCTION_INFO_V1(create_journal);
PG_FUNCTION_INFO_V1(journal_guard);
PG_FUNCTION_INFO_V1(balance_at);
PG_FUNCTION_INFO_V1(verify_journal);

/* ----------
 * create_journal
 * ----------
 */

/* Run a command, as the caller. */
static void
run_command(const char *command)
{
	int result = SPI_execute(command, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "SPI returned %s for \"%s\"",
			 SPI_result_code_string(result), command);
}

/* The type of the accounts' ids, with their collation if it is its own. */
static char *
id_column_type(const Target *accounts, AttrNumber attnum)
{
	Form_pg_attribute att = target_column(accounts, attnum);
	char *type = format_type_extended(att->atttypid, att->atttypmod,
									  FORMAT_TYPE_TYPEMOD_GIVEN |
										  FORMAT_TYPE_FORCE_QUALIFY);
	HeapTuple tuple;
	Form_pg_collation form;

	if (!OidIsValid(att->attcollation) ||
		att->attcollation == get_typcollation(att->atttypid))
		return type;
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(att->attcollation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", att->attcollation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	type = psprintf("%s COLLATE %s", type,
					quote_qualified_identifier(get_namespace_name(
												   form->collnamespace),
											   NameStr(form->collname)));
	ReleaseSysCache(tuple);
	return type;
}

/* REFERENCES schema.accounts (id) */
static char *
id_reference(const Target *accounts, AttrNumber attnum)
{
	Relation rel = target_relation(accounts);
	char *schema = get_namespace_name(RelationGetNamespace(rel));
	const char *column = NameStr(target_column(accounts, attnum)->attname);

	return psprintf(" REFERENCES %s (%s)",
					quote_qualified_identifier(schema,
											   RelationGetRelationName(rel)),
					quote_identifier(column));
}

static void
create_table(const char *name, const char *id_type, const char *id_reference,
			 const char *reverses_reference, const char *request_type)
{
	StringInfoData command;

	initStringInfo(&command);
	appendStringInfo(&command,
					 "CREATE TABLE %s ("
					 "id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY"
					 " PRIMARY KEY, "
					 "request_id %s UNIQUE, ",
					 name, request_type);
	appendStringInfo(&command, "from_id %s NOT NULL%s, to_id %s NOT NULL%s, ",
					 id_type, id_reference, id_type, id_reference);
	appendStringInfo(&command,
					 "amount pg_catalog.numeric NOT NULL"
					 " CHECK (amount OPERATOR(pg_catalog.>) 0), "
					 "from_balance pg_catalog.numeric NOT NULL, "
					 "to_balance pg_catalog.numeric NOT NULL, "
					 "reverses pg_catalog.int8%s, "
					 "details pg_catalog.jsonb, "
					 "created_at pg_catalog.timestamptz NOT NULL"
					 " DEFAULT pg_catalog.clock_timestamp())",
					 reverses_reference);
	run_command(command.data);
}

static void
create_indexes(const char *name)
{
	run_command(psprintf("CREATE INDEX ON %s (from_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (to_id, created_at)", name));
	run_command(psprintf("CREATE INDEX ON %s (reverses)"
						 " WHERE reverses IS NOT NULL",
						 name));
}

/* Rows, so that partitions are guarded, too; TRUNCATE knows no rows. */
static void
create_guards(const char *name, Oid schema)
{
	const char *guard = quote_qualified_identifier(get_namespace_name(schema),
												   "journal_guard");

	run_command(psprintf("CREATE TRIGGER journal_guard"
						 " BEFORE UPDATE OR DELETE ON %s"
						 " FOR EACH ROW EXECUTE FUNCTION %s()",
						 name, guard));
	run_command(psprintf("CREATE TRIGGER journal_guard_truncate"
						 " BEFORE TRUNCATE ON %s"
						 " FOR EACH STATEMENT EXECUTE FUNCTION %s()",
						 name, guard));
}

/*
 * create_journal(journal text, accounts anyelement, id_column name,
 *				  request_id_type regtype, foreign_keys boolean)
 *		RETURNS regclass
 */
Datum
create_journal(PG_FUNCTION_ARGS)
{
	RangeVar *journal;
	Target *accounts;
	AttrNumber id_attnum;
	Oid schema;
	char *name;
	bool foreign_keys;

	if (PG_ARGISNULL(0))
		error_null_argument("journal");
	if (PG_ARGISNULL(3))
		error_null_argument("request_id_type");
	if (PG_ARGISNULL(4))
		error_null_argument("foreign_keys");
	foreign_keys = PG_GETARG_BOOL(4);

	journal = makeRangeVarFromNameList(
		textToQualifiedNameList(PG_GETARG_TEXT_PP(0)));
	schema = RangeVarGetCreationNamespace(journal);
	name = quote_qualified_identifier(get_namespace_name(schema),
									  journal->relname);
	accounts = target_open(get_fn_expr_argtype(fcinfo->flinfo, 1),
						   AccessShareLock);
	id_attnum = target_id_column(accounts, PG_ARGISNULL(2)
											   ? NULL
											   : NameStr(*PG_GETARG_NAME(2)));
	(void) target_id_comparison(accounts, id_attnum);

	SPI_connect();
	create_table(name, id_column_type(accounts, id_attnum),
				 foreign_keys ? id_reference(accounts, id_attnum) : "",
				 foreign_keys ? psprintf(" REFERENCES %s (id)", name) : "",
				 format_type_be_qualified(PG_GETARG_OID(3)));
	create_indexes(name);
	create_guards(name, get_func_namespace(fcinfo->flinfo->fn_oid));
	SPI_finish();
	target_close(accounts);
	PG_RETURN_OID(get_relname_relid(journal->relname, schema));
}

/* ----------
 * journal_guard
 * ----------
 */

/* journal_guard(): a trigger that refuses whatever fires it. */
Datum
journal_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"journal_guard")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("entries of journal \"%s\" cannot be changed",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("reverse_transfer() books another entry that moves the "
					 "money back.")));
}

/* ----------
 * balance_at
 * ----------
 */

/* The balance that such a statement gives; false if it gives none. */
static bool
read_balance(const Journal *journal, StatementKind kind, Datum *values,
			 MemoryContext context, Datum *balance)
{
	ColumnValues none = {0};
	StatementSpec spec = {.kind = kind,
						  .key = &none,
						  .journal = journal->columns};
	MemoryContext old;
	bool isnull;

	if (plan_read(journal->table, &spec, values) == 0)
		return false;
	*balance = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							 &isnull);
	if (isnull)
		return false;
	old = MemoryContextSwitchTo(context);
	*balance = datumCopy(*balance, false, -1);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * balance_at(journal regclass, account_id anyelement, at timestamptz)
 *		RETURNS numeric
 */
Datum
balance_at(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"journal", "account_id", "at"};
	MemoryContext context = CurrentMemoryContext;
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	Journal journal;
	Datum values[4];
	Datum balance;
	bool found;

	for (int i = 0; i < lengthof(arguments); i++)
	{
		if (PG_ARGISNULL(i))
			error_null_argument(arguments[i]);
	}
	journal_open(&journal, PG_GETARG_OID(0), AccessShareLock);
	journal_need(&journal, JOURNAL_FROM_BALANCE);
	journal_need(&journal, JOURNAL_TO_BALANCE);
	journal_need(&journal, JOURNAL_CREATED_AT);
	values[0] = journal_convert_id(&journal, JOURNAL_FROM_ID, type,
								   PG_GETARG_DATUM(1));
	values[1] = PG_GETARG_DATUM(2);
	values[2] = journal_convert_id(&journal, JOURNAL_TO_ID, type,
								   PG_GETARG_DATUM(1));
	values[3] = PG_GETARG_DATUM(2);

	SPI_connect();
	found =
		read_balance(&journal, STMT_BALANCE_AT, values, context, &balance) ||
		read_balance(&journal, STMT_BALANCE_BEFORE, values, context, &balance);
	SPI_finish();
	journal_close(&journal);
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(balance);
}

/* ----------
 * verify_journal
 * ----------
 */

/* What the journal says of an account so far. */
typedef struct AccountState
{
	Datum id; /* hash key, of the id column's base type */
	uint32 hash;
	char status;	 /* for simplehash */
	bool seen;		 /* in the table of accounts */
	bool has_entry;	 /* has the last entry an id? */
	int64 entry;	 /* the id of the last entry */
	Numeric balance; /* in the last entry */
} AccountState;

/* How account ids are hashed and compared. */
typedef struct AccountKeys
{
	const Rules *rules;
	FmgrInfo *hash; /* NULL if the type has no hash */
} AccountKeys;

static uint32
hash_id(const AccountKeys *keys, Datum id)
{
	if (keys->hash == NULL)
		return 0;
	return DatumGetUInt32(
		FunctionCall1Coll(keys->hash, keys->rules->id_collation, id));
}

static bool
same_id(const AccountKeys *keys, Datum a, Datum b)
{
	return rules_compare_ids(keys->rules, a, b) == 0;
}

#define SH_PREFIX			 states
#define SH_ELEMENT_TYPE		 AccountState
#define SH_KEY_TYPE			 Datum
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) hash_id((tb)->private_data, key)
#define SH_EQUAL(tb, a, b)	 same_id((tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE		   static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Verification
{
	Rules rules;
	Journal journal;
	AccountKeys keys;
	states_hash *states;
	MemoryContext context; /* holds the states' ids and balances */
	ReturnSetInfo *result;
} Verification;

/* Add a row to the result. */
static void
report(Verification *verification, const Datum *account, const int64 *entry,
	   const char *problem, Numeric expected, Numeric found)
{
	const Rules *rules = &verification->rules;
	Datum values[5];
	bool nulls[5] = {account == NULL, entry == NULL, false, expected == NULL,
					 found == NULL};

	if (account != NULL)
		values[0] = CStringGetTextDatum(
			args_print_id(rules->accounts, rules->id_attnum, *account));
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

/* One side of an entry: does it follow from the account's entry before? */
static void
check_side(Verification *verification, const JournalEntry *entry, int side)
{
	Numeric balance = side == 0 ? entry->from_balance : entry->to_balance;
	Numeric amount = entry->amount ? entry->amount : int64_to_numeric(0);
	const Rules *rules = &verification->rules;
	Form_pg_attribute att = target_column(rules->accounts, rules->id_attnum);
	Datum id;
	AccountState *state;
	bool found;

	if (entry->no_id[side])
		return;
	id = args_convert_id(journal_column_type(&verification->journal,
											 JOURNAL_FROM_ID + side),
						 rules->id_type, entry->ids[side]);
	state = states_insert(verification->states, id, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(verification->context);

		state->id = datumCopy(id, att->attbyval, att->attlen);
		MemoryContextSwitchTo(old);
		state->seen = false;
		state->balance = NULL;
	}
	state->has_entry = entry->has_id;
	state->entry = entry->id;
	if (state->balance != NULL || balance == NULL)
	{
		Numeric expected = state->balance == NULL ? NULL
						   : side == 0 ? money_minus(state->balance, amount)
									   : money_plus(state->balance, amount);

		if (expected == NULL || balance == NULL ||
			money_compare(expected, balance) != 0)
			report(verification, &id, entry->has_id ? &entry->id : NULL,
				   "balance_gap", expected, balance);
		if (balance == NULL)
			balance = expected;
	}
	if (balance != NULL)
		keep_balance(verification, state, balance);
}

static void
check_entry(const JournalEntry *entry, void *arg)
{
	check_side(arg, entry, 0);
	check_side(arg, entry, 1);
}

/* Is the balance of the account that of its last entry? */
static void
check_account(HeapTuple tuple, TupleDesc tupdesc, void *arg)
{
	Verification *verification = arg;
	bool isnull;
	Datum id = heap_getattr(tuple, 1, tupdesc, &isnull);
	AccountState *state = isnull ? NULL
								 : states_lookup(verification->states, id);
	Datum value = heap_getattr(tuple, 2, tupdesc, &isnull);
	Numeric balance;

	if (state == NULL)
		return;
	state->seen = true;
	balance = isnull ? NULL
					 : money_from_column(&verification->rules.balance, value);
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
	Rules *rules = &verification->rules;
	AttrNumber attnums[2] = {rules->id_attnum, rules->balance.attnum};
	ColumnValues result = {.ncolumns = 2, .attnums = attnums};
	ColumnValues none = {0};
	StatementSpec spec = {.kind = STMT_SCAN, .key = &none, .result = &result};

	plan_scan(rules->accounts, &spec, check_account, verification);
}

static int
compare_states(const void *a, const void *b, void *rules)
{
	return rules_compare_ids(rules, (*(AccountState *const *) a)->id,
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
			  &verification->rules);
	for (int i = 0; i < nmissing; i++)
		report(verification, &missing[i]->id,
			   missing[i]->has_entry ? &missing[i]->entry : NULL,
			   "account_missing", missing[i]->balance, NULL);
	pfree(missing);
}

/* Entries of which more was reversed than they moved. */
static void
check_reversals(Verification *verification)
{
	Journal *journal = &verification->journal;
	ColumnValues none = {0};
	StatementSpec spec = {.kind = STMT_OVER_REVERSED,
						  .key = &none,
						  .journal = journal->columns};
	uint64 nrows;

	if (!journal_has(journal, JOURNAL_ID) ||
		!journal_has(journal, JOURNAL_REVERSES))
		return;
	nrows = plan_read(journal->table, &spec, NULL);
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc tupdesc = SPI_tuptable->tupdesc;
		bool isnull;
		int64 entry = DatumGetInt64(heap_getattr(tuple, 1, tupdesc, &isnull));
		Datum total = heap_getattr(tuple, 3, tupdesc, &isnull);
		Datum amount = heap_getattr(tuple, 2, tupdesc, &isnull);

		report(verification, NULL, &entry,
			   isnull ? "reversal_without_entry" : "over_reversed",
			   isnull ? NULL : DatumGetNumeric(amount), DatumGetNumeric(total));
	}
}

static void
open_verification(Verification *verification, FunctionCallInfo fcinfo)
{
	RuleArgs args = {.balance_column = NameStr(*PG_GETARG_NAME(3))};
	Rules *rules = &verification->rules;
	Journal *journal = &verification->journal;
	TypeCacheEntry *type;

	if (!PG_ARGISNULL(2))
		args.id_column = NameStr(*PG_GETARG_NAME(2));
	rules_resolve(rules,
				  target_open(get_fn_expr_argtype(fcinfo->flinfo, 1),
							  AccessShareLock),
				  &args);
	journal_open(journal, PG_GETARG_OID(0), AccessShareLock);
	journal_check_ids(journal, rules->accounts, rules->id_attnum);
	journal_need(journal, JOURNAL_FROM_BALANCE);
	journal_need(journal, JOURNAL_TO_BALANCE);

	type = target_column_type(rules->accounts, rules->id_attnum,
							  TYPECACHE_HASH_PROC_FINFO);
	verification->keys.rules = rules;
	verification->keys.hash = OidIsValid(type->hash_proc)
								  ? &type->hash_proc_finfo
								  : NULL;
	verification->result = (ReturnSetInfo *) fcinfo->resultinfo;
}

/*
 * verify_journal(journal regclass, accounts anyelement, id_column name,
 *				  balance_column name, OUT account_id text,
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

	SPI_connect();
	verification.context = CurrentMemoryContext;
	verification.states = states_create(CurrentMemoryContext, 1024,
										&verification.keys);
	journal_scan(&verification.journal, check_entry, &verification);
	check_accounts(&verification);
	report_missing(&verification);
	check_reversals(&verification);
	SPI_finish();

	journal_close(&verification.journal);
	target_close(verification.rules.accounts);
	PG_RETURN_VOID();
}
