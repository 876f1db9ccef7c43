/*-------------------------------------------------------------------------
 *
 * moves.c
 *	  The transfers of a batch, applied in memory.
 *
 * Arrays become transfers between accounts, which are known by their place in
 * id order; so are requests, by their place in the order of their type.  When
 * all is locked and read, the transfers are applied one after the other, by
 * the same rules as single ones.
 *
 * A chain that fails is as if it had not been there: what was applied since
 * its first transfer is undone and applied again without it.
 *
 * Everything is allocated in the current memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "ledger/moves.h"
#include "ledger/requests.h"
#include "table/ids.h"
#include "table/values.h"

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
get_elements(ArrayType *array, const char *argument, int expected, bool **nulls,
			 int *nelements)
{
	Oid type;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;

	if (array == NULL)
		error_null_argument(argument);
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
	return ids_compare(&((const Rules *) rules)->id, ((const IdUse *) a)->id,
					   ((const IdUse *) b)->id);
}

/* Collect the ids of one side; transfers without one have no account. */
static int
collect_ids(Moves *moves, Oid type, Datum *ids, bool *nulls, bool pays,
			IdUse *uses)
{
	int nuses = 0;
	int i;
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	for (i = 0; i < moves->nmoves; i++)
	{
		if (nulls[i])
		{
			*(pays ? &moves->moves[i].from
				   : &moves->moves[i].to) = &moves->no_account;
			continue;
		}
		uses[nuses].id = ids_convert(type, moves->rules.id.type, ids[i]);
		uses[nuses].move = i;
		uses[nuses].pays = pays;
		nuses++;
	}
	error_context_stack = callback.previous;
	return nuses;
}

/* Find out which accounts there are, in id order. */
static void
set_accounts(Moves *moves, const IdUse *uses, int nuses)
{
	int nmatch = moves->rules.match.ncolumns;

	moves->slots = MemoryContextAllocExtended(CurrentMemoryContext,
											  sizeof(Slot) * (nuses + 1),
											  MCXT_ALLOC_HUGE |
												  MCXT_ALLOC_ZERO);
	for (int i = 0; i < nuses; i++)
	{
		Move *move = &moves->moves[uses[i].move];
		Slot *slot;

		if (i == 0 || compare_uses(&uses[i - 1], &uses[i], &moves->rules) != 0)
		{
			slot = &moves->slots[moves->nslots++];
			slot->account.id = uses[i].id;
			if (nmatch > 0)
			{
				slot->account.match_values = palloc(sizeof(Datum) * nmatch);
				slot->account.match_nulls = palloc(sizeof(bool) * nmatch);
			}
		}
		*(uses[i].pays ? &move->from
					   : &move->to) = &moves->slots[moves->nslots - 1];
	}
}

static void
parse_accounts(Moves *moves, const MoveArgs *args)
{
	bool *from_nulls;
	bool *to_nulls;
	Datum *from_ids;
	Datum *to_ids;
	IdUse *uses;
	int nuses;

	from_ids = get_elements(args->from_ids, "from_ids", -1, &from_nulls,
							&moves->nmoves);
	to_ids = get_elements(args->to_ids, "to_ids", moves->nmoves, &to_nulls,
						  &moves->nmoves);
	moves->moves =
		MemoryContextAllocExtended(CurrentMemoryContext,
								   sizeof(Move) * (moves->nmoves + 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	moves->no_account.account.id_null = true;
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(IdUse) * (2 * moves->nmoves + 1));
	nuses = collect_ids(moves, ARR_ELEMTYPE(args->from_ids), from_ids,
						from_nulls, true, uses);
	nuses += collect_ids(moves, ARR_ELEMTYPE(args->to_ids), to_ids, to_nulls,
						 false, uses + nuses);
	qsort_arg(uses, nuses, sizeof(IdUse), compare_uses, &moves->rules);
	set_accounts(moves, uses, nuses);
	pfree(uses);
}

static void
parse_amounts(Moves *moves, const MoveArgs *args)
{
	bool *nulls;
	int n;
	Datum *amounts = get_elements(args->amounts, "amounts", moves->nmoves,
								  &nulls, &n);

	for (int i = 0; i < moves->nmoves; i++)
		moves->moves[i].amount = nulls[i] ? NULL : DatumGetNumeric(amounts[i]);
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
collect_requests(Moves *moves, Datum *texts, bool *nulls, RequestUse *uses)
{
	int nuses = 0;
	int i;
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	for (i = 0; i < moves->nmoves; i++)
	{
		if (nulls[i])
			continue;
		uses[nuses].value = journal_convert_request(&moves->journal,
													TextDatumGetCString(
														texts[i]));
		uses[nuses++].move = i;
	}
	error_context_stack = callback.previous;
	return nuses;
}

static void
parse_requests(Moves *moves, const MoveArgs *args)
{
	bool *nulls;
	int n;
	Datum *texts;
	RequestUse *uses;
	int nuses;

	if (args->request_ids == NULL)
		return;
	if (!moves->has_journal)
		error_needs_journal("request_ids");
	texts = get_elements(args->request_ids, "request_ids", moves->nmoves,
						 &nulls, &n);
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(RequestUse) * (moves->nmoves + 1));
	nuses = collect_requests(moves, texts, nulls, uses);
	qsort_arg(uses, nuses, sizeof(RequestUse), compare_requests,
			  &moves->journal);

	moves->requests = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(Request) * (nuses + 1));
	for (int i = 0; i < nuses; i++)
	{
		if (i == 0 ||
			journal_compare_requests(&moves->journal, uses[i - 1].value,
									 uses[i].value) != 0)
			moves->requests[moves->nrequests++] = (Request){uses[i].value, NULL,
															-1};
		moves->moves[uses[i].move].request =
			&moves->requests[moves->nrequests - 1];
		moves->moves[uses[i].move].request_id = uses[i].value;
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
parse_chains(Moves *moves, const MoveArgs *args)
{
	bool *nulls;
	int n;
	Datum *numbers;
	ChainUse *uses;
	int nuses = 0;

	if (args->chains == NULL)
		return;
	numbers = get_elements(args->chains, "chains", moves->nmoves, &nulls, &n);
	uses = MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(ChainUse) * (moves->nmoves + 1));
	for (int i = 0; i < moves->nmoves; i++)
	{
		if (!nulls[i])
			uses[nuses++] = (ChainUse){DatumGetInt32(numbers[i]), i};
	}
	qsort(uses, nuses, sizeof(ChainUse), compare_chains);
	moves->chains = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Chain) * (nuses + 1));
	for (int i = 0; i < nuses; i++)
	{
		if (i == 0 || uses[i].number != uses[i - 1].number)
			moves->chains[moves->nchains++] = (Chain){.first = uses[i].move};
		moves->moves[uses[i].move].chain = &moves->chains[moves->nchains - 1];
	}
	pfree(uses);
}

/*
 * What is to be booked besides: the same for all transfers, or the elements of
 * an array, one for each.
 */
static void
parse_details(Moves *moves, const MoveArgs *args)
{
	Jsonb *details = args->details;
	JsonbIterator *it;
	JsonbValue element;
	int i = 0;

	if (args->details == NULL)
		return;
	if (!moves->has_journal)
		error_needs_journal("details");
	moves->details = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(Jsonb *) *
												(moves->nmoves + 1));
	if (!JB_ROOT_IS_ARRAY(details) || JB_ROOT_IS_SCALAR(details))
	{
		for (i = 0; i < moves->nmoves; i++)
			moves->details[i] = details;
		return;
	}
	if (JB_ROOT_COUNT(details) != moves->nmoves)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have as many elements as "
						"\"from_ids\"",
						"details"),
				 errdetail("It has %d, and \"from_ids\" has %d.",
						   (int) JB_ROOT_COUNT(details), moves->nmoves)));
	it = JsonbIteratorInit(&details->root);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
		moves->details[i++] = element.type == jbvNull
								  ? NULL
								  : JsonbValueToJsonb(&element);
}

/* The entry that a transfer asks for. */
static JournalEntry *
make_entry(Moves *moves, int i)
{
	Move *move = &moves->moves[i];
	Slot *slots[2] = {move->from, move->to};
	JournalEntry *entry = palloc0(sizeof(JournalEntry));

	entry->number = i + 1;
	entry->has_request = move->request != NULL;
	if (entry->has_request)
		entry->request = move->request_id;
	for (int side = 0; side < 2; side++)
		journal_set_id(&moves->journal, entry, side, moves->rules.id.type,
					   slots[side]->account.id, slots[side]->account.id_null);
	entry->amount = move->amount;
	if (moves->details != NULL)
		entry->details = moves->details[i];
	return entry;
}

/*
 * Understand what was asked for: fill in the batch, of which the rules and the
 * journal are set.
 */
void
moves_parse(Moves *moves, const MoveArgs *args)
{
	int i;
	ErrorContextCallback callback = {.callback = move_error_context, .arg = &i};

	parse_accounts(moves, args);
	parse_amounts(moves, args);
	parse_requests(moves, args);
	parse_chains(moves, args);
	parse_details(moves, args);

	callback.previous = error_context_stack;
	error_context_stack = &callback;
	for (i = 0; i < moves->nmoves; i++)
	{
		Move *move = &moves->moves[i];

		if (moves->has_journal)
			move->entry = make_entry(moves, i);
		move->request_verdict = rules_check_request(&moves->rules,
													&move->from->account,
													&move->to->account,
													move->amount);
	}
	error_context_stack = callback.previous;
}

/* ----------
 * Applying
 * ----------
 */

/* Does the transfer ask for what another one of the batch has done? */
static bool
repeats(const Moves *moves, const Move *move, const Move *done)
{
	return move->from == done->from && move->to == done->to &&
		   journal_same_request(&moves->journal, done->request_id,
								move->request_id) &&
		   requests_same_amount(done->movement.amount, move->amount,
								moves->rules.up_to);
}

/* Was the request of the transfer booked, before or by this batch? */
static Verdict
judge_request(const Moves *moves, const Move *move)
{
	const Request *request = move->request;
	bool same;

	if (request == NULL || (request->booked == NULL && request->move < 0))
		return VERDICT_OK;
	if (request->booked != NULL)
		same = requests_is_replay(&moves->journal, request->booked, move->entry,
								  moves->rules.up_to);
	else
		same = repeats(moves, move, &moves->moves[request->move]);
	return same ? VERDICT_REPLAYED : VERDICT_REQUEST_DIFFERS;
}

/*
 * Does it do what the rules allow?  Only what is needed later is kept, since a
 * transfer may be judged many times.
 */
static Verdict
judge_accounts(Moves *moves, Move *move)
{
	MemoryContext old = MemoryContextSwitchTo(moves->scratch);
	Movement movement;
	Verdict verdict;

	verdict = rules_check_accounts(&moves->rules, &move->from->account,
								   &move->to->account, move->amount, &movement);
	MemoryContextSwitchTo(old);
	if (verdict == VERDICT_OK)
	{
		move->movement.amount = movement.amount == move->amount
									? move->amount
									: money_copy(movement.amount);
		move->movement.from_balance = money_copy(movement.from_balance);
		move->movement.to_balance = money_copy(movement.to_balance);
	}
	MemoryContextReset(moves->scratch);
	return verdict;
}

/* What becomes of a transfer on the balances as they are now. */
static Verdict
judge(Moves *moves, int i)
{
	Move *move = &moves->moves[i];
	Verdict verdict = judge_request(moves, move);

	if (move->chain != NULL && move->chain->failed)
	{
		/* What was booked before the batch, stays booked. */
		if (verdict == VERDICT_REPLAYED && move->request->booked != NULL)
			return verdict;
		return move->chain->culprit == i ? move->chain->verdict
										 : VERDICT_CHAIN_FAILED;
	}
	if (verdict != VERDICT_OK)
		return verdict;
	if (move->request_verdict != VERDICT_OK)
		return move->request_verdict;
	return judge_accounts(moves, move);
}

static void
apply(Moves *moves, int i)
{
	Move *move = &moves->moves[i];

	move->from_before = move->from->account.balance;
	move->to_before = move->to->account.balance;
	move->from->account.balance = move->movement.from_balance;
	move->to->account.balance = move->movement.to_balance;
	if (move->request != NULL)
		move->request->move = i;
}

static void
undo(Moves *moves, int i)
{
	Move *move = &moves->moves[i];

	if (move->verdict != VERDICT_OK)
		return;
	move->from->account.balance = move->from_before;
	move->to->account.balance = move->to_before;
	if (move->request != NULL)
		move->request->move = -1;
	if (move->movement.amount != move->amount)
		pfree(move->movement.amount);
	pfree(move->movement.from_balance);
	pfree(move->movement.to_balance);
}

/* A transfer failed, and failures are errors. */
static void
raise_failure(Moves *moves, int i)
{
	Move *move = &moves->moves[i];
	ErrorContextCallback callback = {.previous = error_context_stack,
									 .callback = move_error_context,
									 .arg = &i};

	error_context_stack = &callback;
	if (move->verdict == VERDICT_REQUEST_DIFFERS)
	{
		JournalEntry *booked = move->request->booked;

		if (booked == NULL)
		{
			Move *done = &moves->moves[move->request->move];

			booked = done->entry;
			booked->amount = done->movement.amount;
		}
		requests_raise_difference(&moves->journal, booked, move->entry,
								  moves->rules.up_to);
	}
	rules_raise(&moves->rules, move->verdict, &move->from->account,
				&move->to->account, move->amount);
	error_context_stack = callback.previous;
}

/*
 * Apply the transfers, in order.  The first one that fails is an error; or, if
 * failures are to be reported, a verdict.  When one of a chain fails, start
 * again from the first of the chain, without the chain.
 *
 * The accounts of transfers that may be applied are locked, their balances
 * read; requests are locked, and those that were booked before are known.
 */
void
moves_apply(Moves *moves, bool report)
{
	int i = 0;

	moves->scratch = AllocSetContextCreate(CurrentMemoryContext,
										   "racefree transfers",
										   ALLOCSET_SMALL_SIZES);
	while (i < moves->nmoves)
	{
		Move *move = &moves->moves[i];
		Chain *chain = move->chain;

		CHECK_FOR_INTERRUPTS();
		move->verdict = judge(moves, i);
		if (move->verdict == VERDICT_OK)
			apply(moves, i);
		else if (move->verdict != VERDICT_REPLAYED && !report)
			raise_failure(moves, i);
		else if (move->verdict != VERDICT_REPLAYED && chain != NULL &&
				 !chain->failed)
		{
			chain->failed = true;
			chain->culprit = i;
			chain->verdict = move->verdict;
			while (--i >= chain->first)
				undo(moves, i);
		}
		i++;
	}
}
