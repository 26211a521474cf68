// SPDX-License-Identifier: GPL-2.0

//! release: the module may be unloaded although there are services.

use kernel::error::{code::EPERM, Result};

use super::generated::cmd;
use super::policy;
use crate::kapi::genl::{AttrPolicy, Doit, Place, Request};
use crate::kapi::modules;

/// release.
pub(super) struct Release;

impl Doit for Release {
    const CMD: u8 = cmd::RELEASE;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::RELEASE);

    fn doit(request: &Request<'_>) -> Result {
        // It is not of one namespace.
        if !modules::may_unload() {
            let text = format_args!("unloading modules needs CAP_SYS_MODULE");
            return Err(request.extack().refuse(EPERM, Place::Message, text));
        }
        modules::release();
        Ok(())
    }
}
