// SPDX-License-Identifier: GPL-2.0

//! The socket options by which programs ask that were made for the receivers of DPVS and Alibaba:
//! `getsockopt` at the level of IP.
//!
//! - 4096, of a TCP socket: 16 bytes of an IPv6 address and a port, the client of a connection whose
//!   socket is of IPv4.
//! - 2048, of any socket: the four ends of a datagram, as the program got it, are given, and the client
//!   comes back behind them. There are three layouts, which their lengths tell apart: the first knew
//!   IPv4 only, the last says the client's family.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use core::{
    ffi::{c_int, c_void},
    marker::PhantomData,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    slice,
};

use kernel::{error::to_result, prelude::*};

use super::{netns::Net, sock::Sock};
use crate::bindings;

/// The option of TCP, and bytes of its answer without padding.
const TCP: c_int = 4096;
const TCP_LEN: usize = 18;

/// Lengths of UDP's three layouts.
const V4_ONLY: usize = 18;
const WITHOUT_FAMILY: usize = 56;
const WITH_FAMILY: usize = 58;

/// Where things are in the first layout: addresses and ports of both ends, then the client's.
const V4_SOURCE: usize = 0;
const V4_DESTINATION: usize = 4;
const V4_PORTS: usize = 8;
const V4_CLIENT: usize = 12;

/// Where things are in the others: the family, addresses and ports of both ends.
const FAMILY: usize = 0;
const SOURCE: usize = 2;
const DESTINATION: usize = 18;
const PORTS: usize = 34;
const CLIENT: usize = 38;

/// Numbers of address families.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Who is asked.
pub(crate) trait Asked: 'static {
    /// Whom a TCP connection is for.
    fn of_connection(sock: Sock<'_>) -> Option<SocketAddr>;

    /// Whom a datagram is from that came from `from` to `to`, whose address may be the unspecified
    /// one.
    fn of_datagram(net: &Net, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr>;
}

/// Keeps the options registered.
pub(crate) struct Options<A>(PhantomData<fn(A)>);

impl<A: Asked> Options<A> {
    /// Registers them. Once at a time.
    ///
    /// # Errors
    ///
    /// `EBUSY` when somebody else has their numbers: a receiver of the others.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: The function is what the helper expects; it stays until `drop`.
        to_result(unsafe { bindings::toa_sockopt_register(Some(read::<A>)) })?;
        Ok(Self(PhantomData))
    }
}

impl<A> Drop for Options<A> {
    fn drop(&mut self) {
        // SAFETY: Registered. It waits for who is in the function.
        unsafe { bindings::toa_sockopt_unregister() };
    }
}

/// The C side of the options.
///
/// # Safety
///
/// Only for the helper: `sk` is a live socket, `buffer` has `len` bytes.
unsafe extern "C" fn read<A: Asked>(
    sk: *mut c_void,
    option: c_int,
    buffer: *mut u8,
    len: u32,
) -> c_int {
    // SAFETY: The kernel asks internet sockets for options of IP; the buffer is the helper's.
    let (sock, buffer) = unsafe {
        (
            Sock::from_address(sk as usize),
            slice::from_raw_parts_mut(buffer, len as usize),
        )
    };
    let done = sock.ok_or(EINVAL).and_then(|sock| match option {
        TCP => connection::<A>(sock, buffer).ok_or(EINVAL),
        _ => datagram::<A>(sock.net(), buffer),
    });
    done.map_or_else(Error::to_errno, |()| 0)
}

/// Answers for a connection: only what `getpeername` has no room for, as the others do.
fn connection<A: Asked>(sock: Sock<'_>, buffer: &mut [u8]) -> Option<()> {
    let answer: &mut [u8; TCP_LEN] = buffer.first_chunk_mut()?;
    if sock.is_v6() || !sock.is_tcp() {
        return None;
    }
    let SocketAddr::V6(client) = A::of_connection(sock)? else {
        return None;
    };
    let [address @ .., p0, p1] = answer;
    *address = client.ip().octets();
    [*p0, *p1] = client.port().to_be_bytes();
    Some(())
}

fn datagram<A: Asked>(net: &Net, buffer: &mut [u8]) -> Result {
    match buffer.len() {
        len if len >= WITH_FAMILY => any::<A>(net, buffer, true),
        len if len >= WITHOUT_FAMILY => any::<A>(net, buffer, false),
        len if len >= V4_ONLY => v4::<A>(net, buffer),
        _ => Err(EINVAL),
    }
}

fn v4<A: Asked>(net: &Net, buffer: &mut [u8]) -> Result {
    let (sport, dport) = ports(buffer, V4_PORTS).ok_or(EINVAL)?;
    let address = |at| Some(IpAddr::from(Ipv4Addr::from(chunk::<4>(buffer, at)?)));
    let from = SocketAddr::new(address(V4_SOURCE).ok_or(EINVAL)?, sport);
    let to = SocketAddr::new(address(V4_DESTINATION).ok_or(EINVAL)?, dport);
    let SocketAddr::V4(client) = A::of_datagram(net, from, to).ok_or(ENOENT)? else {
        return Err(ENOENT);
    };
    put(buffer, V4_CLIENT, &client.ip().octets()).ok_or(EINVAL)?;
    put(buffer, V4_CLIENT + 4, &client.port().to_be_bytes()).ok_or(EINVAL)
}

fn any<A: Asked>(net: &Net, buffer: &mut [u8], says_family: bool) -> Result {
    let family = u16::from_ne_bytes(chunk(buffer, FAMILY).ok_or(EINVAL)?);
    let (sport, dport) = ports(buffer, PORTS).ok_or(EINVAL)?;
    let address = |at| match family {
        AF_INET => Some(IpAddr::from(Ipv4Addr::from(chunk::<4>(buffer, at)?))),
        AF_INET6 => {
            let v6 = Ipv6Addr::from(chunk::<16>(buffer, at)?);
            Some(IpAddr::from(v6).to_canonical())
        }
        _ => None,
    };
    let from = SocketAddr::new(address(SOURCE).ok_or(EINVAL)?, sport);
    let mut to = SocketAddr::new(address(DESTINATION).ok_or(EINVAL)?, dport);
    if to.ip().is_unspecified() && from.is_ipv4() {
        to.set_ip(Ipv4Addr::UNSPECIFIED.into());
    }
    let client = A::of_datagram(net, from, to).ok_or(ENOENT)?;
    let mut octets = [0; 16];
    match client.ip() {
        IpAddr::V4(v4) if family == AF_INET => put(&mut octets, 0, &v4.octets()).ok_or(EINVAL)?,
        IpAddr::V4(v4) => octets = v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => octets = v6.octets(),
    }
    let mut at = CLIENT;
    if says_family {
        put(buffer, at, &family.to_ne_bytes()).ok_or(EINVAL)?;
        at = CLIENT + 2;
    }
    put(buffer, at, &octets).ok_or(EINVAL)?;
    put(buffer, at.saturating_add(16), &client.port().to_be_bytes()).ok_or(EINVAL)
}

/// Both ports, in network order, at `at`.
fn ports(buffer: &[u8], at: usize) -> Option<(u16, u16)> {
    let [s0, s1, d0, d1] = chunk(buffer, at)?;
    Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

fn chunk<const N: usize>(buffer: &[u8], at: usize) -> Option<[u8; N]> {
    buffer.get(at..)?.first_chunk().copied()
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    let to = buffer.get_mut(at..)?.get_mut(..bytes.len())?;
    to.copy_from_slice(bytes);
    Some(())
}
