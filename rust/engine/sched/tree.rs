// SPDX-License-Identifier: GPL-2.0

//! Trees over the dests whose inner nodes follow what changes in the leaves, from any CPU.
//!
//! An f-array: after a leaf has changed, whoever changed it recomputes the nodes from there to the
//! root, each by compare-and-swap from its four children, as often as it takes until its own value
//! stands. A node's word counts its changes in its upper bits, so that nobody who looked at the
//! children before another's change can undo that change. So as soon as nobody is at work, every
//! node is what its children say, and meanwhile it is what they said a moment ago.
//!
//! Why: of two that change leaves below a node, the one whose swap comes second has read the
//! first's word, hence sees what the first had seen; both its leaf and the first's are in the
//! result. That holds for releasing swaps and acquiring loads alone.
//!
//! Four children, because what a change costs is mostly swaps: 1,000 dests make five of them.
//!
//! Source: Jayanti, "f-arrays: implementation and applications" (PODC 2002), with retries until
//! success in place of his second attempt, as load-linked is not to be had.

use super::flow::Flow;
use super::scheduler::{Needs, Options, Plan, Scheduler, View, NONE};
use core::marker::PhantomData;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
};

/// Children of a node.
const CHILDREN: usize = 4;

/// Where the root is. From there on level by level, so that a node's children are the words from
/// `4 * node - 8` on, and do not straddle cache lines.
const ROOT: usize = 3;

/// Bits of a word that hold its value; those above count its changes. Enough for 257 times 2^32
/// and for the sum of any weights; 22 bits of count mean that a CPU would have to miss four million
/// changes of a word in the middle of its own.
const VALUE_BITS: u32 = 42;

/// The value in a word.
const VALUE: u64 = (1 << VALUE_BITS) - 1;

/// One change.
const CHANGE: u64 = 1 << VALUE_BITS;

/// The value in a word now.
#[inline(always)]
fn value(word: &AtomicU64) -> u64 {
    word.load(Relaxed) & VALUE
}

/// Sets a word to the value computed, which was computed after the word's last change. Returns its
/// value before and after.
#[inline(always)]
pub(super) fn settle(word: &AtomicU64, compute: impl Fn() -> u64) -> (u64, u64) {
    let mut seen = word.load(Acquire);
    loop {
        let value = compute() & VALUE;
        // Also where the value stays: what others computed from before is out of date.
        let next = (seen & !VALUE).wrapping_add(CHANGE) | value;
        match word.compare_exchange_weak(seen, next, AcqRel, Acquire) {
            Ok(_) => return (seen & VALUE, value),
            Err(now) => seen = now,
        }
    }
}

/// A node's children.
type Family = [AtomicU64; CHILDREN];

/// A tree's nodes; the leaves are the last of them, in the dests' order.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    words: &'a [AtomicU64],
    /// Where the leaves start.
    leaves: usize,
}

impl<'a> Tree<'a> {
    /// How many inner nodes there are above that many leaves.
    const fn inner(dests: usize) -> usize {
        // Each takes four and is one itself; but for the last, which may have two or three.
        dests.saturating_add(1) / 3
    }

    /// Words of a tree over that many dests.
    pub(super) const fn words(dests: usize) -> usize {
        // Whole families, also of the last inner node.
        Self::inner(dests)
            .saturating_mul(CHILDREN)
            .saturating_add(ROOT + 1)
    }

    /// The tree over that many dests in `words`.
    #[inline(always)]
    pub(super) fn new(words: &'a [AtomicU64], dests: usize) -> Self {
        Self {
            words,
            leaves: Self::inner(dests).wrapping_add(ROOT),
        }
    }

    /// The word of the dest at `index`.
    #[inline(always)]
    pub(super) fn leaf(&self, index: u32) -> Option<&'a AtomicU64> {
        self.words.get(self.leaves.wrapping_add(index as usize))
    }

    /// The root's value.
    #[inline(always)]
    pub(super) fn root(&self) -> u64 {
        self.words.get(ROOT).map_or(0, value)
    }

    /// A node's children.
    #[inline(always)]
    fn children(&self, node: usize) -> Option<&'a Family> {
        let first = node.wrapping_mul(CHILDREN).wrapping_sub(8);
        self.words.get(first..)?.first_chunk()
    }

    /// Sets all nodes; nobody else has the tree yet. `leaf` gives the leaves' values, also those of
    /// leaves past the last dest.
    pub(super) fn fill(&self, leaf: impl Fn(u32) -> u64, fold: impl Fn(&Family) -> u64) {
        for (node, word) in (0..self.words.len()).zip(self.words).rev() {
            let value = match node.checked_sub(self.leaves) {
                Some(index) => leaf(index as u32),
                None if node >= ROOT => self.children(node).map_or(0, &fold),
                None => 0,
            };
            word.store(value & VALUE, Relaxed);
        }
    }

    /// Brings the nodes above a leaf up to date, up to the first that `is_settled` by what it had
    /// and has.
    #[inline(always)]
    pub(super) fn climb(
        &self,
        index: u32,
        fold: impl Fn(&Family) -> u64,
        is_settled: impl Fn(u64, u64) -> bool,
    ) {
        let mut node = self.leaves.wrapping_add(index as usize);
        while node > ROOT {
            node = (node / CHILDREN).wrapping_add(2);
            let (Some(word), Some(children)) = (self.words.get(node), self.children(node)) else {
                return;
            };
            let (before, after) = settle(word, || fold(children));
            if is_settled(before, after) {
                return;
            }
        }
    }

    /// Goes from the root to the leaf in which the sum of the leaves before it passes `rest`.
    /// Returns its index.
    pub(super) fn descend(&self, mut rest: u64) -> u32 {
        let mut node = ROOT;
        while node < self.leaves {
            let children = self.children(node).map_or(&[] as &[_], |children| children);
            let mut child = node.wrapping_mul(CHILDREN).wrapping_sub(8);
            for sum in children.iter().take(CHILDREN - 1).map(value) {
                if rest < sum {
                    break;
                }
                rest = rest.wrapping_sub(sum);
                child = child.wrapping_add(1);
            }
            node = child;
        }
        node.wrapping_sub(self.leaves) as u32
    }
}

/// The sum of nodes.
#[inline(always)]
pub(super) fn sum(nodes: &Family) -> u64 {
    nodes.iter().map(value).fold(0, u64::wrapping_add)
}

/// A rule that picks the dest with the least of something; of equals the first.
///
/// Implementing it makes a [`Scheduler`], whose state is that of [`Least`].
pub(super) trait Rule: Sync {
    /// Name of the scheduler.
    const NAME: &'static str;

    /// Whether loads are compared relative to weights.
    const WEIGHTED: bool;

    /// Whether connections come into it.
    const COUNTS: bool;

    /// Load of the dest at `index`, which has that weight, not 0; none when it takes nothing.
    fn load(view: &View<'_>, index: u32, weight: u32) -> Option<u64>;
}

/// What a load's word holds for a dest that takes nothing, and its key.
const UNUSABLE: u64 = VALUE;

/// How much load a word tells at most.
const LOAD_MAX: u64 = UNUSABLE - 1;

/// The least loaded dest: a tree in which each node has the index of the first of the dests below
/// it, a word for each dest's load, and one for its key, by which dests are compared.
///
/// A key is the load over the weight, rounded down after being shifted left far enough that
/// different quotients have different keys: those of weights up to `w` differ by `1 / w^2` at
/// least. So keys are ordered as the products across that `ip_vs` compares. They fit 64 bits up to
/// a load of 2^32 where some weight is above 32,767, and of 2^40 where all are below 4,096; heavier
/// loads count as that.
///
/// The table has the shift.
pub(super) struct Least<'a, R> {
    view: &'a View<'a>,
    tree: Tree<'a>,
    loads: &'a [AtomicU64],
    keys: &'a [AtomicU64],
    rule: PhantomData<R>,
}

impl<'a, R: Rule> Least<'a, R> {
    /// What it needs for that many dests.
    pub(super) const fn needs(dests: usize) -> Needs {
        Needs {
            table: 1,
            state: Tree::words(dests).saturating_add(dests.saturating_mul(2)),
            scratch: 0,
        }
    }

    /// Fills its table.
    pub(super) fn build(plan: &Plan<'_>, table: &mut [u32]) {
        let most = plan.weights.iter().copied().max().unwrap_or(0);
        let bits = u32::BITS.wrapping_sub(most.leading_zeros());
        if let Some(shift) = table.first_mut() {
            *shift = if R::WEIGHTED { bits.min(16) * 2 } else { 0 };
        }
    }

    /// That in `state`, which has the words it needs.
    #[inline(always)]
    pub(super) fn new(state: &'a [AtomicU64], view: &'a View<'a>) -> Self {
        let dests = view.weights.len();
        let len = Tree::words(dests);
        let (tree, rest) = state.split_at_checked(len).unwrap_or_default();
        let (loads, keys) = rest.split_at_checked(dests).unwrap_or_default();
        Self {
            view,
            tree: Tree::new(tree, dests),
            loads,
            keys,
            rule: PhantomData,
        }
    }

    /// Load of the dest at `index` now.
    #[inline(always)]
    fn load(&self, index: u32) -> u64 {
        let weight = self.view.weight(index as usize);
        if weight == 0 || self.view.is_overloaded(index) {
            return UNUSABLE;
        }
        match R::load(self.view, index, weight) {
            Some(load) => load.min(LOAD_MAX),
            None => UNUSABLE,
        }
    }

    /// The key of the dest at `index`, [`u64::MAX`] when it takes nothing or is none.
    #[inline(always)]
    pub(super) fn key(&self, index: u32) -> u64 {
        let key = self.keys.get(index as usize);
        key.map_or(u64::MAX, |key| key.load(Relaxed))
    }

    /// What the key is for that load.
    #[inline(always)]
    fn key_of(&self, index: u32, load: u64) -> u64 {
        if load == UNUSABLE {
            return u64::MAX;
        }
        if !R::WEIGHTED {
            return load;
        }
        let shift = self.view.entry(0) & 63;
        let shifted = load.min((u64::MAX - 1) >> shift) << shift;
        let weight = u64::from(self.view.weight(index as usize));
        shifted.checked_div(weight).unwrap_or(u64::MAX)
    }

    /// The index that a node of these children has.
    #[inline(always)]
    fn fold(&self, children: &Family) -> u64 {
        let [a, b, c, d] = children.each_ref().map(|child| {
            let index = value(child) as u32;
            (self.key(index), index)
        });
        u64::from(first(first(a, b), first(c, d)).1)
    }

    /// Sets everything; nobody else has it yet.
    pub(super) fn fill(&self) {
        let words = self.loads.iter().zip(self.keys);
        for (index, (word, key)) in (0u32..).zip(words) {
            let load = self.load(index);
            word.store(load, Relaxed);
            key.store(self.key_of(index, load), Relaxed);
        }
        let dests = self.view.weights.len();
        let leaf = |index: u32| match (index as usize) < dests {
            true => u64::from(index),
            false => u64::from(NONE),
        };
        self.tree.fill(leaf, |children| self.fold(children));
    }

    /// Brings it up to date after a change of the dest at `index`.
    pub(super) fn refresh(&self, index: u32) {
        let at = index as usize;
        let (Some(word), Some(key)) = (self.loads.get(at), self.keys.get(at)) else {
            return;
        };
        let (before, after) = settle(word, || self.load(index));
        if before == after {
            // Whoever set this load sees to the key and the nodes above.
            return;
        }
        let mut load = after;
        loop {
            key.swap(self.key_of(index, load), SeqCst);
            // Who changed the load meanwhile may have set the key before this.
            let now = word.load(SeqCst) & VALUE;
            if now == load {
                break;
            }
            load = now;
        }
        let fold = |children: &Family| self.fold(children);
        // Always to the root, also from a node that keeps its dest: whoever gave it that one may be
        // held up before the nodes above, and until it goes on everybody would pick the old one.
        self.tree.climb(index, fold, |_, _| false);
    }

    /// The least loaded dest; none when none takes anything.
    #[inline(always)]
    pub(super) fn least(&self) -> Option<u32> {
        let first = self.tree.root() as u32;
        (self.key(first) != u64::MAX).then_some(first)
    }
}

/// The one of two dests, key and index, that comes first.
#[inline(always)]
fn first(a: (u64, u32), b: (u64, u32)) -> (u64, u32) {
    if b.0 < a.0 || (b.0 == a.0 && b.1 < a.1) {
        b
    } else {
        a
    }
}

impl<R: Rule> Scheduler for R {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn needs(&self, dests: usize, _options: &Options) -> Needs {
        Least::<R>::needs(dests)
    }

    fn build(&self, plan: &Plan<'_>, table: &mut [u32], _scratch: &mut [u32]) {
        Least::<R>::build(plan, table);
    }

    fn start(&self, view: &View<'_>) {
        Least::<R>::new(view.state, view).fill();
    }

    fn takes_shares(&self) -> bool {
        R::COUNTS && R::WEIGHTED
    }

    fn follows_counts(&self) -> bool {
        R::COUNTS
    }

    fn changed(&self, view: &View<'_>, index: u32) {
        Least::<R>::new(view.state, view).refresh(index);
    }

    fn pick(&self, view: &View<'_>, _flow: &Flow) -> Option<u32> {
        Least::<R>::new(view.state, view).least()
    }
}
