// SPDX-License-Identifier: GPL-2.0

//! Daemons that tell other directors of a namespace's connections, and that listen to them: sockets
//! and the workers that serve them. What is told and what is learned of it is the table's.

mod backup;
mod daemon;
mod daemons;
mod heard;
mod key;
mod line;
mod master;

pub(crate) use self::{
    daemon::{Daemon, KeyFile, Role, NAME_MAX, ROLES},
    daemons::{Daemons, Refused},
};
