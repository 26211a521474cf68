// SPDX-License-Identifier: GPL-2.0

//! From attributes to descriptions. What is missing, doubled or of the wrong shape is refused
//! here, with a text and the attribute; what a description may say is up to `engine::spec`.

mod dest;
mod question;
mod selection;
mod service;

use core::{fmt, net::IpAddr};

use kernel::error::{code::EINVAL, Error, Result};

use super::generated::{laddr, main};
use crate::kapi::genl::{Attr, AttrIter, Attrs, Extack, Place, Request, TEXT_MAX};

/// Attributes of the top level by number.
pub(super) type MainAttrs<'a> = Attrs<'a, { main::POLICY.len() }>;

/// Reads attributes and says what is wrong with them.
pub(super) struct Decoder<'a> {
    extack: Extack<'a>,
    /// Number of the batch's change that is read, from 1.
    change: Option<usize>,
}

impl<'a> Decoder<'a> {
    /// For a request that is no batch.
    pub(super) fn new(request: &Request<'a>) -> Self {
        Self {
            extack: request.extack(),
            change: None,
        }
    }

    /// For the change at `index`, from 0, of a batch.
    pub(super) fn of_change(request: &Request<'a>, index: usize) -> Self {
        Self {
            extack: request.extack(),
            change: Some(index.saturating_add(1)),
        }
    }

    /// Refuses the request. In a batch the text begins with the change's number when that fits.
    pub(super) fn refuse(&self, error: Error, place: Place<'a>, text: fmt::Arguments<'_>) -> Error {
        match self.change {
            Some(number) if length(format_args!("change {number}: {text}")) <= TEXT_MAX => self
                .extack
                .refuse(error, place, format_args!("change {number}: {text}")),
            _ => self.extack.refuse(error, place, text),
        }
    }

    /// Sorts attributes by number.
    pub(super) fn table<const N: usize>(&self, attrs: AttrIter<'a>) -> Result<Attrs<'a, N>> {
        Attrs::new(attrs).map_err(|second| self.twice(second))
    }

    /// Refuses the second of two attributes that exclude each other.
    pub(super) fn twice(&self, second: Attr<'a>) -> Error {
        self.refuse(
            EINVAL,
            Place::Attr(second),
            format_args!("this attribute is there twice"),
        )
    }

    /// An attribute that has to be there.
    pub(super) fn require<const N: usize>(
        &self,
        attrs: &Attrs<'a, N>,
        nest: Option<Attr<'a>>,
        kind: u16,
        name: &str,
    ) -> Result<Attr<'a>> {
        attrs
            .get(kind)
            .ok_or_else(|| self.missing(nest, kind, name))
    }

    /// Refuses a request that lacks an attribute.
    pub(super) fn missing(&self, nest: Option<Attr<'a>>, kind: u16, name: &str) -> Error {
        self.refuse(
            EINVAL,
            Place::Missing { nest, kind },
            format_args!("{name} is missing"),
        )
    }

    /// Refuses an attribute whose payload cannot be read.
    pub(super) fn malformed(&self, attr: Attr<'a>, name: &str) -> Error {
        self.refuse(
            EINVAL,
            Place::Attr(attr),
            format_args!("{name} is malformed"),
        )
    }

    /// A 32-bit number.
    pub(super) fn u32(&self, attr: Attr<'a>, name: &str) -> Result<u32> {
        attr.u32().ok_or_else(|| self.malformed(attr, name))
    }

    /// A local address's nest.
    pub(super) fn laddr(&self, nest: Attr<'a>) -> Result<IpAddr> {
        let attrs = self.table::<{ laddr::POLICY.len() }>(nest.nested())?;
        let address = self.require(&attrs, Some(nest), laddr::ADDRESS, "local address")?;
        self.address(address, "local address")
    }

    /// A number, if there is one.
    pub(super) fn number(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<u32>> {
        attr.map(|attr| self.u32(attr, name)).transpose()
    }

    /// A byte, if there is one.
    pub(super) fn byte(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<u8>> {
        let Some(attr) = attr else { return Ok(None) };
        let value = attr.u8().map(Some);
        value.ok_or_else(|| self.malformed(attr, name))
    }

    /// Whether something is on, if that is said.
    pub(super) fn switch(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<bool>> {
        Ok(self.byte(attr, name)?.map(|value| value != 0))
    }

    /// Refuses a setting where an object is only named.
    pub(super) fn refuse_setting(&self, attr: Option<Attr<'a>>, name: &str) -> Result {
        match attr {
            None => Ok(()),
            Some(attr) => Err(self.refuse(
                EINVAL,
                Place::Attr(attr),
                format_args!("{name} is not part of this request"),
            )),
        }
    }

    /// An address of either family.
    pub(super) fn address(&self, attr: Attr<'a>, name: &str) -> Result<IpAddr> {
        attr.address().ok_or_else(|| {
            self.refuse(
                EINVAL,
                Place::Attr(attr),
                format_args!(
                    "{name} of {} bytes, it takes 4 (IPv4) or 16 (IPv6)",
                    attr.payload().len()
                ),
            )
        })
    }
}

/// Bytes that a text takes.
fn length(text: fmt::Arguments<'_>) -> usize {
    struct Counter(usize);
    impl fmt::Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // The counter never fails.
    let _ = fmt::write(&mut counter, text);
    counter.0
}
