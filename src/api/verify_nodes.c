/*-------------------------------------------------------------------------
 *
 * verify_nodes.c
 *	  For verify_journal(): entries that several nodes of Citus have numbered.
 *
 * Each node takes the ids of its entries from a range of its own.  Within a
 * range, they are in the order in which the entries of an account were booked;
 * those of other nodes were booked in between.  So the entries of an account
 * come as stretches, which one node numbered and which have no gap.  They
 * are parts of one history if they can be put one after the other, from the
 * opening balance to the one that the account has: the balances before
 * stretches, and the account's, must then be the same as the balances after
 * stretches, and the opening, each as often.  No order needs to be known.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api/verify_nodes.h"

/* Citus gives each node a range of so many bits. */
#define NODE_RANGE_BITS 48

struct Stretch
{
	Stretch *previous;
	Stretch *next;	/* while stretches are joined */
	bool follows;	/* another one, or the opening, leads to it */
	bool followed;	/* it leads to another one, or to the account's balance */
	bool has_first; /* the first entry has an id */
	bool has_last;	/* the last one has */
	int64 first;
	int64 last;
	Numeric before; /* the balance before the first entry */
	Numeric first_balance;
	Numeric after; /* the balance in the last entry */
};

/* A balance before a stretch, or after one. */
typedef struct Point
{
	Numeric balance;
	int order; /* among equal ones */
	bool *met; /* to be set if there is another one to meet */
} Point;

/* ----------
 * Reading
 * ----------
 */

/* Return true if the node that numbered the last entry numbered this one. */
bool
stretch_is_of_node(const Stretch *last, const JournalEntry *entry)
{
	return last != NULL &&
		   last->last >> NODE_RANGE_BITS == entry->id >> NODE_RANGE_BITS;
}

/* A copy of a number in the context. */
static Numeric
stretch_copy(MemoryContext context, Numeric number)
{
	return memcpy(MemoryContextAlloc(context, VARSIZE(number)), number,
				  VARSIZE(number));
}

/* Begin a stretch with an entry. */
static Stretch *
stretch_begin(Stretch *last, const JournalEntry *entry, Numeric before,
			  Numeric balance, MemoryContext context)
{
	Stretch *stretch = MemoryContextAllocZero(context, sizeof(Stretch));

	stretch->previous = last;
	stretch->has_first = entry->has_id;
	stretch->first = entry->id;
	stretch->before = stretch_copy(context, before);
	stretch->first_balance = stretch_copy(context, balance);
	return stretch;
}

/* Add an entry to the stretches of an account, in the order of the ids. */
Stretch *
stretch_add(Stretch *last, const JournalEntry *entry, Numeric balance,
			Numeric change, MemoryContext context)
{
	Numeric before = money_minus(balance, change);

	if (!stretch_is_of_node(last, entry) ||
		money_compare(last->after, before) != 0)
		last = stretch_begin(last, entry, before, balance, context);
	last->has_last = entry->has_id;
	last->last = entry->id;
	if (last->after != NULL)
		pfree(last->after);
	last->after = stretch_copy(context, balance);
	return last;
}

/* ----------
 * Joining
 * ----------
 */

static Point *
points_allocate(int npoints)
{
	return MemoryContextAllocHuge(CurrentMemoryContext,
								  sizeof(Point) * npoints);
}

static void
points_add(Point *points, int *npoints, Numeric balance, int order, bool *met)
{
	Point *point = &points[(*npoints)++];

	point->balance = balance;
	point->order = order;
	point->met = met;
	*met = false;
}

static int
points_compare(const void *a, const void *b)
{
	const Point *first = a;
	const Point *second = b;
	int order = money_compare(first->balance, second->balance);

	return order != 0 ? order : first->order - second->order;
}

/* Let each point before a stretch meet one after a stretch, if it can. */
static void
points_meet(Point *befores, int nbefores, Point *afters, int nafters)
{
	int i = 0;
	int j = 0;

	qsort(befores, nbefores, sizeof(Point), points_compare);
	qsort(afters, nafters, sizeof(Point), points_compare);
	while (i < nbefores && j < nafters)
	{
		int order = money_compare(befores[i].balance, afters[j].balance);

		if (order == 0)
			*befores[i].met = *afters[j].met = true;
		if (order <= 0)
			i++;
		if (order >= 0)
			j++;
	}
}

/* The first stretch, and their number; each gets to know its next one. */
static Stretch *
stretches_turn(Stretch *last, int *nstretches)
{
	*nstretches = 1;
	last->next = NULL;
	while (last->previous != NULL)
	{
		last->previous->next = last;
		last = last->previous;
		(*nstretches)++;
	}
	return last;
}

/*
 * Report the stretches that none leads to.  One of them may be the first of
 * all; where no opening is known, what it began with is taken as given.
 */
static void
stretches_report(const Stretch *first, Numeric opening, bool opened,
				 ReportStretch report, void *arg)
{
	for (const Stretch *stretch = first; stretch != NULL;
		 stretch = stretch->next)
	{
		const Stretch *previous = stretch->previous;
		const int64 *entry = stretch->has_first ? &stretch->first : NULL;
		Numeric expected = NULL;

		if (stretch->follows)
			continue;
		if (!opened)
		{
			opened = true;
			if (opening != NULL)
				report(entry, "opening_differs", opening, stretch->before, arg);
			continue;
		}
		/* What its first entry would tell if it came after the one before. */
		if (previous != NULL && !previous->followed)
			expected = money_plus(previous->after,
								  money_minus(stretch->first_balance,
											  stretch->before));
		report(entry, "balance_gap", expected, stretch->first_balance, arg);
	}
}

/*
 * Where the history ends: with the last stretch that none follows.  If there is
 * none, it ends where it began.
 */
static StretchEnd
stretches_end(const Stretch *last, Numeric opening)
{
	StretchEnd end = {opening, false, 0};

	while (last != NULL && last->followed)
		last = last->previous;
	if (last == NULL)
		return end;
	end.balance = last->after;
	end.has_entry = last->has_last;
	end.entry = last->last;
	return end;
}

/*
 * Report what keeps the stretches of an account from being parts of one
 * history, from "opening" to "balance".  The result says which balance the
 * account should have: that one, if it can be.
 */
StretchEnd
stretches_join(Stretch *last, Numeric opening, Numeric balance,
			   ReportStretch report, void *arg)
{
	int nstretches;
	Stretch *first = stretches_turn(last, &nstretches);
	Point *befores = points_allocate(nstretches + 1);
	Point *afters = points_allocate(nstretches + 1);
	int nbefores = 0;
	int nafters = 0;
	bool closed = false;
	bool opened = false;
	StretchEnd end;

	/* The account's balance meets others first, the opening does last. */
	if (balance != NULL)
		points_add(befores, &nbefores, balance, -1, &closed);
	for (Stretch *stretch = first; stretch != NULL; stretch = stretch->next)
	{
		points_add(befores, &nbefores, stretch->before, nafters,
				   &stretch->follows);
		points_add(afters, &nafters, stretch->after, nafters,
				   &stretch->followed);
	}
	if (opening != NULL)
		points_add(afters, &nafters, opening, nstretches, &opened);
	points_meet(befores, nbefores, afters, nafters);
	pfree(befores);
	pfree(afters);

	stretches_report(first, opening, opened, report, arg);
	end = stretches_end(last, opening);
	if (closed)
		end.balance = balance;
	return end;
}
