/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  Which of many transfers or entries is being worked on, for errors.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_PROGRESS_H
#define RACEFREE_PROGRESS_H

#include "run/run.h"

/* Lives on the stack of the function that does the work. */
typedef struct Progress
{
	ErrorContextCallback callback;
	RowErrorContext context;
	void *arg;
	int number; /* of what is being worked on, or PROGRESS_NONE */
} Progress;

#define PROGRESS_NONE (-1)

/* Until progress_end(), errors get the context of "number"; NULL for none. */
extern void progress_begin(Progress *progress, RowErrorContext context,
						   void *arg);
extern void progress_end(const Progress *progress);

#endif /* RACEFREE_PROGRESS_H */
