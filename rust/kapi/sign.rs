// SPDX-License-Identifier: GPL-2.0

//! Signatures of datagrams, with a key that those who belong together share.
//!
//! C header: [`include/crypto/hash.h`](srctree/include/crypto/hash.h)

use core::ptr::NonNull;

use kernel::{error::to_result, prelude::*};

use super::errno::EOPNOTSUPP;
use crate::bindings;

/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = 32;

/// A key.
///
/// # Invariants
///
/// It is open, and this the only one that uses it.
pub(crate) struct Signer(NonNull<bindings::crypto_shash>);

// SAFETY: Keys may be used from any thread.
unsafe impl Send for Signer {}
// SAFETY: Signing changes nothing of them.
unsafe impl Sync for Signer {}

impl Signer {
    /// One of those bytes. May sleep.
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        let len = u32::try_from(key.len()).map_err(|_| EINVAL)?;
        // SAFETY: The key can be read for its length.
        let signer = unsafe { bindings::rvs_signer_open(key.as_ptr(), len) };
        Ok(Self(NonNull::new(signer).ok_or(EOPNOTSUPP)?))
    }

    /// The signature of some bytes. May sleep.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<[u8; SIGNATURE]> {
        let (mut signature, len) = ([0; SIGNATURE], data.len() as u32);
        // SAFETY: By the invariant; the data can be read, and the signature written.
        to_result(unsafe {
            bindings::rvs_signer_sign(self.0.as_ptr(), data.as_ptr(), len, signature.as_mut_ptr())
        })?;
        Ok(signature)
    }

    /// Whether that is the signature of some bytes. May sleep.
    pub(crate) fn has_signed(&self, data: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        let Ok(right) = self.sign(data) else {
            return false;
        };
        // SAFETY: Both can be read for the length of a signature.
        unsafe { bindings::rvs_signer_equal(right.as_ptr(), signature.as_ptr()) }
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::rvs_signer_close(self.0.as_ptr()) };
    }
}
