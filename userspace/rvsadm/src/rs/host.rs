// SPDX-License-Identifier: GPL-2.0

//! The host that becomes a real server.

use std::net::IpAddr;

use rvs_engine::prefix::Prefix;
use rvs_netlink::toa::{Client, Request, Transport as _};
use rvs_netlink::Error;

use super::rtnetlink::RouteNetlink;
use super::setting::{Network, Setting, ABSENT, DOWN, PRESENT, UP};
use super::sysctl;
use crate::failure::Failure;

/// What a set-up reads and changes.
pub trait Host {
    /// The value of a setting.
    fn get(&self, setting: &Setting) -> Result<String, Failure>;

    /// Changes a setting.
    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure>;

    /// Sees to it that there is a device for tunnels, up or down. It is not taken away again: the
    /// kernel makes one with the tunnel's module.
    fn make_tunnel(&mut self, device: &str) -> Result<(), Failure>;

    /// Names of the interfaces besides lo that have settings of IPv4, or of IPv6.
    fn interfaces(&self, v6: bool) -> Result<Vec<String>, Failure>;

    /// Addresses on lo, /32 or /128, besides those of 127.0.0.0/8 and ::1.
    fn addresses(&self) -> Result<Vec<IpAddr>, Failure>;

    /// The interface besides lo that has `address`, or lo with a wider prefix.
    fn elsewhere(&self, address: IpAddr) -> Result<Option<String>, Failure>;
}

/// The current network namespace.
pub struct System {
    routes: std::cell::RefCell<RouteNetlink>,
}

impl System {
    /// Opens what it needs.
    pub fn new() -> Result<Self, Failure> {
        let routes = RouteNetlink::open().map_err(failed)?.into();
        Ok(Self { routes })
    }
}

fn failed(error: Error) -> Failure {
    Failure::kernel("read or change addresses, interfaces and routes", error)
}

fn presence(present: bool) -> String {
    if present { PRESENT } else { ABSENT }.to_owned()
}

/// Whether the receiver believes `network`; without the receiver nobody does.
fn is_trusted(network: &Network) -> Result<bool, Error> {
    let answer = Client::connect().and_then(|mut toa| toa.call(&Request::ConfigGet));
    match answer {
        Ok(config) => Ok(config.trusted.iter().any(|p| Network::from(*p) == *network)),
        Err(Error::ReceiverNotLoaded) => Ok(false),
        Err(error) => Err(error),
    }
}

fn set_trust(network: &Network, trust: bool) -> Result<(), Failure> {
    let what = format!("change whether the receiver trusts {network}");
    let prefix = Prefix::new(network.address, network.length)
        .map_err(|error| Failure::new(what.clone(), error.to_string(), None))?;
    let request = if trust {
        Request::TrustAdd(prefix)
    } else {
        Request::TrustDel(prefix)
    };
    let done = Client::connect().and_then(|mut toa| toa.call(&request));
    done.map(drop).map_err(|error| Failure::kernel(what, error))
}

impl Host for System {
    fn get(&self, setting: &Setting) -> Result<String, Failure> {
        let mut routes = self.routes.borrow_mut();
        match setting {
            Setting::Sysctl(name) => sysctl::get(name),
            Setting::Address(address) => {
                let there = routes.loopback_addresses().map_err(failed)?;
                Ok(presence(there.contains(address)))
            }
            Setting::LoopbackUp => {
                let up = routes.loopback_is_up().map_err(failed)?;
                Ok(if up { UP } else { DOWN }.to_owned())
            }
            Setting::TunnelUp(device) => {
                let up = routes.is_up(device).map_err(failed)?;
                Ok(if up == Some(true) { UP } else { DOWN }.to_owned())
            }
            Setting::Route { network, via } => {
                let there = routes.has_route(network, *via).map_err(failed)?;
                Ok(presence(there))
            }
            Setting::Trust(network) => {
                let trusted = is_trusted(network)
                    .map_err(|error| Failure::kernel("read whom the receiver trusts", error))?;
                Ok(presence(trusted))
            }
        }
    }

    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure> {
        let routes = self.routes.get_mut();
        match setting {
            Setting::Sysctl(name) => sysctl::set(name, value),
            Setting::Address(address) if value == PRESENT => {
                routes.add_to_loopback(*address).map_err(failed)
            }
            Setting::Address(address) => routes.remove_from_loopback(*address).map_err(failed),
            Setting::LoopbackUp => routes.set_loopback(value == UP).map_err(failed),
            Setting::TunnelUp(device) => routes.set_up(device, value == UP).map_err(failed),
            Setting::Route { network, via } => {
                let done = routes.set_route(network, *via, value == PRESENT);
                done.map_err(|error| Failure::kernel(format!("change the {setting}"), error))
            }
            Setting::Trust(network) => set_trust(network, value == PRESENT),
        }
    }

    fn make_tunnel(&mut self, device: &str) -> Result<(), Failure> {
        let routes = self.routes.get_mut();
        routes
            .make_tunnel(device)
            .map_err(|error| Failure::kernel(format!("make the device {device}"), error))
    }

    fn interfaces(&self, v6: bool) -> Result<Vec<String>, Failure> {
        sysctl::interfaces(v6)
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        self.routes
            .borrow_mut()
            .loopback_addresses()
            .map_err(failed)
    }

    fn elsewhere(&self, address: IpAddr) -> Result<Option<String>, Failure> {
        self.routes
            .borrow_mut()
            .holder_besides_loopback(address)
            .map_err(failed)
    }
}
