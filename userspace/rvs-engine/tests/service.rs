// SPDX-License-Identifier: GPL-2.0

//! Settings of services, and thresholds of dests.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::prelude::*;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::{Engine, Persistence};
use rvs_engine::proto::own::{OwnTimeouts, TimeoutUpdate};
use rvs_engine::proto::State;
use rvs_engine::sched::SchedulerName;
use rvs_engine::sched::{Options, MH_SIZES};
use rvs_engine::service::{Removed, SchedulerFlags, ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{
    DestId, DestSpec, DestUpdate, Mode, Protocol, ServiceId, SpecError, TIMEOUT_MAX, TOA_INHERITED,
};
use rvs_engine::threshold::Thresholds;

fn id(protocol: Protocol) -> ServiceId {
    ServiceId::Virtual {
        protocol,
        address: [203, 0, 113, 10].into(),
        port: 53,
    }
}

fn spec() -> ServiceSpec {
    ServiceSpec::new(SchedulerName::new("mh").unwrap())
}

#[test]
fn what_is_not_given_is_as_in_ip_vs() {
    let defaults = Options {
        addresses: 1,
        ..Options::DEFAULT
    };
    assert_eq!(spec().options(false), defaults);
    assert_eq!(spec().options(true), Options::DEFAULT);
    assert_eq!(spec().validate(&id(Protocol::Tcp)), Ok(()));
}

#[test]
fn flags_set_up_the_scheduler() {
    let flags = |bits| ServiceSpec {
        flags: SchedulerFlags::from_bits(bits).unwrap(),
        ..spec()
    };
    for (bits, fallback, port) in [(0, false, false), (1, true, false), (2, false, true)] {
        let options = flags(bits).options(false);
        assert_eq!((options.fallback, options.port), (fallback, port));
        // The third changes nothing.
        assert_eq!(flags(bits | 4).options(false), options);
    }
    assert_eq!(SchedulerFlags::from_bits(8), None);
}

#[test]
fn settings_that_break_a_rule() {
    let tcp = id(Protocol::Tcp);
    for mh_size in MH_SIZES {
        assert_eq!(ServiceSpec { mh_size, ..spec() }.validate(&tcp), Ok(()));
    }
    let mh_size = 4094;
    let spec_of = ServiceSpec { mh_size, ..spec() };
    assert_eq!(spec_of.validate(&tcp), Err(SpecError::MhSize(4094)));
    let expiration = 0;
    let spec_of = ServiceSpec {
        expiration,
        ..spec()
    };
    assert_eq!(spec_of.validate(&tcp), Err(SpecError::Expiration(0)));
    let one_packet = true;
    let spec_of = ServiceSpec {
        one_packet,
        ..spec()
    };
    let refused = Err(SpecError::OnePacket(Protocol::Tcp));
    assert_eq!(spec_of.validate(&tcp), refused);
    assert_eq!(spec_of.validate(&id(Protocol::Udp)), Ok(()));
    let helper = Helper::Ftp;
    let spec_of = ServiceSpec { helper, ..spec() };
    assert_eq!(spec_of.validate(&tcp), Ok(()));
    let refused = Err(SpecError::Helper(helper, Protocol::Udp));
    assert_eq!(spec_of.validate(&id(Protocol::Udp)), refused);
    let mut spec_of = spec();
    spec_of.persistence.engine = Engine::Sip;
    assert_eq!(spec_of.validate(&id(Protocol::Udp)), Ok(()));
    for protocol in [Protocol::Tcp, Protocol::Sctp] {
        let refused = Err(SpecError::Engine(Engine::Sip, protocol));
        assert_eq!(spec_of.validate(&id(protocol)), refused);
    }
}

#[test]
fn thresholds_the_wrong_way_round_are_refused() {
    let dest = DestId {
        address: [192, 0, 2, 1].into(),
        port: 53,
    };
    let set = |upper, lower| {
        let update = DestUpdate {
            upper: Some(upper),
            lower: Some(lower),
            ..DestUpdate::default()
        };
        let spec = update.of(&DestSpec::new(Mode::Dr, 1));
        spec.validate(&dest, &id(Protocol::Tcp))
    };
    let refused = |upper, lower| Err(SpecError::Thresholds { upper, lower });
    assert_eq!(set(5, 6), refused(5, 6));
    assert_eq!(set(0, 1), refused(0, 1));
    assert_eq!(set(5, 5), Ok(()));
    assert_eq!(set(u32::MAX, 0), Ok(()));
}

/// `ip_vs` as its source has it: a flag that is set when a connection begins and cleared when one
/// ends.
#[derive(Default)]
struct Model {
    total: u32,
    overloaded: bool,
}

impl Model {
    fn begin(&mut self, of: Thresholds) {
        self.total += 1;
        if of.upper != 0 && self.total >= of.upper {
            self.overloaded = true;
        }
    }

    fn end(&mut self, of: Thresholds) {
        self.total -= 1;
        if of.lower != 0 {
            if self.total < of.lower {
                self.overloaded = false;
            }
        } else if of.upper != 0 {
            if u64::from(self.total) * 4 < u64::from(of.upper) * 3 {
                self.overloaded = false;
            }
        } else {
            self.overloaded = false;
        }
    }
}

#[test]
fn clients_of_a_network_are_one() {
    let rule = |prefix| Persistence {
        seconds: 1,
        prefix,
        quiesced: false,
        engine: Engine::Off,
    };
    let network = |prefix, client: &str| rule(prefix).network(client.parse().unwrap());
    for (prefix, a, b, same) in [
        (24, "198.51.100.1", "198.51.100.254", true),
        (24, "198.51.100.1", "198.51.101.1", false),
        (1, "128.0.0.1", "255.0.0.1", true),
        (1, "127.0.0.1", "128.0.0.1", false),
        (0, "198.51.100.1", "198.51.100.2", false),
        (32, "198.51.100.1", "198.51.100.2", false),
        (64, "2001:db8::1", "2001:db8::2:0:0:1", true),
        (64, "2001:db8::1", "2001:db8:0:1::1", false),
        (1, "::1", "7fff::", true),
        (0, "::1", "::2", false),
        (128, "::1", "::2", false),
    ] {
        assert_eq!(
            network(prefix, a) == network(prefix, b),
            same,
            "{a} {b}/{prefix}"
        );
    }
    let (v4, v6) = (false, true);
    assert_eq!(rule(33).validate(v4), Err(SpecError::Prefix(33)));
    assert_eq!(rule(33).validate(v6), Ok(()));
    assert_eq!(rule(129).validate(v6), Err(SpecError::Prefix(129)));
    let seconds = TIMEOUT_MAX + 1;
    let forever = Persistence { seconds, ..rule(0) };
    assert_eq!(forever.validate(v4), Err(SpecError::Persistence(seconds)));
}

#[test]
fn timeouts_of_a_service() {
    let mut update = TimeoutUpdate::default();
    update.set(State::Udp, 30);
    update.set(State::FinWait, TIMEOUT_MAX);
    let own = update.of(&OwnTimeouts::NONE);
    assert_eq!((own.get(State::Udp), own.get(State::Established)), (30, 0));
    assert_eq!(own.validate(), Ok(()));
    let mut back = TimeoutUpdate::default();
    back.set(State::Udp, 0);
    back.set(State::None, TIMEOUT_MAX + 1);
    let own = back.of(&own);
    assert_eq!(own.get(State::Udp), 0);
    assert_eq!(own.get(State::FinWait), TIMEOUT_MAX);
    assert_eq!(own.validate(), Err(SpecError::Timeout(TIMEOUT_MAX + 1)));
}

#[test]
fn what_becomes_of_connections_of_a_removed_dest() {
    for removed in Removed::ALL {
        assert_eq!(Removed::from_number(removed.number()), Some(removed));
    }
    assert_eq!(Removed::from_number(3), None);
    let ends = |default| Removed::ALL.map(|removed| removed.ends(default));
    assert_eq!(ends(false), [false, false, true]);
    assert_eq!(ends(true), [true, false, true]);
}

#[test]
fn dests_of_a_service_of_all_ports() {
    let spec = DestSpec::new(Mode::Nat, 1);
    let dest = |port| DestId {
        address: [192, 0, 2, 1].into(),
        port,
    };
    let all = ServiceId::Virtual {
        protocol: Protocol::Tcp,
        address: [203, 0, 113, 10].into(),
        port: 0,
    };
    assert_eq!(all.validate(), Ok(()));
    assert_eq!(spec.validate(&dest(0), &all), Ok(()));
    // All go to one port.
    assert_eq!(spec.validate(&dest(80), &all), Ok(()));
    let routed = DestSpec::new(Mode::Dr, 1);
    assert_eq!(routed.validate(&dest(0), &all), Ok(()));
    assert!(routed.validate(&dest(80), &all).is_err());
    let one = id(Protocol::Tcp);
    assert_eq!(spec.validate(&dest(0), &one), Err(SpecError::DestPort));
}

#[test]
fn services_by_mark() {
    let marked = |mark, ipv6| ServiceId::Marked { mark, ipv6 };
    assert_eq!(marked(0, false).validate(), Err(SpecError::Mark));
    let (four, six) = (marked(7, false), marked(u32::MAX, true));
    assert_eq!(four.to_string(), "fwmark/7");
    assert_eq!(six.to_string(), "fwmark6/4294967295");
    let dest = |address: &str, port| DestId {
        address: address.parse().unwrap(),
        port,
    };
    let check = |mode, id, service: &ServiceId| DestSpec::new(mode, 1).validate(&id, service);
    for id in [four, six] {
        assert_eq!(id.validate(), Ok(()));
        let own = if id.is_ipv6() {
            "2001:db8::1"
        } else {
            "192.0.2.1"
        };
        assert_eq!(check(Mode::Dr, dest(own, 0), &id), Ok(()));
        assert_eq!(check(Mode::Nat, dest(own, 0), &id), Ok(()));
        assert_eq!(check(Mode::Nat, dest(own, 8080), &id), Ok(()));
        assert!(check(Mode::Dr, dest(own, 80), &id).is_err());
    }
    assert!(check(Mode::Dr, dest("192.0.2.1", 0), &six).is_err());
    assert_eq!(check(Mode::FullNat, dest("192.0.2.1", 0), &six), Ok(()));
    // What depends on the protocol is taken of both.
    for (one_packet, toa) in [(true, 0), (false, 31), (false, 254), (false, TOA_INHERITED)] {
        let spec = ServiceSpec {
            one_packet,
            toa,
            ..spec()
        };
        assert_eq!(spec.validate(&four), Ok(()));
    }
    let long = Persistence {
        seconds: 1,
        prefix: 64,
        quiesced: false,
        engine: Engine::Off,
    };
    let spec = ServiceSpec {
        persistence: long,
        ..spec()
    };
    assert_eq!(spec.validate(&four), Err(SpecError::Prefix(64)));
    assert_eq!(spec.validate(&six), Ok(()));
    let keys = [
        four.key(),
        six.key(),
        marked(7, true).key(),
        marked(8, false).key(),
    ];
    assert!((1..4).all(|at| keys[..at].iter().all(|key| *key != keys[at])));
    // The address 7.0.0.0 has the same words.
    let address = ServiceId::Virtual {
        protocol: Protocol::Tcp,
        address: [7, 0, 0, 0].into(),
        port: 0,
    };
    assert_ne!(address.key(), four.key());
    assert!(address.key().is_of_all_ports() && !four.key().is_of_all_ports());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn overload_is_that_of_ip_vs(
        upper in 0_u32..40,
        lower in 0_u32..40,
        steps in prop::collection::vec(any::<bool>(), 0..300),
    ) {
        let thresholds = Thresholds { upper, lower: lower.min(upper) };
        let mut model = Model::default();
        let mut overloaded = false;
        for begins in steps {
            if begins {
                model.begin(thresholds);
            } else if model.total > 0 {
                model.end(thresholds);
            }
            overloaded = thresholds.is_overloaded(overloaded, model.total);
            prop_assert_eq!(overloaded, model.overloaded);
        }
    }

    #[test]
    fn thresholds_come_back_from_their_word(upper: u32, lower: u32) {
        let thresholds = Thresholds { upper, lower };
        prop_assert_eq!(Thresholds::from_word(thresholds.to_word()), thresholds);
    }

    #[test]
    fn a_difference_makes_the_one_of_the_other(
        bits in 0_u32..8,
        numbers: [u32; 4],
        switches: [bool; 4],
        prefix: u8,
        seconds: [u32; 12],
        removed in 0_u32..3,
        toa: u8,
    ) {
        let mut timeouts = TimeoutUpdate::default();
        for (state, seconds) in State::all().zip(seconds) {
            timeouts.set(state, seconds % 3);
        }
        let new = ServiceSpec {
            flags: SchedulerFlags::from_bits(bits).unwrap(),
            mh_size: numbers[0],
            expiration: numbers[1],
            one_packet: switches[0],
            random_start: switches[1],
            slow_start: numbers[3],
            persistence: Persistence {
                seconds: numbers[2],
                prefix,
                quiesced: switches[2],
                engine: if switches[3] { Engine::Sip } else { Engine::Off },
            },
            timeouts: timeouts.of(&OwnTimeouts::NONE),
            removed: Removed::from_number(removed).unwrap(),
            quiesced_flows: Removed::from_number(2 - removed).unwrap(),
            toa,
            account: switches[3],
            helper: if switches[3] { Helper::Ftp } else { Helper::Off },
            ..spec()
        };
        prop_assert_eq!(new.since(&spec()).of(&spec()), new);
        prop_assert_eq!(new.since(&new), ServiceUpdate::default());
        prop_assert_eq!(ServiceUpdate::default().of(&new), new);
    }
}
