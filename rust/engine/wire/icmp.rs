// SPDX-License-Identifier: GPL-2.0

//! ICMP errors (RFC 792, RFC 4443) and the packet they are about.

use super::super::csum::Delta;
use super::super::family::{Family, IpHeader, V4, V6};
use super::{chunk, Error, SCTP, TCP, UDP};

/// Length of the ICMP header, in bytes.
const HEADER_LEN: usize = 8;

/// Bytes of the inner payload that every error carries.
const INNER_PAYLOAD: usize = 8;

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A host, network, port or protocol is not reached.
    Unreachable,
    /// Larger than the next hop takes whole, in bytes; 0 when the router does not say it (RFC
    /// 1191).
    TooBig(u32),
    /// The time to live, or the hop limit, was used up.
    TimeExceeded,
    /// Something is wrong with a header.
    ParameterProblem,
}

/// A family whose ICMP is known.
pub trait IcmpFamily: Family {
    /// Type of an echo request; its code is 0.
    const ECHO_REQUEST: u8;
    /// Type of the answer.
    const ECHO_REPLY: u8;
    /// Type and code of the error that tells of an MTU.
    const TOO_BIG: (u8, u8);
    /// Type and code of the error that says that a host is not reached.
    const UNREACHABLE: (u8, u8);
    /// The least that every path takes whole, in bytes (RFC 791, RFC 8200).
    const MTU_MIN: u32;

    /// The fifth to eighth byte of an error that tells of `mtu`, where they were `rest`.
    fn tell(rest: [u8; 4], mtu: u32) -> [u8; 4];

    /// What an error with that type, code and fifth to eighth byte says; none for other messages.
    fn report(kind: u8, code: u8, rest: [u8; 4]) -> Option<Report>;
}

/// `ip_vs` also takes source quench, which RFC 6633 abolished, and no parameter problem.
impl IcmpFamily for V4 {
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REPLY: u8 = 0;
    const TOO_BIG: (u8, u8) = (3, 4);
    const UNREACHABLE: (u8, u8) = (3, 1);
    const MTU_MIN: u32 = 68;

    fn tell([r0, r1, ..]: [u8; 4], mtu: u32) -> [u8; 4] {
        let [m0, m1] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
        [r0, r1, m0, m1]
    }

    fn report(kind: u8, code: u8, [_, _, m0, m1]: [u8; 4]) -> Option<Report> {
        match (kind, code) {
            (3, 4) => Some(Report::TooBig(u32::from(u16::from_be_bytes([m0, m1])))),
            (3, _) => Some(Report::Unreachable),
            (11, _) => Some(Report::TimeExceeded),
            (12, _) => Some(Report::ParameterProblem),
            _ => None,
        }
    }
}

impl IcmpFamily for V6 {
    const ECHO_REQUEST: u8 = 128;
    const ECHO_REPLY: u8 = 129;
    const TOO_BIG: (u8, u8) = (2, 0);
    const UNREACHABLE: (u8, u8) = (1, 3);
    const MTU_MIN: u32 = 1280;

    fn tell(_rest: [u8; 4], mtu: u32) -> [u8; 4] {
        mtu.to_be_bytes()
    }

    fn report(kind: u8, _code: u8, rest: [u8; 4]) -> Option<Report> {
        match kind {
            1 => Some(Report::Unreachable),
            2 => Some(Report::TooBig(u32::from_be_bytes(rest))),
            3 => Some(Report::TimeExceeded),
            4 => Some(Report::ParameterProblem),
            _ => None,
        }
    }
}

/// Has the error at the start of `message` tell of another MTU. None when it is too short.
pub fn set_mtu<F: IcmpFamily>(message: &mut [u8], mtu: u32) -> Option<()> {
    let [_, _, sum @ .., r0, r1, r2, r3] = message.first_chunk_mut::<HEADER_LEN>()?;
    let old = [*r0, *r1, *r2, *r3];
    let new = F::tell(old, mtu);
    [*r0, *r1, *r2, *r3] = new;
    let changed = Delta::of_u32(u32::from_le_bytes(old), u32::from_le_bytes(new));
    *sum = changed.apply(u16::from_le_bytes(*sum)).to_le_bytes();
    Some(())
}

/// An ICMP error about a TCP, UDP or SCTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError<F: Family> {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// What both say.
    pub report: Report,
    /// Where the inner IP header starts, in bytes from the outer one.
    pub inner_offset: usize,
    /// The inner IP header; its total length is what the packet had, not what is here.
    pub inner: F::Ip,
    /// Flow of the inner packet: its destination is whom the error's receiver was talking to.
    pub tuple: F::Tuple,
}

impl<F: IcmpFamily> IcmpError<F> {
    /// Reads the ICMP message behind `ip` in `head`, the linear part of a packet.
    ///
    /// # Errors
    ///
    /// `Fragment` when it or the inner packet is a fragment without ports, `Protocol` when it is
    /// not ICMP or not about TCP, UDP or SCTP, `IcmpQuery` for other types; `NotLinear`, `Short`, and
    /// `Version` and `HeaderLength` of the inner header.
    #[inline]
    pub fn parse(head: &[u8], ip: &F::Ip) -> Result<Self, Error> {
        if ip.is_fragment() {
            return Err(Error::Fragment);
        }
        if ip.protocol() != F::ICMP {
            return Err(Error::Protocol);
        }
        let len = ip.total_len();
        let head = head.get(..len).unwrap_or(head);
        let &[kind, code, _, _, rest @ ..] = chunk::<HEADER_LEN>(head, ip.header_len(), len)?;
        let report = F::report(kind, code, rest).ok_or(Error::IcmpQuery)?;
        let inner_offset = ip.header_len().saturating_add(HEADER_LEN);
        let inner = F::Ip::parse_at(head, inner_offset, len)?;
        if inner.is_later_fragment() {
            return Err(Error::Fragment);
        }
        if !matches!(inner.protocol(), TCP | UDP | SCTP) {
            return Err(Error::Protocol);
        }
        let payload = inner_offset.saturating_add(inner.header_len());
        let &[p0, p1, p2, p3, ..] = chunk::<INNER_PAYLOAD>(head, payload, len)?;
        Ok(Self {
            kind,
            code,
            report,
            inner_offset,
            inner,
            tuple: inner.tuple(u32::from_le_bytes([p0, p1, p2, p3])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::csum;
    use super::*;

    #[test]
    fn another_mtu_and_the_sum_that_goes_with_it() {
        let mut message = vec![3, 4, 0, 0, 0, 6, 5, 220, 0x45, 1, 2];
        let sum = csum::of(&message).to_le_bytes();
        message[2..4].copy_from_slice(&sum);
        set_mtu::<V4>(&mut message, 1292).unwrap();
        assert_eq!(
            (&message[4..8], csum::of(&message)),
            (&[0, 6, 5, 12][..], 0)
        );
        set_mtu::<V6>(&mut message, 1280).unwrap();
        assert_eq!((&message[4..8], csum::of(&message)), (&[0, 0, 5, 0][..], 0));
        assert_eq!(set_mtu::<V4>(&mut message[..7], 1292), None);
    }
}
