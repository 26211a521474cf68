// SPDX-License-Identifier: GPL-2.0

//! Families: their operations, groups and registration.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use kernel::error::{code::ESRCH, to_result, Result};
use kernel::types::Opaque;

use super::message::{Header, Message};
use super::{dump, request, AttrPolicy, Doit, Dumpit, Full, Writer};
use crate::bindings;
use crate::kapi::errno::ENOBUFS;
use crate::kapi::netns::Net;

/// An operation needs `CAP_NET_ADMIN` in the namespace's user namespace.
const ADMIN: u8 = bindings::GENL_UNS_ADMIN_PERM as u8;

/// One operation of a family.
#[repr(transparent)]
pub(crate) struct Op(bindings::genl_split_ops);

// SAFETY: Never written after it was built; its policy is `'static` and `Sync`.
unsafe impl Sync for Op {}

impl Op {
    /// The operation that `T` handles.
    pub(crate) const fn doit<T: Doit>() -> Self {
        let call = bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
            pre_doit: None,
            doit: Some(request::doit::<T>),
            post_doit: None,
        };
        Self::new(
            bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_1: call,
            },
            T::POLICY,
            T::CMD,
            bindings::GENL_CMD_CAP_DO as u8,
        )
    }

    /// The dump that `T` handles.
    pub(crate) const fn dumpit<T: Dumpit>() -> Self {
        let call = bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
            start: Some(dump::start::<T>),
            dumpit: Some(dump::dumpit::<T>),
            done: None,
        };
        Self::new(
            bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_2: call,
            },
            T::POLICY,
            T::CMD,
            bindings::GENL_CMD_CAP_DUMP as u8,
        )
    }

    /// The same, validated as the families of old are: unknown attributes are ignored, so are
    /// bytes behind the attributes and those that a number has too many; the requests of dumps are
    /// not validated at all.
    pub(crate) const fn lenient(mut self) -> Self {
        let validate = bindings::genl_validate_flags_GENL_DONT_VALIDATE_STRICT
            | bindings::genl_validate_flags_GENL_DONT_VALIDATE_DUMP
            | bindings::genl_validate_flags_GENL_DONT_VALIDATE_DUMP_STRICT;
        self.0.validate = validate as u8;
        if self.is_dump() {
            // Every attribute is unknown, so it is ignored. Without a policy all would be refused.
            self.0.maxattr = 0;
        }
        self
    }

    /// The same for the host's administrators only, not for those of namespaces of other users.
    #[allow(dead_code)] // of rvs.ko
    pub(crate) const fn for_host(mut self) -> Self {
        self.0.flags = self.0.flags & !ADMIN | bindings::GENL_ADMIN_PERM as u8;
        self
    }

    /// The same for everyone.
    #[allow(dead_code)] // of toa.ko
    pub(crate) const fn for_all(mut self) -> Self {
        self.0.flags &= !ADMIN;
        self
    }

    /// Whether it needs `CAP_NET_ADMIN` in the namespace's user namespace.
    #[allow(dead_code)] // of toa.ko
    pub(crate) const fn is_for_admins(&self) -> bool {
        self.0.flags & ADMIN != 0
    }

    /// Its command number.
    pub(crate) const fn cmd(&self) -> u8 {
        self.0.cmd
    }

    /// Whether it is a dump.
    pub(crate) const fn is_dump(&self) -> bool {
        self.0.flags & bindings::GENL_CMD_CAP_DUMP as u8 != 0
    }

    const fn new(
        calls: bindings::genl_split_ops__bindgen_ty_1,
        policy: &'static [AttrPolicy],
        cmd: u8,
        kind: u8,
    ) -> Self {
        // Without a policy the core refuses every attribute.
        let (first, highest) = match policy.len() {
            0 => (ptr::null(), 0),
            len => (policy.as_ptr(), len - 1),
        };
        assert!(highest <= u16::MAX as usize);
        Self(bindings::genl_split_ops {
            __bindgen_anon_1: calls,
            policy: first.cast(),
            maxattr: highest as u32,
            cmd,
            internal_flags: 0,
            flags: ADMIN | kind,
            // Everything is validated.
            validate: 0,
        })
    }
}

/// A multicast group of a family. Listening needs `CAP_NET_ADMIN` in the namespace's user
/// namespace.
#[repr(transparent)]
pub(crate) struct Group(bindings::genl_multicast_group);

// SAFETY: Plain data, never written after it was built.
unsafe impl Sync for Group {}

impl Group {
    /// A group of that name.
    ///
    /// # Panics
    ///
    /// At compile time, when the name is longer than 15 bytes or empty.
    pub(crate) const fn new(name: &str) -> Self {
        Self(bindings::genl_multicast_group {
            name: short_name(name),
            // GENL_MCAST_CAP_NET_ADMIN
            flags: 1,
        })
    }
}

/// A family of operations and groups, in every network namespace. Operations may run in parallel.
pub(crate) struct Family {
    raw: Opaque<bindings::genl_family>,
    /// [`REGISTERED`], and how many send an event outside of a request.
    senders: AtomicU32,
}

/// In [`Family::senders`]: events may be sent.
const REGISTERED: u32 = 1 << 31;

// SAFETY: Only the core writes to it, under its own locks; what this side reads is never written
// after registration.
unsafe impl Sync for Family {}

impl Family {
    /// Describes a family; `ops` are sorted by command number, a dump behind its `do`.
    ///
    /// # Panics
    ///
    /// At compile time, when a name is too long or there are over 255 operations or groups.
    pub(crate) const fn new(
        name: &str,
        version: u8,
        ops: &'static [Op],
        groups: &'static [Group],
    ) -> Self {
        Self {
            raw: Opaque::new(Self::describe(name, version, ops, groups)),
            senders: AtomicU32::new(0),
        }
    }

    /// A family without groups, of the kind that tells its highest attribute, `max_attr`, and
    /// takes reserved fields of requests as they are for commands below `strict_from`.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub(crate) const fn old(
        name: &str,
        version: u8,
        ops: &'static [Op],
        max_attr: u16,
        strict_from: u8,
    ) -> Self {
        let mut raw = Self::describe(name, version, ops, &[]);
        raw.maxattr = max_attr as u32;
        raw.resv_start_op = strict_from;
        Self {
            raw: Opaque::new(raw),
            senders: AtomicU32::new(0),
        }
    }

    const fn describe(
        name: &str,
        version: u8,
        ops: &'static [Op],
        groups: &'static [Group],
    ) -> bindings::genl_family {
        assert!(ops.len() <= u8::MAX as usize && groups.len() <= u8::MAX as usize);
        // SAFETY: All zeroes are a family that has nothing yet.
        let mut raw: bindings::genl_family = unsafe { core::mem::zeroed() };
        raw.name = short_name(name);
        raw.version = version as u32;
        raw._bitfield_1 = flags();
        raw.n_split_ops = ops.len() as u8;
        raw.split_ops = ops.as_ptr().cast();
        raw.n_mcgrps = groups.len() as u8;
        raw.mcgrps = groups.as_ptr().cast();
        raw.module = bindings::this_module();
        raw
    }

    /// Makes the family known. Requests come in from here on, so everything that its handlers
    /// need has to be set up before, and nothing that may fail should follow: a dump begun
    /// meanwhile would outlive the module.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken; `ENOMEM`.
    pub(crate) fn register(&'static self) -> Result<Registration> {
        // SAFETY: Complete, and `'static`.
        to_result(unsafe { bindings::genl_register_family(self.raw.get()) })?;
        self.senders.fetch_or(REGISTERED, Ordering::SeqCst);
        // INVARIANT: Just registered.
        Ok(Registration { family: self })
    }

    /// As [`register`](Self::register), by the number that the family of the module that was there had,
    /// if that is free, so that whoever knows it goes on; 0 for any.
    #[allow(dead_code)] // of rvs.ko
    pub(crate) fn register_as(&'static self, number: u16) -> Result<Registration> {
        if number != 0 {
            pass_to(number.into());
        }
        self.register()
    }

    /// Its number, while it is registered.
    fn number(&'static self) -> u32 {
        // SAFETY: The core writes it when it registers the family, which is not now.
        unsafe { (*self.raw.get()).id as u32 }
    }

    /// Sends an event outside of a request, from a context that may sleep, where anyone listens
    /// and the family is still registered; otherwise as [`event`](super::Request::event).
    pub(crate) fn event(
        &'static self,
        net: &Net,
        group: u32,
        cmd: u8,
        size: usize,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        let senders = self.senders.fetch_add(1, Ordering::SeqCst);
        // Whoever unregisters the family waits for those that have come so far.
        if senders & REGISTERED != 0 && self.has_listeners(net, group) {
            // SAFETY: It stays registered until `senders` is counted down.
            unsafe { self.send(net, group, cmd, size, fill) };
        }
        self.senders.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether anyone in `net` listens to that group.
    fn has_listeners(&'static self, net: &Net, group: u32) -> bool {
        // SAFETY: The family is `'static`, the namespace is valid. The core bounds the group's
        // number, so with a family that is not registered the answer would be wrong, no more.
        unsafe { bindings::genl_has_listeners(self.raw.get(), net.as_raw(), group) > 0 }
    }

    /// Sends an event to those who listen in `net`.
    ///
    /// # Safety
    ///
    /// The family is registered.
    unsafe fn send(
        &'static self,
        net: &Net,
        group: u32,
        cmd: u8,
        size: usize,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        let header = Header {
            portid: 0,
            seq: 0,
            cmd,
            flags: 0,
        };
        // SAFETY: The family is `'static` and registered; the namespace is valid. An index that
        // the family does not have is refused by the core.
        unsafe {
            let raw = self.raw.get();
            let sent = Message::new(raw, header, size, fill)
                .and_then(|event| event.multicast(raw, net.as_raw(), group));
            match sent {
                Ok(()) => (),
                Err(error) if error == ESRCH => (),
                Err(_) => self.missed_event(net, group),
            }
        }
    }

    /// Makes the sockets of those who listen in `net` report `ENOBUFS`.
    ///
    /// # Safety
    ///
    /// The family is registered.
    unsafe fn missed_event(&'static self, net: &Net, group: u32) {
        let (family, net) = (self.raw.get(), net.as_raw());
        // SAFETY: As in `send`.
        unsafe { bindings::genl_set_err(family, net, 0, group, ENOBUFS.to_errno()) };
    }
}

/// A family that takes numbers and gives them back.
static PASSING: Family = Family::new("rvs-passing", 1, &[], &[]);

/// Times that a number is taken and given back at most: twice round.
const ROUNDS: u32 = 2 * 1024;

/// Has the next family that is registered get that number: they are given in turn, and the first one
/// follows the last. Where another module registers one meanwhile, it gets any.
#[cold]
fn pass_to(number: u32) {
    // The one ahead of it may be another family's: what is ahead of that is seen when it comes itself.
    let (mut before, mut ahead) = (None, number.wrapping_sub(1));
    for _ in 0..ROUNDS {
        let Ok(registration) = PASSING.register() else {
            return;
        };
        let got = PASSING.number();
        drop(registration);
        if got == ahead {
            return;
        }
        if let (true, Some(before)) = (got == number, before) {
            ahead = before;
        }
        before = Some(got);
    }
}

/// The registration of a family; dropping it waits for running requests and refuses new ones.
///
/// # Invariants
///
/// `family` is registered.
pub(crate) struct Registration {
    family: &'static Family,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let senders = &self.family.senders;
        senders.fetch_and(!REGISTERED, Ordering::SeqCst);
        while senders.load(Ordering::SeqCst) != 0 {
            // SAFETY: No requirements but a context that may sleep; modules are unloaded in one.
            unsafe { bindings::rvs_cond_resched() };
        }
        // SAFETY: Registered by the invariants, and only here unregistered.
        unsafe { bindings::genl_unregister_family(self.family.raw.get()) };
    }
}

impl super::Request<'_> {
    /// Whether anyone in the request's namespace listens to that group of `family`, which is the
    /// request's or another one that is registered.
    pub(crate) fn has_listeners(&self, family: &'static Family, group: u32) -> bool {
        family.has_listeners(self.net(), group)
    }

    /// Sends an event of `family`, as above, to the listeners in the request's namespace; `size`
    /// bytes of attributes at most. When it cannot be built, listeners learn from their sockets
    /// that they missed something (`ENOBUFS`).
    pub(crate) fn event(
        &self,
        family: &'static Family,
        group: u32,
        cmd: u8,
        size: usize,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) {
        // SAFETY: The family is registered, as requests are handled.
        unsafe { family.send(self.net(), group, cmd, size, fill) };
    }

    /// Makes the sockets of listeners in the request's namespace report `ENOBUFS`: they missed
    /// an event.
    pub(crate) fn missed_event(&self, family: &'static Family, group: u32) {
        // SAFETY: As in `event`.
        unsafe { family.missed_event(self.net(), group) };
    }
}

/// `netnsok` and `parallel_ops`; the setters bindgen makes are not `const`.
const fn flags() -> bindings::__BindgenBitfieldUnit<[u8; 1]> {
    // The first bit field is the lowest bit on little-endian machines.
    let bits: u8 = if cfg!(target_endian = "little") {
        0b11
    } else {
        0b1100_0000
    };
    // SAFETY: The unit is a transparent wrapper of its bytes.
    unsafe { core::mem::transmute::<u8, bindings::__BindgenBitfieldUnit<[u8; 1]>>(bits) }
}

/// A name with zeroes behind it.
const fn short_name(name: &str) -> [u8; 16] {
    let from = name.as_bytes();
    let mut to = [0; 16];
    assert!(!from.is_empty() && from.len() < to.len());
    let mut i = 0;
    while i < from.len() {
        to[i] = from[i];
        i += 1;
    }
    to
}
