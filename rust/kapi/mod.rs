// SPDX-License-Identifier: GPL-2.0

//! The kernel's C API as RVS uses it, made safe: one file a C subsystem.
//!
//! All `unsafe` of the modules is here (and in `bindings`). Upper layers get types whose existence
//! proves what the C API asks for: [`rcu::Rcu`] that the RCU read lock is held, [`netns::Net`]
//! that a namespace is alive, [`skb::Skb`] that a packet is owned by the hook that got it.

pub(crate) mod broken;
pub(crate) mod buffer;
pub(crate) mod defrag;
pub(crate) mod delay;
pub(crate) mod editable;
pub(crate) mod errno;
pub(crate) mod frame;
pub(crate) mod genl;
pub(crate) mod group;
pub(crate) mod icmp;
pub(crate) mod lane;
pub(crate) mod lock;
pub(crate) mod locked;
mod mapped;
pub(crate) mod memcg;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod netdev;
pub(crate) mod netfilter;
pub(crate) mod netns;
pub(crate) mod notifier;
pub(crate) mod once;
pub(crate) mod percpu;
pub(crate) mod proc;
pub(crate) mod random;
pub(crate) mod rcu;
pub(crate) mod route;
pub(crate) mod seen;
pub(crate) mod sign;
pub(crate) mod skb;
pub(crate) mod slab;
pub(crate) mod socket;
pub(crate) mod sockopt;
pub(crate) mod sort;
pub(crate) mod sysctl;
pub(crate) mod time;
pub(crate) mod trace;
pub(crate) mod track;
pub(crate) mod work;
