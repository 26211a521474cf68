// SPDX-License-Identifier: GPL-2.0

//! Segments on the wire.

use std::net::SocketAddr;
use std::sync::LazyLock;

use rvs_engine::csum::{self, Delta};
use rvs_engine::toa::{find, is_of_tcp, Kinds};
use rvs_engine::wire::TCP;

/// Bytes of an IP header, and of what is in front of TCP's options.
pub const IP: usize = 20;
pub const HEADS: usize = IP + 20;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// An IPv4 packet of TCP.
#[derive(Clone)]
pub struct Packet(pub Vec<u8>);

impl Packet {
    pub fn new(
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
        options: &[u8],
        payload: usize,
    ) -> Self {
        let header_len = 20 + options.len();
        let total = (IP + header_len + payload) as u16;
        let mut bytes = vec![0x45, 0];
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 7, 0x40, 0, 60, TCP, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9]);
        bytes.extend([0x13, 0x88, 0, 80]);
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(acknowledgment.to_be_bytes());
        bytes.extend([(header_len as u8 / 4) << 4, flags, 1, 0, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes.resize(total.into(), b'x');
        let sum = csum::of(&bytes[..IP]).to_le_bytes();
        bytes[10..12].copy_from_slice(&sum);
        let mut packet = Self(bytes);
        let sum = packet.checksum().to_le_bytes();
        packet.0[36..38].copy_from_slice(&sum);
        packet
    }

    /// Over segment and pseudo header: 0 when it is right.
    pub fn checksum(&self) -> u16 {
        let mut bytes = self.0[12..IP].to_vec();
        bytes.extend([0, TCP]);
        bytes.extend((self.0.len() as u16 - IP as u16).to_be_bytes());
        bytes.extend(&self.0[IP..]);
        csum::of(&bytes)
    }

    pub fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.0[IP + at..][..4].try_into().unwrap())
    }

    pub fn sequence(&self) -> u32 {
        self.word(4)
    }

    pub fn acknowledgment(&self) -> u32 {
        self.word(8)
    }

    pub fn has(&self, flags: u8) -> bool {
        self.0[IP + 13] & flags != 0
    }

    pub fn header_len(&self) -> usize {
        usize::from(self.0[IP + 12] >> 4) * 4
    }

    pub fn header(&self) -> &[u8] {
        &self.0[IP..IP + self.header_len()]
    }

    pub fn header_mut(&mut self) -> &mut [u8] {
        let end = IP + self.header_len();
        &mut self.0[IP..end]
    }

    pub fn payload(&self) -> u32 {
        (self.0.len() - IP - self.header_len()) as u32
    }

    pub fn mend(&mut self, delta: Delta) {
        let sum = u16::from_le_bytes([self.0[36], self.0[37]]);
        self.0[36..38].copy_from_slice(&delta.apply(sum).to_le_bytes());
    }

    /// Whom a receiver takes it for that believes options of any kind.
    pub fn says(&self) -> Option<SocketAddr> {
        static ANY: LazyLock<Kinds> = LazyLock::new(|| {
            let mut kinds = Kinds::NONE;
            for kind in (0..=255).filter(|kind| !is_of_tcp(*kind)) {
                kinds.insert(kind);
            }
            kinds
        });
        find(&self.0[HEADS..IP + self.header_len()], &ANY).unwrap_or(None)
    }
}
