# SPDX-License-Identifier: GPL-2.0
"""Calls of SIP stay with their dest (--pe sip): which, what is no call, and how many."""

import itertools

import pytest
from lab import sip
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.packets import fragments, mac_bytes, udp
from lab.raw import _director_rvs, _ipvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab

_lab = lab_of_file(web=False, prepare=Lab.prepare_dr)


@pytest.fixture(name="near")
def _near(numbers=itertools.count(1)):
    """Two clients of a network of 24 bits, and one of another."""
    number = next(numbers)
    return [f"10.{number}.100.40", f"10.{number}.100.41", f"10.{number}.101.7"]


def service(lab, *options, **kwargs):
    kwargs = {"protocol": "udp", "port": sip.PORT, **kwargs}
    dests = [(address, 1) for address in lab.addresses.values()]
    return Service(dests, options=("-p", 300, "--pe", "sip", *options), **kwargs)


def who(wire, packets):
    """Who gets each of some packets, which are of a flow each; None for nobody."""
    wire.clear()
    wire.send(*packets)
    wire.settle()
    taken = {}
    for name, tap in wire.real.items():
        for seen in wire.only(tap.drain()):
            taken.setdefault((seen.source, seen.ports[0]), name)
    return [taken.get(ends(packet)) for packet in packets]


def ends(packet):
    """Source and its port."""
    return ".".join(map(str, packet[12:16])), int.from_bytes(packet[20:22], "big")


def say(client, port, data):
    return udp((client, port), (VIP, sip.PORT), data)


def calls_of(rvs):
    """Calls that stay."""
    return [template["call_id"] for template in rvs.json("conn", "templates")["templates"]]


@pytest.mark.parametrize("options", [(), ("-M", "255.255.255.0"), ("--ops",)], ids=" ".join)
# pylint: disable-next=too-many-arguments,too-many-positional-arguments
def test_calls_stay_as_in_ip_vs(lab, ipvs, rvs, wire, near, options):
    svc = service(lab, *options)
    calls = [sip.new_call() for _ in range(4)]
    asked = [(client, call) for _ in range(2) for call in calls for client in near]
    packets = [say(client, port, sip.message(call, line="i:{}" if port % 2 else "Call-ID: {}"))
               for port, (client, call) in enumerate(asked, 6000)]
    # In a known flow nobody looks.
    packets += [say(near[0], 6000, data) for data in (b"", b"\r\n\r\n")] * (options != ("--ops",))
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, svc):
            seen.append(who(wire, packets))
            if director is rvs:
                networks = 2 if "-M" in options else 3
                assert sorted(calls_of(rvs)) == sorted(calls * networks)
                service_now = rvs.json("service", "show", svc.id)["service"]
                assert service_now["templates"] == networks * 4
    assert seen[0] == seen[1]
    # Of each call and network one, whatever the port.
    assert None not in seen[1] and len(set(seen[1])) == 3
    assert seen[1][:12] == seen[1][12:24]


NO_CALLS = [
    sip.message(None), b"\r\n\r\n", b"", b"\0", b"INVITE\r\nCall-ID: end", b"Call-ID: first\r\nA: b\r\n\r\n",
    *map(sip.message, ("a" * 256, "", "a#b", "a b", "a@", "a\0b", "\u00e4")),
    sip.message("a", line="Call-IDs: {}"), sip.message("a", line="A:\r\n i: {}"),
]



def test_what_is_no_call_is_dropped_as_in_ip_vs(lab, ipvs, rvs, wire):
    call = sip.new_call()
    good = [sip.message(call.rjust(255, "x")), sip.message(call + "1", end="\n"), sip.message(call + "2", end="\r"),
            sip.message(call + "3", line="Call-ID:\r\n {}"), sip.message(call + "4", line="CALL-id  :  {}"),
            b"\r\n\r\n" + sip.message(call + "5")]
    packets = [say(CLIENT, port, data) for port, data in enumerate([*NO_CALLS, *good], 7000)]
    seen = []
    for director in (ipvs, rvs):
        with run_by(director, service(lab)):
            seen.append([name is not None for name in who(wire, packets)])
            if director is rvs:
                assert rvs.counters()["drop_malformed"] == len(NO_CALLS)
                assert len(calls_of(rvs)) == len(good)
                assert len(rvs.connections()) == len(good)
    assert seen[0] == seen[1] == [False] * len(NO_CALLS) + [True] * len(good)


def test_explain_knows_that_calls_go_elsewhere(lab, rvs):
    with run_by(rvs, service(lab)):
        said = rvs.adm("explain", "udp", f"{CLIENT}:7999", f"{VIP}:{sip.PORT}").stdout
        assert "if it says a Call-ID and that is new" in said and "drop-malformed" in said
    with run_by(rvs, Service([(a, 1) for a in lab.addresses.values()], protocol="udp", port=sip.PORT)):
        assert "Call-ID" not in rvs.adm("explain", "udp", f"{CLIENT}:7999", f"{VIP}:{sip.PORT}").stdout


def test_where_rvs_is_more_lenient_or_stricter(lab, rvs, wire):
    """Spaces behind the value are the RFC's; what is in the body is no header."""
    with run_by(rvs, service(lab)):
        lenient = [sip.message("a@b"), sip.message("a@b", line="Call-ID: {} \t"), sip.message("a@b", line="i:\t{}")]
        body = b"INVITE\r\nA: b\r\n\r\nCall-ID: body\r\n"
        taken = who(wire, [say(CLIENT, port, data) for port, data in enumerate([*lenient, body], 7100)])
        assert taken[3] is None and len(set(taken[:3])) == 1 and taken[0]
        assert calls_of(rvs) == ["a@b"]


def test_a_message_in_fragments(lab, rvs, wire):
    with run_by(rvs, service(lab)):
        long = sip.message("a@b").replace(b"Via:", b"X: " + b"x" * 3000 + b"\r\nVia:")
        far = sip.message("c@d").replace(b"Via:", b"X: " + b"x" * 9000 + b"\r\nVia:")
        for port, data in ((7200, long), (7201, far)):
            wire.send(*fragments(say(CLIENT, port, data), 1480))
        wire.settle()
        # Who has so much ahead of it is not in earnest.
        assert calls_of(rvs) == ["a@b"]
        assert rvs.counters()["drop_malformed"] == 1


@pytest.mark.parametrize("ops", [False, True], ids=["flows", "ops"])
def test_a_flood_of_calls_is_bounded(lab, rvs, wire, ops):
    rvs.adm("config", "set", "--conn-max", 100)
    with run_by(rvs, service(lab, *(["--ops"] if ops else []))):
        for first in range(10_000, 11_200, 400):
            wire.send(*(say(CLIENT, port, sip.message(f"{port}".rjust(255, "f")))
                        for port in range(first, first + 400)))
            wire.settle()
        counters = rvs.counters()
        assert counters["conns_now"] + counters["templates_now"] <= 101
        if ops:
            assert counters["templates_dropped"] >= 1050
        else:
            assert counters["drop_conn_max"] >= 1050
        rvs.adm("service", "set", f"udp/{VIP}:{sip.PORT}", "--pe", "off")
        assert not calls_of(rvs) and rvs.counters()["templates_now"] == 0


def test_an_answered_call_stays_through_a_flood(lab, rvs, wire):
    """With nat the answer is seen, and says which call it is about."""
    rvs.adm("config", "set", "--conn-max", 100)
    answered, silent = sip.new_call(), sip.new_call()
    with run_by(rvs, service(lab, mode="nat")):
        wire.clear()
        wire.send(say(CLIENT, 8000, sip.message(answered)), say(CLIENT, 8001, sip.message(silent)))
        wire.settle()
        for tap in wire.real.values():
            for seen in tap.drain(lambda seen: seen.protocol == 17 and seen.ports == (8000, sip.PORT)):
                answer = udp((seen.destination, sip.PORT), (CLIENT, 8000), sip.message(answered, first=sip.OK))
                tap.send(mac_bytes(wire.director_mac), answer)
        wire.settle()
        for number in range(200):
            wire.send(say(CLIENT, 8100 + number, sip.message(f"flood{number}")))
        wire.settle()
        stay = calls_of(rvs)
        assert answered in stay and silent not in stay


def test_a_service_changes_to_calls_and_back(lab, rvs, wire):
    svc = service(lab)
    with run_by(rvs, svc):
        rvs.adm("service", "set", svc.id, "--pe", "off")
        first = who(wire, [say(CLIENT, port, b"any") for port in (7300, 7301, 7302)])
        assert len(set(first)) == 1 and calls_of(rvs) == [None]
        rvs.adm("service", "set", svc.id, "--pe", "sip")
        assert not calls_of(rvs)
        calls = [sip.message(sip.new_call()) for _ in range(3)]
        packets = [say(CLIENT, port, calls[port % 3]) for port in range(7310, 7316)]
        taken = who(wire, packets)
        assert taken[:3] == taken[3:] and len(set(taken)) == 3
        # They go on when it stays longer, or is scheduled by another rule.
        rvs.adm("service", "set", svc.id, "-p", 100, "-s", "wlc")
        packets = [say(CLIENT, port, calls[port % 3]) for port in range(7320, 7326)]
        assert who(wire, packets) == [taken[(port - 7310) % 3] for port in range(7320, 7326)]
        rvs.adm("service", "set", svc.id, "-p", 0)
        assert None not in who(wire, [say(CLIENT, 7330, b"any")])


def test_calls_are_saved_and_restored(lab, rvs, wire, tmp_path):
    svc = service(lab)
    calls = [sip.new_call(), sip.new_call(), sip.new_call(), "x" * 255]
    saved, conf = tmp_path / "conns", tmp_path / "conf"
    with run_by(rvs, svc):
        before = who(wire, [say(CLIENT, 7400 + n, sip.message(call)) for n, call in enumerate(calls)])
        rvs.adm("save", "-o", conf)
        assert f"-A -u {VIP}:{sip.PORT} -s rr -p 300 --pe sip" in conf.read_text().splitlines()
        assert rvs.json("conn", "save", saved) == {"connections": 4, "templates": 4}
        rvs.flush()
        rvs.adm("conn", "flush")
        rvs.adm("restore", conf)
        rvs.adm("dest", "del", svc.id, f"{lab.addresses['rs1']}:{sip.PORT}")
        rvs.adm("dest", "add", svc.id, f"{lab.addresses['rs1']}:{sip.PORT}")
        said = rvs.json("conn", "restore", saved)
        assert said["new"] == 8 and sorted(calls_of(rvs)) == sorted(calls)
        after = who(wire, [say(CLIENT, 7410 + n, sip.message(call)) for n, call in enumerate(calls)])
        assert after == before
        # To a service that keeps networks they mean nothing.
        rvs.adm("service", "set", svc.id, "--pe", "off")
        assert rvs.json("conn", "restore", saved)["misfit"] == 4
        # As JSON.
        rvs.adm("service", "set", svc.id, "--pe", "sip")
        text = rvs.adm("save", "-j").stdout
        rvs.flush()
        rvs.adm("restore", "-", stdin=text)
        assert rvs.json("service", "show", svc.id)["service"]["persistence_engine"] == "sip"


def test_bad_settings_are_refused(rvs):
    for service_id in ("tcp/192.0.2.1:5060", "sctp/192.0.2.1:5060"):
        refused = rvs.adm("service", "add", service_id, "-p", 60, "--pe", "sip", check=False)
        assert refused.returncode == 1 and "persistence engine sip is for udp" in refused.stderr
    refused = rvs.adm("service", "add", "udp/192.0.2.1:5060", "--pe", "ftp", check=False)
    assert refused.returncode == 2 and "it is off or sip" in refused.stderr
    # By mark packets of TCP may come, which have no calls.
    rvs.adm("service", "add", "fwmark/7", "-p", 60, "--pe", "sip")
