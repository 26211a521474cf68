// SPDX-License-Identifier: GPL-2.0

//! Which dest a network of clients stays with (templates, as `ip_vs` calls them).
//!
//! Only new flows ask, so this may be slower than the table of connections: a few trees, each under
//! a lock. A template lives for the time of the service after its last flow began, whatever
//! connections are still there.

use core::{
    ops::{ControlFlow, Deref},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::Arc,
};

use super::{dest::Dest, schedule::Schedule};
use crate::{
    engine::{
        persistence::Persistence,
        spec::{DestId, Mode},
    },
    kapi::{locked::LockedArray, time, work},
};

/// Trees that a service has; a power of two.
const TREES: usize = 64;

/// Trees that one sweep looks at.
const SWEPT: usize = 8;

/// Templates that one look at a tree shows at most, under its lock.
const SHOWN: usize = 4;

/// Templates that one look at a tree passes at most, under its lock, which new flows wait for.
const BATCH: usize = 32;

/// A dest that counts the templates which chose it.
struct Chosen(Arc<Dest>);

impl Chosen {
    fn new(dest: &Arc<Dest>) -> Self {
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
struct Template {
    dest: Chosen,
    /// Where the last schedule that asked has the dest.
    index: u32,
    /// Tick at which the last flow began.
    seen: u32,
    /// Whether the dest has answered a flow of it.
    assured: bool,
}

/// A template as an operator sees it.
#[derive(Clone, Copy)]
pub(crate) struct TemplateView {
    /// The network of clients, as [`Persistence::network`] gives it.
    pub(crate) network: u128,
    /// Where its flows go.
    pub(crate) dest: DestId,
    /// How packets travel there.
    pub(crate) mode: Mode,
    /// Milliseconds that it has left when no flow begins.
    pub(crate) expires_ms: u32,
    /// Whether the dest has answered a flow of it.
    pub(crate) assured: bool,
}

/// Where a listing goes on. Bytes, so that a dump has room for it.
#[derive(Clone, Copy, Default)]
pub(crate) struct TemplateCursor {
    tree: u8,
    /// The lowest network there that was not shown yet.
    from: [u8; 16],
}

type Node = RBTreeNode<u128, Template>;

/// A service's templates.
pub(super) struct Templates {
    trees: LockedArray<RBTree<u128, Template>>,
    count: AtomicU32,
}

/// A service's hold on its templates. Schedules have them too, until packets are done with them;
/// those are dropped where nobody may take the time that many templates take.
pub(super) struct Holder(Arc<Templates>);

impl Holder {
    /// No templates yet.
    pub(super) fn new() -> Result<Self> {
        let templates = Templates {
            trees: LockedArray::new(TREES, RBTree::new)?,
            count: AtomicU32::new(0),
        };
        Ok(Self(Arc::new(templates, GFP_KERNEL)?))
    }

    /// The templates, for a schedule.
    pub(super) fn share(&self) -> Arc<Templates> {
        self.0.clone()
    }
}

impl Deref for Holder {
    type Target = Templates;

    fn deref(&self) -> &Templates {
        &self.0
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        for index in 0..self.trees.len() {
            self.end(index, |_| true);
        }
    }
}

impl Templates {
    /// How many there are, with those that have expired and were not swept yet.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Where `schedule` has the dest that flows of `network` go to; a flow begins now.
    pub(super) fn find(&self, network: u128, schedule: &Schedule) -> Option<u32> {
        let found = self.trees.with(tree_of(network), |tree| {
            let template = tree.get_mut(&network)?;
            template.follow(schedule)
        });
        found.flatten()
    }

    /// Lets flows of `network` go to `dest`, which `schedule` has at `index`, from now on. Where
    /// they go already when another CPU was first, or `index`. An error when there is no memory.
    pub(super) fn keep(
        &self,
        network: u128,
        (index, dest): (u32, &Arc<Dest>),
        schedule: &Schedule,
    ) -> Result<u32> {
        let template = Template {
            dest: Chosen::new(dest),
            index,
            seen: time::now(),
            assured: false,
        };
        let mut node = Some(Node::new(network, template, GFP_ATOMIC | __GFP_NOWARN)?);
        // What is replaced or not used is dropped when the lock is not held any more.
        let kept = self.trees.with(tree_of(network), |tree| {
            let there = tree.get_mut(&network);
            if let Some(index) = there.and_then(|there| there.follow(schedule)) {
                return (Some(index), None);
            }
            let old = node.take().and_then(|node| tree.insert(node));
            if old.is_none() {
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            (None, old)
        });
        Ok(kept.and_then(|(kept, _old)| kept).unwrap_or(index))
    }

    /// Notes that `dest` has answered a flow of `network`, if that stays with it.
    pub(super) fn assure(&self, network: u128, dest: &Dest) {
        self.trees.with(tree_of(network), |tree| {
            let template = tree.get_mut(&network);
            if let Some(template) = template.filter(|there| ptr::eq(&**there.dest, dest)) {
                template.assured = true;
            }
        });
    }

    /// Shows templates to `visit` until it breaks, from the cursor on; one at which it breaks comes
    /// again. Returns where to go on, none at the end. May sleep.
    pub(super) fn list(
        &self,
        cursor: TemplateCursor,
        rule: &Persistence,
        mut visit: impl FnMut(&TemplateView) -> ControlFlow<()>,
    ) -> Option<TemplateCursor> {
        let mut from = u128::from_ne_bytes(cursor.from);
        let mut tree = cursor.tree;
        while usize::from(tree) < self.trees.len() {
            // Shown when the lock is not held any more.
            let found = self.some(tree, from, rule);
            for view in found.iter().flatten() {
                from = view.network;
                if view.expires_ms > 0 && visit(view).is_break() {
                    let from = from.to_ne_bytes();
                    return Some(TemplateCursor { tree, from });
                }
            }
            let is_full = found.last().is_some_and(Option::is_some);
            match from.checked_add(1) {
                Some(next) if is_full => from = next,
                _ => (tree, from) = (tree.saturating_add(1), 0),
            }
            work::give_way();
        }
        None
    }

    /// The first templates of a tree, of networks from `from` on.
    fn some(&self, tree: u8, from: u128, rule: &Persistence) -> [Option<TemplateView>; SHOWN] {
        let mut found = [const { None }; SHOWN];
        self.trees.with(tree.into(), |tree| {
            let mut next = tree.cursor_lower_bound_mut(&from);
            let mut places = found.iter_mut();
            while let (Some(cursor), Some(place)) = (next.take(), places.next()) {
                let (network, template) = cursor.current();
                *place = Some(template.view(*network, rule));
                next = cursor.move_next();
            }
        });
        found
    }

    /// Ends some of those that have expired; `turn` says where to look. May sleep.
    pub(super) fn sweep(&self, turn: u32, rule: &Persistence) {
        let first = (turn as usize).wrapping_mul(SWEPT);
        for index in first..first.wrapping_add(SWEPT) {
            self.end(index % self.trees.len(), |template| !template.lives(rule));
        }
    }

    /// Ends the templates of a tree that `which` names. May sleep.
    fn end(&self, index: usize, which: impl Fn(&Template) -> bool) {
        let mut from = Some(0);
        while let Some(start) = from {
            // Dropped when the lock is not held any more.
            let mut ended: [Option<Node>; BATCH] = [const { None }; BATCH];
            let next = self.trees.with(index, |tree| {
                let mut next = tree.cursor_lower_bound_mut(&start);
                for place in &mut ended {
                    let cursor = next?;
                    next = if which(cursor.current().1) {
                        let (rest, node) = cursor.remove_current();
                        *place = Some(node);
                        rest
                    } else {
                        cursor.move_next()
                    };
                }
                next.map(|cursor| *cursor.current().0)
            });
            from = next.flatten();
            let number = ended.iter().flatten().count();
            self.count.fetch_sub(number as u32, Ordering::Relaxed);
            drop(ended);
            work::give_way();
        }
    }
}

impl Template {
    /// Where `schedule` has its dest, if a flow that begins now goes there and so makes it live
    /// longer.
    fn follow(&mut self, schedule: &Schedule) -> Option<u32> {
        let rule = schedule.persistence();
        if !self.lives(rule) || (!rule.quiesced && self.dest.spec().weight == 0) {
            return None;
        }
        self.index = schedule.index_of(&self.dest, self.index)?;
        self.seen = time::now();
        Some(self.index)
    }

    fn view(&self, network: u128, rule: &Persistence) -> TemplateView {
        let silent = time::now().wrapping_sub(self.seen);
        let left = time::seconds(rule.seconds).saturating_sub(silent);
        TemplateView {
            network,
            dest: self.dest.id(),
            mode: self.dest.spec().mode,
            expires_ms: time::to_millis(left),
            assured: self.assured,
        }
    }

    fn lives(&self, rule: &Persistence) -> bool {
        time::now().wrapping_sub(self.seen) <= time::seconds(rule.seconds)
    }
}

/// The tree that a network is in.
fn tree_of(network: u128) -> usize {
    let folded = (network >> 64) as u64 ^ network as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % TREES
}
