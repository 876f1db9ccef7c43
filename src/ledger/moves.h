/*-------------------------------------------------------------------------
 *
 * moves.h
 *	  The transfers of a batch, applied in memory.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_MOVES_H
#define RACEFREE_MOVES_H

#include "utils/array.h"
#include "utils/jsonb.h"

#include "ledger/journal.h"
#include "ledger/rules.h"

/* An account that the batch names. */
typedef struct Slot
{
	Account account;  /* as it is after the transfers applied so far */
	Numeric original; /* the balance as it was locked */
	bool checked;	  /* was it read again? */
	bool needed;	  /* by a transfer that may be applied */
	bool moved;		  /* does a transfer that was applied name it? */
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
	int first; /* its first transfer */
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
	Datum request_id; /* as this transfer gives it */
	Chain *chain;	  /* NULL for none */
	Numeric amount;	  /* as asked for, or NULL */
	Verdict request_verdict;
	Verdict verdict;
	Movement movement;	 /* if it was applied */
	Numeric from_before; /* what the balances were before */
	Numeric to_before;
	JournalEntry *entry; /* of this transfer, or the one that it replays */
} Move;

/* The batch. */
typedef struct Moves
{
	Rules rules;
	Journal journal;
	bool has_journal;
	int nmoves;
	Move *moves;
	int nslots;
	Slot *slots; /* in id order */
	Slot no_account;
	int nrequests;
	Request *requests;
	int nchains;
	Chain *chains;
	Jsonb **details;	   /* one for each transfer, or NULL */
	MemoryContext scratch; /* while transfers are judged */
} Moves;

/* What the caller gave; NULL where nothing. */
typedef struct MoveArgs
{
	ArrayType *from_ids;
	ArrayType *to_ids;
	ArrayType *amounts;
	ArrayType *request_ids;
	ArrayType *chains;
	Jsonb *details;
} MoveArgs;

extern void moves_parse(Moves *moves, const MoveArgs *args);
extern void moves_apply(Moves *moves, bool report);

#endif /* RACEFREE_MOVES_H */
