/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Settings that are changed for some statements.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#ifndef RACEFREE_SETTINGS_H
#define RACEFREE_SETTINGS_H

/* Begin to change settings; the result is for settings_end(). */
extern int settings_begin(void);
/* Change a setting until settings_end(), or until an error. */
extern void settings_set(const char *name, const char *value);
/* Restore the settings as they were at settings_begin(). */
extern void settings_end(int level);

#endif /* RACEFREE_SETTINGS_H */
