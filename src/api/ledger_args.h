/*-------------------------------------------------------------------------
 *
 * ledger_args.h
 *	  The arguments that all functions which transfer have.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_LEDGER_ARGS_H
#define RACEFREE_LEDGER_ARGS_H

#include "fmgr.h"

#include "ledger/ledger.h"

/* The number of an argument that a function does not have. */
#define NO_ARG (-1)

/* The arguments' numbers. */
typedef struct LedgerArgNumbers
{
	int accounts;
	int id_column;
	int balance_column;
	int must_match; /* or NO_ARG; so are the three last ones */
	int journal;
	int min_balance;
	int max_balance;
	int up_to;
} LedgerArgNumbers;

/* Read the arguments; NULL where there must be none is an error. */
extern void ledger_args_read(FunctionCallInfo fcinfo,
							 const LedgerArgNumbers *numbers, LedgerArgs *args);

#endif /* RACEFREE_LEDGER_ARGS_H */
