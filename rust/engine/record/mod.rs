// SPDX-License-Identifier: GPL-2.0

//! Records: what a namespace has besides its configuration, as bytes that outlive the module. Each is
//! of a connection, of a template, or of counts.
//!
//! A record begins with [`VERSION`] and its kind; numbers are in network order. Who reads one takes
//! nothing from it that he has not checked: it may come from a file.

mod bytes;
mod connection;
mod counts;
mod fault;
mod template;

pub use self::{
    bytes::MAX,
    connection::{Connection, Ends},
    counts::{Counts, Owner},
    fault::Fault,
    template::Template,
};

use self::bytes::{Reader, Writer};

/// The version of what is written. What another wrote is not read.
pub const VERSION: u8 = 1;

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Records are not kept, and there is no heap here.
#[allow(clippy::large_enum_variant)]
pub enum Record<'a> {
    /// A connection.
    Connection(Connection),
    /// A network of clients, or a call of it, that stays with a dest.
    Template(Template<'a>),
    /// What something has counted.
    Counts(Counts),
}

/// Numbers of the kinds.
mod kind {
    pub(super) const CONNECTION: u8 = 1;
    pub(super) const TEMPLATE: u8 = 2;
    pub(super) const COUNTS: u8 = 3;
    /// A template of a call.
    pub(super) const CALL: u8 = 4;
}

impl<'a> Record<'a> {
    /// Writes it into a buffer; the part that was written. None where it does not fit.
    pub fn write<'b>(&self, buffer: &'b mut [u8; MAX]) -> Option<&'b [u8]> {
        let mut out = Writer::new(buffer);
        out.byte(VERSION);
        match self {
            Self::Connection(connection) => {
                out.byte(kind::CONNECTION);
                connection.write(&mut out);
            }
            Self::Template(template) => {
                out.byte(match template.call {
                    [] => kind::TEMPLATE,
                    _ => kind::CALL,
                });
                template.write(&mut out);
            }
            Self::Counts(counts) => {
                out.byte(kind::COUNTS);
                counts.write(&mut out);
            }
        }
        let len = out.len()?;
        buffer.get(..len)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// Why it is none.
    #[inline(never)] // In the kernel frames are small.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut from = Reader(bytes);
        let version = from.byte()?;
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let record = match from.byte()? {
            kind::CONNECTION => Self::Connection(Connection::read(&mut from)?),
            kind::TEMPLATE => Self::Template(Template::read(&mut from, false)?),
            kind::CALL => Self::Template(Template::read(&mut from, true)?),
            kind::COUNTS => Self::Counts(Counts::read(&mut from)?),
            other => return Err(Fault::Kind(other)),
        };
        if from.0.is_empty() {
            Ok(record)
        } else {
            Err(Fault::Length)
        }
    }
}
