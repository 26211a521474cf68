// SPDX-License-Identifier: GPL-2.0

//! Descriptions: what is taken, what is refused and with which words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot go on has failed"
)]

mod texts;

use rvs_engine::spec::{
    validate_local, validate_timeout, validate_tunnel, DestId, DestSpec, DestUpdate, Field, Mode,
    Protocol, ServiceId, SpecError, TIMEOUT_MAX, WEIGHT_MAX,
};
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};

fn service(address: &str, port: u16) -> ServiceId {
    ServiceId::Virtual {
        protocol: Protocol::Tcp,
        address: address.parse().unwrap(),
        port,
    }
}

fn dest(address: &str, port: u16) -> DestId {
    DestId {
        address: address.parse().unwrap(),
        port,
    }
}

fn dr(weight: u32) -> DestSpec {
    DestSpec::new(Mode::Dr, weight)
}

/// The text and the blamed field of a refusal.
fn refusal(result: Result<(), SpecError>) -> (String, Field) {
    let error = result.expect_err("refused");
    (error.to_string(), error.field())
}

#[test]
fn ids_are_printed_as_they_are_typed() {
    assert_eq!(
        service("203.0.113.10", 443).to_string(),
        "tcp/203.0.113.10:443"
    );
    let v6 = ServiceId::Virtual {
        protocol: Protocol::Udp,
        address: "2001:db8::1".parse().unwrap(),
        port: 53,
    };
    assert_eq!(v6.to_string(), "udp/[2001:db8::1]:53");
    assert_eq!(dest("192.0.2.1", 80).to_string(), "192.0.2.1:80");
    assert_eq!(dest("2001:db8::2", 80).to_string(), "[2001:db8::2]:80");
}

#[test]
fn numbers_and_names_are_those_of_the_wire() {
    for mode in Mode::ALL {
        assert_eq!(Mode::from_number(mode.number()), Some(mode));
    }
    assert_eq!(Mode::from_number(0), None);
    assert_eq!(Mode::from_number(6), None);
    assert_eq!(
        Mode::ALL.map(Mode::name),
        ["dr", "nat", "tun", "fullnat", "local"]
    );
    for number in 0..=255 {
        let known = matches!(number, 6 | 17 | 132);
        assert_eq!(Protocol::from_number(number).is_some(), known, "{number}");
    }
    assert_eq!(Protocol::Tcp.number(), 6);
    assert_eq!(Protocol::Udp.number(), 17);
    assert_eq!(Protocol::Sctp.number(), 132);
}

#[test]
fn a_good_description_passes() {
    let vip = service("203.0.113.10", 443);
    assert_eq!(vip.validate(), Ok(()));
    for weight in [0, 1, WEIGHT_MAX] {
        assert_eq!(dr(weight).validate(&dest("192.0.2.1", 443), &vip), Ok(()));
    }
    assert_eq!(validate_timeout(1), Ok(()));
    assert_eq!(validate_timeout(TIMEOUT_MAX), Ok(()));
}

#[test]
fn services_are_refused_with_the_reason() {
    let refused = |address, port| refusal(service(address, port).validate());
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "ff02::1",
        "fe80::1",
    ] {
        let text = format!("{address} cannot be a virtual address");
        assert_eq!(refused(address, 80), (text, Field::Address));
    }
    assert_eq!(service("2001:db8::1", 80).validate(), Ok(()));
}

#[test]
fn dests_are_refused_with_the_reason() {
    let vip = service("203.0.113.10", 443);
    let refused =
        |address, port, spec: DestSpec| refusal(spec.validate(&dest(address, port), &vip));
    for address in ["0.0.0.0", "255.255.255.255", "239.1.2.3"] {
        let text = format!("{address} cannot be a real server");
        assert_eq!(refused(address, 443, dr(1)), (text, Field::Address));
    }
    assert_eq!(
        refused("2001:db8::1", 443, dr(1)),
        (
            "2001:db8::1 is not of the service's family".into(),
            Field::Address
        )
    );
    let six = service("2001:db8::10", 443);
    let four = dest("192.0.2.1", 443);
    let by = |mode| DestSpec { mode, ..dr(1) };
    assert_eq!(by(Mode::FullNat).validate(&four, &six), Ok(()));
    assert_eq!(
        by(Mode::Nat).validate(&four, &six),
        Err(SpecError::DestFamily(four.address))
    );
    let near = dest("2001:db8::1", 443);
    assert_eq!(by(Mode::Tun).validate(&near, &six), Ok(()));
    let four = service("192.0.2.10", 443);
    let six = dest("2001:db8::1", 443);
    assert!(by(Mode::FullNat).validate(&six, &four).is_err());
    assert_eq!(
        refused("203.0.113.10", 443, dr(1)),
        (
            "203.0.113.10 is the virtual address itself".into(),
            Field::Address
        )
    );
    assert_eq!(
        refused("192.0.2.1", 0, dr(1)),
        (
            "port 0: a dest needs a port, 1 to 65535".into(),
            Field::Port
        )
    );
    assert_eq!(
        refused("192.0.2.1", 8443, dr(1)),
        (
            "port 8443: mode dr cannot change the port, use 443".into(),
            Field::Port
        )
    );
    assert_eq!(
        refused("192.0.2.1", 443, dr(WEIGHT_MAX + 1)),
        (
            "weight 2147483648 is out of range, 0 to 2147483647".into(),
            Field::Weight
        )
    );
    for mode in [Mode::Dr, Mode::Nat, Mode::FullNat] {
        let spec = DestSpec {
            tunnel: GUE,
            ..DestSpec::new(mode, 1)
        };
        let text = format!("mode {} has no tunnel; that is for mode tun", mode.name());
        assert_eq!(refused("192.0.2.1", 443, spec), (text, Field::TunnelKind));
    }
}

#[test]
fn sctp_travels_in_tunnels_without_a_sum_and_not_through_nat64() {
    let sctp = |address: &str| ServiceId::Virtual {
        protocol: Protocol::Sctp,
        address: address.parse().unwrap(),
        port: 443,
    };
    let vip = sctp("203.0.113.10");
    let in_gue = |sum| DestSpec {
        tunnel: Tunnel { sum, ..GUE },
        ..DestSpec::new(Mode::Tun, 1)
    };
    let server = dest("192.0.2.1", 443);
    assert_eq!(in_gue(TunnelSum::None).validate(&server, &vip), Ok(()));
    for sum in [TunnelSum::Whole, TunnelSum::Remote] {
        let text = format!("tunnel checksum {}: not with sctp, use none", sum.name());
        let error = refusal(in_gue(sum).validate(&server, &vip));
        assert_eq!(error, (text, Field::TunnelSum));
    }
    let six = sctp("2001:db8::10");
    let spec = DestSpec::new(Mode::FullNat, 1);
    assert_eq!(
        spec.validate(&server, &six),
        Err(SpecError::DestFamily(server.address))
    );
}

const GUE: Tunnel = Tunnel {
    kind: TunnelKind::Gue,
    sum: TunnelSum::Remote,
    port: 6080,
};

#[test]
fn tunnels_are_refused_with_the_reason() {
    let gre = Tunnel {
        kind: TunnelKind::Gre,
        port: 0,
        sum: TunnelSum::Whole,
    };
    for tunnel in [Tunnel::IPIP, GUE, gre] {
        assert_eq!(validate_tunnel(tunnel), Ok(()));
    }
    for (tunnel, text, field) in [
        (
            Tunnel { port: 0, ..GUE },
            "tunnel gue needs a port, 1 to 65535",
            Field::TunnelPort,
        ),
        (
            Tunnel { port: 1, ..gre },
            "tunnel port 1: gre has no port",
            Field::TunnelPort,
        ),
        (
            Tunnel {
                sum: TunnelSum::Remote,
                ..gre
            },
            "tunnel checksum remcsum: gre has none",
            Field::TunnelSum,
        ),
        (
            Tunnel {
                sum: TunnelSum::Whole,
                ..Tunnel::IPIP
            },
            "tunnel checksum csum: ipip has none",
            Field::TunnelSum,
        ),
    ] {
        assert_eq!(refusal(validate_tunnel(tunnel)), (text.into(), field));
    }
}

#[test]
fn a_tunnel_goes_with_its_mode() {
    let old = DestSpec {
        tunnel: GUE,
        ..DestSpec::new(Mode::Tun, 1)
    };
    let to = |mode| DestUpdate {
        mode: Some(mode),
        ..DestUpdate::default()
    };
    assert_eq!(to(Mode::Dr).of(&old).tunnel, Tunnel::IPIP);
    assert_eq!(to(Mode::Tun).of(&old).tunnel, GUE);
    assert_eq!(old.told().of(&DestSpec::new(Mode::Dr, 9)), old);
}

#[test]
fn the_director_may_serve_its_own_address() {
    let service = service("203.0.113.10", 443);
    for address in ["203.0.113.10", "127.0.0.1", "192.0.2.1"] {
        let id = DestId {
            address: address.parse().unwrap(),
            port: 443,
        };
        let local = DestSpec::new(Mode::Local, 1);
        assert_eq!(local.validate(&id, &service), Ok(()));
    }
}

#[test]
fn dests_on_loopback_are_local_whatever_the_mode() {
    for (vip, loopback) in [("203.0.113.10", "127.0.0.1"), ("2001:db8::10", "::1")] {
        let vip = service(vip, 443);
        for mode in [Mode::Dr, Mode::Nat, Mode::Tun, Mode::FullNat, Mode::Local] {
            let spec = DestSpec::new(mode, 1);
            let id = dest(loopback, 443);
            assert_eq!(spec.validate(&id, &vip), Ok(()));
            assert_eq!(mode.toward(id.address), Mode::Local);
            // Packets stay as they are, so the port does too.
            let other = refusal(spec.validate(&dest(loopback, 8443), &vip));
            let text = "port 8443: mode local cannot change the port, use 443";
            assert_eq!(other, (text.into(), Field::Port));
        }
    }
    assert_eq!(Mode::Nat.toward([192, 0, 2, 1].into()), Mode::Nat);
}

#[test]
fn timeouts_are_refused_with_the_reason() {
    for seconds in [0, TIMEOUT_MAX + 1, u32::MAX] {
        let text = format!("timeout {seconds} s is out of range, 1 to 2678400");
        assert_eq!(refusal(validate_timeout(seconds)), (text, Field::Timeout));
    }
}

#[test]
fn local_addresses_are_refused_with_the_reason() {
    let check = |address: &str| validate_local(address.parse().unwrap());
    assert_eq!(check("192.0.2.200"), Ok(()));
    assert_eq!(check("2001:db8::1"), Ok(()));
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
    ] {
        let text = format!("{address} cannot be a local address");
        assert_eq!(refusal(check(address)), (text, Field::Address));
    }
}
