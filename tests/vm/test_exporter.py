# SPDX-License-Identifier: GPL-2.0
"""rvsadm exporter: what Prometheus's own tools say of it, clients that behave badly, namespaces that go.
And node_exporter, which reads the files of the IPVS dialect."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
import urllib.request

import pytest
from lab import shell
from lab.compat import TCP, UDP, same
from lab.fixtures import lone_of_file
from lab.lone import VIP, send
from lab.netns import Host, wait_until

ID = f"udp/{VIP}:53"
LINES = f"""\
-A -u {VIP}:53 -s rr
-a -u {VIP}:53 -r 10.1.1.1:53 -g -w 1 -x 100
-a -u {VIP}:53 -r 10.1.1.2:53 -m -w 2
-A -t {VIP}:80 -s wlc -p 300
"""
PORT = 9757
OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
# As the unit file has it: nobody, with one capability.
UNPRIVILEGED = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps",
                "-all,+net_admin", "--ambient-caps", "+net_admin", "--bounding-set", "-all,+net_admin",
                "--no-new-privs")
EXAMPLES = os.path.join(os.environ.get("RVS_REPO", "../.."), "examples", "prometheus")


_alone = lone_of_file("alone", "scraped")


@pytest.fixture(name="served")
def _served(alone):
    """A director with services and eight flows."""
    shell.modprobe("rvs")
    alone.adm("service", "flush")
    alone.adm("restore", stdin=LINES)
    send(alone, 8)
    return alone


@contextlib.contextmanager
def exporter(host, *args, by=()):
    """Runs it until it listens, and to the end."""
    child = host.start(*by, "rvsadm", "exporter", *args, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        while not said or "metrics are at" not in said[-1]:
            line = child.stderr.readline()
            assert line, f"it has ended: {said}"
            said.append(line)
        child.said = "".join(said)
        yield child
    finally:
        host.stop(child)
        child.stderr.close()


def ask(host, path="/metrics", accept=""):
    """What curl gets: status, type, text."""
    done = host.run("curl", "-sS", "-H", f"Accept: {accept}", "-w", "\n%{http_code} %{content_type}",
                    f"http://127.0.0.1:{PORT}{path}")
    text, _, last = done.stdout.rpartition("\n")
    status, _, kind = last.partition(" ")
    return int(status), kind, text


def values(text):
    """Samples by series."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_is_told_and_what_promtool_says(served):
    with exporter(served, by=UNPRIVILEGED):
        status, kind, text = ask(served)
        assert status == 200 and kind.startswith("text/plain; version=0.0.4")
        told = values(text)
        of = f'netns="",service="{ID}"'
        assert told['rvs_up{netns=""}'] == 1
        assert told['rvs_connections{netns=""}'] == 8
        assert told[f'rvs_service_connections_scheduled_total{{{of}}}'] == 8
        assert told[f'rvs_dest_connections{{{of},dest="10.1.1.1:53",state="inactive"}}'] == 4
        assert told[f'rvs_dest_bytes_total{{{of},dest="10.1.1.1:53",direction="in"}}'] == 4 * 128
        assert told[f'rvs_dest_weight{{{of},dest="10.1.1.2:53"}}'] == 2
        assert told[f'rvs_dest_info{{{of},dest="10.1.1.2:53",mode="nat"}}'] == 1
        assert told['rvs_dropped_packets_total{netns="",reason="no-dest"}'] == 0
        assert told[f'rvs_build_info{{version="{version()}"}}'] == 1
        counters = served.json("stats", "show")["counters"]
        reasons = [name for name in told if name.startswith("rvs_dropped_packets_total")]
        assert len(reasons) == len([name for name in counters if name.startswith("drop_")])
        shell.run("promtool", "check", "metrics", stdin=text)
        _, kind, text = ask(served, accept=OPEN)
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith("# EOF\n") and "# UNIT rvs_dest_bytes bytes\n" in text
        # The module goes, and comes again.
        served.adm("unload")
        told = values(ask(served)[2])
        assert told['rvs_up{netns=""}'] == 0 and 'rvs_connections{netns=""}' not in told
        shell.modprobe("rvs")
        assert values(ask(served)[2])['rvs_connections{netns=""}'] == 0


def version():
    return shell.run("rvsadm", "--version").stdout.split()[1]


def test_prometheus_takes_it(served, tmp_path):
    config = tmp_path / "prometheus.yml"
    with open(os.path.join(EXAMPLES, "prometheus.yml"), encoding="ascii") as f:
        text = f.read().replace("interval: 15s", "interval: 1s")
    config.write_text(text.replace("rvs-alerts.yml", os.path.join(EXAMPLES, "rvs-alerts.yml")))
    with exporter(served):
        child = served.start("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
                             "--web.listen-address=127.0.0.1:9090", "--log.level=warn")

        def answer(query):
            try:
                with served.inside():
                    url = f"http://127.0.0.1:9090/api/v1/query?query={query}"
                    with urllib.request.urlopen(url, timeout=10) as got:
                        return json.load(got)["data"]["result"]
            except OSError:
                return []

        def value(query):
            found = answer(query)
            return float(found[0]["value"][1]) if found else None

        # As OpenMetrics; what it cannot read makes `up` 0.
        wait_until(lambda: value('up{job="rvs"}') == 1, "Prometheus has scraped it", 120, 0.5)
        assert value("rvs_connections") == 8
        assert value("sum(rvs_dest_connections)") == 8
        # The TCP service has no dest.
        wait_until(lambda: answer('ALERTS{alertname="RvsServiceWithoutDest"}'), "an alert", 30, 0.5)
        served.stop(child)


def raw(host, data=b"", wait=True):
    """A connection, which has sent DATA; all that came back."""
    with host.inside():
        s = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    s.sendall(data)
    if not wait:
        return s
    with s:
        answer = b""
        # Who is turned away may be so before all it said has come.
        with contextlib.suppress(ConnectionResetError):
            while chunk := s.recv(65536):
                answer += chunk
    return answer


BAD = {
    "a wrong path": (b"GET /metric HTTP/1.1\r\n\r\n", b" 404 "),
    "a wrong method": (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b" 405 "),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b" 400 "),
    "a long head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000, b" 431 "),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n", b" 431 "),
}


def test_clients_that_behave_badly(served):
    with exporter(served, "--max-clients", "3") as child:
        for data, status in BAD.values():
            assert status in raw(served, data).splitlines()[0]
        # Three that say nothing take all places; another one is told so at once.
        slow = [raw(served, b"GET /met", wait=False) for _ in range(3)]
        began = time.monotonic()
        turned_away = wait_until(lambda: (a := try_raw(served)) and b" 503 " in a, "all are taken")
        assert turned_away and time.monotonic() - began < 4.5
        assert threads(child) <= 4
        # They lose theirs after five seconds.
        wait_until(lambda: b" 200 " in (try_raw(served) or b""), "places are free", 40, 0.5)
        assert all(b" 408 " in s.recv(65536) for s in slow)
        for s in slow:
            s.close()
        # Many at a time: each gets an answer, of whatever kind.
        crowd = [raw(served, b"GET /metrics HTTP/1.1\r\n\r\n", wait=False) for _ in range(50)]
        codes = set()
        for s in crowd:
            with contextlib.suppress(ConnectionResetError):
                codes.add(s.recv(65536)[9:12])
            s.close()
        assert codes <= {b"200", b"503"} and b"200" in codes
        assert child.poll() is None
        told = wait_until(lambda: values_if(served), "it answers")
        assert told["rvs_exporter_refused_clients_total"] >= 1


def try_raw(host):
    try:
        return raw(host, b"GET /metrics HTTP/1.1\r\n\r\n")
    except OSError:
        return None


def values_if(host):
    status, _, text = ask(host)
    return values(text) if status == 200 else None


def threads(child):
    return len(os.listdir(f"/proc/{child.pid}/task"))


def test_namespaces_come_and_go(served):
    other = Host("other")
    other.run("rvsadm", "service", "add", f"tcp/{VIP}:443")
    outside = Host("outside")
    try:
        with exporter(outside, "--all-netns"):
            told = values(ask(outside)[2])
            assert told['rvs_up{netns="scraped"}'] == told['rvs_up{netns="other"}'] == 1
            # The own one goes by its name.
            assert told['rvs_up{netns="outside"}'] == 1 and 'rvs_up{netns=""}' not in told
            assert told['rvs_connections{netns="scraped"}'] == 8
            assert f'rvs_service_dests{{netns="other",service="tcp/{VIP}:443"}}' in told
            before = users()
            other.close()
            other = None
            # Nothing of it is held: its services go with it.
            wait_until(lambda: users() == before - 1, "the namespace is gone", 30)
            assert 'rvs_up{netns="other"}' not in values(ask(outside)[2])
        with exporter(outside, "--netns", "scraped", "--netns", "gone", "--own-netns") as child:
            assert "cannot read network namespace gone: there is no such namespace" in child.said
            told = values(ask(outside)[2])
            assert told['rvs_up{netns="gone"}'] == 0
            assert told['rvs_up{netns="scraped"}'] == told['rvs_up{netns=""}'] == 1
        with exporter(outside, "--netns", "scraped", by=UNPRIVILEGED) as child:
            assert "takes CAP_SYS_ADMIN" in child.said
            assert values(ask(outside)[2])['rvs_up{netns="scraped"}'] == 0
    finally:
        for host in filter(None, (other, outside)):
            host.close()


def users():
    """How many namespaces hold the module."""
    with open("/proc/modules", encoding="ascii") as f:
        return next(int(line.split()[2]) for line in f if line.startswith("rvs "))


def test_an_address_that_cannot_be_had(served):
    for address, reason in (("192.0.2.1:9757", "Cannot assign"), ("127.0.0.1:80", "in use")):
        with served.inside(), socket.socket() as taken:
            taken.bind(("127.0.0.1", 80))
            taken.listen()
            done = served.run("rvsadm", "exporter", "--listen", address, check=False)
        assert done.returncode == 1
        assert f"cannot listen on {address}" in done.stderr and reason in done.stderr
        assert "hint: " in done.stderr


def node_exporter(host):
    """What node_exporter's collector `ipvs` makes of a configuration and some traffic."""
    host.ip(f"addr replace {VIP}/32 dev lo", "link set lo up")
    host.run("ipvsadm", "-R", stdin=f"""\
-A {UDP} -s rr
-a {UDP} -r 10.1.1.1:53 -g -w 1
-a {UDP} -r 10.1.1.2:53 -g -w 3
-A {TCP} -s wlc
-a {TCP} -r 10.1.1.1:80 -g -w 0
-A -f 7 -s rr
-a -f 7 -r 10.1.1.3:0 -g -w 5
""")
    send(host, 8)
    child = host.start("prometheus-node-exporter", "--collector.disable-defaults", "--collector.ipvs",
                       "--web.listen-address=127.0.0.1:9100", "--log.level=error")
    try:
        def metrics():
            try:
                with host.inside():
                    with urllib.request.urlopen("http://127.0.0.1:9100/metrics", timeout=20) as got:
                        text = got.read().decode()
                # ip_vs adds its totals up every two seconds.
                return text if "node_ipvs_connections_total 8\n" in text else None
            except OSError:
                return None

        text = wait_until(metrics, "node_exporter tells all flows", 60, 0.2)
    finally:
        host.stop(child)
    return sorted(re.findall(r"^node_ipvs_.*|^node_scrape_collector_success.*", text, re.M))


def test_node_exporter_reads_the_dialect(host):
    told = same(host, node_exporter)
    assert 'node_scrape_collector_success{collector="ipvs"} 1' in told
    assert "node_ipvs_connections_total 8" in told
    backends = [line for line in told if line.startswith("node_ipvs_backend_weight")]
    assert len(backends) == 4
