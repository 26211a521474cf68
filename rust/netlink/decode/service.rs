// SPDX-License-Identifier: GPL-2.0

//! A service's nest.

use kernel::error::{code::EINVAL, Result};

use super::{Decoder, MainAttrs};
use crate::engine::helper::Helper;
use crate::engine::persistence::Engine;
use crate::engine::proto::own::TimeoutUpdate;
use crate::engine::proto::State;
use crate::engine::sched::SchedulerName;
use crate::engine::service::{Removed, SchedulerFlags, ServiceUpdate};
use crate::engine::spec::{Protocol, ServiceId};
use crate::kapi::errno::EPROTONOSUPPORT;
use crate::kapi::genl::{Attr, Attrs, Place, Request};
use crate::netlink::encode::TCP_TIMEOUTS;
use crate::netlink::generated::{main, service, tcp_timeouts};

/// The attributes of a service's nest.
type ServiceAttrs<'a> = Attrs<'a, { service::POLICY.len() }>;

/// A service's nest.
pub(in super::super) struct ServiceIn<'a> {
    nest: Attr<'a>,
    attrs: ServiceAttrs<'a>,
    /// Which service.
    pub(in super::super) id: ServiceId,
}

impl<'a> ServiceIn<'a> {
    /// Where it is.
    pub(in super::super) fn nest(&self) -> Attr<'a> {
        self.nest
    }
}

impl<'a> Decoder<'a> {
    /// A service's nest.
    pub(in super::super) fn service(&self, nest: Attr<'a>) -> Result<ServiceIn<'a>> {
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

    /// The service that a request may name.
    pub(in super::super) fn optional_service(
        &self,
        request: &Request<'a>,
    ) -> Result<Option<ServiceIn<'a>>> {
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
    pub(in super::super) fn service_update(
        &self,
        service: &ServiceIn<'a>,
    ) -> Result<ServiceUpdate> {
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
            engine: self.engine(get(service::PERSISTENCE_ENGINE))?,
            timeouts: self.timeouts(service)?,
            removed: self.removed(get(service::REMOVED), "removed")?,
            quiesced_flows: self.removed(get(service::QUIESCED_FLOWS), "quiesced-flows")?,
            slow_start: self.number(get(service::SLOW_START), "slow-start")?,
            toa: toa.transpose()?,
            account: self.switch(get(service::ACCOUNT), "account")?,
            helper: self.helper(get(service::HELPER))?,
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

    fn engine(&self, attr: Option<Attr<'a>>) -> Result<Option<Engine>> {
        let Some(attr) = attr else { return Ok(None) };
        let engine = attr.u8().and_then(Engine::from_number);
        engine
            .map(Some)
            .ok_or_else(|| self.malformed(attr, "persistence-engine"))
    }

    fn helper(&self, attr: Option<Attr<'a>>) -> Result<Option<Helper>> {
        let Some(attr) = attr else { return Ok(None) };
        let helper = attr.u8().and_then(Helper::from_number);
        helper
            .map(Some)
            .ok_or_else(|| self.malformed(attr, "helper"))
    }

    fn removed(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<Removed>> {
        let Some(attr) = attr else { return Ok(None) };
        let removed = Removed::from_number(self.u32(attr, name)?);
        removed.map(Some).ok_or_else(|| self.malformed(attr, name))
    }

    /// The scheduler in a service's nest, which has to be there.
    pub(in super::super) fn required_scheduler(
        &self,
        service: &ServiceIn<'a>,
    ) -> Result<SchedulerName> {
        self.scheduler(service)?
            .ok_or_else(|| self.missing(Some(service.nest), service::SCHEDULER, "scheduler"))
    }

    /// Refuses settings where a service is only named.
    pub(in super::super) fn only_id(&self, service: &ServiceIn<'a>) -> Result {
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
            (service::PERSISTENCE_ENGINE, "persistence-engine"),
            (service::TCP_TIMEOUTS, "tcp-timeouts"),
            (service::UDP_TIMEOUT, "udp-timeout"),
            (service::REMOVED, "removed"),
            (service::QUIESCED_FLOWS, "quiesced-flows"),
            (service::SLOW_START, "slow-start"),
            (service::TOA, "toa"),
            (service::ACCOUNT, "account"),
            (service::HELPER, "helper"),
        ] {
            self.refuse_setting(service.attrs.get(kind), name)?;
        }
        Ok(())
    }
}
