// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/ip_vs_status`, `ip_vs_conn_sync` and `ip_vs_app` in `ip_vs`'s formats.

use core::{
    ffi::CStr,
    fmt::{self, Write},
};

use super::proc;
use crate::{
    engine::{helper::Helper, spec::Mode},
    kapi::{
        netns::Net,
        proc::{Cursor, Show, Text},
    },
    table::{Netns, Service},
};

/// `ip_vs_status`: of the tables how large they are. Those of `ip_vs` are tuned by what it says of its
/// buckets; these are not.
pub(super) struct Status;

impl Show for Status {
    const NAME: &'static CStr = c"ip_vs_status";
    const IS_PRIVATE: bool = true;

    fn show(net: &Net, _cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let Some(netns) = Netns::of(net) else {
            return Ok(false);
        };
        let config = netns.config();
        let (services, buckets) = (config.service_count(), config.counters().table_buckets);
        drop(config);
        let bits = buckets.checked_ilog2().unwrap_or(0);
        write!(
            out,
            "Conns:\t{}\n\
             Conn buckets:\t{buckets} ({bits} bits, lfactor 0)\n\
             Services:\t{services}\n\
             Service buckets:\t{services} (0 bits, lfactor 0)\n\
             Stats thread slots:\t0 (max 0)\n\
             Stats chain max len:\t0\n\
             Stats thread ests:\t0\n",
            netns.connections.count(),
        )?;
        Ok(false)
    }
}

/// `ip_vs_conn_sync`: connections and where they come from, which is where they are looked after: one that
/// another director told of is `SYNC` until its packets come here.
pub(super) struct Synced;

impl Show for Synced {
    const NAME: &'static CStr = c"ip_vs_conn_sync";

    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        proc::connections(net, cursor, out, ("Origin Expires", true))
    }
}

/// `ip_vs_app`: helpers of protocols. Those of `ip_vs` are modules, for the ports that they were told; here
/// services have them, so it lists their ports, and how many connections are followed there.
pub(super) struct Helpers;

impl Show for Helpers {
    const NAME: &'static CStr = c"ip_vs_app";

    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        let Some(netns) = Netns::of(net) else {
            return Ok(false);
        };
        let config = netns.config();
        if cursor.part == 0 {
            out.write_str("prot port    usecnt name\n")?;
            cursor.part = 1;
        }
        // The next port; services have them in any order.
        let ports = config.services().filter_map(helped_port);
        let Some(port) = ports.filter(|port| u64::from(*port) >= cursor.item).min() else {
            return Ok(false);
        };
        let services = config
            .services()
            .filter(|service| helped_port(service) == Some(port));
        let followed = services.map(followed).fold(0, u32::saturating_add);
        writeln!(out, "TCP  {port:<7} {followed:<6} {:<17}", "ftp")?;
        cursor.item = u64::from(port).saturating_add(1);
        Ok(true)
    }
}

/// The port of a service that has a helper.
fn helped_port(service: &Service) -> Option<u16> {
    (service.spec().helper == Helper::Ftp).then(|| service.id().port())
}

/// Connections of a service that its helper follows: those whose addresses are changed.
fn followed(service: &Service) -> u32 {
    let dests = service.dests().iter().map(|member| member.dest());
    let changed = dests.filter(|dest| matches!(dest.mode(), Mode::Nat | Mode::FullNat));
    let counts = changed.map(|dest| dest.active().saturating_add(dest.inactive()));
    counts.fold(0, u32::saturating_add)
}
