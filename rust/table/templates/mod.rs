// SPDX-License-Identifier: GPL-2.0

//! Which dest a network of clients, or a call of it, stays with (templates, as `ip_vs` calls them).
//!
//! Only new flows ask, so this may be slower than the table of connections: a few shelves of trees,
//! each under a lock. A template lives for the time of the service after its last flow began,
//! whatever connections are still there.
//!
//! Anyone who can send a packet makes a template, whatever source it claims. So they count toward
//! the limit of connections, and those that no dest has answered yet stand in trees of their own,
//! where they are found and ended when room is short.

mod shelf;
mod template;
mod told;

use core::{
    ops::{ControlFlow, Deref},
    ptr,
    sync::atomic::{AtomicU32, AtomicU8, Ordering},
};

use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

pub(super) use self::template::Candidates;
pub(crate) use self::template::TemplateView;
use self::{
    shelf::Shelf,
    template::{Call, Chosen, Node, Template},
};
use super::dest::Dest;
use crate::{
    engine::{
        hash::Key,
        persistence::{Persistence, Whom},
    },
    kapi::{locked::LockedArray, memcg, random, time, work},
};

/// Shelves that a service has; a power of two.
const SHELVES: usize = 64;

/// Shelves that one sweep looks at.
const SWEPT: usize = 8;

/// While memory is short, templates that are not assured end on one shelf of so many a second: as
/// half-open connections do.
const PRESSED: usize = 32;

/// Templates that one look at a tree shows at most, under its lock.
const SHOWN: usize = 4;

/// Templates that one look at a tree passes at most, under its lock, which new flows wait for.
const BATCH: usize = 32;

/// Where a listing goes on. Bytes, so that a dump has room for it.
#[derive(Clone, Copy, Default)]
pub(crate) struct TemplateCursor {
    /// Two trees a shelf.
    tree: u8,
    /// The lowest place there that was not shown yet.
    from: [u8; 16],
}

/// How many templates there are in a namespace. Those of its services hold it, which may go later
/// than the namespace.
#[derive(Clone)]
pub(super) struct Total(Arc<AtomicU32>);

impl Total {
    /// None yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(AtomicU32::new(0), GFP_KERNEL)?))
    }

    /// How many there are, with those that have expired and were not swept yet.
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TemplateCursor {
    /// One of those parts.
    pub(crate) fn at(tree: u8, from: [u8; 16]) -> Self {
        Self { tree, from }
    }

    /// What it is made of.
    pub(crate) fn parts(self) -> (u8, [u8; 16]) {
        (self.tree, self.from)
    }
}

/// A service's templates.
pub(super) struct Templates {
    shelves: LockedArray<Shelf>,
    /// By which calls have their places.
    keys: [Key; 2],
    count: AtomicU32,
    /// As many of them as are not assured.
    fresh: AtomicU32,
    total: Total,
}

/// A service's hold on its templates. Schedules have them too, until packets are done with them;
/// those are dropped where nobody may take the time that many templates take.
pub(super) struct Holder(Arc<Templates>);

impl Holder {
    /// No templates yet; they count into `total` as well.
    pub(super) fn new(total: &Total) -> Result<Self> {
        let templates = Templates {
            shelves: LockedArray::new(SHELVES, Shelf::new)?,
            keys: [(); 2].map(|()| Key::new(random::u64(), random::u64())),
            count: AtomicU32::new(0),
            fresh: AtomicU32::new(0),
            total: total.clone(),
        };
        Ok(Self(Arc::new(templates, GFP_KERNEL_ACCOUNT)?))
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
        for tree in 0..self.trees() {
            self.end(tree, |_| true);
        }
    }
}

impl Drop for Templates {
    /// A packet may have made some after the last hold was gone.
    fn drop(&mut self) {
        let rest = self.count.load(Ordering::Relaxed);
        self.total.0.fetch_sub(rest, Ordering::Relaxed);
    }
}

impl Templates {
    /// How many there are, with those that have expired and were not swept yet.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// One more, assured or not. Under the lock of its shelf, as all changes of these counts.
    fn count_in(&self, assured: bool) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total.0.fetch_add(1, Ordering::Relaxed);
        self.fresh.fetch_add((!assured).into(), Ordering::Relaxed);
    }

    fn count_out(&self, number: u32, assured: bool) {
        self.count.fetch_sub(number, Ordering::Relaxed);
        self.total.0.fetch_sub(number, Ordering::Relaxed);
        if !assured {
            self.fresh.fetch_sub(number, Ordering::Relaxed);
        }
    }

    fn trees(&self) -> usize {
        self.shelves.len().saturating_mul(2)
    }

    /// Calls `f` with a tree: each shelf has one of templates that are not assured, and then one of
    /// those that are, so that a listing shows one twice rather than never.
    fn with_tree<R>(
        &self,
        tree: usize,
        f: impl FnOnce(&mut RBTree<u128, Template>, bool) -> R,
    ) -> Option<R> {
        let assured = tree % 2 == 1;
        let f = |shelf: &mut Shelf| f(shelf.tree(assured), assured);
        self.shelves.with(tree / 2, f)
    }

    /// Where `candidates` have the dest that flows of `whom` go to; a flow begins now.
    pub(super) fn find(&self, whom: Whom<'_>, candidates: Candidates<'_>) -> Option<u32> {
        let place = whom.place(&self.keys);
        let found = self.shelves.with(shelf_of(place), |shelf| {
            let template = shelf.get_mut(place)?;
            template.follow(candidates)
        });
        found.flatten()
    }

    /// As [`Templates::find`], but that no flow begins.
    pub(in crate::table) fn peek(&self, whom: Whom<'_>, candidates: Candidates<'_>) -> Option<u32> {
        let place = whom.place(&self.keys);
        let found = self.shelves.with(shelf_of(place), |shelf| {
            let template = shelf.get_mut(place)?;
            template.place(candidates)
        });
        found.flatten()
    }

    /// Lets flows of `whom` go to `dest`, which `candidates` have at `index`, from now on. Where
    /// they go already when another CPU was first, or `index`. An error when there is no memory.
    pub(super) fn keep(
        &self,
        whom: Whom<'_>,
        chosen: (u32, &Arc<Dest>),
        candidates: Candidates<'_>,
    ) -> Result<u32> {
        self.put(whom, chosen, candidates, false)
    }

    fn put(
        &self,
        whom: Whom<'_>,
        (index, dest): (u32, &Arc<Dest>),
        candidates: Candidates<'_>,
        assured: bool,
    ) -> Result<u32> {
        let template = Template {
            dest: Chosen::new(dest),
            index,
            seen: time::now(),
            memo: AtomicU8::new(0),
            call: Call::of(whom)?,
        };
        let place = whom.place(&self.keys);
        let mut node = Some(Node::new(place, template, memcg::atomic_flags())?);
        // What is replaced or not used is dropped when the lock is not held any more.
        let kept = self.shelves.with(shelf_of(place), |shelf| {
            let there = shelf.get_mut(place);
            if let Some(index) = there.and_then(|there| there.follow(candidates)) {
                return (Some(index), None);
            }
            let old = shelf.remove(place);
            if let Some((_, assured)) = old {
                self.count_out(1, assured);
            }
            self.count_in(assured);
            if let Some(node) = node.take() {
                shelf.tree(assured).insert(node);
            }
            (None, old)
        });
        Ok(kept.and_then(|(kept, _old)| kept).unwrap_or(index))
    }

    /// Notes that `dest` has answered a flow of `whom`, if that stays with it. Where its template had
    /// to go meanwhile, there is one again.
    pub(super) fn assure(&self, whom: Whom<'_>, dest: &Dest, candidates: Candidates<'_>) {
        let place = whom.place(&self.keys);
        let there = self.shelves.with(shelf_of(place), |shelf| {
            let is_of_dest = ptr::eq(&**shelf.get_mut(place)?.dest, dest);
            if is_of_dest && shelf.assure(place) {
                self.fresh.fetch_sub(1, Ordering::Relaxed);
            }
            Some(())
        });
        if there.flatten().is_some() {
            return;
        }
        if let Some(chosen) = candidates.place_of(dest) {
            // Without memory the next flow is scheduled anew.
            let _ = self.put(whom, chosen, candidates, true);
        }
    }

    /// Ends one that is not assured. False when there is none.
    pub(super) fn give_up_one(&self) -> bool {
        if self.fresh.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let start = random::u64() as usize;
        (0..SHELVES).any(|step| {
            let index = start.wrapping_add(step) % SHELVES;
            // Dropped when the lock is not held any more.
            let node = self.shelves.with(index, |shelf| {
                let node = shelf.give_up_one()?;
                self.count_out(1, false);
                Some(node)
            });
            node.flatten().is_some()
        })
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
        while usize::from(tree) < self.trees() {
            // Shown when the lock is not held any more.
            let found = self.some(tree, from, rule);
            for view in found.iter().flatten() {
                from = view.place;
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

    /// The first templates of a tree, of places from `from` on.
    fn some(&self, tree: u8, from: u128, rule: &Persistence) -> [Option<TemplateView>; SHOWN] {
        let mut found = [const { None }; SHOWN];
        self.with_tree(tree.into(), |tree, assured| {
            let mut next = tree.cursor_lower_bound_mut(&from);
            let mut places = found.iter_mut();
            while let (Some(cursor), Some(place)) = (next.take(), places.next()) {
                let (key, template) = cursor.current();
                *place = Some(template.view(*key, assured, rule));
                next = cursor.move_next();
            }
        });
        found
    }

    /// Ends some of those that have expired; `turn` says where to look. With `pressed`, the present
    /// second, also some that are not assured; returns how many of these. May sleep.
    pub(super) fn sweep(&self, turn: u32, rule: &Persistence, pressed: Option<u32>) -> u32 {
        let first = (turn as usize).wrapping_mul(SWEPT);
        for index in first..first.wrapping_add(SWEPT) {
            let tree = (index % SHELVES).saturating_mul(2);
            self.end(tree, |template| !template.lives(rule));
            self.end(tree.saturating_add(1), |template| !template.lives(rule));
        }
        let Some(second) = pressed else {
            return 0;
        };
        let pressed =
            (0..self.shelves.len()).filter(|index| index % PRESSED == second as usize % PRESSED);
        pressed.fold(0, |sum: u32, index| {
            sum.saturating_add(self.end(index.saturating_mul(2), |_| true))
        })
    }

    /// Ends the templates of a tree that `which` names; returns how many. May sleep.
    fn end(&self, tree: usize, which: impl Fn(&Template) -> bool) -> u32 {
        let mut from = Some(0);
        let mut sum: u32 = 0;
        while let Some(start) = from {
            // Dropped when the lock is not held any more.
            let mut ended: [Option<Node>; BATCH] = [const { None }; BATCH];
            let next = self.with_tree(tree, |tree, assured| {
                let next = cut(tree, start, &which, &mut ended);
                self.count_out(ended.iter().flatten().count() as u32, assured);
                next
            });
            from = next.flatten();
            let number = ended.iter().flatten().count() as u32;
            sum = sum.saturating_add(number);
            drop(ended);
            work::give_way();
        }
        sum
    }
}

/// Takes those out of a tree that `which` names, from `start` on, as many as there are places for
/// those that were looked at. Where to go on, none at the end.
fn cut(
    tree: &mut RBTree<u128, Template>,
    start: u128,
    which: impl Fn(&Template) -> bool,
    ended: &mut [Option<Node>],
) -> Option<u128> {
    let mut next = tree.cursor_lower_bound_mut(&start);
    for place in ended {
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
}

/// The shelf that a place is on.
fn shelf_of(place: u128) -> usize {
    let folded = (place >> 64) as u64 ^ place as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SHELVES
}
