/*-------------------------------------------------------------------------
 *
 * transfer_many.c
 *	  transfer_many(): a batch of transfers.
 *
 * The batch takes its locks first, requests before accounts, each in order,
 * with one statement for all.  Then it is applied in memory, and written: one
 * UPDATE of the accounts that took part, one INSERT of the entries.
 *
 * All of it lives in SPI's memory context, and goes with SPI_finish().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "ledger/booking.h"
#include "ledger/moves.h"
#include "ledger/requests.h"
#include "run/plans.h"
#include "run/run.h"
#include "run/rows.h"
#include "table/ids.h"
#include "table/target.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(transfer_many);

/* ----------
 * Arguments
 * ----------
 */

static ArrayType *
get_array(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL : PG_GETARG_ARRAYTYPE_P(argno);
}

/* What to do with failures: are they to be reported? */
static bool
parse_on_error(FunctionCallInfo fcinfo)
{
	static const char *const words[] = {"raise", "report"};

	if (PG_ARGISNULL(6))
		error_null_argument("on_error");
	return arguments_choose("on_error", text_to_cstring(PG_GETARG_TEXT_PP(6)),
							words, lengthof(words)) == 1;
}

static void
open_tables(Moves *moves, FunctionCallInfo fcinfo)
{
	RuleArgs args = {0};

	if (PG_ARGISNULL(14))
		error_null_argument("balance_column");
	args.balance_column = NameStr(*PG_GETARG_NAME(14));
	if (!PG_ARGISNULL(13))
		args.id_column = NameStr(*PG_GETARG_NAME(13));
	if (!PG_ARGISNULL(9))
		args.min_balance = PG_GETARG_NUMERIC(9);
	if (!PG_ARGISNULL(10))
		args.max_balance = PG_GETARG_NUMERIC(10);
	if (!PG_ARGISNULL(11))
		args.must_match = PG_GETARG_ARRAYTYPE_P(11);
	if (PG_ARGISNULL(12))
		error_null_argument("up_to");
	args.up_to = PG_GETARG_BOOL(12);
	rules_resolve(&moves->rules,
				  target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
							  RowExclusiveLock),
				  &args);

	if (!rules_match_is_stable(&moves->rules))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("accounts of a batch cannot be matched by the balance "
						"or by a generated column"),
				 errdetail("It could change from one transfer to the next.")));

	moves->has_journal = !PG_ARGISNULL(7);
	if (!moves->has_journal)
		return;
	journal_open(&moves->journal, PG_GETARG_OID(7), RowExclusiveLock);
	journal_check_accounts(&moves->journal, moves->rules.accounts,
						   moves->rules.id.attnum, moves->rules.balance.attnum);
	moves->rules.booked = &moves->journal.amount;
}

/* ----------
 * Locking
 * ----------
 */

/* Lock the requests, and find those that were booked before. */
static void
claim_requests(Moves *moves)
{
	Datum *values;
	JournalEntry **booked;

	if (moves->nrequests == 0)
		return;
	values = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(Datum) * moves->nrequests);
	booked = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(JournalEntry *) * moves->nrequests);
	for (int i = 0; i < moves->nrequests; i++)
		values[i] = moves->requests[i].value;
	requests_claim_many(&moves->journal, values, moves->nrequests, booked);
	for (int i = 0; i < moves->nrequests; i++)
		moves->requests[i].booked = booked[i];
	pfree(booked);
	pfree(values);
}

/* Only accounts of transfers that may be applied are needed. */
static void
choose_accounts(Moves *moves)
{
	for (int i = 0; i < moves->nmoves; i++)
	{
		Move *move = &moves->moves[i];

		if (move->request_verdict != VERDICT_OK ||
			(move->request != NULL && move->request->booked != NULL))
			continue;
		move->from->needed = true;
		move->to->needed = true;
	}
}

/* Is the balance another one than was locked? */
static bool
has_changed(const Slot *slot)
{
	return slot->original != slot->account.balance &&
		   money_compare(slot->original, slot->account.balance) != 0;
}

/*
 * Only accounts that applied transfers name are written: also where the balance
 * ends where it began, so that triggers, constraints, policies and privileges
 * have their say.
 */
static void
choose_moved(Moves *moves)
{
	for (int i = 0; i < moves->nmoves; i++)
	{
		Move *move = &moves->moves[i];

		if (move->verdict != VERDICT_OK)
			continue;
		move->from->moved = true;
		move->to->moved = true;
	}
}

/* Which accounts a statement is about. */
typedef enum Slots
{
	SLOTS_NEEDED,
	SLOTS_MISSING, /* of those, the ones that were not found */
	SLOTS_MOVED	   /* those that were moved, with their new balances */
} Slots;

static bool
is_among(const Slot *slot, Slots which)
{
	switch (which)
	{
		case SLOTS_NEEDED:
			return slot->needed;
		case SLOTS_MISSING:
			return slot->needed && !slot->account.found;
		default:
			return slot->moved;
	}
}

/* Slots as rows for a statement. */
static Rows *
register_slots(Moves *moves, Slots which, int *nrows)
{
	bool moved = which == SLOTS_MOVED;
	Rules *rules = &moves->rules;
	Rows *rows = rows_begin(moved ? 3 : 2, moves->nslots);

	rows_add_base_column(rows, 'k', 1, rules->accounts, rules->id.attnum);
	if (moved)
		rows_add_base_column(rows, 'd', 1, rules->accounts,
							 rules->balance.attnum);
	*nrows = 0;
	for (int i = 0; i < moves->nslots; i++)
	{
		Slot *slot = &moves->slots[i];
		Datum values[3] = {Int32GetDatum(i), slot->account.id};
		bool nulls[3] = {false, false, false};

		if (!is_among(slot, which))
			continue;
		if (moved)
			values[2] = money_to_column(&rules->balance, slot->account.balance);
		rows_put(rows, values, nulls);
		(*nrows)++;
	}
	rows_register(rows);
	return rows;
}

/* The id column as a key of statements. */
static ColumnValues
id_key(Moves *moves)
{
	static bool not_null = false;
	ColumnValues key = {.ncolumns = 1,
						.attnums = &moves->rules.id.attnum,
						.nulls = &not_null};

	return key;
}

/* The slot that a row of a statement's result is about. */
static Slot *
slot_of_row(Moves *moves, HeapTuple tuple, TupleDesc tupdesc)
{
	bool isnull;

	return &moves->slots[DatumGetInt32(
		heap_getattr(tuple, tupdesc->natts, tupdesc, &isnull))];
}

/* Take an account as it was locked: the balance, and what must match. */
static void
take_account(Moves *moves, HeapTuple tuple, TupleDesc tupdesc)
{
	Rules *rules = &moves->rules;
	Slot *slot = slot_of_row(moves, tuple, tupdesc);
	Account *account = &slot->account;
	Datum balance = heap_getattr(tuple, 1, tupdesc, &account->balance_null);

	if (account->found)
		ids_error_not_unique(rules->accounts, rules->id.attnum, account->id);
	account->found = true;
	if (!account->balance_null)
		account->balance = money_from_column(&rules->balance, balance);
	slot->original = account->balance;
	for (int i = 0; i < rules->match.ncolumns; i++)
		account->match_values[i] = heap_getattr(tuple, i + 2, tupdesc,
												&account->match_nulls[i]);
}

/*
 * Read accounts, by a statement that locks them in order or by one that does
 * not, and give each row to the function, if there is one.  The result is the
 * number of rows.
 */
static uint64
read_accounts(Moves *moves, StatementKind kind, Slots which,
			  void (*take)(Moves *, HeapTuple, TupleDesc))
{
	Rules *rules = &moves->rules;
	ColumnValues key = id_key(moves);
	ColumnValues *result = values_make(1 + rules->match.ncolumns);
	StatementSpec spec = {.kind = kind, .key = &key, .result = result};
	Rows *rows;
	int nrows;
	uint64 nread;

	values_set(result, 0, rules->balance.attnum, (Datum) 0, true);
	for (int i = 0; i < rules->match.ncolumns; i++)
		values_set(result, i + 1, rules->match.attnums[i], (Datum) 0, true);

	rows = register_slots(moves, which, &nrows);
	spec.size = plan_batch_size(nrows);
	/* With one row more than there are ids, one has two. */
	nread = nrows == 0
				? 0
				: plan_run_batch(rules->accounts, &spec, VIEW_OWN, nrows + 1);
	rows_unregister(rows);
	for (uint64 i = 0; i < nread && take != NULL; i++)
		take(moves, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	return nread;
}

static bool
any_missing(const Moves *moves)
{
	for (int i = 0; i < moves->nslots; i++)
	{
		if (is_among(&moves->slots[i], SLOTS_MISSING))
			return true;
	}
	return false;
}

/*
 * Lock the accounts that are needed.  While we waited for one, another session
 * may have deleted it and inserted another one with the same id: look again for
 * those that are missing, with a newer snapshot.  That can lock rows out of
 * order, if rarely: then PostgreSQL may have to end a circle.
 */
static void
lock_accounts(Moves *moves)
{
	Slots which = SLOTS_NEEDED;

	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		(void) read_accounts(moves, STMT_BATCH_LOCK_IDS, which, take_account);
		which = SLOTS_MISSING;
		if (!any_missing(moves) ||
			read_accounts(moves, STMT_BATCH_LOOK, which, NULL) == 0)
			return;
	}
}

/* ----------
 * Writing
 * ----------
 */

/* The row must hold what was computed, whatever triggers do. */
static void
check_account(Moves *moves, HeapTuple tuple, TupleDesc tupdesc)
{
	Slot *slot = slot_of_row(moves, tuple, tupdesc);
	bool isnull;
	Datum balance = heap_getattr(tuple, 1, tupdesc, &isnull);

	if (!slot->account.found)
		return;
	if (slot->checked)
		ids_error_not_unique(moves->rules.accounts, moves->rules.id.attnum,
							 slot->account.id);
	slot->checked = true;
	if (isnull != slot->account.balance_null ||
		(!isnull &&
		 money_compare(money_from_column(&moves->rules.balance, balance),
					   slot->account.balance) != 0))
		rules_raise_not_stored(&moves->rules, &slot->account,
							   slot->account.balance);
}

/*
 * Store the balances.  An UPDATE that changes nothing may be suppressed by the
 * trigger that is made for that.
 */
static void
update_accounts(Moves *moves)
{
	Rules *rules = &moves->rules;
	ColumnValues key = id_key(moves);
	ColumnValues data = {.ncolumns = 1, .attnums = &rules->balance.attnum};
	static const bool given = false;
	StatementSpec spec = {.kind = STMT_BATCH_UPDATE,
						  .key = &key,
						  .data = &data,
						  .partial = &given,
						  .result = &data};
	bool redundant = target_suppresses_redundant_updates(rules->accounts);
	int nrows;
	int turn;
	uint64 nupdated;
	Rows *rows;

	choose_moved(moves);
	rows = register_slots(moves, SLOTS_MOVED, &nrows);
	spec.size = plan_batch_size(nrows);
	nupdated = nrows == 0 ? 0
						  : plan_write_batch(rules->accounts, &spec, &turn, 0);
	rows_unregister(rows);
	for (uint64 i = 0; i < nupdated; i++)
		check_account(moves, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	for (int i = 0; i < moves->nslots && nupdated < nrows; i++)
	{
		Slot *slot = &moves->slots[i];

		if (slot->moved && !slot->checked && !(redundant && !has_changed(slot)))
			rules_raise_not_stored(rules, &slot->account,
								   slot->account.balance);
	}
}

/* Read the accounts again after all triggers have run. */
static void
reread_accounts(Moves *moves)
{
	for (int i = 0; i < moves->nslots; i++)
		moves->slots[i].checked = false;
	(void) read_accounts(moves, STMT_BATCH_LOOK, SLOTS_NEEDED, check_account);
	for (int i = 0; i < moves->nslots; i++)
	{
		Slot *slot = &moves->slots[i];

		if (slot->account.found && !slot->checked)
			rules_raise_not_stored(&moves->rules, &slot->account,
								   slot->account.balance);
	}
}

/* The entries of the transfers that were applied, and their number. */
static JournalEntry **
collect_entries(Moves *moves, int *nentries)
{
	JournalEntry **entries = MemoryContextAllocHuge(CurrentMemoryContext,
													sizeof(JournalEntry *) *
														(moves->nmoves + 1));

	*nentries = 0;
	for (int i = 0; i < moves->nmoves; i++)
	{
		Move *move = &moves->moves[i];

		if (move->verdict != VERDICT_OK)
			continue;
		move->entry->amount = move->movement.amount;
		move->entry->from_balance = move->movement.from_balance;
		move->entry->to_balance = move->movement.to_balance;
		entries[(*nentries)++] = move->entry;
	}
	return entries;
}

/*
 * Store the balances, and book the entries.  Where code of the user's has run
 * with them, what it did must leave both as they were computed.
 */
static void
write_all(Moves *moves)
{
	bool plain = !target_runs_user_code_on_update(moves->rules.accounts,
												  moves->rules.balance.attnum);
	BookingDoubt doubt = BOOKING_SURE;
	JournalEntry **entries = NULL;
	int nentries = 0;

	update_accounts(moves);
	if (moves->has_journal)
		entries = collect_entries(moves, &nentries);
	if (nentries > 0)
	{
		booking_insert_many(&moves->journal, entries, nentries);
		doubt = booking_doubt(&moves->journal, plain);
	}
	if (!plain || doubt == BOOKING_TRIGGERS)
		reread_accounts(moves);
	if (doubt != BOOKING_SURE)
		booking_check_many(&moves->journal, entries, nentries);
}

/* ----------
 * Result
 * ----------
 */

static void
put_numeric(Numeric number, Datum *value, bool *isnull)
{
	*isnull = number == NULL;
	*value = NumericGetDatum(number);
}

/* What was done, now or when the request was booked. */
static void
put_result(Moves *moves, int i, Datum *values, bool *nulls)
{
	Move *move = &moves->moves[i];
	JournalEntry *booked = NULL;
	Movement *movement = &move->movement;

	memset(nulls, true, sizeof(bool) * 6);
	nulls[0] = nulls[1] = false;
	values[0] = Int64GetDatum(i + 1);
	values[1] = CStringGetTextDatum(rules_status(move->verdict));
	if (move->verdict == VERDICT_REPLAYED)
		booked = move->request->booked;
	else if (move->verdict != VERDICT_OK)
		return;
	if (booked != NULL)
		*movement = (Movement){booked->amount, booked->from_balance,
							   booked->to_balance};
	else
	{
		if (move->verdict == VERDICT_REPLAYED)
			move = &moves->moves[move->request->move];
		booked = move->entry;
		movement = &move->movement;
	}
	put_numeric(movement->amount, &values[2], &nulls[2]);
	put_numeric(movement->from_balance, &values[3], &nulls[3]);
	put_numeric(movement->to_balance, &values[4], &nulls[4]);
	nulls[5] = booked == NULL || !booked->has_id;
	if (!nulls[5])
		values[5] = Int64GetDatum(booked->id);
}

static void
return_results(FunctionCallInfo fcinfo, Moves *moves)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < moves->nmoves; i++)
	{
		Datum values[6];
		bool nulls[6];

		put_result(moves, i, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		pfree(DatumGetPointer(values[1]));
	}
}

/*
 * transfer_many(accounts anyelement, from_ids anycompatiblearray,
 *				 to_ids anycompatiblearray, amounts numeric[],
 *				 request_ids text[], chains integer[], on_error text,
 *				 journal regclass, details jsonb, min_balance numeric,
 *				 max_balance numeric, must_match name[], up_to boolean,
 *				 id_column name, balance_column name,
 *				 OUT ordinality bigint, OUT status text, OUT amount numeric,
 *				 OUT from_balance numeric, OUT to_balance numeric,
 *				 OUT entry_id bigint) RETURNS SETOF record
 */
Datum
transfer_many(PG_FUNCTION_ARGS)
{
	Moves moves = {0};
	MoveArgs args = {.from_ids = get_array(fcinfo, 1),
					 .to_ids = get_array(fcinfo, 2),
					 .amounts = get_array(fcinfo, 3),
					 .request_ids = get_array(fcinfo, 4),
					 .chains = get_array(fcinfo, 5)};
	bool report = parse_on_error(fcinfo);

	if (!PG_ARGISNULL(8))
		args.details = PG_GETARG_JSONB_P(8);
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	open_tables(&moves, fcinfo);
	moves_parse(&moves, &args);

	claim_requests(&moves);
	choose_accounts(&moves);
	lock_accounts(&moves);
	moves_apply(&moves, report);
	write_all(&moves);
	return_results(fcinfo, &moves);

	if (moves.has_journal)
		journal_close(&moves.journal);
	target_close(moves.rules.accounts);
	SPI_finish();
	PG_RETURN_VOID();
}
