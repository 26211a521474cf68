// SPDX-License-Identifier: GPL-2.0

//! What `getpeername` and `accept` say.
//!
//! C headers: [`include/uapi/linux/in.h`](srctree/include/uapi/linux/in.h),
//! [`include/uapi/linux/in6.h`](srctree/include/uapi/linux/in6.h)

use core::ptr::NonNull;

use super::end::Address;
use crate::bindings;

/// The address that a `getname` has written for its caller.
///
/// # Invariants
///
/// `raw` points to a `struct sockaddr_in6` if `is_ipv6`, else to a `struct sockaddr_in`, that is
/// ours to write.
pub(super) struct Name {
    raw: NonNull<u8>,
    is_ipv6: bool,
}

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
    #[inline(always)]
    pub(super) unsafe fn from_address(address: usize, len: usize) -> Option<Self> {
        let raw = NonNull::new(address as *mut u8)?;
        // SAFETY: Any name begins with its family.
        let family = unsafe { raw.cast::<u16>().read_unaligned() };
        let (is_ipv6, least) = match u32::from(family) {
            bindings::AF_INET => (false, V4_LEN),
            bindings::AF_INET6 => (true, V6_LEN),
            _ => return None,
        };
        // INVARIANT: Of an internet family, and long enough.
        (len >= least).then_some(Self { raw, is_ipv6 })
    }

    /// Whether it says `address` and `port`, whatever the family. The port is in network byte order.
    #[inline(always)]
    pub(super) fn says(&self, address: Address, port: u16) -> bool {
        let said = if self.is_ipv6 {
            Address::of_words([self.read(8), self.read(16)])
        } else {
            Address::of_v4(self.read(4))
        };
        said == address && self.read::<u16>(2) == port
    }

    /// Makes it say `address` and `port`. An IPv6 address does not fit an IPv4 name, which stays as it is.
    #[inline(always)]
    pub(super) fn say(&self, address: Address, port: u16) {
        if self.is_ipv6 {
            let [first, second] = address.words();
            self.write(8, first);
            self.write(16, second);
            // The link of the balancer's address says nothing of the client's.
            self.write(24, 0_u32);
        } else if let Some(v4) = address.v4() {
            self.write(4, v4);
        } else {
            return;
        }
        self.write(2, port);
    }

    #[inline(always)]
    fn read<T: Copy>(&self, at: usize) -> T {
        // SAFETY: By the invariants; callers read numbers that the family has there.
        unsafe { self.raw.add(at).cast().read_unaligned() }
    }

    #[inline(always)]
    fn write<T: Copy>(&self, at: usize, value: T) {
        // SAFETY: By the invariants; callers write numbers that the family has there.
        unsafe { self.raw.add(at).cast().write_unaligned(value) };
    }
}
