// SPDX-License-Identifier: GPL-2.0

//! Reading datagrams.
//!
//! What others may have sent is looked at as a whole first: of a datagram that lies about what it is
//! made of nothing is taken. An entry that only says what cannot be, or what is not known here, is
//! left out alone, as `ip_vs` does.

use core::net::{IpAddr, SocketAddr};

use super::{
    super::{persistence_engine::Engine, sip},
    entry::{read_lengths, Entry, Own, Reader},
    fault::Fault,
    option,
    tail::{Tail, Tailed},
    ENTRY_V4, ENTRY_V6, HEADER, IPV6, LENGTH, VERSION,
};

/// A datagram whose parts are where they should be.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    entries: &'a [u8],
    count: u8,
    id: u8,
    tailed: Option<Tailed<'a>>,
}

impl<'a> Datagram<'a> {
    /// Reads one of directors with that id; of any where it is 0.
    ///
    /// # Errors
    ///
    /// Why nothing of it is taken.
    pub fn read(bytes: &'a [u8], id: u8) -> Result<Self, Fault> {
        // Version 0 has a header of half the length and no version in it.
        let (head, entries) = bytes.split_at_checked(HEADER).ok_or(Fault::Length)?;
        let [reserved, sent_id, high, low, count, version, spare @ ..] = head else {
            return Err(Fault::Length);
        };
        if usize::from(u16::from_be_bytes([*high, *low])) != bytes.len() {
            return Err(Fault::Length);
        }
        if id != 0 && *sent_id != id {
            return Err(Fault::Id);
        }
        if *reserved != 0 || *version != VERSION || spare.iter().any(|byte| *byte != 0) {
            return Err(Fault::Version);
        }
        let mut rest = entries;
        for _ in 0..*count {
            let (raw, behind) = Raw::cut(rest)?;
            raw.check()?;
            rest = behind;
        }
        Ok(Self {
            entries,
            count: *count,
            id: *sent_id,
            tailed: Tail::read(rest)?,
        })
    }

    /// The id of who sent it.
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// What stands behind the entries, of RVS.
    pub const fn tailed(&self) -> Option<Tailed<'a>> {
        self.tailed
    }

    /// How many entries it has.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its entries; an error where one is not taken.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, Fault>> + 'a {
        self.raw().map(|raw| raw?.entry())
    }

    /// The entries as bytes; an error is the last.
    fn raw(&self) -> impl Iterator<Item = Result<Raw<'a>, Fault>> + use<'a> {
        let (mut rest, mut left) = (self.entries, self.count);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Some(match Raw::cut(rest) {
                Ok((raw, behind)) => {
                    rest = behind;
                    Ok(raw)
                }
                Err(fault) => {
                    left = 0;
                    Err(fault)
                }
            })
        })
    }
}

/// An entry as bytes: as many as one of its family has, and its options.
struct Raw<'a> {
    fixed: &'a [u8],
    options: &'a [u8],
    ipv6: bool,
}

impl<'a> Raw<'a> {
    /// The first one, and what is behind it.
    fn cut(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        let [family, _, high, low, ..] = *bytes else {
            return Err(Fault::Entry);
        };
        let ipv6 = match family {
            0 => false,
            family if family & IPV6 != 0 => true,
            _ => return Err(Fault::Entry),
        };
        let length = u16::from_be_bytes([high, low]);
        if length & !LENGTH != 0 {
            return Err(Fault::Entry);
        }
        let length = usize::from(length);
        let (entry, _) = bytes.split_at_checked(length).ok_or(Fault::Entry)?;
        let fixed = if ipv6 { ENTRY_V6 } else { ENTRY_V4 };
        let (fixed, options) = entry.split_at_checked(fixed).ok_or(Fault::Entry)?;
        // The last one is not padded.
        let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        let raw = Self {
            fixed,
            options,
            ipv6,
        };
        Ok((raw, behind))
    }

    /// Its options; an error is the last.
    fn options(&self) -> impl Iterator<Item = Result<(u8, &'a [u8]), Fault>> + use<'a> {
        let mut rest = self.options;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let option = cut_option(rest);
            rest = option.map_or(&[], |(_, _, behind)| behind);
            Some(
                option
                    .map(|(kind, data, _)| (kind, data))
                    .ok_or(Fault::Option),
            )
        })
    }

    /// Whether its options are where they should be, each once.
    fn check(&self) -> Result<(), Fault> {
        let mut seen = 0u8;
        for option in self.options() {
            let (kind, data) = option?;
            let known = kind & !option::MAY_PASS;
            let fits = match known {
                option::SEQUENCES => data.len() == option::SEQUENCES_LEN,
                option::ENGINE_DATA => true,
                option::ENGINE_NAME => data.len() <= option::ENGINE_NAME_MAX,
                _ => continue,
            };
            let bit = 1u8 << known;
            if !fits || seen & bit != 0 {
                return Err(Fault::Option);
            }
            seen |= bit;
        }
        Ok(())
    }

    fn entry(&self) -> Result<Entry<'a>, Fault> {
        let (mut own, mut ended, mut lengths) = (None, false, None);
        let (mut call, mut engine) = (&[][..], &[][..]);
        for option in self.options() {
            let (kind, data) = option?;
            match kind & !option::MAY_PASS {
                // Moved by more than there is room for: by no helper that is known.
                option::SEQUENCES => {
                    lengths = Some(read_lengths(data).ok_or(Fault::UnknownOption)?);
                }
                option::ENGINE_DATA => call = data,
                option::ENGINE_NAME => engine = data,
                option::OWN if kind & option::MAY_PASS != 0 => own = Own::read(data, self.ipv6),
                option::CROSSING if kind & option::MAY_PASS == 0 && self.ipv6 => {
                    own = Some(Own::read(data, false).ok_or(Fault::UnknownOption)?);
                }
                option::ENDED if kind & option::MAY_PASS != 0 => ended = true,
                _ if kind & option::MAY_PASS != 0 => {}
                _ => return Err(Fault::UnknownOption),
            }
        }
        let is_known = match call {
            [] => engine.is_empty(),
            call => engine == Engine::Sip.name().as_bytes() && sip::is_call_id(call),
        };
        if !is_known {
            return Err(Fault::UnknownOption);
        }
        let entry = self.fields(own, ended).ok_or(Fault::Entry)?;
        Ok(Entry {
            call,
            lengths,
            ..entry
        })
    }

    fn fields(&self, own: Option<Own>, ended: bool) -> Option<Entry<'a>> {
        let mut rest = Reader(self.fixed);
        let [_, protocol, _, _] = rest.array()?;
        let flags = rest.word()?;
        let state = rest.half()?;
        let ports = [rest.half()?, rest.half()?, rest.half()?];
        let (mark, seconds) = (rest.word()?, rest.word()?);
        let mut end = |port| Some(SocketAddr::new(rest.address(self.ipv6)?, port));
        let [client, virtual_port, dest] = ports;
        let (client, virtual_address) = (end(client)?, end(virtual_port)?);
        let dest = crossed(end(dest)?, own.as_ref())?;
        Some(Entry {
            protocol,
            flags,
            state,
            client,
            virtual_address,
            dest,
            mark,
            seconds,
            own,
            ended,
            call: &[],
            lengths: None,
        })
    }
}

/// The dest of an entry of IPv6, as it is; none where it should be one of IPv4 and is not.
fn crossed(dest: SocketAddr, own: Option<&Own>) -> Option<SocketAddr> {
    match (dest.ip(), own) {
        (IpAddr::V6(v6), Some(own)) if own.local.is_ipv4() => {
            Some(SocketAddr::new(v6.to_ipv4_mapped()?.into(), dest.port()))
        }
        _ => Some(dest),
    }
}

/// The first option: kind, data, what is behind it. None where it is cut, or empty.
fn cut_option(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [kind, length, rest @ ..] = bytes else {
        return None;
    };
    let (data, behind) = rest.split_at_checked((*length).into())?;
    (!data.is_empty()).then_some((*kind, data, behind))
}
