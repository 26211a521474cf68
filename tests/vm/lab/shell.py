# SPDX-License-Identifier: GPL-2.0
"""Running programs so that a failure says what ran and what it answered."""

import shlex
import subprocess

from .kept import KeptProgram


class CommandError(AssertionError):
    """A program ended with a status that the test did not expect."""


_KEPT = {}


def keep(name):
    """Has `run` run this program without loading it anew each time."""
    _KEPT[name] = KeptProgram(name)


def _runner(name):
    kept = _KEPT.get(name)
    if kept and kept.closed:
        # A command took too long. The next ones go without.
        kept = _KEPT.pop(name) and None
    return kept.run if kept else _load_and_run


def _load_and_run(argv, stdin, timeout):
    return subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )


def run(*args, check=True, stdin=None, timeout=60):
    """Runs ARGS (one string is split like in a shell); returns the finished process, text."""
    argv = shlex.split(args[0]) if len(args) == 1 else [str(a) for a in args]
    done = _runner(argv[0])(argv, stdin, timeout)
    if check and done.returncode != 0:
        raise CommandError(
            f"{shlex.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def _loaded():
    with open("/proc/modules", encoding="ascii") as f:
        return {line.split()[0] for line in f}


def modprobe(*names):
    """Loads modules that are not there."""
    loaded = _loaded()
    for name in names:
        if name not in loaded:
            run("modprobe", name)


def rmmod(*names):
    """Unloads modules that are loaded, in the order given; rvs with the services that keep it."""
    loaded = _loaded()
    for name in names:
        if name in loaded:
            run(*(("rvsadm", "unload") if name == "rvs" else ("rmmod", name)))
