# SPDX-License-Identifier: GPL-2.0
"""What the module tells by its tracepoints: flows that begin and end."""

import contextlib
import pathlib
import re
import subprocess

TRACING = pathlib.Path("/sys/kernel/tracing")
LINE = re.compile(r": (new_flow|conn_end): (.*)$", re.M)


class Traced:
    """A buffer of the kernel's trace."""

    def __init__(self, folder):
        self.folder = folder

    def told(self):
        """What was told so far, in order: the event and what it says."""
        return LINE.findall((self.folder / "trace").read_text(encoding="ascii"))


@contextlib.contextmanager
def flows(name="flows"):
    """Begins and ends of connections while the block is run. The module is loaded."""
    if not (TRACING / "events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=True)
    folder = TRACING / "instances" / name
    folder.mkdir()
    try:
        for event in ("new_flow", "conn_end"):
            (folder / "events/rvs" / event / "enable").write_text("1", encoding="ascii")
        yield Traced(folder)
    finally:
        (folder / "events/enable").write_text("0", encoding="ascii")
        folder.rmdir()
