// SPDX-License-Identifier: GPL-2.0

//! From objects to attributes. Nests have no `NLA_F_NESTED`, and the nest of the object comes
//! first: clients look at the first attribute only.

use core::net::IpAddr;

use super::decode::{self, family};
use super::uapi::{dest, forward, main, service, stats};
use crate::engine::persistence::Engine;
use crate::engine::service::ServiceSpec;
use crate::engine::spec::{Mode, ServiceId};
use crate::kapi::genl::{Full, Writer};
use crate::netlink::view::{DestView, ServiceView};
use crate::table::Traffic;

type Result<T = (), E = Full> = core::result::Result<T, E>;

/// Room that a reply takes at most, in bytes; what C clients are prepared for as well.
pub(super) const SIZE: usize = 1024;

/// A service.
pub(super) fn service(w: &mut Writer<'_>, view: &ServiceView) -> Result {
    w.old_nest(main::SERVICE, |w| {
        w.u16(service::AF, family(view.id.is_ipv6()))?;
        match view.id {
            ServiceId::Marked { mark, .. } => w.u32(service::FWMARK, mark)?,
            ServiceId::Virtual {
                protocol,
                address: of,
                port,
            } => {
                w.u16(service::PROTOCOL, u16::from(protocol.number()))?;
                address(w, service::ADDR, of)?;
                w.u16_be(service::PORT, port)?;
            }
        }
        w.str(service::SCHED_NAME, view.spec.scheduler.as_str())?;
        let engine = view.spec.persistence.engine;
        if engine != Engine::Off {
            w.str(service::PE_NAME, engine.name())?;
        }
        let mut flags = [0xff; 8];
        for (to, from) in flags
            .iter_mut()
            .zip(decode::flags(&view.spec).to_ne_bytes())
        {
            *to = from;
        }
        w.bytes(service::FLAGS, &flags)?;
        w.u32(service::TIMEOUT, view.spec.persistence.seconds)?;
        w.u32(service::NETMASK, netmask(&view.spec, view.id.is_ipv6()))?;
        let traffic = [view.traffic, view.rates];
        statistics(w, service::STATS, service::STATS64, &traffic)
    })
}

/// The netmask of persistence: in network order, or for IPv6 the length of the prefix.
pub(super) fn netmask(spec: &ServiceSpec, ipv6: bool) -> u32 {
    match (spec.persistence.prefix, ipv6) {
        (0, true) => 128,
        (len, true) => len.into(),
        (0, false) => u32::MAX,
        (len, false) => {
            let hosts = 32_u32.saturating_sub(len.into());
            u32::MAX.checked_shl(hosts).unwrap_or(u32::MAX).to_be()
        }
    }
}

/// A dest.
pub(super) fn dest(w: &mut Writer<'_>, view: &DestView) -> Result {
    w.old_nest(main::DEST, |w| {
        address(w, dest::ADDR, view.id.address)?;
        w.u16_be(dest::PORT, view.id.port)?;
        w.u32(dest::FWD_METHOD, method(view.spec.mode))?;
        w.u32(dest::WEIGHT, view.spec.weight)?;
        let tunnel = view.spec.tunnel;
        w.u8(dest::TUN_TYPE, tunnel.kind as u8)?;
        w.u16_be(dest::TUN_PORT, tunnel.port)?;
        w.u16(dest::TUN_FLAGS, (tunnel.sum as u8).into())?;
        w.u32(dest::U_THRESH, view.spec.thresholds.upper)?;
        w.u32(dest::L_THRESH, view.spec.thresholds.lower)?;
        w.u32(dest::ACTIVE_CONNS, view.active)?;
        w.u32(dest::INACT_CONNS, view.inactive)?;
        w.u32(dest::PERSIST_CONNS, view.templates)?;
        w.u16(dest::ADDR_FAMILY, family(view.id.address.is_ipv6()))?;
        let traffic = [view.traffic, view.rates];
        statistics(w, dest::STATS, dest::STATS64, &traffic)?;
        if view.spec.mode == Mode::FullNat {
            let mode = view.spec.mode.number();
            w.old_nest(dest::RVS, |w| w.u32(dest::RVS_MODE, mode))?;
        }
        Ok(())
    })
}

/// The forwarding method that stands for a mode. A method that clients do not know would make
/// them print nonsense, so FullNAT is shown as masquerading.
pub(super) fn method(mode: Mode) -> u32 {
    match mode {
        Mode::Dr => forward::ROUTE,
        Mode::Tun => forward::TUNNEL,
        Mode::Local => forward::LOCAL,
        Mode::Nat | Mode::FullNat => forward::MASQUERADE,
    }
}

/// Always 16 bytes.
fn address(w: &mut Writer<'_>, kind: u16, address: IpAddr) -> Result {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(v4) => {
            for (to, from) in bytes.iter_mut().zip(v4.octets()) {
                *to = from;
            }
        }
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    w.bytes(kind, &bytes)
}

/// Counts and rates, with 32 bits cut off as `ip_vs` does, and with 64.
fn statistics(
    w: &mut Writer<'_>,
    short: u16,
    long: u16,
    [traffic, rates]: &[Traffic; 2],
) -> Result {
    let rates = [
        (stats::CPS, rates.connections),
        (stats::INPPS, rates.in_packets),
        (stats::OUTPPS, rates.out_packets),
        (stats::INBPS, rates.in_bytes),
        (stats::OUTBPS, rates.out_bytes),
    ];
    w.old_nest(short, |w| {
        w.u32(stats::CONNS, traffic.connections as u32)?;
        w.u32(stats::INPKTS, traffic.in_packets as u32)?;
        w.u32(stats::OUTPKTS, traffic.out_packets as u32)?;
        w.u64(stats::INBYTES, traffic.in_bytes, stats::PAD)?;
        w.u64(stats::OUTBYTES, traffic.out_bytes, stats::PAD)?;
        rates
            .into_iter()
            .try_for_each(|(kind, rate)| w.u32(kind, rate as u32))
    })?;
    w.old_nest(long, |w| {
        w.u64(stats::CONNS, traffic.connections, stats::PAD)?;
        w.u64(stats::INPKTS, traffic.in_packets, stats::PAD)?;
        w.u64(stats::OUTPKTS, traffic.out_packets, stats::PAD)?;
        w.u64(stats::INBYTES, traffic.in_bytes, stats::PAD)?;
        w.u64(stats::OUTBYTES, traffic.out_bytes, stats::PAD)?;
        rates
            .into_iter()
            .try_for_each(|(kind, rate)| w.u64(kind, rate, stats::PAD))
    })
}
