/*-------------------------------------------------------------------------
 *
 * verify_holds.c
 *	  For verify_journal(): the holds that are open by the entries of a journal.
 *
 * Entries are taken in the order in which they were booked.  What is left of
 * each hold is kept in a hash table as long as something is, so that the memory
 * that this takes does not grow with the holds that were settled.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "api/verify_holds.h"
#include "table/ids.h"

/* A hold that is open. */
typedef struct OpenHold
{
	int64 entry; /* hash key */
	char status; /* for simplehash */
	bool seen;	 /* in the table of holds */
	Datum ids[NUM_SIDES];
	Numeric rest;
	bool expires;
	TimestampTz expires_at;
} OpenHold;

#define SH_PREFIX		holds_by_entry
#define SH_ELEMENT_TYPE OpenHold
#define SH_KEY_TYPE		int64
#define SH_KEY			entry
#define SH_HASH_KEY(tb, key) \
	murmurhash32((uint32) (key) ^ (uint32) ((key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE		   static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct OpenHolds
{
	const Journal *journal;
	Oid id_type;
	AccountsAreEqual equal;
	void *arg;
	holds_by_entry_hash *by_entry;
	MemoryContext context;
};

/* Begin, with no hold. */
OpenHolds *
open_holds_begin(const Journal *journal, Oid id_type, AccountsAreEqual equal,
				 void *arg)
{
	OpenHolds *open = palloc0(sizeof(OpenHolds));

	open->journal = journal;
	open->id_type = id_type;
	open->equal = equal;
	open->arg = arg;
	open->context = CurrentMemoryContext;
	open->by_entry = holds_by_entry_create(CurrentMemoryContext, 256, NULL);
	return open;
}

/* The account on a side of an entry, as all ids are compared. */
static Datum
open_holds_id(const OpenHolds *open, const JournalEntry *entry, Side side)
{
	return ids_convert(open->journal->types[JOURNAL_FROM_ID + side],
					   open->id_type, entry->ids[side]);
}

/* Free what a hold that is removed has. */
static void
open_holds_remove(OpenHolds *open, OpenHold *hold)
{
	for (int side = 0; side < NUM_SIDES; side++)
	{
		if (!get_typbyval(open->id_type))
			pfree(DatumGetPointer(hold->ids[side]));
	}
	pfree(hold->rest);
	holds_by_entry_delete_item(open->by_entry, hold);
}

/* A hold was made. */
static const char *
open_holds_add(OpenHolds *open, const JournalEntry *entry, Numeric *held)
{
	MemoryContext old;
	OpenHold *hold;
	int16 length;
	bool by_value;
	bool found;

	if (!entry->has_id || entry->no_id[PAYER] || entry->no_id[PAYEE] ||
		entry->amount == NULL)
		return "hold_incomplete";
	hold = holds_by_entry_insert(open->by_entry, entry->id, &found);
	if (found)
		return "several_holds";
	*held = entry->amount;
	get_typlenbyval(open->id_type, &length, &by_value);
	old = MemoryContextSwitchTo(open->context);
	for (int side = 0; side < NUM_SIDES; side++)
		hold->ids[side] = datumCopy(open_holds_id(open, entry, side), by_value,
									length);
	hold->rest = money_copy(entry->amount);
	MemoryContextSwitchTo(old);
	hold->expires = entry->has_expiry;
	hold->expires_at = entry->expires_at;
	hold->seen = false;
	return NULL;
}

/* Return true if the hold is between the same accounts as the entry. */
static bool
open_holds_agree(const OpenHolds *open, const OpenHold *hold,
				 const JournalEntry *entry)
{
	for (int side = 0; side < NUM_SIDES; side++)
	{
		if (entry->no_id[side] ||
			!open->equal(hold->ids[side], open_holds_id(open, entry, side),
						 open->arg))
			return false;
	}
	return true;
}

/* A hold was posted, voided, or has expired. */
static const char *
open_holds_settle(OpenHolds *open, const JournalEntry *entry, Numeric *held,
				  Numeric *expected)
{
	OpenHold *hold = NULL;
	Numeric taken;
	Numeric rest;
	const char *problem = NULL;
	MemoryContext old;

	if (entry->has_settles)
		hold = holds_by_entry_lookup(open->by_entry, entry->settles);
	if (hold == NULL || entry->amount == NULL)
		return "settlement_without_hold";
	*expected = money_copy(hold->rest);
	taken = money_least(entry->amount, hold->rest);
	if (!open_holds_agree(open, hold, entry) ||
		(entry->kind != ENTRY_POST &&
		 money_compare(entry->amount, hold->rest) != 0))
		problem = "settlement_differs";
	*held = money_negate(taken);
	old = MemoryContextSwitchTo(open->context);
	rest = money_minus(hold->rest, taken);
	MemoryContextSwitchTo(old);
	pfree(hold->rest);
	hold->rest = rest;
	if (!money_is_positive(rest))
		open_holds_remove(open, hold);
	return problem;
}

/* Take an entry, in the order in which they were booked. */
const char *
open_holds_take(OpenHolds *open, const JournalEntry *entry, Numeric *held,
				Numeric *expected)
{
	*held = NULL;
	*expected = NULL;
	if (!entry->has_kind)
		return NULL;
	switch (entry->kind)
	{
		case ENTRY_HOLD:
			return open_holds_add(open, entry, held);
		case ENTRY_POST:
		case ENTRY_VOID:
		case ENTRY_EXPIRY:
			return open_holds_settle(open, entry, held, expected);
		case ENTRY_TRANSFER:
		case ENTRY_REVERSAL:
			break;
	}
	return NULL;
}

/* ----------
 * The table of holds
 * ----------
 */

/* What holds_scan() passes on. */
typedef struct HoldsComparison
{
	OpenHolds *open;
	ReportHold report;
	void *arg;
} HoldsComparison;

/* Compare a row of the table with what the journal says. */
static void
compare_row(const Hold *row, void *arg)
{
	HoldsComparison *comparison = arg;
	OpenHolds *open = comparison->open;
	OpenHold *hold = holds_by_entry_lookup(open->by_entry, row->entry);
	bool same;

	if (hold == NULL)
	{
		comparison->report(row->entry, NULL, row->rest, comparison->arg);
		return;
	}
	same = money_compare(row->rest, hold->rest) == 0 && !hold->seen &&
		   row->expires == hold->expires &&
		   (!row->expires || row->expires_at == hold->expires_at);
	for (int side = 0; side < NUM_SIDES && same; side++)
		same = open->equal(row->ids[side], hold->ids[side], open->arg);
	if (!same)
		comparison->report(row->entry, hold->rest, row->rest, comparison->arg);
	hold->seen = true;
}

static int
compare_holds(const void *a, const void *b)
{
	int64 left = (*(const OpenHold *const *) a)->entry;
	int64 right = (*(const OpenHold *const *) b)->entry;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* Report holds without a row, in the order of their entries. */
static void
report_missing(OpenHolds *open, ReportHold report, void *arg)
{
	OpenHold **missing = MemoryContextAllocHuge(
		CurrentMemoryContext,
		sizeof(OpenHold *) * (open->by_entry->members + 1));
	holds_by_entry_iterator iterator;
	OpenHold *hold;
	int nmissing = 0;

	holds_by_entry_start_iterate(open->by_entry, &iterator);
	while ((hold = holds_by_entry_iterate(open->by_entry, &iterator)) != NULL)
	{
		if (!hold->seen)
			missing[nmissing++] = hold;
	}
	qsort(missing, nmissing, sizeof(OpenHold *), compare_holds);
	for (int i = 0; i < nmissing; i++)
		report(missing[i]->entry, missing[i]->rest, NULL, arg);
	pfree(missing);
}

/* Compare the holds that are left with the table of holds. */
void
open_holds_compare(OpenHolds *open, const Holds *holds, ReportHold report,
				   void *arg)
{
	HoldsComparison comparison = {open, report, arg};

	holds_scan(holds, compare_row, &comparison);
	report_missing(open, report, arg);
}
