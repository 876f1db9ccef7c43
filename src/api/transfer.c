/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  transfer() and reverse_transfer(): money from one account to another.
 *
 * The two rows are always locked in the order of the primary key, or of their
 * ids where there is none, so transfers never wait for each other in a circle.
 *
 * On a plain table with unique ids, by which rows are locked, and whose UPDATEs
 * run no code of the user's, two UPDATEs do it all.  Each also asks that the
 * old balance be within the bound in which nothing can go wrong.  Where that
 * does not hold, or cannot be known to suffice, the careful way takes over:
 * lock both rows, judge them in the documented order, update, and verify what
 * was stored.  Row locks that the first way took are in order, too, so the
 * ways mix.
 *
 * With a journal, the request is looked up before anything else is judged, and
 * the entry is booked when all else is done.  Keys are locked before rows.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "ledger/booking.h"
#include "ledger/journal.h"
#include "ledger/requests.h"
#include "ledger/rules.h"
#include "run/plans.h"
#include "run/run.h"
#include "table/ids.h"
#include "table/json.h"
#include "table/target.h"
#include "table/tuples.h"
#include "table/values.h"

PG_FUNCTION_INFO_V1(transfer);
PG_FUNCTION_INFO_V1(reverse_transfer);

/* One of the two accounts, and what becomes of it. */
typedef struct Party
{
	Account account; /* as it was before */
	Numeric change;	 /* what is added to the balance */
	Numeric after;	 /* the balance after that */
	bool updated;
	Datum row; /* as it is now; NULL if there is none */
} Party;

typedef struct Transfer
{
	Rules rules;
	Journal *journal; /* NULL for none */
	Party from;
	Party to;
	Party *first; /* from and to in id order */
	Party *second;
	Numeric amount; /* as asked for, or NULL */
	Numeric moved;	/* of a reversal: by the entry that is reversed */
	Movement movement;
	bool replayed;
	JournalEntry entry;	   /* asked for, then booked */
	MemoryContext context; /* where the result goes */
} Transfer;

/* ----------
 * Arguments
 * ----------
 */

/* Take one of the ids that the caller gave. */
static void
set_id(Transfer *transfer, Party *party, FunctionCallInfo fcinfo, int argno)
{
	party->account.id_null = PG_ARGISNULL(argno);
	if (!party->account.id_null)
		party->account.id =
			ids_convert(get_fn_expr_argtype(fcinfo->flinfo, argno),
						transfer->rules.id.type, PG_GETARG_DATUM(argno));
}

/* Open the journal, and take what is to be booked besides the movement. */
static void
set_journal(Transfer *transfer, FunctionCallInfo fcinfo, int journal,
			int request_id, int details)
{
	JournalEntry *entry = &transfer->entry;

	if (PG_ARGISNULL(journal))
	{
		if (!PG_ARGISNULL(request_id))
			error_needs_journal("request_id");
		if (!PG_ARGISNULL(details))
			error_needs_journal("details");
		return;
	}
	transfer->journal = palloc(sizeof(Journal));
	journal_open(transfer->journal, PG_GETARG_OID(journal), RowExclusiveLock);
	journal_check_accounts(transfer->journal, transfer->rules.accounts,
						   transfer->rules.id.attnum,
						   transfer->rules.balance.attnum);
	transfer->rules.booked = &transfer->journal->amount;

	entry->has_request = !PG_ARGISNULL(request_id);
	if (entry->has_request)
		entry->request = journal_convert_request(
			transfer->journal, text_to_cstring(PG_GETARG_TEXT_PP(request_id)));
	if (!PG_ARGISNULL(details))
		entry->details = PG_GETARG_JSONB_P(details);
}

/* ----------
 * Moving
 * ----------
 */

/* Both ids are known: which row comes first? */
static void
order_parties(Transfer *transfer)
{
	bool forward = ids_compare(&transfer->rules.id, transfer->from.account.id,
							   transfer->to.account.id) < 0;

	transfer->first = forward ? &transfer->from : &transfer->to;
	transfer->second = forward ? &transfer->to : &transfer->from;
}

/* The id as a key. */
static ColumnValues
id_key(const Transfer *transfer, Party *party)
{
	ColumnValues key = {1, unconstify(AttrNumber *, &transfer->rules.id.attnum),
						&party->account.id, &party->account.id_null};

	return key;
}

/* Keep a row that a statement gave as the party's. */
static void
take_tuple(Transfer *transfer, Party *party, HeapTuple tuple, TupleDesc tupdesc)
{
	const Rules *rules = &transfer->rules;
	Account *account = &party->account;
	MemoryContext old;
	Datum balance;

	account->found = true;
	balance = tuples_value(rules->accounts, tuple, tupdesc,
						   rules->balance.attnum, &account->balance_null);
	if (!account->balance_null)
		account->balance = money_from_column(&rules->balance, balance);
	for (int i = 0; i < rules->match.ncolumns; i++)
		account->match_values[i] = tuples_value(rules->accounts, tuple, tupdesc,
												rules->match.attnums[i],
												&account->match_nulls[i]);

	old = MemoryContextSwitchTo(transfer->context);
	party->row = tuples_form_row(rules->accounts, tuple, tupdesc);
	MemoryContextSwitchTo(old);
}

static void
error_not_unique(const Transfer *transfer, const Party *party)
{
	ids_error_not_unique(transfer->rules.accounts, transfer->rules.id.attnum,
						 party->account.id);
}

/* Keep the row that a statement gave as the party's; false if none. */
static bool
take_row(Transfer *transfer, Party *party, uint64 nrows)
{
	if (nrows > 1)
		error_not_unique(transfer, party);
	party->account.found = false;
	if (nrows == 1)
		take_tuple(transfer, party, SPI_tuptable->vals[0],
				   SPI_tuptable->tupdesc);
	return party->account.found;
}

/* The change to a party's balance, as the statements take it. */
static ColumnValues
change_values(Transfer *transfer, Party *party, Datum *value, bool *isnull)
{
	ColumnValues change = {1, &transfer->rules.balance.attnum, value, isnull};

	*value = money_to_column(&transfer->rules.balance, party->change);
	*isnull = false;
	return change;
}

/*
 * The bound on the old balance under which the change is allowed, and the
 * statement that asks for it.
 */
static StatementKind
choose_add(const Transfer *transfer, const Party *party, Numeric *bound)
{
	const MoneyColumn *column = &transfer->rules.balance;
	bool pays = party == &transfer->from;
	Numeric limit = pays ? transfer->rules.min_balance
						 : transfer->rules.max_balance;
	Numeric range = pays ? column->lowest : column->highest;

	/* Whichever is narrower: the limit, or the column's range. */
	if (column->bounded &&
		(limit == NULL || (money_compare(limit, range) > 0) != pays))
		limit = range;
	if (limit == NULL)
		return STMT_ADD;
	*bound = money_minus(limit, party->change);
	return pays ? STMT_ADD_ABOVE : STMT_ADD_BELOW;
}

/*
 * Change the balance if the row is there and nothing can go wrong with it.
 * False if it was left alone; it may be locked or not.
 */
static bool
update_if_sound(Transfer *transfer, Party *party)
{
	Account *account = &party->account;
	Datum value;
	bool isnull;
	ColumnValues key = id_key(transfer, party);
	ColumnValues change = change_values(transfer, party, &value, &isnull);
	Numeric bound = NULL;
	StatementKind kind = choose_add(transfer, party, &bound);
	uint64 nrows;

	nrows = plan_run_bounded(transfer->rules.accounts, kind, &key, &change,
							 NumericGetDatum(bound));
	/* A balance that was no number is none now: see what to say of it. */
	if (!take_row(transfer, party, nrows) || account->balance_null ||
		!money_is_finite(account->balance))
		return false;
	party->updated = true;
	party->after = account->balance;
	account->balance = money_minus(party->after, party->change);
	return true;
}

/* Can bounds on the old balance be computed without leaving numeric's range? */
static bool
bounds_are_sound(const Transfer *transfer)
{
	const Rules *rules = &transfer->rules;
	Numeric highest = rules->balance.highest;

	return money_compare(transfer->amount, highest) <= 0 &&
		   (rules->min_balance == NULL ||
			money_compare(rules->min_balance, highest) <= 0) &&
		   (rules->max_balance == NULL ||
			money_compare(rules->max_balance, rules->balance.lowest) >= 0);
}

/* Move the money without looking first.  False if one must look. */
static bool
move_if_sound(Transfer *transfer)
{
	const Rules *rules = &transfer->rules;

	transfer->from.change = money_negate(transfer->amount);
	transfer->to.change = transfer->amount;
	if (!update_if_sound(transfer, transfer->first) ||
		!update_if_sound(transfer, transfer->second))
		return false;
	/* Both are sound by themselves; an error undoes the change. */
	rules_raise(rules,
				rules_check_match(rules, &transfer->from.account,
								  &transfer->to.account),
				&transfer->from.account, &transfer->to.account,
				transfer->amount);
	transfer->movement = (Movement){transfer->amount, transfer->from.after,
									transfer->to.after};
	return true;
}

/*
 * Lock the party's row, if it is not yet.  While we waited for the row, another
 * session may have deleted it and inserted another one with the same id: look
 * again, with a newer snapshot.  That can lock rows out of order, if rarely:
 * then PostgreSQL may have to end a circle.
 */
static void
lock_party(Transfer *transfer, Party *party)
{
	Target *accounts = transfer->rules.accounts;
	ColumnValues key = id_key(transfer, party);

	if (party->account.found)
		return;
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		if (take_row(transfer, party,
					 plan_run(accounts, STMT_LOCK, &key, NULL, VIEW_OWN)) ||
			plan_run(accounts, STMT_EXISTS, &key, NULL, VIEW_OWN) == 0)
			return;
	}
}

/* Lock both rows, in the order of the primary key. */
static void
lock_pair(Transfer *transfer)
{
	const Rules *rules = &transfer->rules;
	AttrNumber attnums[2] = {rules->id.attnum, rules->id.attnum};
	Datum ids[2] = {transfer->from.account.id, transfer->to.account.id};
	bool nulls[2] = {false, false};
	ColumnValues key = {2, attnums, ids, nulls};
	uint64 nrows = plan_run(rules->accounts, STMT_LOCK_PAIR, &key, NULL,
							VIEW_OWN);
	SPITupleTable *rows = SPI_tuptable;

	for (uint64 i = 0; i < nrows; i++)
	{
		bool isnull;
		Datum id = tuples_value(rules->accounts, rows->vals[i], rows->tupdesc,
								rules->id.attnum, &isnull);
		Party *party = ids_compare(&rules->id, id, ids[0]) == 0
						   ? &transfer->from
						   : &transfer->to;

		if (party->account.found)
			error_not_unique(transfer, party);
		take_tuple(transfer, party, rows->vals[i], rows->tupdesc);
	}
}

/* The row must hold what was computed, whatever triggers do. */
static void
check_stored(const Transfer *transfer, const Party *party)
{
	const Account *account = &party->account;

	if (!account->found || account->balance_null ||
		money_compare(account->balance, party->after) != 0)
		rules_raise_not_stored(&transfer->rules, account, party->after);
}

static void
update_party(Transfer *transfer, Party *party)
{
	Datum value;
	bool isnull;
	ColumnValues key = id_key(transfer, party);
	ColumnValues change;

	if (party->updated)
		return;
	change = change_values(transfer, party, &value, &isnull);
	(void) take_row(transfer, party,
					plan_run(transfer->rules.accounts, STMT_ADD, &key, &change,
							 VIEW_OWN));
	check_stored(transfer, party);
	party->updated = true;
}

/*
 * An account as it is now; there may be none any more.  An entry need not name
 * one: then a row whose id is NULL is not meant.
 */
static void
look_up_party(Transfer *transfer, Party *party)
{
	ColumnValues key = id_key(transfer, party);

	if (party->account.id_null)
		return;
	(void) take_row(transfer, party,
					plan_run(transfer->rules.accounts, STMT_LOOK, &key, NULL,
							 VIEW_OWN));
}

/* Read a row again after all triggers have run. */
static void
reread_party(Transfer *transfer, Party *party)
{
	look_up_party(transfer, party);
	check_stored(transfer, party);
}

/* Move the money, or raise what is wrong. */
static void
move(Transfer *transfer, bool plain)
{
	const Rules *rules = &transfer->rules;
	Account *from = &transfer->from.account;
	Account *to = &transfer->to.account;
	bool by_id = target_locks_by(rules->accounts, rules->id.attnum);

	if (plain && by_id && !rules->up_to && rules_match_is_stable(rules) &&
		target_is_unique(rules->accounts, rules->id.attnum) &&
		bounds_are_sound(transfer) && move_if_sound(transfer))
		return;

	if (!by_id)
		lock_pair(transfer);
	lock_party(transfer, transfer->first);
	lock_party(transfer, transfer->second);
	rules_raise(rules,
				rules_check_accounts(rules, from, to, transfer->amount,
									 &transfer->movement),
				from, to, transfer->amount);
	transfer->from.change = money_negate(transfer->movement.amount);
	transfer->from.after = transfer->movement.from_balance;
	transfer->to.change = transfer->movement.amount;
	transfer->to.after = transfer->movement.to_balance;
	update_party(transfer, transfer->first);
	update_party(transfer, transfer->second);
}

/* ----------
 * Booking
 * ----------
 */

/* The ids as the journal has them. */
static void
set_entry_ids(Transfer *transfer)
{
	Party *parties[2] = {&transfer->from, &transfer->to};

	for (int side = 0; side < 2; side++)
		journal_set_id(transfer->journal, &transfer->entry, side,
					   transfer->rules.id.type, parties[side]->account.id,
					   parties[side]->account.id_null);
}

static void
book(Transfer *transfer)
{
	JournalEntry *entry = &transfer->entry;

	entry->amount = transfer->movement.amount;
	entry->from_balance = transfer->movement.from_balance;
	entry->to_balance = transfer->movement.to_balance;
	booking_insert(transfer->journal, entry, transfer->context);
}

/* The request was booked before: return that, or say what differs. */
static void
replay(Transfer *transfer, const JournalEntry *booked)
{
	const Rules *rules = &transfer->rules;

	if (!requests_is_replay(transfer->journal, booked, &transfer->entry,
							rules->up_to))
		requests_raise_difference(transfer->journal, booked, &transfer->entry,
								  rules->up_to);
	look_up_party(transfer, &transfer->from);
	look_up_party(transfer, &transfer->to);
	transfer->replayed = true;
	transfer->movement.amount = booked->amount;
	transfer->entry.row = booked->row;
}

/* Was the request booked before?  If not, it is ours. */
static bool
claim(Transfer *transfer, JournalEntry *booked)
{
	JournalEntry *entry = &transfer->entry;

	entry->amount = transfer->amount;
	return requests_claim(transfer->journal, entry, booked);
}

/* Judge what is asked for. */
static void
check_request(const Transfer *transfer)
{
	const Rules *rules = &transfer->rules;
	const Account *from = &transfer->from.account;
	const Account *to = &transfer->to.account;

	rules_raise(rules, rules_check_request(rules, from, to, transfer->amount),
				from, to, transfer->amount);
}

pg_noreturn static void
error_over_reversed(const Transfer *transfer, Numeric before)
{
	ereport(ERROR,
			(errcode(ERRCODE_RACEFREE_OVER_REVERSED),
			 errmsg("cannot reverse more of entry " INT64_FORMAT
					" than it moved",
					transfer->entry.reverses),
			 errdetail("It moved %s, of which %s was reversed before.",
					   money_print(transfer->moved), money_print(before))));
}

/* Never more goes back than was moved. */
static void
check_not_over_reversed(const Transfer *transfer, Numeric before, Numeric now)
{
	if (money_compare(now, transfer->moved) > 0)
		error_over_reversed(transfer, before);
}

/*
 * Code of the user's has run with the accounts or the journal.  What it did
 * must leave the transfer as it was computed and booked.
 */
static void
check_outcome(Transfer *transfer, bool check_entry)
{
	JournalEntry *entry = &transfer->entry;

	reread_party(transfer, transfer->first);
	reread_party(transfer, transfer->second);
	if (check_entry)
		booking_check(transfer->journal, entry, transfer->context);
	if (entry->has_reverses)
	{
		Numeric now = journal_reversed(transfer->journal, entry->reverses);

		check_not_over_reversed(transfer, money_minus(now, entry->amount), now);
	}
}

/* What is asked for may be done: do it, and book it. */
static void
carry_out(Transfer *transfer)
{
	bool plain =
		!target_runs_user_code_on_update(transfer->rules.accounts,
										 transfer->rules.balance.attnum);
	BookingDoubt doubt = BOOKING_SURE;

	order_parties(transfer);
	move(transfer, plain);
	if (transfer->journal != NULL)
	{
		book(transfer);
		doubt = booking_doubt(transfer->journal, plain);
	}
	if (!plain || doubt == BOOKING_TRIGGERS)
		check_outcome(transfer, doubt != BOOKING_SURE);
}

/* Do it.  The caller is connected to SPI. */
static void
run_transfer(Transfer *transfer)
{
	JournalEntry booked;

	if (transfer->journal != NULL)
	{
		set_entry_ids(transfer);
		if (claim(transfer, &booked))
		{
			replay(transfer, &booked);
			return;
		}
	}
	check_request(transfer);
	carry_out(transfer);
}

/* ----------
 * Reversing
 * ----------
 */

/* The accounts of an entry, the other way round. */
static void
set_reversed_ids(Transfer *transfer, const JournalEntry *original)
{
	Party *parties[2] = {&transfer->to, &transfer->from};

	for (int side = 0; side < 2; side++)
	{
		Account *account = &parties[side]->account;

		account->id_null = original->no_id[side];
		if (!account->id_null)
			account->id = ids_convert(
				journal_column_type(transfer->journal, JOURNAL_FROM_ID + side),
				transfer->rules.id.type, original->ids[side]);
	}
	set_entry_ids(transfer);
}

/* An amount that makes no sense by itself is told before what is left of it. */
static void
check_reversible(Transfer *transfer, const JournalEntry *original)
{
	Numeric reversed = journal_reversed(transfer->journal, original->id);
	bool whole = transfer->amount == NULL;
	Numeric rest;

	transfer->moved = original->amount ? original->amount : int64_to_numeric(0);
	rest = money_minus(transfer->moved, reversed);
	if (whole)
		transfer->amount = rest;
	else
		check_request(transfer);
	if (!money_is_positive(rest))
		error_over_reversed(transfer, reversed);
	check_not_over_reversed(transfer, reversed,
							money_plus(reversed, transfer->amount));
	if (whole)
		check_request(transfer);
}

/* Do it.  The caller is connected to SPI. */
static void
run_reversal(Transfer *transfer)
{
	JournalEntry booked;
	JournalEntry original = {.no_id = {true, true}};
	bool was_booked = claim(transfer, &booked);
	bool found = journal_find_entry(transfer->journal, transfer->entry.reverses,
									&original);

	if (!found && !was_booked)
		ereport(ERROR,
				(errcode(ERRCODE_RACEFREE_ENTRY_NOT_FOUND),
				 errmsg("entry " INT64_FORMAT " does not exist in journal "
						"\"%s\"",
						transfer->entry.reverses,
						RelationGetRelationName(
							target_relation(transfer->journal->table))),
				 target_has_row_security(transfer->journal->table)
					 ? errhint("Row-level security may hide the entry.")
					 : 0));
	if (!was_booked && (original.no_id[0] || original.no_id[1]))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("entry " INT64_FORMAT " of journal \"%s\" does not "
						"name two accounts",
						original.id,
						RelationGetRelationName(
							target_relation(transfer->journal->table)))));
	set_reversed_ids(transfer, &original);
	if (was_booked)
	{
		replay(transfer, &booked);
		return;
	}
	check_reversible(transfer, &original);
	carry_out(transfer);
}

/* ----------
 * Entry points
 * ----------
 */

/* Prepare a transfer between accounts of this row type. */
static void
begin(Transfer *transfer, FunctionCallInfo fcinfo, const RuleArgs *args)
{
	Size size;

	transfer->context = CurrentMemoryContext;
	rules_resolve(&transfer->rules,
				  target_open(get_fn_expr_argtype(fcinfo->flinfo, 0),
							  RowExclusiveLock),
				  args);
	size = transfer->rules.match.ncolumns;
	transfer->from.account.match_values = palloc(sizeof(Datum) * size);
	transfer->from.account.match_nulls = palloc(sizeof(bool) * size);
	transfer->to.account.match_values = palloc(sizeof(Datum) * size);
	transfer->to.account.match_nulls = palloc(sizeof(bool) * size);
}

/* The address by which the table's entry knows the result's type. */
static const char result_owner[] = "transfer result";

/* The type of the result for accounts of this row type. */
static TupleDesc
build_result(Oid row_type)
{
	TupleDesc tupdesc = CreateTemplateTupleDesc(5);

	TupleDescInitEntry(tupdesc, 1, "from_account", row_type, -1, 0);
	TupleDescInitEntry(tupdesc, 2, "to_account", row_type, -1, 0);
	TupleDescInitEntry(tupdesc, 3, "amount", NUMERICOID, -1, 0);
	TupleDescInitEntry(tupdesc, 4, "replayed", BOOLOID, -1, 0);
	TupleDescInitEntry(tupdesc, 5, "entry", JSONBOID, -1, 0);
	TupleDescFinalize(tupdesc);
	return tupdesc;
}

/* Run it, and make the result record. */
static Datum
finish(Transfer *transfer, void (*run)(Transfer *))
{
	Target *accounts = transfer->rules.accounts;
	Datum values[5];
	bool nulls[5] = {false};
	MemoryContext old;
	Datum result;

	SPI_connect();
	run(transfer);
	old = MemoryContextSwitchTo(transfer->context);
	nulls[0] = DatumGetPointer(transfer->from.row) == NULL;
	values[0] = transfer->from.row;
	nulls[1] = DatumGetPointer(transfer->to.row) == NULL;
	values[1] = transfer->to.row;
	nulls[2] = transfer->movement.amount == NULL;
	values[2] = NumericGetDatum(transfer->movement.amount);
	values[3] = BoolGetDatum(transfer->replayed);
	nulls[4] = transfer->journal == NULL;
	if (transfer->journal != NULL)
		values[4] = json_from_row(transfer->journal->table,
								  transfer->entry.row);
	result = arguments_form_record(accounts, result_owner, build_result, values,
								   nulls);
	MemoryContextSwitchTo(old);
	SPI_finish();

	if (transfer->journal != NULL)
		journal_close(transfer->journal);
	target_close(accounts);
	return result;
}

/*
 * transfer(accounts anyelement, from_id anycompatible, to_id anycompatible,
 *			amount numeric, min_balance numeric, id_column name,
 *			balance_column name, journal regclass, request_id text,
 *			details jsonb, max_balance numeric, must_match name[],
 *			up_to boolean,
 *			OUT from_account anyelement, OUT to_account anyelement,
 *			OUT amount numeric, OUT replayed boolean, OUT entry jsonb)
 */
Datum
transfer(PG_FUNCTION_ARGS)
{
	Transfer transfer = {0};
	RuleArgs args = {.min_balance = arguments_get_numeric(fcinfo, 4),
					 .id_column = arguments_get_name(fcinfo, 5),
					 .balance_column = arguments_get_name(fcinfo, 6)};

	if (args.balance_column == NULL)
		error_null_argument("balance_column");
	if (!PG_ARGISNULL(10))
		args.max_balance = PG_GETARG_NUMERIC(10);
	if (!PG_ARGISNULL(11))
		args.must_match = PG_GETARG_ARRAYTYPE_P(11);
	args.up_to = arguments_get_flag(fcinfo, 12, "up_to");

	begin(&transfer, fcinfo, &args);
	set_id(&transfer, &transfer.from, fcinfo, 1);
	set_id(&transfer, &transfer.to, fcinfo, 2);
	transfer.amount = arguments_get_numeric(fcinfo, 3);
	set_journal(&transfer, fcinfo, 7, 8, 9);
	PG_RETURN_DATUM(finish(&transfer, run_transfer));
}

/*
 * reverse_transfer(accounts anyelement, journal regclass, entry_id bigint,
 *					amount numeric, request_id text, details jsonb,
 *					min_balance numeric, max_balance numeric, up_to boolean,
 *					id_column name, balance_column name, OUT as of transfer())
 */
Datum
reverse_transfer(PG_FUNCTION_ARGS)
{
	Transfer transfer = {0};
	RuleArgs args = {.min_balance = arguments_get_numeric(fcinfo, 6),
					 .max_balance = arguments_get_numeric(fcinfo, 7),
					 .up_to = arguments_get_flag(fcinfo, 8, "up_to"),
					 .id_column = arguments_get_name(fcinfo, 9),
					 .balance_column = arguments_get_name(fcinfo, 10)};

	if (PG_ARGISNULL(1))
		error_null_argument("journal");
	if (PG_ARGISNULL(2))
		error_null_argument("entry_id");
	if (args.balance_column == NULL)
		error_null_argument("balance_column");

	begin(&transfer, fcinfo, &args);
	transfer.amount = arguments_get_numeric(fcinfo, 3);
	transfer.entry.has_reverses = true;
	transfer.entry.reverses = PG_GETARG_INT64(2);
	set_journal(&transfer, fcinfo, 1, 4, 5);
	journal_need(transfer.journal, JOURNAL_ID);
	journal_need(transfer.journal, JOURNAL_REVERSES);
	PG_RETURN_DATUM(finish(&transfer, run_reversal));
}
