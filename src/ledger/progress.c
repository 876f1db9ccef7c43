/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  Which of many transfers or entries is being worked on, for errors.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/progress.h"

/* Error context callback. */
static void
progress_error_context(void *arg)
{
	Progress *progress = arg;

	if (progress->context != NULL && progress->number != PROGRESS_NONE)
		progress->context(progress->number, progress->arg);
}

/* Begin to name what is being worked on; nothing is, yet. */
void
progress_begin(Progress *progress, RowErrorContext context, void *arg)
{
	progress->context = context;
	progress->arg = arg;
	progress->number = PROGRESS_NONE;
	progress->callback.callback = progress_error_context;
	progress->callback.arg = progress;
	progress->callback.previous = error_context_stack;
	error_context_stack = &progress->callback;
}

/* End it.  An error ends it, too. */
void
progress_end(const Progress *progress)
{
	Assert(error_context_stack == &progress->callback);
	error_context_stack = progress->callback.previous;
}
