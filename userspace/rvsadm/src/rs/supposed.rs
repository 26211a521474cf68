// SPDX-License-Identifier: GPL-2.0

//! A host on which nothing is changed: what a set-up would do there.

use std::net::IpAddr;

use super::host::Host;
use super::setting::{Setting, ABSENT, DOWN, PRESENT};
use super::tunnel::{Device, MODE_IPV6};
use crate::failure::Failure;

/// A host and what is supposed to have been changed on it.
pub struct Supposed<'a> {
    host: &'a dyn Host,
    changed: Vec<(Setting, String)>,
    made: Vec<Device>,
}

impl<'a> Supposed<'a> {
    /// That host, as it is.
    pub fn new(host: &'a dyn Host) -> Self {
        let (changed, made) = (Vec::new(), Vec::new());
        Self {
            host,
            changed,
            made,
        }
    }

    /// What a setting of a device that is not there yet would be at first.
    fn at_first(&self, setting: &Setting) -> Result<Option<String>, Failure> {
        let is_made = |device: &Device| self.made.contains(device);
        let value = match setting {
            Setting::TunnelAddress(device) if is_made(device) => ABSENT,
            Setting::TunnelUp(device) if is_made(device) => DOWN,
            Setting::TunnelMode(device) if is_made(device) => MODE_IPV6,
            Setting::Sysctl(name) => {
                let of_made = self.made.iter().find_map(|device| {
                    let (conf, file) = name.rsplit_once('.')?;
                    let conf = conf.strip_suffix(device.name())?;
                    Some(Setting::Sysctl(format!("{conf}default.{file}")))
                });
                return of_made.map(|usual| self.host.get(&usual)).transpose();
            }
            _ => return Ok(None),
        };
        Ok(Some(value.to_owned()))
    }
}

impl Host for Supposed<'_> {
    fn get(&self, setting: &Setting) -> Result<String, Failure> {
        let mut newest_first = self.changed.iter().rev();
        if let Some((_, value)) = newest_first.find(|(changed, _)| changed == setting) {
            return Ok(value.clone());
        }
        match self.at_first(setting)? {
            Some(value) => Ok(value),
            None => self.host.get(setting),
        }
    }

    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure> {
        self.changed.push((setting.clone(), value.to_owned()));
        Ok(())
    }

    fn make(&mut self, device: Device) -> Result<bool, Failure> {
        self.made.push(device);
        self.set(&Setting::Device(device), PRESENT)?;
        // The kernel makes the others with their module.
        Ok(device.has_sums())
    }

    fn interfaces(&self, v6: bool) -> Result<Vec<String>, Failure> {
        self.host.interfaces(v6)
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        self.host.addresses()
    }

    fn elsewhere(&self, address: IpAddr) -> Result<Option<String>, Failure> {
        self.host.elsewhere(address)
    }
}
