# SPDX-License-Identifier: GPL-2.0
"""Cases in which pktgen sends and every packet has to arrive."""

import dataclasses
import time

from path import CLIENT, PORT, SINK, VIP, Path
from pktgen import (
    BURST,
    FIRST_PORT,
    MANY,
    Clients,
    Pktgen,
    between,
    new_clients,
    to_clients,
    to_service,
)
from setups import DIRECTOR_OUT, LOCAL_PORT

REPEATS = 3
WARM_UP = 3_200
PACKETS = 16_000
FIRST_PACKETS = 8_000
# pktgen's own header makes an IPv6 packet longer than 64 bytes.
SMALLEST_V6 = 82


def whole_bursts(count):
    """COUNT or a few more: pktgen sends whole bursts."""
    return -(-count // BURST) * BURST


@dataclasses.dataclass(frozen=True)
class Runs:
    """What is sent once the flows are known: so many PACKETS each time, of the flows in turn or
    AT_RANDOM, after a PAUSE of seconds."""

    packets: int = PACKETS
    at_random: bool = False
    pause: float = 0

    def of(self, generator, clients, words):
        """The figure of each run; WORDS() says what CLIENTS' packets are."""
        time.sleep(self.pause)
        told = words(dataclasses.replace(clients, at_random=self.at_random))
        return [generator.send(self.packets, told) for _ in range(REPEATS)]


def established(setup, flows=1, size=64, destination=VIP, runs=Runs(), answers=None):
    """Packets of clients in flows that the director knows, and of which it has seen answers where
    ANSWERS(clients) says where these go."""

    def measure():
        with Path() as path:
            setup(path)
            generator = Pktgen(path.forward, size)

            def words(clients):
                return to_service(clients, destination)

            generator.send(whole_bursts(max(WARM_UP, flows)), words(MANY[flows]))
            if answers:
                Pktgen(path.backward, size).send(WARM_UP, answers(MANY[flows]))
                generator.send(WARM_UP, words(MANY[flows]))
            return runs.of(generator, MANY[flows], words)

    return measure


def established_v6(setup, to_sink=False):
    """Packets of one IPv6 flow; TO_SINK are those that nobody balances."""

    def measure():
        with Path(version=6) as path:
            setup(path)
            generator = Pktgen(path.forward, SMALLEST_V6)
            to = path.sink_address if to_sink else path.vip
            words = between(path.client_address, to, FIRST_PORT, PORT)
            generator.send(WARM_UP, words)
            return [generator.send(PACKETS, words) for _ in range(REPEATS)]

    return measure


def replies_v6(setup):
    """What the dest answers to one IPv6 flow."""

    def measure():
        with Path(version=6) as path:
            setup(path)
            words = between(path.client_address, path.vip, FIRST_PORT, PORT)
            Pktgen(path.forward, SMALLEST_V6).send(WARM_UP, words)
            generator = Pktgen(path.backward, SMALLEST_V6)
            words = between(path.sink_address, path.client_address, PORT, FIRST_PORT)
            generator.send(WARM_UP, words)
            return [generator.send(PACKETS, words) for _ in range(REPEATS)]

    return measure


def replies(setup, flows=1, size=64, to=to_clients, runs=Runs()):
    """What the dest answers to flows that the director knows. TO(clients) says where to, if not
    to the clients."""

    def measure():
        with Path() as path:
            setup(path)
            clients = MANY[flows]
            Pktgen(path.forward, size).send(whole_bursts(max(WARM_UP, flows)), to_service(clients))
            generator = Pktgen(path.backward, size)
            generator.send(WARM_UP, to(clients))
            return runs.of(generator, clients, to)

    return measure


def to_local_address(_clients):
    """Replies to a FullNAT director that uses one port."""
    words = to_clients(Clients(DIRECTOR_OUT, 1, 1))
    return [*words, f"udp_dst_min {LOCAL_PORT}", f"udp_dst_max {LOCAL_PORT}"]


def to_director(_clients):
    """Replies to a director that masquerades one flow, which keeps its port."""
    return to_clients(Clients(DIRECTOR_OUT, 1, 1))


def floor_of_replies(setup, size=64):
    """Replies through a director that knows no flows."""

    def measure():
        with Path() as path:
            setup(path)
            generator = Pktgen(path.backward, size)
            words = to_clients(Clients(CLIENT, 1, 1), SINK)
            generator.send(WARM_UP, words)
            return [generator.send(PACKETS, words) for _ in range(REPEATS)]

    return measure


def first_packets(setup, dests=1):
    """Packets each of which is the first of its flow."""

    def measure():
        with Path() as path:
            setup(path)
            generator = Pktgen(path.forward)
            # Every dest has to have been picked once: the way to it is looked up then.
            count = whole_bursts(max(WARM_UP, dests))
            generator.send(count, to_service(new_clients(REPEATS, count)))
            return [
                generator.send(FIRST_PACKETS, to_service(new_clients(run, FIRST_PACKETS)))
                for run in range(REPEATS)
            ]

    return measure
