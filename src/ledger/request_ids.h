/*-------------------------------------------------------------------------
 *
 * request_ids.h
 *	  The types of request ids, and when two ids name the same request.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_REQUEST_IDS_H
#define RACEFREE_REQUEST_IDS_H

#include "utils/rel.h"

/* Report an error if ids of this type may not tell requests apart. */
extern void request_ids_check_type(Oid type);
/* Return true if the value is empty, though its text was not. */
extern bool request_ids_is_empty(Oid base_type, Datum value);
/* Return true if two ids that are equal for their type are written alike. */
extern bool request_ids_are_same(Oid base_type, Datum a, Datum b);

#endif /* RACEFREE_REQUEST_IDS_H */
