// SPDX-License-Identifier: GPL-2.0

//! The files that a network namespace has below `/proc/net` and `/proc/sys/net/ipv4/vs` while the
//! dialect is spoken.

use kernel::prelude::*;

use super::{proc, sysctl, tables};
use crate::kapi::{
    netns::{Net, PerNet, Registered, Registration},
    proc::File,
    sysctl::Registered as SysctlFiles,
};

/// Those of one namespace.
pub(super) struct Files {
    files: [File; 7],
    sysctl_files: SysctlFiles,
}

static REGISTRATION: Registration<Files> = Registration::new();

impl PerNet for Files {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let this = Self {
            files: [
                File::new::<proc::Services>(net)?,
                File::new::<proc::Connections>(net)?,
                File::new::<proc::Statistics>(net)?,
                File::new::<proc::StatisticsByCpu>(net)?,
                File::new::<tables::Status>(net)?,
                File::new::<tables::Synced>(net)?,
                File::new::<tables::Helpers>(net)?,
            ],
            sysctl_files: SysctlFiles::new::<sysctl::Folder>(net)?,
        };
        Ok(KBox::pin(this, GFP_KERNEL)?)
    }

    fn pre_exit(&self) {
        // Nobody reads the services of a namespace that loses them.
        self.files.iter().for_each(File::remove);
        self.sysctl_files.remove();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

impl Files {
    /// Every namespace has them until the result is dropped; after
    /// [`Namespace`](super::namespace::Namespace), which has what is written to them.
    pub(super) fn register() -> Result<Registered<Self>> {
        REGISTRATION.register()
    }
}
