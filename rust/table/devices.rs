// SPDX-License-Identifier: GPL-2.0

//! What happens when a device goes down or away: nothing may hold on to it.

use super::{netns::Netns, ways::Which};
use crate::kapi::{
    netdev::{Device, DeviceWatcher},
    netns::Net,
    notifier,
};

/// Lets go of routes through devices that go away.
pub(crate) struct Devices;

static DEVICES: notifier::Registration = notifier::Registration::new();

impl DeviceWatcher for Devices {
    fn gone(net: &Net, device: Device) {
        if let Some(netns) = Netns::of(net) {
            netns.forget_ways(Which::Through(device));
        }
    }

    fn registration() -> &'static notifier::Registration {
        &DEVICES
    }
}
