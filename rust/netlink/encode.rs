// SPDX-License-Identifier: GPL-2.0

//! From objects to attributes, and how much room they take at most.

use core::net::IpAddr;

use super::generated::{
    account, config, conn, counters, dest, explanation, laddr, main, rates, restored, selection,
    service, states, stats, sync_counters, tcp_timeouts, template,
};
use super::view::{DestView, LocalView, ServiceView};
use crate::engine::persistence::{self, Persistence};
use crate::engine::proto::State;
use crate::engine::sched::SCHEDULER_NAME_MAX;
use crate::engine::selection::Selection;
use crate::engine::spec::{Mode, ServiceId};
use crate::kapi::genl::{attr_size, Full, Writer};
use crate::table::{
    Account, ConfigGuard, ConnView, Counters, Explanation, Settings, TemplateView, Traffic,
};

pub(super) type Result<T = (), E = Full> = core::result::Result<T, E>;

const U8: usize = attr_size(1);
const U16: usize = attr_size(2);
const U32: usize = attr_size(4);
const UINT: usize = attr_size(8);
const ADDRESS: usize = attr_size(16);
const TRAFFIC: usize =
    attr_size(stats::MAX as usize * UINT) + attr_size(rates::MAX as usize * UINT);
const SERVICE_ID: usize = attr_size(U8 + ADDRESS + U16);

/// Room that [`service`] takes at most, in bytes.
pub(super) const SERVICE_SIZE: usize = U32
    + attr_size(
        SERVICE_ID
            + attr_size(SCHEDULER_NAME_MAX + 1)
            + 12 * U32
            + 6 * U8
            + attr_size(tcp_timeouts::MAX as usize * U32)
            + TRAFFIC,
    );

/// Room that [`dest`] takes at most, in bytes.
pub(super) const DEST_SIZE: usize =
    U32 + SERVICE_ID + attr_size(ADDRESS + 2 * U16 + 11 * U32 + 2 * UINT + TRAFFIC);

/// Room that [`deed`] takes at most, in bytes.
pub(super) const DEED_SIZE: usize = U32 + SERVICE_ID;

/// Room that [`selection`] takes at most, in bytes.
pub(super) const SELECTION_SIZE: usize = attr_size(3 * U8 + 3 * ADDRESS + 3 * U16 + 4 * U32);

/// Room that [`explanation`] takes at most, in bytes.
pub(super) const EXPLANATION_SIZE: usize =
    SERVICE_ID + attr_size(ADDRESS + U16 + U32) + attr_size(5 * U8);

/// Room that [`ended`] takes, in bytes.
pub(super) const ENDED_SIZE: usize = UINT;

/// Room that [`local`] takes at most, in bytes.
pub(super) const LOCAL_SIZE: usize = U32 + SERVICE_ID + attr_size(ADDRESS);

/// Room that [`statistics`] take at most, in bytes.
pub(super) const STATISTICS_SIZE: usize = U32
    + TRAFFIC
    + attr_size(counters::MAX as usize * UINT)
    + attr_size(states::MAX as usize * UINT);

/// Bytes of the reply of sync-get.
pub(super) const SYNC_COUNTERS_SIZE: usize = attr_size(sync_counters::MAX as usize * UINT);

/// Room that [`restored`] takes at most, in bytes.
pub(super) const RESTORED_SIZE: usize = attr_size(restored::MAX as usize * UINT);

/// Room that [`settings`] take at most, in bytes.
pub(super) const SETTINGS_SIZE: usize = U32
    + attr_size(
        attr_size(tcp_timeouts::MAX as usize * U32) + 5 * U32 + 2 * UINT + 8 * U8 + 2 * U16,
    );

/// The attributes of `tcp-timeouts` and their states.
pub(super) const TCP_TIMEOUTS: [(u16, State); tcp_timeouts::MAX as usize] = [
    (tcp_timeouts::NONE, State::None),
    (tcp_timeouts::ESTABLISHED, State::Established),
    (tcp_timeouts::SYN_SENT, State::SynSent),
    (tcp_timeouts::SYN_RECV, State::SynRecv),
    (tcp_timeouts::FIN_WAIT, State::FinWait),
    (tcp_timeouts::TIME_WAIT, State::TimeWait),
    (tcp_timeouts::CLOSE, State::Close),
    (tcp_timeouts::CLOSE_WAIT, State::CloseWait),
    (tcp_timeouts::LAST_ACK, State::LastAck),
    (tcp_timeouts::LISTEN, State::Listen),
    (tcp_timeouts::SYNACK, State::SynAck),
];

/// The reply of service-get.
pub(super) fn service(w: &mut Writer<'_>, generation: u32, view: &ServiceView) -> Result {
    w.u32(main::GENERATION, generation)?;
    w.nest(main::SERVICE, |w| {
        service_id(w, &view.id)?;
        let spec = &view.spec;
        w.str(service::SCHEDULER, spec.scheduler.as_str())?;
        w.u32(service::SCHED_FLAGS, spec.flags.bits())?;
        w.u32(service::MH_SIZE, spec.mh_size)?;
        w.u32(service::SCHED_EXPIRATION, spec.expiration)?;
        w.u8(service::ONE_PACKET, u8::from(spec.one_packet))?;
        w.u8(service::RANDOM_START, u8::from(spec.random_start))?;
        let rule = &spec.persistence;
        w.u32(service::PERSISTENCE, rule.seconds)?;
        w.u8(service::PERSISTENCE_PREFIX, rule.prefix)?;
        w.u8(service::PERSISTENCE_QUIESCED, u8::from(rule.quiesced))?;
        w.u8(service::PERSISTENCE_ENGINE, rule.engine.number())?;
        w.nest(service::TCP_TIMEOUTS, |w| {
            let mut timeouts = TCP_TIMEOUTS.iter();
            timeouts.try_for_each(|&(kind, state)| w.u32(kind, spec.timeouts.get(state)))
        })?;
        w.u32(service::UDP_TIMEOUT, spec.timeouts.get(State::Udp))?;
        w.u32(service::REMOVED, spec.removed.number())?;
        let quiesced = spec.quiesced_flows.number();
        w.u32(service::QUIESCED_FLOWS, quiesced)?;
        w.u32(service::TEMPLATES, view.templates)?;
        w.u32(service::SLOW_START, spec.slow_start)?;
        w.u8(service::TOA, spec.toa)?;
        w.u8(service::ACCOUNT, spec.account.into())?;
        w.u8(service::HELPER, spec.helper.number())?;
        w.u32(service::DESTS, view.dests)?;
        w.u32(service::ACTIVE, view.active)?;
        w.u32(service::INACTIVE, view.inactive)?;
        w.nest(service::STATS, |w| traffic(w, &view.traffic))?;
        w.nest(service::RATES, |w| traffic(w, &view.rates))
    })
}

/// The reply of dest-get.
pub(super) fn dest(w: &mut Writer<'_>, generation: u32, view: &DestView) -> Result {
    w.u32(main::GENERATION, generation)?;
    w.nest(main::SERVICE, |w| service_id(w, &view.service))?;
    w.nest(main::DEST, |w| {
        address(w, dest::ADDRESS, view.id.address)?;
        w.u16_be(dest::PORT, view.id.port)?;
        w.u32(dest::MODE, view.spec.mode.number())?;
        w.u32(dest::WEIGHT, view.spec.weight)?;
        w.u32(dest::UPPER_THRESHOLD, view.spec.thresholds.upper)?;
        w.u32(dest::LOWER_THRESHOLD, view.spec.thresholds.lower)?;
        if let Some(seconds) = view.drain {
            w.u32(dest::DRAIN, seconds)?;
        }
        w.u32(dest::DRAIN_ENDED, view.drain_ended)?;
        if view.spec.mode == Mode::Tun {
            let tunnel = view.spec.tunnel;
            w.u32(dest::TUNNEL_KIND, tunnel.kind as u32)?;
            w.u16_be(dest::TUNNEL_PORT, tunnel.port)?;
            w.u32(dest::TUNNEL_CHECKSUM, tunnel.sum as u32)?;
        }
        w.uint(dest::NO_PORT, view.lacked_ports)?;
        w.uint(dest::NO_REPLY, view.unanswered)?;
        w.u32(dest::ACTIVE, view.active)?;
        w.u32(dest::INACTIVE, view.inactive)?;
        w.u32(dest::TEMPLATES, view.templates)?;
        w.nest(dest::STATS, |w| traffic(w, &view.traffic))?;
        w.nest(dest::RATES, |w| traffic(w, &view.rates))
    })
}

/// One message of the reply of laddr-get.
pub(super) fn local(w: &mut Writer<'_>, generation: u32, view: &LocalView) -> Result {
    w.u32(main::GENERATION, generation)?;
    if let Some(id) = &view.service {
        w.nest(main::SERVICE, |w| service_id(w, id))?;
    }
    w.nest(main::LADDR, |w| address(w, laddr::ADDRESS, view.address))
}

/// One message of the reply of template-get.
pub(super) fn template(
    w: &mut Writer<'_>,
    generation: u32,
    (id, rule): (&ServiceId, &Persistence),
    view: &TemplateView,
) -> Result {
    w.u32(main::GENERATION, generation)?;
    w.nest(main::SERVICE, |w| service_id(w, id))?;
    w.nest(main::TEMPLATE, |w| {
        let ipv6 = id.is_ipv6();
        address(
            w,
            template::NETWORK,
            persistence::address(view.network, ipv6),
        )?;
        w.u8(template::PREFIX, rule.prefix_len(ipv6))?;
        address(w, template::DEST_ADDRESS, view.dest.address)?;
        w.u16_be(template::DEST_PORT, view.dest.port)?;
        w.u32(template::MODE, view.mode.number())?;
        w.u32(template::EXPIRES, view.expires_ms)?;
        match core::str::from_utf8(view.call_id()) {
            Ok("") | Err(_) => Ok(()),
            Ok(call) => w.str(template::CALL_ID, call),
        }
    })
}

/// One message of the reply of conn-get.
pub(super) fn connection(w: &mut Writer<'_>, view: &ConnView) -> Result {
    // Mostly its virtual address says which.
    if !view.is_of_own_address() {
        w.nest(main::SERVICE, |w| service_id(w, &view.service))?;
    }
    w.nest(main::CONN, |w| {
        w.u8(conn::PROTOCOL, view.protocol.number())?;
        address(w, conn::CLIENT_ADDRESS, view.client.ip())?;
        w.u16_be(conn::CLIENT_PORT, view.client.port())?;
        address(w, conn::VIRTUAL_ADDRESS, view.vip.ip())?;
        w.u16_be(conn::VIRTUAL_PORT, view.vip.port())?;
        address(w, conn::DEST_ADDRESS, view.dest.ip())?;
        w.u16_be(conn::DEST_PORT, view.dest.port())?;
        w.u32(conn::MODE, view.mode.number())?;
        w.u32(conn::STATE, u32::from(view.state.number()))?;
        w.u32(conn::EXPIRES, view.expires_ms)?;
        w.u32(conn::SILENT, view.silent_ms)?;
        if let Some(local) = view.local {
            address(w, conn::LOCAL_ADDRESS, local.ip())?;
            w.u16_be(conn::LOCAL_PORT, local.port())?;
        }
        match &view.account {
            Some(of) => w.nest(conn::ACCOUNT, |w| account(w, of)),
            None => Ok(()),
        }
    })
}

/// What one connection carried.
fn account(w: &mut Writer<'_>, of: &Account) -> Result {
    w.u32(account::AGE, of.age)?;
    w.uint(account::IN_PACKETS, of.in_packets)?;
    w.uint(account::OUT_PACKETS, of.out_packets)?;
    w.uint(account::IN_BYTES, of.in_bytes)?;
    w.uint(account::OUT_BYTES, of.out_bytes)
}

/// The reply of explain.
pub(super) fn explanation(w: &mut Writer<'_>, told: &Explanation) -> Result {
    if let Some(id) = &told.service {
        w.nest(main::SERVICE, |w| service_id(w, id))?;
    }
    if let Some((id, mode)) = &told.dest {
        w.nest(main::DEST, |w| {
            address(w, dest::ADDRESS, id.address)?;
            w.u16_be(dest::PORT, id.port)?;
            w.u32(dest::MODE, mode.number())
        })?;
    }
    w.nest(main::EXPLANATION, |w| {
        w.u8(explanation::LOOKED_AT, told.is_looked_at.into())?;
        w.u8(explanation::ROOM, told.has_room.into())?;
        w.u8(explanation::PRESSED, told.is_pressed.into())?;
        w.u8(explanation::TEMPLATE, told.by_template.into())?;
        w.u8(explanation::RULES, told.meets_rules.into())
    })
}

/// What became of records.
pub(super) fn restored(w: &mut Writer<'_>, counts: &[u64]) -> Result {
    w.nest(main::RESTORED, |w| {
        let mut kinds = (1..=restored::MAX).zip(counts);
        kinds.try_for_each(|(kind, count)| w.uint(kind, *count))
    })
}

/// How many connections were ended.
pub(super) fn ended(w: &mut Writer<'_>, number: u64) -> Result {
    w.uint(main::ENDED, number)
}

/// Which connections were meant, where not all.
pub(super) fn selection(w: &mut Writer<'_>, selected: &Selection) -> Result {
    if selected.is_all() {
        return Ok(());
    }
    w.nest(main::SELECTION, |w| {
        if let Some(protocol) = selected.protocol {
            w.u8(selection::PROTOCOL, protocol.number())?;
        }
        if let Some(client) = selected.client {
            address(w, selection::CLIENT_ADDRESS, client.address())?;
            w.u8(selection::CLIENT_PREFIX, client.bits())?;
        }
        if let Some(port) = selected.client_port {
            w.u16_be(selection::CLIENT_PORT, port)?;
        }
        if let Some(end) = selected.virtual_address {
            address(w, selection::VIRTUAL_ADDRESS, end.ip())?;
            w.u16_be(selection::VIRTUAL_PORT, end.port())?;
        }
        if let Some(dest) = selected.dest {
            address(w, selection::DEST_ADDRESS, dest.address())?;
            w.u8(selection::DEST_PREFIX, dest.bits())?;
        }
        if let Some(port) = selected.dest_port {
            w.u16_be(selection::DEST_PORT, port)?;
        }
        if let Some(mode) = selected.mode {
            w.u32(selection::MODE, mode.number())?;
        }
        if let Some(state) = selected.state {
            w.u32(selection::STATE, u32::from(state.number()))?;
        }
        if let Some(ms) = selected.silent_ms {
            w.u32(selection::SILENT, ms)?;
        }
        match selected.age {
            Some(seconds) => w.u32(selection::AGE, seconds),
            None => Ok(()),
        }
    })
}

/// The event of something that was done to a service, or to the namespace.
pub(super) fn deed(w: &mut Writer<'_>, generation: u32, service: Option<&ServiceId>) -> Result {
    w.u32(main::GENERATION, generation)?;
    match service {
        Some(id) => w.nest(main::SERVICE, |w| service_id(w, id)),
        None => Ok(()),
    }
}

/// The reply of stats-get.
pub(super) fn statistics(w: &mut Writer<'_>, config: &ConfigGuard<'_>) -> Result {
    w.u32(main::GENERATION, config.generation())?;
    w.nest(main::STATS, |w| traffic(w, &config.traffic()))?;
    w.nest(main::RATES, |w| traffic(w, &config.rates()))?;
    w.nest(main::COUNTERS, |w| counters(w, &config.counters()))?;
    w.nest(main::STATES, |w| states(w, config))
}

/// The reply of config-get.
pub(super) fn settings(w: &mut Writer<'_>, config: &ConfigGuard<'_>) -> Result {
    let settings: Settings = config.settings();
    let is_of_first = config.is_of_first();
    w.u32(main::GENERATION, config.generation())?;
    w.nest(main::CONFIG, |w| {
        w.nest(config::TCP_TIMEOUTS, |w| {
            TCP_TIMEOUTS
                .iter()
                .try_for_each(|&(kind, state)| w.u32(kind, settings.timeouts.get(state)))
        })?;
        w.u32(config::UDP_TIMEOUT, settings.timeouts.get(State::Udp))?;
        w.uint(config::CONN_MAX, settings.conn_max)?;
        w.u8(config::EXPIRE_NODEST, u8::from(settings.expire_nodest))?;
        w.u16_be(config::LOCAL_PORT_MIN, settings.local_ports.first)?;
        w.u16_be(config::LOCAL_PORT_MAX, settings.local_ports.last)?;
        w.u8(config::TOA_KIND, settings.toa_kind)?;
        w.u8(config::SLOPPY_TCP, u8::from(settings.sloppy_tcp))?;
        w.u8(config::CONN_REUSE, settings.conn_reuse.number())?;
        w.u8(config::NAT_AS_FULLNAT, u8::from(settings.nat_as_fullnat))?;
        w.u32(config::DROP_ENTRY, settings.drop_entry.number())?;
        w.u32(config::DROP_PACKET, settings.drop_packet.number())?;
        w.u32(config::DROP_RATE, settings.drop_rate)?;
        w.u32(config::MEMORY_MIN, settings.memory_min)?;
        w.u8(config::CACHE_BYPASS, u8::from(settings.cache_bypass))?;
        w.u8(config::ECHO, settings.echo.number())?;
        w.u8(config::EXPIRE_QUIESCED, u8::from(settings.expire_quiesced))?;
        w.u8(config::PLACES, settings.places.number())?;
        w.u8(config::CONNTRACK, settings.conntrack.number())?;
        if is_of_first {
            w.uint(config::CONN_MAX_OTHERS, settings.conn_max_others)?;
        }
        Ok(())
    })
}

fn service_id(w: &mut Writer<'_>, id: &ServiceId) -> Result {
    match *id {
        ServiceId::Virtual {
            protocol,
            address: of,
            port,
        } => {
            w.u8(service::PROTOCOL, protocol.number())?;
            address(w, service::ADDRESS, of)?;
            w.u16_be(service::PORT, port)
        }
        ServiceId::Marked { mark, ipv6 } => {
            w.u32(service::MARK, mark)?;
            w.u8(service::IP_VERSION, if ipv6 { 6 } else { 4 })
        }
    }
}

pub(super) fn address(w: &mut Writer<'_>, kind: u16, address: IpAddr) -> Result {
    match address {
        IpAddr::V4(v4) => w.bytes(kind, &v4.octets()),
        IpAddr::V6(v6) => w.bytes(kind, &v6.octets()),
    }
}

/// Traffic, or its rates: the sets `stats` and `rates` have the same attributes.
fn traffic(w: &mut Writer<'_>, traffic: &Traffic) -> Result {
    w.uint(stats::CONNECTIONS, traffic.connections)?;
    w.uint(stats::IN_PACKETS, traffic.in_packets)?;
    w.uint(stats::OUT_PACKETS, traffic.out_packets)?;
    w.uint(stats::IN_BYTES, traffic.in_bytes)?;
    w.uint(stats::OUT_BYTES, traffic.out_bytes)?;
    w.uint(stats::DROPS, traffic.drops)?;
    w.uint(stats::NO_REPLY, traffic.unanswered)
}

fn states(w: &mut Writer<'_>, config: &ConfigGuard<'_>) -> Result {
    const { assert!(states::MAX == State::SctpClosed as u16 + 1) };
    State::all().try_for_each(|state| {
        let number = config.connections_in(state);
        w.uint(u16::from(state.number()) + 1, number.into())
    })
}

fn counters(w: &mut Writer<'_>, counters: &Counters) -> Result {
    w.uint(counters::CONNS_NOW, counters.conns_now)?;
    w.uint(counters::CONNS_EXPIRED, counters.conns_expired)?;
    w.uint(counters::TABLE_BUCKETS, counters.table_buckets)?;
    w.uint(counters::TABLE_RESIZES, counters.table_resizes)?;
    w.uint(counters::DROP_MALFORMED, counters.drop_malformed)?;
    w.uint(counters::DROP_NO_DEST, counters.drop_no_dest)?;
    w.uint(counters::DROP_NO_MEMORY, counters.drop_no_memory)?;
    w.uint(counters::DROP_CONN_MAX, counters.drop_conn_max)?;
    w.uint(counters::DROP_NO_ROUTE, counters.drop_no_route)?;
    w.uint(counters::DROP_DEST_GONE, counters.drop_dest_gone)?;
    w.uint(counters::DROP_TOO_BIG, counters.drop_too_big)?;
    w.uint(counters::NOT_SYN, counters.not_syn)?;
    w.uint(counters::SLOW_XMIT, counters.slow_xmit)?;
    w.uint(counters::ROUTE_REFRESHES, counters.route_refreshes)?;
    w.uint(counters::DROP_NO_PORT, counters.drop_no_port)?;
    w.uint(counters::DROP_OVERLOAD, counters.drop_overload)?;
    w.uint(counters::CONNS_DROPPED, counters.conns_dropped)?;
    w.uint(counters::DROP_OUTPUT, counters.drop_output)?;
    w.uint(counters::NO_REPLY, counters.no_reply)?;
    w.uint(counters::TEMPLATES_NOW, counters.templates_now)?;
    w.uint(counters::TEMPLATES_DROPPED, counters.templates_dropped)?;
    w.uint(counters::DROP_MARTIAN, counters.drop_martian)?;
    w.uint(counters::INPUT_RULES, counters.input_rules)?;
    w.uint(counters::XDP_TAKEN, counters.xdp_taken)?;
    w.uint(counters::XDP_PASS_NEW, counters.xdp_pass_new)?;
    w.uint(counters::XDP_PASS_ODD, counters.xdp_pass_odd)?;
    w.uint(counters::XDP_PASS_CARE, counters.xdp_pass_care)?;
    w.uint(counters::XDP_PASS_MODE, counters.xdp_pass_mode)?;
    w.uint(counters::XDP_PASS_WAY, counters.xdp_pass_way)?;
    w.uint(counters::XDP_PASS_SIZE, counters.xdp_pass_size)?;
    w.uint(counters::XDP_PASS_DEVICE, counters.xdp_pass_device)?;
    w.uint(counters::CONNTRACK_FAST, counters.conntrack_fast)?;
    w.uint(counters::HELPER_NO_ROOM, counters.helper_no_room)
}
