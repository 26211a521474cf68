// SPDX-License-Identifier: GPL-2.0

//! What uses the module besides namespaces: devices that give it their frames, and the match `ipvs` of
//! iptables. Both are taken away for the time of an upgrade: frames come by the stack meanwhile.

use rustix::io::Errno;
use rvs_xdp::link::{self, Attached};

use super::ko;
use super::places::Place;
use crate::output::say;
use crate::rs::module;

/// The match.
const MATCH: &str = "xt_rvs";

/// What is put back when this is dropped.
pub struct Others<'a> {
    places: &'a [Place],
    devices: Vec<Attached>,
    is_matching: bool,
}

impl<'a> Others<'a> {
    /// Takes them away; what of them cannot be put back is told, and then they stay.
    pub fn take(places: &'a [Place]) -> Result<Self, String> {
        let mut this = Self {
            places,
            devices: Vec::new(),
            is_matching: false,
        };
        let devices = link::all().map_err(|error| format!("{}: {error}", link::FOLDER))?;
        let known = |one: &Attached| one.device.is_none() || place_of(places, one).is_some();
        if let Some(one) = devices.iter().find(|one| !known(one)) {
            return Err(format!(
                "device {} of network namespace {} gives the module its frames, and a namespace without a process \
                 or a name cannot be entered to have it do so again: rvsadm xdp detach there first",
                one.device.unwrap_or_default(),
                one.namespace
            ));
        }
        this.is_matching = unload_match()?;
        for one in devices {
            let detached = one.detach();
            detached.map_err(|error| {
                let device = one.device.unwrap_or_default();
                format!(
                    "device {device} of network namespace {} stays attached: {error}",
                    one.namespace
                )
            })?;
            this.devices.push(one);
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
        for one in &self.devices {
            let (Some(device), Some(place)) = (one.device, place_of(self.places, one)) else {
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

fn place_of<'a>(places: &'a [Place], one: &Attached) -> Option<&'a Place> {
    places.iter().find(|place| place.number() == one.namespace)
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
