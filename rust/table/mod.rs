// SPDX-License-Identifier: GPL-2.0

//! What a namespace knows: its services and dests, connections, settings and counts.

mod activity;
mod config;
mod connect;
mod connections;
mod counters;
mod cpus;
mod defence;
mod dest;
mod drain;
mod estimation;
mod filter;
mod index;
mod line;
mod local;
mod local_port;
mod netns;
mod ordered;
mod ports;
mod publication;
mod room;
mod schedule;
mod settings;
mod templates;
mod ways;

pub(crate) use activity::Turn;
pub(crate) use config::{ConfigGuard, Member, Refused, Service};
pub(crate) use connect::{Connect, NewFlow, NoConnection};
pub(crate) use connections::{
    create_caches, Caches, Conn, ConnCursor, ConnView, NatConn, Side, Stage,
};
pub(crate) use counters::{Counter, Counters, Traffic};
pub(crate) use dest::Dest;
pub(crate) use drain::{on_drained, on_leave};
pub(crate) use filter::Gate;
pub(crate) use local::Pool;
pub(crate) use netns::{Devices, Netns};
pub(crate) use schedule::{NoDest, Schedule};
pub(crate) use settings::Settings;
pub(crate) use templates::{TemplateCursor, TemplateView};
