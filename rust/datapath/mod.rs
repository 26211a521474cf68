// SPDX-License-Identifier: GPL-2.0

//! The way of a packet: hook, look-up, schedule, transmit.

mod context;
mod echo;
mod family;
mod farewell;
mod hook;
mod icmp;
mod late;
mod new_flow;
mod source;
mod tunnel_error;
mod xmit;

pub(crate) use farewell::ask;
pub(crate) use hook::{activate, activate_behind};
