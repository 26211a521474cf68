// SPDX-License-Identifier: GPL-2.0

//! `/proc/sys/net/ipv4/vs`: the names, defaults and limits of `ip_vs`.
//!
//! `docs/ipvs-sysctls.md` says of each what it does here. Most only keep what is written.

pub(super) mod variables;

use core::{
    ffi::{c_int, CStr},
    sync::atomic::Ordering,
};

use kernel::{
    error::code::{EINVAL, ENODEV},
    prelude::*,
};

use super::namespace::Namespace;
use crate::{
    engine::{
        change::Change,
        service::{ServiceSpec, ServiceUpdate},
        spec::TIMEOUT_MAX,
    },
    kapi::{
        netns::Net,
        sysctl::{self, File, Kind, Value},
    },
    netlink::refusal,
    table::{ConfigGuard, Netns},
};
use variables::{Backing, Variable, VARIABLES};

/// The files.
pub(super) struct Folder;

impl sysctl::Folder for Folder {
    const PATH: &'static CStr = c"net/ipv4/vs";

    fn file(index: usize) -> Option<&'static File> {
        VARIABLES.get(index).map(|variable| &variable.file)
    }

    fn get(net: &Net, index: usize) -> Result<Value> {
        let variable = VARIABLES.get(index).ok_or(EINVAL)?;
        let (namespace, netns) = states(net)?;
        let kept = namespace.sysctls();
        let ints = kept.ints.get(index).copied().ok_or(EINVAL)?;
        let value = match variable.file.kind {
            Kind::Long => Value::Long(kept.long),
            Kind::Cpus => Value::Cpus(kept.cpus),
            Kind::Int | Kind::Pair => Value::Ints(ints),
        };
        drop(kept);
        let Backing::Setting { set, shown } = variable.backing else {
            return Ok(value);
        };
        let settings = netns.config().settings();
        // Another number for the same is shown as it was written.
        let [kept, _] = ints;
        let mut written = settings;
        set(&mut written, kept);
        let now = shown(&settings);
        let is_kept = shown(&written) == now;
        Ok(Value::Ints([if is_kept { kept } else { now }, 0]))
    }

    fn set(net: &Net, index: usize, value: Value) -> Result {
        let variable = VARIABLES.get(index).ok_or(EINVAL)?;
        let (namespace, netns) = states(net)?;
        match value {
            Value::Ints(ints) => {
                variable.rule.check(ints)?;
                take_effect(variable.backing, netns, ints)?;
            }
            Value::Long(long) => {
                let number = c_int::try_from(long).unwrap_or(c_int::MAX);
                take_effect(variable.backing, netns, [number, 0])?;
            }
            Value::Cpus(_) => {}
        }
        let mut kept = namespace.sysctls();
        match value {
            Value::Ints(ints) => *kept.ints.get_mut(index).ok_or(EINVAL)? = ints,
            Value::Long(long) => kept.long = long,
            Value::Cpus(cpus) => kept.cpus = cpus,
        }
        Ok(())
    }
}

/// Makes what was written take effect.
fn take_effect(backing: Backing, netns: &Netns, [value, _]: [c_int; 2]) -> Result {
    let mut config = netns.config();
    let mut settings = config.settings();
    match backing {
        Backing::None => return Ok(()),
        Backing::Quiescent => return quiesce(&mut config, value == 0),
        Backing::Expiration(scheduler) => return expire(&mut config, scheduler, value),
        Backing::Estimation => {
            netns.estimate_rates(value != 0);
            return Ok(());
        }
        Backing::Tuning(of) => {
            // None below 0 says anything.
            let number = u32::try_from(value).unwrap_or(0);
            of(&netns.peers.tuning).store(number, Ordering::Relaxed);
            return Ok(());
        }
        Backing::Live(of) => {
            of(netns).store(u32::from(value != 0), Ordering::Relaxed);
            return Ok(());
        }
        Backing::Setting { set, .. } => set(&mut settings, value),
    }
    config.set_settings(settings).map_err(|_| EINVAL)
}

/// Lets clients stay with dests that take no new ones, or not: those of all services with
/// persistence, as the setting is the namespace's in `ip_vs`.
fn quiesce(config: &mut ConfigGuard<'_>, quiesced: bool) -> Result {
    let update = ServiceUpdate {
        quiesced: Some(quiesced),
        ..ServiceUpdate::default()
    };
    update_all(config, update, |spec| spec.persistence.seconds != 0)
}

/// Has services with a scheduler forget addresses after that many seconds.
fn expire(config: &mut ConfigGuard<'_>, scheduler: &str, seconds: c_int) -> Result {
    let update = ServiceUpdate {
        expiration: Some(expiration_of(seconds)),
        ..ServiceUpdate::default()
    };
    update_all(config, update, |spec| spec.scheduler.as_str() == scheduler)
}

/// What a number of seconds means that is below 1: what `ip_vs` forgets then it forgets at once.
fn expiration_of(seconds: c_int) -> u32 {
    u32::try_from(seconds).unwrap_or(0).clamp(1, TIMEOUT_MAX)
}

/// What new services of the dialect with that scheduler have for their expiration; none where that
/// plays no part.
pub(super) fn expiration(net: &Net, scheduler: &str) -> Option<u32> {
    let named = |v: &Variable| matches!(v.backing, Backing::Expiration(of) if of == scheduler);
    let index = VARIABLES.iter().position(named)?;
    let ints = Namespace::of(net)?.sysctls().ints.get(index).copied();
    ints.map(|[seconds, _]| expiration_of(seconds))
}

/// Changes all services of some settings.
fn update_all(
    config: &mut ConfigGuard<'_>,
    update: ServiceUpdate,
    which: impl Fn(&ServiceSpec) -> bool,
) -> Result {
    let mut changes = KVVec::new();
    for service in config.services().filter(|service| which(&service.spec())) {
        let id = service.id();
        changes.push(Change::ServiceSet { id, update }, GFP_KERNEL)?;
    }
    let done = config.apply(&changes);
    done.map_err(|refused| refusal::errno(&refused.error))
}

/// What new services of the dialect have for that.
pub(super) fn quiesced(net: &Net) -> bool {
    let named = |v: &Variable| matches!(v.backing, Backing::Quiescent);
    let index = VARIABLES.iter().position(named);
    let kept = Namespace::of(net)
        .zip(index)
        .and_then(|(namespace, index)| {
            let ints = namespace.sysctls().ints.get(index).copied();
            ints.map(|[value, _]| value)
        });
    kept.unwrap_or(0) == 0
}

/// The states of a namespace; `ENODEV` when it comes or goes.
fn states(net: &Net) -> Result<(&Namespace, &Netns)> {
    let namespace = Namespace::of(net).ok_or(ENODEV)?;
    Ok((namespace, Netns::of(net).ok_or(ENODEV)?))
}
