# SPDX-License-Identifier: GPL-2.0
"""UDP flows of a dest that takes no new ones: they stay, or leave where the operator says so."""

import pytest
from lab.director import Service, run_by
from lab.fixtures import lab_of_file
from lab.packets import tcp, udp
from lab.raw import _director_rvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP, Lab

DEFAULT = ("config", "set", "--expire-quiesced", "off")


_lab = lab_of_file(web=False, prepare=Lab.prepare_dr)


def asks(wire, port, protocol=udp):
    """Who gets a packet of the flow from that port."""
    wire.clear()
    packet = udp((CLIENT, port), (VIP, 53)) if protocol is udp else tcp((CLIENT, port), (VIP, 53), 16)
    wire.send(packet)
    wire.settle()
    return wire.took()


@pytest.mark.parametrize("where", ["service", "namespace"])
def test_a_sender_with_a_fixed_port_leaves_where_it_is_to(lab, rvs, wire, where):
    one, two, _ = lab.addresses.values()
    svc = Service([(one, 1)], protocol="udp", port=53)
    with run_by(rvs, svc):
        rvs.adm(*DEFAULT)
        assert asks(wire, 5000) == ["rs1"]
        rvs.adm("dest", "add", svc.id, f"{two}:53")
        # As ever, and as with ip_vs: it stays as long as it sends.
        rvs.adm("dest", "set", svc.id, f"{one}:53", "--weight", 0)
        assert asks(wire, 5000) == ["rs1"]
        if where == "namespace":
            rvs.adm("config", "set", "--expire-quiesced", "on")
            # What a service says goes first.
            rvs.adm("service", "set", svc.id, "--expire-quiesced", "off")
            assert asks(wire, 5000) == ["rs1"]
            rvs.adm("service", "set", svc.id, "--expire-quiesced", "default")
        else:
            rvs.adm("service", "set", svc.id, "--expire-quiesced", "on")
        assert asks(wire, 5000) == ["rs2"]
        # Back in use, it gets new flows, and the one that left stays where it is.
        rvs.adm("dest", "set", svc.id, f"{one}:53", "--weight", 1)
        assert asks(wire, 5000) == ["rs2"]
        # In use, and set to 0 from now on.
        rvs.adm("dest", "set", svc.id, f"{two}:53", "--weight", 0)
        assert asks(wire, 5000) == ["rs1"]
        saved = rvs.adm("save", "--settings").stdout
        expected = "--expire-quiesced on" if where == "namespace" else f"service {svc.id} --expire-quiesced on"
        assert expected in saved
        rvs.adm("restore", "-", stdin=saved)
        assert rvs.adm("save", "--settings").stdout == saved
        rvs.adm(*DEFAULT)


def test_tcp_connections_stay(lab, rvs, wire):
    one, _, _ = lab.addresses.values()
    svc = Service([(one, 1)], port=53, options=("--expire-quiesced", "on"))
    with run_by(rvs, svc):
        wire.send(tcp((CLIENT, 5000), (VIP, 53), 2))
        wire.settle()
        rvs.adm("dest", "set", svc.id, f"{one}:53", "--weight", 0)
        assert asks(wire, 5000, tcp) == ["rs1"]
