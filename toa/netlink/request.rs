// SPDX-License-Identifier: GPL-2.0

//! Attributes of requests, and refusals.

use kernel::prelude::*;

use crate::kapi::genl::{Attr, AttrIter, Attrs, Place, Request};

/// Refuses the request for what is in `attr`.
pub(super) fn refuse<T>(
    request: &Request<'_>,
    error: Error,
    attr: Attr<'_>,
    text: core::fmt::Arguments<'_>,
) -> Result<T> {
    Err(request.extack().refuse(error, Place::Attr(attr), text))
}

/// The attributes by number; none may be there twice.
pub(super) fn table<'a, const N: usize>(
    request: &Request<'a>,
    attrs: AttrIter<'a>,
) -> Result<Attrs<'a, N>> {
    Attrs::new(attrs).or_else(|twice| {
        refuse(
            request,
            EINVAL,
            twice,
            format_args!("the attribute is there twice"),
        )
    })
}

/// The attribute `kind`, called `name`, which has to be there, in `nest` if that is given.
pub(super) fn required<'a, const N: usize>(
    request: &Request<'a>,
    attrs: &Attrs<'a, N>,
    nest: Option<Attr<'a>>,
    kind: u16,
    name: &str,
) -> Result<Attr<'a>> {
    attrs.get(kind).ok_or_else(|| {
        let place = Place::Missing { nest, kind };
        let extack = request.extack();
        extack.refuse(EINVAL, place, format_args!("{name} is missing"))
    })
}
