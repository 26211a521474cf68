// SPDX-License-Identifier: GPL-2.0

//! ICMP errors about packets of this host's own tunnels, and the packet in there.

use core::net::IpAddr;

use super::super::family::{Family, IpHeader, Tuple};
use super::super::tunnel::{Tunnel, TunnelKind, TunnelSum};
use super::icmp::{IcmpFamily, Report};
use super::{chunk, Error, SCTP, TCP, UDP};

/// Length of the ICMP header, in bytes.
const ICMP_LEN: usize = 8;

/// IANA number of GRE.
const GRE: u8 = 47;

/// An ICMP error about a packet of the family `I` in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelError<I: Family> {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// What both say.
    pub report: Report,
    /// Where the tunnel led.
    pub dest: IpAddr,
    /// The tunnel, as far as its packet tells.
    pub tunnel: Tunnel,
    /// Where the tunnel's own IP header starts, in bytes from the error's.
    pub outer_offset: usize,
    /// Where that of the packet in it starts, likewise.
    pub inner_offset: usize,
    /// Whether the packet in it may not be fragmented.
    pub dont_fragment: bool,
    /// Flow of the packet in it.
    pub tuple: I::Tuple,
}

impl<I: IcmpFamily> TunnelError<I> {
    /// Reads the message behind `ip` in `head`, the linear part of a packet of the family `O`, as
    /// the tunnel's are.
    ///
    /// # Errors
    ///
    /// `NotLinear`; anything else: it is no such message, or its sender has quoted too little.
    pub fn parse<O: IcmpFamily>(head: &[u8], ip: &O::Ip) -> Result<Self, Error> {
        if ip.is_fragment() {
            return Err(Error::Fragment);
        }
        if ip.protocol() != O::ICMP {
            return Err(Error::Protocol);
        }
        let len = ip.total_len();
        let head = head.get(..len).unwrap_or(head);
        let &[kind, code, _, _, rest @ ..] = chunk::<ICMP_LEN>(head, ip.header_len(), len)?;
        let report = O::report(kind, code, rest).ok_or(Error::IcmpQuery)?;
        let outer_offset = ip.header_len().saturating_add(ICMP_LEN);
        let outer = O::Ip::parse_at(head, outer_offset, len)?;
        if outer.is_later_fragment() {
            return Err(Error::Fragment);
        }
        let behind = outer_offset.saturating_add(outer.header_len());
        let mut tunnel = Tunnel::IPIP;
        tunnel.kind = match outer.protocol() {
            protocol if protocol == I::IN_IP => TunnelKind::Ipip,
            GRE => TunnelKind::Gre,
            UDP => TunnelKind::Gue,
            _ => return Err(Error::Protocol),
        };
        if tunnel.kind == TunnelKind::Gue {
            let &[_, _, p0, p1, ..] = chunk::<12>(head, behind, len)?;
            tunnel.port = u16::from_be_bytes([p0, p1]);
        }
        let _: &[u8; 4] = chunk(head, behind, len)?;
        let offset = head
            .get(behind..)
            .and_then(|head| tunnel.inner_offset(head, I::IN_IP));
        let inner_offset = behind.saturating_add(offset.ok_or(Error::Protocol)?);
        let inner = I::Ip::parse_at(head, inner_offset, len)?;
        if inner.is_later_fragment() {
            return Err(Error::Fragment);
        }
        if !matches!(inner.protocol(), TCP | UDP | SCTP) {
            return Err(Error::Protocol);
        }
        let payload = inner_offset.saturating_add(inner.header_len());
        let ports = u32::from_le_bytes(*chunk::<4>(head, payload, len)?);
        Ok(Self {
            kind,
            code,
            report,
            dest: outer.tuple(0).dst().into(),
            tunnel,
            outer_offset,
            inner_offset,
            dont_fragment: inner.dont_fragment(),
            tuple: inner.tuple(ports),
        })
    }

    /// Whether `tunnel`, which leads to `dest`, is the one that it is about.
    pub fn is_about(&self, dest: IpAddr, tunnel: Tunnel) -> bool {
        let sum = TunnelSum::None;
        dest == self.dest && Tunnel { sum, ..tunnel } == self.tunnel
    }

    /// Type and code of what the sender of the packet in the tunnel is told, where the tunnel's
    /// packets are of the family `O`.
    pub fn told<O: IcmpFamily>(&self) -> (u8, u8) {
        match self.report {
            Report::TooBig(_) => I::TOO_BIG,
            _ if O::VERSION == I::VERSION => (self.kind, self.code),
            _ => I::UNREACHABLE,
        }
    }

    /// The MTU of the tunnel, where the error says that of the path: what fits in there.
    pub fn inner_mtu(&self) -> Option<u32> {
        let Report::TooBig(mtu) = self.report else {
            return None;
        };
        let overhead = self.inner_offset.saturating_sub(self.outer_offset);
        mtu.checked_sub(u32::try_from(overhead).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::super::super::family::{V4, V6};
    use super::super::{Ipv4, Ipv6};
    use super::*;

    fn ipv4(protocol: u8, to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let len = (20 + payload.len()) as u16;
        let [l0, l1] = len.to_be_bytes();
        let mut packet = vec![
            0x45, 0, l0, l1, 0, 0, 0x40, 0, 63, protocol, 0, 0, 10, 0, 0, 1,
        ];
        packet.extend(to);
        packet.extend(payload);
        packet
    }

    fn error(tunnel: &[u8], protocol: u8) -> Vec<u8> {
        let tcp = [0x9c, 0x40, 0, 80, 0, 0, 0, 1];
        let inner = ipv4(TCP, [203, 0, 113, 10], &tcp);
        let outer = ipv4(protocol, [192, 0, 2, 1], &[tunnel, &inner].concat());
        let icmp = [&[3, 4, 0, 0, 0, 0, 5, 0][..], &outer].concat();
        ipv4(V4::ICMP, [10, 0, 0, 1], &icmp)
    }

    #[test]
    fn the_packet_in_every_tunnel_is_found() {
        let gue = [0x80, 1, 0x17, 0xc0, 0, 0, 0, 0, 0, 4, 0, 0];
        for (header, protocol, kind, mtu) in [
            (&[][..], 4, TunnelKind::Ipip, 1260),
            (&[0, 0, 8, 0], 47, TunnelKind::Gre, 1256),
            (&[0x80, 0, 8, 0, 1, 2, 0, 0], 47, TunnelKind::Gre, 1252),
            (&gue, 17, TunnelKind::Gue, 1248),
        ] {
            let bytes = error(header, protocol);
            let ip = Ipv4::parse(&bytes, bytes.len()).unwrap();
            let error = TunnelError::<V4>::parse::<V4>(&bytes, &ip).unwrap();
            assert_eq!(error.tunnel.kind, kind);
            assert_eq!(error.inner_mtu(), Some(mtu));
            assert_eq!(error.tuple.destination().to_string(), "203.0.113.10:80");
            assert_eq!(error.dest, Ipv4Addr::new(192, 0, 2, 1));
            assert_eq!(error.told::<V4>(), (3, 4));
            assert!(TunnelError::<V6>::parse::<V4>(&bytes, &ip).is_err());
            assert!(error.is_about(error.dest, error.tunnel));
            assert!(!error.is_about(IpAddr::V4(Ipv4Addr::LOCALHOST), error.tunnel));
            // Cut anywhere, it is no such error.
            for len in 20..bytes.len() {
                let mut short = bytes[..len].to_vec();
                short[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                let ip = Ipv4::parse(&short, len).unwrap();
                let parsed = TunnelError::<V4>::parse::<V4>(&short, &ip);
                assert!(parsed.is_err() || len >= bytes.len() - 4);
                assert!(!matches!(parsed, Err(Error::NotLinear(_))));
            }
        }
    }

    fn ipv6(protocol: u8, to: u8, payload: &[u8]) -> Vec<u8> {
        let [l0, l1] = (payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, l0, l1, protocol, 63];
        packet.extend(
            [[0x20; 15], [to; 15]]
                .iter()
                .flat_map(|a| a.iter().copied().chain([1])),
        );
        packet.extend(payload);
        packet
    }

    #[test]
    fn tunnels_over_ipv6_carry_either() {
        let tcp = [0x9c, 0x40, 0, 80, 0, 0, 0, 1];
        for (header, protocol, overhead) in [
            (&[][..], 41, 40),
            (&[0, 0, 0x86, 0xdd], 47, 44),
            (&[0x80, 1, 0x17, 0xc0, 0, 0, 0, 0, 0, 41, 0, 0], 17, 52),
        ] {
            let inner = ipv6(TCP, 0x22, &tcp);
            let outer = ipv6(protocol, 0x21, &[header, &inner].concat());
            for (icmp, told) in [
                ([2, 0, 0, 0, 0, 0, 5, 120], (2, 0)),
                ([1, 4, 0, 0, 0, 0, 0, 0], (1, 4)),
            ] {
                let bytes = ipv6(V6::ICMP, 0x23, &[&icmp[..], &outer].concat());
                let ip = Ipv6::parse(&bytes, bytes.len()).unwrap();
                let error = TunnelError::<V6>::parse::<V6>(&bytes, &ip).unwrap();
                assert_eq!(error.told::<V6>(), told);
                assert!(error.dont_fragment);
                assert_eq!(error.tuple.dport(), 80);
                if told.0 == 2 {
                    assert_eq!(error.inner_mtu(), Some(1400 - overhead));
                }
                assert!(TunnelError::<V4>::parse::<V6>(&bytes, &ip).is_err());
            }
        }
        let inner = ipv4(TCP, [203, 0, 113, 10], &tcp);
        let outer = ipv6(4, 0x21, &inner);
        let bytes = ipv6(
            V6::ICMP,
            0x23,
            &[&[3, 0, 0, 0, 0, 0, 0, 0][..], &outer].concat(),
        );
        let ip = Ipv6::parse(&bytes, bytes.len()).unwrap();
        let error = TunnelError::<V4>::parse::<V6>(&bytes, &ip).unwrap();
        assert_eq!(error.told::<V6>(), (3, 1));
        assert_eq!(error.tuple.destination().to_string(), "203.0.113.10:80");
    }
}
