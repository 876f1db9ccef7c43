/*-------------------------------------------------------------------------
 *
 * transfer_many.c
 *	  transfer_many(): a batch of transfers.
 *
 * The batch takes its locks first, requests before accounts, each in order,
 * with one statement for all.  Then it is applied in memory, one transfer
 * after the other, by the same rules as single ones; and then written: one
 * UPDATE of the accounts that changed, one INSERT of the entries.
 *
 * A chain that fails is as if it had not been there: what was applied since
 * its first transfer is undone and applied again without it.
 *
 * All of it lives in SPI's memory context, and goes with SPI_finish().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "args.h"
#include "errors.h"
#include "journal.h"
#include "plans.h"
#include "rows.h"
#include "rules.h"
#include "target.h"

PG_FUNCTION_INFO_V1(transfer_many);

/* An account that the batch names. */
typedef struct Slot
{
	Account account;  /* as it is after the transfers applied so far */
	Numeric original; /* the balance as it was locked */
	bool needed;	  /* by a transfer that may be applied */
} Slot;

/* A request that the batch names. */
typedef struct Request
{
	Datum value;
	JournalEntry *booked; /* before this batch, or NULL */
	int move;			  /* the transfer that books it, or -1 */
} Request;

/* Transfers that succeed or fail together. */
typedef struct Chain
{
	int number; /* as the caller calls it */
	int first;	/* its first transfer */
	bool failed;
	int culprit; /* the transfer that failed */
	Verdict verdict;
} Chain;

/* One transfer. */
typedef struct Move
{
	Slot *from;
	Slot *to;
	Request *request; /* NULL for none */
	Chain *chain;	  /* NULL for none */
	Numeric amount;	  /* as asked for, or NULL */
	Verdict request_verdict;
	Verdict verdict;
	Movement movement;	 /* if it was applied */
	Numeric from_before; /* what the balances were before */
	Numeric to_before;
	JournalEntry *entry; /* of this transfer, or the one that it replays */
} Move;

typedef struct TransferBatch
{
	Rules rules;
	Journal journal;
	bool has_journal;
	bool report; /* failures, instead of raising the first one */
	int nmoves;
	Move *moves;
	int nslots;
	Slot *slots; /* in id order */
	Slot no_account;
	int nrequests;
	Request *requests;
	int nchains;
	Chain *chains;
	Jsonb **details; /* one for each transfer, or NULL */
} TransferBatch;

/* Error context callback: the transfer with that number, from 0. */
static void
move_error_context(void *number)
{
	errcontext("transfer %d", *(int *) number + 1);
}

/* ----------
 * Arguments
 * ----------
 */

/* The elements of an array argument, of which there must be so many. */
static Datum *
get_elements(FunctionCallInfo fcinfo, int argno, const char *argument,
			 int expected, bool **nulls, int *nelements)
{
	ArrayType *array;
	Oid type;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;

	if (PG_ARGISNULL(argno))
		error_null_argument(argument);
	array = PG_GETARG_ARRAYTYPE_P(argno);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"%s\" must be a one-dimensional "
							   "array",
							   argument)));
	type = ARR_ELEMTYPE(array);
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elements, nulls,
					  nelements);
	if (expected >= 0 && *nelements != expected)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have as many elements as "
						"\"from_ids\"",
						argument),
				 errdetail("It has %d, and \"from_ids\" has %d.", *nelements,
						   expected)));
	return elements;
}

/* One of the two ids of a transfer, while the ids are sorted. */
typedef struct IdUse
{
	Datum id;
	int move;
	bool pays;
} IdUse;

static int
compare_uses(const void *a, const void *b, void *rules)
{
	return rules_compare_ids(rules, ((const IdUse *) a)->id,
							 ((const IdUse *) b)->id);
}

/* Collect the ids of one side; transfers without one have no account. */
static int
collect_ids(TransferBatch *batch, FunctionCallInfo fcinfo, int argno,
			Datum *ids, bool *nulls, bool pays, IdUse *uses)
{
	Oid from = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, argno));
	int nuses = 0;
	int i;
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	for (i = 0; i < batch->nmoves; i++)
	{
		if (nulls[i])
		{
			*(pays ? &batch->moves[i].from
				   : &batch->moves[i].to) = &batch->no_account;
			continue;
		}
		uses[nuses].id = args_convert_id(from, batch->rules.id_type, ids[i]);
		uses[nuses].move = i;
		uses[nuses].pays = pays;
		nuses++;
	}
	error_context_stack = callback.previous;
	return nuses;
}

/* Find out which accounts there are, in id order. */
static void
set_accounts(TransferBatch *batch, const IdUse *uses, int nuses)
{
	int nmatch = batch->rules.match.ncolumns;

	batch->slots = MemoryContextAllocExtended(CurrentMemoryContext,
											  sizeof(Slot) * (nuses + 1),
											  MCXT_ALLOC_HUGE |
												  MCXT_ALLOC_ZERO);
	for (int i = 0; i < nuses; i++)
	{
		Move *move = &batch->moves[uses[i].move];
		Slot *slot;

		if (i == 0 || compare_uses(&uses[i - 1], &uses[i], &batch->rules) != 0)
		{
			slot = &batch->slots[batch->nslots++];
			slot->account.id = uses[i].id;
			if (nmatch > 0)
			{
				slot->account.match_values = palloc(sizeof(Datum) * nmatch);
				slot->account.match_nulls = palloc(sizeof(bool) * nmatch);
			}
		}
		*(uses[i].pays ? &move->from
					   : &move->to) = &batch->slots[batch->nslots - 1];
	}
}

static void
parse_accounts(TransferBatch *batch, FunctionCallInfo fcinfo)
{
	bool *from_nulls;
	bool *to_nulls;
	Datum *from_ids;
	Datum *to_ids;
	IdUse *uses;
	int nuses;

	from_ids = get_elements(fcinfo, 1, "from_ids", -1, &from_nulls,
							&batch->nmoves);
	to_ids = get_elements(fcinfo, 2, "to_ids", batch->nmoves, &to_nulls,
						  &batch->nmoves);
	batch->moves =
		MemoryContextAllocExtended(CurrentMemoryContext,
								   sizeof(Move) * (batch->nmoves + 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	batch->no_account.account.id_null = true;
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(IdUse) * (2 * batch->nmoves + 1));
	nuses = collect_ids(batch, fcinfo, 1, from_ids, from_nulls, true, uses);
	nuses += collect_ids(batch, fcinfo, 2, to_ids, to_nulls, false,
						 uses + nuses);
	qsort_arg(uses, nuses, sizeof(IdUse), compare_uses, &batch->rules);
	set_accounts(batch, uses, nuses);
	pfree(uses);
}

static void
parse_amounts(TransferBatch *batch, FunctionCallInfo fcinfo)
{
	bool *nulls;
	int n;
	Datum *amounts = get_elements(fcinfo, 3, "amounts", batch->nmoves, &nulls,
								  &n);

	for (int i = 0; i < batch->nmoves; i++)
		batch->moves[i].amount = nulls[i] ? NULL : DatumGetNumeric(amounts[i]);
}

/* The request of a transfer, while the requests are sorted. */
typedef struct RequestUse
{
	Datum value;
	int move;
} RequestUse;

static int
compare_requests(const void *a, const void *b, void *journal)
{
	const RequestUse *left = a;
	const RequestUse *right = b;
	int order = journal_compare_requests(journal, left->value, right->value);

	return order != 0 ? order : left->move - right->move;
}

/* The request ids that are given, as values of their column. */
static int
collect_requests(TransferBatch *batch, Datum *texts, bool *nulls,
				 RequestUse *uses)
{
	int nuses = 0;
	int i;
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	for (i = 0; i < batch->nmoves; i++)
	{
		if (nulls[i])
			continue;
		uses[nuses].value = journal_convert_request(&batch->journal,
													TextDatumGetCString(
														texts[i]));
		uses[nuses++].move = i;
	}
	error_context_stack = callback.previous;
	return nuses;
}

static void
parse_requests(TransferBatch *batch, FunctionCallInfo fcinfo)
{
	bool *nulls;
	int n;
	Datum *texts;
	RequestUse *uses;
	int nuses;

	if (PG_ARGISNULL(4))
		return;
	if (!batch->has_journal)
		error_needs_journal("request_ids");
	texts = get_elements(fcinfo, 4, "request_ids", batch->nmoves, &nulls, &n);
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(RequestUse) * (batch->nmoves + 1));
	nuses = collect_requests(batch, texts, nulls, uses);
	qsort_arg(uses, nuses, sizeof(RequestUse), compare_requests,
			  &batch->journal);

	batch->requests = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(Request) * (nuses + 1));
	for (int i = 0; i < nuses; i++)
	{
		if (i == 0 ||
			journal_compare_requests(&batch->journal, uses[i - 1].value,
									 uses[i].value) != 0)
			batch->requests[batch->nrequests++] = (Request){uses[i].value, NULL,
															-1};
		batch->moves[uses[i].move].request =
			&batch->requests[batch->nrequests - 1];
	}
	pfree(uses);
}

/* The chain of a transfer, while the chains are sorted. */
typedef struct ChainUse
{
	int number;
	int move;
} ChainUse;

static int
compare_chains(const void *a, const void *b)
{
	const ChainUse *left = a;
	const ChainUse *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return left->move - right->move;
}

static void
parse_chains(TransferBatch *batch, FunctionCallInfo fcinfo)
{
	bool *nulls;
	int n;
	Datum *numbers;
	ChainUse *uses;
	int nuses = 0;

	if (PG_ARGISNULL(5))
		return;
	numbers = get_elements(fcinfo, 5, "chains", batch->nmoves, &nulls, &n);
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(ChainUse) * (batch->nmoves + 1));
	for (int i = 0; i < batch->nmoves; i++)
	{
		if (!nulls[i])
			uses[nuses++] = (ChainUse){DatumGetInt32(numbers[i]), i};
	}
	qsort(uses, nuses, sizeof(ChainUse), compare_chains);
	batch->chains = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Chain) * (nuses + 1));
	for (int i = 0; i < nuses; i++)
	{
		if (i == 0 || uses[i].number != uses[i - 1].number)
			batch->chains[batch->nchains++] = (Chain){.number = uses[i].number,
													  .first = uses[i].move};
		batch->moves[uses[i].move].chain = &batch->chains[batch->nchains - 1];
	}
	pfree(uses);
}

/*
 * What is to be booked besides: the same for all transfers, or the elements of
 * an array, one for each.
 */
static void
parse_details(TransferBatch *batch, FunctionCallInfo fcinfo)
{
	Jsonb *details;
	JsonbIterator *it;
	JsonbValue element;
	int i = 0;

	if (PG_ARGISNULL(8))
		return;
	if (!batch->has_journal)
		error_needs_journal("details");
	details = PG_GETARG_JSONB_P(8);
	batch->details = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(Jsonb *) *
												(batch->nmoves + 1));
	if (!JB_ROOT_IS_ARRAY(details) || JB_ROOT_IS_SCALAR(details))
	{
		for (i = 0; i < batch->nmoves; i++)
			batch->details[i] = details;
		return;
	}
	if (JB_ROOT_COUNT(details) != batch->nmoves)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have as many elements as "
						"\"from_ids\"",
						"details"),
				 errdetail("It has %d, and \"from_ids\" has %d.",
						   (int) JB_ROOT_COUNT(details), batch->nmoves)));
	it = JsonbIteratorInit(&details->root);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
		batch->details[i++] = element.type == jbvNull
								  ? NULL
								  : JsonbValueToJsonb(&element);
}

/* What to do with failures. */
static bool
parse_on_error(FunctionCallInfo fcinfo)
{
	char *word;

	if (PG_ARGISNULL(6))
		error_null_argument("on_error");
	word = text_to_cstring(PG_GETARG_TEXT_PP(6));
	if (strcmp(word, "raise") != 0 && strcmp(word, "report") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid %s: \"%s\"", "on_error", word),
						errhint("It must be one of %s.",
								"\"raise\", \"report\"")));
	return strcmp(word, "report") == 0;
}

static void
open_tables(TransferBatch *batch, FunctionCallInfo fcinfo)
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
	args.up_to = !PG_ARGISNULL(12) && PG_GETARG_BOOL(12);
	rules_resolve(&batch->rules,
				  target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
							  RowExclusiveLock),
				  &args);

	batch->has_journal = !PG_ARGISNULL(7);
	if (!batch->has_journal)
		return;
	journal_open(&batch->journal, PG_GETARG_OID(7), RowExclusiveLock);
	journal_check_ids(&batch->journal, batch->rules.accounts,
					  batch->rules.id_attnum);
	batch->rules.booked = &batch->journal.amount;
}

/* ----------
 * Locking
 * ----------
 */

/* The entry that a transfer asks for. */
static JournalEntry *
make_entry(TransferBatch *batch, int i)
{
	Move *move = &batch->moves[i];
	Slot *slots[2] = {move->from, move->to};
	JournalEntry *entry = palloc0(sizeof(JournalEntry));

	entry->number = i + 1;
	entry->has_request = move->request != NULL;
	if (entry->has_request)
		entry->request = move->request->value;
	for (int side = 0; side < 2; side++)
	{
		entry->no_id[side] = slots[side]->account.id_null;
		if (!entry->no_id[side])
			entry->ids[side] = journal_convert_id(&batch->journal,
												  JOURNAL_FROM_ID + side,
												  batch->rules.id_type,
												  slots[side]->account.id);
	}
	entry->amount = move->amount;
	if (batch->details != NULL)
		entry->details = batch->details[i];
	return entry;
}

/* Lock the requests, and find those that were booked before. */
static void
claim_requests(TransferBatch *batch)
{
	Datum *values;
	JournalEntry **booked;

	if (batch->nrequests == 0)
		return;
	values = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(Datum) * batch->nrequests);
	booked = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(JournalEntry *) * batch->nrequests);
	for (int i = 0; i < batch->nrequests; i++)
		values[i] = batch->requests[i].value;
	journal_claim_many(&batch->journal, values, batch->nrequests, booked);
	for (int i = 0; i < batch->nrequests; i++)
		batch->requests[i].booked = booked[i];
	pfree(booked);
	pfree(values);
}

/* See which transfers may be applied, and so which accounts are needed. */
static void
check_requests(TransferBatch *batch)
{
	for (int i = 0; i < batch->nmoves; i++)
	{
		Move *move = &batch->moves[i];

		if (batch->has_journal)
			move->entry = make_entry(batch, i);
		move->request_verdict = rules_check_request(&batch->rules,
													&move->from->account,
													&move->to->account,
													move->amount);
		if (move->request_verdict != VERDICT_OK ||
			(move->request != NULL && move->request->booked != NULL))
			continue;
		move->from->needed = true;
		move->to->needed = true;
	}
}

/*
 * Slots as rows for a statement: those that are needed, or those that changed
 * with their new balances.
 */
static Rows *
register_slots(TransferBatch *batch, bool changed, int *nrows)
{
	Rules *rules = &batch->rules;
	Rows *rows = rows_begin(changed ? 3 : 2, batch->nslots);

	rows_add_column(rows, 'k', 1, rules->accounts, rules->id_attnum);
	if (changed)
		rows_add_column(rows, 'd', 1, rules->accounts, rules->balance.attnum);
	*nrows = 0;
	for (int i = 0; i < batch->nslots; i++)
	{
		Slot *slot = &batch->slots[i];
		Datum values[3] = {Int32GetDatum(i), slot->account.id};
		bool nulls[3] = {false, false, false};

		if (changed
				? slot->original == slot->account.balance ||
					  money_compare(slot->original, slot->account.balance) == 0
				: !slot->needed)
			continue;
		if (changed)
			values[2] = money_to_column(&rules->balance, slot->account.balance);
		rows_put(rows, values, nulls);
		(*nrows)++;
	}
	rows_register(rows);
	return rows;
}

/* The id column as a key of statements. */
static ColumnValues
id_key(TransferBatch *batch)
{
	static bool not_null = false;
	ColumnValues key = {.ncolumns = 1,
						.attnums = &batch->rules.id_attnum,
						.nulls = &not_null};

	return key;
}

/* The slot that a row of a statement's result is about. */
static Slot *
slot_of_row(TransferBatch *batch, HeapTuple tuple, TupleDesc tupdesc)
{
	bool isnull;

	return &batch->slots[DatumGetInt32(
		heap_getattr(tuple, tupdesc->natts, tupdesc, &isnull))];
}

/* Take an account as it was locked: the balance, and what must match. */
static void
take_account(TransferBatch *batch, HeapTuple tuple, TupleDesc tupdesc)
{
	Rules *rules = &batch->rules;
	Slot *slot = slot_of_row(batch, tuple, tupdesc);
	Account *account = &slot->account;
	Datum balance = heap_getattr(tuple, 1, tupdesc, &account->balance_null);

	if (account->found)
		args_error_id_not_unique(rules->accounts, rules->id_attnum,
								 account->id);
	account->found = true;
	if (!account->balance_null)
		account->balance = money_from_column(&rules->balance, balance);
	slot->original = account->balance;
	for (int i = 0; i < rules->match.ncolumns; i++)
		account->match_values[i] = heap_getattr(tuple, i + 2, tupdesc,
												&account->match_nulls[i]);
}

/*
 * Lock the accounts that are needed, in id order, and give each row to the
 * function.
 */
static void
lock_accounts(TransferBatch *batch,
			  void (*take)(TransferBatch *, HeapTuple, TupleDesc))
{
	Rules *rules = &batch->rules;
	ColumnValues key = id_key(batch);
	ColumnValues *result = args_make_columns(1 + rules->match.ncolumns);
	StatementSpec spec = {.kind = STMT_BATCH_LOCK_IDS,
						  .key = &key,
						  .result = result};
	Rows *rows;
	int nrows;
	uint64 nlocked;

	result->attnums[0] = rules->balance.attnum;
	for (int i = 0; i < rules->match.ncolumns; i++)
		result->attnums[i + 1] = rules->match.attnums[i];

	rows = register_slots(batch, false, &nrows);
	spec.size = plan_batch_size(nrows);
	/* With one row more than there are ids, one has two. */
	nlocked = nrows == 0
				  ? 0
				  : plan_run_batch(rules->accounts, &spec, VIEW_OWN, nrows + 1);
	rows_unregister(rows);
	for (uint64 i = 0; i < nlocked; i++)
		take(batch, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
}

/* ----------
 * Applying
 * ----------
 */

/* Does the transfer ask for what another one of the batch has done? */
static bool
repeats(const TransferBatch *batch, const Move *move, const Move *done)
{
	int order;

	if (move->from != done->from || move->to != done->to ||
		move->amount == NULL)
		return false;
	order = money_compare(done->movement.amount, move->amount);
	return order == 0 || (batch->rules.up_to && order < 0);
}

/* Was the request of the transfer booked, before or by this batch? */
static Verdict
judge_request(const TransferBatch *batch, const Move *move)
{
	const Request *request = move->request;
	bool same;

	if (request == NULL || (request->booked == NULL && request->move < 0))
		return VERDICT_OK;
	if (request->booked != NULL)
		same = journal_is_replay(&batch->journal, request->booked, move->entry,
								 batch->rules.up_to);
	else
		same = repeats(batch, move, &batch->moves[request->move]);
	return same ? VERDICT_REPLAYED : VERDICT_REQUEST_DIFFERS;
}

/* What becomes of a transfer on the balances as they are now. */
static Verdict
judge(TransferBatch *batch, int i)
{
	Move *move = &batch->moves[i];
	Verdict verdict = judge_request(batch, move);

	if (move->chain != NULL && move->chain->failed)
	{
		/* What was booked before, stays booked. */
		if (verdict == VERDICT_REPLAYED)
			return verdict;
		return move->chain->culprit == i ? move->chain->verdict
										 : VERDICT_CHAIN_FAILED;
	}
	if (verdict != VERDICT_OK)
		return verdict;
	if (move->request_verdict != VERDICT_OK)
		return move->request_verdict;
	return rules_check_accounts(&batch->rules, &move->from->account,
								&move->to->account, move->amount,
								&move->movement);
}

static void
apply(TransferBatch *batch, int i)
{
	Move *move = &batch->moves[i];

	move->from_before = move->from->account.balance;
	move->to_before = move->to->account.balance;
	move->from->account.balance = move->movement.from_balance;
	move->to->account.balance = move->movement.to_balance;
	if (move->request != NULL)
		move->request->move = i;
}

static void
undo(TransferBatch *batch, int i)
{
	Move *move = &batch->moves[i];

	if (move->verdict != VERDICT_OK)
		return;
	move->from->account.balance = move->from_before;
	move->to->account.balance = move->to_before;
	if (move->request != NULL)
		move->request->move = -1;
	pfree(move->movement.from_balance);
	pfree(move->movement.to_balance);
}

/* A transfer failed, and failures are errors. */
static void
raise_failure(TransferBatch *batch, int i)
{
	Move *move = &batch->moves[i];
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	if (move->verdict == VERDICT_REQUEST_DIFFERS)
	{
		JournalEntry *booked = move->request->booked;

		if (booked == NULL)
		{
			Move *done = &batch->moves[move->request->move];

			booked = done->entry;
			booked->amount = done->movement.amount;
		}
		journal_raise_difference(&batch->journal, booked, move->entry,
								 batch->rules.up_to);
	}
	rules_raise(&batch->rules, move->verdict, &move->from->account,
				&move->to->account, move->amount);
	error_context_stack = callback.previous;
}

/*
 * Apply the transfers, in order.  When one of a chain fails, start again from
 * the first of the chain, without the chain.
 */
static void
apply_all(TransferBatch *batch)
{
	int i = 0;

	while (i < batch->nmoves)
	{
		Move *move = &batch->moves[i];
		Chain *chain = move->chain;

		CHECK_FOR_INTERRUPTS();
		move->verdict = judge(batch, i);
		if (move->verdict == VERDICT_OK)
			apply(batch, i);
		else if (move->verdict != VERDICT_REPLAYED && !batch->report)
			raise_failure(batch, i);
		else if (move->verdict != VERDICT_REPLAYED && chain != NULL &&
				 !chain->failed)
		{
			chain->failed = true;
			chain->culprit = i;
			chain->verdict = move->verdict;
			while (--i >= chain->first)
				undo(batch, i);
		}
		i++;
	}
}

/* ----------
 * Writing
 * ----------
 */

/* The row must hold what was computed, whatever triggers do. */
static void
check_account(TransferBatch *batch, HeapTuple tuple, TupleDesc tupdesc)
{
	Slot *slot = slot_of_row(batch, tuple, tupdesc);
	bool isnull;
	Datum balance = heap_getattr(tuple, 1, tupdesc, &isnull);

	if (!slot->account.found)
		return;
	if (isnull != slot->account.balance_null ||
		(!isnull &&
		 money_compare(money_from_column(&batch->rules.balance, balance),
					   slot->account.balance) != 0))
		rules_raise_not_stored(&batch->rules, &slot->account,
							   slot->account.balance);
	slot->original = slot->account.balance;
}

/* Store the balances that changed. */
static void
update_accounts(TransferBatch *batch)
{
	Rules *rules = &batch->rules;
	ColumnValues key = id_key(batch);
	ColumnValues data = {.ncolumns = 1, .attnums = &rules->balance.attnum};
	static const bool given = false;
	StatementSpec spec = {.kind = STMT_BATCH_UPDATE,
						  .key = &key,
						  .data = &data,
						  .partial = &given,
						  .result = &data};
	int nrows;
	int turn;
	uint64 nupdated;
	Rows *rows = register_slots(batch, true, &nrows);

	spec.size = plan_batch_size(nrows);
	nupdated = nrows == 0 ? 0
						  : plan_write_batch(rules->accounts, &spec, &turn, 0);
	rows_unregister(rows);
	for (uint64 i = 0; i < nupdated; i++)
		check_account(batch, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	for (int i = 0; i < batch->nslots && nupdated < nrows; i++)
	{
		Slot *slot = &batch->slots[i];

		if (slot->original != slot->account.balance &&
			money_compare(slot->original, slot->account.balance) != 0)
			rules_raise_not_stored(rules, &slot->account,
								   slot->account.balance);
	}
}

/* Book the transfers that were applied. */
static void
book_entries(TransferBatch *batch)
{
	JournalEntry **entries;
	int nentries = 0;

	if (!batch->has_journal)
		return;
	entries = MemoryContextAllocHuge(CurrentMemoryContext,
									 sizeof(JournalEntry *) *
										 (batch->nmoves + 1));
	for (int i = 0; i < batch->nmoves; i++)
	{
		Move *move = &batch->moves[i];

		if (move->verdict != VERDICT_OK)
			continue;
		move->entry->amount = move->movement.amount;
		move->entry->from_balance = move->movement.from_balance;
		move->entry->to_balance = move->movement.to_balance;
		entries[nentries++] = move->entry;
	}
	journal_book_many(&batch->journal, entries, nentries);
	pfree(entries);
}

static void
write_all(TransferBatch *batch)
{
	update_accounts(batch);
	if (!target_updates_are_plain(batch->rules.accounts))
		lock_accounts(batch, check_account);
	book_entries(batch);
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
put_result(TransferBatch *batch, int i, Datum *values, bool *nulls)
{
	Move *move = &batch->moves[i];
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
			move = &batch->moves[move->request->move];
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
return_results(FunctionCallInfo fcinfo, TransferBatch *batch)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int i = 0; i < batch->nmoves; i++)
	{
		Datum values[6];
		bool nulls[6];

		put_result(batch, i, values, nulls);
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
	TransferBatch batch = {0};

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	batch.report = parse_on_error(fcinfo);
	open_tables(&batch, fcinfo);
	parse_accounts(&batch, fcinfo);
	parse_amounts(&batch, fcinfo);
	parse_requests(&batch, fcinfo);
	parse_chains(&batch, fcinfo);
	parse_details(&batch, fcinfo);

	claim_requests(&batch);
	check_requests(&batch);
	lock_accounts(&batch, take_account);
	apply_all(&batch);
	write_all(&batch);
	return_results(fcinfo, &batch);

	if (batch.has_journal)
		journal_close(&batch.journal);
	target_close(batch.rules.accounts);
	SPI_finish();
	PG_RETURN_VOID();
}
