# SPDX-License-Identifier: GPL-2.0
"""Commands in the documents do what stands there, and say what stands below them.

A block `console HOST` is typed line by line on that host of the lab, in the repository's folder. Lines without
`# ` are what is to be printed, the number of blanks aside; `…` is any number of lines. With the word `about`
numbers may be others. scripts/check-documents sees to it that each block is of a kind that somebody tries.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import threading

import pytest
from lab import shell
from lab.handshake import Connection, toa
from lab.netns import Host, wait_until
from lab.receiver import Server
from lab.topology import VIP, Lab

REPO = pathlib.Path(os.environ.get("RVS_REPO", "../.."))
WEB = f"tcp/{VIP}:80"
NUMBER = re.compile(r"\d+(\.\d+)?")
REMARK = re.compile(r"\s{3,}\(.*\)$")


def _checks():
    loader = importlib.machinery.SourceFileLoader("documents", str(REPO / "scripts/check-documents"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("documents", loader))
    loader.exec_module(module)
    return module


def _blocks(kind):
    """(document, words of the first line, text) of each block of a kind."""
    checks = _checks()
    for path in checks.documents():
        for _, words, text in checks.blocks((REPO / path).read_text(encoding="utf-8")):
            if words.split(" ")[0] == kind:
                yield str(path), words.split(" ")[1:], text


def steps(text):
    """(command, lines that it is to print) of a block."""
    found = []
    for line in text.splitlines():
        if line.startswith("# "):
            found.append((REMARK.sub("", line[2:]), []))
        else:
            found[-1][1].append(line)
    return found


def is_said(wanted, got, about):
    """Whether output is what is wanted, … aside."""
    def words(line):
        return [NUMBER.sub("N", word) if about else word for word in line.split()]

    if not wanted:
        return not got
    if wanted[0] == "…":
        return any(is_said(wanted[1:], got[n:], about) for n in range(len(got) + 1))
    return bool(got) and words(wanted[0]) == words(got[0]) and is_said(wanted[1:], got[1:], about)


class Field:
    """What a block needs, made when it asks for it."""

    def __init__(self, name):
        shell.rmmod("rvs", "toa")
        self._rest = contextlib.ExitStack()
        self.lab = self.server = None
        if name == "receiver":
            self.server = self._rest.enter_context(contextlib.closing(Server()))
            self.host = self.server.host
        else:
            self.lab = self._rest.enter_context(contextlib.closing(Lab(web=False)))
            self.host = self.lab.director if name == "director" else self.lab.real[name]

    def adm(self, *lines):
        """rvsadm on the host."""
        for line in lines:
            self.host.run(f"rvsadm {line}")

    def requests(self):
        """Six connections of the client's to real servers of mode dr."""
        if not self.lab.web:
            self.lab.prepare_dr()
            self.lab.start_web()
        self.lab.client.run("curl", "-sS", "-m", 10, "--no-keepalive", "-H", "Connection: close",
                            f"http://{VIP}/[1-6]")

    def web_service(self):
        """The service that most blocks are about, with three dests."""
        self.adm(f"service add {WEB} --scheduler wrr",
                 *(f"dest add {WEB} 192.168.56.10{n}:80 --mode dr --weight {4 - n}" for n in (1, 2, 3)))

    def edit(self):
        """A saved configuration, after editing it."""
        with open("/etc/rvs.conf", encoding="utf-8") as f:
            lines = [line for line in f if "192.168.56.103" not in line]
        text = "".join(lines).replace("-w 3", "-w 1")
        text = text.replace(f"-A -t {VIP}:80", f"-A -u {VIP}:53 -s rr\n-A -t {VIP}:80")
        with open("/etc/rvs.conf", "w", encoding="utf-8") as f:
            f.write(text)

    def broken_file(self):
        """A file of LVS of which not all can be had."""
        with open("/tmp/lvs.rules", "w", encoding="utf-8") as f:
            f.write(f"-A -t {VIP}:81 -s rr\n-a -t {VIP}:81 -r 192.168.56.101:80 -g -w 1\n"
                    f"-A -t {VIP}:80 -s wlcx\n-A -t {VIP}:82 -s rr -p 300 --pe sip\n-A -t www.example:83 -s rr\n")

    def told_connection(self):
        """A connection of a director's that names its client."""
        self.host.ip("addr add 192.0.2.80/32 dev eth0")
        mac = self.server.wire.mac("eth0")
        self.host.ip(f"neigh replace 192.0.2.3 lladdr {mac} dev eth0 nud permanent")
        listener = self.server.listen(port=443)
        connection = Connection(self.server.hand, "192.0.2.3", ("192.0.2.80", 443))
        connection.source = ("192.0.2.3", 31337)
        connection.open(options=toa("198.51.100.7", 40000))
        self._rest.enter_context(listener.accept()[0])

    def namespaces(self, *names):
        """Others."""
        for name in names:
            self._rest.enter_context(contextlib.closing(Host(name)))

    def close(self):
        """Nothing of it is left."""
        self._rest.close()
        for path in ("/etc/rvs.conf", "/tmp/lvs.rules"):
            pathlib.Path(path).unlink(missing_ok=True)
        shell.rmmod("rvs", "toa")


# What has to be so before a command of a document, as (document, start of the command, what).
BEFORE = [
    ("README.md", "ip addr add 203.0.113.10", lambda field: field.host.ip(f"addr del {VIP}/32 dev lo")),
    ("docs/operate.md", "rvsadm dest list", Field.requests),
    ("docs/operate.md", "rvsadm conn templates", Field.requests),
    ("docs/operate.md", "rvsadm laddr add tcp", lambda field: (
        field.host.ip(*(f"addr add 192.0.2.{n}/32 dev lo" for n in (200, 201, 202))),
        field.adm(f"service add tcp/{VIP}:443 --scheduler rr"))),
    ("docs/operate.md", "rvsadm save", Field.web_service),
    ("docs/operate.md", "rvsadm dest set --all", Field.web_service),
    ("docs/operate.md", "rvsadm restore --dry-run", Field.edit),
    ("docs/operate.md", "rvsadm restore --check", Field.broken_file),
    ("docs/operate.md", "rvsadm sync start master", lambda field: field.host.ip(
        "link add eth1 type dummy", "link set eth1 up", "addr add 10.99.0.1/24 dev eth1")),
    ("docs/toa.md", "rvsadm toa lookup", Field.told_connection),
    ("docs/observe.md", "rvsadm exporter --netns", lambda field: field.namespaces("blue", "green")),
]


def scrape(field, _lines):
    """An exporter answers."""
    url = "http://127.0.0.1:9757/metrics"
    wait_until(lambda: field.host.run("curl", "-sSf", url, check=False).returncode == 0, "it answers")
    assert "rvs_up" in field.host.run("curl", "-sSf", url).stdout


def changes(field, lines):
    """A monitor prints the changes of the document."""
    wait_until(lambda: lines, "it listens")
    field.adm(f"service add {WEB} --scheduler wrr", f"dest add {WEB} 192.168.56.101:80 --mode dr --weight 3",
              f"service set {WEB} --persistence 300", "stats zero")
    wait_until(lambda: len(lines) >= 5, "it has told all")


# Commands that do not end by themselves, and what is done meanwhile.
ENDLESS = {"rvsadm exporter": scrape, "rvsadm monitor": changes}


def run_endless(field, command, meanwhile):
    """What such a command prints until it is ended."""
    lines = []
    child = field.host.start(*command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    reader = threading.Thread(target=lambda: lines.extend(iter(child.stdout.readline, "")))
    reader.start()
    meanwhile(field, lines)
    field.host.stop(child)
    reader.join()
    return [line.rstrip("\n") for line in lines]


@pytest.mark.parametrize("document,words,text", [
    pytest.param(*block, id=f"{block[0]}-{steps(block[2])[0][0]}") for block in _blocks("console")])
def test_a_block_does_what_stands_there(document, words, text):
    host, about = words[0], "about" in words
    field = Field(host)
    try:
        if "insmod" not in text:
            shell.modprobe("rvs")
        for command, wanted in steps(text):
            for where, start, what in BEFORE:
                if where == document and command.startswith(start):
                    what(field)
            meanwhile = next((do for start, do in ENDLESS.items() if command.startswith(start)), None)
            if meanwhile:
                got, refused = run_endless(field, command, meanwhile), False
            else:
                done = field.host.run("sh", "-c", f"cd {REPO} && {{ {command}\n}} 2>&1", check=False)
                got, refused = done.stdout.splitlines(), done.returncode != 0
            assert refused == any(line.startswith("rvsadm: cannot") for line in wanted), (command, got)
            # A command with nothing below it is shown for what it does.
            assert not wanted or is_said(wanted, got, about), (command, got)
    finally:
        field.close()


def test_the_demo_prints_what_the_readme_says():
    shell.rmmod("rvs", "toa")
    (_, _, text), = _blocks("demo")
    shell.modprobe("rvs")
    # It looks at shares and addresses by itself.
    done = shell.run("python3", "-B", str(REPO / "demo/demo.py"), 12, timeout=250)
    wanted = text.replace(" …", "").splitlines()
    # Some of its lines.
    assert is_said([line for some in wanted for line in ("…", some)], done.stdout.splitlines(), True), done.stdout


def test_what_is_said_is_compared():
    assert is_said(["a  1", "…", "z"], ["a 1", "b", "z"], False)
    assert is_said(["…"], [], False) and is_said([], [], False)
    assert is_said(["a 2.5 s"], ["a 3 s"], True)
    for wanted, got in ((["a"], []), ([], ["a"]), (["a 1"], ["a 2"]), (["…", "z"], ["a"])):
        assert not is_said(wanted, got, False)
