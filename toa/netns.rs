// SPDX-License-Identifier: GPL-2.0

//! Namespaces come and go, and their settings change.
//!
//! A namespace goes by the settings of the first one until something is set in it: whoever runs
//! containers says once whom to believe, and those that come later know it too.

use core::{
    iter, mem, ptr,
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::prelude::*;

use crate::{
    demand,
    kapi::{
        netfilter::Hooks,
        netns::{Net, PerNet, Registered, Registration},
        rcu::{self, RcuBox},
        work::Worker,
    },
    state::{Netns, Settings, REGISTRATION},
    udp,
};

/// Whether all namespaces that were there have their state: those who make others pay for them.
static ALL_HAVE: AtomicBool = AtomicBool::new(false);

/// Makes the state of every namespace.
pub(crate) fn register() -> Result<Registered<Netns>> {
    let registered = REGISTRATION.register()?;
    ALL_HAVE.store(true, Ordering::Release);
    Ok(registered)
}

impl PerNet for Netns {
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>> {
        let this = Self::new(net)?;
        if ALL_HAVE.load(Ordering::Acquire) {
            this.set_owner();
        }
        // SAFETY: Just made, nobody kicks it before; `pre_exit` stops it.
        unsafe { Worker::start(this.as_ref()) };
        if let Some(first) = Self::first() {
            let mut others = first.others.lock();
            let settings = first.copy_of_settings()?;
            // SAFETY: `pre_exit` takes it out of the list before the state goes.
            others.push(unsafe { &*ptr::from_ref(&*this) }, GFP_KERNEL)?;
            let raised = raise(&this, &settings);
            if raised.is_err() {
                others.retain(|other| !ptr::eq(*other, &*this));
            }
            raised?;
        }
        Ok(this)
    }

    fn pre_exit(&self) {
        if let Some(first) = Self::first() {
            let mut others = first.others.lock();
            others.retain(|other| !ptr::eq(*other, self));
        }
        let hooks = mem::take(&mut *self.hooks.lock());
        let has_hooks = hooks.udp.is_some() || hooks.demand.is_some();
        drop(hooks);
        if has_hooks {
            rcu::synchronize();
        }
        self.worker.stop();
    }

    fn registration() -> &'static Registration<Self> {
        &REGISTRATION
    }
}

/// Changes the settings of a namespace, which has its own from then on. May sleep.
///
/// # Errors
///
/// `ENOMEM`, or what `change` gives; then nothing changes.
pub(crate) fn change(netns: &Netns, change: impl FnOnce(&mut Settings) -> Result) -> Result {
    let others = Netns::first().ok_or(ENODEV)?.others.lock();
    let mut settings = netns.copy_of_settings()?;
    change(&mut settings)?;
    netns.set_owner();
    let is_first = netns.net.is_first();
    let concerned = || {
        let others = others.iter().copied();
        let heirs = others.filter(|other| is_first && other.inherits());
        Iterator::chain(iter::once(netns), heirs)
    };
    let raised = concerned().try_for_each(|each| raise(each, &settings));
    let raised = raised.and_then(|()| {
        netns
            .own
            .replace(Some(RcuBox::new(settings, GFP_KERNEL_ACCOUNT)?));
        Ok(())
    });
    lower(concerned);
    raised
}

/// Has a namespace go by the settings of the first one again. May sleep.
///
/// # Errors
///
/// `ENOMEM`, `EINVAL` for the first one; then nothing changes.
pub(crate) fn inherit(netns: &Netns) -> Result {
    let first = Netns::first().ok_or(ENODEV)?;
    if netns.net.is_first() {
        return Err(EINVAL);
    }
    let _others = first.others.lock();
    let raised = raise(netns, &first.copy_of_settings()?);
    if raised.is_ok() {
        netns.own.replace(None);
    }
    lower(|| iter::once(netns));
    raised
}

/// Registers the hooks that `settings` ask for, where they are missing.
fn raise(netns: &Netns, settings: &Settings) -> Result {
    let mut hooks = netns.hooks.lock();
    if settings.demands && hooks.demand.is_none() {
        // SAFETY: `pre_exit` drops them and waits.
        let raised = unsafe { Hooks::register(netns.net, netns, demand::describe()) };
        hooks.demand = Some(raised?);
    }
    if settings.udp && hooks.udp.is_none() {
        netns.is_udp_on.store(true, Ordering::Release);
        // SAFETY: As above.
        let raised = unsafe { Hooks::register(netns.net, netns, udp::describe()) };
        netns.is_udp_on.store(raised.is_ok(), Ordering::Release);
        hooks.udp = Some(raised?);
    }
    Ok(())
}

/// Takes away the hooks that the settings of `concerned` do not ask for.
fn lower<'a, I: Iterator<Item = &'a Netns>>(concerned: impl Fn() -> I) {
    let mut has_lowered = false;
    for netns in concerned() {
        let (wants_udp, demands) = netns.wants();
        let mut hooks = netns.hooks.lock();
        if !demands {
            hooks.demand = None;
        }
        has_lowered |= !wants_udp && hooks.udp.take().is_some();
    }
    if has_lowered {
        // Nobody learns any more; the workers forget.
        rcu::synchronize();
    }
    for netns in concerned() {
        if !netns.wants().0 && netns.is_udp_on.swap(false, Ordering::AcqRel) {
            netns.worker.kick(0);
        }
    }
}
