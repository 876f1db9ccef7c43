/*-------------------------------------------------------------------------
 *
 * flush.h
 *	  Waiting until commits cannot be undone by a crash.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_FLUSH_H
#define RACEFREE_FLUSH_H

#include "access/xlogdefs.h"

/* Return true if commits of this session wait for synchronous standbys. */
extern bool flush_wants_standbys(void);
/* Make the commit that has just been recorded durable, while it ends. */
extern void flush_own_commit(void);
/* Wait until the commits of these transactions are durable. */
extern void flush_commits_of(const TransactionId *xids, int n);
/* Wait until all commits so far are durable. */
extern void flush_all_commits(void);

#endif /* RACEFREE_FLUSH_H */
