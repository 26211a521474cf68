// SPDX-License-Identifier: GPL-2.0

//! Changes of a namespace's configuration, and why one is refused.
//!
//! Both netlink dialects decode into [`Change`]; `table` applies them in order, all or none.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

use super::sched::SchedulerName;
use super::service::{ServiceSpec, ServiceUpdate};
use super::spec::{DestId, DestSpec, DestUpdate, Field, ServiceId, SpecError};

/// One change of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add a service.
    ServiceAdd {
        /// Its id.
        id: ServiceId,
        /// Its settings.
        spec: ServiceSpec,
    },
    /// Change a service.
    ServiceSet {
        /// Its id.
        id: ServiceId,
        /// Its new settings.
        update: ServiceUpdate,
    },
    /// Remove a service with its dests.
    ServiceDel {
        /// Its id.
        id: ServiceId,
    },
    /// Add a dest to a service.
    DestAdd {
        /// The service.
        service: ServiceId,
        /// The dest.
        id: DestId,
        /// Its settings.
        spec: DestSpec,
    },
    /// Change a dest.
    DestSet {
        /// The service.
        service: ServiceId,
        /// The dest.
        id: DestId,
        /// Its new settings.
        update: DestUpdate,
    },
    /// Remove a dest.
    DestDel {
        /// The service.
        service: ServiceId,
        /// The dest.
        id: DestId,
    },
    /// Add an address that FullNAT puts in the client's place.
    LocalAdd {
        /// The service whose pool it is; none for the namespace's, which services without addresses
        /// of their own use.
        service: Option<ServiceId>,
        /// The address.
        address: IpAddr,
    },
    /// Remove such an address. Connections that have it keep it.
    LocalDel {
        /// The service whose pool it is; none for the namespace's.
        service: Option<ServiceId>,
        /// The address.
        address: IpAddr,
    },
}

/// Why a [`Change`] is refused. `Display` gives the text for the user, at most 79 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// A description breaks a rule.
    Spec(SpecError),
    /// No scheduler has that name.
    NoScheduler(SchedulerName),
    /// The service is there already.
    ServiceExists(ServiceId),
    /// No such service.
    NoService(ServiceId),
    /// The dest is there already.
    DestExists(DestId),
    /// No such dest in the service.
    NoDest(DestId),
    /// The director has no route to the real server.
    NoRoute(IpAddr),
    /// The local address is in the pool already.
    LocalExists(IpAddr),
    /// No such local address in the pool.
    NoLocal(IpAddr),
    /// The director does not have the address.
    NotOnThisHost(IpAddr),
    /// The kernel has no memory for it.
    NoMemory,
}

impl From<SpecError> for ChangeError {
    fn from(error: SpecError) -> Self {
        Self::Spec(error)
    }
}

/// What an error is about; netlink maps it to the offending attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The service's nest, or the given part of it.
    Service(Option<Field>),
    /// The service's scheduler.
    Scheduler,
    /// The dest's nest, or the given part of it.
    Dest(Option<Field>),
    /// The local address.
    Local,
    /// Nothing in the message.
    Nothing,
}

impl ChangeError {
    /// Which part of `change` this error is about.
    pub fn blame(&self, change: &Change) -> Blame {
        let of_dest = matches!(
            change,
            Change::DestAdd { .. } | Change::DestSet { .. } | Change::DestDel { .. }
        );
        let of_local = matches!(change, Change::LocalAdd { .. } | Change::LocalDel { .. });
        match self {
            Self::Spec(_) if of_local => Blame::Local,
            Self::Spec(error) if of_dest => Blame::Dest(Some(error.field())),
            Self::Spec(error) => Blame::Service(Some(error.field())),
            Self::NoScheduler(_) => Blame::Scheduler,
            Self::ServiceExists(_) | Self::NoService(_) => Blame::Service(None),
            Self::DestExists(_) | Self::NoDest(_) => Blame::Dest(None),
            Self::NotOnThisHost(_) if of_dest => Blame::Dest(Some(Field::Address)),
            Self::LocalExists(_) | Self::NoLocal(_) | Self::NotOnThisHost(_) => Blame::Local,
            Self::NoRoute(_) => Blame::Dest(Some(Field::Address)),
            Self::NoMemory => Blame::Nothing,
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Spec(error) => error.fmt(f),
            Self::NoScheduler(name) => {
                f.write_str("no scheduler is called \"")?;
                // Byte for byte, so that the text fits whatever came in.
                for byte in name.as_str().bytes() {
                    let shown = if byte.is_ascii_graphic() { byte } else { b'?' };
                    f.write_char(shown.into())?;
                }
                f.write_char('"')
            }
            Self::ServiceExists(id) => write!(f, "service {id} exists already"),
            Self::NoService(id) => write!(f, "no service {id}"),
            Self::DestExists(id) => write!(f, "dest {id} exists already"),
            Self::NoDest(id) => write!(f, "no dest {id} in the service"),
            Self::NoRoute(a) => write!(f, "no route to {a}"),
            Self::LocalExists(a) => write!(f, "local address {a} is in the pool already"),
            Self::NoLocal(a) => write!(f, "no local address {a} in the pool"),
            Self::NotOnThisHost(a) => write!(f, "{a} is not an address of this host"),
            Self::NoMemory => f.write_str("out of memory"),
        }
    }
}
