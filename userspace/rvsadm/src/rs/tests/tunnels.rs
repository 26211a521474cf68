// SPDX-License-Identifier: GPL-2.0

//! Real servers that take packets out of tunnels.

use rvs_engine::tunnel::{TunnelKind, TunnelSum};

use super::*;
use crate::rs::tunnel::MODE_ANY;

const GRE: Tunnel = Tunnel {
    kind: TunnelKind::Gre,
    ..Tunnel::IPIP
};
const GRE_SUMS: Tunnel = Tunnel {
    sum: TunnelSum::Whole,
    ..GRE
};
const GUE: Tunnel = Tunnel {
    kind: TunnelKind::Gue,
    port: 6080,
    ..Tunnel::IPIP
};

const V4: &str = "203.0.113.10";
const V6: &str = "2001:db8::1";

fn tunnels(vips: &[&str], tunnel: Tunnel, over: Option<Family>) -> Purpose {
    let vips: Vec<IpAddr> = vips.iter().map(|vip| vip.parse().unwrap()).collect();
    Purpose::new(Mode::Tun, &vips, &[], &[], tunnel, over).unwrap()
}

#[test]
fn it_is_direct_s_and_takes_packets_out() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("all.rp_filter", "1");
    let tunnel = tunnels(&[V4], Tunnel::IPIP, None);
    let changes = setup(&tunnel, &mut host, &mut scratch.record()).unwrap();
    assert_eq!(
        names(&changes)[4..],
        [
            "tunl0 address 192.0.0.8/32",
            "net.ipv4.conf.tunl0.rp_filter",
            "tunl0",
            "lo",
            "lo address 203.0.113.10/32"
        ]
    );
    assert_eq!(host.sysctls["net.ipv4.conf.tunl0.rp_filter"], "2");
    assert!(host.tunnels[&Device::Tunl0]);
    let again = setup(&tunnel, &mut host, &mut scratch.record()).unwrap();
    assert!(again.changes.is_empty());
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    // The device stays, as the kernel would have it.
    let mut before = FakeHost::new();
    before.sysctl("all.rp_filter", "1");
    before.make(Device::Tunl0).unwrap();
    assert_eq!(host, before);
}

/// What is changed besides ARP, and by whom: a device of its own is there only meanwhile.
#[test]
fn each_tunnel_has_what_it_needs() {
    let (v4, v6) = (Some(Family::Ipv4), Some(Family::Ipv6));
    for (vip, tunnel, over, expected) in [
        (V4, Tunnel::IPIP, None, &["tunl0"][..]),
        (V6, Tunnel::IPIP, v4, &["sit0"]),
        (V6, Tunnel::IPIP, None, &["ip6tnl0"]),
        (V4, Tunnel::IPIP, v6, &["ip6tnl0 mode", "ip6tnl0"]),
        (V4, GRE, None, &["gre0"]),
        (V6, GRE, v4, &["gre0"]),
        (V6, GRE, v6, &["ip6gre0"]),
        (V4, GRE, v6, &["ip6gre0"]),
        (V4, GRE_SUMS, None, &["device rvs-gre", "rvs-gre"]),
        (V4, GRE_SUMS, v6, &["device rvs-gre6", "rvs-gre6"]),
        (V4, GUE, None, &["gue port 6080 over ipv4", "tunl0"]),
        (V6, GUE, v4, &["gue port 6080 over ipv4", "sit0"]),
        (V6, GUE, None, &["gue port 6080 over ipv6", "ip6tnl0"]),
        (
            V4,
            GUE,
            v6,
            &["gue port 6080 over ipv6", "ip6tnl0 mode", "ip6tnl0"],
        ),
    ] {
        let scratch = Scratch::new();
        let mut host = FakeHost::new();
        let tunnel = tunnels(&[vip], tunnel, over);
        let changes = setup(&tunnel, &mut host, &mut scratch.record()).unwrap();
        let mut found = names(&changes);
        found.retain(|name| !name.contains("arp") && !name.starts_with("lo"));
        // What every device has that IPv4 comes out of.
        let address = found.iter().position(|name| name.contains(" address "));
        assert_eq!(address.map(|at| found.remove(at)).is_some(), vip == V4);
        assert_eq!(found, expected);
        let again = setup(&tunnel, &mut host, &mut scratch.record()).unwrap();
        assert!(again.changes.is_empty());
        undo(&[], &mut host, &mut scratch.record()).unwrap();
        let mut before = FakeHost::new();
        for device in host.tunnels.keys() {
            assert!(!device.name().starts_with("rvs"));
            before.make(*device).unwrap();
        }
        assert_eq!(host, before);
    }
}

#[test]
fn addresses_of_both_families() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("all.rp_filter", "1");
    let both = [V6, V4];
    setup(&tunnels(&both, GUE, None), &mut host, &mut scratch.record()).unwrap();
    assert!(host.tunnels[&Device::Ip6Tnl0] && host.tunnels[&Device::Tunl0]);
    assert_eq!((host.ports.len(), host.mode.as_str()), (2, MODE_IPV6));
    // The one over IPv6 is for both now: its filter of sources and its mode.
    let changes = setup(
        &tunnels(&both, Tunnel::IPIP, Some(Family::Ipv6)),
        &mut host,
        &mut scratch.record(),
    )
    .unwrap();
    let expected = [
        "ip6tnl0 address 192.0.0.8/32",
        "net.ipv4.conf.ip6tnl0.rp_filter",
        "ip6tnl0 mode",
    ];
    assert_eq!(names(&changes), expected);
    assert_eq!(host.mode, MODE_ANY);
    // Of one address less, nothing else is taken back.
    undo(&[VIP], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host.ports.len(), 2);
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert!(host.ports.is_empty() && host.tunnels.values().all(|up| !up));
    assert_eq!(host.mode, MODE_IPV6);
}

#[test]
fn devices_that_the_kernel_does_not_make_are_removed() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.fallback = false;
    let before = host.clone();
    let changes = setup(&tunnels(&[V4], GRE, None), &mut host, &mut scratch.record()).unwrap();
    assert_eq!(names(&changes)[0], "device gre0");
    undo(&[], &mut host, &mut scratch.record()).unwrap();
    assert_eq!(host, before);
}

#[test]
fn what_a_removed_device_had_is_left() {
    let scratch = Scratch::new();
    let mut host = FakeHost::new();
    host.sysctl("all.rp_filter", "1");
    let sums = tunnels(&[V4], GRE_SUMS, None);
    setup(&sums, &mut host, &mut scratch.record()).unwrap();
    host.tunnels.insert(Device::GreSums, false);
    host.addressed.clear();
    host.set(&Setting::Device(Device::GreSums), ABSENT).unwrap();
    let changes = undo(&[], &mut host, &mut scratch.record()).unwrap();
    let left = changes.changes.iter().find(|c| c.state == "left").unwrap();
    assert_eq!(left.what, "net.ipv4.conf.rvs-gre.rp_filter");
    assert!(scratch.record().newest_first().is_empty());
}

#[test]
fn gre_comes_with_checksums_or_without() {
    for (first, second, words) in [
        (GRE, GRE_SUMS, "gre0 is up: a host takes GRE without"),
        (GRE_SUMS, GRE, "rvs-gre is up: a host takes GRE with "),
    ] {
        let scratch = Scratch::new();
        let mut host = FakeHost::new();
        let set_up = |tunnel, host: &mut FakeHost| {
            setup(&tunnels(&[V4], tunnel, None), host, &mut scratch.record())
        };
        set_up(first, &mut host).unwrap();
        let before = host.clone();
        match set_up(second, &mut host) {
            Err(Failure::Refused(refused)) => {
                assert!(refused.reason.starts_with(words), "{}", refused.reason);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(host, before);
        undo(&[], &mut host, &mut scratch.record()).unwrap();
        set_up(second, &mut host).unwrap();
    }
}

#[test]
fn what_is_no_tunnel() {
    let vips = [VIP];
    let directors = [values::network("192.0.2.1").unwrap()];
    let without_port = Tunnel { port: 0, ..GUE };
    let remote = Tunnel {
        sum: TunnelSum::Remote,
        ..GRE
    };
    let with_port = Tunnel { port: 6080, ..GRE };
    for (mode, tunnel, over, words) in [
        (Mode::Tun, without_port, None, "tunnel gue needs a port"),
        (Mode::Tun, with_port, None, "gre has no port"),
        (Mode::Tun, remote, None, "remcsum: gre has none"),
        (Mode::Dr, GRE, None, "mode dr has no tunnel"),
        (
            Mode::Dr,
            Tunnel::IPIP,
            Some(Family::Ipv4),
            "mode dr does not take --over",
        ),
        (
            Mode::Nat,
            Tunnel::IPIP,
            Some(Family::Ipv6),
            "mode nat does not take --over",
        ),
    ] {
        let (vips, directors) = match mode {
            Mode::Nat => (&[][..], &directors[..]),
            _ => (&vips[..], &[][..]),
        };
        match Purpose::new(mode, vips, directors, &[], tunnel, over) {
            Err(Failure::Refused(refused)) => {
                assert!(refused.reason.contains(words), "{}", refused.reason);
                assert!(refused.hint.is_some());
            }
            other => panic!("{mode:?}: {other:?}"),
        }
    }
}

#[test]
fn loose_filters_of_sources_do() {
    for (all, device) in [("2", "1"), ("0", "0"), ("1", "2")] {
        let scratch = Scratch::new();
        let mut host = FakeHost::new();
        host.make(Device::Tunl0).unwrap();
        host.sysctl("all.rp_filter", all);
        host.sysctl("tunl0.rp_filter", device);
        let tunnel = tunnels(&["203.0.113.10"], Tunnel::IPIP, None);
        setup(&tunnel, &mut host, &mut scratch.record()).unwrap();
        assert_eq!(host.sysctls["net.ipv4.conf.tunl0.rp_filter"], device);
    }
}
