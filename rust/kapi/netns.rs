// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, and state of ours in each of them.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use core::{
    marker::PhantomData,
    mem,
    ptr::{self, NonNull},
    sync::atomic::{AtomicI32, AtomicPtr, Ordering},
};

use kernel::{
    error::{from_result, to_result},
    prelude::*,
    types::Opaque,
};

use super::rcu::Rcu;
use crate::bindings;

/// A live network namespace.
#[repr(transparent)]
pub(crate) struct Net(Opaque<bindings::net>);

// SAFETY: What we do with a namespace may be done from any thread.
unsafe impl Send for Net {}
// SAFETY: As above.
unsafe impl Sync for Net {}

impl Net {
    /// The namespace at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` is a namespace that lives for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *const bindings::net) -> &'a Self {
        // SAFETY: `Net` is a transparent wrapper; the caller vouches for the rest.
        unsafe { &*ptr.cast() }
    }

    /// The C object.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// Whether it belongs to another user namespace than the first: its root is not the host's.
    pub(crate) fn is_of_other_users(&self) -> bool {
        // SAFETY: The namespace is alive, and its user namespace is set before anyone sees it.
        let users = unsafe { ptr::read(ptr::addr_of!((*self.as_raw()).user_ns)) };
        !ptr::eq(users, ptr::addr_of!(bindings::init_user_ns))
    }

    /// Whether it is the one that the host started with.
    pub(crate) fn is_first(&self) -> bool {
        ptr::eq(self.as_raw(), ptr::addr_of!(bindings::init_net))
    }

    /// The one that the host started with.
    #[allow(dead_code)] // of toa.ko
    #[inline(always)]
    pub(crate) fn first() -> &'static Self {
        // SAFETY: It lives for ever.
        unsafe { Self::from_raw(ptr::addr_of!(bindings::init_net)) }
    }

    /// The port that packets of a flow with that hash come from in a tunnel.
    #[allow(dead_code)] // of toa.ko
    pub(crate) fn flow_port(&self, flow: u32) -> u16 {
        // SAFETY: The namespace is alive.
        unsafe { bindings::rvs_flow_port(self.as_raw(), flow) }
    }

    /// Changes whenever a cached IPv4 route of this namespace may be wrong.
    #[inline]
    pub(crate) fn ipv4_route_generation(&self) -> i32 {
        // SAFETY: The namespace is alive, and `rt_genid` is an `atomic_t`: an `i32` that is only
        // ever accessed atomically.
        let genid = unsafe {
            AtomicI32::from_ptr(ptr::addr_of_mut!((*self.as_raw()).ipv4.rt_genid.counter))
        };
        genid.load(Ordering::Relaxed)
    }
}

/// State that a module keeps in every network namespace.
pub(crate) trait PerNet: Send + Sync + Sized + 'static {
    /// Makes the state of a new namespace. May sleep.
    fn init(net: &'static Net) -> Result<Pin<KBox<Self>>>;

    /// The namespace goes: stop hooks and workers, let go of devices. Packets may still come
    /// until this has returned and a grace period has passed. May sleep.
    fn pre_exit(&self);

    /// The registration of this type.
    fn registration() -> &'static Registration<Self>;
}

/// The static part of a [`PerNet`] type.
///
/// # Invariants
///
/// While registered, the area that the kernel keeps for `id` in each namespace holds an
/// `AtomicPtr<T>`: null, or a `T` that lives until the namespace's exit.
pub(crate) struct Registration<T> {
    ops: Opaque<bindings::pernet_operations>,
    id: Opaque<u32>,
    _state: PhantomData<T>,
}

// SAFETY: Written only while registering, which modules do once.
unsafe impl<T: Sync> Sync for Registration<T> {}

impl<T: PerNet> Registration<T> {
    /// One that is not registered yet.
    pub(crate) const fn new() -> Self {
        Self {
            ops: Opaque::uninit(),
            id: Opaque::uninit(),
            _state: PhantomData,
        }
    }

    /// Makes the state of all present and future namespaces, until the guard is dropped.
    pub(crate) fn register(&'static self) -> Result<Registered<T>> {
        let ops = bindings::pernet_operations {
            init: Some(Self::init),
            pre_exit: Some(Self::pre_exit),
            exit: Some(Self::exit),
            id: self.id.get(),
            size: mem::size_of::<AtomicPtr<T>>(),
            ..Default::default()
        };
        // SAFETY: Called once by the module's init, before anything else uses it.
        unsafe { ptr::write(self.ops.get(), ops) };
        // SAFETY: The operations are filled in and static.
        to_result(unsafe { bindings::register_pernet_subsys(self.ops.get()) })?;
        Ok(Registered { registration: self })
    }

    /// The state of `net`; `None` before its init and after its exit.
    pub(crate) fn get<'a>(&self, net: &'a Net) -> Option<&'a T> {
        // SAFETY: The area lives as long as the namespace, and by the invariant what it points to
        // lives until the namespace's exit, after which nobody holds a `Net` of it.
        unsafe { self.area(net).load(Ordering::Acquire).as_ref() }
    }

    /// As [`Registration::get`], without a call: what `net_generic` does under the lock of its own.
    #[allow(dead_code)] // of toa.ko
    #[inline(always)]
    pub(crate) fn under<'a>(&self, net: &'a Net, _rcu: Rcu<'_>) -> Option<&'a T> {
        // SAFETY: As in `area`; the array of areas is replaced under RCU, whose lock is held.
        unsafe {
            let areas = ptr::read_volatile(ptr::addr_of!((*net.as_raw()).gen));
            let areas = areas.cast::<*const AtomicPtr<T>>();
            let area = areas.add(*self.id.get() as usize).read();
            (*area).load(Ordering::Acquire).as_ref()
        }
    }

    fn area<'a>(&self, net: &'a Net) -> &'a AtomicPtr<T> {
        // SAFETY: The namespace is alive and `id` was set when we registered; the kernel keeps a
        // zeroed area of the size we asked for.
        unsafe { &*bindings::net_generic(net.as_raw(), *self.id.get()).cast() }
    }

    extern "C" fn init(net: *mut bindings::net) -> core::ffi::c_int {
        // SAFETY: C gives us a live namespace; state made for it is gone before it is.
        let net = unsafe { Net::from_raw(net) };
        from_result(|| {
            let state = T::init(net)?;
            // SAFETY: Treated as pinned: only shared references are made from the pointer.
            let state = KBox::into_raw(unsafe { Pin::into_inner_unchecked(state) });
            // INVARIANT: A live `T`, freed in `exit`.
            T::registration().area(net).store(state, Ordering::Release);
            Ok(0)
        })
    }

    extern "C" fn pre_exit(net: *mut bindings::net) {
        // SAFETY: As in `init`.
        let net = unsafe { Net::from_raw(net) };
        if let Some(state) = T::registration().get(net) {
            state.pre_exit();
        }
    }

    extern "C" fn exit(net: *mut bindings::net) {
        // SAFETY: As in `init`.
        let net = unsafe { Net::from_raw(net) };
        let area = T::registration().area(net);
        let state = NonNull::new(area.swap(ptr::null_mut(), Ordering::AcqRel));
        if let Some(state) = state {
            // SAFETY: Made in `init`; hooks are gone, a grace period has passed since `pre_exit`,
            // and the namespace can be reached by nobody.
            drop(unsafe { KBox::from_raw(state.as_ptr()) });
        }
    }
}

/// Keeps a [`Registration`] registered.
pub(crate) struct Registered<T: PerNet> {
    registration: &'static Registration<T>,
}

impl<T: PerNet> Drop for Registered<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `register`.
        unsafe { bindings::unregister_pernet_subsys(self.registration.ops.get()) };
    }
}
