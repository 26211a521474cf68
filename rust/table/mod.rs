// SPDX-License-Identifier: GPL-2.0

//! What a namespace knows: its services and dests, connections, settings and counts.

mod activity;
mod callers;
mod calling;
mod client_routes;
mod complaints;
mod config;
mod connect;
mod connections;
mod counters;
mod cpus;
mod defence;
mod dest;
mod devices;
mod drain;
mod estimation;
mod expected;
mod explain;
mod filter;
mod helping;
mod index;
mod line;
mod live;
mod local;
mod local_port;
mod netns;
mod ordered;
mod peers;
mod ports;
mod publication;
mod replies;
mod restoring;
mod room;
mod schedule;
mod settings;
mod templates;
mod turn;
mod waking;
mod ways;

pub(crate) use calling::Caller;
pub(crate) use config::{ConfigGuard, Member, Refused, Service};
pub(crate) use connect::{Connect, NewFlow, NoConnection};
pub(crate) use connections::{
    caches, Account, Caches, Conn, ConnCursor, ConnView, Lane, NatConn, Renamed, Side, Stage,
};
pub(crate) use counters::{Counter, Counters, Traffic};
pub(crate) use dest::Dest;
pub(crate) use devices::Devices;
pub(crate) use drain::on_drained;
pub(crate) use expected::ToldOf;
pub(crate) use explain::{Explanation, Question};
pub(crate) use filter::Gate;
pub(crate) use local::Pool;
pub(crate) use netns::{on_leave, Netns};
pub(crate) use peers::{Outbox, Parcel, PeerCount, Progress, Round, Tuning, PEER_COUNTS};
pub(crate) use restoring::RESTORED;
pub(crate) use schedule::{NoDest, Schedule};
pub(crate) use settings::{begin_with, Settings};
pub(crate) use templates::{TemplateCursor, TemplateView};
pub(crate) use turn::{Posts, Turn};
