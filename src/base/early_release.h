/*-------------------------------------------------------------------------
 *
 * early_release.h
 *	  Early lock release: locks fall before a commit is flushed.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_EARLY_RELEASE_H
#define RACEFREE_EARLY_RELEASE_H

/* Define the setting, and register callbacks.  Called once, at load. */
extern void early_release_init(void);
/* Let the setting decide for the transaction in which this is called. */
extern void early_release_allow(void);

#endif /* RACEFREE_EARLY_RELEASE_H */
