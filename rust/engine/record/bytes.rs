// SPDX-License-Identifier: GPL-2.0

//! The parts that records are made of.

use core::net::{IpAddr, SocketAddr};

use super::super::spec::{DestId, Mode, Protocol, ServiceId};
use super::fault::Fault;

/// Bytes of a record at most: of a call's template with the longest Call-ID, and a few to spare.
pub const MAX: usize = 328;

/// What names a service begins with one of these.
const VIRTUAL: u8 = 0;
const MARKED: u8 = 1;
const MARKED_V6: u8 = 2;

/// Puts parts behind each other.
pub(super) struct Writer<'a> {
    buffer: &'a mut [u8; MAX],
    /// Bytes that were put, also where they had no room.
    len: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(buffer: &'a mut [u8; MAX]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Bytes that were put; none where there was no room for them.
    pub(super) fn len(&self) -> Option<usize> {
        (self.len <= MAX).then_some(self.len)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    pub(super) fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    pub(super) fn long(&mut self, long: u64) {
        self.bytes(&long.to_be_bytes());
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                self.byte(4);
                self.bytes(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.byte(6);
                self.bytes(&v6.octets());
            }
        }
    }

    pub(super) fn end(&mut self, end: SocketAddr) {
        self.address(end.ip());
        self.bytes(&end.port().to_be_bytes());
    }

    pub(super) fn dest(&mut self, id: DestId) {
        self.end(SocketAddr::new(id.address, id.port));
    }

    pub(super) fn service(&mut self, id: ServiceId) {
        match id {
            ServiceId::Virtual {
                protocol,
                address,
                port,
            } => {
                self.bytes(&[VIRTUAL, protocol.number()]);
                self.end(SocketAddr::new(address, port));
            }
            ServiceId::Marked { mark, ipv6 } => {
                self.byte(if ipv6 { MARKED_V6 } else { MARKED });
                self.word(mark);
            }
        }
    }
}

/// Takes parts from the start of what is left.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn some(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (first, rest) = self.0.split_at_checked(len).ok_or(Fault::Length)?;
        self.0 = rest;
        Ok(first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Fault::Length)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn word(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(super) fn address(&mut self) -> Result<IpAddr, Fault> {
        match self.byte()? {
            4 => Ok(self.array::<4>()?.into()),
            6 => Ok(self.array::<16>()?.into()),
            _ => Err(Fault::Content),
        }
    }

    pub(super) fn end(&mut self) -> Result<SocketAddr, Fault> {
        let address = self.address()?;
        let port = u16::from_be_bytes(self.array()?);
        Ok(SocketAddr::new(address, port))
    }

    pub(super) fn dest(&mut self) -> Result<DestId, Fault> {
        let end = self.end()?;
        Ok(DestId {
            address: end.ip(),
            port: end.port(),
        })
    }

    pub(super) fn protocol(&mut self) -> Result<Protocol, Fault> {
        Protocol::from_number(self.byte()?).ok_or(Fault::Content)
    }

    pub(super) fn mode(&mut self) -> Result<Mode, Fault> {
        Mode::from_number(self.byte()?.into()).ok_or(Fault::Content)
    }

    pub(super) fn service(&mut self) -> Result<ServiceId, Fault> {
        let id = match self.byte()? {
            VIRTUAL => {
                let protocol = self.protocol()?;
                let end = self.end()?;
                ServiceId::Virtual {
                    protocol,
                    address: end.ip(),
                    port: end.port(),
                }
            }
            kind @ (MARKED | MARKED_V6) => ServiceId::Marked {
                mark: self.word()?,
                ipv6: kind == MARKED_V6,
            },
            _ => return Err(Fault::Content),
        };
        id.validate().map_err(|_| Fault::Content)?;
        Ok(id)
    }
}
