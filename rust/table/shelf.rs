// SPDX-License-Identifier: GPL-2.0

//! Templates under one lock: those that are assured and those that are not.

use core::ops::Deref;

use kernel::{
    rbtree::{RBTree, RBTreeNode},
    sync::Arc,
};

use super::{dest::Dest, schedule::Schedule, templates::TemplateView};
use crate::{engine::persistence::Persistence, kapi::time};

/// Templates of which the oldest goes when room is short.
const SAMPLE: usize = 8;

/// A dest that counts the templates which chose it.
pub(super) struct Chosen(Arc<Dest>);

impl Chosen {
    pub(super) fn new(dest: &Arc<Dest>) -> Self {
        dest.template_begins();
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
        self.0.template_ends();
    }
}

/// Where a network's flows go.
pub(super) struct Template {
    pub(super) dest: Chosen,
    /// Where the last schedule that asked has the dest.
    pub(super) index: u32,
    /// Tick at which the last flow began.
    pub(super) seen: u32,
}

/// A template in a tree, by its network.
pub(super) type Node = RBTreeNode<u128, Template>;

/// Templates by network, under one lock.
pub(super) struct Shelf {
    /// Those of which a dest has answered a flow.
    assured: RBTree<u128, Template>,
    /// The others.
    fresh: RBTree<u128, Template>,
    /// Network in `fresh` from which on the next one to go is looked for.
    hand: u128,
}

impl Shelf {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            assured: RBTree::new(),
            fresh: RBTree::new(),
            hand: 0,
        }
    }

    /// The one of a network.
    pub(super) fn get_mut(&mut self, network: u128) -> Option<&mut Template> {
        match self.assured.get_mut(&network) {
            None => self.fresh.get_mut(&network),
            found => found,
        }
    }

    /// Those that are assured, or those that are not.
    pub(super) fn tree(&mut self, assured: bool) -> &mut RBTree<u128, Template> {
        if assured {
            &mut self.assured
        } else {
            &mut self.fresh
        }
    }

    /// A dest has answered a flow of the network. False when that was known.
    pub(super) fn assure(&mut self, network: u128) -> bool {
        let node = self.fresh.remove_node(&network);
        node.map(|node| self.assured.insert(node)).is_some()
    }

    /// Takes out the one of a network; with whether it was assured.
    pub(super) fn remove(&mut self, network: u128) -> Option<(Node, bool)> {
        if let Some(node) = self.assured.remove_node(&network) {
            return Some((node, true));
        }
        Some((self.fresh.remove_node(&network)?, false))
    }

    /// Takes out the oldest of some that are not assured.
    pub(super) fn give_up_one(&mut self) -> Option<Node> {
        let mut hand = self.hand;
        let mut oldest: Option<(u32, u128)> = None;
        if self.fresh.cursor_lower_bound_mut(&hand).is_none() {
            hand = 0;
        }
        let mut next = self.fresh.cursor_lower_bound_mut(&hand);
        for _ in 0..SAMPLE {
            let Some(cursor) = next else {
                break;
            };
            let (network, template) = cursor.current();
            let age = time::now().wrapping_sub(template.seen);
            if oldest.is_none_or(|(oldest, _)| age > oldest) {
                oldest = Some((age, *network));
            }
            next = cursor.move_next();
        }
        self.hand = next.map_or(0, |cursor| *cursor.current().0);
        self.fresh.remove_node(&oldest?.1)
    }
}

impl Template {
    /// Where `schedule` has its dest, if a flow that begins now goes there and so makes it live
    /// longer.
    pub(super) fn follow(&mut self, schedule: &Schedule) -> Option<u32> {
        let rule = schedule.persistence();
        if !self.lives(rule) || (!rule.quiesced && self.dest.spec().weight == 0) {
            return None;
        }
        self.index = schedule.index_of(&self.dest, self.index)?;
        self.seen = time::now();
        Some(self.index)
    }

    pub(super) fn view(&self, network: u128, assured: bool, rule: &Persistence) -> TemplateView {
        let silent = time::now().wrapping_sub(self.seen);
        let left = time::seconds(rule.seconds).saturating_sub(silent);
        TemplateView {
            network,
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
