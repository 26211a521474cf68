# SPDX-License-Identifier: GPL-2.0
"""What the kernel said during a test, and whether it complained."""

import os
import re

COMPLAINT = re.compile(
    r"WARNING:|BUG:|BUG at|Oops|KASAN|KCSAN|UBSAN|kmemleak|general protection|"
    r"rcu.*(stall|detected)|suspicious RCU|self-detected stall|blocked for more than|"
    r"unregister_netdevice: waiting|possible (circular|recursive) locking|"
    r"inconsistent lock state|possible irq lock inversion|held lock freed|"
    r"refcount_t:|list_(add|del) corruption|Objects remaining|still has objects|"
    r"sleeping function called|scheduling while atomic|soft lockup|hard LOCKUP|"
    r"Call Trace:|panicked at|stack-protector|leaked|ODEBUG|page allocation failure|"
    r"lockdep is turned off|ref_tracker: (?!memory)|DEBUG_LOCKS_WARN_ON|double free"
)


class KernelLog:
    """The kernel's log from the moment this was made."""

    def __init__(self):
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self.lines = []

    def read(self):
        """Lines so far, without their stamps."""
        while True:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                return self.lines
            except BrokenPipeError:
                # The ring went round under us.
                self.lines.append("(lines lost)")
                continue
            text = record.decode(errors="replace").partition(";")[2]
            self.lines.append(text.split("\n")[0])

    def complaints(self):
        """Lines that no test may cause, each with what followed it."""
        lines = self.read()
        for i, line in enumerate(lines):
            if COMPLAINT.search(line):
                return lines[max(0, i - 2) : i + 40]
        return []

    def close(self):
        """Lets go of the log."""
        os.close(self._fd)
