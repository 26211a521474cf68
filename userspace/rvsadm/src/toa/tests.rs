// SPDX-License-Identifier: GPL-2.0

//! Tests of `rvsadm toa`.

use super::*;
use crate::fake::FakeKernel;
use crate::values::network;
use crate::watch::Watch;

/// Keeps what it was asked, and has one answer.
struct Fake(Vec<Request>, Reply);

impl Transport for Fake {
    fn call(&mut self, request: &Request) -> Result<Reply, Error> {
        self.0.push(*request);
        Ok(self.1.clone())
    }
}

fn answer() -> Reply {
    Reply {
        trusted: vec![network("192.0.2.0/24").unwrap(), network("::1").unwrap()],
        kinds: vec![200, 254],
        udp: true,
        inherited: true,
        require: false,
        counters: vec![("sockets-now", 3)],
        client: Some("198.51.100.7:40000".parse().unwrap()),
    }
}

fn printed(command: Command, json: bool) -> (Vec<Request>, String) {
    let mut fake = Fake(Vec::new(), answer());
    let mut out = Vec::new();
    let mut context = Context {
        kernel: &mut FakeKernel::default(),
        out: &mut out,
        json,
    };
    run_with(command, &mut fake, &mut context).unwrap();
    (fake.0, String::from_utf8(out).unwrap())
}

#[test]
fn networks_with_and_without_a_length() {
    let said = |text| network(text).unwrap().to_string();
    assert_eq!(said("192.0.2.7"), "192.0.2.7/32");
    assert_eq!(said("2001:db8::/32"), "2001:db8::/32");
    for text in [
        "",
        "x",
        "192.0.2.1/24",
        "192.0.2.0/",
        "::/129",
        "192.0.2.0/-1",
    ] {
        assert!(network(text).is_err(), "{text}");
    }
}

#[test]
fn lists() {
    let (asked, table) = printed(Command::Show, false);
    assert_eq!(asked, [Request::ConfigGet]);
    assert_eq!(
        table,
        "SETTING   VALUE\ntrust     192.0.2.0/24\ntrust     ::1/128\nkind      200\n\
         kind      254\nudp       on\nrequire   off\n\
         settings  those of the first network namespace\n"
    );
    let (_, json) = printed(Command::Trust(Trust::List), true);
    assert_eq!(
        json,
        "{\"version\":1,\"trusted\":[\"192.0.2.0/24\",\"::1/128\"]}\n"
    );
    let (_, json) = printed(Command::Kind(Kind::List), true);
    assert_eq!(json, "{\"version\":1,\"kinds\":[200,254]}\n");
    let (_, json) = printed(
        Command::Stats {
            watch: Watch::default(),
        },
        true,
    );
    assert_eq!(json, "{\"version\":1,\"counters\":{\"sockets_now\":3}}\n");
}

#[test]
fn whom_a_connection_is_for() {
    let (local, peer) = (
        "192.0.2.80:443".parse().unwrap(),
        "192.0.2.3:31337".parse().unwrap(),
    );
    let (asked, table) = printed(Command::Lookup { local, peer }, false);
    assert_eq!(asked, [Request::Lookup { local, peer }]);
    assert_eq!(table, "CLIENT\n198.51.100.7:40000\n");
    let (_, json) = printed(Command::Lookup { local, peer }, true);
    assert_eq!(json, "{\"version\":1,\"client\":\"198.51.100.7:40000\"}\n");
}

#[test]
fn changes() {
    let network = network("192.0.2.0/24").unwrap();
    let add = |network| {
        Command::Trust(Trust::Add {
            network,
            all: false,
        })
    };
    let (asked, said) = printed(add(network), false);
    assert_eq!(
        (asked, said.as_str()),
        (vec![Request::TrustAdd(network)], "")
    );
    let (asked, _) = printed(Command::Udp { on: false }, false);
    assert_eq!(asked, [Request::UdpSet(false)]);
    let (asked, _) = printed(Command::Require { on: true }, false);
    assert_eq!(asked, [Request::RequireSet(true)]);
    let (asked, _) = printed(Command::Inherit, false);
    assert_eq!(asked, [Request::Inherit]);
    let (asked, said) = printed(Command::Kind(Kind::Del { kind: 254 }), true);
    let ok = "{\"version\":1,\"ok\":true}\n";
    assert_eq!((asked, said.as_str()), (vec![Request::KindDel(254)], ok));
}

/// Refuses all.
struct Refusing(i32, &'static str);

impl Transport for Refusing {
    fn call(&mut self, _: &Request) -> Result<Reply, Error> {
        Err(Error::Refused(rvs_netlink::Refusal {
            errno: self.0,
            text: Some(self.1.to_owned()),
            blame: None,
            missing: None,
        }))
    }
}

fn tried(command: Command, errno: i32, text: &'static str) -> Result<String, Failure> {
    let mut out = Vec::new();
    let mut context = Context {
        kernel: &mut FakeKernel::default(),
        out: &mut out,
        json: true,
    };
    run_with(command, &mut Refusing(errno, text), &mut context)?;
    Ok(String::from_utf8(out).unwrap())
}

fn hint(command: Command, errno: i32, text: &'static str) -> String {
    match tried(command, errno, text) {
        Err(Failure::Refused(refused)) => refused.hint.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hints_are_the_receivers() {
    let network = network("192.0.2.0/24").unwrap();
    let del = || Command::Trust(Trust::Del { network });
    assert!(hint(del(), ENOENT, "it is not trusted").contains("rvsadm toa show"));
    let (local, peer) = ("[::1]:1".parse().unwrap(), "[::1]:2".parse().unwrap());
    let lookup = || Command::Lookup { local, peer };
    assert!(hint(lookup(), ENOENT, "no connection of").contains("ss -tn"));
    assert!(hint(lookup(), ENODATA, "it is not known").contains("rvsadm toa stats"));
    let add = |network| {
        Command::Trust(Trust::Add {
            network,
            all: false,
        })
    };
    assert!(hint(add(network), ENOSPC, "more are not kept").contains("larger network"));
    // Twice is as good as once.
    let said = tried(add(network), EEXIST, "it is trusted already").unwrap();
    assert_eq!(said, "{\"version\":1,\"ok\":true}\n");
}

#[test]
fn everybody_is_not_trusted_by_mistake() {
    for everybody in ["0.0.0.0/0", "::/0"] {
        let network = network(everybody).unwrap();
        let add = |all| Command::Trust(Trust::Add { network, all });
        assert!(hint(add(false), 0, "").contains("--all"));
        let (asked, _) = printed(add(true), false);
        assert_eq!(asked, [Request::TrustAdd(network)]);
    }
}
