// SPDX-License-Identifier: GPL-2.0

//! Writing datagrams.

use super::{
    super::persistence_engine::Engine,
    entry::{write_end, write_lengths, Entry},
    option,
    ranges::Range,
    tail::Tail,
    ENTRY_V4, ENTRY_V6, HEADER, IPV6, VERSION,
};

/// A datagram that is being written, into a buffer that the caller has: as much of it as is written
/// can be sent at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    len: u16,
    count: u8,
}

impl Draft {
    /// Begins one, of directors with that id. None where the buffer has no room for a header.
    pub fn begin(buffer: &mut [u8], id: u8) -> Option<Self> {
        let draft = Self {
            len: HEADER as u16,
            count: 0,
        };
        let head = buffer.first_chunk_mut::<HEADER>()?;
        *head = [0, id, 0, HEADER as u8, 0, VERSION, 0, 0];
        Some(draft)
    }

    /// Bytes that are written.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is no entry in it.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an entry. False where there is no room for it; nothing is written then.
    pub fn add(&mut self, buffer: &mut [u8], entry: &Entry<'_>) -> bool {
        self.try_add(buffer, entry).is_some()
    }

    fn try_add(&mut self, buffer: &mut [u8], entry: &Entry<'_>) -> Option<()> {
        let length = length(entry);
        let count = self.count.checked_add(1)?;
        let (len, room) = self.append(buffer, length)?;
        write(entry, length, &mut filling(room));
        let [_, _, _, _, in_all] = buffer.first_chunk_mut::<5>()?;
        *in_all = count;
        (self.len, self.count) = (len, count);
        Some(())
    }

    /// Adds an entry of that length, as `entry` says it, which is asked once. False where there is no room
    /// for it.
    #[inline(always)]
    pub fn add_brief<const N: usize>(
        &mut self,
        buffer: &mut [u8],
        entry: impl FnOnce() -> [u8; N],
    ) -> bool {
        self.try_add_brief(buffer, entry).is_some()
    }

    #[inline(always)]
    fn try_add_brief<const N: usize>(
        &mut self,
        buffer: &mut [u8],
        entry: impl FnOnce() -> [u8; N],
    ) -> Option<()> {
        let count = self.count.checked_add(1)?;
        let (len, room) = self.append(buffer, N)?;
        *room.first_chunk_mut()? = entry();
        let [_, _, _, _, in_all] = buffer.first_chunk_mut::<5>()?;
        *in_all = count;
        (self.len, self.count) = (len, count);
        Some(())
    }

    /// Ends it with a tail. How long all is; none where there is no room for it. The draft stays as it
    /// is, but that nothing may be added to it any more.
    pub fn close(&self, buffer: &mut [u8], tail: &Tail, ranges: &[Range]) -> Option<usize> {
        let (len, room) = self.append(buffer, tail.len(ranges.len()))?;
        tail.write(ranges, &mut filling(room));
        Some(len.into())
    }

    /// Room for so many bytes more, aligned, and how long all is with them.
    #[inline]
    fn append<'a>(&self, buffer: &'a mut [u8], length: usize) -> Option<(u16, &'a mut [u8])> {
        let start = self.len().next_multiple_of(4);
        let end = start.checked_add(length)?;
        let len = u16::try_from(end).ok()?;
        if start > self.len() {
            buffer.get_mut(self.len()..start)?.fill(0);
        }
        let (head, rest) = buffer.get_mut(..end)?.split_at_mut_checked(start)?;
        let [_, _, size @ ..] = head.first_chunk_mut::<4>()?;
        *size = len.to_be_bytes();
        Some((len, rest))
    }
}

/// Puts bytes into a room, one behind the other: as many as were counted.
fn filling(mut rest: &mut [u8]) -> impl FnMut(&[u8]) + '_ {
    move |bytes| {
        if let Some((part, behind)) = core::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
            part.copy_from_slice(bytes);
            rest = behind;
        }
    }
}

/// Bytes of datagrams that may wait in all queues of a daemon together, and of those that it keeps.
const WAITING_MAX: usize = 8 << 20;

/// How many datagrams of at most `max_len` bytes may wait in each of so many queues, where `asked` are
/// asked for: one at least.
pub const fn waiting(asked: usize, queues: usize, max_len: usize) -> usize {
    let all = queues.saturating_mul(max_len);
    let fit = match WAITING_MAX.checked_div(all) {
        Some(0) | None => 1,
        Some(fit) => fit,
    };
    if asked < fit {
        asked
    } else {
        fit
    }
}

/// The persistence engine that calls are of, as it is called in entries.
const ENGINE: &[u8] = Engine::Sip.name().as_bytes();

/// Bytes of an entry, with its options.
fn length(entry: &Entry<'_>) -> usize {
    let fixed = if entry.client.is_ipv6() {
        ENTRY_V6
    } else {
        ENTRY_V4
    };
    let own = entry
        .own
        .map_or(0, |own| own.len().saturating_add(option::HEAD));
    let ended = if entry.ended { 3 } else { 0 };
    let call = match entry.call {
        [] => 0,
        call => call.len().saturating_add(ENGINE.len()).saturating_add(4),
    };
    let lengths = entry
        .lengths
        .map_or(0, |_| option::SEQUENCES_LEN.saturating_add(option::HEAD));
    fixed
        .saturating_add(own)
        .saturating_add(ended)
        .saturating_add(call)
        .saturating_add(lengths)
}

fn write(entry: &Entry<'_>, length: usize, out: &mut impl FnMut(&[u8])) {
    let family = if entry.client.is_ipv6() { IPV6 } else { 0 };
    let ends = [entry.client, entry.virtual_address, entry.dest];
    out(&[family, entry.protocol]);
    // Of 4 bits less, as all entries are.
    out(&(length as u16).to_be_bytes());
    out(&entry.flags.to_be_bytes());
    out(&entry.state.to_be_bytes());
    ends.iter().for_each(|end| out(&end.port().to_be_bytes()));
    out(&entry.mark.to_be_bytes());
    out(&entry.seconds.to_be_bytes());
    let ipv6 = entry.client.is_ipv6();
    ends.iter().for_each(|end| write_end(end.ip(), ipv6, out));
    if let Some(lengths) = &entry.lengths {
        out(&[option::SEQUENCES, option::SEQUENCES_LEN as u8]);
        write_lengths(lengths, out);
    }
    if let Some(own) = &entry.own {
        let kind = match own.local.is_ipv6() == ipv6 {
            true => option::OWN | option::MAY_PASS,
            false => option::CROSSING,
        };
        out(&[kind, own.len() as u8]);
        own.write(out);
    }
    if entry.ended {
        out(&[option::ENDED | option::MAY_PASS, 1, 1]);
    }
    if !entry.call.is_empty() {
        // As `ip_vs`, in that order.
        out(&[option::ENGINE_DATA, entry.call.len() as u8]);
        out(entry.call);
        out(&[option::ENGINE_NAME, ENGINE.len() as u8]);
        out(ENGINE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_by_bytes() {
        assert_eq!(waiting(4096, 1, 1472), 4096);
        assert_eq!(waiting(100, 1, 1472), 100);
        for (queues, max_len) in [(1, 65_507), (64, 1472), (64, 65_507), (1, 32)] {
            let waiting = waiting(usize::MAX, queues, max_len);
            assert!(waiting >= 1 && waiting * queues * max_len <= WAITING_MAX);
        }
        assert_eq!(waiting(5, 0, 0), 1);
        assert_eq!(waiting(5, usize::MAX, usize::MAX), 1);
    }
}
