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
mod ends;
mod files;
mod get;
mod helper;
mod namespace;
mod nest;
mod policy;
mod proc;
mod sockname;
mod sockopt;
mod sockset;
mod sysctl;
mod tables;
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

/// Operations and family, open to the administrators of a kind.
macro_rules! family {
    ($family:ident, $handlers:ident, $open:ident) => {
        static $family: Family = Family::old(
            uapi::NAME,
            uapi::VERSION,
            &$handlers,
            main::MAX,
            cmd::FLUSH + 1,
        );

        static $handlers: [Op; 17] = [
            $open(Op::doit::<Set<{ cmd::NEW_SERVICE }>>()),
            $open(Op::doit::<Set<{ cmd::SET_SERVICE }>>()),
            $open(Op::doit::<Set<{ cmd::DEL_SERVICE }>>()),
            $open(Op::doit::<get::Services>()),
            $open(Op::dumpit::<get::Services>()),
            $open(Op::doit::<Set<{ cmd::NEW_DEST }>>()),
            $open(Op::doit::<Set<{ cmd::SET_DEST }>>()),
            $open(Op::doit::<Set<{ cmd::DEL_DEST }>>()),
            $open(Op::dumpit::<get::Dests>()),
            $open(Op::doit::<daemon::New>()),
            $open(Op::doit::<daemon::Del>()),
            $open(Op::dumpit::<daemon::Get>()),
            $open(Op::doit::<config::Set>()),
            $open(Op::doit::<config::Get>()),
            $open(Op::doit::<config::Info>()),
            $open(Op::doit::<change::Zero>()),
            $open(Op::doit::<change::Flush>()),
        ];
    };
}

// As that of `ip_vs`: for the host's administrators.
family!(FAMILY, HANDLERS, of_host);
family!(FAMILY_OF_ALL, HANDLERS_OF_ALL, of_namespaces);

const fn of_host(op: Op) -> Op {
    op.lenient().for_host()
}

/// For those of a namespace of other users as well.
const fn of_namespaces(op: Op) -> Op {
    op.lenient()
}

/// Who may drive RVS by the dialect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drivers {
    /// The host's administrators, as with `ip_vs`.
    Host,
    /// Those of each namespace, whosever it is.
    Namespaces,
}

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
pub(crate) fn speak(drivers: Drivers, number: u16) -> Option<Spoken> {
    let family = match drivers {
        Drivers::Host => &FAMILY,
        Drivers::Namespaces => &FAMILY_OF_ALL,
    };
    match family.register_as(number) {
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
                pr_warn!("no IP_VS_SO_* ({})\n", error.to_errno());
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
