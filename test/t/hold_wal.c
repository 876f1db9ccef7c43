/*-------------------------------------------------------------------------
 *
 * hold_wal.c
 *	  A library to be preloaded into a server: holds up what it writes to WAL.
 *
 * While the file exists that RACEFREE_HOLD_WAL names, a write to a file in
 * pg_wal waits until the file is gone.  If the file has a number in it, each
 * write waits for so many milliseconds, and then goes on.
 *
 * Copyright (c) 2026, the racefree developers
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Return true if the descriptor is of a file in pg_wal. */
static int
is_wal(int fd)
{
	char link[64];
	char path[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = '\0';
	return strstr(path, "/pg_wal/") != NULL;
}

/* Wait as the file says, if there is one. */
static void
wait_if_held(int fd)
{
	const char *name = getenv("RACEFREE_HOLD_WAL");
	int saved = errno;

	while (name != NULL && is_wal(fd))
	{
		char text[16] = "";
		int hold = open(name, O_RDONLY);

		if (hold < 0)
			break;
		if (read(hold, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(hold);
		if (atoi(text) > 0)
		{
			usleep(1000 * atoi(text));
			break;
		}
		usleep(1000);
	}
	errno = saved;
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
	static ssize_t (*next)(int, const void *, size_t, off_t);

	if (next == NULL)
		next = (ssize_t (*)(int, const void *, size_t, off_t)) dlsym(RTLD_NEXT,
																	 "pwrite");
	wait_if_held(fd);
	return next(fd, data, size, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	static ssize_t (*next)(int, const void *, size_t, off64_t);

	if (next == NULL)
		next = (ssize_t (*)(int, const void *, size_t, off64_t)) dlsym(
			RTLD_NEXT, "pwrite64");
	wait_if_held(fd);
	return next(fd, data, size, offset);
}
