/*-------------------------------------------------------------------------
 *
 * usercode.h
 *	  Whether code of the user's takes part when a row is inserted or updated.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_USERCODE_H
#define RACEFREE_USERCODE_H

#include "utils/rel.h"

extern bool usercode_in_triggers(Relation rel, int16 event);
extern bool usercode_in_policies(Relation rel);
extern bool usercode_on_insert(Relation rel);
extern bool usercode_on_insert_here(Relation rel);
extern bool usercode_on_update(Relation rel);

extern Bitmapset *usercode_cascaded_columns(Relation rel);

#endif /* RACEFREE_USERCODE_H */
