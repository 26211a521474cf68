// SPDX-License-Identifier: GPL-2.0

//! Carrying the client's address to the real server in a TCP option (TOA).
//!
//! The option is kind, length, and the client's port and address as they stand in its packets.
//! It goes right behind the fixed header, so that no end of options comes before it. Which segments
//! have it: see [`telling`](super::telling).
//!
//! Nobody but a director may tell an address. Receivers believe a director's address, and in an
//! option of whatever kind, so of a client's options only those go on that TCP itself uses.

use core::net::{IpAddr, SocketAddr};

use super::super::csum::{self, Delta};
use super::super::family::{IpHeader, Tuple};
use super::super::wire::options::{TcpOptions, MPTCP, MSS, TIMESTAMPS};
use super::super::wire::transport::TCP_MIN_LEN;
use super::{is_of_tcp, V4_LEN, V6_LEN};

/// Longest TCP header, in bytes.
const TCP_MAX_LEN: usize = 60;

/// Least MSS that an IPv4 client's answer is lowered to, as the kernel's `TCP_MIN_SND_MSS` with
/// room for options.
const MSS_MIN_V4: u16 = 88;

/// Least MSS that an IPv6 client's answer is lowered to: what the least MTU has room for.
const MSS_MIN_V6: u16 = 1220;

/// Where things are in the TCP header.
const DATA_OFFSET: usize = 12;
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

/// Makes every option of a client's `header` into padding that a receiver could take for a
/// director's, and what is behind the last one that can be read. Returns what that adds to the
/// checksum.
pub fn blank(header: &mut [u8]) -> Option<Delta> {
    blank_but(header, is_of_tcp)
}

/// As [`blank`] for the SYN of a client whose IP version is `version` and that is going to tell:
/// also takes Multipath TCP out where its options would leave no room for the address in every
/// segment, which is wherever there are timestamps. Then both sides do without it from the start.
pub fn blank_syn(header: &mut [u8], version: u8) -> Option<Delta> {
    let has_stamps = TcpOptions::of(header).any(|option| option.kind == TIMESTAMPS);
    let has_room = version == 4 && !has_stamps;
    blank_but(header, |kind| {
        is_of_tcp(kind) && (has_room || kind != MPTCP)
    })
}

fn blank_but(header: &mut [u8], keeps: impl Fn(u8) -> bool) -> Option<Delta> {
    let mut options = TcpOptions::of(header);
    let all = options.all(|option| keeps(option.kind));
    if all && header.get(options.end()..)?.iter().all(|byte| *byte == 0) {
        return Some(Delta::NONE);
    }
    let before = csum::sum(header);
    let mut at = TCP_MIN_LEN;
    loop {
        let mut options = TcpOptions::behind(header, at);
        let Some(option) = options.next() else {
            at = options.end();
            break;
        };
        at = option.offset.checked_add(option.len)?;
        if !keeps(option.kind) {
            header.get_mut(option.offset..at)?.fill(1);
        }
    }
    header.get_mut(at..)?.fill(0);
    Some(Delta::of_u16(before, csum::sum(header)))
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

#[cfg(test)]
mod tests {
    use super::super::super::tuple::{TupleV4, TupleV6};
    use super::super::super::wire::{Ipv4, Ipv6, TCP};
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

    /// What becomes of options, checksums being right before and after.
    fn blanked(options: &[u8], blank: impl Fn(&mut [u8]) -> Option<Delta>) -> Vec<u8> {
        let mut whole = packet(options, b"");
        let delta = blank(&mut whole[20..]).unwrap();
        let sum = u16::from_le_bytes([whole[36], whole[37]]);
        whole[36..38].copy_from_slice(&delta.apply(sum).to_le_bytes());
        assert_sound(&whole);
        whole.split_off(40)
    }

    #[test]
    fn what_a_client_claims_is_padding() {
        for kind in (2..=255).filter(|kind| !is_of_tcp(*kind)) {
            let claim = [1, kind, 8, 1, 2, 3, 4, 5, 6, 1, 4, 2];
            let expected = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2];
            assert_eq!(blanked(&claim, blank), expected, "{kind}");
            // Several, at odd places.
            let claims = [kind, 3, 7, 4, 2, kind, 4, 1, 2, 1, kind, 5, 1, 2, 3, 0];
            let expected = [1, 1, 1, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0];
            assert_eq!(blanked(&claims, blank), expected, "{kind}");
        }
    }

    #[test]
    fn what_tcp_uses_stays() {
        for kind in (2..=255).filter(|kind| is_of_tcp(*kind)) {
            let options = [1, kind, 8, 1, 2, 3, 4, 5, 6, 0, 0, 0];
            assert_eq!(blanked(&options, blank), options, "{kind}");
        }
    }

    #[test]
    fn nothing_is_behind_the_last_one_that_can_be_read() {
        // Hosts do not read on there, but receivers take it for a reason to believe nothing.
        for lies in [[30, 60, 254, 8], [8, 0, 1, 1], [8, 1, 1, 1], [0, 254, 8, 9]] {
            let options = [&[4, 2, 1, 1][..], &lies, &[1, 2, 3, 4]].concat();
            assert_eq!(
                blanked(&options, blank),
                [4, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
            );
        }
        assert_eq!(blanked(&[4, 2, 1, 254], blank), [4, 2, 1, 0]);
    }

    #[test]
    fn several_paths_only_where_the_address_has_room_beside_them() {
        let capable = [30, 4, 1, 1];
        let stamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
        let with_stamps = [&capable[..], &stamps].concat();
        assert_eq!(blanked(&capable, |header| blank_syn(header, 4)), capable);
        assert_eq!(blanked(&capable, |header| blank_syn(header, 6)), [1; 4]);
        assert_eq!(blanked(&with_stamps, blank), with_stamps);
        let expected = [&[1; 4][..], &stamps].concat();
        assert_eq!(
            blanked(&with_stamps, |header| blank_syn(header, 4)),
            expected
        );
    }

    #[test]
    fn what_has_room() {
        let has_room = |len| told().has_room(len);
        assert!(has_room(52) && !has_room(53) && !has_room(60));
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

        let mut whole = packet_v6(&[2, 4, 5, 0xa0], b"");
        lower_mss(&mut whole[40..], 6).unwrap();
        assert_eq!(whole[62..64], (1440u16 - 20).to_be_bytes());
        let mut whole = packet_v6(&[2, 4, 4, 0xc8], b"");
        lower_mss(&mut whole[40..], 6).unwrap();
        assert_eq!(whole[62..64], 1220u16.to_be_bytes());
    }
}
