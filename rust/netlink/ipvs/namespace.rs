// SPDX-License-Identifier: GPL-2.0

//! What a network namespace has while the dialect is spoken: what was written to
//! `/proc/sys/net/ipv4/vs`.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Mutex, MutexGuard},
};

use super::sysctl::variables::Kept;
use crate::kapi::netns::{Net, PerNet, Registered, Registration};

/// State of one namespace.
#[pin_data]
pub(super) struct Namespace {
    #[pin]
    sysctls: Mutex<Kept>,
}

static REGISTRATION: Registration<Namespace> = Registration::new();

impl PerNet for Namespace {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let sysctls = Kept::init(net);
        KBox::pin_init(
            pin_init!(Self {
                sysctls <- new_mutex!(sysctls, "rvs ipvs sysctls"),
            }),
            GFP_KERNEL,
        )
    }

    fn pre_exit(&self) {}

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
    pub(super) fn sysctls(&self) -> MutexGuard<'_, Kept> {
        self.sysctls.lock()
    }
}
