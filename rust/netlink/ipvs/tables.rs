// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/ip_vs_status`, `ip_vs_conn_sync` and `ip_vs_app` in `ip_vs`'s formats.

use core::{
    ffi::CStr,
    fmt::{self, Write},
};

use super::proc;
use crate::{
    kapi::{
        netns::Net,
        proc::{Cursor, Show, Text},
    },
    table::Netns,
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

/// `ip_vs_conn_sync`: connections and where they come from. Which another director has begun is not
/// kept here.
pub(super) struct Synced;

impl Show for Synced {
    const NAME: &'static CStr = c"ip_vs_conn_sync";

    fn show(net: &Net, cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        proc::connections(net, cursor, out, ("Origin Expires", "LOCAL  "))
    }
}

/// `ip_vs_app`: helpers of protocols, none of which is a module here.
pub(super) struct Helpers;

impl Show for Helpers {
    const NAME: &'static CStr = c"ip_vs_app";

    fn show(_net: &Net, _cursor: &mut Cursor, out: &mut Text<'_>) -> Result<bool, fmt::Error> {
        out.write_str("prot port    usecnt name\n")?;
        Ok(false)
    }
}
