// SPDX-License-Identifier: GPL-2.0

//! Error numbers of refused changes. Their texts come from `engine`.

use kernel::error::{code::*, Error};

use crate::engine::change::ChangeError;
use crate::engine::spec::SpecError;
use crate::kapi::errno::{EADDRNOTAVAIL, ENETUNREACH};

/// The error number that goes with a refused change.
pub(super) fn errno(error: &ChangeError) -> Error {
    match error {
        ChangeError::Spec(error) => spec_errno(error),
        ChangeError::NoScheduler(_) | ChangeError::NoDest(_) | ChangeError::NoLocal(_) => ENOENT,
        ChangeError::ServiceExists(_)
        | ChangeError::DestExists(_)
        | ChangeError::LocalExists(_) => EEXIST,
        ChangeError::NoService(_) => ESRCH,
        ChangeError::NoRoute(_) => ENETUNREACH,
        ChangeError::NotOnThisHost(_) => EADDRNOTAVAIL,
        ChangeError::NoMemory => ENOMEM,
    }
}

/// The error number that goes with a refused description.
pub(super) fn spec_errno(error: &SpecError) -> Error {
    match error {
        SpecError::Weight(_)
        | SpecError::Timeout(_)
        | SpecError::Thresholds { .. }
        | SpecError::LocalPorts(_)
        | SpecError::ToaKind(_)
        | SpecError::Persistence(_)
        | SpecError::Drain(_)
        | SpecError::DropRate
        | SpecError::SlowStart(_)
        | SpecError::UoaKind(_)
        | SpecError::Expiration(_) => ERANGE,
        _ => EINVAL,
    }
}
