# SPDX-License-Identifier: GPL-2.0
"""rvsadm upgrade: another module, and nobody's connection is lost."""

import pathlib

import pytest

from lab import compat, shell, six
from lab.director import Service
from lab.document import content
from lab.fullnat import LOCALS
from lab.keepalived import Keepalived, real_server, virtual_server
from lab.many import Speakers
from lab.netns import Host, wait_until
from lab.pair import ALL, Echo, Pair, _clients, give, known, sync  # noqa: F401
from lab.topology import VIP

EACH = 3
RUNNING = pathlib.Path("/sys/module/rvs/notes/.note.gnu.build-id")
KEPT = pathlib.Path("/run/rvs/rvs.ko")


def installed():
    """The file of the module that modprobe loads."""
    return pathlib.Path(shell.run("modinfo", "-n", "rvs").stdout.strip())


def other(path):
    """A module that is another build to whoever looks, and does the same."""
    built = RUNNING.read_bytes()
    ident = built[16:]
    file = installed().read_bytes()
    times = file.count(ident)
    assert times == 1
    path.write_bytes(file.replace(ident, bytes(byte ^ 0x55 for byte in ident)))
    return path


def state(rvs):
    """All that outlives the module, without what changes by itself."""
    conns = rvs.json("conn", "list")["connections"]
    for conn in conns:
        del conn["expires_ms"], conn["idle_ms"]
    traffic = {
        kind: [row["stats"]["connections"] for row in rvs.json(*kind.split())[kind.split()[0] + "s"]]
        for kind in ("service list --stats", "dest list --stats")
    }
    return {
        "config": rvs.adm("save", "--settings").stdout,
        "conns": sorted(conns, key=lambda conn: conn["client"]),
        "templates": [row["network"] for row in rvs.json("conn", "templates")["templates"]],
        "traffic": traffic,
        "events": rvs.json("stats", "show")["counters"]["drop_no_dest"],
        "daemons": rvs.json("sync", "show")["daemons"],
    }


@pytest.fixture(name="new")
def _new(tmp_path):
    # The installed one runs.
    shell.rmmod("rvs")
    shell.modprobe("rvs")
    yield other(tmp_path / "new.ko")
    KEPT.unlink(missing_ok=True)
    shell.rmmod("rvs")


@pytest.fixture(name="pair")
def _pair(lab, new):  # pylint: disable=unused-argument
    made = Pair(lab)
    yield made
    made.close()


def test_all_of_it_goes_on_in_every_namespace(pair, clients, new):
    first, second = pair.directors("rvs", "rvs")
    give(first, ALL)
    give(second, [(4, "dr")])
    first.add(Service([(pair.lab.addresses["rs1"], 0)], port=81))
    first.adm("service", "set", f"tcp/{VIP}:8002", "--persistence", 300)
    first.adm("config", "set", "--udp-timeout", 77, "--conn-max", 100_000)
    sync(first, "start", "master")
    sync(second, "start", "backup")
    clients.connect(EACH, ALL)
    # Connections have local addresses that are of no pool any more.
    first.adm("laddr", "del", "--default", LOCALS[0], six.LOCALS[0])
    before, built = [state(first), state(second)], RUNNING.read_bytes()
    done = content(shell.run("rvsadm", "upgrade", new, "-j", timeout=300).stdout)
    assert RUNNING.read_bytes() != built
    assert [state(first), state(second)] == before
    assert (done["namespaces"], done["lost"]) == (2, 0) and done["connections"] >= len(before[0]["conns"])
    assert not clients.speak(b"still there?", 30)
    # The copy is of the one that runs, so that the way back is found, and the table of rules is gone.
    assert KEPT.read_bytes() == new.read_bytes()
    assert "rvs-upgrade" not in first.host.run("nft", "list", "tables").stdout
    assert not pathlib.Path("/run/rvs/upgrade").exists()
    shell.run("rvsadm", "upgrade")
    assert RUNNING.read_bytes() == built
    assert [state(first), state(second)] == before
    assert not clients.speak(b"and now?", 30)


def test_a_module_that_does_not_take_it_is_changed_back(pair, clients, new, tmp_path):
    first, _ = pair.directors("rvs", "rvs")
    give(first, ALL)
    clients.connect(EACH, ALL)
    sync(first, "start", "master")
    before, built = state(first), RUNNING.read_bytes()
    file = new.read_bytes()
    broken = tmp_path / "broken.ko"
    text = file.replace(b"vermagic=", b"vermagiC=")
    broken.write_bytes(text)
    cut = tmp_path / "cut.ko"
    cut.write_bytes(file[: len(file) // 2])
    for path, why in [(broken, "is built for the kernel"), (cut, "no module of the kernel"),
                      (tmp_path / "none", "cannot read"), (installed().parent / "toa.ko", "is the module toa")]:
        done = shell.run("rvsadm", "upgrade", path, check=False)
        assert done.returncode == 1 and why in done.stderr and "nothing was changed" in done.stderr, done
    done = shell.run("rvsadm", "upgrade", "--old", new, new, check=False)
    assert "is not the module that runs" in done.stderr
    # Those that fail when the old one is away already: the kernel's loader refuses one, nobody can speak
    # with the other.
    family = b"rvs" + bytes(13) + b"\1\0\0\0"
    times = file.count(family)
    assert times == 1
    bad = tmp_path / "bad.ko"
    for patched, why in [(file.replace(b"genl_register_family\0", b"genl_register_familY\0"), "lacks a symbol"),
                          (file.replace(family, b"rvX" + family[3:]), "the rvs module is not loaded")]:
        assert patched != file
        bad.write_bytes(patched)
        done = shell.run("rvsadm", "upgrade", bad, check=False)
        assert done.returncode == 1 and "the old one is back with everything" in done.stderr, done
        assert why in done.stderr
    assert RUNNING.read_bytes() == built
    assert state(first) == before
    assert not clients.speak(b"still there?", 30)


def test_parameters_stay(new):
    compat.load("rvs")
    try:
        host = Host("alone")
        try:
            host.run("ipvsadm", "-A", "-t", f"{VIP}:80", "-s", "rr")
            host.sysctl(ipv4__vs__sync_refresh_period=7)
            shell.run("rvsadm", "upgrade", new)
            assert f"{VIP}:80" in host.run("ipvsadm", "-Ln").stdout
            assert host.run("cat", "/proc/sys/net/ipv4/vs/sync_refresh_period").stdout.strip() == "7"
        finally:
            host.close()
    finally:
        compat.unload()


def test_devices_and_the_match_go_on(lab, new):
    """What else holds the module is taken away for it, and is there again; a rule that has the match is named."""
    shell.modprobe("xt_rvs")
    rvs = lab.director
    try:
        rvs.run("rvsadm", "service", "add", f"tcp/{VIP}:80")
        rvs.run("rvsadm", "xdp", "attach", "eth0")
        before = content(rvs.run("rvsadm", "xdp", "show", "-j").stdout)["devices"]
        rvs.run("iptables", "-A", "INPUT", "-m", "ipvs", "--ipvs", "-j", "ACCEPT")
        done = shell.run("rvsadm", "upgrade", new, check=False)
        assert done.returncode == 1 and "rules with -m ipvs" in done.stderr and "nothing was changed" in done.stderr
        rvs.run("iptables", "-F", "INPUT")
        shell.run("rvsadm", "upgrade", new)
        devices = content(rvs.run("rvsadm", "xdp", "show", "-j").stdout)["devices"]
        assert [(one["device"], one["mode"]) for one in devices] == [(one["device"], one["mode"]) for one in before]
        assert devices[0]["program"] != before[0]["program"]
        rvs.run("iptables", "-A", "INPUT", "-m", "ipvs", "--ipvs", "-j", "ACCEPT")
    finally:
        rvs.run("iptables", "-F", "INPUT")
        rvs.run("rvsadm", "xdp", "detach", "eth0", check=False)
        shell.rmmod("xt_rvs")


def test_keepalived_goes_on(lab, new):
    """It asks for the number of the family IPVS once, when it starts."""
    compat.load("rvs")
    echo = Echo(lab.real.values())
    two = {lab.addresses[name] for name in ("rs1", "rs2")}
    blocks = virtual_server(VIP, 8001, *(real_server(address, port=8001) for address in sorted(two)),
                            kind="DR")
    kept = Keepalived(lab.director, blocks, only=["--check"])

    def dests():
        rows = content(lab.director.run("rvsadm", "dest", "list", "-j").stdout)["dests"]
        return {row["address"] for row in rows}

    try:
        wait_until(lambda: dests() == two, "both are checked and added", 60, step=0.2)
        done = content(shell.run("rvsadm", "upgrade", new, "-j", timeout=300).stdout)
        print(f"keepalived goes on: packets waited {done['pause_ms']} ms")
        wait_until(lambda: dests() == two, "both are there", 60, step=0.2)
        lab.real["rs1"].ip("link set eth0 down")
        wait_until(lambda: dests() == {lab.addresses["rs2"]}, "the checker takes it out", 60, step=0.2)
    except AssertionError:
        print(kept.said())
        raise
    finally:
        kept.stop()
        echo.close()
        left = dests()
        compat.unload()
    # It takes what it made with it.
    assert left == set()


def test_many_transfers_go_on(pair, new):
    """A thousand connections speak while the module is changed: none is refused, reset or stuck."""
    first, _ = pair.directors("rvs", "rvs")
    give(first, [(4, "fullnat")])
    with Speakers(pair.lab.client, [(VIP, 8004)], 1000) as speakers:
        wait_until(lambda: speakers.rounds() >= 1, "all have spoken", 120)
        done = content(shell.run("rvsadm", "upgrade", new, "-j", timeout=300).stdout)
        assert done["connections"] >= 1000
        spoken = speakers.rounds()
        wait_until(lambda: speakers.rounds() > spoken + 1, "all speak again", 120)
        assert speakers.broken() == []
    assert {dest for *_, dest in known(first)}
    print(f"1,000 speaking connections, {done['connections']} known: packets waited {done['pause_ms']} ms")
