// SPDX-License-Identifier: GPL-2.0

//! Sending packets to dests: one file a forwarding mode.

mod dr;

pub(super) use dr::dr;
