# SPDX-License-Identifier: GPL-2.0
"""FTP with the helper: what a control connection says of others is followed, in both directions."""

import contextlib
import re
import socket

import pytest
from lab import ftp, shell
from lab.director import Service
from lab.fixtures import lab_of_file
from lab.flow import Hosts
from lab.fullnat import LOCALS
from lab.netns import wait_until
from lab.six import LOCALS as LOCALS_SIX

PASV, EPSV = ["--disable-epsv"], ["--ftp-pasv"]
PORT, EPRT = ["-P", "-", "--disable-eprt"], ["-P", "-"]
WAYS = {4: {"PASV": PASV, "EPSV": EPSV, "PORT": PORT, "EPRT": EPRT}, 6: {"EPSV": EPSV, "EPRT": EPRT}}
CELLS = [(mode, version) for mode in ("nat", "fullnat") for version in (4, 6)]


lab = lab_of_file(real_servers=1, web=False)


@pytest.fixture(name="hosts", scope="module")
def _hosts(lab):
    return Hosts(lab)


@pytest.fixture(autouse=True)
def _clear(rvs):
    """Nothing of one test is left to the next."""
    yield
    rvs.flush()


@pytest.fixture(name="server")
def _server(lab):
    with contextlib.closing(ftp.Server(lab.real["rs1"])) as server:
        (server.files / "a").write_bytes(b"a" * 3000)
        (server.files / "b").write_bytes(b"b" * 5)
        yield server


def serve(director, hosts, mode, version, *options):
    """A service of FTP by that mode; returns its address."""
    here, names = hosts.of(version)
    if mode == "fullnat":
        director.adm("laddr", "add", "--default", *(LOCALS_SIX if version == 6 else LOCALS), check=False)
    service = Service([(here.addresses["rs1"], 1)], mode=mode, port=21, vip=names.VIP)
    director.add(service)
    if options:
        director.adm("service", "set", service.id, *options)
    return names.VIP


@pytest.fixture(name="vip", params=CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def _vip(request, rvs, hosts):
    mode, version = request.param
    return serve(rvs, hosts, mode, version, "--helper", "ftp"), mode, version


def test_files_come_and_go(lab, rvs, server, vip, tmp_path):
    """Several in one control connection, by each way to open one for data."""
    address, mode, version = vip
    kept = tmp_path / "kept"
    for number, (way, options) in enumerate(WAYS[version].items()):
        kept = tmp_path / f"kept{number}"
        kept.write_bytes(way.encode() * 1000)
        got, said = ftp.curl(lab.client, address, *options, store=kept)
        assert got == "a" * 3000 + "b" * 5, (way, said)
        stored = server.files / kept.name
        wait_until(lambda: stored.exists() and stored.read_bytes() == kept.read_bytes(), f"stored by {way}")
        if way == "PASV":
            passive = [line for line in said if line.startswith("227")]
            assert passive and all(address.replace(".", ",") in line for line in passive)
    service = rvs.json("service", "show", f"tcp/{address}:21" if version == 4 else f"tcp/[{address}]:21")
    # A control connection each and three of data.
    assert service["service"]["stats"]["connections"] == 4 * len(WAYS[version]), mode


def test_the_same_by_ip_vs(lab, ipvs, hosts, server):
    """Stock's helper does the same, where it has the mode."""
    shell.modprobe("ip_vs_ftp")
    lab.director.run("sysctl", "-q", "net.ipv4.vs.conntrack=1")
    try:
        address = serve(ipvs, hosts, "nat", 4)
        for way, options in WAYS[4].items():
            got, said = ftp.curl(lab.client, address, *options)
            assert got == "a" * 3000 + "b" * 5, (way, said)
            passive = [line for line in said if line.startswith("227")]
            assert all(address.replace(".", ",") in line for line in passive)
    finally:
        ipvs.flush()
        shell.run("modprobe", "-r", "ip_vs_ftp", check=False)


def test_without_the_helper_the_client_is_told_of_the_real_server(lab, rvs, hosts, server):
    address = serve(rvs, hosts, "nat", 4)
    with contextlib.closing(ftp.Talk(lab.client, address)) as talk:
        talk.log_in()
        assert hosts.lab.addresses["rs1"].replace(".", ",") in talk.say("PASV")
    assert server.process.poll() is None


def passive_port(line):
    numbers = re.search(r"\((?:\d+,){4}(\d+),(\d+)\)", line)
    return int(numbers[1]) * 256 + int(numbers[2])


def is_refused(lab, address, port):
    """Nothing of ours answers there."""
    with lab.client.inside(), socket.socket() as s:
        s.settimeout(3)
        return s.connect_ex((address, port)) != 0


@pytest.mark.parametrize("mode", ["nat", "fullnat"])
def test_what_lies_is_left_alone(lab, rvs, hosts, server, mode):
    """Others' addresses, services' ports, lines in pieces, too long, or not asked for: none is followed, and
    the control connection goes on."""
    address = serve(rvs, hosts, mode, 4, "--helper", "ftp")
    with contextlib.closing(ftp.Talk(lab.client, address)) as talk:
        talk.log_in()
        before = len(rvs.json("conn", "list")["connections"])
        for line in ("PORT 203,0,113,99,200,1", "PORT 198,51,100,2,0,80", "EPRT |1|203.0.113.99|51201|",
                     "EPRT |1|198.51.100.2|99999|", "PORT 1,2", "PORT " + "9" * 600,
                     "NOOP " + "x" * 1500, "EPRT |||||", "PORT"):
            assert talk.say(line)[0] in "25", line
        assert len(rvs.json("conn", "list")["connections"]) == before
        # In pieces: it is not read, and what it says goes on as it is.
        talk.send("NO")
        talk.send("OP\r\n")
        assert talk.answer().startswith("200")
        # Behind all that it still works.
        line = talk.say("PASV")
        assert address.replace(".", ",") in line
        with lab.client.inside(), socket.create_connection((address, passive_port(line)), timeout=20) as data:
            talk.send("RETR files/b\r\n")
            assert data.recv(100) == b"bbbbb"
        assert talk.answer().startswith("150") and talk.answer().startswith("226")
        # Whom nobody has told of a port is not led there.
        assert is_refused(lab, address, passive_port(line) ^ 1)


def test_where_there_is_no_room_it_is_counted(lab, rvs, hosts, server):
    """A port that is told of goes on as it is, the control connection too; with room again all is as before."""
    def without_room():
        return rvs.json("stats", "show")["counters"]["helper_no_room"]

    def waiting():
        return [each for each in rvs.json("conn", "list")["connections"]
                if each["state"] == "listen" and each["client"].endswith(":51201")]

    address = serve(rvs, hosts, "nat", 4, "--helper", "ftp")
    with contextlib.closing(ftp.Talk(lab.client, address)) as talk:
        talk.log_in()
        rvs.adm("config", "set", "--conn-max", "1")
        here, before = talk.socket.getsockname()[0].replace(".", ","), without_room()
        try:
            assert talk.say(f"PORT {here},200,1")[0] in "25"
            assert without_room() == before + 1 and not waiting()
        finally:
            rvs.adm("config", "set", "--conn-max", "0")
        assert talk.say(f"PORT {here},200,1").startswith("200")
        assert without_room() == before + 1 and waiting()


def test_many_transfers_in_one_connection(lab, rvs, hosts, server):
    """Numbers have moved by each PORT that was written anew, and lines of a kind come again and again."""
    address = serve(rvs, hosts, "fullnat", 4, "--helper", "ftp")
    with contextlib.closing(ftp.Talk(lab.client, address)) as talk:
        talk.log_in()
        for number in range(60):
            if number % 3 == 0:
                line = talk.say("PASV")
                with lab.client.inside():
                    data = socket.create_connection((address, passive_port(line)), timeout=20)
                talk.send("RETR files/b\r\n")
            else:
                with lab.client.inside(), socket.create_server(("0.0.0.0", 0)) as listener:
                    listener.settimeout(20)
                    high, low = divmod(listener.getsockname()[1], 256)
                    own = talk.socket.getsockname()[0].replace(".", ",")
                    assert talk.say(f"PORT {own},{high},{low}").startswith("200")
                    talk.send("RETR files/b\r\n")
                    data, peer = listener.accept()
                assert peer == (address, 20)
            with data:
                assert data.recv(100) == b"bbbbb"
            assert talk.answer().startswith("150") and talk.answer().startswith("226"), number


def test_bad_settings_are_refused(rvs):
    for service in ("udp/192.0.2.1:53", "sctp/192.0.2.1:53"):
        refused = rvs.adm("service", "add", service, "--helper", "ftp", check=False)
        assert refused.returncode == 1 and "helper ftp is for tcp" in refused.stderr
    refused = rvs.adm("service", "add", "tcp/192.0.2.1:21", "--helper", "sip", check=False)
    assert refused.returncode == 2 and "it is off or ftp" in refused.stderr
