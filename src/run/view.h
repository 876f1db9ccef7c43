/*-------------------------------------------------------------------------
 *
 * view.h
 *	  Which rows a verb sees.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_VIEW_H
#define RACEFREE_VIEW_H

#include "utils/snapshot.h"

typedef struct View
{
	bool latest;	   /* use a fresh snapshot at any isolation level */
	Snapshot snapshot; /* the one to use; NULL: take one */
	CommandId before;  /* hide our own changes since this command */
} View;

/* What the next statement of a function sees, by its isolation level. */
#define VIEW_OWN ((View){false, NULL, InvalidCommandId})
/* VIEW_OWN plus rows committed since the transaction snapshot was taken. */
#define VIEW_LATEST ((View){true, NULL, InvalidCommandId})
/* What the snapshot shows of other transactions, and all our own changes. */
#define VIEW_AT(snapshot) ((View){true, snapshot, InvalidCommandId})
/* VIEW_AT without our own changes since the command. */
#define VIEW_BEFORE(snapshot, command) ((View){true, snapshot, command})

#endif /* RACEFREE_VIEW_H */
