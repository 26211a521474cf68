// SPDX-License-Identifier: GPL-2.0

//! A namespace's configuration.
//!
//! Everything here is under the configuration mutex. Packets see what [`ConfigGuard::apply`]
//! publishes by RCU at its end: all of a batch or nothing.

mod callers;
mod change;
mod checks;
mod filters;
mod guard;
mod held;
mod publish;
mod records;
mod removed;
mod retire;
mod service;
mod store;
mod tend;
mod totals;
mod undo;

pub(super) use self::store::Config;
pub(crate) use self::{
    change::Refused,
    guard::ConfigGuard,
    service::{Member, Service},
};
