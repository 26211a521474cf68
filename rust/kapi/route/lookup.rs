// SPDX-License-Identifier: GPL-2.0

//! How a way is found.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr::{self, NonNull},
};

use kernel::{error::from_err_ptr, prelude::*};

use super::{
    has_output_rules,
    leave::{CONNECTED, FRAMED},
    state::{OutputHooks, Route},
    NextHop, Reply,
};
use crate::{
    bindings::{self, rvs_route_state},
    kapi::{
        errno::{EHOSTUNREACH, ENOBUFS},
        netns::Net,
    },
};

impl NextHop {
    /// Looks up the way to `address`, for packets from whichever source this host takes. From any
    /// context that does not hold the neighbour's lock.
    ///
    /// # Errors
    ///
    /// What the routing table says (`ENETUNREACH` …); `EHOSTUNREACH` for broadcast and multicast
    /// routes; `ENOBUFS` when there is no memory or no room for a neighbour.
    pub(crate) fn lookup(net: &'static Net, address: IpAddr) -> Result<Self> {
        Self::look_up(net, address, None)
    }

    /// Looks up the way that a reply takes to its client.
    ///
    /// # Errors
    ///
    /// Those of [`NextHop::lookup`].
    pub(crate) fn lookup_back(net: &'static Net, reply: &Reply<'_>) -> Result<Self> {
        Self::look_up(net, reply.client(), Some(reply))
    }

    fn look_up(net: &'static Net, address: IpAddr, reply: Option<&Reply<'_>>) -> Result<Self> {
        let mut hop = Self::look_up_route(net, address, reply)?;
        if hop.is_local() {
            return Ok(hop);
        }
        // SAFETY: The route holds its device.
        hop.headroom = unsafe { bindings::rvs_ll_reserved_space(hop.device().0.cast()) };
        // SAFETY: We hold the route.
        hop.mtu = unsafe { bindings::dst_mtu(hop.dst()) };
        // SAFETY: As above.
        if !unsafe { bindings::rvs_route_is_plain(hop.dst()) } {
            return Ok(hop);
        }
        hop.find_neighbour(address)?;
        // Behind the look at the hooks, or a change in between is missed.
        if !has_output_rules(net, hop.version()) {
            hop.straight = hop.mtu;
        }
        Ok(hop)
    }

    /// Finds the neighbour that the route leads to, where it is to be asked for `address` or for its
    /// own next hop, which may be of the other IP version.
    fn find_neighbour(&mut self, address: IpAddr) -> Result {
        let octets = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(v6) => v6.octets(),
        };
        // SAFETY: We hold the route, whose family is the address's.
        let neighbour =
            unsafe { bindings::dst_neigh_lookup(self.dst(), ptr::addr_of!(octets).cast()) };
        // A failed look-up in IPv6 gives an error pointer.
        let neighbour = from_err_ptr(neighbour).map_err(|_| ENOBUFS)?;
        let neighbour = NonNull::new(neighbour).ok_or(ENOBUFS)?;
        // INVARIANT: The look-up took the reference.
        self.neighbour = Some(neighbour);
        // SAFETY: We hold the neighbour, which holds on to its table's kind.
        let version = unsafe { bindings::rvs_neighbour_version(neighbour.as_ptr()) };
        if version == self.version() {
            self.stored_in = CONNECTED;
            self.framed_in = FRAMED;
        }
        Ok(())
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
    fn look_up_route(
        net: &'static Net,
        address: IpAddr,
        reply: Option<&Reply<'_>>,
    ) -> Result<Self> {
        let source = reply.map(|reply| reply.source());
        match (address, source) {
            (IpAddr::V4(to), None) => Self::look_up_v4(net, to, Ipv4Addr::UNSPECIFIED, None),
            (IpAddr::V4(to), Some(IpAddr::V4(from))) => Self::look_up_v4(net, to, from, reply),
            (IpAddr::V6(to), None) => Self::look_up_v6(net, to, Ipv6Addr::UNSPECIFIED, None),
            (IpAddr::V6(to), Some(IpAddr::V6(from))) => Self::look_up_v6(net, to, from, reply),
            _ => Err(EINVAL),
        }
    }

    fn look_up_v4(
        net: &'static Net,
        address: Ipv4Addr,
        source: Ipv4Addr,
        reply: Option<&Reply<'_>>,
    ) -> Result<Self> {
        let reply = reply.map(Reply::raw);
        let reply = reply.as_ref().map_or(ptr::null(), ptr::from_ref);
        let address_be = u32::from_ne_bytes(address.octets());
        let mut source_be = u32::from_ne_bytes(source.octets());
        let (mut was, hooks) = (rvs_route_state::default(), OutputHooks::of(net, 4));
        // SAFETY: The namespace is alive, and so is the reply's packet.
        let route = unsafe {
            bindings::rvs_route_output(net.as_raw(), address_be, &mut source_be, reply, &mut was)
        };
        let route = NonNull::new(from_err_ptr(route)?).ok_or(EHOSTUNREACH)?;
        // SAFETY: The look-up took a reference. Not by its flags: routes to a broadcast address are
        // marked local too.
        let kind = u32::from(unsafe { route.as_ref() }.rt_type);
        // INVARIANT: The look-up took the reference; a route's first field is its `dst_entry`.
        let hop = Self {
            net,
            route: route.cast(),
            neighbour: None,
            kind: Route::v4(was),
            hooks,
            stored_in: 0,
            framed_in: 0,
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

    fn look_up_v6(
        net: &'static Net,
        address: Ipv6Addr,
        source: Ipv6Addr,
        reply: Option<&Reply<'_>>,
    ) -> Result<Self> {
        let reply = reply.map(Reply::raw);
        let reply = reply.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (to, mut from) = (address.octets(), source.octets());
        let (mut was, hooks) = (rvs_route_state::default(), OutputHooks::of(net, 6));
        let to = ptr::addr_of!(to).cast();
        // SAFETY: The namespace is alive; the pointers are to sixteen bytes each, and to a state.
        let route = unsafe {
            let from = ptr::addr_of_mut!(from).cast();
            bindings::rvs_route6_output(net.as_raw(), to, from, reply, &mut was)
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
            kind: Route::Six(was),
            hooks,
            stored_in: 0,
            framed_in: 0,
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
}
