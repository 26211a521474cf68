// SPDX-License-Identifier: GPL-2.0

//! Resets that answer segments (RFC 9293, section 3.10.7.1).

use super::csum::{self, Delta};
use super::family::{Family, IpHeader, Tuple};
use super::wire::transport::TCP_MIN_LEN;
use super::wire::{Packet, TcpFlags, TCP};

/// Longest reset, in bytes: of IPv6.
const MAX_LEN: usize = 40 + TCP_MIN_LEN;

/// Hops that a reset may take.
const TTL: u8 = 64;

/// Where things are in the TCP header.
const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;

/// The reset that answers a segment which acknowledges something: `head` is the linear part of its
/// packet. Returns the bytes and how many of them count.
pub fn answer<F: Family>(head: &[u8], packet: &Packet<F>) -> Option<([u8; MAX_LEN], usize)> {
    let fixed = F::Ip::FIXED_LEN;
    let mut reset = [0; MAX_LEN];
    let end = fixed.checked_add(TCP_MIN_LEN)?;
    let (ip, tcp) = reset.get_mut(..end)?.split_at_mut_checked(fixed)?;
    let to = packet.tuple.reversed();
    ip.copy_from_slice(head.get(..fixed)?);
    F::Ip::set_ttl(ip, TTL)?;
    // The sum over both addresses is the same either way.
    F::Ip::set_addresses(ip, &to, Delta::NONE)?;
    F::Ip::strip(ip, TCP, TCP_MIN_LEN as u16)?;
    let acknowledged = packet.ip.header_len().checked_add(ACKNOWLEDGMENT)?;
    let number = head.get(acknowledged..)?.first_chunk::<4>()?;
    let tcp: &mut [u8; TCP_MIN_LEN] = tcp.first_chunk_mut()?;
    let offset = ((TCP_MIN_LEN / 4) as u8) << 4;
    *tcp.get_mut(..4)?.first_chunk_mut()? = to.ports().to_le_bytes();
    *tcp.get_mut(4..8)?.first_chunk_mut()? = *number;
    *tcp.get_mut(DATA_OFFSET..)?.first_chunk_mut()? = [offset, TcpFlags::RST.0];
    let pseudo = u32::from_le_bytes([0, TCP, 0, TCP_MIN_LEN as u8]);
    let addresses = csum::sum(ip.get(F::Ip::ADDRESSES..)?);
    let pseudo = Delta::of_u16(0, addresses).and(Delta::of_u32(0, pseudo));
    let checksum = !pseudo.apply_to_sum(csum::sum(tcp));
    let [.., c0, c1, _, _] = tcp;
    [*c0, *c1] = checksum.to_le_bytes();
    Some((reset, end))
}

#[cfg(test)]
mod tests {
    use super::super::family::{V4, V6};
    use super::*;

    fn segment() -> [u8; 20] {
        [
            0x1f, 0x90, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
        ]
    }

    #[test]
    fn of_ipv4() {
        let mut head = vec![0x45, 0, 0, 40, 0, 7, 0x40, 0, 1, TCP, 0, 0];
        head.extend([192, 0, 2, 1, 192, 0, 2, 9]);
        head.extend(segment());
        let packet = Packet::<V4>::parse(&head, head.len()).unwrap();
        let (reset, len) = answer(&head, &packet).unwrap();
        let reset = &reset[..len];
        let read = Packet::<V4>::parse(reset, len).unwrap();
        assert_eq!(read.tuple, packet.tuple.reversed());
        assert_eq!((read.ip.ttl(), read.segment.flags), (64, TcpFlags::RST));
        assert_eq!(reset[24..28], [5, 6, 7, 8]);
        assert_eq!(csum::of(&reset[..20]), 0);
        let pseudo = [&reset[12..20], &[0, TCP, 0, 20], &reset[20..]].concat();
        assert_eq!(csum::of(&pseudo), 0);
        for cut in 0..head.len() {
            let _ = answer(&head[..cut], &packet);
        }
    }

    #[test]
    fn of_ipv6() {
        let mut head = vec![0x60, 0, 0, 0, 0, 20, TCP, 1];
        head.extend((0..32).map(|n| n + 1));
        head.extend(segment());
        let packet = Packet::<V6>::parse(&head, head.len()).unwrap();
        let (reset, len) = answer(&head, &packet).unwrap();
        let reset = &reset[..len];
        let read = Packet::<V6>::parse(reset, len).unwrap();
        assert_eq!(read.tuple, packet.tuple.reversed());
        let pseudo = [&reset[8..40], &[0, 0, 0, 20, 0, 0, 0, TCP], &reset[40..]].concat();
        assert_eq!(csum::of(&pseudo), 0);
    }
}
