// SPDX-License-Identifier: GPL-2.0

//! News of network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use core::ptr;

use kernel::{
    error::to_result,
    ffi::{c_int, c_ulong, c_void},
    prelude::*,
    str::CStrExt,
    types::Opaque,
};

use super::netns::Net;
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

/// The static part of a watcher.
pub(crate) struct Registration(Opaque<bindings::notifier_block>);

// SAFETY: Written only while registering, which modules do once.
unsafe impl Sync for Registration {}

impl Registration {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self(Opaque::uninit())
    }
}

/// Keeps a watcher registered.
pub(crate) struct Watching(&'static Registration);

/// Starts telling `W`. May sleep.
pub(crate) fn watch<W: DeviceWatcher>() -> Result<Watching> {
    let block = bindings::notifier_block {
        notifier_call: Some(callback::<W>),
        ..Default::default()
    };
    let registration = W::registration();
    // SAFETY: Called once by the module's init.
    unsafe { ptr::write(registration.0.get(), block) };
    // SAFETY: The block is filled in and static.
    to_result(unsafe { bindings::register_netdevice_notifier(registration.0.get()) })?;
    Ok(Watching(registration))
}

impl Drop for Watching {
    fn drop(&mut self) {
        // SAFETY: Registered by `watch`.
        unsafe { bindings::unregister_netdevice_notifier(self.0 .0.get()) };
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
