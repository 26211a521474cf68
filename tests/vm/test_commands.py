# SPDX-License-Identifier: GPL-2.0
"""Random commands with traffic in between, against a plain model of what they do."""

import dataclasses
import random

import pytest
from lab.director import end
from lab.fixtures import lab_of_file
from lab.netns import wait_until
from lab.packets import udp
from lab.raw import _director_rvs, _rvs, _wire  # noqa: F401
from lab.topology import CLIENT, VIP

COMMANDS = 60
PORTS = (53, 54)
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "sh", "mh", "twos")


_lab = lab_of_file(web=False)


@dataclasses.dataclass
class Dest:
    """What a dest is set to."""

    weight: int
    upper: int = 0
    draining: bool = False


class Model:
    """Services, dests and who has which flow."""

    def __init__(self, names):
        self.names = names
        self.services = {}
        self.flows = {}
        # Of removed dests, which find them again when they come back before their next packet.
        self.parked = {}
        self.next_flow = 7000

    def usable(self, port):
        """Who may get a new flow, for certain: those with thresholds may be full."""
        dests = self.services[port].items()
        return {name for name, dest in dests if dest.weight > 0}

    def new_flow(self, port):
        """The source port of a flow that is not there."""
        self.next_flow += 1
        return self.next_flow, port

    def of(self, port):
        """Flows of a service by dest, without those whose dest was removed."""
        return {flow: name for flow, name in self.flows.items() if flow[1] == port}


class Play:
    """A run of commands on the director and on the model."""

    def __init__(self, rvs, wire, lab, seed):
        self.rvs, self.wire, self.lab = rvs, wire, lab
        self.random = random.Random(seed)
        self.model = Model(list(lab.addresses))
        self.said = []

    def adm(self, *args, fails=False):
        """A command that has to work, or has to be refused."""
        self.said.append(" ".join(map(str, args)) + (" (refused)" if fails else ""))
        done = self.rvs.adm(*args, check=False)
        assert (done.returncode != 0) == fails, done.stderr

    def service(self, port):
        """Its id."""
        return f"udp/{VIP}:{port}"

    def dest(self, name, port):
        """Its id."""
        return end(self.lab.addresses[name], port)

    def any_service(self):
        """One that is there or not, as a port."""
        port = self.random.choice(PORTS)
        return port, self.model.services.get(port)

    def step_service_add(self):
        port, dests = self.any_service()
        self.adm("service", "add", self.service(port), "-s", self.random.choice(SCHEDULERS),
                 fails=dests is not None)
        self.model.services.setdefault(port, {})

    def step_service_set(self):
        port, dests = self.any_service()
        self.adm("service", "set", self.service(port), "-s", self.random.choice(SCHEDULERS),
                 fails=dests is None)

    def step_service_del(self):
        port, dests = self.any_service()
        self.adm("service", "del", self.service(port), fails=dests is None)
        self.model.services.pop(port, None)
        self.park(lambda flow, name: flow[1] == port)

    def step_dest_add(self):
        port, dests = self.any_service()
        name, weight = self.random.choice(self.model.names), self.random.choice((0, 1, 1, 3, 100))
        there = dests is not None and name in dests
        self.adm("dest", "add", self.service(port), self.dest(name, port), "-w", weight,
                 fails=dests is None or there)
        if dests is not None and not there:
            dests[name] = Dest(weight)
            at = (port, name)
            back = [flow for flow, where in self.model.parked.items() if (flow[1], where) == at]
            self.model.flows.update((flow, self.model.parked.pop(flow)) for flow in back)

    def step_dest_set(self):
        port, dests = self.any_service()
        name, weight = self.random.choice(self.model.names), self.random.choice((0, 1, 5))
        upper = self.random.choice((0, 0, 3))
        known = dests is not None and name in dests
        self.adm("dest", "set", self.service(port), self.dest(name, port), "-w", weight,
                 "-x", upper, fails=not known)
        if known:
            draining = dests[name].draining and weight == 0
            dests[name] = Dest(weight, upper, draining)

    def step_dest_del(self):
        port, dests = self.any_service()
        name = self.random.choice(self.model.names)
        known = dests is not None and name in dests
        self.adm("dest", "del", self.service(port), self.dest(name, port), fails=not known)
        if known:
            del dests[name]
            self.park(lambda flow, owner: flow[1] == port and owner == name)

    def step_drain(self):
        port, dests = self.any_service()
        name = self.random.choice(self.model.names)
        known = dests is not None and name in dests
        self.adm("dest", "drain", self.service(port), self.dest(name, port),
                 "--deadline", 1000, fails=not known)
        if known:
            dests[name].weight, dests[name].draining = 0, True

    def step_traffic(self):
        port, dests = self.any_service()
        known = sorted({*self.model.of(port), *(f for f in self.model.parked if f[1] == port)})
        again = self.random.sample(known, min(3, len(known)))
        for flow in [*again, *(self.model.new_flow(port) for _ in range(4))]:
            taken = self.ask(flow)
            self.model.parked.pop(flow, None)
            if dests is None:
                assert taken is None
                continue
            owner, usable = self.model.flows.get(flow), self.model.usable(port)
            if owner:
                assert taken == owner, f"{flow} has left {owner} for {taken}"
            elif taken is None:
                full = all(dests[name].upper for name in usable)
                assert not usable or full or self.may_refuse(port), f"{flow}: {usable} took nothing"
            else:
                assert taken in usable, f"{flow} at {taken}, of {usable}"
                self.model.flows[flow] = taken

    def may_refuse(self, port):
        """Schedulers that leave a flow alone although a dest has weight."""
        shown = self.rvs.json("service", "show", self.service(port))["service"]
        return shown["scheduler"] in ("sh", "mh", "ovf")

    def ask(self, flow):
        """Who gets a datagram; nobody is None."""
        self.said.append(f"flow {flow}")
        self.wire.clear()
        self.wire.send(udp((CLIENT, flow[0]), (VIP, flow[1]), b"query"))
        self.wire.settle()
        taken = self.wire.took()
        assert len(taken) <= 1
        return taken[0] if taken else None

    def park(self, which):
        """UDP flows of a removed dest go elsewhere with their next packet."""
        for flow, name in list(self.model.flows.items()):
            if which(flow, name):
                self.model.parked[flow] = self.model.flows.pop(flow)

    def check(self):
        """What the director says is what the model says."""
        listed = {each["id"]: each for each in self.rvs.json("service", "list")["services"]}
        assert set(listed) == {self.service(port) for port in self.model.services}
        for port, dests in self.model.services.items():
            found = self.rvs.json("dest", "list", self.service(port))["dests"]
            by_name = {f"rs{each['address'][-1]}": each for each in found}
            assert set(by_name) == set(dests)
            flows = list(self.model.of(port).values())
            for name, dest in dests.items():
                each = by_name[name]
                assert (each["weight"], each["upper"]) == (dest.weight, dest.upper)
                assert each["active"] + each["inactive"] == flows.count(name), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_commands_do_what_a_model_says(lab, rvs, wire, seed):
    play = Play(rvs, wire, lab, seed)
    steps = [getattr(play, name) for name in sorted(dir(play)) if name.startswith("step_")]
    weights = [4 if step.__name__ in ("step_traffic", "step_dest_add") else 1 for step in steps]
    try:
        for number in range(COMMANDS):
            play.random.choices(steps, weights)[0]()
            if number % 10 == 9:
                play.check()
        rvs.flush()
        play.rvs.adm("conn", "flush")
        wait_until(lambda: rvs.counters()["conns_now"] == 0, "all connections have ended")
    except AssertionError:
        print("\n".join(play.said))
        raise
