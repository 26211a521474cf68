// SPDX-License-Identifier: GPL-2.0

//! What would become of the first packet of a flow, told without anything being changed by the question.

use core::net::{IpAddr, SocketAddr};

use kernel::error::Result;

use super::{config::ConfigGuard, filter::header_word, netns::Netns, schedule::Hint};
use crate::{
    engine::{
        family::Tuple,
        spec::{DestId, Mode, Protocol, ServiceId},
        tuple::{TupleV4, TupleV6},
    },
    kapi::{rcu::Rcu, route},
};

/// A packet that might come.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    /// Transport protocol.
    pub(crate) protocol: Protocol,
    /// Where it comes from.
    pub(crate) source: SocketAddr,
    /// Where it is to; of the same IP version.
    pub(crate) destination: SocketAddr,
    /// Its mark.
    pub(crate) mark: u32,
}

/// What would become of it, if no connection is known for it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Explanation {
    /// Whether packets to that address are looked at.
    pub(crate) is_looked_at: bool,
    /// The service that it is for.
    pub(crate) service: Option<ServiceId>,
    /// Whether there is room for another connection.
    pub(crate) has_room: bool,
    /// Whether some new flows are dropped at present.
    pub(crate) is_pressed: bool,
    /// Where it would go.
    pub(crate) dest: Option<(DestId, Mode)>,
    /// Whether that is because its client stays with the dest.
    pub(crate) by_template: bool,
    /// Whether packets to the dest meet rules or IPsec policies.
    pub(crate) meets_rules: bool,
}

impl Netns {
    /// What would become of a packet. May sleep.
    ///
    /// None when the two ends are of different families.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn explain(&self, question: &Question) -> Result<Option<Explanation>> {
        let protocol = question.protocol.number();
        match (question.source, question.destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                let tuple = TupleV4::new(source, destination, protocol);
                self.explain_flow(&tuple, question).map(Some)
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                let tuple = TupleV6::new(source, destination, protocol);
                self.explain_flow(&tuple, question).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn explain_flow<T: Tuple>(&self, tuple: &T, question: &Question) -> Result<Explanation> {
        let gate = match T::VERSION {
            4 => &self.gate_v4,
            _ => &self.gate_v6,
        };
        let address = header_word(question.destination.ip());
        let mut told = Explanation {
            is_looked_at: gate.virtual_addresses.may_contain(address) || gate.has_marks(),
            has_room: !self.is_full(),
            is_pressed: self.defence.is_pressed(),
            ..Explanation::default()
        };
        // Held on, so that the schedule asked is that of the service told.
        let config = self.config();
        let Some(service) = service_of(&config, question) else {
            return Ok(told);
        };
        told.service = Some(service);
        let Some(hint) = self.hint(tuple, question, service)? else {
            return Ok(told);
        };
        told.dest = Some((hint.dest, hint.mode));
        told.by_template = hint.by_template;
        let version = match hint.dest.address {
            IpAddr::V4(_) => 4,
            IpAddr::V6(_) => 6,
        };
        told.meets_rules = route::has_output_rules(self.net(), version);
        Ok(told)
    }

    /// Which dest a flow would have; none when there is none for it.
    fn hint<T: Tuple>(
        &self,
        tuple: &T,
        question: &Question,
        service: ServiceId,
    ) -> Result<Option<Hint>> {
        let by_mark = matches!(service, ServiceId::Marked { .. });
        let mut words = 0;
        // The scheduler's state is as large as it says, and is changed by the question only in a copy.
        loop {
            let mut copy = super::schedule::StateCopy::with_room(words)?;
            let guard = kernel::sync::rcu::read_lock();
            let rcu = Rcu::of(&guard);
            let schedule = match by_mark {
                true => self.marked_schedule(question.mark, T::VERSION, rcu),
                false => self.schedule(tuple, rcu),
            };
            let Some(schedule) = schedule else {
                return Ok(None);
            };
            match schedule.peek(tuple, question.source.ip(), &mut copy) {
                Ok(hint) => return Ok(hint),
                Err(more) if more > words => words = more,
                Err(_) => return Ok(None),
            }
        }
    }
}

/// The service that a packet's flow is for, by the rule that packets are treated by.
fn service_of(config: &ConfigGuard<'_>, question: &Question) -> Option<ServiceId> {
    let ends = [
        ServiceId::Marked {
            mark: question.mark,
            ipv6: question.destination.is_ipv6(),
        },
        of_port(question, question.destination.port()),
        of_port(question, 0),
    ];
    let mut known = ends.into_iter().filter(|id| config.service(id).is_some());
    known.find(|id| !matches!(id, ServiceId::Marked { mark: 0, .. }))
}

fn of_port(question: &Question, port: u16) -> ServiceId {
    ServiceId::Virtual {
        protocol: question.protocol,
        address: question.destination.ip(),
        port,
    }
}
