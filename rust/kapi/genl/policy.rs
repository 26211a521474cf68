// SPDX-License-Identifier: GPL-2.0

//! Policies: what the core checks of a request before a handler sees it.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use core::ffi::CStr;

use crate::bindings;

type Check = bindings::nla_policy__bindgen_ty_1;
type MinMax = bindings::nla_policy__bindgen_ty_1__bindgen_ty_1;

/// What one attribute must be. A policy is a `static` array of them, indexed by the attributes'
/// numbers.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct AttrPolicy(bindings::nla_policy);

// SAFETY: Never written after it was built, and all that it points to is `'static` and never
// written either.
unsafe impl Sync for AttrPolicy {}

impl AttrPolicy {
    /// No such attribute; the core refuses it.
    pub(crate) const UNSPEC: Self = Self::new(bindings::NLA_UNSPEC, 0);
    /// One byte.
    pub(crate) const U8: Self = Self::new(bindings::NLA_U8, 0);
    /// Two bytes, host order.
    pub(crate) const U16: Self = Self::new(bindings::NLA_U16, 0);
    /// Two bytes, network order.
    pub(crate) const U16_BE: Self = Self::new(bindings::NLA_BE16, 0);
    /// Four bytes, host order.
    pub(crate) const U32: Self = Self::new(bindings::NLA_U32, 0);
    /// Eight bytes, host order.
    pub(crate) const U64: Self = Self::new(bindings::NLA_U64, 0);
    /// Four or eight bytes, host order.
    pub(crate) const UINT: Self = Self::new(bindings::NLA_UINT, 0);

    /// A nest whose attributes the handler checks itself.
    pub(crate) const NEST: Self = Self::new(bindings::NLA_NESTED, 0);

    /// Text that ends with a zero byte, `max_len` bytes without it at most; 0 is no limit.
    pub(crate) const fn nul_string(max_len: u16) -> Self {
        Self::new(bindings::NLA_NUL_STRING, max_len)
    }

    /// `max_len` bytes at most; 0 is no limit.
    pub(crate) const fn binary(max_len: u16) -> Self {
        Self::new(bindings::NLA_BINARY, max_len)
    }

    /// A nest whose attributes must meet `policy`.
    ///
    /// # Panics
    ///
    /// At compile time, when `policy` is empty or too long.
    pub(crate) const fn nested(policy: &'static [Self]) -> Self {
        assert!(!policy.is_empty() && policy.len() <= u16::MAX as usize);
        let mut this = Self::new(bindings::NLA_NESTED, (policy.len() - 1) as u16);
        this.0.__bindgen_anon_1 = Check {
            nested_policy: policy.as_ptr().cast(),
        };
        this
    }

    /// Refuses the attribute with a text of its own.
    pub(crate) const fn reject(text: &'static CStr) -> Self {
        let mut this = Self::new(bindings::NLA_REJECT, 0);
        this.0.__bindgen_anon_1 = Check {
            reject_message: text.to_bytes_with_nul().as_ptr(),
        };
        this
    }

    /// The same number with both bounds checked.
    ///
    /// # Panics
    ///
    /// At compile time, when the bounds do not fit 15 bits.
    pub(crate) const fn in_range(self, min: u64, max: u64) -> Self {
        assert!(min <= max && max <= i16::MAX as u64);
        let mut this = self;
        this.0.validation_type = bindings::nla_policy_validation_NLA_VALIDATE_RANGE as u8;
        this.0.__bindgen_anon_1 = Check {
            __bindgen_anon_1: MinMax {
                min: min as i16,
                max: max as i16,
            },
        };
        this
    }

    const fn new(kind: core::ffi::c_uint, len: u16) -> Self {
        Self(bindings::nla_policy {
            type_: kind as u8,
            validation_type: 0,
            len,
            // All of the union is read when the core copies a policy.
            __bindgen_anon_1: Check {
                nested_policy: core::ptr::null(),
            },
        })
    }
}
