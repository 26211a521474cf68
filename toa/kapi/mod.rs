// SPDX-License-Identifier: GPL-2.0

//! The kernel's C API as toa.ko uses it, made safe: what it shares with rvs.ko, and its own.

#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/genl/mod.rs"]
pub(crate) mod genl;
#[path = "../../rust/kapi/lock.rs"]
pub(crate) mod lock;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/netns.rs"]
pub(crate) mod netns;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/percpu.rs"]
pub(crate) mod percpu;
pub(crate) mod probe;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/rcu.rs"]
pub(crate) mod rcu;
pub(crate) mod receive;
pub(crate) mod sock;
pub(crate) mod sock_map;
