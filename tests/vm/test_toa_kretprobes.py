# SPDX-License-Identifier: GPL-2.0
"""The receiver on kretprobes, as on kernels without fprobes: the same tests."""

import os
import subprocess
import sys

import pytest
from lab import shell

PROBED = {"tcp_v4_syn_recv_sock", "tcp_v6_syn_recv_sock", "inet_getname", "inet6_getname",
          "inet_sock_destruct"}
# All of them take two minutes: `make test-long` runs them.
FILES = ["test_toa_six.py"] + (["test_toa.py", "test_toa_more.py"] if os.environ.get("RVS_LONG") else [])


@pytest.fixture(name="options")
def _options(tmp_path):
    """What has modprobe load the receiver so. It is not loaded yet, nor when the test is over."""
    (tmp_path / "toa.conf").write_text("options toa kretprobes=1\n", encoding="ascii")
    shell.rmmod("toa")
    yield f"-C {tmp_path}"
    shell.rmmod("toa")


def kprobes():
    """The functions that have kprobes."""
    with open("/sys/kernel/debug/kprobes/list", encoding="ascii") as f:
        return {line.split()[2].split("+")[0] for line in f}


def test_the_parameter_chooses_kretprobes(monkeypatch, options):
    shell.modprobe("toa")
    assert not kprobes() & PROBED
    shell.rmmod("toa")
    monkeypatch.setenv("MODPROBE_OPTIONS", options)
    shell.modprobe("toa")
    assert PROBED <= kprobes()
    shell.rmmod("toa")
    assert not kprobes() & PROBED


@pytest.mark.seconds(500)
@pytest.mark.parametrize("file", FILES)
def test_the_same_as_with_fprobes(file, options):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RVS_")}
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", file],
        cwd=os.path.dirname(__file__), env={**env, "MODPROBE_OPTIONS": options},
        capture_output=True, text=True, check=False, timeout=480,
    )
    assert done.returncode == 0, done.stdout + done.stderr
