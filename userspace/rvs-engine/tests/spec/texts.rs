// SPDX-License-Identifier: GPL-2.0

//! Every refusal fits into the extended ack of a netlink message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::portpool::PortRange;
use rvs_engine::spec::{
    validate_timeout, DestId, DestSpec, Mode, Protocol, ServiceId, SpecError, WEIGHT_MAX,
};
use rvs_engine::tunnel::{TunnelKind, TunnelSum};

use super::dr;

/// What an extended ack holds (`NETLINK_MAX_FMTMSG_LEN` less its zero byte).
const TEXT_MAX: usize = 79;

/// Every error there is, about these values; a new one does not compile until it is here.
fn every_error(address: IpAddr, port: u16, number: u32, mode: Mode) -> Vec<SpecError> {
    let all = vec![
        SpecError::VirtualAddress(address),
        SpecError::Mark,
        SpecError::Persistence(number),
        SpecError::Prefix(255),
        SpecError::Drain(number),
        SpecError::DropRate,
        SpecError::SlowStart(number),
        SpecError::ConnMax(u64::MAX),
        SpecError::ConnMaxOthers,
        SpecError::DestAddress(address),
        SpecError::DestFamily(address),
        SpecError::DestIsVirtualAddress(address),
        SpecError::DestPort,
        SpecError::LocalAddress(address),
        SpecError::SamePort {
            mode,
            dest: port,
            service: !port,
        },
        SpecError::TunnelMode(mode),
        SpecError::TunnelPort {
            kind: TunnelKind::Ipip,
            port,
        },
        SpecError::TunnelPort {
            kind: TunnelKind::Gue,
            port: 0,
        },
        SpecError::TunnelSum {
            kind: TunnelKind::Ipip,
            sum: TunnelSum::Remote,
        },
        SpecError::TunnelSctp(TunnelSum::Remote),
        SpecError::Weight(number),
        SpecError::Timeout(number),
        SpecError::ToaKind(number as u8),
        SpecError::LocalPorts(PortRange {
            first: number as u16,
            last: 1,
        }),
        SpecError::Thresholds {
            upper: number,
            lower: number,
        },
        SpecError::MhSize(number),
        SpecError::Expiration(number),
        SpecError::OnePacket(Protocol::Tcp),
        SpecError::Helper(Helper::Ftp, Protocol::Sctp),
        SpecError::Engine(Engine::Sip, Protocol::Tcp),
        SpecError::UoaKind(number as u8),
    ];
    for error in &all {
        match error {
            SpecError::VirtualAddress(_)
            | SpecError::Mark
            | SpecError::Persistence(_)
            | SpecError::Prefix(_)
            | SpecError::Drain(_)
            | SpecError::DropRate
            | SpecError::SlowStart(_)
            | SpecError::ConnMax(_)
            | SpecError::ConnMaxOthers
            | SpecError::DestAddress(_)
            | SpecError::DestFamily(_)
            | SpecError::DestIsVirtualAddress(_)
            | SpecError::DestPort
            | SpecError::LocalAddress(_)
            | SpecError::SamePort { .. }
            | SpecError::TunnelMode(_)
            | SpecError::TunnelPort { .. }
            | SpecError::TunnelSum { .. }
            | SpecError::TunnelSctp(_)
            | SpecError::Weight(_)
            | SpecError::Timeout(_)
            | SpecError::ToaKind(_)
            | SpecError::Thresholds { .. }
            | SpecError::MhSize(_)
            | SpecError::Expiration(_)
            | SpecError::OnePacket(_)
            | SpecError::Helper(..)
            | SpecError::Engine(..)
            | SpecError::UoaKind(_)
            | SpecError::LocalPorts(_) => {}
        }
    }
    all
}

fn fits(error: &SpecError) -> bool {
    let text = error.to_string();
    (1..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[test]
fn the_longest_texts_fit_an_extended_ack() {
    let longest = IpAddr::V6(Ipv6Addr::from([0xab; 16]));
    for mode in Mode::ALL {
        for error in every_error(longest, u16::MAX, u32::MAX, mode) {
            assert!(fits(&error), "{error}");
        }
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        4 => any::<u32>().prop_map(|a| IpAddr::V4(Ipv4Addr::from(a))),
        2 => any::<u128>().prop_map(|a| IpAddr::V6(Ipv6Addr::from(a))),
        2 => any::<u32>().prop_map(|a| IpAddr::V6(Ipv4Addr::from(a).to_ipv6_mapped())),
        1 => Just(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10))),
    ]
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(443), any::<u16>()]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn every_refusal_fits_an_extended_ack(
        vip in (address(), port()),
        rs in (address(), port()),
        mode in prop::sample::select(&Mode::ALL[..]),
        weight in any::<u32>(),
    ) {
        let vip = ServiceId::Virtual { protocol: Protocol::Udp, address: vip.0, port: vip.1 };
        let rs = DestId { address: rs.0, port: rs.1 };
        let results = [
            vip.validate(),
            DestSpec::new(mode, weight).validate(&rs, &vip),
            validate_timeout(weight),
        ];
        for error in results.iter().filter_map(|result| result.err()) {
            prop_assert!(fits(&error), "{}", error);
        }
        for error in every_error(rs.address, rs.port, weight, mode) {
            prop_assert!(fits(&error), "{}", error);
        }
    }

    #[test]
    fn what_passes_can_be_balanced(
        vip in (address(), 1..=u16::MAX),
        rs in address(),
        weight in 0..70_000u32,
    ) {
        let vip = ServiceId::Virtual { protocol: Protocol::Tcp, address: vip.0, port: vip.1 };
        let rs = DestId { address: rs, port: vip.port() };
        if vip.validate().is_ok() && dr(weight).validate(&rs, &vip).is_ok() {
            prop_assert!(vip.is_ipv6() == rs.address.is_ipv6());
            prop_assert!(vip.address() != Some(rs.address));
            prop_assert!(!rs.address.is_multicast());
            prop_assert!(weight <= WEIGHT_MAX);
        }
    }
}
