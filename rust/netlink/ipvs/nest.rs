// SPDX-License-Identifier: GPL-2.0

//! Nests of requests, read as leniently as `ip_vs` reads them.
//!
//! Of two attributes with the same number the last one counts; numbers that are not known are
//! ignored; a number may have more bytes than it needs, of which the first count. What is too
//! short, or text that is too long or does not end, makes the whole nest invalid (`EINVAL`).

use kernel::error::{code::EINVAL, Error, Result};

use crate::kapi::genl::{Attr, Attrs, Place, Request};

/// What an attribute of a nest must be.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Anything.
    Any,
    /// At least so many bytes.
    AtLeast(usize),
    /// At most so many bytes.
    AtMost(usize),
    /// Text that ends with a zero byte, at most so many bytes without it.
    Text(usize),
    /// Empty, or at least one attribute's header.
    Nest,
}

impl Rule {
    pub(super) fn allows(self, bytes: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::AtLeast(len) => bytes.len() >= len,
            Self::AtMost(len) => bytes.len() <= len,
            Self::Text(len) => {
                let whole = bytes.strip_suffix(&[0]).unwrap_or(bytes);
                whole.len() <= len && bytes.contains(&0)
            }
            Self::Nest => bytes.is_empty() || bytes.len() >= 4,
        }
    }
}

/// A nest of a request; `N` is the number of its highest attribute plus one.
pub(super) struct Nest<'a, 'r, const N: usize> {
    request: &'r Request<'a>,
    attr: Attr<'a>,
    attrs: Attrs<'a, N>,
    name: &'static str,
}

impl<'a, 'r, const N: usize> Nest<'a, 'r, N> {
    /// The top-level attribute of that number and name, whose attributes must meet `rules`.
    pub(super) fn new(
        request: &'r Request<'a>,
        kind: u16,
        name: &'static str,
        rules: &[Rule; N],
    ) -> Result<Self> {
        // The last one counts here too.
        let attr = request.attrs().filter(|attr| attr.kind() == kind).last();
        let Some(attr) = attr else {
            let place = Place::Missing { nest: None, kind };
            return Err(request.extack().refuse(
                EINVAL,
                place,
                format_args!("attribute {name} is missing"),
            ));
        };
        for part in attr.nested() {
            let number = part.kind();
            let rule = rules.get(usize::from(number)).copied();
            if !rule.unwrap_or(Rule::Any).allows(part.payload()) {
                return Err(request.extack().refuse(
                    EINVAL,
                    Place::Attr(part),
                    format_args!("attribute {number} of {name} is malformed"),
                ));
            }
        }
        Ok(Self {
            request,
            attr,
            attrs: Attrs::last_of_each(attr.nested()),
            name,
        })
    }

    /// The attribute of that number.
    pub(super) fn get(&self, kind: u16) -> Option<Attr<'a>> {
        self.attrs.get(kind)
    }

    /// The same; `EINVAL` when it is missing.
    pub(super) fn require(&self, kind: u16) -> Result<Attr<'a>> {
        self.get(kind).ok_or_else(|| {
            let place = Place::Missing {
                nest: Some(self.attr),
                kind,
            };
            self.request.extack().refuse(
                EINVAL,
                place,
                format_args!("{} lacks attribute {kind}", self.name),
            )
        })
    }

    /// A 32-bit number; 0 when it is missing.
    pub(super) fn u32_or_zero(&self, kind: u16) -> u32 {
        self.get(kind).map_or(0, u32)
    }

    /// Refuses the request for the attribute of that number, or for the whole nest.
    pub(super) fn refuse(&self, error: Error, kind: u16, text: core::fmt::Arguments<'_>) -> Error {
        let place = Place::Attr(self.get(kind).unwrap_or(self.attr));
        self.request.extack().refuse(error, place, text)
    }

    /// The nest itself, to blame.
    pub(super) fn place(&self) -> Place<'a> {
        Place::Attr(self.attr)
    }
}

/// The first bytes, filled up with zeroes.
pub(super) fn bytes<const N: usize>(attr: Attr<'_>) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(attr.payload()) {
        *to = *from;
    }
    out
}

/// A 16-bit number in host order.
pub(super) fn u16(attr: Attr<'_>) -> u16 {
    u16::from_ne_bytes(bytes(attr))
}

/// A 16-bit number in network order.
pub(super) fn u16_be(attr: Attr<'_>) -> u16 {
    u16::from_be_bytes(bytes(attr))
}

/// A 32-bit number in host order.
pub(super) fn u32(attr: Attr<'_>) -> u32 {
    u32::from_ne_bytes(bytes(attr))
}
