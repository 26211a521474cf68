// SPDX-License-Identifier: GPL-2.0

//! A port of the daemon that tells: its datagrams, numbered, and those of them that can be told again.

use kernel::{prelude::*, sync::Arc};

use super::key;
use crate::{
    engine::sync::{ranges::RANGES, waiting, Datagram, Kind, Range, Ranges, Tail},
    kapi::{
        group::{Sender, ALIKE_MAX},
        random,
        sign::Signer,
    },
    table::{Netns, Outbox, Parcel, PeerCount},
};

/// Datagrams that are kept at most: those of half a second at 80,000 connections a second: whoever lacks one
/// asks soon.
const KEPT_MAX: usize = 1024;

/// Datagrams whose connections are told again in a turn.
const AGAIN_MAX: usize = 64;

/// Whoever lacks more datagrams than these is told all that there is, which is quicker.
const FEW: u64 = 128;

/// Datagrams that are shorter than this many bytes are sent one by one.
const TOGETHER: usize = 1000;

/// Questions that are looked at in a turn.
const QUESTIONS: usize = 8;

/// Ranges that are answered at once: with all below the base they are as many as a tail has.
const ANSWERED: usize = RANGES - 1;

/// Seconds for which a question is good. It says which of our seconds was heard last, so that a copy
/// of an old one asks for nothing.
const GOOD_FOR: u32 = 5;

/// One that was sent.
struct Kept {
    number: u64,
    /// None where it was told again since.
    parcel: Option<Parcel>,
}

/// It.
pub(super) struct Line {
    /// Which of the queues it sends.
    queue: usize,
    sender: Option<Sender>,
    /// How many of the last datagrams were not sent yet.
    unsent: usize,
    /// Whether datagrams of one length can be sent together.
    together: bool,
    stream: u64,
    /// The number of the next datagram.
    next: u64,
    /// All with lower numbers was told again.
    base: u64,
    /// By their numbers.
    kept: KVVec<Option<Kept>>,
    /// What has no entries is written here.
    scratch: Parcel,
    /// What was told again.
    ranges: KBox<Ranges>,
    key: Option<Arc<Signer>>,
}

/// What a question needs.
pub(super) struct Turn<'a> {
    pub(super) netns: &'a Netns,
    /// Seconds since the daemon began.
    pub(super) beat: u32,
    /// The id that those who ask have.
    pub(super) id: u8,
    /// For what is told again: of this daemon, and of others.
    pub(super) again: &'a Outbox,
}

impl Line {
    /// One of so many, which begins, for that queue. Number 0 stands for all that there was before: whoever hears the
    /// stream lacks that.
    pub(super) fn new(
        (queue, lines): (usize, usize),
        id: u8,
        max_len: usize,
        key: Option<Arc<Signer>>,
    ) -> Result<Self> {
        let len = waiting(KEPT_MAX, lines, max_len);
        let mut kept = KVVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..len {
            kept.push(None, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            queue,
            sender: None,
            unsent: 0,
            together: true,
            stream: random::u64(),
            next: 1,
            base: 0,
            kept,
            scratch: Parcel::of_tail(id)?,
            ranges: KBox::new(Ranges::new(), GFP_KERNEL_ACCOUNT)?,
            key,
        })
    }

    /// What it sends by from now on.
    pub(super) fn set_sender(&mut self, sender: Option<Sender>) {
        (self.sender, self.together) = (sender, true);
    }

    /// The number of the next datagram.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// All with lower numbers was told again.
    pub(super) fn set_base(&mut self, base: u64) {
        self.base = base;
    }

    fn tail(&self, kind: Kind, beat: u32, nonce: u64) -> Tail {
        Tail {
            kind,
            stream: self.stream,
            number: self.next,
            beat,
            nonce,
            signed: false,
        }
    }

    /// Sends a datagram with entries, at the latest with the next [`flush`](Self::flush). If it does not
    /// go, it can be asked for.
    pub(super) fn send(&mut self, netns: &Netns, mut parcel: Parcel, kind: Kind, beat: u32) {
        let tail = self.tail(kind, beat, 0);
        key::close(&mut parcel, tail, &[], self.key.as_deref());
        let number = self.next;
        self.next = number.saturating_add(1);
        let kept = Kept {
            number,
            parcel: Some(parcel),
        };
        let old = self.place(number).and_then(|place| place.replace(kept));
        if let Some(old) = old.and_then(|old| old.parcel) {
            netns.use_again(self.queue, old);
        }
        self.unsent = self.unsent.saturating_add(1);
        if self.unsent >= ALIKE_MAX.min(self.kept.len()) {
            self.flush(netns);
        }
    }

    /// Sends what was not sent yet.
    #[inline(never)] // Of many pointers.
    pub(super) fn flush(&mut self, netns: &Netns) {
        while self.unsent > 0 {
            let (count, sent) = match self.send_some() {
                Ok(done) => done,
                Err(_) => {
                    self.together = false;
                    continue;
                }
            };
            self.unsent = self.unsent.saturating_sub(count);
            netns.count_peers(PeerCount::of_sent(sent), count as u64);
        }
    }

    /// Sends the first of those that were not sent yet, and with it those that are as long. How many, and
    /// whether there was room for them; an error where they do not go together.
    fn send_some(&self) -> Result<(usize, bool)> {
        let first = self.next.saturating_sub(self.unsent as u64);
        let (mut alike, mut count) = ([&[][..]; ALIKE_MAX], 0usize);
        let most = if self.together { self.unsent } else { 1 };
        let mut length = usize::MAX;
        for (place, number) in alike.iter_mut().zip(first..).take(most) {
            let bytes = self.kept_bytes(number);
            let is_as_long = bytes.len() == length;
            if count > 0 && (length < TOGETHER || bytes.len() > length) {
                break;
            }
            (*place, length) = (bytes, bytes.len());
            count = count.saturating_add(1);
            if count > 1 && !is_as_long {
                // A shorter one is the last.
                break;
            }
        }
        let sent = self.transmit(alike.get(..count).unwrap_or(&[]));
        match sent {
            Err(_) if count > 1 => sent.map(|sent| (count, sent)),
            sent => Ok((count.max(1), sent == Ok(true))),
        }
    }

    fn kept_bytes(&self, number: u64) -> &[u8] {
        let at = number.checked_rem(self.kept.len() as u64).unwrap_or(0);
        let kept = self.kept.get(at as usize).and_then(Option::as_ref);
        let parcel = kept.and_then(|kept| kept.parcel.as_ref());
        parcel.map_or(&[], Parcel::bytes)
    }

    /// Tells how far it is.
    pub(super) fn beat(&mut self, netns: &Netns, beat: u32) {
        self.begin_answer();
        self.end_answer(netns, beat, 0);
    }

    /// All below the base was told again.
    fn begin_answer(&mut self) {
        self.ranges.clear();
        if let Some(all) = Range::new(0, self.base) {
            self.ranges.add(all);
        }
    }

    fn end_answer(&mut self, netns: &Netns, beat: u32, nonce: u64) {
        let tail = self.tail(Kind::Beat, beat, nonce);
        let (ranges, key) = (self.ranges.as_slice(), self.key.as_deref());
        key::close(&mut self.scratch, tail, ranges, key);
        self.flush(netns);
        let sent = self.transmit(&[self.scratch.bytes()]);
        netns.count_peer(PeerCount::of_sent(sent == Ok(true)));
    }

    /// Sends datagrams that are alike. False when there is no room for them now.
    fn transmit(&self, datagrams: &[&[u8]]) -> Result<bool> {
        let sender = self.sender.as_ref();
        sender.map_or(Ok(false), |sender| match datagrams {
            [one] => sender.send(one),
            many => sender.send_alike(many),
        })
    }

    /// Answers those who ask for what they lack. True when they need what is not kept.
    pub(super) fn answer(&mut self, turn: &Turn<'_>, room: &mut [u8]) -> bool {
        let (mut needs_round, mut left) = (false, AGAIN_MAX);
        for _ in 0..QUESTIONS {
            let got = self.sender.as_ref().map(|sender| sender.receive(room));
            let Some(Ok(Some((length, _)))) = got else {
                break;
            };
            let question = room.get(..length).unwrap_or(&[]);
            match key::read(question, turn.id, self.key.as_deref()) {
                Ok(question) => needs_round |= self.answer_one(turn, &question, &mut left),
                Err(fault) => turn.netns.count_fault(fault),
            }
        }
        needs_round
    }

    fn answer_one(&mut self, turn: &Turn<'_>, question: &Datagram<'_>, left: &mut usize) -> bool {
        let tailed = question.tailed();
        let is_ours = |tail: &Tail| tail.kind == Kind::Ask && tail.stream == self.stream;
        let Some(tailed) = tailed.filter(|tailed| is_ours(&tailed.tail)) else {
            turn.netns.count_peer(PeerCount::Stale);
            return false;
        };
        let tail = &tailed.tail;
        if turn.beat.saturating_sub(tail.beat) > GOOD_FOR {
            turn.netns.count_peer(PeerCount::Stale);
            return false;
        }
        let mut needs_round = false;
        self.begin_answer();
        for asked in tailed.ranges().take(ANSWERED) {
            let (from, to) = (asked.from.max(self.base), asked.to.min(self.next));
            if to.saturating_sub(from) > FEW {
                needs_round = true;
                continue;
            }
            let upto = self.tell_again(turn, (from, to), left);
            needs_round |= upto < to && *left > 0;
            if let Some(range) = Range::new(from, upto) {
                self.ranges.add(range);
            }
        }
        self.send_again(turn);
        self.end_answer(turn.netns, turn.beat, tail.nonce);
        needs_round
    }

    /// Tells of what was told under these numbers, for `left` datagrams. The number it came to.
    fn tell_again(&mut self, turn: &Turn<'_>, (from, to): (u64, u64), left: &mut usize) -> u64 {
        for number in from..to {
            let kept = self.place(number).and_then(Option::as_mut);
            let Some(kept) = kept.filter(|kept| kept.number == number) else {
                return number;
            };
            let Some(parcel) = &kept.parcel else {
                continue;
            };
            if *left == 0 {
                return number;
            }
            let told = Datagram::read(parcel.bytes(), 0);
            if told.is_ok_and(|told| !turn.netns.tell_again(&told, turn.again)) {
                // No memory: it is asked for again.
                *left = 0;
                return number;
            }
            kept.parcel = None;
            *left = left.saturating_sub(1);
            turn.netns.count_peer(PeerCount::Again);
        }
        to
    }

    fn send_again(&mut self, turn: &Turn<'_>) {
        for (queue, kind) in [Kind::Entries, Kind::Hearsay].into_iter().enumerate() {
            for parcel in turn.again.take(queue) {
                self.send(turn.netns, parcel, kind, turn.beat);
            }
        }
    }

    /// Where the datagram of a number is kept, if it is.
    fn place(&mut self, number: u64) -> Option<&mut Option<Kept>> {
        let len = self.kept.len() as u64;
        let at = number.checked_rem(len)?;
        self.kept.get_mut(at as usize)
    }
}
