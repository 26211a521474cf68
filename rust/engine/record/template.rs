// SPDX-License-Identifier: GPL-2.0

//! Records of templates.

use core::net::IpAddr;

use super::super::sip;
use super::super::spec::{DestId, Mode, ServiceId};
use super::bytes::{Reader, Writer};
use super::fault::Fault;

/// A network of clients, or a call of it, that stays with a dest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template<'a> {
    /// Its service.
    pub service: ServiceId,
    /// The network's first address.
    pub network: IpAddr,
    /// The Call-ID; empty where it stays as a whole. A record of a call has another kind, and ends with it.
    pub call: &'a [u8],
    /// Where its flows go.
    pub dest: DestId,
    /// How packets travel there.
    pub mode: Mode,
    /// Milliseconds that it stays when no flow begins.
    pub left: u32,
    /// Whether the dest has answered a flow of it.
    pub assured: bool,
}

impl<'a> Template<'a> {
    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.bytes(&[self.assured.into(), self.mode.number() as u8]);
        out.word(self.left);
        out.service(self.service);
        out.address(self.network);
        out.dest(self.dest);
        if !self.call.is_empty() {
            out.byte(self.call.len() as u8);
            out.bytes(self.call);
        }
    }

    #[inline(never)] // In the kernel frames are small.
    pub(super) fn read(from: &mut Reader<'a>, is_of_call: bool) -> Result<Self, Fault> {
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
            call: if is_of_call { call(from)? } else { &[] },
        })
    }
}

/// A Call-ID ahead of which its length stands.
fn call<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
    let len = from.byte()?;
    let call = from.some(len.into())?;
    if sip::is_call_id(call) {
        Ok(call)
    } else {
        Err(Fault::Content)
    }
}
