# SPDX-License-Identifier: GPL-2.0
"""Refusals: an exit code, one sentence that names what is wrong, and nothing half done."""

import pytest
from lab.director import Service
from lab.topology import VIP

ID = f"tcp/{VIP}:80"
CASES = [
    ("service exists", f"service add {ID} --scheduler rr", 1, "exists"),
    ("no such scheduler", "service add tcp/203.0.113.11:80 --scheduler nope", 1, "nope"),
    ("service without port", f"service add tcp/{VIP} --scheduler rr", 2, "port"),
    ("service is multicast", "service add tcp/224.0.0.1:80 --scheduler rr", 1, "224.0.0.1"),
    ("no such service", "service del tcp/198.51.100.9:80", 1, "198.51.100.9"),
    ("dest of no service", "dest add tcp/198.51.100.9:80 192.168.56.101:80 --mode dr", 1, "198.51.100.9"),
    ("dest exists", f"dest add {ID} 192.168.56.101:80 --mode dr", 1, "exists"),
    ("no such dest", f"dest del {ID} 192.168.56.77:80", 1, "192.168.56.77"),
    ("dest is the address itself", f"dest add {ID} {VIP}:80 --mode dr", 1, VIP),
    ("dest is multicast", f"dest add {ID} 224.0.0.1:80 --mode dr", 1, "224.0.0.1"),
    ("weight out of range", f"dest add {ID} 192.168.56.102:80 --mode dr --weight 2147483648", 1, "2147483648"),
    ("other port with dr", f"dest add {ID} 192.168.56.102:81 --mode dr", 1, "port"),
    ("no such mode", f"dest add {ID} 192.168.56.102:80 --mode odd", 2, "odd"),
    ("no route", f"dest add {ID} 198.18.0.1:80 --mode dr", 1, "198.18.0.1"),
]


def test_refusals(lab, rvs):
    """All in one lab: each leaves the configuration as it was."""
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    lab.director.ip("route add unreachable 198.18.0.0/15")
    before = rvs.adm("save").stdout
    wrong = []
    for name, command, status, words in CASES:
        done = rvs.adm(*command.split(), check=False)
        if done.returncode != status or words not in done.stderr or "Traceback" in done.stderr:
            wrong.append(f"{name}: status {done.returncode}, said: {done.stderr}")
        if rvs.adm("save").stdout != before:
            wrong.append(f"{name}: changed the configuration")
    assert wrong == []


def test_broken_line_is_named_and_nothing_applied(lab, rvs):
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    before = rvs.adm("save").stdout
    lines = [f"-A -t 203.0.113.{i}:80 -s rr" for i in range(20, 56)] + ["-A -t nonsense"]
    done = rvs.adm("restore", "-", stdin="\n".join(lines) + "\n", check=False)
    assert done.returncode == 1
    assert "37" in done.stderr
    assert rvs.adm("save").stdout == before


def test_save_flush_restore_gives_the_same(lab, rvs):
    rvs.add(Service([(a, i) for i, a in enumerate(lab.addresses.values())], "wrr"))
    rvs.add(Service([(lab.addresses["rs2"], 7)], protocol="udp", port=53))
    saved = rvs.adm("save").stdout
    rvs.flush()
    assert rvs.adm("save").stdout != saved
    rvs.adm("restore", "-", stdin=saved)
    assert rvs.adm("save").stdout == saved


def test_restores_what_ipvsadm_saved(lab, ipvs, rvs):
    service = Service([(a, i + 1) for i, a in enumerate(lab.addresses.values())], "wrr")
    ipvs.add(service)
    saved = lab.director.run("ipvsadm-save", "-n").stdout
    rvs.adm("restore", "-", stdin=saved)
    dests = rvs.json("dest", "list")["dests"]
    assert sorted(d["weight"] for d in dests) == [1, 2, 3]


@pytest.mark.seconds(400)
def test_ten_thousand_dests(lab, rvs):
    lab.director.ip("route add 10.0.0.0/8 via 192.168.56.1")
    dests = [(f"10.{i // 65536}.{i // 256 % 256}.{i % 256}", 1) for i in range(256, 10256)]
    rvs.restore(Service(dests))
    assert rvs.json("service", "list")["services"][0]["dests"] == 10000
    rvs.flush()
    assert rvs.json("service", "list")["services"] == []
