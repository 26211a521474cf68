// SPDX-License-Identifier: GPL-2.0

//! An IPv6 client and an IPv4 real server: from one header to the other, and ICMP errors about them
//! (RFC 7915, without its address mapping: the connection knows both tuples).

use super::csum::{self, Delta};
use super::family::{Family, IpHeader, Tuple, V4, V6};
use super::path;
use super::rewrite::{self, Checksum, Deltas};
use super::tuple::{TupleV4, TupleV6};
use super::wire::{icmp::Report, ipv4, ipv6, IcmpError, Ipv4, Ipv6};

/// Bytes that a packet grows by from IPv4 without options to IPv6.
pub const GROWTH: u32 = (ipv6::LEN - ipv4::MIN_LEN) as u32;

/// Least MTU of an IPv6 path, in bytes (RFC 8200).
const MTU_MIN: usize = 1280;

/// Most of an error that a router sends (RFC 4443; RFC 1812 allows as much for IPv4).
pub const ERROR_MAX: usize = MTU_MIN;

/// Length of the ICMP header, in bytes.
const ICMP_LEN: usize = 8;

/// The IPv4 header of what was the packet `ip`, for a payload of so many bytes. `ttl` is what it
/// leaves with, `id` that of one that may be fragmented. A packet of many segments is cut, and its
/// header completed, by whoever sends it.
pub fn header_v4(
    ip: &Ipv6,
    to: &TupleV4,
    payload: usize,
    ttl: u8,
    id: Option<u16>,
) -> [u8; ipv4::MIN_LEN] {
    let len = payload.saturating_add(ipv4::MIN_LEN);
    let [l0, l1] = u16::try_from(len).unwrap_or(0).to_be_bytes();
    let flags = if id.is_some() { 0 } else { 0x40 };
    let [i0, i1] = id.unwrap_or(0).to_be_bytes();
    let [s0, s1, s2, s3] = to.src().octets();
    let [d0, d1, d2, d3] = to.dst().octets();
    let protocol = ip.protocol();
    let mut header = [
        0x45, ip.class, l0, l1, i0, i1, flags, 0, ttl, protocol, 0, 0, s0, s1, s2, s3, d0, d1, d2,
        d3,
    ];
    let sum = csum::of(&header).to_le_bytes();
    let [_, _, _, _, _, _, _, _, _, _, c0, c1, ..] = &mut header;
    [*c0, *c1] = sum;
    header
}

/// The IPv6 header of what was the packet `ip`, likewise.
pub fn header_v6(ip: &Ipv4, to: &TupleV6, payload: usize, hop_limit: u8) -> [u8; ipv6::LEN] {
    ipv6::header(ip.tos, ip.protocol, to, payload, hop_limit)
}

/// A sum over the pseudo header of a payload of so many bytes between the addresses of `tuple`: what
/// a device completes.
pub fn pseudo_sum(tuple: &impl Tuple, protocol: u8, payload: usize) -> u16 {
    let len = u32::try_from(payload).unwrap_or(0).to_be_bytes();
    let [p0, p1, p2, p3] = [0, 0, 0, protocol];
    tuple
        .address_sum()
        .and(Delta::of_u32(0, u32::from_le_bytes(len)))
        .and(Delta::of_u32(0, u32::from_le_bytes([p0, p1, p2, p3])))
        .apply_to_sum(0)
}

/// The ICMPv6 error for a client that an ICMP error about its packet becomes.
///
/// `head` is the linear part of that packet, which `error` was read from. The client is the source
/// of `about`, which is the tuple of its packets. `quoted` puts right what else differs in the
/// transport header, see [`rewrite::icmp_error`], of which `added` bytes are none of the client's. It
/// is written to the start of `into`, which has
/// room for [`ERROR_MAX`] bytes: too many for a stack. Returns its length, from its IP header on;
/// none for errors that IPv6 has no words for.
pub fn error_v6(
    into: &mut [u8],
    head: &[u8],
    error: &IcmpError<V4>,
    about: &TupleV6,
    added: usize,
    quoted: impl FnOnce(&mut [u8]) -> Option<Delta>,
) -> Option<usize> {
    let (kind, code, rest) = match (error.report, error.code) {
        (Report::TooBig(mtu), _) => {
            let mtu = match mtu {
                // A router that does not say: the least that any path has.
                0 => MTU_MIN as u32,
                // What is no longer than the least may be cut on an IPv4 path that takes less.
                mtu => path::told(mtu.saturating_add(GROWTH), added, 0).max(MTU_MIN as u32),
            };
            (2, 0, mtu)
        }
        (Report::Unreachable, 3) => (1, 4, 0),
        // The protocol: the next header field is at 6.
        (Report::Unreachable, 2) => (4, 1, 6),
        (Report::Unreachable, 9 | 10 | 13) => (1, 1, 0),
        (Report::Unreachable, _) => (1, 0, 0),
        (Report::TimeExceeded, code) => (3, code, 0),
        (Report::ParameterProblem, _) => return None,
    };
    let quote = quote(head, error)?;
    let deltas = Deltas::new(&error.tuple, about);
    let payload = error.inner.total_len.saturating_sub(error.inner.header_len);
    let inner = header_v6(&error.inner, about, payload, error.inner.ttl);
    build::<V6>(
        into,
        &about.reversed(),
        (kind, code, rest),
        &inner,
        quote,
        |transport| {
            mend(
                transport,
                error.inner.protocol,
                about.ports(),
                deltas,
                quoted,
            )
        },
    )
}

/// The ICMP error for a real server that an ICMPv6 error about its packet becomes; as [`error_v6`].
pub fn error_v4(
    into: &mut [u8],
    head: &[u8],
    error: &IcmpError<V6>,
    about: &TupleV4,
    quoted: impl FnOnce(&mut [u8]) -> Option<Delta>,
) -> Option<usize> {
    let (kind, code, rest) = match (error.report, error.code) {
        (Report::TooBig(mtu), _) => {
            // Less than the least is a lie.
            let mtu = mtu.max(MTU_MIN as u32).saturating_sub(GROWTH);
            (3, 4, mtu.min(0xffff))
        }
        (Report::Unreachable, 4) => (3, 3, 0),
        (Report::Unreachable, 1) => (3, 10, 0),
        (Report::Unreachable, _) => (3, 1, 0),
        (Report::TimeExceeded, code) => (11, code, 0),
        (Report::ParameterProblem, 1) => (3, 2, 0),
        (Report::ParameterProblem, _) => return None,
    };
    let quote = quote(head, error)?;
    let deltas = Deltas::new(&error.tuple, about);
    let payload = error.inner.total_len.saturating_sub(error.inner.header_len);
    let inner = header_v4(&error.inner, about, payload, error.inner.hop_limit, None);
    build::<V4>(
        into,
        &about.reversed(),
        (kind, code, rest),
        &inner,
        quote,
        |transport| {
            mend(
                transport,
                error.inner.protocol,
                about.ports(),
                deltas,
                quoted,
            )
        },
    )
}

/// What an error has of the payload of the packet it is about.
fn quote<'a, F: Family>(head: &'a [u8], error: &IcmpError<F>) -> Option<&'a [u8]> {
    let at = error.inner_offset.checked_add(error.inner.header_len())?;
    head.get(at..)
}

fn mend(
    transport: &mut [u8],
    protocol: u8,
    ports: u32,
    deltas: Deltas,
    quoted: impl FnOnce(&mut [u8]) -> Option<Delta>,
) -> Option<()> {
    let deltas = deltas.and(quoted(transport)?);
    if rewrite::segment(transport, protocol, ports, deltas, Checksum::Whole).is_none() {
        *transport.first_chunk_mut()? = ports.to_le_bytes();
    }
    Some(())
}

/// An error of `F` from the source of `tuple` to its destination, about a packet with that header
/// and payload.
fn build<F: Family>(
    into: &mut [u8],
    tuple: &F::Tuple,
    (kind, code, rest): (u8, u8, u32),
    inner: &[u8],
    quote: &[u8],
    mend: impl FnOnce(&mut [u8]) -> Option<()>,
) -> Option<usize> {
    let at = F::Ip::FIXED_LEN.checked_add(ICMP_LEN)?;
    let payload_at = at.checked_add(inner.len())?;
    let len = payload_at.checked_add(quote.len())?.min(ERROR_MAX);
    let bytes = into.get_mut(..len)?;
    bytes.get_mut(at..payload_at)?.copy_from_slice(inner);
    let transport = bytes.get_mut(payload_at..)?;
    transport.copy_from_slice(quote.get(..transport.len())?);
    mend(transport)?;
    let (ip, message) = bytes.split_at_mut_checked(F::Ip::FIXED_LEN)?;
    let [r0, r1, r2, r3] = rest.to_be_bytes();
    *message.first_chunk_mut()? = [kind, code, 0, 0, r0, r1, r2, r3];
    let message_len = message.len();
    *ip.get_mut(..8)?.first_chunk_mut()? = match F::VERSION {
        4 => [0x45, 0, 0, 0, 0, 0, 0, 0],
        _ => [0x60, 0, 0, 0, 0, 0, 0, 64],
    };
    if F::VERSION == 4 {
        *ip.get_mut(8)? = 64;
    }
    F::Ip::set_addresses(ip, tuple, Delta::NONE)?;
    F::Ip::strip(ip, F::ICMP, u16::try_from(message_len).ok()?)?;
    let mut sum = csum::sum(message);
    if F::VERSION == 6 {
        let pseudo = pseudo_sum(tuple, F::ICMP, message_len);
        sum = Delta::of_u16(0, pseudo).apply_to_sum(sum);
    }
    *message.get_mut(2..)?.first_chunk_mut()? = (!sum).to_le_bytes();
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::super::wire::{IcmpFamily, Packet, TCP};
    use super::*;

    fn six() -> TupleV6 {
        TupleV6::new(
            "[2001:db8:100::7]:40000".parse().unwrap(),
            "[2001:db8:113::10]:443".parse().unwrap(),
            TCP,
        )
    }

    fn four() -> TupleV4 {
        TupleV4::new(
            "192.168.56.201:5001".parse().unwrap(),
            "192.168.56.101:8443".parse().unwrap(),
            TCP,
        )
    }

    /// A packet of `tuple` with a right checksum, odd in length.
    fn packet<F: Family>(tuple: &F::Tuple, header: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0; 23];
        tcp[..4].copy_from_slice(&tuple.ports().to_le_bytes());
        tcp[12..14].copy_from_slice(&[0x50, 0x18]);
        tcp[20..].copy_from_slice(b"abc");
        let pseudo = Delta::of_u16(0, pseudo_sum(tuple, TCP, tcp.len()));
        let sum = !pseudo.apply_to_sum(csum::sum(&tcp));
        tcp[16..18].copy_from_slice(&sum.to_le_bytes());
        [header, &tcp].concat()
    }

    fn assert_sound<F: Family>(packet: &[u8], tuple: &F::Tuple, at: usize) {
        let payload = &packet[at..];
        let pseudo = Delta::of_u16(0, pseudo_sum(tuple, TCP, payload.len()));
        assert_eq!(pseudo.apply_to_sum(csum::sum(payload)), 0xffff);
    }

    fn packet_v6() -> Vec<u8> {
        packet::<V6>(&six(), &ipv6::header(0xb8, TCP, &six(), 23, 63))
    }

    fn packet_v4() -> Vec<u8> {
        let ip = <Ipv6 as IpHeader>::parse(&packet_v6(), 63).unwrap();
        packet::<V4>(&four(), &header_v4(&ip, &four(), 23, 62, None))
    }

    #[test]
    fn a_packet_there_and_back() {
        let before = packet_v6();
        let ip = <Ipv6 as IpHeader>::parse(&before, before.len()).unwrap();
        assert_eq!(
            Packet::<V6>::parse(&before, before.len()).unwrap().tuple,
            six()
        );
        assert_sound::<V6>(&before, &six(), 40);
        let mut transport = before[40..].to_vec();
        let there = Deltas::new(&six(), &four());
        rewrite::segment(&mut transport, TCP, four().ports(), there, Checksum::Whole).unwrap();
        let header = header_v4(&ip, &four(), transport.len(), 62, None);
        assert_eq!(csum::of(&header), 0);
        let after = [&header[..], &transport].concat();
        assert_eq!(after, packet_v4());
        assert_sound::<V4>(&after, &four(), 20);
        let ip = <Ipv4 as IpHeader>::parse(&after, after.len()).unwrap();
        assert_eq!((ip.tos, ip.ttl, ip.dont_fragment()), (0xb8, 62, true));

        let back = Deltas::new(&four(), &six());
        rewrite::segment(&mut transport, TCP, six().ports(), back, Checksum::Whole).unwrap();
        let header = header_v6(&ip, &six(), transport.len(), 63);
        assert_eq!([&header[..], &transport].concat(), before);
    }

    /// An error of a router about `packet`, of which it quotes as much as `quoted`.
    fn error<F: IcmpFamily>(kind: [u8; 2], rest: u32, packet: &[u8], quoted: usize) -> Vec<u8> {
        let fixed = F::Ip::FIXED_LEN;
        let mut error = vec![0; fixed];
        error[0] = (F::VERSION << 4) | (5 * u8::from(F::VERSION == 4));
        error.extend(kind);
        error.extend([0, 0]);
        error.extend(rest.to_be_bytes());
        error.extend(&packet[..quoted]);
        let len = (error.len() - fixed) as u16;
        F::Ip::strip(&mut error, F::ICMP, len).unwrap();
        error
    }

    fn none(_: &mut [u8]) -> Option<Delta> {
        Some(Delta::NONE)
    }

    #[test]
    fn errors_of_the_real_servers_network() {
        for (kind, rest, quoted, told) in [
            ([3, 4], 1400, 43, ([2, 0], 1420)),
            ([3, 4], 0, 28, ([2, 0], 1280)),
            ([3, 4], 576, 28, ([2, 0], 1280)),
            ([3, 3], 0, 28, ([1, 4], 0)),
            ([3, 1], 0, 28, ([1, 0], 0)),
            ([3, 13], 0, 43, ([1, 1], 0)),
            ([3, 2], 0, 43, ([4, 1], 6)),
            ([11, 0], 0, 43, ([3, 0], 0)),
        ] {
            let bytes = error::<V4>(kind, rest, &packet_v4(), quoted);
            let ip = <Ipv4 as IpHeader>::parse(&bytes, bytes.len()).unwrap();
            let read = IcmpError::<V4>::parse(&bytes, &ip).unwrap();
            let mut told_of = [0xff; ERROR_MAX];
            let len = error_v6(&mut told_of, &bytes, &read, &six(), 0, none).unwrap();
            let told_of = &told_of[..len];
            let ip = <Ipv6 as IpHeader>::parse(told_of, told_of.len()).unwrap();
            assert_eq!(ip.tuple(0).dst(), six().src());
            let again = IcmpError::<V6>::parse(told_of, &ip).unwrap();
            assert_eq!((again.tuple, [again.kind, again.code]), (six(), told.0));
            assert_eq!(told_of[44..48], u32::to_be_bytes(told.1), "{kind:?}");
            let pseudo = pseudo_sum(&ip.tuple(0), 58, told_of.len() - 40);
            let sum = Delta::of_u16(0, pseudo).apply_to_sum(csum::sum(&told_of[40..]));
            assert_eq!(sum, 0xffff, "{kind:?}");
            if quoted == 43 {
                assert_eq!(told_of[88..], packet_v6()[40..]);
            }
        }
        let bytes = error::<V4>([12, 0], 0, &packet_v4(), 43);
        let ip = <Ipv4 as IpHeader>::parse(&bytes, bytes.len()).unwrap();
        let read = IcmpError::<V4>::parse(&bytes, &ip).unwrap();
        let told_of = &mut [0; ERROR_MAX];
        assert!(error_v6(told_of, &bytes, &read, &six(), 0, none).is_none());
    }

    #[test]
    fn an_option_leaves_less() {
        for (mtu, told) in [
            (1400, 1400),
            (1281, 1281),
            (1280, 1280),
            (1000, 1280),
            (0, 1280),
        ] {
            let bytes = error::<V4>([3, 4], mtu, &packet_v4(), 43);
            let ip = <Ipv4 as IpHeader>::parse(&bytes, bytes.len()).unwrap();
            let read = IcmpError::<V4>::parse(&bytes, &ip).unwrap();
            let into = &mut [0; ERROR_MAX];
            error_v6(into, &bytes, &read, &six(), 20, none).unwrap();
            assert_eq!(into[44..48], u32::to_be_bytes(told), "{mtu}");
        }
    }

    #[test]
    fn what_may_be_cut_has_an_id() {
        let ip = <Ipv6 as IpHeader>::parse(&packet_v6(), 63).unwrap();
        let header = header_v4(&ip, &four(), 23, 62, Some(0x1234));
        assert_eq!(
            (&header[4..8], csum::of(&header)),
            (&[0x12, 0x34, 0, 0][..], 0)
        );
        let header = header_v4(&ip, &four(), 23, 62, None);
        assert_eq!(
            (&header[4..8], csum::of(&header)),
            (&[0, 0, 0x40, 0][..], 0)
        );
    }

    #[test]
    fn errors_of_the_clients_network() {
        for (kind, rest, told) in [
            ([2, 0], 1400, ([3, 4], 1380)),
            ([2, 0], 1280, ([3, 4], 1260)),
            ([2, 0], 0, ([3, 4], 1260)),
            ([2, 0], u32::MAX, ([3, 4], 0xffff)),
            ([1, 4], 0, ([3, 3], 0)),
            ([1, 1], 0, ([3, 10], 0)),
            ([1, 0], 0, ([3, 1], 0)),
            ([3, 0], 0, ([11, 0], 0)),
            ([4, 1], 6, ([3, 2], 0)),
        ] {
            let bytes = error::<V6>(kind, rest, &packet_v6(), 63);
            let ip = <Ipv6 as IpHeader>::parse(&bytes, bytes.len()).unwrap();
            let read = IcmpError::<V6>::parse(&bytes, &ip).unwrap();
            let mut told_of = [0xff; ERROR_MAX];
            let len = error_v4(&mut told_of, &bytes, &read, &four(), none).unwrap();
            let told_of = &told_of[..len];
            assert_eq!(csum::of(&told_of[..20]), 0);
            assert_eq!(csum::of(&told_of[20..]), 0);
            let ip = <Ipv4 as IpHeader>::parse(told_of, told_of.len()).unwrap();
            let again = IcmpError::<V4>::parse(told_of, &ip).unwrap();
            assert_eq!((again.tuple, [again.kind, again.code]), (four(), told.0));
            assert_eq!(told_of[24..28], u32::to_be_bytes(told.1), "{kind:?}");
            assert_eq!(told_of[48..], packet_v4()[20..]);
        }
    }

    #[test]
    fn long_quotes_are_cut() {
        let mut long = packet_v4();
        long.resize(1480, 7);
        let bytes = error::<V4>([3, 3], 0, &long, 1480);
        let ip = <Ipv4 as IpHeader>::parse(&bytes, bytes.len()).unwrap();
        let read = IcmpError::<V4>::parse(&bytes, &ip).unwrap();
        let told_of = &mut [0; ERROR_MAX];
        let len = error_v6(told_of, &bytes, &read, &six(), 0, none);
        assert_eq!(len, Some(1280));
    }
}
