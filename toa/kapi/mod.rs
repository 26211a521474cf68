// SPDX-License-Identifier: GPL-2.0

//! The kernel's C API as toa.ko uses it, made safe: what it shares with rvs.ko, and its own.

#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../../rust/kapi/broken.rs"]
pub(crate) mod broken;
#[path = "../../rust/kapi/defrag.rs"]
pub(crate) mod defrag;
#[allow(dead_code)]
#[path = "../../rust/kapi/editable.rs"]
pub(crate) mod editable;
pub(crate) mod end;
#[path = "../../rust/kapi/errno.rs"]
pub(crate) mod errno;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/genl/mod.rs"]
pub(crate) mod genl;
#[allow(dead_code)]
#[path = "../../rust/kapi/lock.rs"]
pub(crate) mod lock;
#[path = "../../rust/kapi/mapped.rs"]
mod mapped;
#[allow(dead_code)]
#[path = "../../rust/kapi/memcg.rs"]
pub(crate) mod memcg;
mod name;
#[allow(dead_code)]
#[path = "../../rust/kapi/netfilter.rs"]
pub(crate) mod netfilter;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/netns.rs"]
pub(crate) mod netns;
pub(crate) mod packet;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/percpu.rs"]
pub(crate) mod percpu;
pub(crate) mod probe;
#[path = "../../rust/kapi/random.rs"]
pub(crate) mod random;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/rcu.rs"]
pub(crate) mod rcu;
pub(crate) mod rcu_map;
pub(crate) mod receive;
mod registers;
#[allow(dead_code, unused_imports)]
#[path = "../../rust/kapi/skb/mod.rs"]
pub(crate) mod skb;
pub(crate) mod sock;
pub(crate) mod sock_map;
pub(crate) mod sockopt;
#[allow(dead_code)]
#[path = "../../rust/kapi/time.rs"]
pub(crate) mod time;
pub(crate) mod trace;
#[path = "../../rust/kapi/work.rs"]
pub(crate) mod work;
