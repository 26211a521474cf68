// SPDX-License-Identifier: GPL-2.0

//! Changes of services, dests and local addresses: one a request, and what a batch has in common with that.

use kernel::error::{code::EINVAL, Result};

use super::decode::{Decoder, MainAttrs};
use super::generated::{change, cmd, dest, laddr, main, service};
use super::namespace::namespace;
use super::{event, policy, refusal};
use crate::engine::change::{Blame, Change};
use crate::engine::service::ServiceSpec;
use crate::engine::spec::{DestSpec, Field};
use crate::kapi::genl::{Attr, AttrPolicy, Doit, Place, Request};
use crate::table::{ConfigGuard, Refused};

/// service-add, service-set, service-del, dest-add, dest-set, dest-del, laddr-add or laddr-del.
pub(super) struct Single<const CMD: u8>;

impl<const CMD: u8> Doit for Single<CMD> {
    const CMD: u8 = CMD;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(CMD);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
        let step = Step {
            cmd: u32::from(CMD),
            parent: None,
            service: (main::SERVICE, attrs.get(main::SERVICE)),
            dest: (main::DEST, attrs.get(main::DEST)),
            laddr: (main::LADDR, attrs.get(main::LADDR)),
        };
        let change = step.decode(&decoder)?;
        let mut config = namespace(request)?.config();
        apply(request, &mut config, &[change])
            .map_err(|refused| step.refuse(&decoder, &change, &refused))
    }
}

/// Applies changes, all or none, and sends their events.
pub(super) fn apply(
    request: &Request<'_>,
    config: &mut ConfigGuard<'_>,
    changes: &[Change],
) -> Result<(), Refused> {
    let events = event::Changes::before(request, config, changes);
    config.apply(changes)?;
    // The lock is still held: events come in the order of the changes.
    events.send(request, config, changes);
    Ok(())
}

/// The attributes of one change.
pub(super) struct Step<'a> {
    /// Command number.
    cmd: u32,
    /// The nest around it; `None` is the message.
    parent: Option<Attr<'a>>,
    /// Number of the service's nest there, and the nest.
    service: (u16, Option<Attr<'a>>),
    /// Number of the dest's nest there, and the nest.
    dest: (u16, Option<Attr<'a>>),
    /// Number of the local address's nest there, and the nest.
    laddr: (u16, Option<Attr<'a>>),
}

impl<'a> Step<'a> {
    /// A `change` nest of a batch.
    pub(super) fn of_batch(decoder: &Decoder<'a>, nest: Attr<'a>) -> Result<Self> {
        let attrs = decoder.table::<{ change::POLICY.len() }>(nest.nested())?;
        let op = decoder.require(&attrs, Some(nest), change::OP, "op")?;
        let step = Self {
            cmd: decoder.u32(op, "op")?,
            parent: Some(nest),
            service: (change::SERVICE, attrs.get(change::SERVICE)),
            dest: (change::DEST, attrs.get(change::DEST)),
            laddr: (change::LADDR, attrs.get(change::LADDR)),
        };
        if !step.is_of_service() && !step.is_of_dest() && !step.is_of_laddr() {
            return Err(decoder.refuse(
                EINVAL,
                Place::Attr(op),
                format_args!("op {} does not change a service, dest or laddr", step.cmd),
            ));
        }
        Ok(step)
    }

    /// Reads it.
    pub(super) fn decode(&self, decoder: &Decoder<'a>) -> Result<Change> {
        if !self.is_of_dest() {
            self.refuse_nest(decoder, self.dest.1, "dest")?;
        }
        if self.is_of_laddr() {
            return self.decode_laddr(decoder);
        }
        self.refuse_nest(decoder, self.laddr.1, "laddr")?;
        let nest = self.required(decoder, self.service, "service")?;
        let service = decoder.service(nest)?;
        if !self.is_of_service() {
            decoder.only_id(&service)?;
        }
        let id = service.id;
        match self.command() {
            Some(cmd::SERVICE_ADD) => Ok(Change::ServiceAdd {
                id,
                spec: decoder
                    .service_update(&service)?
                    .of(&ServiceSpec::new(decoder.required_scheduler(&service)?)),
            }),
            Some(cmd::SERVICE_SET) => Ok(Change::ServiceSet {
                id,
                update: decoder.service_update(&service)?,
            }),
            Some(cmd::SERVICE_DEL) => {
                decoder.only_id(&service)?;
                Ok(Change::ServiceDel { id })
            }
            _ => self.decode_dest(decoder, id),
        }
    }

    fn decode_dest(
        &self,
        decoder: &Decoder<'a>,
        service: crate::engine::spec::ServiceId,
    ) -> Result<Change> {
        let nest = self.required(decoder, self.dest, "dest")?;
        let dest = decoder.dest(nest)?;
        let id = dest.id;
        match self.command() {
            Some(cmd::DEST_ADD) => Ok(Change::DestAdd {
                service,
                id,
                spec: decoder.update_of_new(&dest)?.of(&DestSpec::new(
                    decoder.required_mode(&dest)?,
                    decoder.required_weight(&dest)?,
                )),
            }),
            Some(cmd::DEST_SET) => Ok(Change::DestSet {
                service,
                id,
                update: decoder.dest_update(&dest)?,
            }),
            Some(cmd::DEST_DEL) => {
                decoder.only_dest_id(&dest)?;
                Ok(Change::DestDel { service, id })
            }
            // Only the three commands get here.
            _ => Err(EINVAL),
        }
    }

    fn decode_laddr(&self, decoder: &Decoder<'a>) -> Result<Change> {
        let service = match self.service.1 {
            Some(nest) => {
                let service = decoder.service(nest)?;
                decoder.only_id(&service)?;
                Some(service.id)
            }
            None => None,
        };
        let nest = self.required(decoder, self.laddr, "laddr")?;
        let address = decoder.laddr(nest)?;
        match self.command() {
            Some(cmd::LADDR_ADD) => Ok(Change::LocalAdd { service, address }),
            _ => Ok(Change::LocalDel { service, address }),
        }
    }

    /// Refuses a nest that is not part of such a change.
    fn refuse_nest(&self, decoder: &Decoder<'a>, nest: Option<Attr<'a>>, name: &str) -> Result {
        let Some(nest) = nest else { return Ok(()) };
        let whose = if self.is_of_service() {
            "service"
        } else if self.is_of_dest() {
            "dest"
        } else {
            "local address"
        };
        Err(decoder.refuse(
            EINVAL,
            Place::Attr(nest),
            format_args!("a change of a {whose} takes no {name}"),
        ))
    }

    /// Says why `change`, which it was read to, is refused.
    pub(super) fn refuse(
        &self,
        decoder: &Decoder<'a>,
        change: &Change,
        refused: &Refused,
    ) -> kernel::error::Error {
        let error = &refused.error;
        let place = self.place(error.blame(change));
        decoder.refuse(refusal::errno(error), place, format_args!("{error}"))
    }

    fn place(&self, blame: Blame) -> Place<'a> {
        let (nest, kind) = match blame {
            Blame::Service(field) => (self.service.1, field.and_then(service_kind)),
            Blame::Scheduler => (self.service.1, Some(service::SCHEDULER)),
            Blame::Dest(field) => (self.dest.1, field.and_then(dest_kind)),
            Blame::Local => (self.laddr.1, Some(laddr::ADDRESS)),
            Blame::Nothing => (None, None),
        };
        let part = nest.zip(kind).and_then(|(nest, kind)| {
            let mut parts = nest.nested();
            parts.find(|attr| attr.kind() == kind)
        });
        match part.or(nest).or(self.parent) {
            Some(attr) => Place::Attr(attr),
            None => Place::Message,
        }
    }

    fn required(
        &self,
        decoder: &Decoder<'a>,
        (kind, nest): (u16, Option<Attr<'a>>),
        name: &str,
    ) -> Result<Attr<'a>> {
        nest.ok_or_else(|| decoder.missing(self.parent, kind, name))
    }

    fn command(&self) -> Option<u8> {
        u8::try_from(self.cmd).ok()
    }

    fn is_of_service(&self) -> bool {
        matches!(
            self.command(),
            Some(cmd::SERVICE_ADD | cmd::SERVICE_SET | cmd::SERVICE_DEL)
        )
    }

    fn is_of_dest(&self) -> bool {
        matches!(
            self.command(),
            Some(cmd::DEST_ADD | cmd::DEST_SET | cmd::DEST_DEL)
        )
    }

    fn is_of_laddr(&self) -> bool {
        matches!(self.command(), Some(cmd::LADDR_ADD | cmd::LADDR_DEL))
    }
}

fn service_kind(field: Field) -> Option<u16> {
    match field {
        Field::Address => Some(service::ADDRESS),
        Field::Port => Some(service::PORT),
        Field::MhSize => Some(service::MH_SIZE),
        Field::Expiration => Some(service::SCHED_EXPIRATION),
        Field::OnePacket => Some(service::ONE_PACKET),
        Field::Helper => Some(service::HELPER),
        Field::Engine => Some(service::PERSISTENCE_ENGINE),
        Field::ToaKind => Some(service::TOA),
        Field::Persistence => Some(service::PERSISTENCE),
        Field::Prefix => Some(service::PERSISTENCE_PREFIX),
        Field::Timeout => Some(service::TCP_TIMEOUTS),
        Field::SlowStart => Some(service::SLOW_START),
        Field::Mark => Some(service::MARK),
        Field::Mode
        | Field::Weight
        | Field::Lower
        | Field::Drain
        | Field::DropRate
        | Field::ConnMax
        | Field::TunnelKind
        | Field::TunnelPort
        | Field::TunnelSum
        | Field::LocalPorts => None,
    }
}

fn dest_kind(field: Field) -> Option<u16> {
    match field {
        Field::Address => Some(dest::ADDRESS),
        Field::Port => Some(dest::PORT),
        Field::Mode => Some(dest::MODE),
        Field::Weight => Some(dest::WEIGHT),
        Field::Lower => Some(dest::LOWER_THRESHOLD),
        Field::Drain => Some(dest::DRAIN),
        Field::TunnelKind => Some(dest::TUNNEL_KIND),
        Field::TunnelPort => Some(dest::TUNNEL_PORT),
        Field::TunnelSum => Some(dest::TUNNEL_CHECKSUM),
        Field::Timeout
        | Field::MhSize
        | Field::Expiration
        | Field::OnePacket
        | Field::Helper
        | Field::Engine
        | Field::Persistence
        | Field::Prefix
        | Field::DropRate
        | Field::ConnMax
        | Field::SlowStart
        | Field::LocalPorts
        | Field::Mark
        | Field::ToaKind => None,
    }
}
