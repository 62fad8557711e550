/* SPDX-License-Identifier: Apache-2.0 */
/* What a command prints: it has failed if that couldn't be written, whatever it was about. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

/* Whatever is closed is opened for reading, so that no file or socket is taken for it. */
static void occupy_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

void cli_open_output(void)
{
	occupy_standard();
	(void)signal(SIGPIPE, SIG_IGN); /* a change that was begun is finished, though nobody reads any more */
}

int cli_close_output(int status)
{
	bool lost = ferror(stdout);

	lost |= fclose(stdout) != 0;
	if (!lost || status)
		return status;
	return cli_fail(1, "can't write all there is to print: look at the disk, or at the program that it goes to");
}
