// SPDX-License-Identifier: GPL-2.0

//! A template: which dest a network's flows go to.

use core::{ops::Deref, ptr, sync::atomic::AtomicU8};

use kernel::{prelude::*, rbtree::RBTreeNode, sync::Arc};

use super::super::dest::Dest;
use crate::{
    engine::{
        persistence::{Persistence, Whom},
        spec::{DestId, Mode},
    },
    kapi::{memcg, time},
};

/// A template as an operator sees it.
#[derive(Clone)]
pub(crate) struct TemplateView {
    /// Where it stands among others.
    pub(super) place: u128,
    /// The network of clients, as [`Persistence::network`] gives it.
    pub(crate) network: u128,
    /// A call of it.
    pub(crate) call: Option<Arc<Call>>,
    /// Where its flows go.
    pub(crate) dest: DestId,
    /// How packets travel there.
    pub(crate) mode: Mode,
    /// Milliseconds that it has left when no flow begins.
    pub(crate) expires_ms: u32,
    /// Whether the dest has answered a flow of it.
    pub(crate) assured: bool,
}

impl TemplateView {
    /// The Call-ID; empty where the network stays as a whole.
    pub(crate) fn call_id(&self) -> &[u8] {
        self.call.as_ref().map_or(&[], |call| &call.id)
    }
}

/// A call of a network of clients.
pub(crate) struct Call {
    network: u128,
    id: KVec<u8>,
}

impl Call {
    /// That of whom stays; none where that is a network as a whole. An error when there is no memory.
    pub(super) fn of(whom: Whom<'_>) -> Result<Option<Arc<Self>>> {
        if whom.call.is_empty() {
            return Ok(None);
        }
        let mut id = KVec::with_capacity(whom.call.len(), memcg::atomic_flags())?;
        id.extend_from_slice(whom.call, memcg::atomic_flags())?;
        let network = whom.network;
        Ok(Some(Arc::new(Self { network, id }, memcg::atomic_flags())?))
    }
}

/// The dests of a service that a network's flows may go to, and how long they stay with one.
#[derive(Clone, Copy)]
pub(in crate::table) struct Candidates<'a> {
    pub(in crate::table) dests: &'a [Arc<Dest>],
    pub(in crate::table) rule: &'a Persistence,
}

impl<'a> Candidates<'a> {
    /// Where a dest is, which was at `hint` once; none when it is not among these.
    fn index_of(self, dest: &Arc<Dest>, hint: u32) -> Option<u32> {
        let there = self.dests.get(hint as usize);
        if there.is_some_and(|there| Arc::ptr_eq(there, dest)) {
            return Some(hint);
        }
        let mut dests = (0u32..).zip(self.dests.iter());
        let found = dests.find(|(_, other)| Arc::ptr_eq(other, dest));
        found.map(|(index, _)| index)
    }

    /// Where a dest is, and the dest; none when it is not among these.
    pub(super) fn place_of(self, dest: &Dest) -> Option<(u32, &'a Arc<Dest>)> {
        let mut dests = (0u32..).zip(self.dests.iter());
        dests.find(|(_, other)| ptr::eq(&***other, dest))
    }
}

/// A dest that counts the templates which chose it.
pub(super) struct Chosen(Arc<Dest>);

impl Chosen {
    pub(super) fn new(dest: &Arc<Dest>) -> Self {
        dest.load().template_begins();
        Self(dest.clone())
    }
}

impl Deref for Chosen {
    type Target = Arc<Dest>;

    fn deref(&self) -> &Arc<Dest> {
        &self.0
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.load().template_ends();
    }
}

/// Where a network's flows go.
pub(super) struct Template {
    pub(super) dest: Chosen,
    /// Where the candidates of the last flow have the dest.
    pub(super) index: u32,
    /// Tick at which the last flow began.
    pub(super) seen: u32,
    /// How much of it other directors know: a [`Memo`](crate::engine::sync::memo::Memo).
    pub(super) memo: AtomicU8,
    /// Whose it is, where that is a call.
    pub(super) call: Option<Arc<Call>>,
}

/// A template in a tree, by its place: that of whom it is.
pub(super) type Node = RBTreeNode<u128, Template>;

impl Template {
    /// Where `candidates` have its dest, if a flow that begins now goes there and so makes it live
    /// longer.
    pub(super) fn follow(&mut self, candidates: Candidates<'_>) -> Option<u32> {
        self.index = self.place(candidates)?;
        self.seen = time::now();
        Some(self.index)
    }

    /// Where `candidates` have its dest, if a flow that begins now would go there.
    pub(super) fn place(&self, candidates: Candidates<'_>) -> Option<u32> {
        let rule = candidates.rule;
        if !self.lives(rule) || (!rule.quiesced && self.dest.spec().weight == 0) {
            return None;
        }
        candidates.index_of(&self.dest, self.index)
    }

    pub(super) fn view(&self, place: u128, assured: bool, rule: &Persistence) -> TemplateView {
        let silent = time::now().wrapping_sub(self.seen);
        let left = time::seconds(rule.seconds).saturating_sub(silent);
        TemplateView {
            place,
            network: self.call.as_ref().map_or(place, |call| call.network),
            call: self.call.clone(),
            dest: self.dest.id(),
            mode: self.dest.spec().mode,
            expires_ms: time::to_millis(left),
            assured,
        }
    }

    pub(super) fn lives(&self, rule: &Persistence) -> bool {
        time::now().wrapping_sub(self.seen) <= time::seconds(rule.seconds)
    }
}
