// SPDX-License-Identifier: GPL-2.0

//! Records of templates.

use core::net::IpAddr;

use super::super::spec::{DestId, Mode, ServiceId};
use super::bytes::{Reader, Writer};
use super::fault::Fault;

/// A network of clients that stays with a dest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its service.
    pub service: ServiceId,
    /// The network's first address.
    pub network: IpAddr,
    /// Where its flows go.
    pub dest: DestId,
    /// How packets travel there.
    pub mode: Mode,
    /// Milliseconds that it stays when no flow begins.
    pub left: u32,
    /// Whether the dest has answered a flow of it.
    pub assured: bool,
}

impl Template {
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.bytes(&[self.assured.into(), self.mode.number() as u8]);
        out.word(self.left);
        out.service(self.service);
        out.address(self.network);
        out.dest(self.dest);
    }

    #[inline(never)] // In the kernel frames are small.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let assured = match from.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Fault::Content),
        };
        Ok(Self {
            assured,
            mode: from.mode()?,
            left: from.word()?,
            service: from.service()?,
            network: from.address()?,
            dest: from.dest()?,
        })
    }
}
