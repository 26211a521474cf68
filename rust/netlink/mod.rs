// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `rvs`, as `rvs.yaml` describes it.
//!
//! A request goes through [`policy`] (the core's validation), [`decode`] (attributes to
//! descriptions), `table` (the change), [`event`] (listeners) and back through [`encode`]. Every
//! refusal has an error number, a text and, where one attribute is to blame, that attribute.

mod accept;
mod batch;
mod change;
mod config;
mod conn;
mod decode;
mod dest;
mod encode;
mod event;
mod explain;
// Its items are `pub` for the userspace crate that includes the same file.
#[allow(unreachable_pub)]
mod generated;
pub(crate) mod ipvs;
mod laddr;
mod lookup;
mod namespace;
mod parameters;
mod policy;
mod record;
mod refusal;
mod release;
mod service;
mod settings;
mod stats;
mod sync;
mod template;
mod view;
mod walk;

use kernel::error::Result;

pub(crate) use crate::kapi::genl::Registration;

use crate::kapi::genl::{Family, Group, Op};
use crate::table;
use change::Single;
use generated::{cmd, FAMILY_NAME, FAMILY_VERSION, MCGRP_EVENTS, MCGRP_EVENTS_UNS_ADMIN, OPS};

static GROUPS: [Group; 1] = [Group::new(MCGRP_EVENTS)];

// What `Group` always asks of a listener is what the spec says.
const _: [(); 1] = [(); MCGRP_EVENTS_UNS_ADMIN as usize];

static FAMILY: Family = Family::new(FAMILY_NAME, FAMILY_VERSION, &HANDLERS, &GROUPS);

static HANDLERS: [Op; 32] = as_in_spec([
    Op::doit::<Single<{ cmd::SERVICE_ADD }>>(),
    Op::doit::<Single<{ cmd::SERVICE_SET }>>(),
    Op::doit::<Single<{ cmd::SERVICE_DEL }>>(),
    Op::doit::<service::Get>(),
    Op::dumpit::<service::Get>(),
    Op::doit::<service::Flush>(),
    Op::doit::<Single<{ cmd::DEST_ADD }>>(),
    Op::doit::<Single<{ cmd::DEST_SET }>>(),
    Op::doit::<Single<{ cmd::DEST_DEL }>>(),
    Op::doit::<dest::Get>(),
    Op::dumpit::<dest::Get>(),
    Op::dumpit::<conn::Get>(),
    Op::doit::<conn::Flush>(),
    Op::doit::<stats::Get>(),
    Op::doit::<stats::Zero>(),
    Op::doit::<config::Get>(),
    Op::doit::<config::Set>(),
    Op::doit::<batch::Batch>(),
    Op::doit::<Single<{ cmd::LADDR_ADD }>>(),
    Op::doit::<Single<{ cmd::LADDR_DEL }>>(),
    Op::dumpit::<laddr::Get>(),
    Op::dumpit::<template::Get>(),
    Op::doit::<release::Release>(),
    Op::doit::<explain::Explain>(),
    Op::doit::<sync::Start>(),
    Op::doit::<sync::Stop>(),
    Op::doit::<sync::Get>(),
    Op::dumpit::<sync::Get>(),
    Op::dumpit::<record::Connections>(),
    Op::dumpit::<record::Templates>(),
    Op::dumpit::<record::Counts>(),
    Op::doit::<record::Restore>(),
]);

/// Checks at compile time that every operation of the spec has its handler, in the order that the
/// core wants, and that there is no other.
const fn as_in_spec(handlers: [Op; 32]) -> [Op; 32] {
    let mut next = 0;
    let mut i = 0;
    while i < OPS.len() {
        assert!(OPS[i].uns_admin);
        if OPS[i].do_request.is_some() {
            assert!(handlers[next].cmd() == OPS[i].cmd && !handlers[next].is_dump());
            next += 1;
        }
        if OPS[i].dump_request.is_some() {
            assert!(handlers[next].cmd() == OPS[i].cmd && handlers[next].is_dump());
            next += 1;
        }
        i += 1;
    }
    assert!(next == handlers.len());
    handlers
}

/// Registers the family, of a module that was `loaded_with` these parameters. Do it last when the module is loaded, and drop what it gives first when
/// it is unloaded: requests use the state of namespaces.
///
/// # Errors
///
/// `EEXIST` when another family has the name; `ENOMEM`.
pub(crate) fn register(loaded_with: &'static str) -> Result<Registration> {
    parameters::set(loaded_with);
    event::send_by(&FAMILY);
    table::on_drained(event::drained);
    FAMILY.register()
}
