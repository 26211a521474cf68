// SPDX-License-Identifier: GPL-2.0

//! The host that becomes a real server.

use std::net::IpAddr;

use rvs_engine::prefix::Prefix;
use rvs_netlink::fou::{self, GuePort};
use rvs_netlink::toa::{Client, Request, Transport as _};
use rvs_netlink::Error;

use super::links::EEXIST;
use super::module;
use super::rtnetlink::RouteNetlink;
use super::setting::{Network, Setting, ABSENT, DOWN, PRESENT, UP};
use super::sysctl;
use super::tunnel::{Device, Family};
use crate::failure::Failure;

/// What it says of devices of a kind that it does not know.
const EOPNOTSUPP: i32 = 95;
/// What it says of a port that is taken.
const EADDRINUSE: i32 = 98;
/// What it says of a next hop that is on no network of the host.
const ENETUNREACH: i32 = 101;
/// What it says of one that it cannot have: a local address, for instance.
const EINVAL: i32 = 22;

/// What a set-up reads and changes.
pub trait Host {
    /// The value of a setting.
    fn get(&self, setting: &Setting) -> Result<String, Failure>;

    /// Changes a setting.
    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure>;

    /// Makes a device of tunnels that is not there, down. False if the kernel has made it, as it
    /// does with the tunnel's module: it keeps that one as long as the module is loaded.
    fn make(&mut self, device: Device) -> Result<bool, Failure>;

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
    Failure::system(
        "read or change addresses, interfaces and routes",
        error,
        |_| None,
    )
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

/// Why there is no route to clients by a director.
fn route_hint(network: &Network, via: IpAddr, errno: i32) -> Option<String> {
    match errno {
        ENETUNREACH | EINVAL => Some(format!(
            "the director has to be on a network of this host; see: ip route get {via}"
        )),
        EEXIST => Some(format!(
            "another route leads there; see: ip route show {network}"
        )),
        _ => None,
    }
}

fn make_device(routes: &mut RouteNetlink, device: Device) -> Result<bool, Failure> {
    routes.make(device).map_err(|error| {
        Failure::system(format!("make the device {device}"), error, |errno| {
            let module = device.module();
            match errno {
                EOPNOTSUPP => Some(format!(
                    "the kernel has no module {module}; see: modinfo {module}"
                )),
                EEXIST => {
                    Some(format!(
                    "another device takes such packets of any sender; see: ip -d link show type {}",
                    if device == Device::GreSums { "gre" } else { "ip6gre" }
                ))
                }
                _ => None,
            }
        })
    })
}

/// Whether packets in GUE are taken at a port; without the module none are.
fn has_gue_port(port: GuePort) -> Result<bool, Error> {
    match fou::Client::connect().and_then(|mut fou| fou.has(port)) {
        Err(Error::FouNotLoaded) => Ok(false),
        answer => answer,
    }
}

fn set_gue_port(port: GuePort, present: bool) -> Result<(), Error> {
    let mut fou = match fou::Client::connect() {
        Err(Error::FouNotLoaded) => {
            // Asking for the family does not load it, as it does for others.
            module::load("fou");
            fou::Client::connect()?
        }
        fou => fou?,
    };
    if present {
        fou.add(port)
    } else {
        fou.remove(port)
    }
}

fn gue_port(over: Family, port: u16) -> GuePort {
    let ipv6 = over == Family::Ipv6;
    GuePort { ipv6, port }
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
            Setting::Device(device) => Ok(presence(routes.has(*device).map_err(failed)?)),
            Setting::TunnelAddress(device) => {
                let there = routes.has_tunnel_address(*device).map_err(failed)?;
                Ok(presence(there))
            }
            Setting::TunnelUp(device) => {
                let up = routes.is_up(*device).map_err(failed)?;
                Ok(if up { UP } else { DOWN }.to_owned())
            }
            Setting::TunnelMode(device) => {
                let mode = routes.mode(*device).map_err(failed)?;
                Ok(mode.unwrap_or_else(|| ABSENT.to_owned()))
            }
            Setting::GuePort { over, port } => {
                let there = has_gue_port(gue_port(*over, *port));
                let there =
                    there.map_err(|error| Failure::system("read GUE's ports", error, |_| None))?;
                Ok(presence(there))
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
            Setting::Device(device) if value == PRESENT => {
                make_device(routes, *device).map(|_kernels| ())
            }
            Setting::Device(device) => routes.remove(*device).map_err(failed),
            Setting::TunnelAddress(device) => {
                let done = routes.set_tunnel_address(*device, value == PRESENT);
                done.map_err(failed)
            }
            Setting::TunnelUp(device) => routes.set_up(*device, value == UP).map_err(failed),
            Setting::TunnelMode(device) => {
                let done = routes.set_mode(*device, value);
                done.map_err(|error| {
                    Failure::system(format!("change the {setting}"), error, |_| None)
                })
            }
            Setting::GuePort { over, port } => {
                let done = set_gue_port(gue_port(*over, *port), value == PRESENT);
                done.map_err(|error| {
                    Failure::system(format!("change the {setting}"), error, |errno| {
                        let hint = "something else has the port; see: ss -lunp, ip fou show";
                        (errno == EADDRINUSE).then(|| hint.to_owned())
                    })
                })
            }
            Setting::Route { network, via } => {
                let done = routes.set_route(network, *via, value == PRESENT);
                done.map_err(|error| {
                    let hint = |errno| route_hint(network, *via, errno);
                    Failure::system(format!("change the {setting}"), error, hint)
                })
            }
            Setting::Trust(network) => set_trust(network, value == PRESENT),
        }
    }

    fn make(&mut self, device: Device) -> Result<bool, Failure> {
        make_device(self.routes.get_mut(), device)
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
