// SPDX-License-Identifier: GPL-2.0

//! Sockets and the segments that open them.
//!
//! C headers: [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h),
//! [`include/linux/tcp.h`](srctree/include/linux/tcp.h)

use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ptr::NonNull,
    slice,
};

use kernel::{error::to_result, ffi::c_void, prelude::*};

use super::netns::Net;
use crate::bindings;

/// A socket.
///
/// # Invariants
///
/// It points to a `struct sock` of the family IPv4 or IPv6 that lives for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Sock<'a> {
    raw: NonNull<c_void>,
    _life: PhantomData<&'a c_void>,
}

impl<'a> Sock<'a> {
    /// The socket at `address`; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// `address` is null, or that of a `struct sock` as the invariants ask for.
    #[inline]
    pub(super) unsafe fn from_address(address: usize) -> Option<Self> {
        // INVARIANT: The caller vouches for it.
        Some(Self {
            raw: NonNull::new(address as *mut c_void)?,
            _life: PhantomData,
        })
    }

    /// Where it is, as the name of it while it lives.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.raw.as_ptr() as usize
    }

    /// The namespace it is in.
    pub(crate) fn net(&self) -> &'a Net {
        // SAFETY: A socket keeps its namespace as long as it may be used.
        unsafe { Net::from_raw(bindings::toa_net_of_sock(self.raw.as_ptr())) }
    }

    /// Its ends. `is_ipv4`: the connection is IPv4, even when the socket is of the family IPv6 and
    /// does not know it yet.
    pub(crate) fn ends(&self, is_ipv4: bool) -> Ends {
        let mut ends = MaybeUninit::<bindings::toa_ends>::uninit();
        // SAFETY: By the invariants; the helper fills `ends` in.
        let ends = unsafe {
            bindings::toa_ends_of_sock(self.raw.as_ptr(), is_ipv4, ends.as_mut_ptr());
            ends.assume_init()
        };
        Ends {
            peer: SocketAddr::new(plain(ends.peer), u16::from_be(ends.peer_port)),
            local: SocketAddr::new(plain(ends.local), u16::from_be(ends.local_port)),
        }
    }
}

/// What `look` finds in the socket of the TCP connection with these ends in `net`; `None` when there
/// is none.
pub(crate) fn with_connection<R>(
    net: &Net,
    ends: &Ends,
    look: impl FnOnce(Sock<'_>) -> R,
) -> Option<R> {
    let bytes = |end: &SocketAddr| match end.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let ends = bindings::toa_ends {
        peer: bytes(&ends.peer),
        local: bytes(&ends.local),
        peer_port: ends.peer.port().to_be(),
        local_port: ends.local.port().to_be(),
    };
    // SAFETY: The namespace is alive; the helper reads `ends` and gives a reference.
    let raw = unsafe { bindings::toa_find_connection(net.as_raw(), &raw const ends) };
    // SAFETY: A full socket of an internet family, which the reference keeps.
    let sock = unsafe { Sock::from_address(raw as usize) }?;
    let found = look(sock);
    // SAFETY: The reference from above.
    unsafe { bindings::toa_put_connection(raw) };
    Some(found)
}

/// What `look` finds in a socket of the present process.
///
/// # Errors
///
/// `EBADF` and `ENOTSOCK`; `EPROTOTYPE` when it is not TCP.
pub(crate) fn with_descriptor<R>(fd: u32, look: impl FnOnce(Sock<'_>) -> R) -> Result<R> {
    let mut error = 0;
    // SAFETY: The helper writes the error where it gives no socket, else a reference to one.
    let socket = unsafe { bindings::toa_find_descriptor(fd as i32, &raw mut error) };
    if socket.is_null() {
        to_result(error)?;
    }
    // SAFETY: A socket of TCP, which the reference keeps.
    let sock = unsafe { Sock::from_address(bindings::toa_sock_of_socket(socket) as usize) };
    let found = sock.map(look);
    // SAFETY: The reference from above.
    unsafe { bindings::toa_put_descriptor(socket) };
    found.ok_or(ENOTCONN)
}

/// The two ends of a connection as its packets name them; IPv4 as IPv4, whatever the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The other side.
    pub(crate) peer: SocketAddr,
    /// This side.
    pub(crate) local: SocketAddr,
}

/// An address as it is: IPv4 addresses come as `::ffff:a.b.c.d`.
fn plain(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// A received TCP segment.
pub(crate) struct Segment<'a> {
    options: &'a [u8],
    is_ipv4: bool,
    peer: IpAddr,
}

impl<'a> Segment<'a> {
    /// Reads the segment in the packet at `address`.
    ///
    /// # Safety
    ///
    /// It is that of a `struct sk_buff` that lives for `'a` and whose TCP header is checked and
    /// linear, as it is where sockets look at it.
    #[inline]
    pub(super) unsafe fn from_address(address: usize) -> Self {
        let mut segment = MaybeUninit::<bindings::toa_segment>::uninit();
        // SAFETY: The caller vouches for the packet; the helper fills `segment` in.
        let segment = unsafe {
            bindings::toa_read_segment(address as *const c_void, segment.as_mut_ptr());
            segment.assume_init()
        };
        // SAFETY: The options are part of the header, which lives with the packet.
        let options =
            unsafe { slice::from_raw_parts(segment.options, segment.options_len as usize) };
        Self {
            options,
            is_ipv4: segment.is_ipv4,
            peer: plain(segment.peer),
        }
    }

    /// Its TCP options.
    pub(crate) fn options(&self) -> &'a [u8] {
        self.options
    }

    /// Whether it came in an IPv4 packet.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// The packet's source.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }
}

/// The address that a `getname` has written for its caller.
///
/// # Invariants
///
/// It points to a `struct sockaddr_in` or `sockaddr_in6`, as its family says, that is ours to
/// write.
pub(super) struct Name(NonNull<u8>);

/// Lengths of `struct sockaddr_in` and `struct sockaddr_in6`.
const V4_LEN: usize = 16;
const V6_LEN: usize = 28;

impl Name {
    /// The name at `address`, which is `len` bytes long; `None` when it is none of ours.
    ///
    /// # Safety
    ///
    /// A `getname` of an internet family has written `len` bytes there for its caller, and nobody
    /// else uses them now.
    pub(super) unsafe fn from_address(address: usize, len: usize) -> Option<Self> {
        let raw = NonNull::new(address as *mut u8)?;
        // SAFETY: Any name begins with its family.
        let family = unsafe { raw.cast::<u16>().read_unaligned() };
        let has = match u32::from(family) {
            bindings::AF_INET => len >= V4_LEN,
            bindings::AF_INET6 => len >= V6_LEN,
            _ => false,
        };
        // INVARIANT: Of an internet family, and long enough.
        has.then_some(Self(raw))
    }

    /// What it says; IPv4 as IPv4, whatever the family.
    pub(super) fn get(&self) -> SocketAddr {
        let port = u16::from_be_bytes(self.read(2));
        let address = if self.is_ipv6() {
            plain(self.read(8))
        } else {
            IpAddr::from(self.read::<4>(4))
        };
        SocketAddr::new(address, port)
    }

    /// Makes it say `address`. An IPv6 address does not fit an IPv4 name, which stays as it is.
    pub(super) fn set(&self, address: SocketAddr) {
        match (self.is_ipv6(), address.ip()) {
            (false, IpAddr::V4(v4)) => self.write(4, v4.octets()),
            (false, IpAddr::V6(_)) => return,
            (true, ip) => {
                let v6 = match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                self.write(8, v6.octets());
                // The link of the balancer's address says nothing of the client's.
                self.write(24, [0; 4]);
            }
        }
        self.write(2, address.port().to_be_bytes());
    }

    fn is_ipv6(&self) -> bool {
        u32::from(u16::from_ne_bytes(self.read(0))) == bindings::AF_INET6
    }

    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        // SAFETY: By the invariants; callers read what the family has.
        unsafe { self.0.add(at).cast().read() }
    }

    fn write<const N: usize>(&self, at: usize, bytes: [u8; N]) {
        // SAFETY: By the invariants; callers write what the family has.
        unsafe { self.0.add(at).cast().write(bytes) }
    }
}
