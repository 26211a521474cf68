# SPDX-License-Identifier: GPL-2.0
"""The kernel's own instruments: tracepoints, as bpftrace and rvsadm trace read them, and drop reasons."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest
from lab.debug import is_debug_kernel
from lab.director import Service
from lab.document import check
from lab.handshake import toa
from lab.netns import wait_until
from lab.receiver import CLIENT as TOLD
from lab.receiver import DIRECTOR
from lab.topology import CLIENT, VIP

TRACING = pathlib.Path("/sys/kernel/tracing")
DOCUMENT = pathlib.Path(os.environ.get("RVS_REPO", "../..")) / "docs/trace.md"
BLOCK = re.compile(r"^```bpftrace (\w+)\n(.*?)\n```$", re.M | re.S)
# What a one-liner counts and prints in the end comes after this has begun.
TICK = ' interval:s:1 { printf("attached\\n"); }'


@pytest.fixture(name="trace")
def _trace():
    """A buffer of the kernel's trace."""
    if not (TRACING / "events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=True)
    instance = TRACING / "instances/test"
    instance.mkdir()
    yield instance
    (instance / "events/enable").write_text("0")
    instance.rmdir()


class Script:
    """A one-liner of the documents, run until it is told to end."""

    def __init__(self, line, path):
        if is_debug_kernel():
            pytest.skip("the debug kernel has no BPF programs at tracepoints")
        begin, program, rest = line.partition("'")[0], line.split("'")[1], line.rpartition("'")[2]
        assert begin == "bpftrace -e " and rest == ""
        self.path, self.program = path, program
        with path.open("w") as out:
            self.child = subprocess.Popen(
                ["bpftrace", "-B", "line", "-e", program + TICK], stdout=out, stderr=subprocess.STDOUT,
            )

    def said(self):
        return self.path.read_text(encoding="utf-8")

    def is_attached(self):
        assert self.child.poll() is None, self.said()
        return "attached" in self.said()

    def end(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(timeout=60)
        return self.said()


def one_liners(module):
    found = [line for name, line in BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")) if name == module]
    assert found
    return found


def talk(lab, port=80):
    """A connection from the client that is opened and closed, or refused; its own port."""
    with lab.client.inside(), socket.socket() as flow:
        flow.settimeout(10)
        flow.bind((CLIENT, 0))
        try:
            flow.connect((VIP, port))
        except OSError:
            pass
        return flow.getsockname()[1]


def prepare(lab, rvs):
    lab.prepare_dr()
    rvs.add(Service([(lab.addresses["rs1"], 1)]))
    # Nobody to send it to.
    rvs.adm("service", "add", f"tcp/{VIP}:81", "-s", "rr")


def deeds(lab, rvs):
    """Something for each tracepoint."""
    talk(lab)
    talk(lab, 81)
    rvs.adm("conn", "end", "--client", CLIENT)
    rvs.adm("dest", "set", f"tcp/{VIP}:80", f"{lab.addresses['rs1']}:80", "--weight", "7")


def test_bpftrace_of_the_documents(lab, rvs, tmp_path):
    prepare(lab, rvs)
    scripts = [Script(line, tmp_path / str(i)) for i, line in enumerate(one_liners("rvs"))]
    wait_until(lambda: all([script.is_attached() for script in scripts]), "bpftrace to attach", 120)
    deeds(lab, rvs)
    flows, drops, ends, dests = [script.end() for script in scripts]
    rs1 = lab.addresses["rs1"]
    assert f"@[::ffff:{rs1}, 80]: 1" in flows, flows
    # The client asks once more or not.
    assert f"@[drop-no-dest, ::ffff:{CLIENT}]:" in drops, drops
    assert re.search(r"^@\[2, \d+\]: 1$", ends, re.M), ends
    assert re.search(rf"^::ffff:{rs1} by rvsadm: change 2, weight 7$", dests, re.M), dests


def test_the_receivers(server, tmp_path):
    """The tracepoint of toa.ko, by bpftrace."""
    (line,) = one_liners("toa")
    script = Script(line, tmp_path / "toa")
    wait_until(script.is_attached, "bpftrace to attach", 120)
    assert server.seen(server.listen(), toa(*TOLD))[:2] == TOLD
    said = script.end()
    assert f"@[::ffff:{DIRECTOR}, ::ffff:{TOLD[0]}]: 1" in said, said


def test_what_they_tell_as_text(lab, rvs, trace):
    prepare(lab, rvs)
    (trace / "events/rvs/enable").write_text("1")
    skb = trace / "events/skb/kfree_skb"
    (skb / "enable").write_text("1")
    deeds(lab, rvs)
    rvs.adm("dest", "del", f"tcp/{VIP}:80", f"{lab.addresses['rs1']}:80")
    text = (trace / "trace").read_text(encoding="utf-8")
    rs1 = f"[::ffff:{lab.addresses['rs1']}]:80"
    ends = rf"client=\[::ffff:{CLIENT}\]:\d+ vip=\[::ffff:{VIP}\]:80 dest={re.escape(rs1)} mode=dr mark=0 "
    netns = os.stat(lab.director.path).st_ino
    assert re.search(rf": new_flow: netns={netns} tcp {ends}state=3 why=-$", text, re.M), text
    assert re.search(rf": conn_end: netns={netns} tcp {ends}state=\d+ why=ended$", text, re.M), text
    for change, weight in (("set", 7), ("del", 0)):
        assert re.search(rf": dest_change: netns={netns} tcp vip=\[::ffff:{VIP}\]:80 mark=0 "
                         rf"dest={re.escape(rs1)} mode=\S+ weight={weight} change={change}$", text, re.M), text
    (found,) = set(re.findall(rf": drop: netns={netns} reason=drop-no-dest proto=6 \[::ffff:{CLIENT}\]:\d+ -> "
                              rf"\[::ffff:{VIP}\]:81 len=\d+ mark=0 skbaddr=(\S+)$", text, re.M))
    # The kernel's own tracepoint tells of the same packet.
    assert re.search(rf"kfree_skb: skbaddr={found} .*reason: NO_TX_TARGET", text), text


def test_rvsadm_traces(lab, rvs):
    prepare(lab, rvs)
    before = set((TRACING / "instances").iterdir())
    arguments = ["rvsadm", "trace", "--client", CLIENT, "--timeout", "60", "-j"]
    traced = lab.director.start(*arguments, "--count", "3", stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    assert traced.stderr.readline() == "rvsadm: tracing\n"
    assert len(set((TRACING / "instances").iterdir()) - before) == 1
    port = talk(lab)
    talk(lab, 81)
    rvs.adm("conn", "end", "--client", f"{CLIENT}:{port}")
    lines = traced.communicate(timeout=60)[0].splitlines()
    events = {each["event"]: each for each in (check("trace", line) for line in lines)}
    end = f"{CLIENT}:{port}"
    assert (events["new-flow"]["client"], events["new-flow"]["mode"]) == (end, "dr")
    if "conn-end" in events:
        assert (events["conn-end"]["client"], events["conn-end"]["why"]) == (end, "ended")
    assert (events["drop"]["service"], events["drop"]["reason"]) == (f"{VIP}:81", "drop-no-dest")
    # Its buffer goes with it, even when it is killed.
    killed = lab.director.start(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert killed.stderr.readline() == "rvsadm: tracing\n"
    killed.kill()
    killed.communicate(timeout=60)
    wait_until(lambda: set((TRACING / "instances").iterdir()) == before, "the buffers to go")
