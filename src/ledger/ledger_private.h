/*-------------------------------------------------------------------------
 *
 * ledger_private.h
 *	  What the parts of the engine share: ledger.c, ask.c, apply.c,
 *	  reversals.c, settle.c, settle_write.c, by_row.c, by_set.c and told.c.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_LEDGER_PRIVATE_H
#define RACEFREE_LEDGER_PRIVATE_H

#include "utils/memutils.h"

#include "ledger/booking.h"
#include "ledger/holds.h"
#include "ledger/ledger.h"
#include "ledger/progress.h"
#include "ledger/requests.h"

/* Memory for an array, which may be large and may be empty. */
#define ALLOC_ARRAY(type, n)                               \
	((type *) MemoryContextAllocHuge(CurrentMemoryContext, \
									 sizeof(type) * ((Size) (n) + 1)))
/* The same, zeroed. */
#define ALLOC_ARRAY0(type, n)                                             \
	((type *) MemoryContextAllocExtended(CurrentMemoryContext,            \
										 sizeof(type) * ((Size) (n) + 1), \
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO))

/* An account that transfers name. */
typedef struct Party
{
	Account account;	 /* as it is after the transfers applied so far */
	Numeric locked;		 /* the balance as it was locked */
	Numeric locked_held; /* the same of what is held */
	Numeric due_held;	 /* what must be stored as held; or NULL */
	bool needed;		 /* a transfer that may be applied changes it */
	bool looked_at;		 /* one is to see it, without a lock */
	bool moved;			 /* a transfer that was applied changes it */
	bool expired;		 /* its holds that have expired were looked for */
	bool stored;		 /* the row was updated to the new balance */
	bool checked;		 /* the row was compared with the balance */
} Party;

/* The row of a party, as a verb gave it; the set is empty if there is none. */
typedef struct PartyRow
{
	RowSet set;
	uint64 i;
} PartyRow;

/* A request that transfers name. */
typedef struct Request
{
	Datum value;
	JournalEntry *booked; /* before this call, or NULL */
	int done;			  /* the transfer of this call that does it, or -1 */
} Request;

/* An entry that transfers reverse. */
typedef struct Original
{
	int64 id;
	bool summed;		 /* "reversed" is known */
	JournalEntry *entry; /* NULL if there is none */
	Numeric moved;		 /* by the entry */
	Numeric reversed;	 /* with the reversals of this call so far */
	Numeric locked;		 /* the same, when it was locked */
} Original;

/* A hold that transfers post or void. */
typedef struct NamedHold
{
	int64 id;	/* of its entry */
	Hold *hold; /* as it was found; NULL if none is open */
	JournalEntry
		*entry;	  /* of one that is not open, or may be hidden; or NULL */
	bool missing; /* there was neither when it was looked for */
	bool lapsed;  /* it is not open because it has expired */
	Numeric rest; /* with the transfers of this call so far */
} NamedHold;

/* A hold that expires since its payer lacks funds. */
typedef struct Lapse
{
	Party *payer;
	const Hold *hold;
	const ColumnValues *columns; /* of the transfer that needs the funds */
} Lapse;

/* Transfers that succeed or fail together. */
typedef struct Chain
{
	int first;		 /* its first transfer */
	int first_entry; /* and entry; -1 as long as there is none */
	bool failed;
	int failure; /* the transfer that failed */
	TransferStatus status;
} Chain;

/* One transfer. */
typedef struct Transfer
{
	Asked asked;
	Party *sides[NUM_SIDES];
	Request *request; /* NULL for none; so are the next two */
	Chain *chain;
	Original *original;			 /* the entry that it reverses */
	NamedHold *named;			 /* the hold that it posts or voids */
	bool final;					 /* of a post: nothing stays on hold */
	bool beyond;				 /* the same: it may take more than is held */
	bool kind_invalid;			 /* it is of no kind that can be asked for */
	TransferStatus fate;		 /* TRANSFER_OK, or it is not tried */
	TransferStatus asked_status; /* of what is asked for, by itself */
	TransferStatus status;
	Moved moved;			   /* if it was applied */
	Numeric before[NUM_SIDES]; /* the balances before it was applied */
	Numeric held_before;	   /* of the payer, likewise */
	Numeric rest_before;	   /* of the hold that it settles */
	Numeric reversed_before;   /* of the original */
	JournalEntry *entry;	   /* that was booked for it, or NULL */
} Transfer;

/* A value that a transfer names, while all such values are sorted. */
typedef struct Use
{
	Datum value;
	int transfer;
	Side side; /* of accounts */
	int place; /* of the value among those that differ */
} Use;

/*
 * How accounts are read and written: by_row for one transfer, whose whole rows
 * are wanted, by_set for many.  All verbs go by the flags of the parties.
 */
typedef struct AccountAccess
{
	/* Lock the accounts that are needed, in order, and read them. */
	void (*lock)(Ledger *ledger);
	/* Read those that are only looked at. */
	void (*look)(Ledger *ledger);
	/* Store the balances of the accounts that are moved, and check the rows. */
	void (*store)(Ledger *ledger);
	/* Check the rows again, after all triggers have run. */
	void (*reread)(Ledger *ledger);
	/* Read the accounts of a replay, for the result; NULL if not wanted. */
	void (*show)(Ledger *ledger);
} AccountAccess;

struct Ledger
{
	Accounts accounts;
	Journal journal_space;
	Journal *journal; /* NULL for none */
	Holds holds_space;
	Holds *holds; /* NULL if nothing can be held */
	Rules rules;
	bool guarded; /* the balances are */
	bool many;
	bool report;
	const AccountAccess *access;
	LedgerWork *work;			/* what is done now, for refusals.c */
	LedgerWork own_work;		/* if nobody wants to know */
	const char *const *reasons; /* of transfers that are not tried, or NULL */

	int ntransfers;
	Transfer *transfers;
	int nuses; /* of accounts, until the parties are known */
	Use *uses;
	int nparties;
	Party *parties; /* in id order */
	Party nobody;	/* where there is no id */
	int nrequests;
	Request *requests; /* in their order */
	int noriginals;
	Original *originals; /* in id order */
	int nnamed;
	NamedHold *named; /* in id order */
	List *lapses;	  /* of Lapse */
	int nchains;
	Chain *chains;

	MemoryContext scratch; /* while transfers are checked; NULL for one */
	int nentries;
	JournalEntry *entries; /* in the order in which they are booked */
	int *booked_by;		   /* the transfer of each, or -1 */
	int *chained;		   /* the first entry of its chain, or -1 */
	int nbookings;
	Booking bookings[3]; /* one of all entries, if there are many */

	/* Whole rows, for the result of one transfer. */
	PartyRow rows[NUM_SIDES]; /* in the order of the parties */
	RowSet entry_row;
};

/* ledger.c */

/* Begin to name the transfer that is worked on, if there are many. */
extern void ledger_progress(const Ledger *ledger, Progress *progress);
/*
 * Lock accounts with "lock", which returns true if it found all, and again as
 * long as some of them are there by "exists", within bounds.
 */
extern void ledger_lock_again(Ledger *ledger, Party *party,
							  bool (*lock)(Ledger *, Party *),
							  bool (*exists)(Ledger *, Party *));

/* ask.c */

/* Find out which accounts there are; the ids of reversals are known. */
extern void ask_resolve_parties(Ledger *ledger);

/* reversals.c */

/* Find the entries that are reversed, which are locked. */
extern void reversals_find(Ledger *ledger);
/* Take the accounts of the entries that are reversed. */
extern void reversals_set_ids(Ledger *ledger);
/* Check the entry itself, before the amount. */
extern TransferStatus reversals_check_entry(const Transfer *transfer);
/* Check what is left of the entry, and choose the amount. */
extern TransferStatus reversals_check_rest(const Ledger *ledger,
										   const Transfer *transfer,
										   Numeric *amount);
/* The part of an entry that was not reversed yet. */
extern Numeric reversals_rest(const Original *original);
pg_noreturn extern void reversals_raise(const Ledger *ledger,
										const Transfer *transfer,
										TransferStatus status);
/* Check that user code has not reversed more, after all triggers have run. */
extern void reversals_check_again(const Ledger *ledger);

/* settle.c */

/* Check that there can be holds. */
extern void settle_need(const Ledger *ledger);
/* Find the holds that are posted or voided. */
extern void settle_find(Ledger *ledger);
/* Take their accounts. */
extern void settle_set_ids(Ledger *ledger);
/* Find them again, when their payers are locked. */
extern void settle_find_again(Ledger *ledger);
/* Check that a hold, if the transfer names one, is open. */
extern TransferStatus settle_check_open(const Ledger *ledger,
										const Transfer *transfer);
/* Check what is asked for of the hold, and choose the amount. */
extern TransferStatus settle_check_rest(const Ledger *ledger,
										const Transfer *transfer,
										Numeric *amount);
/* Check when a hold is to expire. */
extern TransferStatus settle_check_expiry(const Ledger *ledger,
										  const Transfer *transfer);
pg_noreturn extern void settle_raise(const Ledger *ledger,
									 const Transfer *transfer,
									 TransferStatus status);

/* settle_write.c */

/* Let a payer's holds that have expired go; false if there is none to let go. */
extern bool settle_lapse(Ledger *ledger, Party *payer,
						 const ColumnValues *columns);
/* The most entries that are booked besides those of transfers. */
extern int settle_max_entries(const Ledger *ledger);
/* The entry of a hold that expires, and that of what a final post leaves. */
extern void settle_lapse_entry(const Ledger *ledger, const Lapse *lapse,
							   JournalEntry *entry);
extern bool settle_rest_entry(const Ledger *ledger, const Transfer *transfer,
							  JournalEntry *entry);
/* Store the holds, when all entries are booked. */
extern void settle_store(const Ledger *ledger);
/* Return true if code of the user's can have run meanwhile. */
extern bool settle_ran_code(const Ledger *ledger);
/* Check that user code has not changed them, after all triggers have run. */
extern void settle_check_again(const Ledger *ledger);

/* apply.c */

/* Check a transfer as far as that needs no account; choose the amount. */
extern TransferStatus apply_check_asked(const Ledger *ledger, int i,
										Numeric *amount);
/* Note what a transfer that was made does to its request and entry. */
extern void apply_note_done(Ledger *ledger, int i);
/* Apply all transfers, in order, to the accounts that were read. */
extern void apply_all(Ledger *ledger);
/* Raise the error that a failure is. */
pg_noreturn extern void apply_raise(Ledger *ledger, int i,
									TransferStatus status);

/* told.c */

/* Wait until what is told of a transfer that failed is durable. */
extern void told_flush_failure(const Ledger *ledger, int i,
							   TransferStatus status);
/* The same for all transfers of a call that reports failures. */
extern void told_flush_failures(const Ledger *ledger);
/* Wait until what is told of requests that were booked before is durable. */
extern void told_flush_replays(const Ledger *ledger);

/* by_row.c and by_set.c */

extern const AccountAccess by_row;
extern const AccountAccess by_set;
/*
 * Make the one transfer with two UPDATEs that ask for bounds.  False if the
 * accounts must be read first; they may be locked then, or one of them updated.
 */
extern bool by_row_move_if_sound(Ledger *ledger);

#endif /* RACEFREE_LEDGER_PRIVATE_H */
