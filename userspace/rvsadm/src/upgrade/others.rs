// SPDX-License-Identifier: GPL-2.0

//! What uses the module besides namespaces: devices that give it their frames, and the match `ipvs` of
//! iptables. Both are taken away for the time of an upgrade: frames come by the stack meanwhile.

use rustix::io::Errno;
use rvs_xdp::link::{self, Attached};

use super::ko;
use super::places::Place;
use crate::output::say;
use crate::rs::module;
use crate::xdp;

/// The match.
const MATCH: &str = "xt_rvs";

/// What is put back when this is dropped.
pub struct Others<'a> {
    /// And where each is.
    devices: Vec<(Attached, &'a Place)>,
    is_matching: bool,
}

impl<'a> Others<'a> {
    /// Takes them away; what of them cannot be put back is told, and then they stay.
    pub fn take(places: &'a [Place]) -> Result<Self, String> {
        let mut all = link::all().map_err(|error| format!("{}: {error}", link::FOLDER))?;
        all.retain(|one| one.device.is_some());
        let mut devices = Vec::new();
        // A device may have moved since it was attached.
        for place in places {
            if all.is_empty() {
                break;
            }
            let programs = place.inside(xdp::programs);
            let programs =
                programs.map_err(|error| format!("namespace {}: {error}", place.name))?;
            let programs =
                programs.map_err(|error| format!("namespace {}: {error}", place.name))?;
            let is_here = |one: &Attached| programs.contains(&one.program);
            let (here, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_here);
            devices.extend(here.into_iter().map(|one| (one, place)));
            all = others;
        }
        if let Some(one) = all.first() {
            return Err(format!(
                "device {} gives the module its frames, in a network namespace without a process or a name (it was \
                 attached in {}), which cannot be entered to have it do so again: rvsadm xdp detach there first",
                one.device.unwrap_or_default(),
                one.namespace
            ));
        }
        let mut this = Self {
            devices: Vec::new(),
            is_matching: unload_match()?,
        };
        for (one, place) in devices {
            let detached = one.detach();
            detached.map_err(|error| {
                let device = one.device.unwrap_or_default();
                format!("device {device} of {} stays attached: {error}", place.name)
            })?;
            this.devices.push((one, place));
        }
        Ok(this)
    }
}

impl Drop for Others<'_> {
    fn drop(&mut self) {
        if !module::is_loaded("rvs") {
            return;
        }
        if self.is_matching {
            module::load(MATCH);
        }
        if self.is_matching && !module::is_loaded(MATCH) {
            say(format_args!(
                "rvsadm: warning: modprobe {MATCH} failed: rules with -m ipvs need it"
            ));
        }
        for (one, place) in &self.devices {
            let Some(device) = one.device else {
                continue;
            };
            let again = place.inside(|| link::attach(device, one.generic));
            let why = match again {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            say(format_args!(
                "rvsadm: warning: device {device} of the namespace {} gives no frames any more, they come by the \
                 stack: {why}",
                place.name
            ));
        }
    }
}

/// Removes the match, if it is loaded and no rule has it; whether it was.
fn unload_match() -> Result<bool, String> {
    if !module::is_loaded(MATCH) {
        return Ok(false);
    }
    match ko::unload(c"xt_rvs") {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Err(format!(
            "rules with -m ipvs keep {MATCH}, and so the module: iptables-save, ip6tables-save and nft list ruleset \
             show them; take them out until the upgrade is done"
        )),
        Err(error) => Err(format!("cannot remove {MATCH}: {error}")),
    }
}
