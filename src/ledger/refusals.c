/*-------------------------------------------------------------------------
 *
 * refusals.c
 *	  Batches of which code of the user's refuses some transfers.
 *
 * What a CHECK constraint, a trigger, a policy or a foreign key refuses is an
 * error, which says nothing of the transfer that it is about.  So that such a
 * transfer does not fail the others, the whole batch is made in one
 * subtransaction.  On such an error that is rolled back, and the first transfer
 * is looked for with which the batch up to there is refused, and without which
 * it is not, by halving.  It is left out as one that has failed, and so on,
 * until all that is left is made at once.
 *
 * Each attempt is a whole call, and takes its locks in the one order of all
 * calls.  Attempts on a part are always rolled back, so none begins with locks
 * that another one has left.  Chains are tried as a whole; only to find which
 * transfer of a chain is refused they are cut.
 *
 * Ids that cannot be converted need no search, since it is known whose they are.
 *
 * Everything is allocated in the caller's memory context.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/rls.h"

#include "ledger/ledger_private.h"
#include "ledger/refusals.h"

/* The transfers that an attempt is about. */
typedef struct Part
{
	int unit;	/* those of units up to this one, */
	int member; /* and of that one those up to this one */
} Part;

/* A batch that is attempted. */
typedef struct Refusals
{
	const LedgerArgs *args;
	LedgerInput input; /* with fates and reasons for the next attempt */
	RefusalsTake take;
	void *arg;
	LedgerWork work;
	bool policies; /* row-level security can refuse something */

	/* A unit is a chain, or a transfer in none; its number its first one's. */
	int *unit_of;		   /* the unit of each transfer */
	TransferStatus *found; /* TRANSFER_OK, or how a transfer has failed */
	TransferStatus *fates; /* the same for the next attempt */
	const char **reasons;  /* NULL, or why it has failed */
	int *units;			   /* those of which no transfer has failed so */
	int nunits;
	int nsound; /* so many of the first of them are not refused */
	bool again; /* the whole was attempted again for a unique index */
} Refusals;

/* ----------
 * What is a refusal
 * ----------
 */

/*
 * Return true for the classes of SQLSTATEs that are about the data of a
 * transfer: data exceptions, constraints, what triggers have changed, and what
 * an external routine raises.  Functions of the user's raise P0001, or classes
 * that the SQL standard leaves to implementations; those of them that are
 * PostgreSQL's own are about resources, operators and itself.
 */
static bool
refusals_is_of_data(int sqlstate)
{
	static const char *const of_data[] = {"22", "23", "27", "38", "44"};
	static const char *const of_server[] = {"53", "54", "55", "57",
											"58", "72", "XX"};
	const char *class = unpack_sql_state(ERRCODE_TO_CATEGORY(sqlstate));

	for (int i = 0; i < lengthof(of_data); i++)
	{
		if (strncmp(class, of_data[i], 2) == 0)
			return true;
	}
	for (int i = 0; i < lengthof(of_server); i++)
	{
		if (strncmp(class, of_server[i], 2) == 0)
			return false;
	}
	return (class[0] >= '5' && class[0] <= '9') ||
		   (class[0] >= 'I' && class[0] <= 'Z');
}

/* Return true if an error refuses a transfer; others are errors of the call. */
static bool
refusals_is_refusal(const Refusals *refusals, const ErrorData *error)
{
	if (refusals->work.kind == WORK_OTHER)
		return false;
	if (refusals->work.kind == WORK_JSON && refusals->work.transfer < 0)
		return false;
	if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return refusals->policies;
	return refusals_is_of_data(error->sqlerrcode);
}

/* Return true if row-level security can refuse what is written. */
static bool
refusals_has_policies(const LedgerArgs *args)
{
	Oid accounts = get_typ_typrelid(args->row_type);

	return check_enable_rls(accounts, InvalidOid, true) == RLS_ENABLED ||
		   (args->has_journal &&
			check_enable_rls(args->journal, InvalidOid, true) == RLS_ENABLED);
}

/* ----------
 * Attempts
 * ----------
 */

/* Choose what becomes of each transfer in an attempt on a part. */
static void
refusals_set_fates(Refusals *refusals, Part part)
{
	for (int i = 0; i < refusals->input.ntransfers; i++)
	{
		int unit = refusals->unit_of[i];

		if (unit < part.unit || (unit == part.unit && i <= part.member))
			refusals->fates[i] = refusals->found[i];
		else
			refusals->fates[i] = TRANSFER_LEFT_OUT;
	}
}

/* Make the transfers in the current subtransaction. */
static void
refusals_make(Refusals *refusals, bool keep)
{
	Ledger *ledger = ledger_open(refusals->args);

	ledger_ask(ledger, &refusals->input);
	ledger_run(ledger, true);
	if (keep)
		refusals->take(ledger, refusals->input.ntransfers, refusals->arg);
	ledger_close(ledger);
}

/*
 * Attempt a part of the batch, and keep what was made if "keep" is set.  The
 * result is NULL, or the error by which a transfer was refused.
 */
static ErrorData *
refusals_attempt(Refusals *refusals, Part part, bool keep)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	refusals_set_fates(refusals, part);
	refusals->work.kind = WORK_OTHER;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		refusals_make(refusals, keep);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL && !refusals_is_refusal(refusals, error))
		ReThrowError(error);
	return error;
}

/* ----------
 * Finding who is refused
 * ----------
 */

/* Note how a transfer has failed; its unit is not looked at again. */
static void
refusals_note(Refusals *refusals, int i, TransferStatus status,
			  const ErrorData *error)
{
	int n = 0;

	refusals->found[i] = status;
	refusals->reasons[i] =
		psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
	for (int u = 0; u < refusals->nunits; u++)
	{
		if (refusals->units[u] != refusals->unit_of[i])
			refusals->units[n++] = refusals->units[u];
		else if (u < refusals->nsound)
			refusals->nsound--;
	}
	refusals->nunits = n;
}

/* Note a failure of which it is known whose it is; false if that is not. */
static bool
refusals_note_known(Refusals *refusals, const ErrorData *error)
{
	int i = refusals->work.transfer;

	switch (refusals->work.kind)
	{
		case WORK_ID:
			refusals_note(refusals, i, TRANSFER_ID_INVALID, error);
			return true;
		case WORK_REQUEST_ID:
			refusals_note(refusals, i, TRANSFER_REQUEST_ID_INVALID, error);
			return true;
		case WORK_JSON:
			refusals_note(refusals, i, TRANSFER_REFUSED, error);
			return true;
		default:
			return false;
	}
}

/*
 * Find the first unit with which the batch up to there is refused, and set
 * "error" to why.  The result is its place among the units.
 */
static int
refusals_find_unit(Refusals *refusals, ErrorData **error)
{
	int sound = refusals->nsound;
	int refused = refusals->nunits;

	while (refused - sound > 1)
	{
		int half = sound + (refused - sound) / 2;
		Part part = {refusals->units[half - 1], refusals->input.ntransfers};
		ErrorData *result = refusals_attempt(refusals, part, false);

		if (result == NULL)
			sound = half;
		else
		{
			refused = half;
			*error = result;
		}
	}
	refusals->nsound = sound;
	return refused - 1;
}

/* The same for the transfer of a unit. */
static int
refusals_find_member(Refusals *refusals, int unit, ErrorData **error)
{
	int *members = ALLOC_ARRAY(int, refusals->input.ntransfers);
	int sound = 0;
	int refused = 0;

	for (int i = unit; i < refusals->input.ntransfers; i++)
	{
		if (refusals->unit_of[i] == unit)
			members[refused++] = i;
	}
	while (refused - sound > 1)
	{
		int half = sound + (refused - sound) / 2;
		Part part = {unit, members[half - 1]};
		ErrorData *result = refusals_attempt(refusals, part, false);

		if (result == NULL)
			sound = half;
		else
		{
			refused = half;
			*error = result;
		}
	}
	return members[refused - 1];
}

/*
 * Find a transfer that is refused; without any, it is an error of the call.
 *
 * A unique index can refuse what a session without racefree has inserted just
 * then, such as the entry of a request.  That is found at the next attempt.
 */
static void
refusals_find(Refusals *refusals, ErrorData *error)
{
	int unit;
	int i;

	if (refusals->nunits == 0)
		ReThrowError(error);
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && !refusals->again)
	{
		refusals->again = true;
		return;
	}
	unit = refusals->units[refusals_find_unit(refusals, &error)];
	i = refusals_find_member(refusals, unit, &error);
	refusals_note(refusals, i, TRANSFER_REFUSED, error);
}

/* ----------
 * All of it
 * ----------
 */

/* The place of a transfer in its chain's list. */
typedef struct ChainPlace
{
	int32 chain;
	int transfer;
} ChainPlace;

static int
refusals_compare_places(const void *a, const void *b)
{
	const ChainPlace *left = a;
	const ChainPlace *right = b;

	if (left->chain != right->chain)
		return left->chain < right->chain ? -1 : 1;
	return left->transfer - right->transfer;
}

/* Find out which transfers belong together. */
static void
refusals_set_units(Refusals *refusals)
{
	const LedgerColumn *chains = &refusals->input.chains;
	int n = refusals->input.ntransfers;
	ChainPlace *places = ALLOC_ARRAY(ChainPlace, n);
	int nplaces = 0;

	for (int i = 0; i < n; i++)
	{
		refusals->unit_of[i] = i;
		if (chains->values != NULL && !chains->nulls[i])
			places[nplaces++] = (ChainPlace){DatumGetInt32(chains->values[i]),
											 i};
	}
	qsort(places, nplaces, sizeof(ChainPlace), refusals_compare_places);
	for (int p = 1; p < nplaces; p++)
	{
		if (places[p].chain == places[p - 1].chain)
			refusals->unit_of[places[p].transfer] =
				refusals->unit_of[places[p - 1].transfer];
	}
	pfree(places);
	for (int i = 0; i < n; i++)
	{
		if (refusals->unit_of[i] == i)
			refusals->units[refusals->nunits++] = i;
	}
}

/* Make the transfers, and report all failures as statuses. */
void
refusals_run(const LedgerArgs *args, const LedgerInput *input,
			 RefusalsTake take, void *arg)
{
	/* Not on the stack: an error must not undo what it says. */
	Refusals *refusals = palloc0(sizeof(Refusals));
	int n = input->ntransfers;
	Part all = {n, n};
	ErrorData *error;

	refusals->args = args;
	refusals->input = *input;
	refusals->take = take;
	refusals->arg = arg;
	refusals->policies = refusals_has_policies(args);
	refusals->unit_of = ALLOC_ARRAY(int, n);
	refusals->units = ALLOC_ARRAY(int, n);
	refusals->found = ALLOC_ARRAY0(TransferStatus, n);
	refusals->fates = ALLOC_ARRAY0(TransferStatus, n);
	refusals->reasons = ALLOC_ARRAY0(const char *, n);
	refusals->input.fates = refusals->fates;
	refusals->input.reasons = refusals->reasons;
	refusals->input.work = &refusals->work;
	refusals_set_units(refusals);

	while ((error = refusals_attempt(refusals, all, true)) != NULL)
	{
		if (!refusals_note_known(refusals, error))
			refusals_find(refusals, error);
	}
}
