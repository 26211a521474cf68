// SPDX-License-Identifier: GPL-2.0

//! From attributes to descriptions. What is missing, doubled or of the wrong shape is refused
//! here, with a text and the attribute; what a description may say is up to `engine::spec`.

use core::{fmt, net::IpAddr};

use kernel::error::{code::EINVAL, code::EPROTONOSUPPORT, Error, Result};

use super::encode::TCP_TIMEOUTS;
use super::generated::{dest, laddr, main, service, tcp_timeouts};
use crate::engine::proto::own::TimeoutUpdate;
use crate::engine::proto::State;
use crate::engine::sched::SchedulerName;
use crate::engine::service::{Removed, SchedulerFlags, ServiceUpdate};
use crate::engine::spec::{DestId, DestUpdate, Mode, Protocol, ServiceId};
use crate::engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use crate::kapi::genl::{Attr, AttrIter, Attrs, Extack, Place, Request, TEXT_MAX};

/// Attributes of the top level by number.
pub(super) type MainAttrs<'a> = Attrs<'a, { main::POLICY.len() }>;

/// The attributes of a service's nest.
type ServiceAttrs<'a> = Attrs<'a, { service::POLICY.len() }>;

/// Reads attributes and says what is wrong with them.
pub(super) struct Decoder<'a> {
    extack: Extack<'a>,
    /// Number of the batch's change that is read, from 1.
    change: Option<usize>,
}

/// A service's nest.
pub(super) struct ServiceIn<'a> {
    nest: Attr<'a>,
    attrs: ServiceAttrs<'a>,
    /// Which service.
    pub(super) id: ServiceId,
}

impl<'a> ServiceIn<'a> {
    /// Where it is.
    pub(super) fn nest(&self) -> Attr<'a> {
        self.nest
    }
}

/// A dest's nest.
pub(super) struct DestIn<'a> {
    nest: Attr<'a>,
    attrs: Attrs<'a, { dest::POLICY.len() }>,
    /// Which dest.
    pub(super) id: DestId,
}

impl<'a> Decoder<'a> {
    /// For a request that is no batch.
    pub(super) fn new(request: &Request<'a>) -> Self {
        Self {
            extack: request.extack(),
            change: None,
        }
    }

    /// For the change at `index`, from 0, of a batch.
    pub(super) fn of_change(request: &Request<'a>, index: usize) -> Self {
        Self {
            extack: request.extack(),
            change: Some(index.saturating_add(1)),
        }
    }

    /// Refuses the request. In a batch the text begins with the change's number when that fits.
    pub(super) fn refuse(&self, error: Error, place: Place<'a>, text: fmt::Arguments<'_>) -> Error {
        match self.change {
            Some(number) if length(format_args!("change {number}: {text}")) <= TEXT_MAX => self
                .extack
                .refuse(error, place, format_args!("change {number}: {text}")),
            _ => self.extack.refuse(error, place, text),
        }
    }

    /// Sorts attributes by number.
    pub(super) fn table<const N: usize>(&self, attrs: AttrIter<'a>) -> Result<Attrs<'a, N>> {
        Attrs::new(attrs).map_err(|second| self.twice(second))
    }

    /// Refuses the second of two attributes that exclude each other.
    pub(super) fn twice(&self, second: Attr<'a>) -> Error {
        self.refuse(
            EINVAL,
            Place::Attr(second),
            format_args!("this attribute is there twice"),
        )
    }

    /// An attribute that has to be there.
    pub(super) fn require<const N: usize>(
        &self,
        attrs: &Attrs<'a, N>,
        nest: Option<Attr<'a>>,
        kind: u16,
        name: &str,
    ) -> Result<Attr<'a>> {
        attrs
            .get(kind)
            .ok_or_else(|| self.missing(nest, kind, name))
    }

    /// Refuses a request that lacks an attribute.
    pub(super) fn missing(&self, nest: Option<Attr<'a>>, kind: u16, name: &str) -> Error {
        self.refuse(
            EINVAL,
            Place::Missing { nest, kind },
            format_args!("{name} is missing"),
        )
    }

    /// Refuses an attribute whose payload cannot be read.
    pub(super) fn malformed(&self, attr: Attr<'a>, name: &str) -> Error {
        self.refuse(
            EINVAL,
            Place::Attr(attr),
            format_args!("{name} is malformed"),
        )
    }

    /// A 32-bit number.
    pub(super) fn u32(&self, attr: Attr<'a>, name: &str) -> Result<u32> {
        attr.u32().ok_or_else(|| self.malformed(attr, name))
    }

    /// A service's nest.
    pub(super) fn service(&self, nest: Attr<'a>) -> Result<ServiceIn<'a>> {
        let attrs = self.table(nest.nested())?;
        let id = match attrs.get(service::MARK) {
            Some(mark) => self.marked(nest, &attrs, mark)?,
            None => self.virtual_service(nest, &attrs)?,
        };
        Ok(ServiceIn { nest, attrs, id })
    }

    /// The id of a service by mark.
    fn marked(
        &self,
        nest: Attr<'a>,
        attrs: &ServiceAttrs<'a>,
        mark: Attr<'a>,
    ) -> Result<ServiceId> {
        for (kind, name) in [
            (service::PROTOCOL, "protocol"),
            (service::ADDRESS, "address"),
            (service::PORT, "port"),
        ] {
            if let Some(attr) = attrs.get(kind) {
                return Err(self.refuse(
                    EINVAL,
                    Place::Attr(attr),
                    format_args!("a service by mark has no {name}"),
                ));
            }
        }
        let version = self.require(attrs, Some(nest), service::IP_VERSION, "ip-version")?;
        let ipv6 = match version.u8() {
            Some(4) => false,
            Some(6) => true,
            _ => return Err(self.malformed(version, "ip-version")),
        };
        let mark = self.u32(mark, "mark")?;
        Ok(ServiceId::Marked { mark, ipv6 })
    }

    /// The id of a service at an address.
    fn virtual_service(&self, nest: Attr<'a>, attrs: &ServiceAttrs<'a>) -> Result<ServiceId> {
        if let Some(version) = attrs.get(service::IP_VERSION) {
            return Err(self.refuse(
                EINVAL,
                Place::Attr(version),
                format_args!("ip-version is that of a service by mark"),
            ));
        }
        let protocol = self.require(attrs, Some(nest), service::PROTOCOL, "service protocol")?;
        let address = self.require(attrs, Some(nest), service::ADDRESS, "service address")?;
        let port = self.require(attrs, Some(nest), service::PORT, "service port")?;
        let number = protocol
            .u8()
            .ok_or_else(|| self.malformed(protocol, "service protocol"))?;
        Ok(ServiceId::Virtual {
            protocol: Protocol::from_number(number).ok_or_else(|| {
                self.refuse(
                    EPROTONOSUPPORT,
                    Place::Attr(protocol),
                    format_args!(
                        "protocol {number} is not balanced, use 6 (tcp), 17 (udp) or 132 (sctp)"
                    ),
                )
            })?,
            address: self.address(address, "service address")?,
            port: port
                .u16_be()
                .ok_or_else(|| self.malformed(port, "service port"))?,
        })
    }

    /// A dest's nest.
    pub(super) fn dest(&self, nest: Attr<'a>) -> Result<DestIn<'a>> {
        let attrs = self.table(nest.nested())?;
        let address = self.require(&attrs, Some(nest), dest::ADDRESS, "dest address")?;
        let port = self.require(&attrs, Some(nest), dest::PORT, "dest port")?;
        let id = DestId {
            address: self.address(address, "dest address")?,
            port: port
                .u16_be()
                .ok_or_else(|| self.malformed(port, "dest port"))?,
        };
        Ok(DestIn { nest, attrs, id })
    }

    /// A local address's nest.
    pub(super) fn laddr(&self, nest: Attr<'a>) -> Result<IpAddr> {
        let attrs = self.table::<{ laddr::POLICY.len() }>(nest.nested())?;
        let address = self.require(&attrs, Some(nest), laddr::ADDRESS, "local address")?;
        self.address(address, "local address")
    }

    /// The service that a request may name.
    pub(super) fn optional_service(&self, request: &Request<'a>) -> Result<Option<ServiceIn<'a>>> {
        let attrs: MainAttrs<'a> = self.table(request.attrs())?;
        let Some(nest) = attrs.get(main::SERVICE) else {
            return Ok(None);
        };
        let service = self.service(nest)?;
        self.only_id(&service)?;
        Ok(Some(service))
    }

    /// The scheduler in a service's nest.
    fn scheduler(&self, service: &ServiceIn<'a>) -> Result<Option<SchedulerName>> {
        let Some(attr) = service.attrs.get(service::SCHEDULER) else {
            return Ok(None);
        };
        match attr.str().and_then(SchedulerName::new) {
            Some(name) => Ok(Some(name)),
            None => Err(self.malformed(attr, "scheduler")),
        }
    }

    /// The settings in a service's nest.
    pub(super) fn service_update(&self, service: &ServiceIn<'a>) -> Result<ServiceUpdate> {
        let get = |kind| service.attrs.get(kind);
        let flags = get(service::SCHED_FLAGS).map(|attr| {
            let bits = self.u32(attr, "sched-flags")?;
            SchedulerFlags::from_bits(bits).ok_or_else(|| self.malformed(attr, "sched-flags"))
        });
        let mh_size = get(service::MH_SIZE).map(|attr| self.u32(attr, "mh-size"));
        let expiration = get(service::SCHED_EXPIRATION);
        let expiration = expiration.map(|attr| self.u32(attr, "sched-expiration"));
        let toa = get(service::TOA).map(|attr| {
            let kind = attr.u8();
            kind.ok_or_else(|| self.malformed(attr, "toa"))
        });
        Ok(ServiceUpdate {
            scheduler: self.scheduler(service)?,
            flags: flags.transpose()?,
            mh_size: mh_size.transpose()?,
            expiration: expiration.transpose()?,
            one_packet: self.switch(get(service::ONE_PACKET), "one-packet")?,
            random_start: self.switch(get(service::RANDOM_START), "random-start")?,
            persistence: self.number(get(service::PERSISTENCE), "persistence")?,
            prefix: self.byte(get(service::PERSISTENCE_PREFIX), "persistence-prefix")?,
            quiesced: self.switch(get(service::PERSISTENCE_QUIESCED), "persistence-quiesced")?,
            timeouts: self.timeouts(service)?,
            removed: self.removed(get(service::REMOVED), "removed")?,
            quiesced_flows: self.removed(get(service::QUIESCED_FLOWS), "quiesced-flows")?,
            slow_start: self.number(get(service::SLOW_START), "slow-start")?,
            toa: toa.transpose()?,
        })
    }

    /// The timeouts in a service's nest.
    fn timeouts(&self, service: &ServiceIn<'a>) -> Result<TimeoutUpdate> {
        let mut update = TimeoutUpdate::default();
        if let Some(nest) = service.attrs.get(service::TCP_TIMEOUTS) {
            let attrs = self.table::<{ tcp_timeouts::POLICY.len() }>(nest.nested())?;
            for (kind, state) in TCP_TIMEOUTS {
                if let Some(seconds) = self.number(attrs.get(kind), "timeout")? {
                    update.set(state, seconds);
                }
            }
        }
        let udp = service.attrs.get(service::UDP_TIMEOUT);
        if let Some(seconds) = self.number(udp, "udp-timeout")? {
            update.set(State::Udp, seconds);
        }
        Ok(update)
    }

    fn removed(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<Removed>> {
        let Some(attr) = attr else { return Ok(None) };
        let removed = Removed::from_number(self.u32(attr, name)?);
        removed.map(Some).ok_or_else(|| self.malformed(attr, name))
    }

    fn number(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<u32>> {
        attr.map(|attr| self.u32(attr, name)).transpose()
    }

    fn byte(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<u8>> {
        let Some(attr) = attr else { return Ok(None) };
        let value = attr.u8().map(Some);
        value.ok_or_else(|| self.malformed(attr, name))
    }

    fn switch(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<bool>> {
        Ok(self.byte(attr, name)?.map(|value| value != 0))
    }

    /// The scheduler in a service's nest, which has to be there.
    pub(super) fn required_scheduler(&self, service: &ServiceIn<'a>) -> Result<SchedulerName> {
        self.scheduler(service)?
            .ok_or_else(|| self.missing(Some(service.nest), service::SCHEDULER, "scheduler"))
    }

    /// The settings in a dest's nest.
    pub(super) fn dest_update(&self, dest: &DestIn<'a>) -> Result<DestUpdate> {
        let number = |kind, name| {
            let attr = dest.attrs.get(kind);
            attr.map(|attr| self.u32(attr, name)).transpose()
        };
        Ok(DestUpdate {
            mode: self.mode(dest)?,
            weight: self.weight(dest)?,
            upper: number(dest::UPPER_THRESHOLD, "upper-threshold")?,
            lower: number(dest::LOWER_THRESHOLD, "lower-threshold")?,
            drain: number(dest::DRAIN, "drain")?,
            tunnel: self.tunnel(dest)?,
        })
    }

    /// The settings in the nest of a dest that is to be added: it has nothing to drain.
    pub(super) fn update_of_new(&self, dest: &DestIn<'a>) -> Result<DestUpdate> {
        self.refuse_setting(dest.attrs.get(dest::DRAIN), "drain")?;
        self.dest_update(dest)
    }

    /// The tunnel in a dest's nest; its kind has to be there where anything of it is.
    fn tunnel(&self, dest: &DestIn<'a>) -> Result<Option<Tunnel>> {
        let of = |kind| dest.attrs.get(kind);
        let Some(kind) = of(dest::TUNNEL_KIND) else {
            let rest = of(dest::TUNNEL_PORT).or(of(dest::TUNNEL_CHECKSUM));
            return match rest {
                None => Ok(None),
                Some(_) => Err(self.missing(Some(dest.nest), dest::TUNNEL_KIND, "tunnel-kind")),
            };
        };
        let malformed = |attr, name| self.malformed(attr, name);
        let number = self.u32(kind, "tunnel-kind")?;
        let kind = TunnelKind::from_number(number).ok_or_else(|| malformed(kind, "tunnel-kind"))?;
        let sum = match of(dest::TUNNEL_CHECKSUM) {
            None => TunnelSum::None,
            Some(attr) => TunnelSum::from_number(self.u32(attr, "tunnel-checksum")?)
                .ok_or_else(|| malformed(attr, "tunnel-checksum"))?,
        };
        let port = match of(dest::TUNNEL_PORT) {
            None => 0,
            Some(attr) => attr
                .u16_be()
                .ok_or_else(|| malformed(attr, "tunnel-port"))?,
        };
        Ok(Some(Tunnel { kind, sum, port }))
    }

    /// The mode in a dest's nest.
    fn mode(&self, dest: &DestIn<'a>) -> Result<Option<Mode>> {
        let Some(attr) = dest.attrs.get(dest::MODE) else {
            return Ok(None);
        };
        match Mode::from_number(self.u32(attr, "mode")?) {
            Some(mode) => Ok(Some(mode)),
            None => Err(self.malformed(attr, "mode")),
        }
    }

    /// The mode in a dest's nest, which has to be there.
    pub(super) fn required_mode(&self, dest: &DestIn<'a>) -> Result<Mode> {
        self.mode(dest)?
            .ok_or_else(|| self.missing(Some(dest.nest), dest::MODE, "mode"))
    }

    /// The weight in a dest's nest.
    fn weight(&self, dest: &DestIn<'a>) -> Result<Option<u32>> {
        let attr = dest.attrs.get(dest::WEIGHT);
        attr.map(|attr| self.u32(attr, "weight")).transpose()
    }

    /// The weight in a dest's nest, which has to be there.
    pub(super) fn required_weight(&self, dest: &DestIn<'a>) -> Result<u32> {
        self.weight(dest)?
            .ok_or_else(|| self.missing(Some(dest.nest), dest::WEIGHT, "weight"))
    }

    /// Refuses settings where a service is only named.
    pub(super) fn only_id(&self, service: &ServiceIn<'a>) -> Result {
        for (kind, name) in [
            (service::SCHEDULER, "scheduler"),
            (service::SCHED_FLAGS, "sched-flags"),
            (service::MH_SIZE, "mh-size"),
            (service::SCHED_EXPIRATION, "sched-expiration"),
            (service::ONE_PACKET, "one-packet"),
            (service::RANDOM_START, "random-start"),
            (service::PERSISTENCE, "persistence"),
            (service::PERSISTENCE_PREFIX, "persistence-prefix"),
            (service::PERSISTENCE_QUIESCED, "persistence-quiesced"),
            (service::TCP_TIMEOUTS, "tcp-timeouts"),
            (service::UDP_TIMEOUT, "udp-timeout"),
            (service::REMOVED, "removed"),
            (service::QUIESCED_FLOWS, "quiesced-flows"),
            (service::SLOW_START, "slow-start"),
            (service::TOA, "toa"),
        ] {
            self.refuse_setting(service.attrs.get(kind), name)?;
        }
        Ok(())
    }

    /// Refuses settings where a dest is only named.
    pub(super) fn only_dest_id(&self, dest: &DestIn<'a>) -> Result {
        for (kind, name) in [
            (dest::MODE, "mode"),
            (dest::WEIGHT, "weight"),
            (dest::UPPER_THRESHOLD, "upper-threshold"),
            (dest::LOWER_THRESHOLD, "lower-threshold"),
            (dest::DRAIN, "drain"),
            (dest::TUNNEL_KIND, "tunnel-kind"),
            (dest::TUNNEL_PORT, "tunnel-port"),
            (dest::TUNNEL_CHECKSUM, "tunnel-checksum"),
        ] {
            self.refuse_setting(dest.attrs.get(kind), name)?;
        }
        Ok(())
    }

    fn refuse_setting(&self, attr: Option<Attr<'a>>, name: &str) -> Result {
        match attr {
            None => Ok(()),
            Some(attr) => Err(self.refuse(
                EINVAL,
                Place::Attr(attr),
                format_args!("{name} is not part of this request"),
            )),
        }
    }

    fn address(&self, attr: Attr<'a>, name: &str) -> Result<IpAddr> {
        attr.address().ok_or_else(|| {
            self.refuse(
                EINVAL,
                Place::Attr(attr),
                format_args!(
                    "{name} of {} bytes, it takes 4 (IPv4) or 16 (IPv6)",
                    attr.payload().len()
                ),
            )
        })
    }
}

/// Bytes that a text takes.
fn length(text: fmt::Arguments<'_>) -> usize {
    struct Counter(usize);
    impl fmt::Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // The counter never fails.
    let _ = fmt::write(&mut counter, text);
    counter.0
}
