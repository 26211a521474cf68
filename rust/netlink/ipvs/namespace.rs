// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has while the dialect is spoken: files below `/proc/net` and
//! `/proc/sys/net/ipv4/vs`, what was written to those, and the daemons that were started.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Mutex, MutexGuard},
};

use super::{daemon::Daemons, proc, sysctl};
use crate::kapi::{
    netns::{Net, PerNet, Registered, Registration},
    proc::File,
    sysctl::Registered as SysctlFiles,
};

/// State of one namespace.
#[pin_data]
pub(super) struct Namespace {
    files: [File; 4],
    sysctl_files: SysctlFiles,
    #[pin]
    sysctls: Mutex<sysctl::Kept>,
    #[pin]
    daemons: Mutex<Daemons>,
}

static REGISTRATION: Registration<Namespace> = Registration::new();

impl PerNet for Namespace {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let files = [
            File::new::<proc::Services>(net)?,
            File::new::<proc::Connections>(net)?,
            File::new::<proc::Statistics>(net)?,
            File::new::<proc::StatisticsByCpu>(net)?,
        ];
        let sysctls = sysctl::Kept::init(net);
        let sysctl_files = SysctlFiles::new::<sysctl::Folder>(net)?;
        KBox::pin_init(
            pin_init!(Self {
                files,
                sysctl_files,
                sysctls <- new_mutex!(sysctls, "rvs ipvs sysctls"),
                daemons <- new_mutex!(Daemons::default(), "rvs ipvs daemons"),
            }),
            GFP_KERNEL,
        )
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

impl Namespace {
    /// That of `net`; none when it is going away or has none.
    pub(super) fn of(net: &Net) -> Option<&Self> {
        REGISTRATION.get(net)
    }

    /// Every namespace has one until the result is dropped.
    pub(super) fn register() -> Result<Registered<Self>> {
        REGISTRATION.register()
    }

    /// What was written to `/proc/sys/net/ipv4/vs`.
    pub(super) fn sysctls(&self) -> MutexGuard<'_, sysctl::Kept> {
        self.sysctls.lock()
    }

    /// The daemons that were started.
    pub(super) fn daemons(&self) -> MutexGuard<'_, Daemons> {
        self.daemons.lock()
    }
}
