// SPDX-License-Identifier: GPL-2.0

//! Changes: whom a refusal blames, and that its text fits an extended ack.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;
use rvs_engine::change::{Blame, Change, ChangeError};
use rvs_engine::sched::{SchedulerName, SCHEDULER_NAME_MAX};
use rvs_engine::spec::{DestId, DestSpec, Field, Mode, Protocol, ServiceId, SpecError};

/// What an extended ack holds (`NETLINK_MAX_FMTMSG_LEN` less its zero byte).
const TEXT_MAX: usize = 79;

const LONGEST: IpAddr = IpAddr::V6(Ipv6Addr::new(
    0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd, 0xabcd,
));

const SERVICE: ServiceId = ServiceId::Virtual {
    protocol: Protocol::Udp,
    address: LONGEST,
    port: 65_535,
};

const DEST: DestId = DestId {
    address: LONGEST,
    port: 65_535,
};

/// Every error of a change, about these; a new one does not compile until it is here.
fn every_error(name: SchedulerName) -> Vec<ChangeError> {
    let all = vec![
        ChangeError::Spec(SpecError::DestFamily(LONGEST)),
        ChangeError::NoScheduler(name),
        ChangeError::ServiceExists(SERVICE),
        ChangeError::NoService(SERVICE),
        ChangeError::DestExists(DEST),
        ChangeError::NoDest(DEST),
        ChangeError::NoRoute(LONGEST),
        ChangeError::LocalExists(LONGEST),
        ChangeError::NoLocal(LONGEST),
        ChangeError::NotOnThisHost(LONGEST),
        ChangeError::NoMemory,
    ];
    for error in &all {
        match error {
            ChangeError::Spec(_)
            | ChangeError::NoScheduler(_)
            | ChangeError::ServiceExists(_)
            | ChangeError::NoService(_)
            | ChangeError::DestExists(_)
            | ChangeError::NoDest(_)
            | ChangeError::NoRoute(_)
            | ChangeError::LocalExists(_)
            | ChangeError::NoLocal(_)
            | ChangeError::NotOnThisHost(_)
            | ChangeError::NoMemory => {}
        }
    }
    all
}

fn fits(error: &ChangeError) -> bool {
    let text = error.to_string();
    (1..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[test]
fn the_longest_texts_fit_an_extended_ack() {
    for error in every_error(SchedulerName::new(&"\u{7f}".repeat(15)).unwrap()) {
        assert!(fits(&error), "{error}");
    }
}

#[test]
fn a_schedulers_name_is_shown_as_it_came_in() {
    let text = |name| ChangeError::NoScheduler(SchedulerName::new(name).unwrap()).to_string();
    assert_eq!(text("wlcx"), "no scheduler is called \"wlcx\"");
    assert_eq!(text(""), "no scheduler is called \"\"");
    assert_eq!(text("a\tb\u{e9}"), "no scheduler is called \"a?b??\"");
}

#[test]
fn scheduler_names_have_room_for_what_netlink_lets_in() {
    let name = "x".repeat(SCHEDULER_NAME_MAX);
    assert_eq!(SchedulerName::new(&name).unwrap().as_str(), name);
    assert_eq!(SchedulerName::new(&(name + "x")), None);
}

#[test]
fn the_part_that_is_to_blame() {
    let add = Change::DestAdd {
        service: SERVICE,
        id: DEST,
        spec: DestSpec::new(Mode::Dr, 1),
    };
    let del = Change::ServiceDel { id: SERVICE };
    let weight = ChangeError::from(SpecError::Weight(65_536));
    assert_eq!(weight.blame(&add), Blame::Dest(Some(Field::Weight)));
    let port = ChangeError::from(SpecError::DestPort);
    assert_eq!(port.blame(&del), Blame::Service(Some(Field::Port)));
    assert_eq!(
        ChangeError::NoService(SERVICE).blame(&add),
        Blame::Service(None)
    );
    assert_eq!(ChangeError::DestExists(DEST).blame(&add), Blame::Dest(None));
    assert_eq!(ChangeError::NoMemory.blame(&add), Blame::Nothing);
    let local = Change::LocalAdd {
        service: Some(SERVICE),
        address: LONGEST,
    };
    let loopback = ChangeError::from(SpecError::LocalAddress(LONGEST));
    assert_eq!(loopback.blame(&local), Blame::Local);
    assert_eq!(
        ChangeError::NotOnThisHost(LONGEST).blame(&local),
        Blame::Local
    );
    assert_eq!(
        ChangeError::NoService(SERVICE).blame(&local),
        Blame::Service(None)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_name_fits(name in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        if let Some(name) = SchedulerName::new(&name) {
            for error in every_error(name) {
                prop_assert!(fits(&error), "{}", error);
            }
        }
    }
}
