// SPDX-License-Identifier: GPL-2.0

//! UOA: the client's address in the IP header of its datagrams.
//!
//! UDP has no room for options, so the address goes below it, as DPVS does it. In IPv4 it is an
//! option of kind 31, otherwise as the TCP option is (see [`toa`]). The kind is not one that
//! fragments copy. In IPv6 it is a destination option of that kind, in a header of its own, whose
//! length counts two bytes of padding behind the address. Hosts that do not know the kind pass over
//! it in both.
//!
//! A datagram without room for it has one ahead that carries nothing but the option, as DPVS does
//! it too. Receivers keep such a one to themselves, so an empty datagram of a client's is told of
//! ahead as well.

use core::net::SocketAddr;

use super::csum::{self, Delta};
use super::family::{Family, IpHeader, V4, V6};
use super::toa::insert::Told;
use super::toa::{self, Kinds, Malformed};
use super::wire::transport::UDP_LEN;
use super::wire::UDP;

/// Kind of the option.
pub const KIND: u8 = 31;

/// Longest IPv4 header, in bytes.
const V4_MAX: usize = 60;

/// Where things are in the IP headers.
const V4_LEN: usize = 2;
const V4_PROTOCOL: usize = 9;
const V4_CHECKSUM: usize = 10;
const V6_LEN: usize = 4;
const V6_NEXT: usize = 6;

/// End of IPv4's options, and one byte of padding (RFC 791).
const END: u8 = 0;
const NOP: u8 = 1;

/// IPv6's hop-by-hop options, routing header and destination options.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

/// One byte of padding in IPv6.
const PAD_1: u8 = 0;

/// IPv6's option for experiments (RFC 4727) that hosts pass over. Padding may not be this long.
const EXPERIMENT: u8 = 0x1e;

/// Bytes of port and address in IPv6's option.
const V6_VALUE: usize = 18;

/// Longest packet of [`alone`], in bytes: IPv6's.
const ALONE_MAX: usize = 40 + <V6 as Carrier>::ROOM + UDP_LEN;

/// A datagram of its own for the option, without payload, to go ahead of one that has no room for
/// it. `head` is the linear part of that one from its IP header on. Returns the bytes and how many
/// of them count.
pub fn alone<F: Carrier>(
    head: &[u8],
    header_len: usize,
    client: &Told,
) -> Option<([u8; ALONE_MAX], usize)> {
    let fixed = <F::Ip as IpHeader>::FIXED_LEN;
    let mut packet = [0; ALONE_MAX];
    let header = packet.get_mut(..fixed)?;
    header.copy_from_slice(head.get(..fixed)?);
    F::Ip::strip(header, UDP, UDP_LEN as u16)?;
    let addresses = csum::sum(header.get(F::Ip::ADDRESSES..)?);
    let at = fixed.checked_add(F::ROOM)?;
    let end = at.checked_add(UDP_LEN)?;
    let ports = *head.get(header_len..)?.first_chunk::<4>()?;
    let udp: &mut [u8; UDP_LEN] = packet.get_mut(at..end)?.first_chunk_mut()?;
    let [p0, p1, p2, p3] = ports;
    *udp = [p0, p1, p2, p3, 0, UDP_LEN as u8, 0, 0];
    let pseudo = u32::from_le_bytes([0, UDP, 0, UDP_LEN as u8]);
    let pseudo = Delta::of_u16(0, addresses).and(Delta::of_u32(0, pseudo));
    let checksum = match !pseudo.apply_to_sum(csum::sum(udp)) {
        // No checksum is what 0 says.
        0 => u16::MAX,
        checksum => checksum,
    };
    *udp.last_chunk_mut()? = checksum.to_le_bytes();
    F::fill(packet.get_mut(..end)?, client)?;
    Some((packet, end))
}

/// An IP version whose headers carry addresses.
pub trait Carrier: Family {
    /// Bytes that an address of the family takes.
    const ROOM: usize;

    /// Whether a header of that length has room for it.
    fn has_room(header_len: usize) -> bool;

    /// Fills the gap of [`Carrier::ROOM`] bytes that is behind the fixed part of the header in
    /// `head` with `client`, of kind [`KIND`] and the family, and mends what else the header says.
    fn fill(head: &mut [u8], client: &Told) -> Option<()>;

    /// Makes every option of this kind in `header`, which is whole, into one that says nothing.
    /// Options behind one whose length lies stay.
    fn blank(header: &mut [u8]) -> Option<()>;

    /// Makes `header`, which is whole, say that the packet is shorter by `less` bytes, and `protocol`
    /// its payload's.
    fn shorten(header: &mut [u8], less: u16, protocol: u8) -> Option<()>;

    /// The address that `header`, which is whole, carries.
    ///
    /// # Errors
    ///
    /// Why it is not to be believed.
    fn find(header: &[u8]) -> Result<Option<SocketAddr>, Malformed>;
}

impl Carrier for V4 {
    const ROOM: usize = toa::V4_LEN;

    fn has_room(header_len: usize) -> bool {
        header_len <= V4_MAX - Self::ROOM
    }

    fn fill(head: &mut [u8], client: &Told) -> Option<()> {
        <V4 as Family>::Ip::lengthen(head, Self::ROOM as u16)?;
        let before = *head.first()?;
        let first = head.first_mut()?;
        *first = first.checked_add((Self::ROOM / 4) as u8)?;
        let lengths = Delta::of_u16(u16::from(before), u16::from(*first));
        let option: [u8; Self::ROOM] = client.bytes().try_into().ok()?;
        *head
            .get_mut(<V4 as Family>::Ip::FIXED_LEN..)?
            .first_chunk_mut()? = option;
        mend(
            head,
            lengths.and(Delta::of_u64(0, u64::from_le_bytes(option))),
        )
    }

    fn blank(header: &mut [u8]) -> Option<()> {
        let before = csum::sum(header);
        let mut at = <V4 as Family>::Ip::FIXED_LEN;
        while let Some(&kind) = header.get(at) {
            let len = match kind {
                END => break,
                NOP => 1,
                _ => match header.get(at.checked_add(1)?) {
                    Some(&len) if len >= 2 => usize::from(len),
                    _ => break,
                },
            };
            let end = at.checked_add(len)?;
            let Some(option) = header.get_mut(at..end) else {
                break;
            };
            if kind == KIND {
                option.fill(NOP);
            }
            at = end;
        }
        let changed = Delta::of_u16(before, csum::sum(header));
        mend(header, changed)
    }

    fn shorten(header: &mut [u8], less: u16, protocol: u8) -> Option<()> {
        let before = csum::sum(header);
        shorten(header, V4_LEN, less)?;
        *header.get_mut(V4_PROTOCOL)? = protocol;
        let changed = Delta::of_u16(before, csum::sum(header));
        mend(header, changed)
    }

    fn find(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        let mut kinds = Kinds::NONE;
        kinds.insert(KIND);
        let options = header.get(<V4 as Family>::Ip::FIXED_LEN..);
        toa::find(options.unwrap_or_default(), &kinds)
    }
}

/// Takes `less` off the length at `at`.
fn shorten(header: &mut [u8], at: usize, less: u16) -> Option<()> {
    let len = header.get_mut(at..)?.first_chunk_mut::<2>()?;
    *len = u16::from_be_bytes(*len).checked_sub(less)?.to_be_bytes();
    Some(())
}

/// Applies what changed to the checksum of an IPv4 header.
fn mend(header: &mut [u8], changed: Delta) -> Option<()> {
    let checksum = header.get_mut(V4_CHECKSUM..)?.first_chunk_mut::<2>()?;
    *checksum = changed.apply(u16::from_le_bytes(*checksum)).to_le_bytes();
    Some(())
}

impl Carrier for V6 {
    const ROOM: usize = 24;

    fn has_room(header_len: usize) -> bool {
        // Where other headers have to be is not looked at.
        header_len == <V6 as Family>::Ip::FIXED_LEN
    }

    fn fill(head: &mut [u8], client: &Told) -> Option<()> {
        <V6 as Family>::Ip::lengthen(head, Self::ROOM as u16)?;
        let next = core::mem::replace(head.get_mut(V6_NEXT)?, DESTINATION);
        let gap = head.get_mut(<V6 as Family>::Ip::FIXED_LEN..)?;
        let [n, words, option @ .., p0, p1] = gap.first_chunk_mut::<{ Self::ROOM }>()?;
        (*n, *words, *p0, *p1) = (next, (Self::ROOM / 8 - 1) as u8, 0, 0);
        let bytes: [u8; toa::V6_LEN] = client.bytes().try_into().ok()?;
        *option = bytes;
        Some(())
    }

    fn blank(header: &mut [u8]) -> Option<()> {
        let mut at = next_option(header, None);
        while let Some(Ok((kind, start, end))) = at {
            if kind == KIND {
                let option = header.get_mut(start..end)?;
                option.get_mut(2..)?.fill(0);
                *option.first_mut()? = EXPERIMENT;
            }
            at = next_option(header, Some(start));
        }
        Some(())
    }

    fn shorten(header: &mut [u8], less: u16, protocol: u8) -> Option<()> {
        shorten(header, V6_LEN, less)?;
        *header.get_mut(V6_NEXT)? = protocol;
        Some(())
    }

    fn find(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        let (mut found, mut at) = (None, next_option(header, None));
        while let Some(option) = at {
            let (kind, start, end) = option?;
            if kind == KIND {
                let value = header.get(start.saturating_add(2)..end).unwrap_or_default();
                let value = match value.len() {
                    V6_VALUE | toa::V6_LEN => value.get(..V6_VALUE).unwrap_or_default(),
                    _ => return Err(Malformed::WrongLength),
                };
                if found.replace(toa::address(value)?).is_some() {
                    return Err(Malformed::Twice);
                }
            }
            at = next_option(header, Some(start));
        }
        Ok(found)
    }
}

/// Kind, start and end of the first destination option of an IPv6 header, or of the first behind
/// the one that starts at `after`. None behind the last.
fn next_option(
    header: &[u8],
    after: Option<usize>,
) -> Option<Result<(u8, usize, usize), Malformed>> {
    let mut next = *header.get(V6_NEXT)?;
    let mut at = <V6 as Family>::Ip::FIXED_LEN;
    while matches!(next, HOP_BY_HOP | ROUTING | DESTINATION) {
        let len = usize::from(*header.get(at.checked_add(1)?)?).checked_add(1)?;
        let end = at.checked_add(len.checked_mul(8)?)?;
        if next == DESTINATION {
            let mut start = at.checked_add(2)?;
            while start < end {
                let kind = *header.get(start)?;
                let stop = if kind == PAD_1 {
                    start.checked_add(1)?
                } else {
                    let len = header.get(start.checked_add(1)?);
                    let len = len.map_or(usize::MAX, |len| usize::from(*len));
                    start.saturating_add(2).saturating_add(len)
                };
                if stop > end || stop > header.len() {
                    return Some(Err(Malformed::Length));
                }
                if kind != PAD_1 && after.is_none_or(|after| start > after) {
                    return Some(Ok((kind, start, stop)));
                }
                start = stop;
            }
        }
        next = *header.get(at)?;
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::family::Tuple as _;
    use super::super::tuple::{TupleV4, TupleV6};
    use super::*;

    const OPTION: [u8; 8] = [31, 8, 0x9c, 0x40, 198, 51, 100, 7];

    fn header(options: &[u8]) -> Vec<u8> {
        let mut header = vec![0x45 + options.len() as u8 / 4, 0, 0];
        header.push(20 + options.len() as u8 + 12);
        header.extend([0, 7, 0x40, 0, 60, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9]);
        header.extend(options);
        let sum = csum::of(&header).to_le_bytes();
        header[10..12].copy_from_slice(&sum);
        header
    }

    #[test]
    fn a_filled_gap_is_as_if_it_had_been_sent_so() {
        for options in [&[][..], &[7, 7, 4, 0, 0, 0, 0, 0]] {
            let mut whole = header(options);
            whole.splice(20..20, [0xaa; 8]);
            let (from, to) = ("198.51.100.7:40000", "203.0.113.10:53");
            let tuple = TupleV4::new(from.parse().unwrap(), to.parse().unwrap(), UDP);
            V4::fill(&mut whole, &Told::new(KIND, &tuple)).unwrap();
            assert_eq!(whole, header(&[&OPTION[..], options].concat()));
            let found = V4::find(&whole).unwrap().unwrap();
            assert_eq!(found, from.parse().unwrap());
        }
        assert!(V4::has_room(20) && V4::has_room(52) && !V4::has_room(56));
    }

    /// An IPv6 header with destination options, and what their header starts with.
    fn header_v6(options: &[u8]) -> Vec<u8> {
        let mut header = vec![
            0x60,
            0,
            0,
            0,
            0,
            2 + options.len() as u8 + 9,
            DESTINATION,
            64,
        ];
        header.extend([7; 32]);
        header.extend([UDP, (options.len() as u8 + 2) / 8 - 1]);
        header.extend(options);
        header
    }

    fn option_v6(len: u8) -> Vec<u8> {
        let mut option = vec![31, len, 0x9c, 0x40, 0x20, 1, 0xd, 0xb8];
        option.resize(2 + usize::from(len).max(6), 0);
        option
    }

    #[test]
    fn a_header_of_ipv6_is_as_if_it_had_been_sent_so() {
        let (from, to) = ("[2001:db8::]:40000", "[2001:db8::1]:53");
        let tuple = TupleV6::new(from.parse().unwrap(), to.parse().unwrap(), UDP);
        let mut whole = vec![0x60, 0, 0, 0, 0, 9, UDP, 64];
        whole.extend([7; 32]);
        whole.extend([0xaa; 24]);
        V6::fill(&mut whole, &Told::new(KIND, &tuple)).unwrap();
        assert_eq!(whole, header_v6(&option_v6(20)));
        assert_eq!(V6::find(&whole), Ok(Some(from.parse().unwrap())));
        V6::blank(&mut whole).unwrap();
        let mut padding = vec![0x1e, 20];
        padding.resize(22, 0);
        assert_eq!(whole, header_v6(&padding));
        assert_eq!(V6::find(&whole), Ok(None));
        assert!(V6::has_room(40) && !V6::has_room(48));
    }

    #[test]
    fn alone_it_is_a_datagram_without_payload() {
        let tuple = TupleV4::new(
            "198.51.100.7:40000".parse().unwrap(),
            "203.0.113.10:53".parse().unwrap(),
            UDP,
        );
        // The one that it goes ahead of has an option of its own and four bytes of payload.
        let mut head = header(&[7, 7, 4, 0, 0, 0, 0, 0]);
        head.extend([0x1f, 0x90, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
        let (packet, len) = alone::<V4>(&head, 28, &Told::new(KIND, &tuple)).unwrap();
        let packet = &packet[..len];
        assert_eq!(
            (packet.len(), packet[0], packet[3], packet[9]),
            (36, 0x47, 36, UDP)
        );
        assert_eq!(csum::of(&packet[..28]), 0);
        assert_eq!(V4::find(&packet[..28]), Ok(Some(tuple.source())));
        assert_eq!(packet[28..34], [0x1f, 0x90, 0, 53, 0, 8]);
        let pseudo = [&packet[12..20], &[0, UDP, 0, 8], &packet[28..]].concat();
        assert_eq!(csum::of(&pseudo), 0);

        let (from, to) = ("[2001:db8::]:40000", "[2001:db8::1]:53");
        let tuple = TupleV6::new(from.parse().unwrap(), to.parse().unwrap(), UDP);
        let mut head = vec![0x60, 0, 0, 0, 0, 12, UDP, 64];
        head.extend([7; 32]);
        head.extend([0x1f, 0x90, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
        let (packet, len) = alone::<V6>(&head, 40, &Told::new(KIND, &tuple)).unwrap();
        let packet = &packet[..len];
        assert_eq!((packet.len(), packet[5], packet[6]), (72, 32, DESTINATION));
        assert_eq!(V6::find(&packet[..64]), Ok(Some(tuple.source())));
        let pseudo = [&packet[8..40], &[0, 0, 0, 8, 0, 0, 0, UDP], &packet[64..]].concat();
        assert_eq!(csum::of(&pseudo), 0);
        for len in 0..head.len() {
            let _ = alone::<V6>(&head[..len], 40, &Told::new(KIND, &tuple));
        }
    }

    #[test]
    fn options_of_ipv6_among_others_and_broken_ones() {
        let short = option_v6(18);
        let among = [&[0, 5, 2, 0, 0][..], &short, &[0, 0, 0, 1, 0]].concat();
        assert!(V6::find(&header_v6(&among)).unwrap().is_some());
        let twice = [&short[..], &short, &[1, 4, 0, 0, 0, 0]].concat();
        assert_eq!(V6::find(&header_v6(&twice)), Err(Malformed::Twice));
        let wrong = [&option_v6(12)[..], &[0; 8]].concat();
        assert_eq!(V6::find(&header_v6(&wrong)), Err(Malformed::WrongLength));
        let mut lies = header_v6(&option_v6(20));
        lies[43] = 21;
        assert_eq!(V6::find(&lies), Err(Malformed::Length));
        for len in 0..lies.len() {
            let _ = V6::find(&lies[..len]);
            let _ = V6::blank(&mut lies.clone()[..len]);
        }
    }

    #[test]
    fn what_somebody_claims_is_padding() {
        let mut whole = header(&[&[1, 7, 3, 4][..], &OPTION].concat());
        V4::blank(&mut whole).unwrap();
        assert_eq!(whole, header(&[1, 7, 3, 4, 1, 1, 1, 1, 1, 1, 1, 1]));
        for lie in [
            [31, 9, 0, 0],
            [31, 0, 0, 0],
            [7, 1, 31, 2],
            [0, 31, 2, 0],
            [1, 1, 1, 31],
        ] {
            let mut whole = header(&lie);
            V4::blank(&mut whole).unwrap();
            assert_eq!(whole, header(&lie));
        }
    }
}
