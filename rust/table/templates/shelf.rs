// SPDX-License-Identifier: GPL-2.0

//! Templates under one lock: those that are assured and those that are not.

use kernel::rbtree::RBTree;

use super::template::{Node, Template};
use crate::kapi::time;

/// Templates of which the oldest goes when room is short.
const SAMPLE: usize = 8;

/// Templates by place, under one lock.
pub(super) struct Shelf {
    /// Those of which a dest has answered a flow.
    assured: RBTree<u128, Template>,
    /// The others.
    fresh: RBTree<u128, Template>,
    /// Place in `fresh` from which on the next one to go is looked for.
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

    /// The one of a place.
    pub(super) fn get_mut(&mut self, place: u128) -> Option<&mut Template> {
        match self.assured.get_mut(&place) {
            None => self.fresh.get_mut(&place),
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

    /// A dest has answered a flow of whose place it is. False when that was known.
    pub(super) fn assure(&mut self, place: u128) -> bool {
        let node = self.fresh.remove_node(&place);
        node.map(|node| self.assured.insert(node)).is_some()
    }

    /// Takes out the one of a place; with whether it was assured.
    pub(super) fn remove(&mut self, place: u128) -> Option<(Node, bool)> {
        if let Some(node) = self.assured.remove_node(&place) {
            return Some((node, true));
        }
        Some((self.fresh.remove_node(&place)?, false))
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
            let (place, template) = cursor.current();
            let age = time::now().wrapping_sub(template.seen);
            if oldest.is_none_or(|(oldest, _)| age > oldest) {
                oldest = Some((age, *place));
            }
            next = cursor.move_next();
        }
        self.hand = next.map_or(0, |cursor| *cursor.current().0);
        self.fresh.remove_node(&oldest?.1)
    }
}
