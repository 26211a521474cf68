// SPDX-License-Identifier: GPL-2.0

//! Records of counts.

use super::super::spec::{DestId, ServiceId};
use super::bytes::{Reader, Writer};
use super::fault::Fault;

/// Counts of one thing at most.
const MOST: usize = 24;

/// Whose counts they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A dest's traffic.
    Dest(ServiceId, DestId),
    /// A service's traffic that is none of its dests'.
    Service(ServiceId),
    /// The namespace's traffic that is none of its services'.
    Namespace,
    /// What happened in the namespace.
    Events,
}

/// What something has counted, in an order of its own to which new counts are only appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Whose they are.
    pub owner: Owner,
    numbers: [u64; MOST],
    len: u8,
}

impl Counts {
    /// As many of those numbers as there is room for.
    pub fn new(owner: Owner, from: &[u64]) -> Self {
        let mut numbers = [0; MOST];
        numbers
            .iter_mut()
            .zip(from)
            .for_each(|(to, from)| *to = *from);
        Self {
            owner,
            numbers,
            len: from.len().min(MOST) as u8,
        }
    }

    /// The numbers.
    pub fn numbers(&self) -> &[u64] {
        self.numbers.get(..self.len.into()).unwrap_or(&[])
    }

    /// Whether nothing was counted.
    pub fn is_nothing(&self) -> bool {
        self.numbers().iter().all(|number| *number == 0)
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) {
        match self.owner {
            Owner::Dest(service, dest) => {
                out.byte(0);
                out.service(service);
                out.dest(dest);
            }
            Owner::Service(service) => {
                out.byte(1);
                out.service(service);
            }
            Owner::Namespace => out.byte(2),
            Owner::Events => out.byte(3),
        }
        out.byte(self.len);
        self.numbers().iter().for_each(|number| out.long(*number));
    }

    #[inline(never)] // In the kernel frames are small.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let owner = match from.byte()? {
            0 => Owner::Dest(from.service()?, from.dest()?),
            1 => Owner::Service(from.service()?),
            2 => Owner::Namespace,
            3 => Owner::Events,
            _ => return Err(Fault::Content),
        };
        let len = from.byte()?;
        let mut numbers = [0; MOST];
        let room = numbers.get_mut(..len.into()).ok_or(Fault::Content)?;
        for number in room {
            *number = from.long()?;
        }
        Ok(Self {
            owner,
            numbers,
            len,
        })
    }
}
