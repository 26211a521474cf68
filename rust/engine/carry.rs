// SPDX-License-Identifier: GPL-2.0

//! Carrying the client's address to the real server in a TCP option (TOA).
//!
//! The option is kind, length 8, and the client's port and address as they stand in its packets.
//! It goes right behind the fixed header, so that no end of options comes before it. Every segment
//! of the client has it until the client acknowledges the first payload of the real server: the
//! handshake's last segment alone may get lost, or be ignored (`TCP_DEFER_ACCEPT`).

use super::csum::{self, Delta};
use super::tuple::TupleV4;
use super::wire::options::{TcpOptions, MSS, TIMESTAMPS, TIMESTAMPS_LEN};
use super::wire::transport::TCP_MIN_LEN;
use super::wire::{TcpFlags, TCP};

/// Length of the option, in bytes.
pub const LEN: usize = 8;

/// Longest TCP header, in bytes.
const TCP_MAX_LEN: usize = 60;

/// Length of an IPv4 header without options, in bytes.
const IP_LEN: usize = 20;

/// Kinds that receivers are known to take for an address: of Alibaba's LVS (200; 253 for IPv6),
/// UCloud (252), DPVS and Huawei (254).
const KNOWN_KINDS: [u8; 4] = [200, 252, 253, 254];

/// Kind of Fast Open (RFC 7413).
const FAST_OPEN: u8 = 34;

/// Least MSS that an answer is lowered to, as the kernel's `TCP_MIN_SND_MSS` with room for options.
const MSS_MIN: u16 = 88;

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;

/// The option that tells where packets of `tuple` come from. `kind` is what the receiver listens to.
pub fn option(kind: u8, tuple: &TupleV4) -> [u8; LEN] {
    let [p0, p1] = tuple.sport().to_be_bytes();
    let [a, b, c, d] = tuple.src().octets();
    [kind, LEN as u8, p0, p1, a, b, c, d]
}

/// Whether a TCP header of that length has room for the option.
pub const fn has_room(header_len: usize) -> bool {
    header_len <= TCP_MAX_LEN - LEN
}

/// Whether a segment, given by its whole header, opens a connection with data that a Fast Open
/// cookie vouches for: the real server makes a socket of it at once.
pub fn opens_at_once(header: &[u8]) -> bool {
    TcpOptions::of(header).any(|option| option.kind == FAST_OPEN && option.len > 2)
}

/// What a client expects next from the real server that has sent `header`.
pub fn expected_next(header: &[u8]) -> Option<u32> {
    Some(word(header, SEQUENCE)?.wrapping_add(1))
}

/// Whether a client's segment acknowledges more than `expected`.
pub fn acknowledges_more(header: &[u8], expected: u32) -> bool {
    let more = word(header, ACKNOWLEDGMENT).map(|number| number.wrapping_sub(expected));
    more.is_some_and(|more| more as i32 > 0)
}

/// Makes every option of a client's `header` that a receiver could take for a director's into
/// padding. Returns what that adds to the checksum.
pub fn blank(header: &mut [u8], kind: u8) -> Option<Delta> {
    let mut delta = Delta::NONE;
    loop {
        let foreign = TcpOptions::of(header)
            .find(|option| option.kind == kind || KNOWN_KINDS.contains(&option.kind));
        let Some(foreign) = foreign else {
            return Some(delta);
        };
        let end = foreign.offset.checked_add(foreign.len)?;
        let before = csum::sum(header);
        header.get_mut(foreign.offset..end)?.fill(1);
        delta = delta.and(Delta::of_u16(before, csum::sum(header)));
    }
}

/// Takes the option's length off the MSS of a real server's SYN, so that segments with the option
/// fit. Returns what that adds to the checksum.
pub fn lower_mss(header: &mut [u8]) -> Option<Delta> {
    let Some(mss) = TcpOptions::of(header).find(|option| option.kind == MSS && option.len == 4)
    else {
        return Some(Delta::NONE);
    };
    let before = csum::sum(header);
    let value = mss.offset.checked_add(2)?;
    let field = header.get_mut(value..)?.first_chunk_mut::<2>()?;
    let old = u16::from_be_bytes(*field);
    if old > MSS_MIN {
        *field = old.saturating_sub(LEN as u16).max(MSS_MIN).to_be_bytes();
    }
    Some(Delta::of_u16(before, csum::sum(header)))
}

/// Fills the gap of [`LEN`] bytes that is behind the fixed TCP header of `head`, the linear part of
/// a packet from its IP header on, with the option, and mends lengths and checksums.
/// `is_partial`: the checksum field holds the pseudo header's sum only.
pub fn fill(
    head: &mut [u8],
    ip_header_len: usize,
    option: [u8; LEN],
    is_partial: bool,
) -> Option<()> {
    let (ip, tcp) = head.split_at_mut_checked(ip_header_len)?;
    let longer = Delta::of_u16(0, u16::from_le_bytes((LEN as u16).to_be_bytes()));
    let total = ip.get_mut(2..)?.first_chunk_mut::<2>()?;
    // 0 is a packet of more than 64 KiB on its way through the host (BIG TCP).
    if *total != [0, 0] {
        let old = *total;
        let len = u16::from_be_bytes(old).checked_add(LEN as u16);
        *total = len.unwrap_or(0).to_be_bytes();
        let delta = Delta::of_u16(u16::from_le_bytes(old), u16::from_le_bytes(*total));
        let checksum = ip.get_mut(10..)?.first_chunk_mut::<2>()?;
        *checksum = delta.apply(u16::from_le_bytes(*checksum)).to_le_bytes();
    }
    let gap = tcp.get_mut(TCP_MIN_LEN..)?.first_chunk_mut::<LEN>()?;
    *gap = option;
    let offset = tcp.get_mut(DATA_OFFSET)?;
    let old = *offset;
    *offset = offset.checked_add(((LEN / 4) as u8) << 4)?;
    let offsets = Delta::of_u16(u16::from(old), u16::from(*offset));
    let checksum = tcp.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    let sum = u16::from_le_bytes(*checksum);
    let sum = if is_partial {
        longer.apply_to_sum(sum)
    } else {
        let contents = Delta::of_u64(0, u64::from_le_bytes(option));
        longer.and(offsets).and(contents).apply(sum)
    };
    *checksum = sum.to_le_bytes();
    Some(())
}

/// A packet of its own for the option, to go ahead of one that has no room for it: an
/// acknowledgment with that packet's numbers and timestamps, without its payload.
///
/// `head` is the linear part of that packet from its IP header on. Returns the bytes and how many
/// of them count.
pub fn bare_ack(
    head: &[u8],
    ip_header_len: usize,
    option: [u8; LEN],
) -> Option<([u8; IP_LEN + TCP_MIN_LEN + LEN + 12], usize)> {
    let mut packet = [0; IP_LEN + TCP_MIN_LEN + LEN + 12];
    let (ip, tcp) = head.split_at_checked(ip_header_len)?;
    let header_len = usize::from(tcp.get(DATA_OFFSET)? >> 4) << 2;
    let tcp = tcp.get(..header_len)?;
    let mut len = IP_LEN + TCP_MIN_LEN + LEN;
    if let Some(stamps) =
        TcpOptions::of(tcp).find(|option| option.kind == TIMESTAMPS && option.len == TIMESTAMPS_LEN)
    {
        let from = tcp.get(stamps.offset..)?.first_chunk::<TIMESTAMPS_LEN>()?;
        packet.get_mut(len..len + 2)?.fill(1);
        packet.get_mut(len + 2..)?.copy_from_slice(from);
        len += 12;
    }
    let (new_ip, new_tcp) = packet.split_at_mut_checked(IP_LEN)?;
    new_ip.copy_from_slice(ip.get(..IP_LEN)?);
    *new_ip.first_mut()? = 0x45;
    *new_ip.get_mut(2..)?.first_chunk_mut()? = (len as u16).to_be_bytes();
    // No id, not to be fragmented, no checksum yet.
    *new_ip.get_mut(4..)?.first_chunk_mut()? = [0, 0, 0x40, 0];
    *new_ip.get_mut(10..)?.first_chunk_mut()? = [0; 2];
    let checksum = csum::of(new_ip).to_le_bytes();
    *new_ip.get_mut(10..)?.first_chunk_mut()? = checksum;

    new_tcp
        .get_mut(..TCP_MIN_LEN)?
        .copy_from_slice(tcp.get(..TCP_MIN_LEN)?);
    *new_tcp.get_mut(TCP_MIN_LEN..)?.first_chunk_mut()? = option;
    let segment_len = len - IP_LEN;
    *new_tcp.get_mut(DATA_OFFSET)? = ((segment_len / 4) as u8) << 4;
    *new_tcp.get_mut(FLAGS)? = TcpFlags::ACK.0;
    // Checksum and urgent pointer.
    *new_tcp.get_mut(CHECKSUM..)?.first_chunk_mut()? = [0; 4];
    let addresses = new_ip.get(12..)?.first_chunk::<8>()?;
    let [l0, l1] = (segment_len as u16).to_be_bytes();
    let pseudo = Delta::of_u64(0, u64::from_le_bytes(*addresses))
        .and(Delta::of_u32(0, u32::from_le_bytes([0, TCP, l0, l1])));
    let sum = csum::sum(new_tcp.get(..segment_len)?);
    let checksum = (!pseudo.apply_to_sum(sum)).to_le_bytes();
    *new_tcp.get_mut(CHECKSUM..)?.first_chunk_mut()? = checksum;
    Some((packet, len))
}

/// The number at `offset`, network order in memory.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        *bytes.get(offset..)?.first_chunk::<4>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTION: [u8; LEN] = [254, 8, 0x9c, 0x40, 198, 51, 100, 7];

    /// An IPv4 TCP packet with right checksums.
    fn packet(options: &[u8], payload: &[u8]) -> Vec<u8> {
        let len = (40 + options.len() + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(len.to_be_bytes());
        packet.extend([0, 7, 0x40, 0, 60, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9]);
        packet.extend([0x13, 0x88, 0, 80, 0, 0, 0, 5, 0, 0, 0, 9]);
        packet.extend([(5 + options.len() as u8 / 4) << 4, 0x18, 1, 0, 0, 0, 0, 0]);
        packet.extend(options);
        packet.extend(payload);
        let sum = csum::of(&packet[..20]).to_le_bytes();
        packet[10..12].copy_from_slice(&sum);
        let sum = tcp_checksum(&packet).to_le_bytes();
        packet[36..38].copy_from_slice(&sum);
        packet
    }

    /// The checksum over a packet's segment and pseudo header; 0 when the right one is in it.
    fn tcp_checksum(packet: &[u8]) -> u16 {
        let mut bytes = packet[12..20].to_vec();
        bytes.extend([0, 6]);
        bytes.extend((packet.len() as u16 - 20).to_be_bytes());
        bytes.extend(&packet[20..]);
        csum::of(&bytes)
    }

    fn assert_sound(packet: &[u8]) {
        assert_eq!(csum::of(&packet[..20]), 0, "{packet:02x?}");
        assert_eq!(tcp_checksum(packet), 0, "{packet:02x?}");
        assert_eq!(packet[2..4], (packet.len() as u16).to_be_bytes());
    }

    #[test]
    fn a_filled_gap_is_as_if_it_had_been_sent_so() {
        for payload in [&b"GET / HTTP/1.0"[..], b"", b"odd"] {
            for options in [&[][..], &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]] {
                let mut whole = packet(options, payload);
                whole.splice(40..40, [0xaa; LEN]);
                fill(&mut whole, 20, OPTION, false).unwrap();
                assert_sound(&whole);
                let expected = packet(&[&OPTION[..], options].concat(), payload);
                assert_eq!(whole, expected);
            }
        }
    }

    #[test]
    fn a_sum_that_a_device_completes_counts_the_length() {
        let mut whole = packet(&[], b"abc");
        let pseudo = |len: u16| {
            let mut bytes = whole[12..20].to_vec();
            bytes.extend([0, 6]);
            bytes.extend(len.to_be_bytes());
            csum::sum(&bytes).to_le_bytes()
        };
        let (before, after) = (pseudo(23), pseudo(31));
        whole[36..38].copy_from_slice(&before);
        whole.splice(40..40, [0; LEN]);
        fill(&mut whole, 20, OPTION, true).unwrap();
        assert_eq!(whole[36..38], after);
    }

    #[test]
    fn an_acknowledgment_goes_ahead() {
        let stamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let mut full = stamps.to_vec();
        full.extend([1, 1, 5, 26]);
        full.extend([7; 24]);
        for (options, expected) in [
            (&full[..], [&OPTION[..], &stamps].concat()),
            (&[], OPTION.to_vec()),
        ] {
            let first = packet(options, b"payload");
            let (bytes, len) = bare_ack(&first, 20, OPTION).unwrap();
            let ack = &bytes[..len];
            assert_sound(ack);
            assert_eq!(ack[40..], expected[..]);
            assert_eq!(ack[20..32], first[20..32]);
            assert_eq!((ack[33], &ack[34..36]), (0x10, &first[34..36]));
        }
        assert!(has_room(52) && !has_room(53) && !has_room(60));
    }

    #[test]
    fn what_a_client_claims_is_padding() {
        for kind in [200, 252, 253, 254, 99] {
            let claim = [1, kind, 8, 1, 2, 3, 4, 5, 6, 1, 4, 2];
            let mut whole = packet(&claim, b"");
            let delta = blank(&mut whole[20..], 99).unwrap();
            let sum = u16::from_le_bytes([whole[36], whole[37]]);
            whole[36..38].copy_from_slice(&delta.apply(sum).to_le_bytes());
            assert_sound(&whole);
            assert_eq!(whole[40..], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2]);
        }
    }

    #[test]
    fn the_mss_makes_room() {
        for (mss, lowered) in [(1460u16, 1452), (88, 88), (90, 88), (60, 60)] {
            let [m0, m1] = mss.to_be_bytes();
            let mut whole = packet(&[2, 4, m0, m1, 1, 3, 3, 7], b"");
            let delta = lower_mss(&mut whole[20..]).unwrap();
            let sum = u16::from_le_bytes([whole[36], whole[37]]);
            whole[36..38].copy_from_slice(&delta.apply(sum).to_le_bytes());
            assert_sound(&whole);
            assert_eq!(whole[42..44], u16::to_be_bytes(lowered));
        }
    }

    #[test]
    fn when_it_starts_and_ends() {
        let whole = packet(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1], b"");
        assert!(opens_at_once(&whole[20..]));
        assert!(!opens_at_once(&packet(&[34, 2, 1, 1], b"")[20..]));
        assert_eq!(expected_next(&whole[20..]), Some(6));
        assert!(acknowledges_more(&whole[20..], 8));
        assert!(!acknowledges_more(&whole[20..], 9));
        assert!(acknowledges_more(&whole[20..], u32::MAX - 5));
    }

    #[test]
    fn the_option_is_the_clients_socket() {
        let (from, to) = ("198.51.100.7:40000", "203.0.113.10:443");
        let tuple = TupleV4::new(from.parse().unwrap(), to.parse().unwrap(), TCP);
        assert_eq!(option(254, &tuple), OPTION);
    }
}
