// SPDX-License-Identifier: GPL-2.0

//! The host that becomes a real server.

use std::net::Ipv4Addr;

use super::plan::{Setting, ABSENT, DOWN, PRESENT, UP};
use super::rtnetlink::RouteNetlink;
use super::sysctl;
use crate::failure::Failure;

/// What a set-up reads and changes.
pub trait Host {
    /// The value of a setting.
    fn get(&self, setting: &Setting) -> Result<String, Failure>;

    /// Changes a setting.
    fn set(&mut self, setting: &Setting, value: &str) -> Result<(), Failure>;

    /// Names of the interfaces besides lo.
    fn interfaces(&self) -> Result<Vec<String>, Failure>;

    /// Addresses on lo, /32, besides those of 127.0.0.0/8.
    fn addresses(&self) -> Result<Vec<Ipv4Addr>, Failure>;

    /// The interface besides lo that has `address`, or lo with a wider prefix.
    fn elsewhere(&self, address: Ipv4Addr) -> Result<Option<String>, Failure>;
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

fn failed(error: rvs_netlink::Error) -> Failure {
    Failure::kernel("read or change addresses and interfaces", error)
}

impl Host for System {
    fn get(&self, setting: &Setting) -> Result<String, Failure> {
        let mut routes = self.routes.borrow_mut();
        match setting {
            Setting::Sysctl(name) => sysctl::get(name),
            Setting::Address(address) => {
                let there = routes.loopback_addresses().map_err(failed)?;
                let present = there.contains(address);
                Ok(if present { PRESENT } else { ABSENT }.to_owned())
            }
            Setting::LoopbackUp => {
                let up = routes.loopback_is_up().map_err(failed)?;
                Ok(if up { UP } else { DOWN }.to_owned())
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
        }
    }

    fn interfaces(&self) -> Result<Vec<String>, Failure> {
        sysctl::interfaces()
    }

    fn addresses(&self) -> Result<Vec<Ipv4Addr>, Failure> {
        self.routes
            .borrow_mut()
            .loopback_addresses()
            .map_err(failed)
    }

    fn elsewhere(&self, address: Ipv4Addr) -> Result<Option<String>, Failure> {
        self.routes
            .borrow_mut()
            .holder_besides_loopback(address)
            .map_err(failed)
    }
}
