// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `toa`, as `toa.yaml` describes it.

#[path = "../../rust/netlink/accept.rs"]
mod accept;
mod config;
// Its items are `pub` for the userspace crate that includes the same file.
#[allow(unreachable_pub)]
mod generated;
mod lookup;
mod namespace;
mod policy;
mod request;
mod stats;

use kernel::error::Result;

pub(crate) use crate::kapi::genl::Registration;

use crate::kapi::genl::{Family, Op};
use generated::{FAMILY_NAME, FAMILY_VERSION, OPS};

static FAMILY: Family = Family::new(FAMILY_NAME, FAMILY_VERSION, &HANDLERS, &[]);

static HANDLERS: [Op; 11] = as_in_spec([
    Op::doit::<config::Get>(),
    Op::doit::<config::TrustAdd>(),
    Op::doit::<config::TrustDel>(),
    Op::doit::<config::KindAdd>(),
    Op::doit::<config::KindDel>(),
    Op::doit::<stats::Get>(),
    Op::doit::<config::UdpSet>(),
    Op::doit::<lookup::Lookup>(),
    Op::doit::<lookup::ClientGet>().for_all(),
    Op::doit::<config::Inherit>(),
    Op::doit::<config::RequireSet>(),
]);

/// Checks at compile time that every operation of the spec has its handler, in the order that the
/// core wants, and that there is no other.
const fn as_in_spec(handlers: [Op; 11]) -> [Op; 11] {
    assert!(OPS.len() == handlers.len());
    let mut i = 0;
    while i < OPS.len() {
        assert!(OPS[i].uns_admin == handlers[i].is_for_admins());
        assert!(OPS[i].dump_request.is_none());
        assert!(handlers[i].cmd() == OPS[i].cmd && !handlers[i].is_dump());
        i += 1;
    }
    handlers
}

/// Registers the family. Do it last when the module is loaded, and drop what it gives first when
/// it is unloaded: requests use the state of namespaces.
///
/// # Errors
///
/// `EEXIST` when another family has the name; `ENOMEM`.
pub(crate) fn register() -> Result<Registration> {
    FAMILY.register()
}
