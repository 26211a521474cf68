// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `IPVS`: the dialect of `ipvsadm`, `keepalived` and all others that
//! drive `ip_vs`, over the same services and dests as the family `rvs`.
//!
//! It is lenient where `ip_vs` is, and answers with its error numbers; beyond that, refusals have
//! a text. What RVS does not have is refused in [`decode`].

mod change;
mod config;
mod daemon;
mod decode;
mod encode;
mod files;
mod get;
mod namespace;
mod nest;
mod policy;
mod proc;
mod sockopt;
mod sysctl;
mod uapi;

use kernel::error::code::EEXIST;
use kernel::prelude::*;

use crate::kapi::genl::{Family, Op, Registration};
use crate::kapi::modules;
use crate::kapi::netns::Registered;
use crate::kapi::notifier::{self, Listening};
use change::Set;
use files::Files;
use namespace::Namespace;
use uapi::{cmd, main};

static FAMILY: Family = Family::old(
    uapi::NAME,
    uapi::VERSION,
    &HANDLERS,
    main::MAX,
    cmd::FLUSH + 1,
);

static HANDLERS: [Op; 17] = [
    Op::doit::<Set<{ cmd::NEW_SERVICE }>>().lenient(),
    Op::doit::<Set<{ cmd::SET_SERVICE }>>().lenient(),
    Op::doit::<Set<{ cmd::DEL_SERVICE }>>().lenient(),
    Op::doit::<get::Services>().lenient(),
    Op::dumpit::<get::Services>().lenient(),
    Op::doit::<Set<{ cmd::NEW_DEST }>>().lenient(),
    Op::doit::<Set<{ cmd::SET_DEST }>>().lenient(),
    Op::doit::<Set<{ cmd::DEL_DEST }>>().lenient(),
    Op::dumpit::<get::Dests>().lenient(),
    Op::doit::<daemon::New>().lenient(),
    Op::doit::<daemon::Del>().lenient(),
    Op::dumpit::<daemon::Get>().lenient(),
    Op::doit::<config::Set>().lenient(),
    Op::doit::<config::Get>().lenient(),
    Op::doit::<config::Info>().lenient(),
    Op::doit::<change::Zero>().lenient(),
    Op::doit::<change::Flush>().lenient(),
];

/// The dialect, while it is spoken.
pub(crate) struct Spoken {
    _sockopt: Option<sockopt::Registered>,
    _family: Registration,
    _files: Option<Registered<Files>>,
    _namespaces: Option<Registered<Namespace>>,
    _gate: Option<Listening>,
}

/// Keeps `ip_vs` out while RVS has its names: the kernel would warn of each file that is there
/// twice.
struct Gate;

static GATE: notifier::Registration = notifier::Registration::new();

impl modules::Gate for Gate {
    fn admits(name: &[u8]) -> bool {
        if name != b"ip_vs" {
            return true;
        }
        pr_err!("ip_vs is not loaded: RVS has its place until it is unloaded (rmmod rvs)\n");
        false
    }

    fn registration() -> &'static notifier::Registration {
        &GATE
    }
}

/// Takes the family's name if it is free. Do it after everything else when the module is loaded,
/// and drop what it gives first: its requests send events of the family `rvs`.
///
/// Does not fail: without the dialect RVS works all the same, and the log says why it is missing.
pub(crate) fn speak() -> Option<Spoken> {
    match FAMILY.register() {
        Ok(family) => {
            pr_info!("ipvsadm and keepalived now drive RVS\n");
            let gate = modules::guard::<Gate>()
                .inspect_err(|error| pr_warn!("ip_vs is not kept out ({})\n", error.to_errno()));
            let namespaces = Namespace::register();
            // Only now, as ip_vs has files of these names.
            let files = namespaces.as_ref().map_err(|error| *error);
            let files = files.and_then(|_| Files::register());
            if let Err(error) = &files {
                pr_warn!("no files in /proc ({})\n", error.to_errno());
            }
            let sockopt = sockopt::Registered::register().inspect_err(|error| {
                pr_warn!("no IP_VS_SO_GET_* ({})\n", error.to_errno());
            });
            Some(Spoken {
                _sockopt: sockopt.ok(),
                _family: family,
                _files: files.ok(),
                _namespaces: namespaces.ok(),
                _gate: gate.ok(),
            })
        }
        Err(error) if error == EEXIST => {
            pr_notice!("ip_vs is loaded and has the family IPVS: rvsadm only\n");
            None
        }
        Err(error) => {
            pr_warn!("no family IPVS ({}): rvsadm only\n", error.to_errno());
            None
        }
    }
}
