// SPDX-License-Identifier: GPL-2.0

//! UDP: one state, one timeout (`udp_timeouts` in `ip_vs_proto_udp.c`).

/// Default seconds of silence.
pub const TIMEOUT: u32 = 300;
