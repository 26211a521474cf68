# SPDX-License-Identifier: GPL-2.0
"""keepalived on a host, as Debian has it."""

import pathlib
import signal
import subprocess
import tempfile

from .netns import wait_until

GLOBAL = """
global_defs {{
    router_id {name}
    script_user root
    vrrp_garp_master_refresh 1
}}
"""
# Files of its processes; where one is not told, two keepalived lock the same one in /run.
PIDS = ("pid", "checkers_pid", "vrrp_pid", "bfd_pid")


def real_server(address, weight=1, check="tcp", port=80, options=""):
    """A real server's block; CHECK is `tcp` or the path that a page is asked for."""
    if check == "tcp":
        checker = "TCP_CHECK {\n connect_timeout 1\n }"
    else:
        checker = f"HTTP_GET {{\n url {{\n path {check}\n status_code 200\n }}\n connect_timeout 2\n }}"
    return (f"real_server {address} {port} {{\n weight {weight}\n retry 1\n delay_before_retry 0\n"
            f" delay_loop 1\n {options}\n {checker}\n}}\n")


def virtual_server(vip, port, *real_servers, kind="NAT", scheduler="wrr", options=""):
    """A virtual server's block."""
    return (f"virtual_server {vip} {port} {{\n delay_loop 1\n lb_algo {scheduler}\n lb_kind {kind}\n"
            f" protocol TCP\n {options}\n" + "".join(real_servers) + "}\n")


class Keepalived:
    """One keepalived, of blocks or of the file PATH: CHECKERS or VRRP alone, or both, as `--check`,
    `--vrrp` say."""

    def __init__(self, host, *blocks, only=(), path=None):
        self.host = host
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"keepalived-{host.name}-"))
        if path:
            (self.home / "conf").write_bytes(path.read_bytes())
        else:
            self.write(*blocks)
        pids = [f"--{what}={self.home}/{what}" for what in PIDS]
        self.log = open(self.home / "log", "w", encoding="utf-8")
        self.process = host.start(
            "keepalived", "--dont-fork", "--log-console", "--log-detail", *only,
            f"--use-file={self.home}/conf", *pids, stdout=self.log, stderr=subprocess.STDOUT,
        )

    def write(self, *blocks):
        """Its configuration."""
        text = GLOBAL.format(name=self.host.name) + "\n".join(blocks)
        (self.home / "conf").write_text(text, encoding="ascii")

    def reload(self, *blocks):
        """Lets it read another configuration."""
        self.write(*blocks)
        self.process.send_signal(signal.SIGHUP)

    def said(self):
        """Its log."""
        return (self.home / "log").read_text(encoding="utf-8")

    def stop(self):
        """Ends it as systemd does; it takes its services away."""
        self.host.stop(self.process)
        self.log.close()

    def kill(self):
        """It dies with all its processes, as in a crash."""
        for name in PIDS:
            path = self.home / name
            if path.exists():
                self.host.run("kill", "-9", path.read_text(encoding="ascii").strip(), check=False)
        wait_until(lambda: self.process.poll() is not None, "keepalived is dead")
