// SPDX-License-Identifier: GPL-2.0

use netlink_packet_core::DecodeError;
use rvs_engine::conntrack::Conntrack;
use rvs_engine::defence::When;
use rvs_engine::echo::Echo;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::places::Places;
use rvs_engine::sched::SchedulerName;
use rvs_engine::sched::MH_SIZES;
use rvs_engine::service::Removed;
use rvs_engine::service::SchedulerFlags;
use rvs_engine::spec::{ConnReuse, DestSpec, DestUpdate, Mode, Protocol};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::Tunnel;

use super::*;
use crate::attr::{encode, received};
use crate::generated::{Policy, Set, OPS};

fn changes() -> Vec<Change> {
    let service = ServiceId::Virtual {
        protocol: Protocol::Udp,
        address: [203, 0, 113, 10].into(),
        port: 53,
    };
    let id = DestId {
        address: [192, 0, 2, 1].into(),
        port: 53,
    };
    let address = [192, 0, 2, 200].into();
    let scheduler = SchedulerName::new("fifteen-letters").unwrap();
    let spec = DestSpec {
        mode: Mode::Dr,
        weight: 65_535,
        thresholds: Thresholds {
            upper: u32::MAX,
            lower: 1,
        },
        tunnel: Tunnel::IPIP,
    };
    let update = ServiceUpdate {
        scheduler: Some(scheduler),
        flags: Some(SchedulerFlags::ALL),
        mh_size: Some(MH_SIZES[0]),
        expiration: Some(1),
        one_packet: Some(true),
        persistence: Some(300),
        prefix: Some(24),
        removed: Some(Removed::Expire),
        quiesced_flows: Some(Removed::GoOn),
        toa: Some(200),
        account: Some(true),
        helper: Some(Helper::Ftp),
        engine: Some(Engine::Sip),
        ..ServiceUpdate::default()
    };
    vec![
        Change::ServiceAdd {
            id: service,
            spec: update.of(&ServiceSpec::new(scheduler)),
        },
        Change::ServiceSet {
            id: service,
            update,
        },
        Change::DestAdd { service, id, spec },
        Change::DestSet {
            service,
            id,
            update: DestUpdate {
                weight: Some(7),
                lower: Some(0),
                ..DestUpdate::default()
            },
        },
        Change::DestDel { service, id },
        Change::LocalAdd {
            service: Some(service),
            address,
        },
        Change::LocalDel {
            service: None,
            address,
        },
        Change::ServiceDel { id: service },
    ]
}

fn requests() -> Vec<Request> {
    let mut config = Config {
        udp_timeout: Some(1),
        conn_max: Some(u64::MAX),
        conn_max_others: Some(7),
        expire_nodest: Some(true),
        local_port_min: Some(1),
        local_port_max: Some(65_535),
        toa_kind: Some(200),
        sloppy_tcp: Some(true),
        conn_reuse: Some(ConnReuse::Closing),
        nat_as_fullnat: Some(false),
        drop_entry: Some(When::Auto),
        drop_packet: Some(When::On),
        drop_rate: Some(3),
        memory_min: Some(1),
        cache_bypass: Some(true),
        echo: Some(Echo::Balance),
        expire_quiesced: Some(true),
        places: Some(Places::IpVs),
        conntrack: Some(Conntrack::Fast),
        ..Config::default()
    };
    assert!(config.tcp_timeouts.set("synack", 9));
    assert!(!config.tcp_timeouts.set("nope", 9));
    let (service, dest) = match changes().get(2) {
        Some(Change::DestAdd { service, id, .. }) => (*service, *id),
        other => panic!("{other:?}"),
    };
    let mut requests: Vec<_> = changes().into_iter().map(Request::Change).collect();
    requests.extend([
        Request::Release,
        Request::Batch(changes(), Config::default()),
        Request::Batch(changes(), config.clone()),
        Request::ServiceGet(service),
        Request::ServiceList,
        Request::ServiceFlush,
        Request::DestGet(service, dest),
        Request::DestList(None),
        Request::DestList(Some(service)),
        Request::LocalList(None),
        Request::LocalList(Some(service)),
        Request::ConnList(None, Selection::default()),
        Request::ConnList(Some(service), Selection::default()),
        Request::TemplateList(None),
        Request::TemplateList(Some(service)),
        Request::ConnFlush(None, Selection::default()),
        Request::ConnFlush(Some(service), Selection::default()),
        Request::Explain(Question {
            protocol: Protocol::Udp,
            client: "[2001:db8::2]:40000".parse().unwrap(),
            destination: "[2001:db8::1]:53".parse().unwrap(),
            mark: 7,
        }),
        Request::SyncStart(crate::Daemon {
            device: Some("eth1".to_owned()),
            id: Some(7),
            max_len: Some(1472),
            group: Some("ff02::81".parse().unwrap()),
            port: Some(8848),
            ttl: Some(1),
            ..crate::Daemon::of(crate::Role::Master)
        }),
        Request::SyncStop(crate::Role::Backup),
        Request::SyncList,
        Request::ConnRecords,
        Request::TemplateRecords,
        Request::CountRecords,
        Request::RecordRestore(crate::Records::of_bytes(vec![0, 1, 7, 0, 0]).unwrap()),
        Request::SyncGet,
        Request::StatsGet,
        Request::StatsZero(Some(service)),
        Request::ConfigGet,
        Request::ConfigSet(config),
    ]);
    requests
}

/// Checks attributes of `set` against the policies that the kernel has.
fn check(set: Set, bytes: &[u8]) -> Result<(), DecodeError> {
    for attribute in received(bytes) {
        let attribute = attribute?;
        let kind = usize::from(attribute.kind());
        let length = attribute.bytes().len();
        let within = |value: u64, range: crate::generated::Range| {
            assert!((range.min..=range.max).contains(&value), "{set:?} {kind}");
        };
        match set.policy()[kind] {
            Policy::Unspec => panic!("{set:?} has no attribute {kind}"),
            Policy::U8(range) => within(attribute.u8("")?.into(), range),
            Policy::U16(_) => panic!("no attribute is a u16 in host order"),
            Policy::U16Be(range) => within(attribute.u16_be("")?.into(), range),
            Policy::U32(range) => within(attribute.u32("")?.into(), range),
            Policy::U64(range) | Policy::Uint(range) => within(attribute.uint("")?, range),
            Policy::NulString { max_len } => {
                let text = attribute.text("")?;
                assert_eq!(text.len() + 1, length, "ends with a zero");
                assert!(text.len() <= max_len.into());
            }
            Policy::Binary { max_len } => assert!(length <= max_len.into()),
            Policy::Nested(inner) => check(inner, attribute.bytes())?,
        }
    }
    Ok(())
}

#[test]
fn requests_are_as_the_spec_has_them() {
    let mut seen = std::collections::BTreeSet::new();
    for request in requests() {
        let command = request.command();
        seen.insert(command);
        let op = OPS.iter().find(|op| op.cmd == command).unwrap();
        let allowed = match request.is_dump() {
            true => op.dump_request,
            false => op.do_request,
        };
        let allowed = allowed.unwrap_or_else(|| panic!("{} has no such request", op.name));
        let bytes = encode(&request.attributes());
        for attribute in received(&bytes) {
            let kind = attribute.unwrap().kind();
            assert!(allowed.contains(&kind), "{} with attribute {kind}", op.name);
        }
        check(Set::Main, &bytes).unwrap();
    }
    let all: Vec<u8> = OPS.iter().map(|op| op.cmd).collect();
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        all,
        "every request is made"
    );
}

#[test]
fn steps_of_a_batch_are_the_changes() {
    let bytes = encode(&Request::Batch(changes(), Config::default()).attributes());
    let steps: Vec<_> = received(&bytes).map(Result::unwrap).collect();
    assert_eq!(steps.len(), changes().len());
    for (step, change) in steps.iter().zip(changes()) {
        let mut parts = received(step.bytes()).map(Result::unwrap);
        let op = parts.next().unwrap();
        let command = u32::from(Request::Change(change).command());
        assert_eq!((op.kind(), op.u32("").unwrap()), (change::OP, command));
        // The nests are those of the change alone, under the numbers of the set "change".
        let alone = encode(&Request::Change(change).attributes());
        let alone: Vec<_> = received(&alone).map(Result::unwrap).collect();
        for (part, alone) in parts.by_ref().zip(&alone) {
            let number = match alone.kind() {
                main::SERVICE => change::SERVICE,
                main::LADDR => change::LADDR,
                _ => change::DEST,
            };
            assert_eq!((part.kind(), part.bytes()), (number, alone.bytes()));
        }
    }
}
