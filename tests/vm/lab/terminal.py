# SPDX-License-Identifier: GPL-2.0
"""A terminal of a given size in which a program runs, by tmux."""

import itertools

from . import shell
from .netns import wait_until

_NUMBERS = itertools.count()


class Terminal:
    """Runs COMMAND, a line of shell, in HOST; then its status stays on the screen."""

    def __init__(self, host, command, width=80, height=24):
        self.name = f"rvs-{next(_NUMBERS)}"
        # The programs of a tmux server are where it is.
        with host.inside():
            self._tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height,
                       f"{command}; echo \"status $?\"; exec sleep 1000")

    def _tmux(self, *args, **kwargs):
        return shell.run("tmux", "-L", self.name, *args, **kwargs).stdout

    def screen(self, colours=False):
        """What is on the screen, with -e's escapes for colours if wanted."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def type(self, *keys):
        """Presses keys, by tmux's names: q, Enter, Escape, Tab."""
        self._tmux("send-keys", *keys)

    def resize(self, width, height):
        """Changes the terminal's size, which the program is told of."""
        self._tmux("resize-window", "-x", width, "-y", height)

    def wait(self, *texts, seconds=60):
        """Waits until all of TEXTS are on the screen, and returns it."""
        last = ""

        def there():
            nonlocal last
            last = self.screen()
            return all(text in last for text in texts)

        try:
            wait_until(there, f"{texts} on the screen", seconds, 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{last}") from None
        return last

    def close(self):
        """Ends it and what runs in it."""
        self._tmux("kill-server", check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
