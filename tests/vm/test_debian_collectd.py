# SPDX-License-Identifier: GPL-2.0
"""collectd, as Debian has it, tells of RVS what it tells of ip_vs."""

import contextlib
import pathlib
import re
import socket

import pytest
from lab.compat import TCP, UDP, VIP, _host, same  # noqa: F401
from lab.netns import wait_until

PROGRAMS = pathlib.Path("/rvs/clients/usr")
if not PROGRAMS.is_dir():
    pytest.skip("scripts/test-clients has these programs", allow_module_level=True)

CONFIGURATION = """
BaseDir "{home}"
PIDFile "{home}/pid"
PluginDir "/rvs/clients/usr/lib/collectd"
TypesDB "{types}"
Interval 1
LoadPlugin logfile
LoadPlugin csv
LoadPlugin ipvs
<Plugin logfile>
    LogLevel info
    File "{home}/log"
</Plugin>
<Plugin csv>
    DataDir "{home}/csv"
</Plugin>
"""
TYPES = "connections value:DERIVE:0:U\nif_packets rx:DERIVE:0:U, tx:DERIVE:0:U\nif_octets rx:DERIVE:0:U, tx:DERIVE:0:U\n"


def test_collectd(host, tmp_path):
    """What its plugin makes of services, dests and traffic."""
    homes = iter((tmp_path / "one", tmp_path / "two"))

    def told(host):
        home = next(homes)
        home.mkdir()
        (home / "types").write_text(TYPES, encoding="ascii")
        (home / "conf").write_text(CONFIGURATION.format(home=home, types=home / "types"), encoding="ascii")
        host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
        host.run("ipvsadm", "-R", stdin=f"-A {UDP} -s rr\n-a {UDP} -r 10.1.1.1:53 -g\n-A {TCP} -s wlc\n"
                 f"-a {TCP} -r 10.1.1.1:80 -g\n-a {TCP} -r 10.1.1.2:80 -m\n")
        with host.inside():
            for _ in range(8):
                with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
                    client.sendto(b"x" * 100, (VIP, 53))
        child = host.start(str(PROGRAMS / "sbin/collectd"), "-f", "-C", str(home / "conf"))
        try:
            before = {}

            def values():
                # Each has a file; twice the same is what is told when nothing comes any more.
                nonlocal before
                last, found = before, {}
                for path in filter(pathlib.Path.is_file, (home / "csv").rglob("*")):
                    name = re.sub(r"-\d+-\d+-\d+$", "", str(path.relative_to(home / "csv")).split("/", 1)[1])
                    rows = path.read_text(encoding="ascii").split()
                    found[name] = rows[-1].split(",")[1:]
                before = found
                return found if found == last and ["8"] in found.values() else None

            found = wait_until(values, "collectd tells all flows", 90, 3)
        finally:
            host.stop(child)
        assert "rror" not in (home / "log").read_text(encoding="utf-8")
        return found

    found = same(host, told)
    assert len(found) > 5 and any("connections" in name for name in found)
