// SPDX-License-Identifier: GPL-2.0

//! Numbers of the family, as `include/uapi/linux/ip_vs.h` has them. One module an attribute set;
//! `MAX` is the highest number of the set that `ip_vs` knows.

/// Name of the family.
pub(super) const NAME: &str = "IPVS";
/// Its version.
pub(super) const VERSION: u8 = 1;
/// What GET_INFO calls the version: 1.2.1.
pub(super) const IP_VS_VERSION: u32 = 0x01_02_01;

/// Commands.
pub(super) mod cmd {
    pub(in super::super) const NEW_SERVICE: u8 = 1;
    pub(in super::super) const SET_SERVICE: u8 = 2;
    pub(in super::super) const DEL_SERVICE: u8 = 3;
    pub(in super::super) const GET_SERVICE: u8 = 4;
    pub(in super::super) const NEW_DEST: u8 = 5;
    pub(in super::super) const SET_DEST: u8 = 6;
    pub(in super::super) const DEL_DEST: u8 = 7;
    pub(in super::super) const GET_DEST: u8 = 8;
    pub(in super::super) const NEW_DAEMON: u8 = 9;
    pub(in super::super) const DEL_DAEMON: u8 = 10;
    pub(in super::super) const GET_DAEMON: u8 = 11;
    pub(in super::super) const SET_CONFIG: u8 = 12;
    pub(in super::super) const GET_CONFIG: u8 = 13;
    pub(in super::super) const SET_INFO: u8 = 14;
    pub(in super::super) const GET_INFO: u8 = 15;
    pub(in super::super) const ZERO: u8 = 16;
    pub(in super::super) const FLUSH: u8 = 17;
}

/// Attributes of a message.
pub(super) mod main {
    pub(in super::super) const SERVICE: u16 = 1;
    pub(in super::super) const DEST: u16 = 2;
    pub(in super::super) const DAEMON: u16 = 3;
    pub(in super::super) const TIMEOUT_TCP: u16 = 4;
    pub(in super::super) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(in super::super) const TIMEOUT_UDP: u16 = 6;
    pub(in super::super) const MAX: u16 = TIMEOUT_UDP;
}

/// Attributes of GET_INFO's reply.
pub(super) mod info {
    pub(in super::super) const VERSION: u16 = 1;
    pub(in super::super) const CONN_TAB_SIZE: u16 = 2;
}

/// Attributes of a service.
pub(super) mod service {
    pub(in super::super) const AF: u16 = 1;
    pub(in super::super) const PROTOCOL: u16 = 2;
    pub(in super::super) const ADDR: u16 = 3;
    pub(in super::super) const PORT: u16 = 4;
    pub(in super::super) const FWMARK: u16 = 5;
    pub(in super::super) const SCHED_NAME: u16 = 6;
    pub(in super::super) const FLAGS: u16 = 7;
    pub(in super::super) const TIMEOUT: u16 = 8;
    pub(in super::super) const NETMASK: u16 = 9;
    pub(in super::super) const STATS: u16 = 10;
    pub(in super::super) const PE_NAME: u16 = 11;
    pub(in super::super) const STATS64: u16 = 12;
    pub(in super::super) const MAX: u16 = STATS64;
}

/// Bits of a service's flags.
pub(super) mod service_flags {
    pub(in super::super) const PERSISTENT: u32 = 1;
    pub(in super::super) const HASHED: u32 = 2;
    pub(in super::super) const ONE_PACKET: u32 = 4;
    /// The scheduler's own, from this bit on.
    pub(in super::super) const SCHEDULER_SHIFT: u32 = 3;
    pub(in super::super) const SCHEDULER: u32 = 0x38;
}

/// Attributes of a dest.
pub(super) mod dest {
    pub(in super::super) const ADDR: u16 = 1;
    pub(in super::super) const PORT: u16 = 2;
    pub(in super::super) const FWD_METHOD: u16 = 3;
    pub(in super::super) const WEIGHT: u16 = 4;
    pub(in super::super) const U_THRESH: u16 = 5;
    pub(in super::super) const L_THRESH: u16 = 6;
    pub(in super::super) const ACTIVE_CONNS: u16 = 7;
    pub(in super::super) const INACT_CONNS: u16 = 8;
    pub(in super::super) const PERSIST_CONNS: u16 = 9;
    pub(in super::super) const STATS: u16 = 10;
    pub(in super::super) const ADDR_FAMILY: u16 = 11;
    pub(in super::super) const STATS64: u16 = 12;
    pub(in super::super) const TUN_TYPE: u16 = 13;
    pub(in super::super) const TUN_PORT: u16 = 14;
    pub(in super::super) const TUN_FLAGS: u16 = 15;
    pub(in super::super) const MAX: u16 = TUN_FLAGS;
    /// RVS's own, in replies only: a nest of how packets really travel to a dest that is shown as
    /// masqueraded.
    pub(in super::super) const RVS: u16 = 0x100;
    /// In that nest: the number that the family `rvs` has for the mode.
    pub(in super::super) const RVS_MODE: u16 = 1;
}

/// Forwarding methods, the low bits of a dest's.
pub(super) mod forward {
    pub(in super::super) const MASK: u32 = 7;
    pub(in super::super) const MASQUERADE: u32 = 0;
    pub(in super::super) const LOCAL: u32 = 1;
    pub(in super::super) const TUNNEL: u32 = 2;
    pub(in super::super) const ROUTE: u32 = 3;
}

/// Attributes of statistics.
pub(super) mod stats {
    pub(in super::super) const CONNS: u16 = 1;
    pub(in super::super) const INPKTS: u16 = 2;
    pub(in super::super) const OUTPKTS: u16 = 3;
    pub(in super::super) const INBYTES: u16 = 4;
    pub(in super::super) const OUTBYTES: u16 = 5;
    pub(in super::super) const CPS: u16 = 6;
    pub(in super::super) const INPPS: u16 = 7;
    pub(in super::super) const OUTPPS: u16 = 8;
    pub(in super::super) const INBPS: u16 = 9;
    pub(in super::super) const OUTBPS: u16 = 10;
    pub(in super::super) const PAD: u16 = 11;
}

/// Attributes of a sync daemon.
pub(super) mod daemon {
    pub(in super::super) const STATE: u16 = 1;
    pub(in super::super) const MCAST_IFN: u16 = 2;
    pub(in super::super) const SYNC_ID: u16 = 3;
    pub(in super::super) const SYNC_MAXLEN: u16 = 4;
    pub(in super::super) const MCAST_GROUP: u16 = 5;
    pub(in super::super) const MCAST_GROUP6: u16 = 6;
    pub(in super::super) const MCAST_PORT: u16 = 7;
    pub(in super::super) const MCAST_TTL: u16 = 8;
    pub(in super::super) const MAX: u16 = MCAST_TTL;
}
