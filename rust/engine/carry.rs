// SPDX-License-Identifier: GPL-2.0

//! Carrying the client's address to the real server in a TCP option (TOA).
//!
//! The option is kind, length, and the client's port and address as they stand in its packets.
//! It goes right behind the fixed header, so that no end of options comes before it. Every segment
//! of the client has it until the client acknowledges the first payload of the real server: the
//! handshake's last segment alone may get lost, or be ignored (`TCP_DEFER_ACCEPT`).

use core::net::{IpAddr, SocketAddr};

use super::csum::{self, Delta};
use super::family::{IpHeader, Tuple};
use super::toa::{V4_LEN, V6_LEN};
use super::wire::options::{TcpOptions, MSS, TIMESTAMPS, TIMESTAMPS_LEN};
use super::wire::transport::TCP_MIN_LEN;
use super::wire::{TcpFlags, TCP};

/// Longest TCP header, in bytes.
const TCP_MAX_LEN: usize = 60;

/// Longest IP header without options, in bytes.
const IP_MAX_LEN: usize = 40;

/// Bytes that timestamps take with padding.
const STAMPS_LEN: usize = TIMESTAMPS_LEN + 2;

/// Longest [`bare_ack`], in bytes.
const ACK_MAX_LEN: usize = IP_MAX_LEN + TCP_MIN_LEN + V6_LEN + STAMPS_LEN;

/// Kinds that receivers are known to take for an address: of Alibaba's LVS (200; 253 for IPv6),
/// UCloud (252), DPVS and Huawei (254).
const KNOWN_KINDS: [u8; 4] = [200, 252, 253, 254];

/// Kind of Fast Open (RFC 7413).
const FAST_OPEN: u8 = 34;

/// Least MSS that an IPv4 client's answer is lowered to, as the kernel's `TCP_MIN_SND_MSS` with
/// room for options.
const MSS_MIN_V4: u16 = 88;

/// Least MSS that an IPv6 client's answer is lowered to: what the least MTU has room for.
const MSS_MIN_V6: u16 = 1220;

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const CHECKSUM: usize = 16;

/// The option that tells where a client's packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    bytes: [u8; V6_LEN],
    len: usize,
}

impl Told {
    /// For packets of `tuple`. `kind` is what the receiver listens to.
    pub fn new<T: Tuple>(kind: u8, tuple: &T) -> Self {
        Self::of(kind, tuple.source())
    }

    fn of(kind: u8, client: SocketAddr) -> Self {
        let [p0, p1] = client.port().to_be_bytes();
        let mut bytes = [0; V6_LEN];
        let [k, l, b0, b1, address @ ..] = &mut bytes;
        let len = match client.ip() {
            IpAddr::V4(v4) => {
                let [a0, a1, a2, a3, ..] = address;
                [*a0, *a1, *a2, *a3] = v4.octets();
                V4_LEN
            }
            IpAddr::V6(v6) => {
                *address = v6.octets();
                V6_LEN
            }
        };
        (*k, *l, *b0, *b1) = (kind, len as u8, p0, p1);
        Self { bytes, len }
    }

    /// Its length, in bytes: a multiple of four.
    pub const fn size(&self) -> usize {
        self.len
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether a TCP header of that length has room for it.
    pub const fn has_room(&self, header_len: usize) -> bool {
        header_len <= TCP_MAX_LEN.saturating_sub(self.len)
    }
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

/// Whether a receiver could take an option for a director's, whose kind is `kind`.
pub fn claims(option_kind: u8, kind: u8) -> bool {
    option_kind == kind || KNOWN_KINDS.contains(&option_kind)
}

/// Makes every option of a client's `header` that a receiver could take for a director's into
/// padding. Returns what that adds to the checksum.
pub fn blank(header: &mut [u8], kind: u8) -> Option<Delta> {
    let mut delta = Delta::NONE;
    loop {
        let foreign = TcpOptions::of(header).find(|option| claims(option.kind, kind));
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
/// fit. The option's length and the least MSS are those of the client's family, whose IP version
/// is `version`. Returns what that adds to the checksum.
pub fn lower_mss(header: &mut [u8], version: u8) -> Option<Delta> {
    let (len, least) = match version {
        4 => (V4_LEN, MSS_MIN_V4),
        _ => (V6_LEN, MSS_MIN_V6),
    };
    let Some(mss) = TcpOptions::of(header).find(|option| option.kind == MSS && option.len == 4)
    else {
        return Some(Delta::NONE);
    };
    let before = csum::sum(header);
    let value = mss.offset.checked_add(2)?;
    let field = header.get_mut(value..)?.first_chunk_mut::<2>()?;
    let old = u16::from_be_bytes(*field);
    if old > least {
        *field = old.saturating_sub(len as u16).max(least).to_be_bytes();
    }
    Some(Delta::of_u16(before, csum::sum(header)))
}

/// Fills the gap of the option's length that is behind the fixed TCP header of `head`, the linear
/// part of a packet from its IP header on, with the option, and mends lengths and checksums.
/// `is_partial`: the checksum field holds the pseudo header's sum only.
pub fn fill<I: IpHeader>(
    head: &mut [u8],
    ip_header_len: usize,
    option: &Told,
    is_partial: bool,
) -> Option<()> {
    let (ip, tcp) = head.split_at_mut_checked(ip_header_len)?;
    let len = option.len as u16;
    I::lengthen(ip, len)?;
    let end = TCP_MIN_LEN.checked_add(option.len)?;
    tcp.get_mut(TCP_MIN_LEN..end)?
        .copy_from_slice(option.bytes());
    let offset = tcp.get_mut(DATA_OFFSET)?;
    let old = *offset;
    *offset = offset.checked_add(((option.len / 4) as u8) << 4)?;
    let offsets = Delta::of_u16(u16::from(old), u16::from(*offset));
    let longer = Delta::of_u16(0, u16::from_le_bytes(len.to_be_bytes()));
    let checksum = tcp.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    let sum = u16::from_le_bytes(*checksum);
    let sum = if is_partial {
        longer.apply_to_sum(sum)
    } else {
        let contents = Delta::of_u16(0, csum::sum(option.bytes()));
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
pub fn bare_ack<I: IpHeader>(
    head: &[u8],
    ip_header_len: usize,
    option: &Told,
) -> Option<([u8; ACK_MAX_LEN], usize)> {
    let mut packet = [0; ACK_MAX_LEN];
    let (ip, tcp) = head.split_at_checked(ip_header_len)?;
    let header_len = usize::from(tcp.get(DATA_OFFSET)? >> 4) << 2;
    let tcp = tcp.get(..header_len)?;
    let (new_ip, new_tcp) = packet.split_at_mut_checked(I::FIXED_LEN)?;
    new_tcp
        .get_mut(..TCP_MIN_LEN)?
        .copy_from_slice(tcp.get(..TCP_MIN_LEN)?);
    let mut len = TCP_MIN_LEN.checked_add(option.len)?;
    new_tcp
        .get_mut(TCP_MIN_LEN..len)?
        .copy_from_slice(option.bytes());
    if let Some(stamps) =
        TcpOptions::of(tcp).find(|option| option.kind == TIMESTAMPS && option.len == TIMESTAMPS_LEN)
    {
        let from = tcp.get(stamps.offset..)?.first_chunk::<TIMESTAMPS_LEN>()?;
        let to = new_tcp.get_mut(len..)?.first_chunk_mut::<STAMPS_LEN>()?;
        let [n0, n1, stamps @ ..] = to;
        (*n0, *n1, *stamps) = (1, 1, *from);
        len = len.checked_add(STAMPS_LEN)?;
    }
    let segment_len = u16::try_from(len).ok()?;
    *new_tcp.get_mut(DATA_OFFSET)? = ((len / 4) as u8) << 4;
    *new_tcp.get_mut(FLAGS)? = TcpFlags::ACK.0;
    // Checksum and urgent pointer.
    *new_tcp.get_mut(CHECKSUM..)?.first_chunk_mut()? = [0; 4];
    new_ip.copy_from_slice(ip.get(..I::FIXED_LEN)?);
    I::strip(new_ip, TCP, segment_len)?;
    let addresses = csum::sum(new_ip.get(I::ADDRESSES..)?);
    let [l0, l1] = segment_len.to_be_bytes();
    let pseudo =
        Delta::of_u16(0, addresses).and(Delta::of_u32(0, u32::from_le_bytes([0, TCP, l0, l1])));
    let sum = csum::sum(new_tcp.get(..len)?);
    let checksum = (!pseudo.apply_to_sum(sum)).to_le_bytes();
    *new_tcp.get_mut(CHECKSUM..)?.first_chunk_mut()? = checksum;
    Some((packet, I::FIXED_LEN.checked_add(len)?))
}

/// The number at `offset`, network order in memory.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        *bytes.get(offset..)?.first_chunk::<4>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tuple::{TupleV4, TupleV6};
    use super::super::wire::{Ipv4, Ipv6};
    use super::*;

    const OPTION: [u8; V4_LEN] = [254, 8, 0x9c, 0x40, 198, 51, 100, 7];

    fn told() -> Told {
        Told::of(254, "198.51.100.7:40000".parse().unwrap())
    }

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
                whole.splice(40..40, [0xaa; V4_LEN]);
                fill::<Ipv4>(&mut whole, 20, &told(), false).unwrap();
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
        whole.splice(40..40, [0; V4_LEN]);
        fill::<Ipv4>(&mut whole, 20, &told(), true).unwrap();
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
            let (bytes, len) = bare_ack::<Ipv4>(&first, 20, &told()).unwrap();
            let ack = &bytes[..len];
            assert_sound(ack);
            assert_eq!(ack[40..], expected[..]);
            assert_eq!(ack[20..32], first[20..32]);
            assert_eq!((ack[33], &ack[34..36]), (0x10, &first[34..36]));
        }
        let has_room = |len| told().has_room(len);
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
            let delta = lower_mss(&mut whole[20..], 4).unwrap();
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
        assert_eq!(Told::new(254, &tuple).bytes(), OPTION);
        let (from, to) = ("[2001:db8::7]:40000", "[2001:db8::10]:443");
        let tuple = TupleV6::new(from.parse().unwrap(), to.parse().unwrap(), TCP);
        let told = Told::new(254, &tuple);
        let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(
            told.bytes(),
            [&[254, 20, 0x9c, 0x40][..], &address].concat()
        );
        assert!(told.has_room(40) && !told.has_room(44));
    }

    /// An IPv6 TCP packet with right checksums.
    fn packet_v6(options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((20 + options.len() as u16 + payload.len() as u16).to_be_bytes());
        packet.extend([6, 60]);
        packet.extend(1..=32);
        packet.extend(&self::packet(options, payload)[20..]);
        packet[56..58].fill(0);
        let sum = tcp_checksum_v6(&packet).to_le_bytes();
        packet[56..58].copy_from_slice(&sum);
        packet
    }

    fn tcp_checksum_v6(packet: &[u8]) -> u16 {
        let mut bytes = packet[8..40].to_vec();
        bytes.extend([0, 6]);
        bytes.extend(&packet[4..6]);
        bytes.extend(&packet[40..]);
        csum::of(&bytes)
    }

    #[test]
    fn ipv6_carries_more() {
        let told = Told::of(254, "[2001:db8::7]:40000".parse().unwrap());
        let first = packet_v6(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], b"odd");
        let mut whole = first.clone();
        whole.splice(60..60, [0xaa; V6_LEN]);
        fill::<Ipv6>(&mut whole, 40, &told, false).unwrap();
        let options = [told.bytes(), &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]].concat();
        assert_eq!(whole, packet_v6(&options, b"odd"));
        assert_eq!(tcp_checksum_v6(&whole), 0);

        let (bytes, len) = bare_ack::<Ipv6>(&first, 40, &told).unwrap();
        let mut expected = packet_v6(&options, b"");
        expected[53] = 0x10;
        expected[56..58].fill(0);
        let sum = tcp_checksum_v6(&expected).to_le_bytes();
        expected[56..58].copy_from_slice(&sum);
        assert_eq!(bytes[..len], expected);

        let mut whole = packet_v6(&[2, 4, 5, 0xa0], b"");
        lower_mss(&mut whole[40..], 6).unwrap();
        assert_eq!(whole[62..64], (1440u16 - 20).to_be_bytes());
        let mut whole = packet_v6(&[2, 4, 4, 0xc8], b"");
        lower_mss(&mut whole[40..], 6).unwrap();
        assert_eq!(whole[62..64], 1220u16.to_be_bytes());
    }
}
