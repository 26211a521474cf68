# SPDX-License-Identifier: GPL-2.0
"""Calls of SIP with nat, between programs: answers, and real servers that call."""

import contextlib
import socket

import pytest
from lab import sip
from lab.director import Service, end, run_by
from lab.fixtures import _hosts, lab_of_file  # noqa: F401
from lab.transfer import UdpEcho, ask, family, new_port

lab = lab_of_file(web=False)

DIRECTORS = [("ipvs", 4), ("rvs", 4), ("rvs", 6)]
each_director = pytest.mark.parametrize("name,version", DIRECTORS)
each_way = pytest.mark.parametrize("ops", [(), ("--ops",)], ids=["flows", "ops"])


@pytest.fixture(name="serve")
def _serve(rvs, ipvs, hosts):
    """Makes a service of calls by a director; gives the hosts' addresses and its own."""
    with contextlib.ExitStack() as stack:
        def made(name, version, *options):
            here, names = hosts.of(version)
            dests = [(address, 1) for address in here.addresses.values()]
            svc = Service(dests, mode="nat", protocol="udp", port=sip.PORT, vip=names.VIP,
                          options=("-p", 300, "--pe", "sip", *options))
            stack.enter_context(run_by(rvs if name == "rvs" else ipvs, svc))
            return here, names
        yield made


def opened(host, address, port=0):
    """A socket of datagrams."""
    with host.inside():
        s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.bind((address, port))
    s.settimeout(20)
    return s


@each_way
@each_director
def test_answers_come_from_the_virtual_address(serve, name, version, ops):
    """With --ops too, where no connection is known any more when they come."""
    here, names = serve(name, version, *ops)
    with contextlib.ExitStack() as stack:
        for real, host in here.real.items():
            stack.enter_context(contextlib.closing(UdpEcho(host, sip.PORT, here.addresses[real])))
        calls = [sip.new_call() for _ in range(3)]
        asked = [ask(here.client, names.VIP, sip.PORT, sip.message(call)) for call in calls * 2]
        answered = [answer.split()[0] for answer in asked]
        assert answered[:3] == answered[3:] and len(set(answered)) == 3


@each_way
@each_director
def test_real_servers_call(serve, name, version, ops):
    here, names = serve(name, version, *ops)
    with contextlib.ExitStack() as stack:
        def a_socket(host, address, port=0):
            return stack.enter_context(opened(host, address, port))

        server = {real: a_socket(host, here.addresses[real], sip.PORT) for real, host in here.real.items()}
        client = a_socket(here.client, names.CLIENT, new_port())
        vip = (names.VIP, sip.PORT)
        # In ip_vs the client's port goes on to whoever called first after the second has.
        callers = ["rs2"] if name == "ipvs" and not ops else ["rs2", "rs1", "rs2"]
        for real in callers:
            call = sip.new_call()
            server[real].sendto(sip.message(call), client.getsockname()[:2])
            data, peer = client.recvfrom(2000)
            assert data == sip.message(call) and peer[:2] == vip
            # What is said of that call comes there, from here and from elsewhere.
            client.sendto(sip.message(call, first=sip.OK), peer)
            other = a_socket(here.client, names.CLIENT, new_port())
            other.sendto(sip.message(call), vip)
            for first in (sip.OK, sip.INVITE):
                assert server[real].recv(2000) == sip.message(call, first=first)
        # What is of no call goes as it is, and so does what is for the director's own programs.
        server["rs3"].sendto(b"\r\n\r\n", client.getsockname()[:2])
        assert client.recvfrom(2000)[1][0] == here.addresses["rs3"]
        check = a_socket(here.director, names.DIRECTOR)
        check.sendto(sip.message("check"), (here.addresses["rs3"], sip.PORT))
        data, peer = server["rs3"].recvfrom(2000)
        server["rs3"].sendto(data, peer)
        assert check.recvfrom(2000)[1][0] == here.addresses["rs3"]


def test_whose_calls_are_followed_changes_with_the_service(serve, rvs):
    here, names = serve("rvs", 4)
    svc = f"udp/{names.VIP}:{sip.PORT}"
    dest = end(here.addresses["rs1"], sip.PORT)
    client = opened(here.client, names.CLIENT, new_port())
    server = opened(here.real["rs1"], here.addresses["rs1"], sip.PORT)
    with client, server:
        def comes_from():
            server.sendto(sip.message(sip.new_call()), client.getsockname())
            found = client.recvfrom(2000)[1][0]
            rvs.adm("conn", "flush")
            return found

        seen = [comes_from()]
        for change in (("service", "set", svc, "--pe", "off"), ("service", "set", svc, "--pe", "sip"),
                       ("dest", "del", svc, dest), ("dest", "add", svc, dest, "--mode", "nat"),
                       ("service", "set", svc, "-p", 0), ("service", "set", svc, "-p", 60)):
            rvs.adm(*change)
            seen.append(comes_from())
    assert seen == [names.VIP, here.addresses["rs1"]] * 3 + [names.VIP]
