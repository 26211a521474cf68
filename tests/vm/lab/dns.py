# SPDX-License-Identifier: GPL-2.0
"""dnsmasq on a real server, and dig that asks it."""

import pathlib
import re
import subprocess
import tempfile

from .netns import wait_until
from .transfer import new_port

NAME = "www.example"


class DnsServer:
    """dnsmasq whose answer about NAME is the server's own address."""

    def __init__(self, host, address):
        self.host, self.address = host, address
        self._log = pathlib.Path(tempfile.mkdtemp(prefix=f"dnsmasq-{host.name}-")) / "log"
        self._process = host.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", "--pid-file=", "--log-queries", f"--log-facility={self._log}",
            f"--address=/{NAME}/{address}", "--bind-interfaces", f"--listen-address={address}",
            stderr=subprocess.DEVNULL,
        )

    def wait(self):
        """Until it answers on its own host."""
        wait_until(lambda: dig(self.host, self.address, 1) == [self.address],
                   f"dnsmasq of {self.host.name} answers (see {self._log})")

    def clients(self):
        """Who asked, by its log, once a question; its own host's are left out."""
        asked = re.findall(rf"query\[A+\] {re.escape(NAME)} from (\S+)",
                           self._log.read_text(encoding="ascii"))
        return [client for client in asked if client != self.address]

    def close(self):
        """Ends it."""
        self.host.stop(self._process)


def dig(host, server, times):
    """Asks TIMES for NAME, each time from a port that had no flow before; the answers."""
    source = "::" if ":" in server else "0.0.0.0"
    kind = "AAAA" if ":" in server else "A"
    lines = [f"-b {source}#{new_port()} @{server} {NAME} {kind}" for _ in range(times)]
    # One program for all: its start costs more than the questions.
    done = host.run("dig", "+short", "+tries=1", "+time=5", "-f", "-", check=False,
                    stdin="\n".join(lines) + "\n", timeout=60)
    # What it has to say itself starts so.
    return [line for line in done.stdout.splitlines() if not line.startswith(";")]
