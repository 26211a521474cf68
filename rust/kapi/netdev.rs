// SPDX-License-Identifier: GPL-2.0

//! News of network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use kernel::{
    ffi::{c_int, c_ulong, c_void},
    prelude::*,
    str::CStrExt,
};

use super::{
    netns::Net,
    notifier::{Listening, Registration},
};
use crate::bindings;

/// A device, to compare with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device(pub(super) *mut bindings::net_device);

/// Who wants to know when devices go.
pub(crate) trait DeviceWatcher: 'static {
    /// `device` of `net` was set down or is being removed: let go of it. Called under RTNL.
    fn gone(net: &Net, device: Device);

    /// The registration of this watcher.
    fn registration() -> &'static Registration;
}

/// Starts telling `W`, once. May sleep.
pub(crate) fn watch<W: DeviceWatcher>() -> Result<Listening> {
    // SAFETY: Both are of the chain of devices, whose news `callback` takes.
    unsafe {
        W::registration().listen(
            Some(callback::<W>),
            bindings::register_netdevice_notifier,
            bindings::unregister_netdevice_notifier,
        )
    }
}

extern "C" fn callback<W: DeviceWatcher>(
    _block: *mut bindings::notifier_block,
    event: c_ulong,
    info: *mut c_void,
) -> c_int {
    let event = event as u32;
    if event == bindings::netdev_cmd_NETDEV_DOWN || event == bindings::netdev_cmd_NETDEV_UNREGISTER
    {
        // SAFETY: Device notifiers get a `netdev_notifier_info`.
        let device = unsafe { bindings::rvs_notifier_info_to_dev(info) };
        // SAFETY: The device is alive, and it is in a live namespace.
        let net = unsafe { Net::from_raw(bindings::dev_net(device.cast())) };
        W::gone(net, Device(device.cast()));
    }
    bindings::NOTIFY_DONE as c_int
}

/// The MTU of the device of that name in `net`, in bytes.
pub(crate) fn mtu(net: &Net, name: &core::ffi::CStr) -> Option<u32> {
    // SAFETY: The namespace is alive, and the name ends with a zero byte.
    let mtu = unsafe { bindings::rvs_device_mtu(net.as_raw(), name.as_char_ptr()) };
    u32::try_from(mtu).ok()
}

/// The index of the device of that name in `net`.
pub(crate) fn index(net: &Net, name: &core::ffi::CStr) -> Option<u32> {
    // SAFETY: As in `mtu`.
    let index = unsafe { bindings::rvs_device_index(net.as_raw(), name.as_char_ptr()) };
    u32::try_from(index).ok().filter(|index| *index != 0)
}
