// SPDX-License-Identifier: GPL-2.0

//! `IP_VS_SO_SET_*`: by these socket options `ip_vs` was told before it had a netlink family, and
//! programs built without libnl still tell it so. They know IPv4 only.
//!
//! Layouts are as in [`super::sockopt`]. What changes so is not told of as an event.

use core::{ffi::c_int, net::Ipv4Addr};

use kernel::error::{code::*, Result};

use super::{
    change::means_fullnat,
    config::{SECONDS_MAX, TIMEOUTS},
    helper::helper_of,
    sockname::{named, part, BASE, NAME_LEN},
    sysctl,
    uapi::{forward, service_flags},
};
use crate::engine::change::Change;
use crate::engine::persistence::Engine;
use crate::engine::sched::{SchedulerName, SCHEDULER_NAME_MAX};
use crate::engine::service::{SchedulerFlags, ServiceSpec, ServiceUpdate};
use crate::engine::spec::{DestId, DestSpec, DestUpdate, Mode, Protocol, ServiceId};
use crate::engine::threshold::Thresholds;
use crate::engine::tunnel::Tunnel;
use crate::kapi::errno::EOPNOTSUPP;
use crate::kapi::netdev;
use crate::kapi::netns::Net;
use crate::netlink::refusal;
use crate::sync::{Daemon, Daemons, Refused, ROLES};
use crate::table::{ConfigGuard, Netns};

const ADD: c_int = BASE + 2;
const EDIT: c_int = BASE + 3;
const DEL: c_int = BASE + 4;
const FLUSH: c_int = BASE + 5;
const ADD_DEST: c_int = BASE + 7;
const DEL_DEST: c_int = BASE + 8;
const EDIT_DEST: c_int = BASE + 9;
const TIMEOUT: c_int = BASE + 10;
const START_DAEMON: c_int = BASE + 11;
const STOP_DAEMON: c_int = BASE + 12;
const ZERO: c_int = BASE + 15;

/// Bytes of `struct ip_vs_service_user`, of that with a `struct ip_vs_dest_user`, of a `struct
/// ip_vs_timeout_user` and of a `struct ip_vs_daemon_user`.
const SERVICE_LEN: usize = 44;
const DEST_LEN: usize = SERVICE_LEN + 24;
const TIMEOUT_LEN: usize = 12;
const DAEMON_LEN: usize = 24;

/// Where parts of these are.
const SCHEDULER_AT: usize = 16;
const FLAGS_AT: usize = 32;
const PERSISTENCE_AT: usize = 36;
const NETMASK_AT: usize = 40;
const DEST_AT: usize = SERVICE_LEN;

/// Does what an option says that sets something. Bytes are as many as the option has.
pub(super) fn change(option: c_int, net: &Net, said: &[u8]) -> Result {
    let len = match option {
        ADD | EDIT | DEL | ZERO => SERVICE_LEN,
        ADD_DEST | DEL_DEST | EDIT_DEST => DEST_LEN,
        TIMEOUT => TIMEOUT_LEN,
        START_DAEMON | STOP_DAEMON => DAEMON_LEN,
        FLUSH => 0,
        // Nobody has ever done anything by the others.
        _ => return Err(EINVAL),
    };
    if said.len() != len {
        return Err(EINVAL);
    }
    if matches!(option, START_DAEMON | STOP_DAEMON) {
        return daemon(net, option == START_DAEMON, said);
    }
    let netns = Netns::of(net).ok_or(ENODEV)?;
    let mut config = netns.config();
    match option {
        FLUSH => config.flush().map_err(|error| refusal::errno(&error)),
        TIMEOUT => timeouts(&mut config, said),
        _ => of_service(&mut config, net, option, said),
    }
}

fn u32_at(said: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_ne_bytes(part(said, at)?))
}

#[inline(never)] // For the frame of who calls it.
fn timeouts(config: &mut ConfigGuard<'_>, said: &[u8]) -> Result {
    let mut settings = config.settings();
    for (at, (_, state)) in (0..).step_by(4).zip(TIMEOUTS) {
        let seconds = u32_at(said, at)?;
        if seconds > SECONDS_MAX {
            return Err(EINVAL);
        }
        if seconds > 0 {
            settings.timeouts.set(state, seconds);
        }
    }
    let set = config.set_settings(settings);
    set.map_err(|error| refusal::errno(&error))
}

#[inline(never)] // For the frame of who calls it.
fn daemon(net: &Net, starts: bool, said: &[u8]) -> Result {
    let state = u32_at(said, 0)?;
    let device: [u8; 16] = part(said, 4)?;
    let id = u32_at(said, 20)?;
    let role = ROLES.into_iter().find(|role| role.number() == state);
    let daemons = Daemons::of(net).ok_or(ENODEV)?;
    if !starts {
        let stopped = role.is_some_and(|role| daemons.stop(role));
        return if stopped { Ok(()) } else { Err(ESRCH) };
    }
    let name = core::ffi::CStr::from_bytes_until_nul(&device).map_err(|_| EINVAL)?;
    let mtu = netdev::mtu(net, name).ok_or(ENODEV)?;
    let role = role.ok_or(EINVAL)?;
    let started = Daemon {
        device,
        // ip_vs writes its last byte.
        id: id as u8,
        max_len: Daemon::length(role, 0, mtu, Daemon::GROUP),
        group: Daemon::GROUP,
        port: Daemon::PORT,
        ttl: Daemon::TTL,
        key_file: None,
    };
    daemons
        .start(role, started, None)
        .map_err(|refused| match refused {
            Refused::Exists => EEXIST,
            Refused::Error(error) => error,
        })
}

/// An option about a service, or a dest of one.
#[inline(never)] // As above.
fn of_service(config: &mut ConfigGuard<'_>, net: &Net, option: c_int, said: &[u8]) -> Result {
    let name: [u8; NAME_LEN] = part(said, 0)?;
    // The address, the port and the mark.
    if option == ZERO && name.iter().skip(4).all(|byte| *byte == 0) {
        return config.zero(None).map_err(|error| refusal::errno(&error));
    }
    let scheduler: [u8; SCHEDULER_NAME_MAX + 1] = part(said, SCHEDULER_AT)?;
    if matches!(option, ADD | EDIT) && !scheduler.contains(&0) {
        return Err(EINVAL);
    }
    let [a, b] = part(said, 0)?;
    let protocol = u8::try_from(u16::from_ne_bytes([a, b])).ok();
    let protocol = protocol.and_then(Protocol::from_number).ok_or(EFAULT)?;
    let id = named(&name)?;
    // Those by mark are of TCP there.
    let is_of_mark = matches!(id, ServiceId::Marked { .. });
    let service = config.service(&id);
    let is_known = service.is_some() && (!is_of_mark || protocol == Protocol::Tcp);
    if option != ADD && !is_known {
        return Err(ESRCH);
    }
    let change = match option {
        ADD if service.is_some() => return Err(EEXIST),
        ADD => Change::ServiceAdd {
            id,
            spec: spec_of_new(service_update(net, said, &scheduler)?, &id)?,
        },
        EDIT => Change::ServiceSet {
            id,
            update: service_update(net, said, &scheduler)?,
        },
        DEL => Change::ServiceDel { id },
        ZERO => {
            return config
                .zero(Some(&id))
                .map_err(|error| refusal::errno(&error))
        }
        _ => of_dest(config, option, id, said)?,
    };
    config.be_lenient();
    config
        .apply(&[change])
        .map_err(|refused| refusal::errno(&refused.error))
}

#[inline(never)] // As above.
fn spec_of_new(mut update: ServiceUpdate, id: &ServiceId) -> Result<ServiceSpec> {
    update.helper = Some(helper_of(id));
    let plain = ServiceSpec::new(update.scheduler.ok_or(EINVAL)?);
    Ok(update.of(&plain))
}

fn service_update(net: &Net, said: &[u8], scheduler: &[u8]) -> Result<ServiceUpdate> {
    let end = scheduler.iter().position(|byte| *byte == 0).unwrap_or(0);
    let name = scheduler.get(..end).unwrap_or_default();
    let name = core::str::from_utf8(name).ok().and_then(SchedulerName::new);
    let name = name.ok_or(ENOENT)?;
    let flags = u32_at(said, FLAGS_AT)?;
    let is_persistent = flags & service_flags::PERSISTENT != 0;
    let netmask = u32::from_be_bytes(part(said, NETMASK_AT)?);
    let len = netmask.leading_ones();
    let is_prefix = len.saturating_add(netmask.trailing_zeros()) >= 32 && len > 0;
    if is_persistent && !is_prefix {
        return Err(EINVAL);
    }
    let bits = (flags & service_flags::SCHEDULER) >> service_flags::SCHEDULER_SHIFT;
    Ok(ServiceUpdate {
        scheduler: Some(name),
        flags: SchedulerFlags::from_bits(bits),
        one_packet: Some(flags & service_flags::ONE_PACKET != 0),
        persistence: Some(match is_persistent {
            true => u32_at(said, PERSISTENCE_AT)?,
            false => 0,
        }),
        prefix: Some(if is_prefix && len < 32 { len as u8 } else { 0 }),
        quiesced: Some(sysctl::quiesced(net)),
        // What it has no word for is none, as with `ip_vs`.
        engine: Some(Engine::Off),
        expiration: sysctl::expiration(net, name.as_str()),
        ..ServiceUpdate::default()
    })
}

fn of_dest(
    config: &ConfigGuard<'_>,
    option: c_int,
    service: ServiceId,
    said: &[u8],
) -> Result<Change> {
    let said = said.get(DEST_AT..).ok_or(EINVAL)?;
    let id = DestId {
        address: Ipv4Addr::from(part::<4>(said, 0)?).into(),
        port: u16::from_be_bytes(part(said, 4)?),
    };
    if option == DEL_DEST {
        return Ok(Change::DestDel { service, id });
    }
    let mut spec = dest_spec(said)?;
    let old = config.dest(&service, &id);
    let is_fullnat = match old.map(|member| member.dest().spec().mode) {
        Ok(mode) => mode == Mode::FullNat,
        Err(_) => means_fullnat(config, &service),
    };
    if spec.mode == Mode::Nat && is_fullnat {
        spec.mode = Mode::FullNat;
    }
    Ok(match option {
        ADD_DEST => Change::DestAdd { service, id, spec },
        _ => Change::DestSet {
            service,
            id,
            update: DestUpdate {
                mode: Some(spec.mode),
                weight: Some(spec.weight),
                upper: Some(spec.thresholds.upper),
                lower: Some(spec.thresholds.lower),
                drain: None,
                tunnel: Some(spec.tunnel),
            },
        },
    })
}

fn dest_spec(said: &[u8]) -> Result<DestSpec> {
    let mode = match u32_at(said, 8)? & forward::MASK {
        forward::MASQUERADE => Mode::Nat,
        forward::LOCAL => Mode::Local,
        forward::TUNNEL => Mode::Tun,
        forward::ROUTE => Mode::Dr,
        _ => return Err(EOPNOTSUPP),
    };
    let (weight, upper, lower) = (u32_at(said, 12)?, u32_at(said, 16)?, u32_at(said, 20)?);
    if i32::try_from(weight).is_err() || lower > upper {
        return Err(ERANGE);
    }
    if i32::try_from(upper).is_err() {
        return Err(EINVAL);
    }
    Ok(DestSpec {
        mode,
        weight,
        thresholds: Thresholds { upper, lower },
        tunnel: Tunnel::IPIP,
    })
}
