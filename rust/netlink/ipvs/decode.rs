// SPDX-License-Identifier: GPL-2.0

//! From attributes to descriptions of services and dests.
//!
//! All that a client may say and RVS does not do is refused here, each at one place.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kernel::error::{code::*, Result};

use super::nest::{self, Nest, Rule};
use super::uapi::{dest, forward, main, service, service_flags};
use crate::engine::persistence::Engine;
use crate::engine::sched::{SchedulerName, SCHEDULER_NAME_MAX};
use crate::engine::service::{SchedulerFlags, ServiceSpec, ServiceUpdate};
use crate::engine::spec::{DestId, DestSpec, Mode, Protocol, ServiceId};
use crate::engine::threshold::Thresholds;
use crate::engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use crate::kapi::errno::{EAFNOSUPPORT, EOPNOTSUPP, EPROTONOSUPPORT};
use crate::kapi::genl::{Attr, Request};

/// Address families, as sockets number them.
pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;

const SERVICE: usize = service::MAX as usize + 1;
const DEST: usize = dest::MAX as usize + 1;

type ServiceNest<'a, 'r> = Nest<'a, 'r, SERVICE>;
type DestNest<'a, 'r> = Nest<'a, 'r, DEST>;

/// `ip_vs_svc_policy`.
const SERVICE_RULES: [Rule; SERVICE] = {
    let mut rules = [Rule::Any; SERVICE];
    rules[service::AF as usize] = Rule::AtLeast(2);
    rules[service::PROTOCOL as usize] = Rule::AtLeast(2);
    rules[service::ADDR as usize] = Rule::AtMost(16);
    rules[service::PORT as usize] = Rule::AtLeast(2);
    rules[service::FWMARK as usize] = Rule::AtLeast(4);
    rules[service::SCHED_NAME as usize] = Rule::Text(SCHEDULER_NAME_MAX);
    rules[service::FLAGS as usize] = Rule::AtMost(8);
    rules[service::TIMEOUT as usize] = Rule::AtLeast(4);
    rules[service::NETMASK as usize] = Rule::AtLeast(4);
    rules[service::STATS as usize] = Rule::Nest;
    rules[service::PE_NAME as usize] = Rule::Text(16);
    rules
};

/// `ip_vs_dest_policy`.
const DEST_RULES: [Rule; DEST] = {
    let mut rules = [Rule::AtLeast(4); DEST];
    rules[0] = Rule::Any;
    rules[dest::ADDR as usize] = Rule::AtMost(16);
    rules[dest::PORT as usize] = Rule::AtLeast(2);
    rules[dest::STATS as usize] = Rule::Nest;
    rules[dest::ADDR_FAMILY as usize] = Rule::AtLeast(2);
    rules[dest::STATS64 as usize] = Rule::Any;
    rules[dest::TUN_TYPE as usize] = Rule::AtLeast(1);
    rules[dest::TUN_PORT as usize] = Rule::AtLeast(2);
    rules[dest::TUN_FLAGS as usize] = Rule::AtLeast(2);
    rules
};

/// What a request calls a service.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// One that RVS can have.
    Service(ServiceId),
    /// A protocol that RVS does not balance.
    Protocol(u16),
}

/// The service of a request.
pub(super) struct ServiceRequest<'a, 'r> {
    /// What it is called.
    pub(super) named: Named,
    /// Its nest.
    pub(super) nest: ServiceNest<'a, 'r>,
}

impl<'a, 'r> ServiceRequest<'a, 'r> {
    /// Reads what names it. `EINVAL` when that is missing or malformed, `EAFNOSUPPORT`.
    pub(super) fn new(request: &'r Request<'a>) -> Result<Self> {
        let nest = Nest::new(request, main::SERVICE, "SERVICE", &SERVICE_RULES)?;
        let af = nest::u16(nest.require(service::AF)?);
        let named = match nest.get(service::FWMARK) {
            Some(mark) => {
                check_family(&nest, service::AF, af)?;
                Named::Service(ServiceId::Marked {
                    mark: nest::u32(mark),
                    ipv6: af == AF_INET6,
                })
            }
            None => {
                let protocol = nest::u16(nest.require(service::PROTOCOL)?);
                let address = nest.require(service::ADDR)?;
                let port = nest::u16_be(nest.require(service::PORT)?);
                check_family(&nest, service::AF, af)?;
                let known = u8::try_from(protocol).ok();
                match known.and_then(Protocol::from_number) {
                    Some(protocol) => Named::Service(ServiceId::Virtual {
                        protocol,
                        address: ip_address(af, address),
                        port,
                    }),
                    None => Named::Protocol(protocol),
                }
            }
        };
        Ok(Self { named, nest })
    }

    /// The id of a service that may be there.
    pub(super) fn id(&self) -> Option<ServiceId> {
        match self.named {
            Named::Service(id) => Some(id),
            _ => None,
        }
    }

    /// The id of a service that is to be added.
    pub(super) fn new_id(&self) -> Result<ServiceId> {
        match self.named {
            Named::Service(id) => Ok(id),
            Named::Protocol(number) => Err(self.nest.refuse(
                EPROTONOSUPPORT,
                service::PROTOCOL,
                format_args!("protocol {number} is not balanced, only TCP, UDP and SCTP"),
            )),
        }
    }

    /// Checks that all attributes of a full description are there.
    pub(super) fn check_full(&self) -> Result {
        let kinds = [
            service::SCHED_NAME,
            service::FLAGS,
            service::TIMEOUT,
            service::NETMASK,
        ];
        kinds
            .into_iter()
            .try_for_each(|kind| self.nest.require(kind).map(|_| ()))
    }

    /// The settings of a full description; refuses those that RVS does not have. What the request
    /// cannot say stays as in `old`.
    /// `quiesced` is what the namespace says of persistence and dests without weight.
    pub(super) fn update(&self, old: Option<ServiceSpec>, quiesced: bool) -> Result<ServiceUpdate> {
        let scheduler = self.scheduler()?;
        let [a, b, c, d, e, f, g, h] = nest::bytes(self.nest.require(service::FLAGS)?);
        let mask = u32::from_ne_bytes([e, f, g, h]);
        let new = u32::from_ne_bytes([a, b, c, d]);
        let flags = (old.as_ref().map_or(0, flags) & !mask) | (new & mask);
        let is_persistent = flags & service_flags::PERSISTENT != 0;
        let prefix = self.prefix(is_persistent)?;
        let persistence = if is_persistent {
            self.nest.u32_or_zero(service::TIMEOUT)
        } else {
            0
        };
        let bits = (flags & service_flags::SCHEDULER) >> service_flags::SCHEDULER_SHIFT;
        Ok(ServiceUpdate {
            scheduler: Some(scheduler),
            flags: SchedulerFlags::from_bits(bits),
            one_packet: Some(flags & service_flags::ONE_PACKET != 0),
            persistence: Some(persistence),
            prefix: Some(prefix),
            quiesced: Some(quiesced),
            engine: Some(self.engine()?),
            ..ServiceUpdate::default()
        })
    }

    /// The prefix that persistence goes by; 0 for whole addresses. As in `ip_vs`, that of IPv6 has
    /// to be one even where there is no persistence.
    fn prefix(&self, is_persistent: bool) -> Result<u8> {
        let mask: [u8; 4] = nest::bytes(self.nest.require(service::NETMASK)?);
        let is_v6 = nest::u16(self.nest.require(service::AF)?) == AF_INET6;
        let found = if is_v6 {
            let len = u32::from_ne_bytes(mask);
            u8::try_from(len).ok().filter(|len| (1..=128).contains(len))
        } else {
            let mask = u32::from_be_bytes(mask);
            let len = mask.leading_ones();
            (len.saturating_add(mask.trailing_zeros()) >= 32 && len > 0)
                .then(|| u8::try_from(len).ok())
                .flatten()
        };
        let whole = if is_v6 { 128 } else { 32 };
        match found {
            Some(len) if len == whole => Ok(0),
            Some(len) => Ok(len),
            None if !is_v6 && !is_persistent => Ok(0),
            None => Err(self.nest.refuse(
                EINVAL,
                service::NETMASK,
                format_args!("the netmask of persistence is no prefix of an address"),
            )),
        }
    }

    fn scheduler(&self) -> Result<SchedulerName> {
        let nest = &self.nest;
        let attr = nest.require(service::SCHED_NAME)?;
        let name = attr.str().and_then(SchedulerName::new).ok_or_else(|| {
            nest.refuse(
                ENOENT,
                service::SCHED_NAME,
                format_args!("the scheduler's name is no text"),
            )
        })?;
        Ok(name)
    }

    /// The persistence engine: none where it is not named, as where nothing is.
    fn engine(&self) -> Result<Engine> {
        let name = self
            .nest
            .get(service::PE_NAME)
            .map_or("", |attr| attr.str().unwrap_or(""));
        if name.is_empty() {
            return Ok(Engine::Off);
        }
        let engine = Engine::from_name(name).filter(|engine| *engine != Engine::Off);
        // As `ip_vs` answers where the engine's module is missing.
        engine.ok_or_else(|| {
            self.nest.refuse(
                ENOENT,
                service::PE_NAME,
                format_args!("no persistence engine {name:?}: there is sip"),
            )
        })
    }
}

/// The flags of a service that stand for its settings.
pub(super) fn flags(spec: &ServiceSpec) -> u32 {
    let one_packet = if spec.one_packet {
        service_flags::ONE_PACKET
    } else {
        0
    };
    let persistent = if spec.persistence.seconds != 0 {
        service_flags::PERSISTENT
    } else {
        0
    };
    service_flags::HASHED
        | persistent
        | one_packet
        | (spec.flags.bits() << service_flags::SCHEDULER_SHIFT)
}

/// The dest of a request.
pub(super) struct DestRequest<'a, 'r> {
    /// What names it in its service.
    pub(super) id: DestId,
    /// Its nest.
    pub(super) nest: DestNest<'a, 'r>,
}

impl<'a, 'r> DestRequest<'a, 'r> {
    /// Reads what names it. `EINVAL` when that is missing or malformed, `EAFNOSUPPORT`.
    pub(super) fn new(request: &'r Request<'a>, of: &ServiceId) -> Result<Self> {
        let nest = Nest::new(request, main::DEST, "DEST", &DEST_RULES)?;
        let address = nest.require(dest::ADDR)?;
        let port = nest::u16_be(nest.require(dest::PORT)?);
        let af = match nest.get(dest::ADDR_FAMILY).map_or(0, nest::u16) {
            0 => family(of.is_ipv6()),
            af => af,
        };
        check_family(&nest, dest::ADDR_FAMILY, af)?;
        let address = ip_address(af, address);
        Ok(Self {
            id: DestId { address, port },
            nest,
        })
    }

    /// Checks that all attributes of a full description are there.
    pub(super) fn check_full(&self) -> Result {
        let kinds = [
            dest::FWD_METHOD,
            dest::WEIGHT,
            dest::U_THRESH,
            dest::L_THRESH,
        ];
        kinds
            .into_iter()
            .try_for_each(|kind| self.nest.require(kind).map(|_| ()))
    }

    /// The settings of a full description; refuses those that RVS does not have.
    pub(super) fn spec(&self) -> Result<DestSpec> {
        let nest = &self.nest;
        let weight = nest.u32_or_zero(dest::WEIGHT);
        if i32::try_from(weight).is_err() {
            return Err(nest.refuse(
                ERANGE,
                dest::WEIGHT,
                format_args!("weight {} is below 0", weight as i32),
            ));
        }
        let (upper, lower) = (
            nest.u32_or_zero(dest::U_THRESH),
            nest.u32_or_zero(dest::L_THRESH),
        );
        if lower > upper {
            return Err(nest.refuse(
                ERANGE,
                dest::L_THRESH,
                format_args!("lower threshold {lower} is above the upper one, {upper}"),
            ));
        }
        if i32::try_from(upper).is_err() {
            return Err(nest.refuse(
                EINVAL,
                dest::U_THRESH,
                format_args!("threshold {upper} is out of range"),
            ));
        }
        let method = nest.u32_or_zero(dest::FWD_METHOD) & forward::MASK;
        let mode = match method {
            forward::MASQUERADE => Mode::Nat,
            forward::LOCAL => Mode::Local,
            forward::TUNNEL => Mode::Tun,
            forward::ROUTE => Mode::Dr,
            _ => {
                return Err(nest.refuse(
                    EOPNOTSUPP,
                    dest::FWD_METHOD,
                    format_args!("forwarding method {method} is not supported"),
                ));
            }
        };
        Ok(DestSpec {
            mode,
            weight,
            thresholds: Thresholds { upper, lower },
            tunnel: self.tunnel(mode)?,
        })
    }

    /// What packets travel in where the method is that; `ip_vs` wants a port of GUE with any.
    fn tunnel(&self, mode: Mode) -> Result<Tunnel> {
        let nest = &self.nest;
        let [number] = nest.get(dest::TUN_TYPE).map_or([0], nest::bytes);
        let kind = TunnelKind::from_number(number.into());
        let port = nest.get(dest::TUN_PORT).map_or(0, nest::u16_be);
        if kind == Some(TunnelKind::Gue) && port == 0 {
            return Err(nest.refuse(
                EINVAL,
                dest::TUN_PORT,
                format_args!("tunnel type gue needs a port"),
            ));
        }
        let Some(kind) = kind else {
            return Err(nest.refuse(
                EOPNOTSUPP,
                dest::TUN_TYPE,
                format_args!("tunnel type {number} is none of ipip, gue and gre"),
            ));
        };
        let flags = nest.get(dest::TUN_FLAGS).map_or(0, nest::u16);
        // What the kind of tunnel has no use for plays no part.
        let sum = match (kind, TunnelSum::from_number(flags.into())) {
            (TunnelKind::Gue, Some(sum)) => sum,
            (TunnelKind::Gre, Some(TunnelSum::Whole)) => TunnelSum::Whole,
            _ => TunnelSum::None,
        };
        let port = if kind == TunnelKind::Gue { port } else { 0 };
        Ok(match mode {
            Mode::Tun => Tunnel { kind, sum, port },
            _ => Tunnel::IPIP,
        })
    }
}

/// The number of an address family.
pub(super) fn family(ipv6: bool) -> u16 {
    if ipv6 {
        AF_INET6
    } else {
        AF_INET
    }
}

fn check_family<const N: usize>(nest: &Nest<'_, '_, N>, kind: u16, af: u16) -> Result {
    if af == AF_INET || af == AF_INET6 {
        return Ok(());
    }
    Err(nest.refuse(
        EAFNOSUPPORT,
        kind,
        format_args!("address family {af} is neither IPv4 nor IPv6"),
    ))
}

/// An address of a checked family: the first bytes of the attribute.
fn ip_address(af: u16, attr: Attr<'_>) -> IpAddr {
    if af == AF_INET6 {
        Ipv6Addr::from(nest::bytes::<16>(attr)).into()
    } else {
        Ipv4Addr::from(nest::bytes::<4>(attr)).into()
    }
}
