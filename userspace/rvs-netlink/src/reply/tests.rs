// SPDX-License-Identifier: GPL-2.0

use std::net::{IpAddr, SocketAddr};

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use rvs_engine::conntrack::Conntrack;
use rvs_engine::defence::When;
use rvs_engine::echo::Echo;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::places::Places;
use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::service::{Removed, SchedulerFlags, ServiceUpdate};
use rvs_engine::spec::{ConnReuse, DestId, Mode, Protocol, ServiceId};
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};

use super::*;
use crate::attr::encode;
use crate::generated::{config, dest, service};
use crate::{Account, TcpTimeouts};

fn parse(bytes: &[u8], cmd: u8) -> Result<Reply, DecodeError> {
    Reply::parse_with_param(bytes, GenlHeader { cmd, version: 1 })
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ]
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]
}

fn modes() -> impl Strategy<Value = Mode> {
    (1_u32..=5).prop_filter_map("a mode", Mode::from_number)
}

prop_compose! {
    fn stats()(connections: u64, in_packets: u64, out_bytes: u64) -> Stats {
        Stats { connections, in_packets, out_bytes, ..Stats::default() }
    }
}

prop_compose! {
    fn settings()(
        bits in of(0_u32..8),
        numbers: [Option<u32>; 4],
        switches: [Option<bool>; 4],
        prefix: Option<u8>,
        toa: Option<u8>,
        seconds: [Option<u32>; 12],
        [removed, quiesced_flows] in [of(0_u32..3), of(0_u32..3)],
    ) -> ServiceUpdate {
        let mut timeouts = TimeoutUpdate::default();
        for (state, seconds) in State::all().zip(seconds) {
            if let Some(seconds) = seconds {
                timeouts.set(state, seconds);
            }
        }
        ServiceUpdate {
            scheduler: None,
            flags: bits.and_then(SchedulerFlags::from_bits),
            mh_size: numbers[0],
            expiration: numbers[1],
            persistence: numbers[2],
            slow_start: numbers[3],
            one_packet: switches[0],
            random_start: switches[1],
            quiesced: switches[2],
            account: switches[3],
            helper: switches[3].map(|on| if on { Helper::Ftp } else { Helper::Off }),
            engine: switches[1].map(|on| if on { Engine::Sip } else { Engine::Off }),
            prefix,
            toa,
            timeouts,
            removed: removed.and_then(Removed::from_number),
            quiesced_flows: quiesced_flows.and_then(Removed::from_number),
        }
    }
}

prop_compose! {
    fn services()(
        protocol in protocols(),
        address in addresses(),
        port: u16,
        mark: Option<(u32, bool)>,
        scheduler in of("[a-z]{1,15}"),
        settings in settings().boxed(),
        templates: Option<u32>,
        dests: Option<u32>,
        active: Option<u32>,
        inactive: Option<u32>,
        [stats, rates] in [of(stats().boxed()), of(stats().boxed())],
    ) -> ServiceInfo {
        let id = match mark {
            Some((mark, ipv6)) => ServiceId::Marked { mark, ipv6 },
            None => ServiceId::Virtual { protocol, address, port },
        };
        ServiceInfo {
            id, scheduler, settings, templates, dests, active, inactive, stats, rates,
            unknown: None,
        }
    }
}

fn tunnels() -> impl Strategy<Value = Tunnel> {
    let numbers = (
        select(&TunnelKind::ALL[..]),
        select(&TunnelSum::ALL[..]),
        any::<u16>(),
    );
    numbers.prop_map(|(kind, sum, port)| Tunnel { kind, sum, port })
}

prop_compose! {
    fn dests()(
        address in addresses(),
        port: u16,
        mode in of(modes()),
        weight: Option<u32>,
        upper: Option<u32>,
        lower: Option<u32>,
        tunnel in of(tunnels()),
        drain: [Option<u32>; 2],
        [active, inactive, templates]: [Option<u32>; 3],
        [no_port, no_reply]: [Option<u64>; 2],
        [stats, rates] in [of(stats().boxed()), of(stats().boxed())],
    ) -> DestInfo {
        let id = DestId { address, port };
        let [drain, drain_ended] = drain;
        DestInfo {
            id, mode, weight, upper, lower, tunnel, drain, drain_ended, no_port, no_reply,
            active, inactive, templates, stats, rates,
            unknown: None,
        }
    }
}

prop_compose! {
    fn conns()(
        protocol in protocols(),
        ends in [(addresses(), any::<u16>()), (addresses(), any::<u16>()), (addresses(), any::<u16>())],
        mode in of(modes()),
        state: u32,
        expires_ms: Option<u32>,
        account in of((any::<u32>(), any::<[u64; 4]>())),
    ) -> Connection {
        let [client, service, dest] = ends.map(SocketAddr::from);
        let (silent_ms, local, by) = (expires_ms, mode.map(|_| client), None);
        let account = account.map(|(age, [in_packets, out_packets, in_bytes, out_bytes])| {
            Account { age, in_packets, out_packets, in_bytes, out_bytes }
        });
        Connection {
            protocol, client, service, dest, mode, state, expires_ms, silent_ms, local, account, by,
        }
    }
}

prop_compose! {
    fn templates()(
        network in addresses(),
        prefix: u8,
        address in addresses(),
        port: u16,
        mode in of(modes()),
        expires_ms: Option<u32>,
        call_id in of("[a-z0-9@]{1,255}"),
    ) -> Template {
        Template { network, prefix, dest: DestId { address, port }, mode, expires_ms, call_id }
    }
}

prop_compose! {
    fn configs()(
        seconds in proptest::collection::vec(of(any::<u32>()), 11),
        udp_timeout: Option<u32>,
        conn_max: Option<u64>,
        expire_nodest: Option<bool>,
        local_port_min: Option<u16>,
        local_port_max: Option<u16>,
        toa_kind: Option<u8>,
        switches: [Option<bool>; 4],
        reuse in of(0_u8..3),
        echo in of(0_u8..3),
        whens in [of(0_u32..3), of(0_u32..3)],
        numbers: [Option<u32>; 2],
    ) -> Config {
        let mut tcp_timeouts = TcpTimeouts::default();
        for (state, seconds) in TcpTimeouts::states().zip(seconds) {
            assert!(seconds.is_none_or(|seconds| tcp_timeouts.set(state, seconds)));
        }
        Config {
            tcp_timeouts, udp_timeout, conn_max, expire_nodest, local_port_min, local_port_max,
            toa_kind,
            conn_max_others: conn_max.map(|n| !n),
            sloppy_tcp: switches[0],
            nat_as_fullnat: switches[1],
            conn_reuse: reuse.and_then(ConnReuse::from_number),
            drop_entry: whens[0].and_then(When::from_number),
            drop_packet: whens[1].and_then(When::from_number),
            drop_rate: numbers[0],
            memory_min: numbers[1],
            cache_bypass: switches[2],
            echo: echo.and_then(Echo::from_number),
            expire_quiesced: switches[3],
            places: switches[3].map(|on| Places::ALL[usize::from(on)]),
            conntrack: switches[2].map(|on| Conntrack::ALL[1 + usize::from(on)]),
            unknown: None,
        }
    }
}

prop_compose! {
    fn replies()(
        command: u8,
        generation: Option<u32>,
        service in of(services().boxed()),
        dest in of(dests().boxed()),
        conn in of(conns().boxed()),
        template in of(templates().boxed()),
        [stats, rates] in [of(stats().boxed()), of(stats().boxed())],
        config in of(configs().boxed()),
        laddr in of(addresses()),
        drops in of(any::<u64>()),
    ) -> Reply {
        let counters = drops.map(|drop_no_dest| Counters { drop_no_dest, ..Counters::default() });
        Reply {
            command, generation, service, dest, laddr, conn, template, stats, rates, counters,
            config,
            states: drops.map(|udp| States { udp, ..States::default() }),
            ended: drops,
            selection: drops.map(|_| Selection { silent_ms: Some(7), ..Selection::default() }),
            explanation: drops.map(|_| crate::Explanation::default()),
            sync: drops.map(|n| crate::Daemon {
                device: Some("eth1".to_owned()),
                group: laddr,
                port: Some(n as u16),
                max_len: Some(n as u32),
                ..crate::Daemon::of(if n % 2 == 0 { crate::Role::Master } else { crate::Role::Backup })
            }),
            sync_counters: drops.map(|told| crate::SyncCounters { told, ..Default::default() }),
            parameters: drops.map(|n| format!("ipvs={n}")),
            records: drops.map_or_else(Default::default, |n| {
                crate::Records::of_bytes(vec![0, 2, n as u8, 1, 0, 0]).unwrap()
            }),
            restored: drops.map(|held| crate::Restored { held, ..Default::default() }),
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(reply in replies()) {
        let bytes = encode(&reply.attributes());
        prop_assert_eq!(parse(&bytes, reply.command).unwrap(), reply);
    }

    #[test]
    fn unknown_attributes_are_passed_over(reply in replies(), kind in main::MAX + 1..0x3fff) {
        let mut attributes = reply.attributes();
        attributes.insert(0, Attr::nest(kind, vec![Attr::u8(kind, 1)]));
        prop_assert_eq!(parse(&encode(&attributes), reply.command).unwrap(), reply);
    }

    #[test]
    fn a_reply_cut_short_is_no_panic(reply in replies(), cut in 1_usize..100) {
        let mut bytes = encode(&reply.attributes());
        bytes.truncate(bytes.len().saturating_sub(cut));
        let _ = parse(&bytes, reply.command);
    }

    #[test]
    fn any_bytes_are_a_reply_or_an_error(bytes: Vec<u8>) {
        let _ = parse(&bytes, 1);
    }
}

#[test]
fn settings_that_are_not_known_are_noticed() {
    let id = ServiceId::Marked {
        mark: 7,
        ipv6: false,
    };
    let mut service = crate::service::id_attributes(&id);
    service.push(Attr::u32(service::MAX + 3, 1));
    let mut dest = crate::dest::id_attributes(&DestId {
        address: [192, 0, 2, 1].into(),
        port: 80,
    })
    .to_vec();
    dest.push(Attr::u32(dest::MAX + 1, 1));
    let attributes = [
        Attr::nest(main::SERVICE, service),
        Attr::nest(main::DEST, dest),
        Attr::nest(main::CONFIG, vec![Attr::u32(config::MAX + 2, 1)]),
    ];
    let reply = parse(&encode(&attributes), 4).unwrap();
    assert_eq!(reply.service.unwrap().unknown, Some(service::MAX + 3));
    assert_eq!(reply.dest.unwrap().unknown, Some(dest::MAX + 1));
    assert_eq!(reply.config.unwrap().unknown, Some(config::MAX + 2));
}

#[test]
fn what_must_be_there() {
    let nameless = Attr::nest(main::SERVICE, vec![Attr::text(4, "rr")]);
    let error = parse(&encode(&[nameless]), 4).unwrap_err();
    assert!(error.to_string().contains("service protocol"), "{error}");
}
