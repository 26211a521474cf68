// SPDX-License-Identifier: GPL-2.0

//! Flags of an entry (`IP_VS_CONN_F_*` of `include/uapi/linux/ip_vs.h`).

/// How packets travel, see [`mode`].
pub const MODE: u32 = 0x0007;
/// Packets of the dest do not come by: only the client's move its state.
pub const NO_OUTPUT: u32 = 0x0080;
/// Its dest counts it as inactive.
pub const INACTIVE: u32 = 0x0100;
/// Numbers of the dest's stream are moved.
pub const OUT_SEQUENCES: u32 = 0x0200;
/// Numbers of the client's stream are moved.
pub const IN_SEQUENCES: u32 = 0x0400;
/// The client's port is not known yet.
pub const NO_CLIENT_PORT: u32 = 0x0800;
/// It is a template of persistence.
pub const TEMPLATE: u32 = 0x1000;
/// It is of one packet only.
pub const ONE_PACKET: u32 = 0x2000;

/// Numbers of [`MODE`].
pub mod mode {
    /// Masquerading.
    pub const NAT: u32 = 0;
    /// The dest is the director.
    pub const LOCAL: u32 = 1;
    /// A tunnel.
    pub const TUN: u32 = 2;
    /// Direct routing.
    pub const DR: u32 = 3;
}
