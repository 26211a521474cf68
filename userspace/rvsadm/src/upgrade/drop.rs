// SPDX-License-Identifier: GPL-2.0

//! Dropping packets of a namespace while there is no module: a table of nftables that belongs to this
//! program's socket, so that it goes with it however the program ends.
//!
//! C header: [`include/uapi/linux/netfilter/nf_tables.h`](srctree/include/uapi/linux/netfilter/nf_tables.h)

use std::collections::BTreeSet;
use std::net::IpAddr;

use rvs_netlink::{Datagrams, Error, NetlinkSocket};

/// `NETLINK_NETFILTER`.
const NETFILTER: isize = 12;

/// The table's name.
const TABLE: &str = "rvs-upgrade";

/// `NFPROTO_INET`, for both IP versions.
const INET: u8 = 1;

/// `NFNL_SUBSYS_NFTABLES`, and with it numbers of messages.
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = 0;
const DEL_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;

/// `NLM_F_REQUEST | NLM_F_ACK`, and with `NLM_F_CREATE`.
const ASK: u16 = 1 | 4;
const CREATE: u16 = ASK | 0x400;

/// Elements in one message: an attribute has 64 KiB at most.
const ELEMENTS: usize = 1000;

/// Places in which packets are met: name, hook, priority. Ahead of RVS and of conntrack; and once more
/// where marks are known.
const CHAINS: [(&str, u32, i32); 4] = [
    ("in", 0, -450),
    ("out", 3, -450),
    ("in-marked", 0, -149),
    ("out-marked", 3, -149),
];

/// Addresses, by what of a packet they are: name, IP version, where in the header.
const SETS: [(&str, u8, u32); 4] = [
    ("to4", 4, 16),
    ("to6", 6, 24),
    ("from4", 4, 12),
    ("from6", 6, 8),
];

/// What is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct What {
    /// Packets to these addresses: virtual and local ones.
    pub to: BTreeSet<IpAddr>,
    /// Packets from these: real servers whose answers are translated.
    pub from: BTreeSet<IpAddr>,
    /// Packets with these marks.
    pub marks: BTreeSet<u32>,
}

impl What {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.to.is_empty() && self.from.is_empty() && self.marks.is_empty()
    }

    fn of_set(&self, name: &str, version: u8) -> Vec<IpAddr> {
        let all = if name.starts_with("to") {
            &self.to
        } else {
            &self.from
        };
        let addresses = all.iter().copied();
        addresses
            .filter(|address| address.is_ipv6() == (version == 6))
            .collect()
    }
}

/// A table of one namespace. What it drops is dropped until this is.
pub struct Dropping {
    socket: NetlinkSocket,
    sequence: u32,
}

impl Dropping {
    /// Prepares it in the namespace of this thread: nothing is dropped yet.
    pub fn prepare() -> Result<Self, Error> {
        let mut this = Self {
            socket: NetlinkSocket::open(NETFILTER)?,
            sequence: 0,
        };
        let mut batch = Batch::new();
        // Those of others it may not have; one with an owner has the name to itself.
        batch.add(NEW_TABLE, CREATE, &[text(1, TABLE), word(2, 2)]);
        for (name, version, _) in SETS {
            let (kind, length) = if version == 6 { (8, 16) } else { (7, 4) };
            batch.add(
                NEW_SET,
                CREATE,
                &[
                    text(1, TABLE),
                    text(2, name),
                    word(3, 0),
                    word(4, kind),
                    word(5, length),
                    word(10, 1),
                ],
            );
        }
        for (name, hook, priority) in CHAINS {
            let hook = nest(4, &[word(1, hook), word(2, priority as u32)]);
            let parts = [text(1, TABLE), text(3, name), hook, text(7, "filter")];
            batch.add(NEW_CHAIN, CREATE, &parts);
        }
        this.commit(batch)?;
        Ok(this)
    }

    /// Has addresses dropped as well, once it drops.
    pub fn add(&mut self, what: &What) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (name, version, _) in SETS {
            for some in what.of_set(name, version).chunks(ELEMENTS) {
                let elements: Vec<_> = some
                    .iter()
                    .map(|address| match address {
                        IpAddr::V4(v4) => element(&v4.octets()),
                        IpAddr::V6(v6) => element(&v6.octets()),
                    })
                    .collect();
                let parts = [text(1, TABLE), text(2, name), nest(3, &elements)];
                batch.add(NEW_ELEMENTS, CREATE, &parts);
            }
        }
        for (chain, ..) in CHAINS.iter().filter(|(name, ..)| name.ends_with("marked")) {
            for mark in &what.marks {
                let parts = [meta(3), equals(&mark.to_ne_bytes()), dropped()];
                batch.rule(chain, &parts);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.commit(batch)
    }

    /// From now on packets are dropped.
    pub fn begin(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (chain, ..) in CHAINS.iter().filter(|(name, ..)| !name.ends_with("marked")) {
            for (name, version, at) in SETS {
                let (protocol, length) = if version == 6 { (10, 16) } else { (2, 4) };
                let load = [word(1, 1), word(2, 1), word(3, at), word(4, length)];
                let look = [text(1, name), word(2, 1)];
                let parts = [
                    meta(15),
                    equals(&[protocol]),
                    expression("payload", &load),
                    expression("lookup", &look),
                    dropped(),
                ];
                batch.rule(chain, &parts);
            }
        }
        self.commit(batch)
    }

    /// No more is dropped.
    pub fn end(mut self) {
        let mut batch = Batch::new();
        batch.add(DEL_TABLE, ASK, &[text(1, TABLE)]);
        // What this does not do the socket's end does.
        let _ = self.commit(batch);
    }

    /// Makes the changes of a batch, all or none.
    fn commit(&mut self, batch: Batch) -> Result<(), Error> {
        let (bytes, last) = batch.bytes(self.sequence);
        self.sequence = last;
        self.socket.send(&bytes)?;
        // Each message is acknowledged; of one that is refused all the rest is for nothing.
        loop {
            let mut rest = self.socket.receive()?;
            while let Some((header, _)) = rest.split_first_chunk::<20>() {
                let field = |at: usize| {
                    let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
                    bytes.map_or(0, |bytes| i32::from_ne_bytes(*bytes))
                };
                let (length, sequence, error) = (field(0), field(8), field(16));
                if error != 0 {
                    let error = std::io::Error::from_raw_os_error(error.saturating_neg());
                    return Err(Error::Io("a table of nftables", error));
                }
                if sequence as u32 == last {
                    return Ok(());
                }
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

/// Changes that are made together.
struct Batch(Vec<(u16, u16, Vec<u8>)>);

impl Batch {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, what: u16, flags: u16, attributes: &[Vec<u8>]) {
        self.0
            .push(((NFTABLES << 8) | what, flags, attributes.concat()));
    }

    fn rule(&mut self, chain: &str, expressions: &[Vec<u8>]) {
        // `NLM_F_APPEND`.
        let parts = [text(1, TABLE), text(2, chain), nest(4, expressions)];
        self.add(NEW_RULE, CREATE | 0x800, &parts);
    }

    /// As it is sent, with the number of the last message that is acknowledged; `before` is that of the
    /// batch ahead.
    fn bytes(self, before: u32) -> (Vec<u8>, u32) {
        let mut bytes = Vec::new();
        let mut sequence = before;
        let mut put = |what: u16, flags: u16, family: u8, content: &[u8]| {
            sequence = sequence.wrapping_add(1);
            let length = 20 + content.len();
            bytes.extend((length as u32).to_ne_bytes());
            bytes.extend(what.to_ne_bytes());
            bytes.extend(flags.to_ne_bytes());
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend([0; 4]);
            let [high, low] = if family == 0 {
                NFTABLES.to_be_bytes()
            } else {
                [0; 2]
            };
            bytes.extend([family, 0, high, low]);
            bytes.extend(content);
            sequence
        };
        // `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
        put(0x10, 1, 0, &[]);
        let mut last = before;
        for (what, flags, content) in &self.0 {
            last = put(*what, *flags, INET, content);
        }
        put(0x11, 1, 0, &[]);
        (bytes, last)
    }
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = 4 + content.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend((length as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn word(kind: u16, number: u32) -> Vec<u8> {
    attribute(kind, &number.to_be_bytes())
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    // `NLA_F_NESTED`.
    attribute(kind | 0x8000, &parts.concat())
}

fn element(key: &[u8]) -> Vec<u8> {
    nest(1, &[nest(1, &[attribute(1, key)])])
}

fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    nest(1, &[text(1, name), nest(2, parts)])
}

/// Loads something of a packet into the register.
fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[word(1, 1), word(2, key)])
}

/// Goes on if the register has that.
fn equals(value: &[u8]) -> Vec<u8> {
    expression(
        "cmp",
        &[word(1, 1), word(2, 0), nest(3, &[attribute(1, value)])],
    )
}

/// Drops the packet.
fn dropped() -> Vec<u8> {
    let verdict = nest(2, &[nest(2, &[word(1, 0)])]);
    expression("immediate", &[word(1, 0), verdict])
}
