/*-------------------------------------------------------------------------
 *
 * turns.h
 *	  Turns at rows that many sessions want to lock.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_TURNS_H
#define RACEFREE_TURNS_H

#include "portability/instr_time.h"
#include "storage/lock.h"

#include "table/values.h"

/* The rows of one call. */
#define MAX_TURNS 2

/* The turns of a call; made by turns_begin(), and over one after the other. */
typedef struct Turns
{
	instr_time since;
	int nrows;			  /* how many rows are still to be locked */
	bool held[MAX_TURNS]; /* whether there is a turn for that row */
	LOCKTAG tags[MAX_TURNS];
} Turns;

/*
 * Wait for a turn at each of the rows with these keys, which the caller is about
 * to lock, if that is worth it.  No more than MAX_TURNS.  The statement
 * that locks them must not run other code before it has.
 */
extern void turns_begin(Turns *turns, const Target *table,
						const ColumnValues *keys, int nkeys);
/* The row of that key is locked, or is not there. */
extern void turns_end(Turns *turns, int i);

#endif /* RACEFREE_TURNS_H */
