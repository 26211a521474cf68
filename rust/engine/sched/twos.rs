// SPDX-License-Identifier: GPL-2.0

//! Power of two choices (`ip_vs_twos.c`): of two dests drawn by weight the second where its
//! `(active * 257 + inactive) / weight` is less, else the first.
//!
//! `ip_vs` draws from 0 to the sum of all weights, both included, which gives its first dest one
//! part more than its weight; here every dest has its weight's share.
//!
//! State: a tree of sums of the weights of dests that take something.
//!
//! Source: Mitzenmacher, "The power of two choices in randomized load balancing" (2001).

use super::flow::Flow;
use super::scheduler::{overhead, Needs, Options, Scheduler, View};
use super::tree::{settle, sum, Tree};

/// The scheduler `twos`.
pub(super) struct TwoChoices;

/// What the dest at `index` adds to the sum.
fn share(view: &View<'_>, index: u32) -> u64 {
    if view.is_overloaded(index) {
        return 0;
    }
    u64::from(view.weight(index as usize))
}

/// A view's tree.
fn tree<'a>(view: &'a View<'_>) -> Tree<'a> {
    Tree::new(view.state, view.weights.len())
}

impl Scheduler for TwoChoices {
    fn name(&self) -> &'static str {
        "twos"
    }

    fn takes_shares(&self) -> bool {
        true
    }

    fn needs(&self, dests: usize, _options: &Options) -> Needs {
        Needs {
            state: Tree::words(dests),
            ..Needs::default()
        }
    }

    fn start(&self, view: &View<'_>) {
        let dests = view.weights.len();
        let leaf = |index: u32| match (index as usize) < dests {
            true => share(view, index),
            false => 0,
        };
        tree(view).fill(leaf, sum);
    }

    fn changed(&self, view: &View<'_>, index: u32) {
        let tree = tree(view);
        let Some(leaf) = tree.leaf(index) else {
            return;
        };
        let (before, after) = settle(leaf, || share(view, index));
        if before != after {
            tree.climb(index, sum, |before, after| before == after);
        }
    }

    fn pick(&self, view: &View<'_>, _flow: &Flow) -> Option<u32> {
        let tree = tree(view);
        if tree.root() == 0 {
            return None;
        }
        // A draw looks at the upper bits first: the halves make two.
        let random = view.live.random();
        let first = draw(&tree, view, random)?;
        let second = draw(&tree, view, random.rotate_left(32))?;
        let weight = |index: u32| u64::from(view.weight(index as usize));
        let of_first = overhead(view.live, first).wrapping_mul(weight(second));
        let of_second = overhead(view.live, second).wrapping_mul(weight(first));
        Some(if of_first > of_second { second } else { first })
    }
}

/// The dest that a random word leads to.
#[inline]
fn draw(tree: &Tree<'_>, view: &View<'_>, random: u64) -> Option<u32> {
    // Random words as fractions of the sum.
    let scaled = u128::from(random).wrapping_mul(u128::from(tree.root()));
    let index = tree.descend((scaled >> 64) as u64);
    if view.is_usable(index) {
        return Some(index);
    }
    // Weights went out of the sum on the way.
    (0..view.weights.len() as u32).find(|&index| view.is_usable(index))
}
