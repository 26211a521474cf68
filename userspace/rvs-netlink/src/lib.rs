// SPDX-License-Identifier: GPL-2.0

//! Client of the generic netlink family `rvs`.
//!
//! - [`Request`] and [`Reply`] are the messages, typed; [`attr`] puts them on the wire.
//! - [`Transport`] is what a program talks to: [`Client`] over a blocking socket, or a fake.
//! - [`Lists`] reads whole answers of it.
//! - [`Events`] reads the multicast group of changes.
//! - [`toa`] is the same for the family `toa`, the receiver on real servers.
//! - [`fou`] has the kernel's ports for tunnels in UDP.
//! - [`Error`] keeps what the kernel said apart: its text, the attribute it blames, the errno.
//!
//! The numbers come from `rust/netlink/rvs.yaml`, through the same generated file as the kernel's.

pub mod attr;
mod client;
mod config;
mod conn;
mod dest;
mod error;
mod event;
mod events;
mod exchange;
mod explain;
mod extack;
mod family;
pub mod fou;
mod lists;
mod message;
mod names;
mod records;
mod reply;
mod request;
mod selection;
mod service;
mod socket;
mod stats;
mod steady;
mod sync;
mod template;
pub mod toa;
mod transport;

/// Numbers and policies of the family, made from the spec.
#[path = "../../../rust/netlink/generated.rs"]
pub mod generated;

pub use client::Client;
pub use config::{Config, TcpTimeouts};
pub use conn::{Account, Connection};
pub use dest::DestInfo;
pub use error::Error;
pub use event::{event_names, Event};
pub use events::Events;
pub use exchange::{Exchange, Replies};
pub use explain::{Explanation, Question};
pub use extack::{Blame, Refusal};
pub use family::number_of_ipvs;
pub use lists::Lists;
pub use names::attribute_name;
pub use records::Records;
pub use reply::Reply;
pub use request::Request;
pub use service::ServiceInfo;
pub use socket::{Datagrams, NetlinkSocket};
pub use stats::{Counters, Restored, States, Stats, SyncCounters};
pub use sync::{Daemon, Role};
pub use template::Template;
pub use transport::{Transport, Watch};
