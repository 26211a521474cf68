// SPDX-License-Identifier: GPL-2.0

//! Sockets and the segments that open them.
//!
//! C headers: [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h),
//! [`include/linux/tcp.h`](srctree/include/linux/tcp.h)

use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    net::IpAddr,
    ptr::{self, NonNull},
    slice,
};

use kernel::{error::to_result, ffi::c_void, prelude::*};

use super::{
    end::{Address, End, Ends},
    errno::ENOTCONN,
    netns::Net,
};
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

    /// The socket of the `struct socket` at `address`; `None` when it has none.
    ///
    /// # Safety
    ///
    /// It is that of a `struct socket` of an internet family that lives for `'a` and keeps its
    /// socket as long.
    #[inline(always)]
    pub(super) unsafe fn of_socket(address: usize) -> Option<Self> {
        let socket = address as *const bindings::socket;
        // SAFETY: The caller vouches for it; `accept` and `close` write the word as a whole.
        unsafe { Self::from_address(ptr::read_volatile(&raw const (*socket).sk) as usize) }
    }

    /// Where it is, as the name of it while it lives.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.raw.as_ptr() as usize
    }

    /// The namespace it is in.
    #[inline(always)]
    pub(crate) fn net(&self) -> &'a Net {
        let common = self.raw.as_ptr().cast::<bindings::sock_common>();
        // SAFETY: A socket keeps its namespace as long as it may be used.
        unsafe { Net::from_raw((*common).skc_net.net) }
    }

    /// Whether it is one of MPTCP, above those of its paths.
    pub(crate) fn is_of_many_paths(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::toa_is_mptcp(self.raw.as_ptr()) }
    }

    /// Whether it is one of TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::toa_is_tcp(self.raw.as_ptr()) }
    }

    /// Whether it is of the family IPv6.
    pub(crate) fn is_v6(&self) -> bool {
        let common = self.raw.as_ptr().cast::<bindings::sock_common>();
        // SAFETY: By the invariants, as any socket begins with what all have in common.
        let family = unsafe { ptr::read_volatile(&raw const (*common).skc_family) };
        u32::from(family) == bindings::AF_INET6
    }

    /// Its ends. `is_ipv4`: the connection is IPv4, even when the socket is of the family IPv6 and
    /// does not know it yet.
    #[inline(always)]
    pub(crate) fn ends(&self, is_ipv4: bool) -> Ends {
        type Addresses = bindings::sock_common__bindgen_ty_1__bindgen_ty_1;
        type Ports = bindings::sock_common__bindgen_ty_3__bindgen_ty_1;
        let common = self.raw.as_ptr().cast::<bindings::sock_common>();
        // SAFETY: By the invariants, as any socket begins with what all have in common. Others may
        // write meanwhile, each number as a whole.
        unsafe {
            let v4 = (&raw const (*common).__bindgen_anon_1).cast::<Addresses>();
            let ports = (&raw const (*common).__bindgen_anon_3).cast::<Ports>();
            let (peer, local) = self.ipv6_addresses(is_ipv4).unwrap_or_else(|| {
                (
                    Address::of_v4(ptr::read_volatile(&raw const (*v4).skc_daddr)),
                    Address::of_v4(ptr::read_volatile(&raw const (*v4).skc_rcv_saddr)),
                )
            });
            Ends {
                peer: End {
                    address: peer,
                    port: ptr::read_volatile(&raw const (*ports).skc_dport),
                },
                local: End {
                    address: local,
                    port: ptr::read_volatile(&raw const (*ports).skc_num).to_be(),
                },
            }
        }
    }

    /// The addresses of its peer and of itself if they are IPv6.
    #[cfg(CONFIG_IPV6)]
    #[inline(always)]
    fn ipv6_addresses(&self, is_ipv4: bool) -> Option<(Address, Address)> {
        let common = self.raw.as_ptr().cast::<bindings::sock_common>();
        // SAFETY: As in `ends`. What is read while another is written is compared with what is known,
        // and nothing else.
        unsafe {
            let family = ptr::read_volatile(&raw const (*common).skc_family);
            if is_ipv4 || u32::from(family) != bindings::AF_INET6 {
                return None;
            }
            let read = |address: *const bindings::in6_addr| {
                Address::of_words(ptr::read_unaligned(address.cast()))
            };
            let peer = read(&raw const (*common).skc_v6_daddr);
            if peer.v4().is_some() {
                return None;
            }
            Some((peer, read(&raw const (*common).skc_v6_rcv_saddr)))
        }
    }

    #[cfg(not(CONFIG_IPV6))]
    fn ipv6_addresses(&self, _is_ipv4: bool) -> Option<(Address, Address)> {
        None
    }
}

/// What `look` finds in the socket of the TCP connection with these ends in `net`; `None` when there
/// is none.
pub(crate) fn with_connection<R>(
    net: &Net,
    ends: &Ends,
    look: impl FnOnce(Sock<'_>) -> R,
) -> Option<R> {
    let raw = |end: &End| bindings::toa_end {
        address: end.address.words(),
        port: end.port,
    };
    let (peer, local) = (raw(&ends.peer), raw(&ends.local));
    // SAFETY: The namespace is alive; the helper reads the ends and gives a reference.
    let raw =
        unsafe { bindings::toa_find_connection(net.as_raw(), &raw const peer, &raw const local) };
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
/// `EBADF` and `ENOTSOCK`; `EPROTOTYPE` when it is neither TCP nor MPTCP.
pub(crate) fn with_descriptor<R>(fd: u32, look: impl FnOnce(Sock<'_>) -> R) -> Result<R> {
    let mut error = 0;
    // SAFETY: The helper writes the error where it gives no socket, else a reference to one.
    let socket = unsafe { bindings::toa_find_descriptor(fd as i32, &raw mut error) };
    if socket.is_null() {
        to_result(error)?;
    }
    // SAFETY: A socket of TCP or MPTCP, which the reference keeps.
    let sock = unsafe { Sock::of_socket(socket as usize) };
    let found = sock.map(look);
    // SAFETY: The reference from above.
    unsafe { bindings::toa_put_descriptor(socket) };
    found.ok_or(ENOTCONN)
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
            peer: Address::of_words(segment.peer).into(),
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
