// SPDX-License-Identifier: GPL-2.0

//! `IP_VS_SO_GET_*`: by these socket options `ip_vs` was asked before it had a netlink family, and
//! collectd still asks. They know IPv4 only. Those that set something are [`super::sockset`]'s.
//!
//! Layouts are those of `include/uapi/linux/ip_vs.h`, in the host's byte order but for addresses, ports
//! and netmasks.

use core::{
    ffi::c_int,
    fmt::{self, Write},
    net::IpAddr,
};

use kernel::{
    error::{code::*, Result},
    prelude::*,
};

use super::sockname::{named, ADDRESS_AT, BASE, MARK_AT, NAME_LEN, PORT_AT, PROTOCOL_AT};
use super::uapi::IP_VS_VERSION;
use super::{decode, encode, sockset};
use crate::engine::proto::State;
use crate::engine::spec::{Mode, ServiceId};
use crate::kapi::netns::Net;
use crate::kapi::sockopt::{Answer, Asked, Options};
use crate::netlink::view::{DestView, ServiceView};
use crate::sync::{Daemons, ROLES};
use crate::table::{ConfigGuard, Netns, Traffic};

/// What is asked by the numbers from [`BASE`] on.
const VERSION: c_int = BASE;
const INFO: c_int = BASE + 1;
const SERVICES: c_int = BASE + 2;
const SERVICE: c_int = BASE + 3;
const DESTS: c_int = BASE + 4;
const TIMEOUT: c_int = BASE + 6;
const DAEMON: c_int = BASE + 7;

/// Bytes that [`VERSION`] wants to have.
const VERSION_LEN: usize = 64;

/// Bytes of `struct ip_vs_service_entry`, and of what stands before them in a list.
const SERVICE_LEN: usize = 104;
const SERVICES_HEAD: usize = 8;

/// Bytes of `struct ip_vs_dest_entry`, and of what stands before them in a list.
const DEST_LEN: usize = 96;
const DESTS_HEAD: usize = 24;

/// Bytes of `struct ip_vs_daemon_user`.
const DAEMON_LEN: usize = 24;

/// What services by mark have for a protocol: that of TCP, as those that are made by netlink have in `ip_vs`.
const MARKED_PROTOCOL: u16 = 6;

/// Bits of a dest's `conn_flags` beside the forwarding method.
const NO_OUTPUT: u32 = 0x80;
const INACTIVE: u32 = 0x100;

/// The answers, while they are given.
pub(super) type Registered = Options<Sockopt>;

/// Who answers.
pub(super) struct Sockopt;

impl Answer for Sockopt {
    const OPTIONS: (c_int, c_int) = (BASE, DAEMON);

    // IP_VS_SO_SET_ZERO
    const SETS: c_int = BASE + 15;

    fn change(option: c_int, net: &Net, said: &[u8]) -> Result {
        sockset::change(option, net, said)
    }

    fn answer(option: c_int, net: &Net, asked: &Asked<'_>) -> Result<usize> {
        let netns = Netns::of(net).ok_or(ENODEV)?;
        match option {
            VERSION => version(netns, asked),
            INFO => info(&netns.config(), asked),
            SERVICES => services(netns, asked),
            SERVICE => service(netns, asked),
            DESTS => dests(netns, asked),
            TIMEOUT => timeouts(&netns.config(), asked),
            DAEMON => daemons(net, asked),
            _ => Err(EINVAL),
        }
    }
}

/// An answer of `N` bytes while it is put together; what nobody writes is 0.
struct Entry<const N: usize>([u8; N]);

impl<const N: usize> Entry<N> {
    fn new() -> Self {
        Self([0; N])
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let room = self.0.get_mut(at..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    /// `struct ip_vs_stats_user`; its 32 bits overflow as in `ip_vs`.
    fn statistics(&mut self, at: usize, [traffic, rates]: [&Traffic; 2]) {
        let counts = [traffic.connections, traffic.in_packets, traffic.out_packets];
        let rates = [
            rates.connections,
            rates.in_packets,
            rates.out_packets,
            rates.in_bytes,
            rates.out_bytes,
        ];
        for (place, count) in (at..).step_by(4).zip(counts) {
            self.u32(place, count as u32);
        }
        let bytes = at.saturating_add(16);
        for (place, sum) in (bytes..)
            .step_by(8)
            .zip([traffic.in_bytes, traffic.out_bytes])
        {
            self.put(place, &sum.to_ne_bytes());
        }
        for (place, rate) in (bytes.saturating_add(16)..).step_by(4).zip(rates) {
            self.u32(place, rate as u32);
        }
    }
}

/// A text while it is put together.
struct Text {
    bytes: [u8; VERSION_LEN],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.len.saturating_add(more.len());
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(more.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// The version as a text, which ends with a zero byte.
fn version(netns: &Netns, asked: &Asked<'_>) -> Result<usize> {
    let _: [u8; VERSION_LEN] = asked.head()?;
    let [_, major, minor, patch] = IP_VS_VERSION.to_be_bytes();
    let size = netns.config().counters().table_buckets;
    let mut text = Text {
        bytes: [0; VERSION_LEN],
        len: 0,
    };
    write!(
        text,
        "IP Virtual Server version {major}.{minor}.{patch} (size={size})\0"
    )
    .map_err(|_| EINVAL)?;
    asked.write(0, text.bytes.get(..text.len).unwrap_or_default())?;
    Ok(text.len)
}

/// `struct ip_vs_getinfo`.
fn info(config: &ConfigGuard<'_>, asked: &Asked<'_>) -> Result<usize> {
    let mut info = Entry::<12>::new();
    let _: [u8; 12] = asked.head()?;
    info.u32(0, IP_VS_VERSION);
    info.u32(4, config.counters().table_buckets as u32);
    info.u32(8, known(config).count() as u32);
    asked.write(0, &info.0)?;
    Ok(asked.len())
}

/// The services that can be told of.
fn known<'a>(config: &'a ConfigGuard<'_>) -> impl Iterator<Item = &'a crate::table::Service> {
    config.services().filter(|service| !service.id().is_ipv6())
}

/// `struct ip_vs_timeout_user`.
fn timeouts(config: &ConfigGuard<'_>, asked: &Asked<'_>) -> Result<usize> {
    let _: [u8; 12] = asked.head()?;
    let settings = config.settings();
    let mut told = Entry::<12>::new();
    let states = [State::Established, State::FinWait, State::Udp];
    for (at, state) in (0..).step_by(4).zip(states) {
        told.u32(at, settings.timeouts.get(state));
    }
    asked.write(0, &told.0)?;
    Ok(asked.len())
}

/// `struct ip_vs_daemon_user` of the master, and of the backup; 0 of who is not there.
fn daemons(net: &Net, asked: &Asked<'_>) -> Result<usize> {
    let _: [u8; 2 * DAEMON_LEN] = asked.head()?;
    let daemons = Daemons::of(net).ok_or(ENODEV)?;
    let mut told = Entry::<{ 2 * DAEMON_LEN }>::new();
    for (at, role) in (0usize..).step_by(DAEMON_LEN).zip(ROLES) {
        if let Some(daemon) = daemons.get(role) {
            told.u32(at, role.number());
            told.put(at.saturating_add(4), &daemon.device);
            told.u32(at.saturating_add(20), daemon.id.into());
        }
    }
    asked.write(0, &told.0)?;
    Ok(asked.len())
}

/// `struct ip_vs_service_entry`.
fn service_entry(view: &ServiceView) -> Entry<SERVICE_LEN> {
    let mut entry = Entry::new();
    match view.id {
        ServiceId::Marked { mark, .. } => {
            entry.put(PROTOCOL_AT, &MARKED_PROTOCOL.to_ne_bytes());
            entry.u32(MARK_AT, mark);
        }
        ServiceId::Virtual {
            protocol,
            address,
            port,
        } => {
            entry.put(PROTOCOL_AT, &u16::from(protocol.number()).to_ne_bytes());
            entry.put(ADDRESS_AT, &octets(address));
            entry.put(PORT_AT, &port.to_be_bytes());
        }
    }
    entry.put(16, view.spec.scheduler.as_str().as_bytes());
    entry.u32(32, decode::flags(&view.spec));
    entry.u32(36, view.spec.persistence.seconds);
    entry.u32(40, encode::netmask(&view.spec, false));
    entry.u32(44, view.dests);
    entry.statistics(48, [&view.traffic, &view.rates]);
    entry
}

/// `struct ip_vs_dest_entry`.
fn dest_entry(view: &DestView) -> Entry<DEST_LEN> {
    let mut entry = Entry::new();
    let method = encode::method(view.spec.mode);
    let is_answered_by_here = matches!(view.spec.mode, Mode::Nat | Mode::FullNat);
    let no_output = if is_answered_by_here { 0 } else { NO_OUTPUT };
    entry.put(0, &octets(view.id.address));
    entry.put(4, &view.id.port.to_be_bytes());
    for (at, value) in (8..).step_by(4).zip([
        method | no_output | INACTIVE,
        view.spec.weight,
        view.spec.thresholds.upper,
        view.spec.thresholds.lower,
        view.active,
        view.inactive,
        view.templates,
    ]) {
        entry.u32(at, value);
    }
    entry.statistics(40, [&view.traffic, &view.rates]);
    entry
}

fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

/// `struct ip_vs_service_entry` of one.
fn service(netns: &Netns, asked: &Asked<'_>) -> Result<usize> {
    let _: [u8; SERVICE_LEN] = asked.head()?;
    let id = named(&asked.head()?)?;
    let view = netns.config().service(&id).map(ServiceView::new);
    let entry = service_entry(&view.ok_or(ESRCH)?);
    asked.write(0, &entry.0)?;
    Ok(asked.len())
}

/// How many entries there is room for: as many as the program says, which is to have room for just
/// these.
fn room(asked: &Asked<'_>, head: usize, len: usize, said: u32) -> Result<usize> {
    let said = usize::try_from(said).map_err(|_| EINVAL)?;
    let size = said
        .checked_mul(len)
        .and_then(|size| size.checked_add(head));
    if size == Some(asked.len()) {
        Ok(said)
    } else {
        Err(EINVAL)
    }
}

/// `struct ip_vs_get_services`: of as many services as are asked for.
fn services(netns: &Netns, asked: &Asked<'_>) -> Result<usize> {
    let [a, b, c, d, ..]: [u8; SERVICES_HEAD] = asked.head()?;
    let room = room(
        asked,
        SERVICES_HEAD,
        SERVICE_LEN,
        u32::from_ne_bytes([a, b, c, d]),
    )?;
    let mut entries = KVVec::new();
    let config = netns.config();
    for service in known(&config).take(room) {
        let entry = service_entry(&ServiceView::new(service));
        entries.extend_from_slice(&entry.0, GFP_KERNEL_ACCOUNT)?;
    }
    // The program's memory may take its time.
    drop(config);
    asked.write(SERVICES_HEAD, &entries)?;
    Ok(asked.len())
}

/// `struct ip_vs_get_dests`: of as many dests of a service as are asked for, newest first.
fn dests(netns: &Netns, asked: &Asked<'_>) -> Result<usize> {
    let head: [u8; DESTS_HEAD] = asked.head()?;
    let said = head.get(NAME_LEN..).and_then(|said| said.first_chunk());
    let said = u32::from_ne_bytes(*said.ok_or(EINVAL)?);
    let room = room(asked, DESTS_HEAD, DEST_LEN, said)?;
    let id = named(&asked.head()?)?;
    let mut entries = KVVec::new();
    let config = netns.config();
    let service = config.service(&id).ok_or(ESRCH)?;
    let members = service.dests().iter().rev();
    let members = members.filter(|member| member.dest().id().address.is_ipv4());
    for member in members.take(room) {
        let entry = dest_entry(&DestView::new(member));
        entries.extend_from_slice(&entry.0, GFP_KERNEL_ACCOUNT)?;
    }
    drop(config);
    asked.write(DESTS_HEAD, &entries)?;
    Ok(asked.len())
}
