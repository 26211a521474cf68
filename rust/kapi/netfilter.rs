// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use core::{
    ffi::{c_uint, c_void},
    marker::PhantomData,
};

use kernel::{error::to_result, prelude::*};

use super::{
    netns::Net,
    rcu::Rcu,
    skb::{Consumed, Skb},
};
use crate::bindings;

/// Where in a packet's way through the host a hook stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Received, not routed yet.
    PreRouting,
    /// Sent by this host, routed.
    LocalOut,
    /// The same, behind the translation of destinations.
    LocalOutBehind,
    /// Received, for this host.
    LocalIn,
    /// Received, to be sent on: the hop is counted already.
    Forward,
    /// On its way out.
    PostRouting,
}

impl Place {
    const fn number(self) -> u32 {
        match self {
            Self::PreRouting => bindings::nf_inet_hooks_NF_INET_PRE_ROUTING,
            Self::LocalOut | Self::LocalOutBehind => bindings::nf_inet_hooks_NF_INET_LOCAL_OUT,
            Self::LocalIn => bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            Self::Forward => bindings::nf_inet_hooks_NF_INET_FORWARD,
            Self::PostRouting => bindings::nf_inet_hooks_NF_INET_POST_ROUTING,
        }
    }

    /// Whether it is one of those that `ip_vs` takes packets at: the host has looked at them.
    #[inline(always)]
    pub(crate) const fn is_behind(self) -> bool {
        matches!(self, Self::LocalIn | Self::Forward | Self::LocalOutBehind)
    }

    /// Whether packets there were sent by programs on this host.
    pub(crate) const fn is_local_out(self) -> bool {
        matches!(self, Self::LocalOut | Self::LocalOutBehind)
    }

    /// Whether who sends a packet on from here has to count the hop, as a router does.
    #[inline(always)]
    pub(crate) const fn counts_hop(self) -> bool {
        matches!(self, Self::PreRouting | Self::LocalIn)
    }
}

/// What becomes of a packet.
pub(crate) enum Verdict<'a> {
    /// It goes on its way.
    Accept(Skb<'a>),
    /// It is freed.
    Drop(Skb<'a>),
    /// It was dropped and freed, by [`discard`].
    Discarded(Consumed),
    /// The hook has sent or freed it.
    Stolen(Consumed),
}

/// Why a packet is freed, as the tracepoint `skb:kfree_skb` tells it: the kernel's own reasons, as it has
/// numbers for no module's outside of its tree (`drop_reasons_by_subsys`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its headers are wrong.
    Header,
    /// No memory.
    Memory,
    /// Its source cannot be.
    Source,
    /// There is no route.
    NoRoute,
    /// Nobody takes it.
    NoTarget,
    /// It is over the MTU.
    TooBig,
    /// A rule is against it, as of a firewall.
    Rule,
}

impl Reason {
    const fn number(self) -> bindings::skb_drop_reason {
        match self {
            Self::Header => bindings::skb_drop_reason_SKB_DROP_REASON_IP_INHDR,
            Self::Memory => bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM,
            Self::Source => bindings::REASON_SOURCE,
            Self::NoRoute => bindings::skb_drop_reason_SKB_DROP_REASON_IP_OUTNOROUTES,
            Self::NoTarget => bindings::skb_drop_reason_SKB_DROP_REASON_NO_TX_TARGET,
            Self::TooBig => bindings::skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG,
            Self::Rule => bindings::skb_drop_reason_SKB_DROP_REASON_NETFILTER_DROP,
        }
    }
}

/// Drops a packet, and tells whoever watches the kernel drop packets why.
#[cold]
#[inline(never)]
pub(crate) fn discard<'a>(skb: Skb<'a>, reason: Reason) -> Verdict<'a> {
    // SAFETY: The packet is ours, and goes.
    Verdict::Discarded(unsafe {
        bindings::sk_skb_reason_drop(core::ptr::null_mut(), skb.as_raw(), reason.number());
        Consumed::new()
    })
}

/// A hook of `S`, the state it is registered with.
pub(crate) trait Hook<S> {
    /// Where it stands.
    const PLACE: Place;
    /// Its order among hooks of the place, lowest first.
    const PRIORITY: i32;

    /// The protocol family whose packets it looks at: 4 or 6, for the version of IP.
    const VERSION: u8;

    /// Looks at a packet whose (fixed) IP header is linear and complete.
    fn packet<'a>(state: &'a S, skb: Skb<'a>, rcu: Rcu<'a>) -> Verdict<'a>;
}

/// A hook that is to be registered.
pub(crate) struct Description<S> {
    op: bindings::nf_hook_ops,
    _state: PhantomData<fn(&S)>,
}

/// Describes `H`.
pub(crate) fn describe<S: Sync + 'static, H: Hook<S>>() -> Description<S> {
    let op = bindings::nf_hook_ops {
        hook: Some(trampoline::<S, H>),
        pf: match H::VERSION {
            4 => bindings::NFPROTO_IPV4 as u8,
            _ => bindings::NFPROTO_IPV6 as u8,
        },
        hooknum: H::PLACE.number(),
        priority: H::PRIORITY,
        ..Default::default()
    };
    Description {
        op,
        _state: PhantomData,
    }
}

extern "C" fn trampoline<S: Sync + 'static, H: Hook<S>>(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
    _hook: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: `Hooks::register` put a `S` there that outlives the registration.
    let state = unsafe { &*state.cast_const().cast::<S>() };
    // SAFETY: Netfilter calls hooks under the RCU read lock.
    let rcu = unsafe { Rcu::assume_held() };
    // SAFETY: Netfilter hands over a live packet, ours until we return a verdict for it.
    let skb = unsafe { Skb::from_raw(skb) };
    match H::packet(state, skb, rcu) {
        Verdict::Accept(skb) => skb.give_back(bindings::NF_ACCEPT),
        Verdict::Drop(skb) => skb.give_back(bindings::NF_DROP),
        // As for NF_DROP, whoever sent it from this host gets EPERM.
        Verdict::Discarded(_) => (EPERM.to_errno().unsigned_abs() << 16) | bindings::NF_STOLEN,
        Verdict::Stolen(_) => bindings::NF_STOLEN,
    }
}

/// How many chains or tables of rules packets of an IP version meet in INPUT.
pub(crate) fn input_rules(net: &Net, version: u8) -> u32 {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_input_rules(net.as_raw(), version) }
}

/// Tells the log that there are such and that some packets do not meet them.
pub(crate) fn tell_of_input_rules(net: &Net, version: u8) {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_tell_of_input_rules(net.as_raw(), version) };
}

/// Hooks registered in a namespace.
pub(crate) struct Hooks {
    net: &'static Net,
    ops: KVec<bindings::nf_hook_ops>,
}

// SAFETY: Registering and unregistering may be done from any thread.
unsafe impl Send for Hooks {}
// SAFETY: There is nothing to do with a shared reference.
unsafe impl Sync for Hooks {}

impl Hooks {
    /// Registers hooks that get `state`. Packets may come before this returns.
    ///
    /// # Safety
    ///
    /// The result is dropped, and a grace period passes, before `state` or the namespace goes.
    pub(crate) unsafe fn register<S>(
        net: &'static Net,
        state: *const S,
        hooks: impl IntoIterator<Item = Description<S>>,
    ) -> Result<Self> {
        let mut ops = KVec::new();
        for hook in hooks {
            let op = bindings::nf_hook_ops {
                priv_: state.cast_mut().cast(),
                ..hook.op
            };
            ops.push(op, GFP_KERNEL)?;
        }
        // SAFETY: The namespace is alive; the array stays where it is while registered, and the
        // caller vouches for the state.
        to_result(unsafe {
            bindings::nf_register_net_hooks(net.as_raw(), ops.as_ptr(), ops.len() as u32)
        })?;
        Ok(Self { net, ops })
    }
}

impl Drop for Hooks {
    /// Packets may be in the hooks for a grace period after this.
    fn drop(&mut self) {
        // SAFETY: Registered with these arguments.
        unsafe {
            bindings::nf_unregister_net_hooks(
                self.net.as_raw(),
                self.ops.as_ptr(),
                self.ops.len() as u32,
            )
        };
    }
}
