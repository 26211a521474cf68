// SPDX-License-Identifier: GPL-2.0

//! Commands about the daemons that tell another director of connections.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kernel::error::{code::*, Result};

use super::nest::{self, Nest, Rule};
use super::policy::POLICY;
use super::uapi::{cmd, daemon, main};
use crate::kapi::genl::{AttrPolicy, Doit, DumpWriter, Dumpit, Full, Progress, Request, Writer};
use crate::kapi::netdev;
use crate::sync::{Daemon, Daemons, Refused, Role, NAME_MAX, ROLES};

const ATTRS: usize = daemon::MAX as usize + 1;

/// `ip_vs_daemon_policy`.
const RULES: [Rule; ATTRS] = {
    let mut rules = [Rule::AtLeast(4); ATTRS];
    rules[0] = Rule::Any;
    rules[daemon::MCAST_IFN as usize] = Rule::Text(NAME_MAX);
    rules[daemon::SYNC_MAXLEN as usize] = Rule::AtLeast(2);
    rules[daemon::MCAST_GROUP6 as usize] = Rule::AtLeast(16);
    rules[daemon::MCAST_PORT as usize] = Rule::AtLeast(2);
    rules[daemon::MCAST_TTL as usize] = Rule::AtLeast(1);
    rules
};

/// NEW_DAEMON.
pub(super) struct New;

impl Doit for New {
    const CMD: u8 = cmd::NEW_DAEMON;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let nest = Nest::new(request, main::DAEMON, "DAEMON", &RULES)?;
        let state = nest::u32(nest.require(daemon::STATE)?);
        let device = nest.require(daemon::MCAST_IFN)?;
        let sync_id = nest::u32(nest.require(daemon::SYNC_ID)?);
        let group = group(&nest)?;
        let name = core::ffi::CStr::from_bytes_until_nul(device.payload()).map_err(|_| EINVAL)?;
        let mtu = netdev::mtu(request.net(), name).ok_or_else(|| {
            nest.refuse(
                ENODEV,
                daemon::MCAST_IFN,
                format_args!("no such network device"),
            )
        })?;
        let role = role(&nest, state)?;
        let wanted = nest.get(daemon::SYNC_MAXLEN).map_or(0, nest::u16);
        let started = Daemon {
            device: nest::bytes(device),
            // ip_vs writes its last byte.
            id: sync_id as u8,
            max_len: Daemon::length(role, wanted, mtu, group),
            group,
            port: match nest.get(daemon::MCAST_PORT).map_or(0, nest::u16) {
                0 => Daemon::PORT,
                port => port,
            },
            ttl: match nest.get(daemon::MCAST_TTL).map_or([0], nest::bytes) {
                [0] => Daemon::TTL,
                [ttl] => ttl,
            },
            key_file: None,
        };
        let daemons = Daemons::of(request.net()).ok_or(ENODEV)?;
        daemons
            .start(role, started, None)
            .map_err(|refused| match refused {
                Refused::Exists => nest.refuse(
                    EEXIST,
                    daemon::STATE,
                    format_args!("a {} daemon runs already", role.name()),
                ),
                Refused::Error(error) => nest.refuse(
                    error,
                    daemon::MCAST_IFN,
                    format_args!("no socket for {group} by this device"),
                ),
            })
    }
}

/// DEL_DAEMON.
pub(super) struct Del;

impl Doit for Del {
    const CMD: u8 = cmd::DEL_DAEMON;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let nest = Nest::new(request, main::DAEMON, "DAEMON", &RULES)?;
        let role = role(&nest, nest::u32(nest.require(daemon::STATE)?))?;
        let daemons = Daemons::of(request.net()).ok_or(ENODEV)?;
        if daemons.stop(role) {
            return Ok(());
        }
        Err(nest.refuse(
            ESRCH,
            daemon::STATE,
            format_args!("no {} daemon runs", role.name()),
        ))
    }
}

/// GET_DAEMON.
pub(super) struct Get;

impl Dumpit for Get {
    const CMD: u8 = cmd::GET_DAEMON;
    const POLICY: &'static [AttrPolicy] = &POLICY;
    /// How many roles were looked at.
    type State = usize;

    fn start(_request: &Request<'_>) -> Result<usize> {
        Ok(0)
    }

    fn dump(request: &Request<'_>, seen: &mut usize, out: &mut DumpWriter<'_>) -> Result<Progress> {
        let Some(daemons) = Daemons::of(request.net()) else {
            return Ok(Progress::Done);
        };
        for role in ROLES.into_iter().skip(*seen) {
            if let Some(daemon) = daemons.get(role) {
                let full = out.message(cmd::NEW_DAEMON, |w| encode(w, role, &daemon));
                if full.is_err() {
                    return Ok(Progress::More);
                }
            }
            *seen = seen.saturating_add(1);
        }
        Ok(Progress::Done)
    }
}

fn encode(w: &mut Writer<'_>, role: Role, daemon: &Daemon) -> Result<(), Full> {
    w.old_nest(main::DAEMON, |w| {
        w.u32(daemon::STATE, role.number())?;
        w.str(daemon::MCAST_IFN, daemon.device_name())?;
        w.u32(daemon::SYNC_ID, daemon.id.into())?;
        w.u16(daemon::SYNC_MAXLEN, daemon.max_len)?;
        w.u16(daemon::MCAST_PORT, daemon.port)?;
        w.u8(daemon::MCAST_TTL, daemon.ttl)?;
        match daemon.group {
            IpAddr::V4(group) => w.bytes(daemon::MCAST_GROUP, &group.octets()),
            IpAddr::V6(group) => w.bytes(daemon::MCAST_GROUP6, &group.octets()),
        }
    })
}

fn role(nest: &Nest<'_, '_, ATTRS>, state: u32) -> Result<Role> {
    let mut roles = ROLES.into_iter();
    roles.find(|role| role.number() == state).ok_or_else(|| {
        nest.refuse(
            EINVAL,
            daemon::STATE,
            format_args!("state {state} is neither master (1) nor backup (2)"),
        )
    })
}

fn group(nest: &Nest<'_, '_, ATTRS>) -> Result<IpAddr> {
    let v4 = nest.get(daemon::MCAST_GROUP);
    let (kind, group) = match (v4, nest.get(daemon::MCAST_GROUP6)) {
        (Some(attr), _) => (
            daemon::MCAST_GROUP,
            IpAddr::V4(Ipv4Addr::from(nest::bytes::<4>(attr))),
        ),
        (None, Some(attr)) => (
            daemon::MCAST_GROUP6,
            IpAddr::V6(Ipv6Addr::from(nest::bytes::<16>(attr))),
        ),
        (None, None) => return Ok(Daemon::GROUP),
    };
    if !group.is_multicast() {
        let text = "is not a multicast address";
        return Err(nest.refuse(EINVAL, kind, format_args!("{group} {text}")));
    }
    Ok(group)
}
