// SPDX-License-Identifier: GPL-2.0

//! The network namespace that a request is about.

use kernel::error::{code::ENODEV, Result};

use crate::kapi::genl::{DumpWriter, Place, Request};
use crate::table::{ConfigGuard, Netns};

/// The state of the namespace a request was sent in.
pub(super) fn namespace<'a>(request: &Request<'a>) -> Result<&'a Netns> {
    Netns::of(request.net()).ok_or_else(|| {
        let text = format_args!("the network namespace is going away");
        request.extack().refuse(ENODEV, Place::Message, text)
    })
}

/// The configuration for a buffer of a dump, and its generation, by which the dump is known to be consistent.
pub(super) fn dumped<'a>(
    request: &Request<'a>,
    out: &mut DumpWriter<'_>,
) -> Result<(ConfigGuard<'a>, u32)> {
    let config = namespace(request)?.config();
    let generation = config.generation();
    out.set_generation(generation);
    Ok((config, generation))
}
