// SPDX-License-Identifier: GPL-2.0

//! Links in the table's chains, and the keys that they start.

use core::{
    ptr::{self, NonNull},
    sync::atomic::AtomicPtr,
};

use crate::engine::{
    family::Tuple,
    tuple::{TupleV4, TupleV6},
};

/// Where the client's key is in a connection of any layout: bytes of its first part.
pub(super) const CLIENT_OFFSET: usize = 24;

/// Where the IP version of a node's key is in the tag.
const VERSION_SHIFT: u32 = 32;

/// Where in the tag the distance of a node from the start of its connection is, in bytes; not part
/// of the key.
const OFFSET_SHIFT: u32 = 48;

/// In the tag, with the IP version: the key is not of packets as they are once the host has translated
/// them, but as they arrive. Ordinary look-ups do not find it.
pub(super) const ARRIVING: u8 = 8;

/// In the tag: any other key.
pub(super) const PLAIN: u8 = 0;

/// Who sent a packet of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Client = 0,
    /// The dest.
    Dest = 1,
}

/// A link in a chain: the next one, and the start of the key it is found by. 16 bytes.
#[repr(C)]
pub(super) struct Node {
    pub(super) next: AtomicPtr<Node>,
    /// Hash in the low half, IP version above: compared first. Then, not compared, where in its
    /// connection it is.
    tag: u64,
}

/// A node with the rest of its key.
#[repr(C)]
pub(super) struct Key<T> {
    pub(super) node: Node,
    pub(super) tuple: T,
}

impl<T: Tuple> Key<T> {
    pub(super) fn new(key: (T, u32), offset: usize) -> Self {
        Self::of_kind(key, offset, PLAIN)
    }

    /// One that is [`ARRIVING`] or [`PLAIN`].
    pub(super) fn of_kind((tuple, hash): (T, u32), offset: usize, kind: u8) -> Self {
        let node = Node {
            next: AtomicPtr::new(ptr::null_mut()),
            tag: Node::tag(hash, T::VERSION | kind) | ((offset as u64) << OFFSET_SHIFT),
        };
        Self { node, tuple }
    }
}

impl Node {
    #[inline(always)]
    const fn tag(hash: u32, version: u8) -> u64 {
        hash as u64 | ((version as u64) << VERSION_SHIFT)
    }

    #[inline(always)]
    pub(super) fn hash(&self) -> u32 {
        self.tag as u32
    }

    /// Whether it is part of the key with that tuple, of that kind.
    ///
    /// # Safety
    ///
    /// `this` is the node of a live key.
    #[inline(always)]
    pub(super) unsafe fn is_of<T: Tuple, const KIND: u8>(
        this: NonNull<Self>,
        tuple: &T,
        hash: u32,
    ) -> bool {
        // SAFETY: The caller vouches for it.
        let tag = unsafe { this.as_ref() }.tag;
        if (tag ^ Self::tag(hash, T::VERSION | KIND)) << (u64::BITS - OFFSET_SHIFT) != 0 {
            return false;
        }
        // SAFETY: The tag says that the tuple is of this family; a key starts with its node.
        unsafe { this.cast::<Key<T>>().as_ref() }.tuple == *tuple
    }

    #[inline(always)]
    fn offset(&self) -> usize {
        (self.tag >> OFFSET_SHIFT) as usize
    }

    /// Whose packets it is found by.
    #[inline(always)]
    pub(super) fn side(&self) -> Side {
        if self.offset() == CLIENT_OFFSET {
            Side::Client
        } else {
            Side::Dest
        }
    }

    /// The connection it is part of.
    ///
    /// # Safety
    ///
    /// `this` is a node of a live connection, whose first part is a `C`.
    #[inline(always)]
    pub(super) unsafe fn conn<'a, C>(this: NonNull<Self>) -> &'a C {
        // SAFETY: The caller vouches for it.
        let offset = unsafe { this.as_ref() }.offset();
        // SAFETY: That is where in the connection the node is.
        unsafe { this.byte_sub(offset).cast::<C>().as_ref() }
    }
}

/// A key of either family.
#[derive(Clone, Copy)]
pub(super) enum AnyKey<'a> {
    /// IPv4.
    V4(&'a Key<TupleV4>),
    /// IPv6.
    V6(&'a Key<TupleV6>),
}

impl<'a> AnyKey<'a> {
    pub(super) fn node(&self) -> &'a Node {
        match self {
            Self::V4(key) => &key.node,
            Self::V6(key) => &key.node,
        }
    }
}
