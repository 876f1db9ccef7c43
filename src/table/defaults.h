/*-------------------------------------------------------------------------
 *
 * defaults.h
 *	  DEFAULTs of columns, for rows that do not give a value for them.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_DEFAULTS_H
#define RACEFREE_DEFAULTS_H

#include "table/target.h"

/* The DEFAULTs of a table, while rows are filled up. */
typedef struct Defaults Defaults;

/* Begin to evaluate DEFAULTs; the caller has checked privileges. */
extern Defaults *defaults_begin(const Target *target);
/* Evaluate the DEFAULT of a column for one row. */
extern Datum defaults_value(Defaults *defaults, AttrNumber attnum,
							bool *isnull);
/* The same, of an identity column that is always generated, too. */
extern Datum defaults_draw(Defaults *defaults, AttrNumber attnum, bool *isnull);
/* End it, and free what it took; the values stay. */
extern void defaults_end(Defaults *defaults);

#endif /* RACEFREE_DEFAULTS_H */
