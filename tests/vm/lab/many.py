# SPDX-License-Identifier: GPL-2.0
"""Many connections of one client that go on speaking, slowly, whatever happens."""

import contextlib
import resource
import select
import socket
import threading
import time

from .transfer import family

DESCRIPTORS = 100_000


REST = 0.5  # seconds between an answer and the next word
# Words in a second at most: an emulated host that has no time to spare loses more than was meant.
WORDS = 500


def rest_of(count):
    """Seconds of rest of each, where so many speak."""
    return max(REST, count / WORDS)


def allow_descriptors():
    """Has this process open as many sockets as tests need."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


class Speakers:
    """COUNT connections to each of the echoes. Each says a number, waits for it, rests, says the next."""

    def __init__(self, client, ends, count, rest=REST):
        allow_descriptors()
        self._said, self._due, self._broken, self._ends = {}, [], [], False
        self._end_of, self.rest = {}, rest
        self._poll = select.epoll()
        now = time.monotonic()
        ends = [end for end in ends for _ in range(count)]
        with client.inside():
            for number, end in enumerate(ends):
                s = socket.create_connection(end, timeout=30)
                s.setblocking(False)
                self._said[s.fileno()] = [s, 0, b""]
                self._end_of[s.fileno()] = end
                self._poll.register(s, select.EPOLLIN)
                self._due.append((now + rest * number / len(ends), s.fileno()))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ends:
            now, later = time.monotonic(), []
            for when, fd in self._due:
                if when > now:
                    later.append((when, fd))
                elif fd in self._said:
                    self._say(fd)
            self._due = later
            for fd, _ in self._poll.poll(0.02):
                self._hear(fd)

    def _say(self, fd):
        s, number, _ = self._said[fd]
        try:
            s.send(b"%08d" % number)
        except OSError as error:
            self._lose(fd, error)

    def _hear(self, fd):
        s, number, before = self._said[fd]
        try:
            data = s.recv(100)
        except OSError as error:
            self._lose(fd, error)
            return
        heard = before + data
        if not data or not (b"%08d" % number).startswith(heard):
            self._lose(fd, f"heard {heard!r} for {number}")
        elif len(heard) < 8:
            self._said[fd][2] = heard
        else:
            self._said[fd] = [s, number + 1, b""]
            self._due.append((time.monotonic() + self.rest, fd))

    def _lose(self, fd, why):
        self._poll.unregister(fd)
        self._said.pop(fd)[0].close()
        self._broken.append(str(why))

    def rounds(self):
        """How often all that are left have been answered."""
        return min((number for _, number, _ in list(self._said.values())), default=0)

    def numbers(self):
        """How often each has been answered: (from, to, number)."""
        return [(s.getsockname()[1], *s.getpeername()[:2], number) for s, number, _ in list(self._said.values())]

    def broken(self):
        """Why each was lost that was."""
        return self._broken

    def told(self):
        """How often each that is left was answered."""
        return {fd: number for fd, (_, number, _) in list(self._said.items())}

    def silent(self, before):
        """The ends of those that are lost, or were not answered twice more than they were BEFORE."""
        now = self.told()
        return [self._end_of[fd] for fd, number in before.items() if now.get(fd, 0) < number + 2]

    def close(self):
        """Ends them."""
        self._ends = True
        self._thread.join()
        for s, *_ in self._said.values():
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Flows:
    """COUNT flows of datagrams to each of the echoes, which say their name; a word twice a second."""

    def __init__(self, client, ends, count, rest=REST):
        self.rest = rest
        self._ends, self._flows, self._names, self._heard = False, [], {}, {}
        self._strangers = []
        self._poll = select.epoll()
        allow_descriptors()
        with client.inside():
            for end in ends:
                for _ in range(count):
                    s = socket.socket(family(end[0]), socket.SOCK_DGRAM)
                    s.connect(end)
                    s.setblocking(False)
                    self._flows.append(s)
                    self._poll.register(s, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number, of = 0, {s.fileno(): s for s in self._flows}
        while not self._ends:
            number += 1
            for s in self._flows:
                with contextlib.suppress(OSError):  # what nobody took comes back as an error
                    s.send(b"%d" % number)
            end = time.monotonic() + self.rest
            while (left := end - time.monotonic()) > 0:
                for fd, _ in self._poll.poll(left):
                    self._hear(of[fd])

    def _hear(self, s):
        try:
            name, _, number = s.recv(100).partition(b" ")
        except OSError:
            return
        if self._names.setdefault(s, name) != name:
            self._strangers.append((self._names[s], name))
        self._heard[s] = int(number)

    def rounds(self):
        """The last word that all have heard an answer to."""
        return min((self._heard.get(s, 0) for s in self._flows), default=0)

    def broken(self):
        """Flows that another one answered than before."""
        return self._strangers

    def told(self):
        """The last word of each that was answered."""
        return {s: self._heard.get(s, 0) for s in self._flows}

    def silent(self, before):
        """The ends of those that were not answered twice more than BEFORE."""
        now = self.told()
        return [s.getpeername()[:2] for s, number in before.items() if now[s] < number + 2]

    def close(self):
        """Ends them."""
        self._ends = True
        self._thread.join()
        for s in self._flows:
            s.close()
