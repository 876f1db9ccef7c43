/*-------------------------------------------------------------------------
 *
 * input.h
 *	  A JSON array of objects as rows of typed values, in canonical order.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_INPUT_H
#define RACEFREE_INPUT_H

#include "utils/array.h"
#include "utils/jsonb.h"

#include "table/values.h"

/* An object of the array. */
typedef struct InputRow
{
	int number;			   /* in the array, counted from 0 */
	ColumnValues key;	   /* the values of the key's columns */
	ColumnValues *columns; /* all values, those of the key included */
	uint64 hash;		   /* of the key */
	bool hashed;		   /* true if the hash covers all columns of the key */
} InputRow;

/* The columns of the key, in ascending order, from an array of their names. */
extern ColumnValues *input_key(const Target *target, ArrayType *names);
/* The objects of the array, sorted by key, those of one key by number. */
extern InputRow *input_rows(const Target *target, Jsonb *array,
							const ColumnValues *key, int *nrows);
/* Compare the keys of two rows in canonical order. */
extern int input_compare(const Target *target, const InputRow *left,
						 const InputRow *right);

/* Error context callback: the row with that number, counted from 0. */
extern void input_error_context(void *number);

#endif /* RACEFREE_INPUT_H */
