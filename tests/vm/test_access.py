# SPDX-License-Identifier: GPL-2.0
"""Who may use the family, and that a namespace has its own of everything."""

import json
import os
import traceback

import pytest
from lab.genl import Client, Refused, spec
from lab.lone import DEST, SERVICE, LoneDirector, batch, host_fixture, nl_fixture, state, step
from lab.netns import Host

__all__ = ["host_fixture", "nl_fixture"]

NOBODY = 65534


def as_nobody(host, work, new_namespaces=False):
    """What WORK gives when it runs in HOST without any right, in a process of its own."""
    spec()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(host.path, encoding="ascii") as namespace:
                os.setns(namespace.fileno(), os.CLONE_NEWNET)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            if new_namespaces:
                os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
            answer = work()
        except BaseException:  # pylint: disable=broad-exception-caught
            answer = traceback.format_exc()
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    return answer


def outcome(request, *args, **kwargs):
    """`fine`, or the name of the error."""
    try:
        request(*args, **kwargs)
    except Refused as refused:
        return refused.errno
    except PermissionError:
        return "EPERM"
    return "fine"


def everything():
    """The outcome of every operation, without attributes, and of listening."""
    client = Client(privileged=False)
    found = {name: outcome(client.do, name) for name in spec().dos}
    found.update({f"dump {name}": outcome(client.dump, name) for name in spec().dumps})
    found["listen"] = outcome(client.listen)
    return found


def test_without_rights_every_operation_is_refused(nl, host):
    batch(nl, [step("service-add", scheduler="rr")])
    before = state(nl)
    found = as_nobody(host, everything)
    assert len(found) == len(spec().dos) + len(spec().dumps) + 1
    assert set(found.values()) == {"EPERM"}, found
    assert state(nl) == before


def test_rvsadm_without_rights_says_what_it_needs(nl, host):
    del nl
    done = host.run(
        "setpriv", f"--reuid={NOBODY}", "--clear-groups", "rvsadm", "service", "list", check=False
    )
    assert done.returncode == 1
    assert "rvsadm: cannot list services: Operation not permitted" in done.stderr
    assert "CAP_NET_ADMIN" in done.stderr


def own_namespace():
    client, listener = Client(privileged=False), Client(privileged=False)
    listener.listen()
    client.do("service-add", service=dict(SERVICE, scheduler="rr"))
    return [len(client.dump("service-get")), [name for name, _ in listener.events()]]


def test_root_of_an_own_namespace_may_do_everything_there(nl, host):
    batch(nl, [step("service-add", dict(SERVICE, port=81), scheduler="rr")])
    before = state(nl)
    assert as_nobody(host, own_namespace, new_namespaces=True) == [1, ["service-add-ntf"]]
    assert state(nl) == before


@pytest.fixture(name="other")
def _other():
    """A second director."""
    host = LoneDirector("other")
    with host.client() as client:
        yield client
    host.close()


def filled(client, weight):
    batch(client, [
        step("service-add", scheduler="rr"), step("dest-add", to=DEST, mode=1, weight=weight),
    ])


def test_one_service_in_two_namespaces(nl, other):
    filled(nl, 1)
    filled(other, 2)
    for client, weight in ((nl, 1), (other, 2)):
        assert client.one("dest-get", service=SERVICE, dest=DEST)["dest"]["weight"] == weight


def test_flush_is_of_one_namespace(nl, other):
    filled(nl, 1)
    filled(other, 1)
    other.do("service-flush")
    assert other.dump("service-get") == []
    assert len(nl.dump("service-get")) == 1


def test_settings_are_of_one_namespace(nl, other):
    default = nl.one("config-get")["config"]
    other.do("config-set", config={"udp-timeout": 17})
    assert other.one("config-get")["config"]["udp-timeout"] == 17
    assert nl.one("config-get")["config"] == default


def test_events_are_of_one_namespace(nl, host, other):
    with host.client() as listener:
        listener.listen()
        filled(other, 1)
        assert listener.events() == []
        filled(nl, 1)
        assert [name for name, _ in listener.events()] == ["service-add-ntf", "dest-add-ntf"]


def test_routes_are_of_one_namespace(nl):
    bare = Host("bare")
    with bare.inside():
        client = Client()
    filled(nl, 1)
    with client, pytest.raises(Refused) as refused:
        filled(client, 1)
    assert refused.value == Refused("ENETUNREACH", "change 2: no route to 10.1.1.1",
                                    "change[1].dest.address")
    bare.close()


def test_namespace_goes_with_its_services(nl):
    del nl
    for _ in range(3):
        host = LoneDirector("passing")
        with host.client() as client:
            filled(client, 1)
        host.close()
