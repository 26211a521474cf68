// SPDX-License-Identifier: GPL-2.0

//! One request and its answers, whatever the family.

use netlink_packet_core::{
    NetlinkBuffer, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
};

use crate::{Datagrams, Error, NetlinkSocket, Refusal};

/// Size of a netlink header.
const HEADER: usize = 16;

/// How many answers a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// At most one, then an ack.
    One,
    /// A list in many messages.
    Dump,
}

/// Sends requests and reads their answers.
pub struct Exchange<D = NetlinkSocket> {
    datagrams: D,
    sequence: u32,
    speaks_rvs: bool,
}

impl<D: Datagrams> Exchange<D> {
    /// Works over `datagrams`.
    pub fn new(datagrams: D) -> Self {
        Self {
            datagrams,
            sequence: 0,
            speaks_rvs: false,
        }
    }

    /// From here on requests are of the family `rvs`, so that a refusal can name their attributes.
    pub(crate) fn speak_rvs(&mut self) {
        self.speaks_rvs = true;
    }

    /// Sends `message` with `flags` besides the usual ones, and hands each answer to `sink`.
    ///
    /// A dump that a change interrupted ends in [`Error::Interrupted`], with one attempt.
    pub fn run<Q, R>(
        &mut self,
        message: Q,
        replies: Replies,
        flags: u16,
        sink: &mut dyn FnMut(R) -> Result<(), Error>,
    ) -> Result<(), Error>
    where
        Q: NetlinkSerializable,
        R: NetlinkDeserializable,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let request = serialize(message, replies, flags, self.sequence);
        self.datagrams.send(&request)?;
        let named: &[u8] = if self.speaks_rvs { &request } else { &[] };
        let mut interrupted = false;
        loop {
            let datagram = self.datagrams.receive()?;
            for message in Messages(datagram) {
                let message = message?;
                let header = NetlinkBuffer::new(message);
                if header.sequence_number() != self.sequence {
                    // Left from an exchange that ended early.
                    continue;
                }
                interrupted |= header.flags() & NLM_F_DUMP_INTR != 0;
                match NetlinkMessage::<R>::deserialize(message)?.payload {
                    NetlinkPayload::InnerMessage(reply) => sink(reply)?,
                    NetlinkPayload::Error(error) => {
                        let tlvs = error_tlvs(header.flags(), &error.header);
                        return outcome(error.raw_code(), tlvs, named, interrupted);
                    }
                    NetlinkPayload::Done(done) => {
                        return outcome(done.code, &done.extended_ack, named, interrupted);
                    }
                    NetlinkPayload::Overrun(_) => return Err(Error::Overrun),
                    _ => {}
                }
            }
        }
    }
}

/// Bytes of a request.
fn serialize<Q: NetlinkSerializable>(
    message: Q,
    replies: Replies,
    flags: u16,
    sequence: u32,
) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.sequence_number = sequence;
    header.flags = flags
        | NLM_F_REQUEST
        | match replies {
            Replies::One => NLM_F_ACK,
            Replies::Dump => NLM_F_DUMP,
        };
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The end of an exchange.
fn outcome(code: i32, tlvs: &[u8], request: &[u8], interrupted: bool) -> Result<(), Error> {
    if code < 0 {
        return Err(Error::Refused(Refusal::new(
            code.saturating_neg(),
            tlvs,
            request,
        )));
    }
    if interrupted {
        return Err(Error::Interrupted { attempts: 1 });
    }
    Ok(())
}

/// The extended ack behind what an error message repeats of the request.
fn error_tlvs(flags: u16, repeated: &[u8]) -> &[u8] {
    if flags & NLM_F_ACK_TLVS == 0 {
        return &[];
    }
    let skip = if flags & NLM_F_CAPPED != 0 {
        HEADER
    } else {
        // The whole request; its length is in the first word of its header.
        let length = repeated.first_chunk().copied().map(u32::from_ne_bytes);
        let length = usize::try_from(length.unwrap_or(0)).unwrap_or(usize::MAX);
        length.checked_next_multiple_of(4).unwrap_or(usize::MAX)
    };
    repeated.get(skip..).unwrap_or(&[])
}

/// The messages of a datagram.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let length = match NetlinkBuffer::new_checked(&self.0) {
            Ok(buffer) => usize::try_from(buffer.length()).unwrap_or(usize::MAX),
            Err(error) => {
                self.0 = &[];
                return Some(Err(error.into()));
            }
        };
        // `new_checked` has seen that the length is neither over the buffer nor under a header.
        let (message, _) = self.0.split_at_checked(length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Ok(message))
    }
}
