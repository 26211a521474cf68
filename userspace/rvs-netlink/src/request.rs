// SPDX-License-Identifier: GPL-2.0

//! What a program asks of the kernel.

use rvs_engine::change::Change;
use rvs_engine::selection::Selection;
use rvs_engine::service::{ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{DestId, ServiceId};

use crate::attr::Attr;
use crate::generated::{change, cmd, main, FAMILY_NAME, FAMILY_VERSION};
use crate::message::{Message, Spoken};
use crate::{dest, selection as selection_wire, service as service_wire};
use crate::{Config, Daemon, Error, Question, Records, Role};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// One change of services, dests or local addresses.
    Change(Change),
    /// Many changes, in order, and settings, all or nothing.
    Batch(Vec<Change>, Config),
    /// One service.
    ServiceGet(ServiceId),
    /// All services.
    ServiceList,
    /// Remove all services.
    ServiceFlush,
    /// One dest.
    DestGet(ServiceId, DestId),
    /// All dests, or those of one service.
    DestList(Option<ServiceId>),
    /// All local addresses, the namespace's first, or those of one service.
    LocalList(Option<ServiceId>),
    /// Connections of a selection, of all services or of one.
    ConnList(Option<ServiceId>, Selection),
    /// Networks of clients that stay with a dest, of all services or of one.
    TemplateList(Option<ServiceId>),
    /// End connections of a selection, of all services or of one.
    ConnFlush(Option<ServiceId>, Selection),
    /// The namespace's traffic and counters.
    StatsGet,
    /// Set statistics to zero, all or those of one service.
    StatsZero(Option<ServiceId>),
    /// The namespace's settings.
    ConfigGet,
    /// Change settings.
    ConfigSet(Config),
    /// What would become of a packet.
    Explain(Question),
    /// Let the module be unloaded although there are services.
    Release,
    /// Start a daemon that keeps directors at the same connections.
    SyncStart(Daemon),
    /// Stop the one of a role.
    SyncStop(Role),
    /// Those that run.
    SyncList,
    /// What directors told each other.
    SyncGet,
    /// What outlives the module: of connections.
    ConnRecords,
    /// Of networks of clients that stay with a dest.
    TemplateRecords,
    /// Of counts.
    CountRecords,
    /// Make again what records are of.
    RecordRestore(Records),
}

impl Request {
    /// Its command number.
    pub fn command(&self) -> u8 {
        match self {
            Self::Change(change) => change_command(change),
            Self::Batch(..) => cmd::BATCH,
            Self::ServiceGet(_) | Self::ServiceList => cmd::SERVICE_GET,
            Self::ServiceFlush => cmd::SERVICE_FLUSH,
            Self::DestGet(..) | Self::DestList(_) => cmd::DEST_GET,
            Self::LocalList(_) => cmd::LADDR_GET,
            Self::ConnList(..) => cmd::CONN_GET,
            Self::TemplateList(_) => cmd::TEMPLATE_GET,
            Self::ConnFlush(..) => cmd::CONN_FLUSH,
            Self::StatsGet => cmd::STATS_GET,
            Self::StatsZero(_) => cmd::STATS_ZERO,
            Self::ConfigGet => cmd::CONFIG_GET,
            Self::ConfigSet(_) => cmd::CONFIG_SET,
            Self::Explain(_) => cmd::EXPLAIN,
            Self::Release => cmd::RELEASE,
            Self::SyncStart(_) => cmd::SYNC_START,
            Self::SyncStop(_) => cmd::SYNC_STOP,
            Self::SyncList | Self::SyncGet => cmd::SYNC_GET,
            Self::ConnRecords => cmd::CONN_RECORD,
            Self::TemplateRecords => cmd::TEMPLATE_RECORD,
            Self::CountRecords => cmd::COUNT_RECORD,
            Self::RecordRestore(_) => cmd::RECORD_RESTORE,
        }
    }

    /// Whether it asks for a dump, a list that comes in many messages.
    pub fn is_dump(&self) -> bool {
        matches!(
            self,
            Self::ServiceList
                | Self::DestList(_)
                | Self::LocalList(_)
                | Self::ConnList(..)
                | Self::TemplateList(_)
                | Self::SyncList
                | Self::ConnRecords
                | Self::TemplateRecords
                | Self::CountRecords
        )
    }

    /// Whether it asks for a list of the configuration, of which events tell.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            Self::ServiceList | Self::DestList(_) | Self::LocalList(_)
        )
    }

    /// Its attributes.
    pub fn attributes(&self) -> Vec<Attr> {
        match self {
            Self::Change(change) => change_attributes(change, &ALONE),
            Self::Batch(changes, config) => {
                let settings = (!config.is_empty()).then(|| settings(config));
                changes.iter().map(batch_step).chain(settings).collect()
            }
            Self::ServiceGet(id) => vec![service_id(id)],
            Self::DestGet(service, id) => vec![
                service_id(service),
                Attr::nest(main::DEST, dest::id_attributes(id)),
            ],
            Self::DestList(id)
            | Self::LocalList(id)
            | Self::TemplateList(id)
            | Self::StatsZero(id) => id.iter().map(service_id).collect(),
            Self::ConnList(id, selection) | Self::ConnFlush(id, selection) => id
                .iter()
                .map(service_id)
                .chain(selected(selection))
                .collect(),
            Self::ServiceList
            | Self::ServiceFlush
            | Self::StatsGet
            | Self::ConfigGet
            | Self::SyncList
            | Self::SyncGet
            | Self::ConnRecords
            | Self::TemplateRecords
            | Self::CountRecords
            | Self::Release => Vec::new(),
            Self::RecordRestore(records) => records.attributes().collect(),
            Self::SyncStart(daemon) => vec![Attr::nest(main::SYNC, daemon.attributes())],
            Self::SyncStop(role) => {
                vec![Attr::nest(main::SYNC, Daemon::of(*role).attributes())]
            }
            Self::Explain(question) => {
                vec![Attr::nest(main::QUESTION, question.attributes())]
            }
            Self::ConfigSet(config) => vec![settings(config)],
        }
    }

    /// The request as it is sent.
    pub(crate) fn message(&self) -> Message<Rvs> {
        Message::new(self.command(), self.attributes())
    }
}

/// The family, for [`Message`].
#[derive(Debug)]
pub(crate) struct Rvs;

impl Spoken for Rvs {
    const NAME: &'static str = FAMILY_NAME;
    const VERSION: u8 = FAMILY_VERSION;

    fn absent() -> Error {
        Error::NotLoaded
    }
}

fn settings(config: &Config) -> Attr {
    Attr::nest(main::CONFIG, config.attributes())
}

/// The nest of a selection, where it is not all.
fn selected(selection: &Selection) -> Option<Attr> {
    let attributes = selection_wire::attributes(selection);
    (!selection.is_all()).then(|| Attr::nest(main::SELECTION, attributes))
}

fn service_id(id: &ServiceId) -> Attr {
    Attr::nest(main::SERVICE, service_wire::id_attributes(id))
}

/// The command that makes `change` alone; also its `op` in a batch.
fn change_command(change: &Change) -> u8 {
    match change {
        Change::ServiceAdd { .. } => cmd::SERVICE_ADD,
        Change::ServiceSet { .. } => cmd::SERVICE_SET,
        Change::ServiceDel { .. } => cmd::SERVICE_DEL,
        Change::DestAdd { .. } => cmd::DEST_ADD,
        Change::DestSet { .. } => cmd::DEST_SET,
        Change::DestDel { .. } => cmd::DEST_DEL,
        Change::LocalAdd { .. } => cmd::LADDR_ADD,
        Change::LocalDel { .. } => cmd::LADDR_DEL,
    }
}

fn batch_step(step: &Change) -> Attr {
    let mut attributes = Vec::with_capacity(3);
    attributes.push(Attr::u32(change::OP, change_command(step).into()));
    attributes.extend(change_attributes(step, &IN_BATCH));
    Attr::nest(main::CHANGE, attributes)
}

/// Numbers that a change's nests have where it goes.
struct Kinds {
    service: u16,
    dest: u16,
    laddr: u16,
}

/// Of a request that is one change.
const ALONE: Kinds = Kinds {
    service: main::SERVICE,
    dest: main::DEST,
    laddr: main::LADDR,
};

/// Of a step of a batch.
const IN_BATCH: Kinds = Kinds {
    service: change::SERVICE,
    dest: change::DEST,
    laddr: change::LADDR,
};

/// The nests of `change`.
fn change_attributes(change: &Change, kinds: &Kinds) -> Vec<Attr> {
    let (service, dest) = match change {
        Change::ServiceAdd { id, spec } => {
            // What is not told is as it is unless told otherwise.
            let update = ServiceUpdate {
                scheduler: Some(spec.scheduler),
                ..spec.since(&ServiceSpec::new(spec.scheduler))
            };
            (service_wire::attributes(id, &update), None)
        }
        Change::ServiceSet { id, update } => (service_wire::attributes(id, update), None),
        Change::ServiceDel { id } => (service_wire::id_attributes(id), None),
        Change::DestAdd { service, id, spec } => {
            let dest = dest::attributes(id, &spec.told());
            (service_wire::id_attributes(service), Some(dest))
        }
        Change::DestSet {
            service,
            id,
            update,
        } => {
            let dest = dest::attributes(id, update);
            (service_wire::id_attributes(service), Some(dest))
        }
        Change::DestDel { service, id } => {
            let dest = dest::id_attributes(id).to_vec();
            (service_wire::id_attributes(service), Some(dest))
        }
        Change::LocalAdd { service, address } | Change::LocalDel { service, address } => {
            let service = service.iter().map(service_wire::id_attributes);
            let nests = service.map(|nest| Attr::nest(kinds.service, nest));
            return nests
                .chain([Attr::local_address(kinds.laddr, *address)])
                .collect();
        }
    };
    let dest = dest.map(|dest| Attr::nest(kinds.dest, dest));
    let service = Attr::nest(kinds.service, service);
    std::iter::once(service).chain(dest).collect()
}

#[cfg(test)]
mod tests;
