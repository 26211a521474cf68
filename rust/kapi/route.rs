// SPDX-License-Identifier: GPL-2.0

//! Ways to real servers: a route with its neighbour, kept while both are good.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/neighbour.h`](srctree/include/net/neighbour.h)

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr::{self, NonNull},
    sync::atomic::{self, AtomicU32, Ordering},
};

use kernel::{
    error::{
        code::{EHOSTUNREACH, ENOBUFS},
        from_err_ptr,
    },
    prelude::*,
};

use super::{
    netdev::Device,
    netns::Net,
    rcu::Rcu,
    skb::{Consumed, Skb},
    time,
};
use crate::bindings;

/// States of a neighbour whose stored header is good.
const CONNECTED: u8 =
    (bindings::NUD_PERMANENT | bindings::NUD_NOARP | bindings::NUD_REACHABLE) as u8;

/// Ticks after which a neighbour that was sent nothing is held no longer.
const IDLE_TICKS: u32 = time::seconds(60);

/// Bytes that a stored frame header of the usual kind takes, aligned to its end (`HH_DATA_MOD`).
const STORED: u32 = 16;

/// A route to a real server, and the neighbour that it leads to.
///
/// # Invariants
///
/// Holds a reference on `route`, and on `neighbour` where there is one, both in `net`. The route is
/// a `rtable` if `cookie` is none, else a `rt6_info`.
pub(crate) struct NextHop {
    net: &'static Net,
    route: NonNull<bindings::dst_entry>,
    /// None when the real server is this host.
    neighbour: Option<NonNull<bindings::neighbour>>,
    /// What an IPv6 route holds as long as.
    cookie: Option<u32>,
    is_local: bool,
    /// Bytes that the device wants in front of the IP header.
    headroom: u32,
    mtu: u32,
    /// What may go straight to the neighbour: the MTU, or 0 where the host's own output has to see
    /// packets first.
    straight: u32,
    /// Packets go as this host's own, rather than as forwarded ones.
    own: bool,
    /// What this host's own packets that way have as source.
    source: IpAddr,
}

// SAFETY: Routes and neighbours may be used and released from any thread.
unsafe impl Send for NextHop {}
// SAFETY: As above.
unsafe impl Sync for NextHop {}

impl NextHop {
    /// Looks up the way to `address` for packets from `source`, none for any. From any context that
    /// does not hold the neighbour's lock.
    ///
    /// # Errors
    ///
    /// What the routing table says (`ENETUNREACH` …); `EHOSTUNREACH` for broadcast and multicast
    /// routes; `EINVAL` for a source of the other family; `ENOBUFS` when there is no memory or no
    /// room for a neighbour.
    pub(crate) fn lookup(
        net: &'static Net,
        address: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<Self> {
        let mut hop = Self::look_up_route(net, address, source)?;
        if hop.is_local() {
            return Ok(hop);
        }
        let octets = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(v6) => v6.octets(),
        };
        // SAFETY: We hold the route, whose family is the address's.
        let neighbour =
            unsafe { bindings::dst_neigh_lookup(hop.dst(), ptr::addr_of!(octets).cast()) };
        // A failed look-up in IPv6 gives an error pointer.
        let neighbour = from_err_ptr(neighbour).map_err(|_| ENOBUFS)?;
        // INVARIANT: The look-up took the reference.
        hop.neighbour = Some(NonNull::new(neighbour).ok_or(ENOBUFS)?);
        // SAFETY: The route holds its device.
        hop.headroom = unsafe { bindings::rvs_ll_reserved_space(hop.device().0.cast()) };
        // SAFETY: We hold the route.
        hop.mtu = unsafe { bindings::dst_mtu(hop.dst()) };
        // SAFETY: As above.
        let plain = unsafe { bindings::rvs_route_is_plain(hop.dst()) };
        if plain && !has_output_rules(net, hop.version()) {
            hop.straight = hop.mtu;
        }
        Ok(hop)
    }

    /// Whether there is a way to `address`, without asking for the neighbour: there may be more
    /// real servers than the neighbour table has room for.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`] that the routing table has.
    pub(crate) fn check(net: &'static Net, address: IpAddr) -> Result {
        Self::look_up_route(net, address, None).map(drop)
    }

    /// A way whose neighbour is still to be found, unless it leads to this host.
    fn look_up_route(net: &'static Net, address: IpAddr, source: Option<IpAddr>) -> Result<Self> {
        match (address, source) {
            (IpAddr::V4(to), None) => Self::look_up_v4(net, to, Ipv4Addr::UNSPECIFIED),
            (IpAddr::V4(to), Some(IpAddr::V4(from))) => Self::look_up_v4(net, to, from),
            (IpAddr::V6(to), None) => Self::look_up_v6(net, to, Ipv6Addr::UNSPECIFIED),
            (IpAddr::V6(to), Some(IpAddr::V6(from))) => Self::look_up_v6(net, to, from),
            _ => Err(EINVAL),
        }
    }

    fn look_up_v4(net: &'static Net, address: Ipv4Addr, source: Ipv4Addr) -> Result<Self> {
        let address_be = u32::from_ne_bytes(address.octets());
        let mut source_be = u32::from_ne_bytes(source.octets());
        // SAFETY: The namespace is alive.
        let route = unsafe { bindings::rvs_route_output(net.as_raw(), address_be, &mut source_be) };
        let route = NonNull::new(from_err_ptr(route)?).ok_or(EHOSTUNREACH)?;
        // SAFETY: The look-up took a reference. Not by its flags: routes to a broadcast address are
        // marked local too.
        let kind = u32::from(unsafe { route.as_ref() }.rt_type);
        // INVARIANT: The look-up took the reference; a route's first field is its `dst_entry`.
        let hop = Self {
            net,
            route: route.cast(),
            neighbour: None,
            cookie: None,
            is_local: kind == u32::from(bindings::RTN_LOCAL),
            headroom: 0,
            mtu: 0,
            straight: 0,
            own: source.is_unspecified(),
            source: IpAddr::V4(Ipv4Addr::from(source_be.to_ne_bytes())),
        };
        if !hop.is_local() && kind != u32::from(bindings::RTN_UNICAST) {
            return Err(EHOSTUNREACH);
        }
        Ok(hop)
    }

    fn look_up_v6(net: &'static Net, address: Ipv6Addr, source: Ipv6Addr) -> Result<Self> {
        let (to, mut from, mut cookie) = (address.octets(), source.octets(), 0);
        let to = ptr::addr_of!(to).cast();
        // SAFETY: The namespace is alive; the pointers are to sixteen bytes each, and to a word.
        let route = unsafe {
            let from = ptr::addr_of_mut!(from).cast();
            bindings::rvs_route6_output(net.as_raw(), to, from, &mut cookie)
        };
        let route = NonNull::new(from_err_ptr(route)?).ok_or(EHOSTUNREACH)?;
        // SAFETY: The look-up took a reference.
        let (is_local, is_unicast) = unsafe {
            (
                bindings::rvs_route6_is_local(route.as_ptr()),
                bindings::rvs_route6_is_unicast(route.as_ptr(), to),
            )
        };
        // INVARIANT: The look-up took the reference.
        let hop = Self {
            net,
            route,
            neighbour: None,
            cookie: Some(cookie),
            is_local,
            headroom: 0,
            mtu: 0,
            straight: 0,
            own: source.is_unspecified(),
            source: IpAddr::V6(Ipv6Addr::from(from)),
        };
        if !is_unicast {
            return Err(EHOSTUNREACH);
        }
        Ok(hop)
    }

    #[inline]
    fn dst(&self) -> *mut bindings::dst_entry {
        self.route.as_ptr()
    }

    /// The IP version of packets that go this way.
    fn version(&self) -> u8 {
        match self.cookie {
            None => 4,
            Some(_) => 6,
        }
    }

    /// A hash of where it leads, and of what routes to there most often differ in; its upper half is
    /// the better one.
    pub(crate) fn hash(&self) -> u32 {
        let address = self.neighbour.map_or(0, |n| n.as_ptr() as usize);
        // Neighbours are some hundred bytes apart.
        let neighbour = ((address >> 8) as u32).wrapping_mul(0x9e37_79b1);
        neighbour ^ self.mtu.wrapping_mul(0x85eb_ca6b)
    }

    /// Whether this way is good and does to packets what `other` does, neighbour and route.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        self.is_good()
            && self.neighbour == other.neighbour
            && (self.mtu, self.straight, self.own) == (other.mtu, other.straight, other.own)
            // SAFETY: We hold both routes.
            && unsafe { bindings::rvs_routes_are_alike(self.dst(), other.dst()) }
    }

    /// Whether its neighbour is not found, or was sent nothing for a while, by anyone. Who keeps such
    /// a way keeps the neighbour from going.
    pub(crate) fn is_idle(&self) -> bool {
        self.neighbour.is_some_and(|neighbour| {
            // SAFETY: By the invariant.
            unsafe { bindings::rvs_neighbour_is_idle(neighbour.as_ptr(), IDLE_TICKS as usize) }
        })
    }

    /// The device it leaves by.
    #[inline]
    pub(crate) fn device(&self) -> Device {
        // SAFETY: Both members of the union are the same pointer; the kernel may exchange it for
        // the blackhole device at any time, hence one whole read.
        let device =
            unsafe { ptr::read_volatile(ptr::addr_of!((*self.dst()).__bindgen_anon_1.dev)) };
        Device(device.cast())
    }

    /// Whether the real server is this host.
    #[inline]
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    /// The source that this host's own packets take, such as a tunnel's.
    #[inline]
    pub(crate) fn source(&self) -> IpAddr {
        self.source
    }

    /// Largest packet that it takes whole, in bytes from the IP header on.
    #[inline]
    pub(crate) fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Largest packet that may go straight to the neighbour, by [`NextHop::send`]; 0 where none may.
    #[inline]
    pub(crate) fn straight(&self) -> u32 {
        self.straight
    }

    /// Bytes that must be free in front of a packet that goes this way.
    #[inline]
    pub(crate) fn headroom(&self) -> u32 {
        self.headroom
    }

    /// Whether route and neighbour still hold; if not, look the way up again.
    #[inline(always)] // Each packet asks.
    pub(crate) fn is_good(&self) -> bool {
        let is_good = match self.cookie {
            None => self.is_good_v4(),
            // SAFETY: By the invariant.
            Some(cookie) => unsafe { bindings::rvs_route6_is_good(self.dst(), cookie) },
        };
        is_good
            && self.neighbour.is_none_or(|neighbour| {
                // SAFETY: By the invariant; others write the field whole.
                unsafe { ptr::read_volatile(ptr::addr_of!((*neighbour.as_ptr()).dead)) == 0 }
            })
    }

    #[inline(always)]
    fn is_good_v4(&self) -> bool {
        let route = self.route.as_ptr().cast::<bindings::rtable>();
        // SAFETY: By the invariant; others write these fields whole.
        let (obsolete, generation) = unsafe {
            (
                ptr::read_volatile(ptr::addr_of!((*route).dst.obsolete)),
                ptr::read_volatile(ptr::addr_of!((*route).rt_genid)),
            )
        };
        obsolete == bindings::DST_OBSOLETE_FORCE_CHK
            && generation == self.net.ipv4_route_generation()
    }

    /// Sends a packet out by the neighbour, past the hooks for output and forwarding.
    ///
    /// The packet has [`NextHop::headroom`] in front. A neighbour that is not resolved yet keeps
    /// the packet while it asks.
    #[inline(always)]
    pub(crate) fn send(&self, mut skb: Skb<'_>, _rcu: Rcu<'_>) -> Consumed {
        let Some(neighbour) = self.neighbour else {
            return free(skb);
        };
        // SAFETY: This next hop, and so the route, lives for a grace period, and the read lock
        // is held. `is_good` was asked under it, so the device is not freed before it ends.
        unsafe {
            skb.borrow_route(self.dst());
            skb.set_device(self.device().0);
        }
        // SAFETY: By the invariant; the caller has seen to the headroom, and each device wants at
        // least that much. The packet is ours to give away.
        unsafe {
            if push_cached_header(neighbour, &mut skb) {
                bindings::__dev_queue_xmit(skb.as_raw(), ptr::null_mut());
            } else {
                bindings::neigh_output(neighbour.as_ptr(), skb.as_raw(), false);
            }
            Consumed::new()
        }
    }

    /// Sends a packet through the kernel's own output: IPsec, rules, fragmentation. `refused` is
    /// called when one of these, or the device, drops it.
    pub(crate) fn send_slowly(
        &self,
        mut skb: Skb<'_>,
        _rcu: Rcu<'_>,
        refused: impl FnOnce(),
    ) -> Consumed {
        // SAFETY: As in `send`; the queue of a hook that keeps the packet takes a reference.
        let left = unsafe {
            skb.borrow_route(self.dst());
            skb.set_device(self.device().0);
            bindings::rvs_output(self.net.as_raw(), skb.as_raw(), self.version(), self.own)
        };
        if !left {
            refused();
        }
        // SAFETY: The output has taken it.
        unsafe { Consumed::new() }
    }
}

/// Puts the frame's header in front of a packet, as its neighbour has it in store. False, and
/// nothing is done, when it has none that is good and short, or is just being changed: then
/// `neigh_output`, whose usual case this is, knows what to do.
///
/// # Safety
///
/// The neighbour is live, and [`STORED`] bytes are free in front of the packet.
#[inline(always)]
unsafe fn push_cached_header(neighbour: NonNull<bindings::neighbour>, skb: &mut Skb<'_>) -> bool {
    let neighbour = neighbour.as_ptr();
    // SAFETY: The neighbour is live; others write these fields whole, and the header's bytes
    // between two changes of the sequence, which comes first in the lock.
    unsafe {
        let state = ptr::read_volatile(ptr::addr_of!((*neighbour).nud_state));
        let cache = ptr::addr_of!((*neighbour).hh);
        let sequence = ptr::addr_of!((*cache).hh_lock).cast::<AtomicU32>();
        let begin = (*sequence).load(Ordering::Acquire);
        let len = ptr::read_volatile(ptr::addr_of!((*cache).hh_len));
        if state & CONNECTED == 0 || len == 0 || len > STORED || begin & 1 != 0 {
            return false;
        }
        let header = ptr::read_volatile(ptr::addr_of!((*cache).hh_data).cast::<[u64; 2]>());
        atomic::fence(Ordering::Acquire);
        if (*sequence).load(Ordering::Relaxed) != begin {
            return false;
        }
        skb.push_stored(header, len);
    }
    true
}

/// Whether packets of an IP version that leave this host meet rules or IPsec policies on their way.
pub(crate) fn has_output_rules(net: &Net, version: u8) -> bool {
    // SAFETY: The namespace is alive.
    unsafe { bindings::rvs_has_output_rules(net.as_raw(), version) }
}

/// Whether this host takes packets to `address` as its own: an address of a device that is up, or
/// one of a local route. May sleep.
pub(crate) fn is_of_this_host(net: &Net, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let address_be = u32::from_ne_bytes(v4.octets());
            // SAFETY: The namespace is alive.
            let kind = unsafe { bindings::inet_addr_type(net.as_raw(), address_be) };
            kind == u32::from(bindings::RTN_LOCAL)
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            // SAFETY: The namespace is alive; the pointer is to sixteen bytes.
            unsafe { bindings::rvs_is_own_address6(net.as_raw(), ptr::addr_of!(octets).cast()) }
        }
    }
}

/// Frees a packet that cannot be sent.
pub(crate) fn free(skb: Skb<'_>) -> Consumed {
    // SAFETY: The packet is ours.
    unsafe {
        bindings::sk_skb_reason_drop(
            ptr::null_mut(),
            skb.as_raw(),
            bindings::skb_drop_reason_SKB_DROP_REASON_NETFILTER_DROP,
        );
        Consumed::new()
    }
}

impl Drop for NextHop {
    fn drop(&mut self) {
        // SAFETY: By the invariant; nobody uses this next hop any more.
        unsafe {
            if let Some(neighbour) = self.neighbour {
                bindings::neigh_release(neighbour.as_ptr());
            }
            bindings::dst_release(self.dst());
        }
    }
}
