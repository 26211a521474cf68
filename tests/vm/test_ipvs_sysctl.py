# SPDX-License-Identifier: GPL-2.0
"""/proc/sys/net/ipv4/vs: names, contents and limits as ip_vs has them; some take effect."""

import errno
import os
import pathlib
import re

from lab import shell
from lab.compat import STOCK, TCP, VIP, balancer, same
from lab.document import content
from lab.netns import Host

FOLDER = "/proc/sys/net/ipv4/vs"
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "ipvs-sysctls.md"

WRITES = [
    ("amemthresh", "5"), ("amemthresh", "x"), ("amemthresh", ""), ("am_droprate", "-1"),
    ("conn_max", "1000"), ("conn_max", "-1"), ("conn_max", "1073741824"),
    ("conn_max", "1073741825"), ("drop_entry", "3"), ("drop_entry", "4"), ("drop_packet", "-1"),
    ("drop_packet", "1"), ("conntrack", "1"), ("secure_tcp", "3"), ("secure_tcp", "7"),
    ("snat_reroute", "0"), ("sync_version", "0"), ("sync_version", "2"), ("sync_ports", "4"),
    ("sync_ports", "3"), ("sync_ports", "0"), ("sync_persist_mode", "1"),
    ("sync_qlen_max", "77"), ("sync_qlen_max", "-7"), ("sync_sock_size", "4096"),
    ("cache_bypass", "1"), ("expire_nodest_conn", "1"), ("expire_nodest_conn", "5"),
    ("expire_nodest_conn", "0"), ("sloppy_tcp", "1"), ("sloppy_sctp", "1"),
    ("expire_quiescent_template", "1"), ("sync_threshold", "5 60"), ("sync_threshold", "60 5"),
    ("sync_threshold", "7"), ("sync_threshold", "0 0"), ("sync_threshold", "-1 5"),
    ("sync_refresh_period", "10"), ("sync_refresh_period", "99999999"), ("sync_retries", "3"),
    ("sync_retries", "4"), ("nat_icmp_send", "1"), ("pmtu_disc", "0"), ("backup_only", "1"),
    ("conn_reuse_mode", "0"), ("schedule_icmp", "1"), ("ignore_tunneled", "1"),
    ("run_estimation", "0"), ("run_estimation", "1"), ("est_cpulist", "0"), ("est_cpulist", "x"),
    ("est_cpulist", "0-1"), ("est_nice", "-20"), ("est_nice", "20"), ("conn_lfactor", "8"),
    ("conn_lfactor", "-9"), ("svc_lfactor", "0"), ("svc_lfactor", "9"),
    ("lblc_expiration", "100"), ("lblc_expiration", "x"), ("lblc_expiration", "99999999"),
    ("lblcr_expiration", "0"), ("lblcr_expiration", "-1"),
]


def write(name, text):
    """OK or the error's name."""
    # One write to the file as it is, which Python's own buffers would not promise.
    with open(os.open(f"{FOLDER}/{name}", os.O_WRONLY), "wb", buffering=0) as f:
        try:
            f.write(text.encode())
        except OSError as error:
            return errno.errorcode[error.errno]
    return "OK"


def read(name):
    with open(f"{FOLDER}/{name}", encoding="ascii") as f:
        return f.read()


def load_schedulers():
    """Some of stock's have files of their own, ours are there at once."""
    if os.path.exists("/sys/module/ip_vs"):
        shell.modprobe("ip_vs_lblc", "ip_vs_lblcr")


def everything(host):
    """What is there, with its modes; what each write does; what is there then."""
    load_schedulers()
    with host.inside():
        def contents():
            return {name: (read(name), os.stat(f"{FOLDER}/{name}").st_mode)
                    for name in sorted(os.listdir(FOLDER))}

        before = contents()
        done = [(name, text, write(name, text), read(name)) for name, text in WRITES]
        return before, done, contents()


def test_names_contents_and_limits(host):
    before, done, _ = same(host, everything)
    assert len(before) == 34 and set(before) == {name for name, _ in WRITES}
    assert {what for _, _, what, _ in done} == {"OK", "EINVAL"}
    documented = re.findall(r"^\| `(\w+)`", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == sorted(before)


def test_the_host_s_own_namespace_has_its_defaults(host):
    """Tables grow earlier there."""
    def script(_host):
        load_schedulers()
        return {name: read(name) for name in os.listdir(FOLDER)}

    assert same(host, script)["conn_lfactor"] == "-4\n"


def test_users_of_their_own_may_not_write_what_the_host_pays_for(host):
    def script(_host):
        listed = host.run(
            "unshare", "-U", "-r", "-n", "stat", "-c", "%n %a", f"{FOLDER}/run_estimation",
            f"{FOLDER}/conn_max", f"{FOLDER}/sync_qlen_max").stdout
        return listed.splitlines()

    assert [line.split()[1] for line in same(host, script)] == ["444", "644", "444"]


def test_settings_show_in_both_tools(host):
    with balancer(host, "rvs"), host.inside():
        assert write("conn_max", "5000") == write("expire_nodest_conn", "1") == "OK"
        shown = host.run("rvsadm", "config", "show").stdout
        assert "5000" in shown and "on" in shown
        host.run("rvsadm", "config", "set", "--conn-max", "0", "--expire-nodest", "off")
        assert (read("conn_max"), read("expire_nodest_conn")) == ("1073741824\n", "0\n")
        host.run("rvsadm", "config", "set", "--expire-nodest", "on")
        assert read("expire_nodest_conn") == "1\n"
        for name, text, option, setting in (
            ("drop_entry", "2", "drop-entry", "auto"), ("drop_packet", "3", "drop-packet", "on"),
            ("am_droprate", "7", "drop-rate", "7"), ("amemthresh", "2000", "memory-min", "8"),
        ):
            assert write(name, text) == "OK" and read(name) == f"{text}\n"
            shown = host.run("rvsadm", "config", "show").stdout
            assert re.search(rf"^{option} +{setting}\b", shown, re.MULTILINE), shown
        host.run("rvsadm", "config", "set", "--drop-entry", "on", "--drop-packet", "off",
                 "--drop-rate", "3", "--memory-min", "2")
        assert [read(name) for name in ("drop_entry", "drop_packet", "am_droprate", "amemthresh")] \
            == ["3\n", "0\n", "3\n", "512\n"]
        # No limit is not what ip_vs means by 0.
        assert write("conn_max", "0") == "EINVAL"


def test_one_leaves_the_fast_lane_as_it_is(host):
    """As kube-proxy writes it."""
    with balancer(host, "rvs"), host.inside():
        def setting():
            return content(host.run("rvsadm", "config", "show", "-j").stdout)["conntrack"]

        host.run("rvsadm", "config", "set", "--conntrack", "fast")
        assert read("conntrack") == "1\n"
        for text, wanted in (("1", "fast"), ("0", "off"), ("1", "on")):
            assert write("conntrack", text) == "OK" and setting() == wanted


def test_addresses_are_forgotten_when_it_says(host):
    """Of services that are there, and of those that come."""
    with balancer(host, "rvs"), host.inside():
        def expirations():
            listed = host.run("rvsadm", "service", "list", "-j").stdout
            return sorted((s["scheduler"], s["expiration"])
                          for s in content(listed)["services"])

        host.run("ipvsadm", "-A", *TCP.split(), "-s", "lblc")
        assert write("lblc_expiration", "100") == write("lblcr_expiration", "0") == "OK"
        for port, scheduler in ((81, "lblc"), (82, "lblcr"), (83, "rr")):
            host.run("ipvsadm", "-A", "-t", f"{VIP}:{port}", "-s", scheduler)
        assert read("lblc_expiration") == "100\n"
        assert expirations() == [("lblc", 100), ("lblc", 100), ("lblcr", 1), ("rr", 86400)]


def test_each_namespace_has_its_own(host):
    with balancer(host, "rvs"):
        other = Host("compat2")
        try:
            with host.inside():
                write("drop_entry", "2")
            with other.inside():
                assert read("drop_entry") == "0\n"
        finally:
            other.close()


def test_they_go_with_the_module_and_do_not_come_without_the_dialect(host):
    with balancer(host, "rvs"), host.inside():
        assert os.path.isdir(FOLDER)
    with host.inside():
        assert not os.path.exists(FOLDER)
    with balancer(host, STOCK):
        # Only ip_vs's own, with RVS beside it.
        host.run("modprobe", "rvs", "ipvs=1")
        with host.inside():
            write("drop_entry", "3")
        host.run("rmmod", "rvs")
        with host.inside():
            assert read("drop_entry") == "3\n"
        host.run("ipvsadm", "-A", *TCP.split(), "-s", "rr")
        assert VIP in host.run("ipvsadm", "-Ln").stdout
