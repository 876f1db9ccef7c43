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

/* A row that is about to be locked. */
typedef struct Turn
{
	instr_time since; /* when that began */
	bool held;		  /* whether the session has a turn at it */
	LOCKTAG tag;	  /* of the turn, if it has one */
} Turn;

/*
 * Return true if a call is to take turns at rows of the table.  To be asked
 * before the call has locked any of them.
 */
extern bool turns_wanted(const Target *table);
/*
 * Begin to lock the row with that key; if turns are wanted, wait for one.  Until
 * turns_end() the caller locks this row and no other one, by a statement that
 * runs no other code before it has the row.
 */
extern void turns_begin(Turn *turn, bool wanted, const Target *table,
						const ColumnValues *key);
/* The row is locked, or was not found. */
extern void turns_end(Turn *turn);

#endif /* RACEFREE_TURNS_H */
