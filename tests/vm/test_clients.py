# SPDX-License-Identifier: GPL-2.0
"""What Docker Swarm, kube-router and kube-vip set up, in their order and by their messages: what clients get,
beside stock ip_vs. kube-proxy is in test_kube_rules.py, Octavia in test_octavia.py."""

import contextlib

import pytest
from lab import ipvs_messages as ipvs
from lab import moby, shell, topology
from lab.fixtures import lab_of_file
from lab.moby import dest, service
from lab.netns import wait_until
from lab.rows import SHORT, accept, answer, begun, beside_stock, connect, listen, met, read_by, seen
from lab.topology import CLIENT, DIRECTOR, REAL_SERVERS, VIP
from lab.tracked import entries, forget
from lab.transfer import UdpEcho

NODE = "198.51.100.1"
# On the network of the real servers: of a service of Swarm, and of kube-vip.
INNER = "192.168.56.50"
# Not on the director: kube-router brings its packets there.
EXTERNAL = "203.0.113.11"
NAMES = {CLIENT: "client", DIRECTOR: "director", NODE: "node", VIP: "vip", INNER: "inner",
         **{address: name for name, address in REAL_SERVERS.items()}}
KNOBS = {"conn_reuse_mode": 0, "expire_nodest_conn": 1, "expire_quiescent_template": 1}


def prepare(lab):
    shell.modprobe("nf_conntrack_netlink")
    shell.modprobe("ipip")
    lab.router.ip(f"route add {EXTERNAL}/32 via {DIRECTOR}")
    for name in ("rs1", "rs2"):
        host = lab.real[name]
        host.ip("link set tunl0 up", f"addr add {INNER}/32 dev lo", f"addr add {EXTERNAL}/32 dev lo")
        host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2, ipv4__conf__all__rp_filter=0,
                    ipv4__conf__tunl0__rp_filter=0)


lab = lab_of_file(real_servers=3, web=False, prepare=prepare)


def knobs(host, **more):
    """Settings, as files."""
    host.sysctl(**{f"ipv4__vs__{name}": value for name, value in {**KNOBS, **more}.items()})


@contextlib.contextmanager
def ruled(host, text):
    """Rules of a host, all that there are, while the block runs."""
    host.run("iptables-restore", "-w", stdin=text)
    forget(host)
    try:
        yield
    finally:
        empty = "".join(f"*{table}\nCOMMIT\n" for table in ("nat", "filter", "mangle"))
        host.run("iptables-restore", "-w", stdin=empty)


@contextlib.contextmanager
def addresses(host, *lines):
    """What `ip … add …` adds to a host, while the block runs."""
    host.ip(*lines)
    try:
        yield
    finally:
        host.ip(*(line.replace(" add ", " del ") for line in lines))


def who(lab, host, address, port, *listeners, timeout=10):
    """Which real server gets a connection of HOST, and as whose."""
    return seen(host, address, port, *listeners, timeout=timeout, names=NAMES)


# Docker Swarm: the router is the node, the director its sandbox "ingress", the LAN the network of that name,
# rs1 and rs2 have tasks and rs3 is a container that asks by the service's virtual address.
PUBLISHED, MARK = 8080, 256
NODE_RULES = f"""*nat
:INGRESS -
-A PREROUTING -m addrtype --dst-type LOCAL -j INGRESS
-A OUTPUT -m addrtype --dst-type LOCAL -j INGRESS
-A POSTROUTING -o lan -m addrtype --src-type LOCAL -j MASQUERADE
-A INGRESS -p tcp --dport {PUBLISHED} -j DNAT --to-destination {DIRECTOR}:{PUBLISHED}
-A INGRESS -p udp --dport {PUBLISHED} -j DNAT --to-destination {DIRECTOR}:{PUBLISHED}
-A INGRESS -j RETURN
COMMIT
"""
SANDBOX_RULES = f"""*mangle
-A PREROUTING -p tcp --dport {PUBLISHED} -j MARK --set-mark {MARK}
-A PREROUTING -p udp --dport {PUBLISHED} -j MARK --set-mark {MARK}
-A INPUT -d {INNER}/32 -j MARK --set-mark {MARK}
COMMIT
*nat
-A POSTROUTING -d 192.168.56.0/24 -m ipvs --ipvs -j SNAT --to-source {DIRECTOR}
COMMIT
"""
TASK_RULES = """*nat
-A PREROUTING -d {own} -p tcp --dport 8080 -j DNAT --to-destination {own}:80
-A PREROUTING -d {own} -p udp --dport 8080 -j DNAT --to-destination {own}:80
COMMIT
*filter
-A INPUT -d {own} -p tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
-A INPUT -d {own} -p udp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
-A INPUT -d {own} -p udp -j DROP
-A INPUT -d {own} -p tcp -j DROP
-A OUTPUT -s {own} -p tcp --sport 80 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -s {own} -p udp --sport 80 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A OUTPUT -s {own} -p udp -j DROP
-A OUTPUT -s {own} -p tcp -j DROP
COMMIT
"""


def ingress(lab):
    """The network "ingress": rows of a published port, and of the virtual address on that network."""
    sandbox, node, (one, two, _) = lab.director, lab.router, lab.real.values()
    knobs(sandbox)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(ruled(node, NODE_RULES))
        for host in (one, two):
            enter(ruled(host, TASK_RULES.format(own=lab.addresses[host.name])))
        which = service(mark=MARK)
        handle = enter(moby.Handle(sandbox))
        yield "is there before", handle.is_there(which)
        enter(addresses(sandbox, f"addr add {INNER}/32 dev eth0"))
        knobs(sandbox, conntrack=1)
        enter(ruled(sandbox, SANDBOX_RULES))
        yield "made", handle.do(ipvs.NEW_SERVICE, service(mark=MARK, scheduler="rr"))
        yield "made again", handle.do(ipvs.NEW_SERVICE, service(mark=MARK, scheduler="rr"))
        for host in (one, two):
            yield host.name, handle.do(ipvs.NEW_DEST, which, dest(lab.addresses[host.name]))
        yield "a dest again", handle.do(ipvs.NEW_DEST, which, dest(lab.addresses["rs1"]))
        yield "services", handle.services()
        listeners = [enter(listen(host, 80)) for host in (one, two)]
        yield from asked(lab, listeners)
        for host in (one, two):
            enter(contextlib.closing(UdpEcho(host, 80)))
        yield from asked_datagrams(lab)
        yield "dests", [found[:4] for found in handle.dests(which)]
        yield "counts", begun(sandbox, 14)
        yield "the rule for addresses", met(sandbox, "-m ipvs")
        yield "entries", {tuple(entry.ends[:2] + entry.ends[4:6]) for entry in entries(
            sandbox, 4, "udp", client=CLIENT, director=DIRECTOR, inner=INNER, **REAL_SERVERS)}
        yield from tasks_go(lab, handle, which, listeners)
        yield "removed", handle.do(ipvs.DEL_SERVICE, service(mark=MARK, scheduler="rr"))
        yield "services then", handle.services()
        yield "from outside then", who(lab, lab.client, NODE, PUBLISHED, *listeners)


def asked(lab, listeners):
    """Connections, two from each place: each task has its turn."""
    for name, host, address, port in (
            ("outside", lab.client, NODE, PUBLISHED), ("the node", lab.router, NODE, PUBLISHED),
            ("a container", lab.real["rs3"], INNER, 80)):
        yield f"from {name}", sorted(map(str, (who(lab, host, address, port, *listeners) for _ in range(2))))


def asked_datagrams(lab):
    """Datagrams, large ones too."""
    for name, host, address, port in (
            ("outside", lab.client, NODE, PUBLISHED), ("the node", lab.router, NODE, PUBLISHED),
            ("a container", lab.real["rs3"], INNER, 80)):
        yield f"datagrams from {name}", sorted(answer(host, address, port) for _ in range(2))
    yield "large datagrams", sorted(answer(lab.client, NODE, PUBLISHED, bytes(4000)) for _ in range(2))


def tasks_go(lab, handle, which, listeners):
    """A task is to go: its weight is 0, then it is removed."""
    one = lab.addresses["rs1"]
    with contextlib.ExitStack() as stack:
        held = {}
        for _ in listeners:
            client = stack.enter_context(connect(lab.client, NODE, PUBLISHED))
            index, accepted, _ = accept(listeners)
            held[index] = stack.enter_context(accepted), client
        yield "it is to go", handle.do(ipvs.SET_DEST, which, dest(one, weight=0))
        yield "what is there", [read_by(*held[index]) for index in (0, 1)]
        yield "new ones", {who(lab, lab.client, NODE, PUBLISHED, *listeners) for _ in range(3)}
        yield "taken out", handle.do(ipvs.DEL_DEST, which, dest(one))
        yield "taken out again", handle.do(ipvs.DEL_DEST, which, dest(one))
        yield "what is there then", [read_by(*held[index], timeout=1 if index == 0 else 10) for index in (0, 1)]
    yield "new ones then", {who(lab, lab.client, NODE, PUBLISHED, *listeners) for _ in range(3)}
    yield "the other", handle.do(ipvs.DEL_DEST, which, dest(lab.addresses["rs2"]))
    yield "none is left", who(lab, lab.client, NODE, PUBLISHED, *listeners)


def test_swarm_ingress(lab):
    found = beside_stock(lab.director, lambda: ingress(lab))
    assert found["made"] is None and found["rs1"] is None and found["made again"] == "EEXIST"
    for place in ("outside", "the node", "a container"):
        assert found[f"from {place}"] == ["(0, 'director')", "(1, 'director')"]
    assert found["datagrams from outside"] == [b"rs1 x", b"rs2 x"] and found["the rule for addresses"] == {True}


def returned(lab):
    """A network whose endpoints answer directly: marks come in INPUT, and nothing is tracked."""
    sandbox, (one, two, other) = lab.director, lab.real.values()
    knobs(sandbox, conntrack=0)
    which = service(mark=MARK + 1)
    rules = f"*mangle\n-A INPUT -d {INNER}/32 -j MARK --set-mark {MARK + 1}\nCOMMIT\n"
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        handle = enter(moby.Handle(sandbox))
        enter(addresses(sandbox, f"addr add {INNER}/32 dev eth0"))
        enter(ruled(sandbox, rules))
        yield "made", handle.do(ipvs.NEW_SERVICE, service(mark=MARK + 1, scheduler="rr"))
        for host in (one, two):
            yield host.name, handle.do(ipvs.NEW_DEST, which, dest(lab.addresses[host.name], method=moby.ROUTE))
        listeners = [enter(listen(host, 80)) for host in (one, two)]
        yield "from a container", sorted(map(str, (who(lab, other, INNER, 80, *listeners) for _ in range(4))))
        for host in (one, two):
            enter(contextlib.closing(UdpEcho(host, 80, INNER)))
        yield "datagrams", sorted(answer(other, INNER, 80) for _ in range(2))
        yield "large datagrams", sorted(answer(other, INNER, 80, bytes(4000)) for _ in range(2))
        yield "counts", begun(sandbox, 8)
        yield "dests", [found[:4] for found in handle.dests(which)]
        yield "removed", handle.do(ipvs.DEL_SERVICE, which)


def test_swarm_endpoint_mode_dsr(lab):
    found = beside_stock(lab.director, lambda: returned(lab))
    assert found["from a container"] == 2 * ["(0, 'rs3')"] + 2 * ["(1, 'rs3')"]
    assert found["datagrams"] == [b"rs1 x", b"rs2 x"]


# kube-router: the director is a node, the real servers are pods.
ROUTER_RULES = f"""*nat
:KUBE-ROUTER-HAIRPIN -
-A POSTROUTING -m ipvs --ipvs --vdir ORIGINAL --vmethod MASQ -m comment --comment "" -j SNAT --to-source {DIRECTOR} --random-fully
-I POSTROUTING -m ipvs --vdir ORIGINAL -j KUBE-ROUTER-HAIRPIN
-A KUBE-ROUTER-HAIRPIN -s {{rs1}}/32 -d {{rs1}}/32 -m ipvs --vaddr {VIP} --vport 5000 -j SNAT --to-source {VIP}
COMMIT
*filter
:KUBE-ROUTER-SERVICES -
-A INPUT -d {VIP} -j KUBE-ROUTER-SERVICES
-A KUBE-ROUTER-SERVICES -p icmp --icmp-type echo-request -j ACCEPT
-A KUBE-ROUTER-SERVICES -p tcp --dport 5000:5002 -j ACCEPT
-A KUBE-ROUTER-SERVICES -p udp --dport 5000 -j ACCEPT
-A KUBE-ROUTER-SERVICES -j DROP
COMMIT
*mangle
-A PREROUTING -d {EXTERNAL} -p tcp --dport 80 -j MARK --set-mark 0x1234
-A OUTPUT -d {EXTERNAL} -p tcp --dport 80 -j MARK --set-mark 0x1234
-A PREROUTING -d {EXTERNAL} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1420
COMMIT
"""
AFFINITY = {"flags": moby.PERSISTENT | moby.HASHED, "timeout": 10800, "netmask": 0xFFFFFFFF}


def routed(lab):
    """Services by NAT, one with affinity, one that returns directly by tunnels."""
    node, (one, two, _) = lab.director, lab.real.values()
    rs1, rs2 = lab.addresses["rs1"], lab.addresses["rs2"]
    knobs(node, conntrack=1)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        enter(ruled(node, ROUTER_RULES.format(rs1=rs1)))
        enter(addresses(node, "route add local default dev lo table 78", "rule add prio 32764 fwmark 0x1234 lookup 78"))
        # Programs of the node ask as the node.
        node.ip(f"route replace local {VIP} dev lo table local proto kernel scope host src {DIRECTOR}")
        stack.callback(node.ip, f"route replace local {VIP} dev lo table local proto kernel scope host src {VIP}")
        handle = enter(moby.Handle(node))
        tcp, stays, datagrams = (service(protocol=protocol, address=VIP, port=port) for protocol, port in (
            ("tcp", 5000), ("tcp", 5001), ("udp", 5000)))
        external = service(mark=0x1234)
        for made in (service(address=VIP, port=5000, scheduler="rr"),
                     service(address=VIP, port=5001, scheduler="rr", **AFFINITY),
                     service(address=VIP, port=5002, scheduler="mh", flags=moby.HASHED | 0x18),
                     service(protocol="udp", address=VIP, port=5000, scheduler="rr"),
                     service(mark=0x1234, scheduler="rr")):
            assert handle.do(ipvs.NEW_SERVICE, made) is None
        for which, address, port, method in (
                (tcp, rs1, 5000, moby.MASQ), (tcp, rs2, 5000, moby.MASQ), (stays, rs1, 5001, moby.MASQ),
                (stays, rs2, 5001, moby.MASQ), (datagrams, rs1, 5000, moby.MASQ), (external, rs1, 0, moby.TUNNEL)):
            assert handle.do(ipvs.NEW_DEST, which, dest(address, port, method=method)) is None
        yield "services", handle.services()
        listeners = [enter(listen(host, 5000)) for host in (one, two)]
        kept = [enter(listen(host, 5001)) for host in (one, two)]
        returns = enter(listen(one, 80))
        enter(contextlib.closing(UdpEcho(one, 5000, rs1)))
        yield "from outside", [who(lab, lab.client, VIP, 5000, *listeners) for _ in range(2)]
        yield "from the node", sorted(map(str, (who(lab, node, VIP, 5000, *listeners) for _ in range(2))))
        # Pods that ask and are asked: themselves, and each other.
        yield "from a pod", sorted(map(str, (who(lab, one, VIP, 5000, *listeners) for _ in range(2))))
        yield "datagrams", [answer(lab.client, VIP, 5000), answer(node, VIP, 5000)]
        yield "affinity", len({who(lab, lab.client, VIP, 5001, *kept)[0] for _ in range(3)})
        yield "direct return", who(lab, lab.client, EXTERNAL, 80, returns)
        yield "a port without a service", who(lab, lab.client, VIP, 5009, timeout=SHORT)
        yield "an endpoint is none", who(lab, lab.client, VIP, 5002)
        yield "a ping", lab.client.run("ping", "-c1", "-W2", VIP, check=False).returncode
        yield "rules of the match", [met(node, "--vdir ORIGINAL --vmethod MASQ"), met(node, "--vaddr")]
        yield "counts", begun(node, 12)
        with contextlib.closing(connect(lab.client, VIP, 5000)):
            # Those that have ended are counted out when their last packets come.
            with contextlib.suppress(AssertionError):
                wait_until(lambda: _active(handle, tcp) == 1, "one is active", 10)
            yield "active ones", _active(handle, tcp)
        yield "all are taken out", [handle.do(ipvs.DEL_SERVICE, which) for which in (
            tcp, stays, datagrams, external, service(address=VIP, port=5002))]


def _active(handle, which):
    """Graceful termination looks whether a dest has none any more."""
    return sum(int(found[4][:2], 16) for found in handle.dests(which))


def test_kube_router(lab):
    lab.prepare_nat()
    try:
        found = beside_stock(lab.director, lambda: routed(lab))
    finally:
        for host in lab.real.values():
            host.ip(f"route replace default via {topology.ROUTER}")
    assert sorted(found["from outside"]) == [(0, "director"), (1, "director")]
    assert found["from the node"] == ["(0, 'director')", "(1, 'director')"]
    assert found["from a pod"] == ["(0, 'vip')", "(1, 'director')"]
    assert found["affinity"] == 1 and found["direct return"] == (0, "client") and found["a ping"] == 0


# kube-vip: the director holds the address of the control plane, on the network of all nodes.
VIP_RULES = {
    "of the match": f"""*nat
-A POSTROUTING -m ipvs --vaddr {INNER}/32 --vport 6443 -j MASQUERADE
COMMIT
""",
    "by a mark": f"""*mangle
-A PREROUTING -d {INNER}/32 -p tcp --dport 6443 -j MARK --set-mark 0x1119
COMMIT
*nat
-A POSTROUTING -m mark --mark 0x1119 -j MASQUERADE
COMMIT
""",
}


def plane(lab, rules, method):
    """The control plane's service, which is on two nodes: this one, and another."""
    leader, other = lab.director, lab.real["rs1"]
    asks = lab.real["rs3"]
    # What it sends itself gets no mark.
    leaders = SHORT if method == moby.MASQ and "ipvs" not in rules else 10
    knobs(leader, conntrack=1)
    which = ipvs.service({1: ipvs.u16(2), 2: ipvs.u16(6), 3: moby.packed(INNER) + bytes(12), 4: ipvs.be16(6443)})
    made = ipvs.service({1: ipvs.u16(2), 2: ipvs.u16(6), 3: moby.packed(INNER) + bytes(12), 4: ipvs.be16(6443),
                         6: b"rr\0", 7: ipvs.u32(0) + ipvs.u32(-1), 8: ipvs.u32(0), 9: ipvs.u32(-1)})

    def backend(address):
        return ipvs.dest({1: moby.packed(address) + bytes(12), 2: ipvs.be16(6443), 3: ipvs.u32(method),
                          4: ipvs.u32(1), 5: ipvs.u32(0), 6: ipvs.u32(0), 11: ipvs.u16(2)})

    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        handle = enter(moby.Handle(leader))
        yield "backends of none", handle.dests(which)
        enter(addresses(leader, f"addr add {INNER}/32 dev eth0"))
        enter(ruled(leader, rules))
        yield "made", handle.do(ipvs.NEW_SERVICE, made)
        yield "left by an earlier leader", handle.do(ipvs.NEW_SERVICE, made)
        for address in (DIRECTOR, lab.addresses["rs1"]):
            yield address, handle.do(ipvs.NEW_DEST, which, backend(address))
        yield "again", handle.do(ipvs.NEW_DEST, which, backend(DIRECTOR))
        listeners = [enter(listen(host, 6443)) for host in (leader, other)]
        yield "from a node", [who(lab, asks, INNER, 6443, *listeners) for _ in range(4)]
        yield "from the leader", [
            who(lab, leader, INNER, 6443, *listeners, timeout=leaders) for _ in range(2)]
        yield "from outside", [who(lab, lab.client, INNER, 6443, *listeners) for _ in range(2)]
        yield "counts", begun(leader, 8)
        yield "backends", [found[:4] for found in handle.dests(which)]
        yield "one is removed", handle.do(ipvs.DEL_DEST, which, backend(lab.addresses["rs1"]))
        yield "removed", handle.do(ipvs.DEL_SERVICE, which)


@pytest.mark.parametrize(("rules", "method"), [
    ("of the match", moby.MASQ), ("by a mark", moby.MASQ), ("by a mark", moby.LOCAL)])
def test_kube_vip(lab, rules, method):
    found = beside_stock(lab.director, lambda: plane(lab, VIP_RULES[rules], method))
    assert found["made"] is None and found["left by an earlier leader"] == "EEXIST"
    if method == moby.MASQ:
        assert sorted(map(str, found["from a node"][:2])) == ["(0, 'rs3')", "(1, 'director')"]
    else:
        assert found["from a node"] == 4 * [(0, "rs3")]
