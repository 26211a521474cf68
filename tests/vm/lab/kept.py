# SPDX-License-Identifier: GPL-2.0
"""A program that is loaded once and runs many commands.

Under emulation a third of the tests' time was spent on loading `ip`, a dozen times for each test.
Commands have the rights and the environment that the tests began with.
"""

import contextlib
import os
import socket
import subprocess
import threading

PRELOADED = "/rvs/target/kept.so"  # kept.c; scripts/tools builds it


class KeptProgram:
    """NAME, stopped before its main(). `run` is like subprocess.run with text and pipes."""

    def __init__(self, name):
        if not os.path.exists(PRELOADED):
            raise FileNotFoundError(f"{PRELOADED} is missing; run: make tools")
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [name], env=os.environ | {"LD_PRELOAD": PRELOADED, "KEPT_SOCKET": str(fd)},
                pass_fds=[fd], stdin=subprocess.DEVNULL,
            )

    def run(self, argv, stdin=None, timeout=60):
        """Runs ARGV in this thread's network namespace; what subprocess.run returns and raises."""
        with self._lock, contextlib.ExitStack() as files:
            fds = [os.open("/proc/thread-self/ns/net", os.O_RDONLY)]
            files.callback(os.close, fds[0])
            for name in ("stdin", "stdout", "stderr"):
                fds.append(os.memfd_create(name))
                files.callback(os.close, fds[-1])
            if stdin:
                os.write(fds[1], stdin.encode())
                os.lseek(fds[1], 0, os.SEEK_SET)
            status = self._ask(argv, fds, timeout)
            out, err = (self._text(fd) for fd in fds[2:])
        return subprocess.CompletedProcess(argv, os.waitstatus_to_exitcode(status), out, err)

    def _ask(self, argv, fds, timeout):
        words = b"".join(word.encode() + b"\0" for word in argv)
        self._socket.settimeout(timeout)
        try:
            socket.send_fds(self._socket, [words], fds)
            answer = self._socket.recv(4)
        except BaseException as error:
            # An answer that comes late would be taken for that of the next command.
            self.close()
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired(argv, timeout) from error
            raise
        if not answer:
            raise RuntimeError(f"{argv[0]}, kept loaded, has ended with {self._process.wait()}")
        return int.from_bytes(answer, "little")

    @staticmethod
    def _text(fd):
        return os.pread(fd, os.fstat(fd).st_size, 0).decode()

    @property
    def closed(self):
        """Whether it can run no more commands."""
        return self._socket.fileno() < 0

    def close(self):
        """Ends the program."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
