# SPDX-License-Identifier: GPL-2.0
"""The match ipvs of iptables, by xt_rvs.ko, beside stock's."""

import contextlib
import pathlib

import pytest
from lab import shell, six, topology
from lab.compat import load, unload
from lab.debug import is_debug_kernel
from lab.director import Service, end
from lab.fixtures import lab_of_file
from lab.tracked import PROGRAMS, rules
from lab.transfer import UdpEcho, ask

VIPS = {4: topology.VIP, 6: six.VIP}
NETS = {4: "203.0.113.0/24", 6: "2001:db8:113::/64"}
MODES = {"nat": "-m", "dr": "-g", "tun": "-i"}


def prepare(lab):
    lab.six = six.Six(lab)
    lab.names = {4: topology, 6: six}
    lab.prepare_tun()
    lab.six.prepare_dr()

lab = lab_of_file(real_servers=1, web=False, prepare=prepare)


@pytest.fixture(autouse=True)
def _unloaded():
    yield
    unload()


def options(version):
    """Each option of the match, what does not hold of it, and the opposite."""
    elsewhere = "192.0.2.0/24" if version == 4 else "2001:db8:1::/64"
    for option, value, other in (
        ("--vproto", "udp", "tcp"), ("--vaddr", NETS[version], elsewhere), ("--vport", 5000, 5001),
        ("--vmethod", "MASQ", "GATE"), ("--vmethod", "IPIP", "MASQ"), ("--vportctl", 5000, 21),
    ):
        yield from (f"{option} {value}", f"{option} {other}", f"! {option} {value}")
    yield from ("--ipvs", "! --ipvs", "--vdir ORIGINAL", "--vdir REPLY")
    for sign in ("", "! "):
        yield f"--vproto udp --vport 5000 {sign}--vaddr {VIPS[version]}"


def met(lab, version, mode, persistent, kind):
    """Which rules packets of an exchange meet."""
    names, director = lab.names[version], lab.director
    at = names.REAL_SERVERS["rs1"] if mode == "nat" else names.VIP
    which = Service([], protocol="udp", port=5000, vip=names.VIP).which
    director.run("ipvsadm", "-A", *which, "-s", "rr", *(["-p", "300"] if persistent else []))
    server = end(names.REAL_SERVERS["rs1"], 5000)
    director.run("ipvsadm", "-a", *which, "-r", server, MODES[mode])
    rule = "-p udp --match ipvs"
    lines = [f"mangle -A POSTROUTING {rule} {option}" for option in options(version)]
    lines += [f"mangle -A {chain} {rule} --ipvs" for chain in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT")]
    lines.append(f"nat -A POSTROUTING {rule} --vport 5000")
    try:
        with rules(director, version, *lines, kind=kind):
            with contextlib.closing(UdpEcho(lab.real["rs1"], 5000, at)):
                assert ask(lab.client, names.VIP, 5000) == b"rs1 x"
            listed = director.run(f"{PROGRAMS[version]}{kind}-save", "-c").stdout
    finally:
        director.run("ipvsadm", "-C")
    return [line for line in listed.splitlines() if "-m ipvs" in line]


@pytest.mark.parametrize(("version", "mode", "kind"), [
    (4, "nat", "-nft"), (4, "nat", "-legacy"), (6, "nat", "-nft"), (4, "dr", "-legacy"),
    (4, "tun", "-nft"), (6, "dr", "-legacy"),
])
def test_every_option_as_stock(lab, version, mode, kind):
    if kind == "-legacy" and is_debug_kernel():
        pytest.skip("the debug kernel has no tables of iptables-legacy")
    names, found = lab.names[version], {}
    # Answers go by the director, or may not.
    router = names.DIRECTOR if mode == "nat" else names.ROUTER
    lab.real["rs1"].ip(f"route replace default via {router}")
    for name in ("ip_vs", "rvs"):
        load(name)
        shell.run("modprobe", "xt_rvs" if name == "rvs" else "xt_ipvs")
        lab.director.sysctl(ipv4__vs__conntrack=1)
        found[name] = [met(lab, version, mode, persistent, kind) for persistent in (False, True)]
    assert found["rvs"] == found["ip_vs"]
    # Of a tunnel's packets neither knows the connection.
    once = [line for line in found["rvs"][0] if line.startswith("[1:")]
    assert mode == "tun" or 3 < len(once) < len(found["rvs"][0])


def test_it_keeps_the_module(lab):
    """While rules ask it."""
    load("rvs")
    shell.run("modprobe", "xt_rvs")
    rule = "filter -A INPUT -m ipvs --ipvs"
    with rules(lab.director, 4, rule):
        refused = shell.run("rvsadm", "unload", check=False)
        assert refused.returncode and "xt_rvs" in refused.stderr and "iptables-save" in refused.stderr
        assert shell.run("rmmod", "rvs", check=False).returncode
    shell.run("rvsadm", "unload")


def test_what_modules_need():
    """RVS no other, so that insmod is enough; connection tracking is asked only where it is."""
    needs = {name: shell.run("modinfo", "-F", "depends", name).stdout.strip() for name in ("rvs", "xt_rvs")}
    # Its crypto API is a module.
    crypto = {"crypto", "crypto_hash"} if is_debug_kernel() else set()
    assert set(needs["rvs"].split(",")) - crypto <= {""}
    assert sorted(needs["xt_rvs"].split(",")) == ["rvs", "x_tables"]


def test_who_asks_for_stocks_gets_it(tmp_path):
    """With the file of install-compat."""
    compat = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "compat"
    shell.run("env", f"DESTDIR={tmp_path}", str(compat), "install")
    for name in ("xt_ipvs", "ipt_ipvs", "ip6t_ipvs"):
        needed = shell.run("modprobe", "-C", f"{tmp_path}/etc/modprobe.d", "--show-depends", name).stdout
        assert "/xt_rvs.ko" in needed and "/rvs.ko ipvs=1" in needed and "/ip_vs.ko" not in needed
