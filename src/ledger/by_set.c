/*-------------------------------------------------------------------------
 *
 * by_set.c
 *	  The accounts of many transfers, read and written with one statement each.
 *
 * The rows of values that a statement takes are numbered by the places of the
 * parties in id order, and so are the rows that it gives.  No more columns are
 * read than are used.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/ledger_private.h"
#include "table/traits.h"

/* The parties that a statement is about. */
typedef bool (*PartyFilter)(const Party *party);

static bool
by_set_is_needed(const Party *party)
{
	return party->needed;
}

static bool
by_set_is_missing(const Party *party)
{
	return party->needed && !party->account.found;
}

/* One that is changed, too, is read when it is locked. */
static bool
by_set_is_looked_at(const Party *party)
{
	return party->looked_at && !party->needed;
}

static bool
by_set_is_moved(const Party *party)
{
	return party->moved;
}

/* The columns that are written, in the order of their numbers. */
static int
by_set_written_columns(const Accounts *accounts, AttrNumber *attnums)
{
	bool held_first = accounts->has_held &&
					  accounts->held.attnum < accounts->balance.attnum;

	attnums[held_first ? 1 : 0] = accounts->balance.attnum;
	if (accounts->has_held)
		attnums[held_first ? 0 : 1] = accounts->held.attnum;
	return accounts->has_held ? 2 : 1;
}

/* What is written to one of them. */
static Datum
by_set_written_value(const Accounts *accounts, const Party *party,
					 AttrNumber attnum)
{
	return attnum == accounts->balance.attnum
			   ? money_to_column(&accounts->balance, party->account.balance)
			   : money_to_column(&accounts->held, party->due_held);
}

/* The ids of parties as rows for a statement, perhaps with their balances. */
static Rows *
by_set_make_rows(const Ledger *ledger, PartyFilter filter, bool with_balance)
{
	const Accounts *accounts = &ledger->accounts;
	AttrNumber attnums[2];
	int ndata = with_balance ? by_set_written_columns(accounts, attnums) : 0;
	Rows *rows = rows_begin(2 + ndata, ledger->nparties);

	rows_add_base_column(rows, 'k', 1, accounts->table, accounts->id.attnum);
	for (int c = 0; c < ndata; c++)
		rows_add_base_column(rows, 'd', c + 1, accounts->table, attnums[c]);
	for (int i = 0; i < ledger->nparties; i++)
	{
		const Party *party = &ledger->parties[i];

		Assert(i == 0 || ids_compare(&accounts->id, party[-1].account.id,
									 party->account.id) < 0);
		if (!filter(party))
			continue;
		Assert(!with_balance || money_is_finite(party->account.balance));
		rows_set(rows, 'k', 1, party->account.id, false);
		for (int c = 0; c < ndata; c++)
			rows_set(rows, 'd', c + 1,
					 by_set_written_value(accounts, party, attnums[c]), false);
		rows_add(rows, i);
	}
	return rows;
}

/* The party that a row of a result is about. */
static Party *
by_set_party(const Ledger *ledger, const RowSet *set, uint64 i)
{
	int n = rowset_number(set, i);

	Assert(n >= 0 && n < ledger->nparties);
	return &ledger->parties[n];
}

/* The id column as a key; each row of values has its own id. */
static ColumnValues *
by_set_key(const Accounts *accounts)
{
	return values_one(accounts->id.attnum, (Datum) 0, false);
}

/* Read accounts without locking them. */
static RowSet
by_set_look(Ledger *ledger, PartyFilter filter)
{
	const Accounts *accounts = &ledger->accounts;

	return run_rows_look(accounts->table,
						 by_set_make_rows(ledger, filter, false),
						 by_set_key(accounts), accounts_columns(accounts),
						 VIEW_OWN);
}

/* ----------
 * Locking
 * ----------
 */

/* Lock the accounts that are missing, in order; true if none is, then. */
static bool
by_set_lock_missing(Ledger *ledger, Party *party)
{
	const Accounts *accounts = &ledger->accounts;
	RowSet set = run_rows_lock(
		accounts->table, by_set_make_rows(ledger, by_set_is_missing, false),
		by_set_key(accounts), accounts_columns(accounts), ROWS_BY_ID);

	for (uint64 i = 0; i < set.nrows; i++)
	{
		Party *found = by_set_party(ledger, &set, i);

		if (found->account.found)
			accounts_error_not_unique(accounts, &found->account);
		accounts_take_row(accounts, &set, i, &found->account);
	}
	for (int i = 0; i < ledger->nparties; i++)
	{
		if (by_set_is_missing(&ledger->parties[i]))
			return false;
	}
	return true;
}

/* Return true if there is a row for any account that is missing. */
static bool
by_set_missing_exist(Ledger *ledger, Party *party)
{
	return by_set_look(ledger, by_set_is_missing).nrows > 0;
}

static void
by_set_lock(Ledger *ledger)
{
	ledger_lock_again(ledger, NULL, by_set_lock_missing, by_set_missing_exist);
}

/* Read the accounts that are only looked at. */
static void
by_set_look_at(Ledger *ledger)
{
	const Accounts *accounts = &ledger->accounts;
	RowSet set = by_set_look(ledger, by_set_is_looked_at);

	for (uint64 i = 0; i < set.nrows; i++)
	{
		Party *found = by_set_party(ledger, &set, i);

		if (found->account.found)
			accounts_error_not_unique(accounts, &found->account);
		accounts_take_row(accounts, &set, i, &found->account);
	}
}

/* ----------
 * Storing and checking
 * ----------
 */

/* Check that a row holds what is held, of a party that was changed or locked. */
static void
by_set_check_held(Ledger *ledger, const RowSet *set, uint64 i,
				  const Party *party)
{
	const Accounts *accounts = &ledger->accounts;
	const Account *account = &party->account;
	bool isnull;
	Datum value = rowset_position(set, i, 2, &isnull);
	Numeric held = party->due_held != NULL ? party->due_held : account->held;

	if (isnull != (held == NULL) ||
		(!isnull &&
		 money_compare(money_from_column(&accounts->held, value), held) != 0))
		accounts_error_held_not_stored(accounts, account, held);
}

/* Check that rows hold what was computed, whatever triggers do. */
static void
by_set_check_rows(Ledger *ledger, const RowSet *set)
{
	const Accounts *accounts = &ledger->accounts;

	for (uint64 i = 0; i < set->nrows; i++)
	{
		Party *party = by_set_party(ledger, set, i);
		const Account *account = &party->account;
		bool isnull;
		Datum balance = rowset_position(set, i, 1, &isnull);

		if (!account->found)
			continue;
		if (party->checked)
			accounts_error_not_unique(accounts, account);
		party->checked = true;
		if (isnull != account->balance_null ||
			(!isnull &&
			 money_compare(money_from_column(&accounts->balance, balance),
						   account->balance) != 0))
			accounts_error_not_stored(accounts, account, account->balance);
		if (accounts->has_held)
			by_set_check_held(ledger, set, i, party);
	}
}

/* Return true if the balance is another one than was locked. */
static bool
by_set_has_changed(const Party *party)
{
	return (party->locked != party->account.balance &&
			money_compare(party->locked, party->account.balance) != 0) ||
		   (party->due_held != NULL &&
			money_compare(party->locked_held, party->due_held) != 0);
}

/* The rows that the UPDATE is to write. */
typedef struct ExpectedRows
{
	const Ledger *ledger;
	WrittenOnce *once; /* of each party */
} ExpectedRows;

/* The party with that id; NULL if there is none. */
static const Party *
by_set_find(const Ledger *ledger, Datum id)
{
	int low = 0;
	int high = ledger->nparties - 1;

	while (low <= high)
	{
		int middle = low + (high - low) / 2;
		const Party *party = &ledger->parties[middle];
		int order = ids_compare(&ledger->accounts.id, id, party->account.id);

		if (order == 0)
			return party;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

/*
 * Return true if it is the row of a party, with the balance of that, or what is
 * held of it.
 */
static bool
by_set_expects(const WrittenRow *row, void *arg)
{
	ExpectedRows *expected = arg;
	const Ledger *ledger = expected->ledger;
	WrittenAccount written;
	const Party *party;
	Numeric due;

	if (!accounts_read_written(&ledger->accounts, row, &written))
		return false;
	party = by_set_find(ledger, written.id);
	if (party == NULL || !party->moved)
		return false;
	due = written.is_held ? party->due_held : party->account.balance;
	return due != NULL && money_compare(written.after, due) == 0 &&
		   writes_count(&expected->once[party - ledger->parties], row);
}

/* Update the rows to the balances of the parties. */
static RowSet
by_set_update(Ledger *ledger, Rows *rows)
{
	const Accounts *accounts = &ledger->accounts;
	AttrNumber written[2];
	AttrNumber read[] = {accounts->balance.attnum, accounts->held.attnum};
	ColumnValues data = {.ncolumns = by_set_written_columns(accounts, written),
						 .attnums = written};
	ColumnValues result = {.ncolumns = data.ncolumns, .attnums = read};
	ColumnValues *key = by_set_key(accounts);
	ExpectedRows expected = {.ledger = ledger};
	RowSet set;

	if (!ledger->guarded)
		return run_rows_update(accounts->table, rows, key, &data, NULL, &result,
							   NULL, NULL);
	expected.once = ALLOC_ARRAY0(WrittenOnce, ledger->nparties);
	WRITES_EXPECT(accounts->table, by_set_expects, &expected,
				  set = run_rows_update(accounts->table, rows, key, &data, NULL,
										&result, NULL, NULL));
	pfree(expected.once);
	return set;
}

/*
 * Store the balances with one UPDATE.  One that changes nothing may be
 * suppressed by the trigger that is made for that.
 */
static void
by_set_store(Ledger *ledger)
{
	const Accounts *accounts = &ledger->accounts;
	bool redundant = traits_suppress_redundant_updates(accounts->table);
	Rows *rows = by_set_make_rows(ledger, by_set_is_moved, true);
	int nrows = rows_count(rows);
	RowSet set = by_set_update(ledger, rows);

	by_set_check_rows(ledger, &set);
	for (int i = 0; i < ledger->nparties && set.nrows < nrows; i++)
	{
		const Party *party = &ledger->parties[i];

		if (party->moved && !party->checked &&
			(!redundant || by_set_has_changed(party)))
			accounts_error_not_stored(accounts, &party->account,
									  party->account.balance);
	}
}

/* Read the accounts again, and check that they are as they were computed. */
static void
by_set_reread(Ledger *ledger)
{
	RowSet set;

	for (int i = 0; i < ledger->nparties; i++)
		ledger->parties[i].checked = false;
	set = by_set_look(ledger, by_set_is_needed);
	by_set_check_rows(ledger, &set);
	for (int i = 0; i < ledger->nparties; i++)
	{
		const Party *party = &ledger->parties[i];

		if (party->needed && party->account.found && !party->checked)
			accounts_error_not_stored(&ledger->accounts, &party->account,
									  party->account.balance);
	}
}

const AccountAccess by_set = {by_set_lock, by_set_look_at, by_set_store,
							  by_set_reread, NULL};
