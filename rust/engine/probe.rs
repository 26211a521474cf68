// SPDX-License-Identifier: GPL-2.0

//! Segments of this host's own in a connection of others: what asks an end where it is, and what
//! ends a connection for good.
//!
//! A reset counts only with the number that its receiver expects (RFC 5961), and packets leave no
//! numbers behind here. But whoever gets an acknowledgment that is out of place answers with one that
//! says where it is (RFC 9293, section 3.10.7.4). From that both ends can be told.

use core::net::{IpAddr, SocketAddr};

use super::csum::{self, Delta};
use super::family::{Address, Family, IpHeader, Tuple, V4, V6};
use super::wire::transport::TCP_MIN_LEN;
use super::wire::{Packet, TcpFlags, TCP};

/// Bytes of the timestamps option with its padding.
const TIMESTAMPS_LEN: usize = 12;

/// Longest of these packets, in bytes: of IPv6 with timestamps and one byte of data.
const MAX_LEN: usize = 40 + TCP_MIN_LEN + TIMESTAMPS_LEN + 1;

/// Hops that they may take.
const TTL: u8 = 64;

/// A packet of this host's own: its bytes, and how many of them are the IP header.
pub struct Own {
    bytes: [u8; MAX_LEN],
    len: usize,
    /// Bytes of the IP header.
    pub ip_len: usize,
}

impl Own {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// What asks the TCP of `to` where it is in its connection with `from`: an acknowledgment with the
/// random numbers of `noise`. With timestamps, since some drop segments without; where they are out of
/// place as well that is answered likewise. With a byte of data, since Linux takes what has none for a
/// late acknowledgment, and how often it answers such is limited. None if the two are not of one
/// family.
pub fn question(from: SocketAddr, to: SocketAddr, noise: u64) -> Option<Own> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => write::<V4>(from, to, noise),
        (IpAddr::V6(_), IpAddr::V6(_)) => write::<V6>(from, to, noise),
        _ => None,
    }
}

fn write<F: Family>(from: SocketAddr, to: SocketAddr, noise: u64) -> Option<Own> {
    type Of<F> = <<F as Family>::Tuple as Tuple>::Address;
    let ends = F::Tuple::between(
        (Of::<F>::of(from.ip())?, from.port()),
        (Of::<F>::of(to.ip())?, to.port()),
        TCP,
    );
    let mut rest = [0; TIMESTAMPS_LEN + 1];
    *rest.first_chunk_mut()? = [1, 1, 8, 10];
    *rest.get_mut(4..8)?.first_chunk_mut()? = ((noise >> 16) as u32).to_be_bytes();
    let numbers = ((noise >> 32) as u32, noise as u32);
    segment::<F>(&ends, numbers, TcpFlags::ACK, &rest)
}

/// The resets that the sender of the segment `packet` would send in its place. What the other end
/// expects is the segment's start if it is new, and its end if it comes again; what asks whether
/// anybody is there is one byte before. A reset that is out of place is of no account.
pub fn resets_from_sender<F: Family>(head: &[u8], packet: &Packet<F>) -> [Option<Own>; 2] {
    let numbers = || {
        let payload = packet.ip.total_len().checked_sub(packet.headers_len())?;
        let fin = usize::from(packet.segment.flags.has(TcpFlags::FIN));
        let start = word(head, packet, SEQUENCE)?;
        let length = payload.saturating_add(fin).max(1) as u32;
        Some([start, start.wrapping_add(length)])
    };
    let Some(numbers) = numbers() else {
        return [None, None];
    };
    numbers.map(|number| segment::<F>(&packet.tuple, (number, 0), TcpFlags::RST, &[]))
}

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;

fn word<F: Family>(head: &[u8], packet: &Packet<F>, at: usize) -> Option<u32> {
    let at = packet.ip.header_len().checked_add(at)?;
    Some(u32::from_be_bytes(*head.get(at..)?.first_chunk()?))
}

/// A segment with that sequence number and acknowledgment. Of `rest` whole words are options.
fn segment<F: Family>(
    ends: &F::Tuple,
    (sequence, acknowledgment): (u32, u32),
    flags: TcpFlags,
    rest: &[u8],
) -> Option<Own> {
    let ip_len = F::Ip::FIXED_LEN;
    let tcp_len = TCP_MIN_LEN.checked_add(rest.len())?;
    let mut own = Own {
        bytes: [0; MAX_LEN],
        len: ip_len.checked_add(tcp_len)?,
        ip_len,
    };
    let (ip, tcp) = own.bytes.get_mut(..own.len)?.split_at_mut_checked(ip_len)?;
    *ip.first_mut()? = if F::VERSION == 4 { 0x45 } else { 0x60 };
    F::Ip::set_addresses(ip, ends, Delta::NONE)?;
    F::Ip::set_ttl(ip, TTL)?;
    // Last, as it makes the checksum anew.
    F::Ip::strip(ip, TCP, tcp_len as u16)?;
    *tcp.get_mut(..4)?.first_chunk_mut()? = ends.ports().to_le_bytes();
    *tcp.get_mut(SEQUENCE..)?.first_chunk_mut()? = sequence.to_be_bytes();
    *tcp.get_mut(ACKNOWLEDGMENT..)?.first_chunk_mut()? = acknowledgment.to_be_bytes();
    let offset = ((tcp_len / 4) as u8) << 4;
    *tcp.get_mut(12..)?.first_chunk_mut()? = [offset, flags.0];
    if flags.has(TcpFlags::ACK) {
        *tcp.get_mut(14..)?.first_chunk_mut()? = 1024u16.to_be_bytes();
    }
    tcp.get_mut(TCP_MIN_LEN..)?.copy_from_slice(rest);
    let pseudo = u32::from_le_bytes([0, TCP, 0, tcp_len as u8]);
    let addresses = csum::sum(ip.get(F::Ip::ADDRESSES..)?);
    let pseudo = Delta::of_u16(0, addresses).and(Delta::of_u32(0, pseudo));
    let checksum = !pseudo.apply_to_sum(csum::sum(tcp));
    *tcp.get_mut(16..)?.first_chunk_mut()? = checksum.to_le_bytes();
    Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole<F: Family>(own: &Own, from: SocketAddr, to: SocketAddr) -> Packet<F> {
        let bytes = own.bytes();
        let packet = Packet::<F>::parse(bytes, bytes.len()).unwrap();
        assert_eq!(packet.tuple.source(), from);
        assert_eq!(packet.tuple.destination(), to);
        assert_eq!((packet.ip.total_len(), packet.ip.ttl()), (bytes.len(), TTL));
        let (ip, tcp) = bytes.split_at(own.ip_len);
        let length = tcp.len() as u8;
        let pseudo = [&ip[F::Ip::ADDRESSES..], &[0, TCP, 0, length], tcp].concat();
        assert_eq!(csum::of(&pseudo), 0);
        if F::VERSION == 4 {
            assert_eq!(csum::of(ip), 0);
        }
        packet
    }

    fn number<F: Family>(own: &Own, packet: &Packet<F>, at: usize) -> u32 {
        word(own.bytes(), packet, at).unwrap()
    }

    fn ask<F: Family>(from: &str, to: &str) {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        for noise in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let own = question(from, to, noise).unwrap();
            let packet = is_whole::<F>(&own, from, to);
            assert_eq!(packet.segment.flags, TcpFlags::ACK);
            assert_eq!(packet.segment.header_len, 32);
            assert_eq!(own.bytes().len() - packet.headers_len(), 1);
            assert_eq!(number(&own, &packet, SEQUENCE), (noise >> 32) as u32);
            // As one of its sender's that ends the connection.
            let resets = resets_from_sender::<F>(own.bytes(), &packet);
            for (reset, more) in resets.into_iter().zip([0, 1]) {
                let reset = reset.unwrap();
                let read = is_whole::<F>(&reset, from, to);
                assert_eq!(read.segment.flags, TcpFlags::RST);
                let wanted = ((noise >> 32) as u32).wrapping_add(more);
                assert_eq!(number(&reset, &read, SEQUENCE), wanted);
            }
        }
    }

    #[test]
    fn of_either_family() {
        ask::<V4>("192.0.2.1:80", "198.51.100.2:40000");
        ask::<V6>("[2001:db8::1]:80", "[2001:db8:100::2]:40000");
        let (v4, v6) = ("192.0.2.1:80", "[2001:db8::1]:80");
        assert!(question(v4.parse().unwrap(), v6.parse().unwrap(), 0).is_none());
    }
}
