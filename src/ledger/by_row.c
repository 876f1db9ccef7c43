/*-------------------------------------------------------------------------
 *
 * by_row.c
 *	  The accounts of one transfer, read and written row by row.
 *
 * Verbs over one row give whole rows, which are what transfer() returns.  So
 * the caller needs SELECT on all columns here, where by_set.c reads no more
 * than it uses.
 *
 * On a plain table with unique ids, by which rows are locked, and whose UPDATEs
 * run no user code, two UPDATEs do it all; see by_row_move_if_sound().
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/compat.h"
#include "keys/turns.h"
#include "ledger/ledger_private.h"
#include "table/indexes.h"
#include "table/shards.h"

/* The place of a party in id order. */
static int
by_row_place(const Ledger *ledger, const Party *party)
{
	int place = party - ledger->parties;

	Assert(place >= 0 && place < ledger->nparties);
	return place;
}

/* The id as a key; it points into the account. */
static ColumnValues
by_row_key(const Ledger *ledger, Party *party)
{
	ColumnValues key = {1, &ledger->accounts.id.attnum, &party->account.id,
						&party->account.id_null};

	Assert(!party->account.id_null);
	return key;
}

/* Keep the row of a party, and take what it says of the account. */
static void
by_row_take(Ledger *ledger, Party *party, const RowSet *set, uint64 i)
{
	ledger->rows[by_row_place(ledger, party)] = (PartyRow){*set, i};
	accounts_take_row(&ledger->accounts, set, i, &party->account);
}

/* Take the one row that a verb gave for a party; false if there is none. */
static bool
by_row_take_one(Ledger *ledger, Party *party, RowSet set)
{
	if (set.nrows > 1)
		accounts_error_not_unique(&ledger->accounts, &party->account);
	party->account.found = false;
	if (set.nrows == 1)
		by_row_take(ledger, party, &set, 0);
	else
		ledger->rows[by_row_place(ledger, party)].set.nrows = 0;
	return party->account.found;
}

/* Check that the row holds what was computed, whatever triggers do. */
static void
by_row_check(const Ledger *ledger, const Party *party, Numeric expected)
{
	const Account *account = &party->account;
	Numeric held = party->due_held;

	if (!account->found || account->balance_null ||
		money_compare(account->balance, expected) != 0)
		accounts_error_not_stored(&ledger->accounts, account, expected);
	if (held != NULL &&
		(account->held_null || money_compare(account->held, held) != 0))
		accounts_error_held_not_stored(&ledger->accounts, account, held);
}

/* ----------
 * Writing
 * ----------
 */

/* The one row that an UPDATE is to write. */
typedef struct ExpectedRow
{
	const Accounts *accounts;
	const Account *account;
	Numeric change;	 /* of the balance; or NULL */
	Numeric balance; /* to which it is set, if there is no change */
	Numeric held;	 /* to which that is set; NULL if it is not */
	WrittenOnce once;
} ExpectedRow;

/* Return true if the column has what was to be written. */
static bool
by_row_is_right(const ExpectedRow *expected, const WrittenAccount *written)
{
	if (written->is_held)
		return expected->held != NULL &&
			   money_compare(written->after, expected->held) == 0;
	if (expected->change == NULL)
		return money_compare(written->after, expected->balance) == 0;
	return money_compare(money_plus(written->before, expected->change),
						 written->after) == 0;
}

/* Return true if it is this row, changed as was to be written. */
static bool
by_row_expects(const WrittenRow *row, void *arg)
{
	ExpectedRow *expected = arg;
	const Accounts *accounts = expected->accounts;
	WrittenAccount written;

	return accounts_read_written(accounts, row, &written) &&
		   ids_compare(&accounts->id, written.id, expected->account->id) == 0 &&
		   by_row_is_right(expected, &written) &&
		   writes_count(&expected->once, row);
}

/* Add to the balance of a party, unless it is beyond the bound. */
static RowSet
by_row_add(Ledger *ledger, Party *party, Numeric change, AddBound bound,
		   Numeric limit)
{
	const Accounts *accounts = &ledger->accounts;
	ColumnValues key = by_row_key(ledger, party);
	Datum value = money_to_column(&accounts->balance, change);
	ExpectedRow expected = {.accounts = accounts,
							.account = &party->account,
							.change = change};
	RowSet set;

	if (!ledger->guarded)
		return run_add(accounts->table, &key, accounts->balance.attnum, value,
					   bound, limit);
	WRITES_EXPECT(accounts->table, by_row_expects, &expected,
				  set = run_add(accounts->table, &key, accounts->balance.attnum,
								value, bound, limit));
	return set;
}

/* Set both the balance of a party and what is held of it. */
static RowSet
by_row_set(Ledger *ledger, Party *party, Numeric balance)
{
	const Accounts *accounts = &ledger->accounts;
	ColumnValues key = by_row_key(ledger, party);
	ColumnValues *data = values_make(2);
	ExpectedRow expected = {.accounts = accounts,
							.account = &party->account,
							.balance = balance,
							.held = party->due_held};
	RowSet set;

	values_set(data, 0, accounts->balance.attnum,
			   money_to_column(&accounts->balance, balance), false);
	values_set(data, 1, accounts->held.attnum,
			   money_to_column(&accounts->held, party->due_held), false);
	values_sort(data);
	if (!ledger->guarded)
		return run_update(accounts->table, &key, data);
	WRITES_EXPECT(accounts->table, by_row_expects, &expected,
				  set = run_update(accounts->table, &key, data));
	return set;
}

/* ----------
 * Without reading first
 * ----------
 */

/*
 * Change the balance if the row is there and the change cannot break a rule.
 * False if it was left alone; the row may be locked then.
 *
 * The bound is a part of the UPDATE's condition.  If another session holds the
 * row, the UPDATE waits, and tests the condition again on what that session has
 * committed (at REPEATABLE READ it fails instead).  So of two transfers from
 * one account the second finds what the first has left.  Were the balance
 * tested by a statement of its own before the UPDATE, both could pass, and
 * together take more than the account holds.
 *
 * A balance outside of its bound, or no row at all, can mean several failures,
 * and which one counts depends on the other account, too: the caller locks both
 * and checks them in the documented order.
 */
static bool
by_row_update_if_sound(Ledger *ledger, Party *party, Side side, Numeric change,
					   bool in_turn)
{
	ColumnValues key = by_row_key(ledger, party);
	Numeric limit;
	AddBound bound = rules_bound(&ledger->rules, side, change, &limit);
	RowSet set;
	Turn turn;

	turns_begin(&turn, in_turn, ledger->accounts.table, &key);
	set = by_row_add(ledger, party, change, bound, limit);
	turns_end(&turn);

	/* NULL and NaN stay NULL and NaN after adding: let the checks report it. */
	if (!by_row_take_one(ledger, party, set) || party->account.balance_null ||
		!money_is_finite(party->account.balance))
		return false;
	party->stored = true;
	return true;
}

/*
 * Return true if two UPDATEs can do what the rules ask for.
 *
 * Where Citus has the accounts on several nodes, they are locked first.  Citus
 * commits in two phases if it sees that a transaction changes rows on a second
 * node; but it does not see that if the transaction is connected to that node
 * already, for a request's lock or a query of the user's, and has not read the
 * shard.  Then it sends each node a COMMIT, of which one can get lost.
 */
static bool
by_row_can_be_sound(const Ledger *ledger, Numeric amount)
{
	const Accounts *accounts = &ledger->accounts;

	return !ledger->rules.up_to &&
		   target_spread(accounts->table)->kind != SPREAD_BY_COLUMN &&
		   indexes_in_key_order(accounts->table, accounts->id.attnum) &&
		   accounts_match_is_stable(accounts) &&
		   indexes_unique(accounts->table, accounts->id.attnum) &&
		   rules_bounds_are_sound(&ledger->rules, amount);
}

/*
 * Update both balances, in id order, each by its change.  False if one was left
 * alone; the balance of the other is then as it was before, as the checks want
 * it, although its row is stored.
 */
static bool
by_row_update_pair(Ledger *ledger, const Numeric *changes)
{
	const Transfer *transfer = &ledger->transfers[0];
	Side first = &ledger->parties[0] == transfer->sides[PAYER] ? PAYER : PAYEE;
	Side second = first == PAYER ? PAYEE : PAYER;
	Account *account = &transfer->sides[first]->account;
	bool in_turn = turns_wanted(ledger->accounts.table);

	Assert(ledger->nparties == NUM_SIDES);
	if (!by_row_update_if_sound(ledger, transfer->sides[first], first,
								changes[first], in_turn))
		return false;
	racefree_injection_point("racefree-accounts-half-stored");
	if (by_row_update_if_sound(ledger, transfer->sides[second], second,
							   changes[second], in_turn))
		return true;
	account->balance = money_minus(account->balance, changes[first]);
	return false;
}

/*
 * Make the one transfer with two UPDATEs.  The caller has checked that no user
 * code runs with them, and that a failure is an error, which rolls back what
 * was updated.
 */
bool
by_row_move_if_sound(Ledger *ledger)
{
	Transfer *transfer = &ledger->transfers[0];
	Numeric changes[NUM_SIDES];
	TransferStatus status;
	Numeric amount;

	Assert(!ledger->many && !ledger->report);
	if (apply_check_asked(ledger, 0, &amount) != TRANSFER_OK ||
		!by_row_can_be_sound(ledger, amount))
		return false;
	changes[PAYER] = money_negate(amount);
	changes[PAYEE] = amount;
	if (!by_row_update_pair(ledger, changes))
		return false;
	/* Each balance was within its bound.  What is left is the pair. */
	status = rules_check_match(&ledger->rules, &transfer->sides[PAYER]->account,
							   &transfer->sides[PAYEE]->account);
	if (status != TRANSFER_OK)
		apply_raise(ledger, 0, status);
	transfer->status = TRANSFER_OK;
	transfer->moved.amount = amount;
	for (int side = 0; side < NUM_SIDES; side++)
		transfer->moved.balances[side] = transfer->sides[side]->account.balance;
	apply_note_done(ledger, 0);
	return true;
}

/* ----------
 * Verbs
 * ----------
 */

/* Lock the row of a party. */
static bool
by_row_lock_party(Ledger *ledger, Party *party)
{
	ColumnValues key = by_row_key(ledger, party);

	return by_row_take_one(ledger, party,
						   run_lock(ledger->accounts.table, &key));
}

/* Return true if there is a row for the party. */
static bool
by_row_party_exists(Ledger *ledger, Party *party)
{
	ColumnValues key = by_row_key(ledger, party);

	return run_count(ledger->accounts.table, &key, VIEW_OWN) > 0;
}

/*
 * Lock both rows with one statement, in the order of the primary key, which is
 * another one than that of the ids.
 */
static void
by_row_lock_pair(Ledger *ledger)
{
	const Accounts *accounts = &ledger->accounts;
	RowSet set = run_lock_pair(accounts->table, accounts->id.attnum,
							   ledger->parties[0].account.id,
							   ledger->parties[1].account.id);

	for (uint64 i = 0; i < set.nrows; i++)
	{
		bool isnull;
		Datum id = rowset_value(&set, i, accounts->id.attnum, &isnull);
		Party *party = &ledger->parties[0];

		Assert(!isnull);
		if (ids_compare(&accounts->id, id, party->account.id) != 0)
			party = &ledger->parties[1];
		if (party->account.found)
			accounts_error_not_unique(accounts, &party->account);
		by_row_take(ledger, party, &set, i);
	}
}

/*
 * Keep the accounts' rows where Citus has them until the transaction ends.  A row
 * that is moved to another node between its lock and its UPDATE is not locked
 * there.  Nothing else is locked yet, so a move is waited for with empty hands.
 */
static void
by_row_pin(Ledger *ledger)
{
	Target *table = ledger->accounts.table;

	for (int i = 0; i < ledger->nparties; i++)
	{
		ColumnValues key = by_row_key(ledger, &ledger->parties[i]);
		int64 shard;

		if (!shards_are_one(table, &key))
			return;
		/* Anew, if the shard was split while we waited. */
		do
		{
			shard = shards_find(table, &key);
			shards_pin(table, shard);
		} while (shards_find(table, &key) != shard);
	}
}

/* Lock the row of a party in turn, and again if it seems to be gone. */
static void
by_row_lock_in_turn(Ledger *ledger, Party *party, bool in_turn)
{
	ColumnValues key = by_row_key(ledger, party);
	Turn turn;

	turns_begin(&turn, in_turn, ledger->accounts.table, &key);
	ledger_lock_again(ledger, party, by_row_lock_party, by_row_party_exists);
	turns_end(&turn);
}

/* Lock the rows that are needed and were not updated already. */
static void
by_row_lock(Ledger *ledger)
{
	const Accounts *accounts = &ledger->accounts;
	bool in_turn = turns_wanted(accounts->table);

	if (target_spread(accounts->table)->kind == SPREAD_BY_COLUMN)
		by_row_pin(ledger);
	if (ledger->nparties == NUM_SIDES && ledger->parties[0].needed &&
		ledger->parties[1].needed &&
		!indexes_in_key_order(accounts->table, accounts->id.attnum))
		by_row_lock_pair(ledger);
	for (int i = 0; i < ledger->nparties; i++)
	{
		Party *party = &ledger->parties[i];

		Assert(i == 0 || ids_compare(&accounts->id, party[-1].account.id,
									 party->account.id) < 0);
		if (party->needed && !party->account.found)
			by_row_lock_in_turn(ledger, party, in_turn);
	}
}

/*
 * Add to the balances, in the order in which the rows were locked.  Where a
 * column has what is held, both are set at once: a CHECK over both never sees
 * one of them only.
 */
static void
by_row_store(Ledger *ledger)
{
	const Transfer *transfer = &ledger->transfers[0];

	for (int i = 0; i < ledger->nparties; i++)
	{
		Party *party = &ledger->parties[i];
		Side side = party == transfer->sides[PAYER] ? PAYER : PAYEE;
		Numeric balance = transfer->moved.balances[side];
		Numeric change = transfer->moved.amount;

		if (!party->moved || party->stored)
			continue;
		if (side == PAYER)
			change = money_negate(change);
		(void) by_row_take_one(ledger, party,
							   ledger->holds != NULL
								   ? by_row_set(ledger, party, balance)
								   : by_row_add(ledger, party, change,
												ADD_ALWAYS, NULL));
		by_row_check(ledger, party, balance);
		party->stored = true;
		racefree_injection_point("racefree-accounts-half-stored");
	}
}

/* Read the row of a party, if it is still there. */
static void
by_row_look(Ledger *ledger, Party *party)
{
	ColumnValues key = by_row_key(ledger, party);

	(void) by_row_take_one(ledger, party,
						   run_look(ledger->accounts.table, &key, VIEW_OWN));
}

/* Read the rows that are only looked at. */
static void
by_row_look_at(Ledger *ledger)
{
	for (int i = 0; i < ledger->nparties; i++)
	{
		if (ledger->parties[i].looked_at)
			by_row_look(ledger, &ledger->parties[i]);
	}
}

/* Read the rows, if they are still there. */
static void
by_row_show(Ledger *ledger)
{
	for (int i = 0; i < ledger->nparties; i++)
		by_row_look(ledger, &ledger->parties[i]);
}

/* Read the rows again, in the same order, and check them. */
static void
by_row_reread(Ledger *ledger)
{
	const Transfer *transfer = &ledger->transfers[0];

	for (int i = 0; i < ledger->nparties; i++)
	{
		Party *party = &ledger->parties[i];
		Side side = party == transfer->sides[PAYER] ? PAYER : PAYEE;

		if (!party->moved)
			continue;
		by_row_look(ledger, party);
		by_row_check(ledger, party, transfer->moved.balances[side]);
	}
}

const AccountAccess by_row = {by_row_lock, by_row_look_at, by_row_store,
							  by_row_reread, by_row_show};
