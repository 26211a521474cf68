// SPDX-License-Identifier: GPL-2.0

//! Sending packets: one file a mode, above what modes share.

mod datagram;
mod dr;
mod exit;
mod frame;
mod fullnat;
mod helper;
mod nat;
mod nat64;
mod own;
mod path;
mod renamed;
mod translate;
mod transmit;
mod tun;

pub(super) use dr::dr;
pub(super) use exit::Exit;
pub(super) use frame::{translation, Ipip, Plan, Tunnelled, Whole};
pub(super) use nat::{icmp_error, nat};
pub(super) use nat64::Crosses;
pub(super) use own::{send_own, HEADROOM};
pub(super) use renamed::renamed;
pub(super) use transmit::{leave, stays_here, way_to};
pub(super) use tun::tun;
