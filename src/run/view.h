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
	bool latest; /* see what was committed by now, at any isolation level */
	Snapshot snapshot; /* the snapshot to use, or NULL for a fresh one */
	CommandId before;  /* hide the changes of this command and later ones */
} View;

/* What a statement of the caller's own would see at this point. */
#define VIEW_OWN ((View){false, NULL, InvalidCommandId})
/* VIEW_OWN plus rows committed since the transaction snapshot was taken. */
#define VIEW_LATEST ((View){true, NULL, InvalidCommandId})
/* What the snapshot shows of other transactions, and all changes of our own. */
#define VIEW_AT(snapshot) ((View){true, snapshot, InvalidCommandId})
/* The same, without our own changes since that command. */
#define VIEW_BEFORE(snapshot, command) ((View){true, snapshot, command})

#endif /* RACEFREE_VIEW_H */
