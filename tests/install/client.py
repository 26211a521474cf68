# SPDX-License-Identifier: GPL-2.0
"""The real server and its client on the machine of `make test-install`.

usage: client.py serve | get | hold
"""

import os
import socket
import sys
import time

VIP = ("203.0.113.10", 80)
GO = "/var/lib/check/go"


def serve():
    """Answers each line with itself, for as long as there are any."""
    with socket.create_server(("0.0.0.0", 8080)) as listener:
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                with connection, connection.makefile("rw") as lines:
                    for line in lines:
                        lines.write(line)
                        lines.flush()
                os._exit(0)
            connection.close()


def ask(lines):
    """One line there and back."""
    lines.write("are you there?\n")
    lines.flush()
    assert lines.readline() == "are you there?\n"


def get():
    """A new connection; the first may come before the real server is up."""
    for left in range(20, -1, -1):
        try:
            with socket.create_connection(VIP, 5) as connection, connection.makefile("rw") as lines:
                return ask(lines)
        except OSError:
            if not left:
                raise
            time.sleep(1)


def hold():
    """A connection that is asked once more when a file is there."""
    with socket.create_connection(VIP, 60) as connection, connection.makefile("rw") as lines:
        ask(lines)
        deadline = time.monotonic() + 900
        while not os.path.exists(GO):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        ask(lines)


if __name__ == "__main__":
    {"serve": serve, "get": get, "hold": hold}.get(sys.argv[1], lambda: None)()
