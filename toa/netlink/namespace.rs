// SPDX-License-Identifier: GPL-2.0

//! The network namespace that a request is about.

use kernel::prelude::*;

use crate::{
    kapi::genl::{Place, Request},
    state::Netns,
};

/// The state of the namespace a request was sent in.
pub(super) fn namespace<'a>(request: &Request<'a>) -> Result<&'a Netns> {
    Netns::of(request.net()).ok_or_else(|| {
        let text = format_args!("the network namespace is going away");
        request.extack().refuse(ENODEV, Place::Message, text)
    })
}
