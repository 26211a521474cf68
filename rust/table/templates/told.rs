// SPDX-License-Identifier: GPL-2.0

//! Templates as other directors are told of them, and as they tell of them.

use core::sync::atomic::{AtomicU8, Ordering};

use kernel::{prelude::*, sync::Arc};

use super::{
    super::dest::Dest,
    shelf_of,
    template::{Call, Chosen, Node, Template, TemplateView},
    Templates, BATCH, SHELVES, SHOWN, SWEPT,
};
use crate::{
    engine::{
        persistence::{Persistence, Whom},
        sync::memo::{Clock, Look, Memo},
    },
    kapi::{memcg, time, work},
};

/// Room for templates that one look at a tree finds.
type Found = [Option<TemplateView>; SHOWN];

impl Templates {
    /// Shows some of those that others are to be told of, every `period` seconds, to `tell`; `turn`
    /// says where to look. May sleep.
    pub(in crate::table) fn tell(
        &self,
        turn: u32,
        rule: &Persistence,
        (clock, period): (Clock, u32),
        is_alone: bool,
        mut tell: impl FnMut(&TemplateView),
    ) {
        let period = period.min(rule.seconds / 2).max(1);
        let is_due = |template: &Template| template.is_due(clock, period, is_alone);
        let first = (turn as usize).wrapping_mul(SWEPT);
        for index in first..first.wrapping_add(SWEPT) {
            for tree in [0, 1] {
                let tree = (index % SHELVES).saturating_mul(2).saturating_add(tree);
                let mut from = Some(0);
                while let Some(start) = from {
                    let mut found: Found = [const { None }; SHOWN];
                    from = self.due(tree, start, rule, is_due, &mut found);
                    // When the lock is not held any more.
                    found.iter().flatten().for_each(&mut tell);
                    work::give_way();
                }
            }
        }
    }

    /// Those of a tree that others are to be told of, from `start` on; where to go on.
    fn due(
        &self,
        tree: usize,
        start: u128,
        rule: &Persistence,
        is_due: impl Fn(&Template) -> bool,
        found: &mut Found,
    ) -> Option<u128> {
        let next = self.with_tree(tree, |tree, assured| {
            let mut places = found.iter_mut();
            let mut place = places.next()?;
            let mut next = tree.cursor_lower_bound_mut(&start);
            for _ in 0..BATCH {
                let cursor = next?;
                let (key, template) = cursor.current();
                if template.lives(rule) && is_due(template) {
                    *place = Some(template.view(*key, assured, rule));
                    match places.next() {
                        Some(other) => place = other,
                        None => return key.checked_add(1),
                    }
                }
                next = cursor.move_next();
            }
            next.map(|cursor| *cursor.current().0)
        });
        next.flatten()
    }

    /// That of somebody, while it lives.
    pub(in crate::table) fn look(
        &self,
        whom: Whom<'_>,
        rule: &Persistence,
    ) -> Option<TemplateView> {
        let place = whom.place(&self.keys);
        let found = self.shelves.with(shelf_of(place), |shelf| {
            let assured = shelf.tree(true).get_mut(&place).is_some();
            let template = shelf.get_mut(place)?;
            template
                .lives(rule)
                .then(|| template.view(place, assured, rule))
        });
        found.flatten()
    }

    /// Takes one that was told: flows of `whom` go to `dest`, which the candidates have at `index`,
    /// for so many seconds yet. Whether that is news; an error when there is no memory.
    pub(in crate::table) fn learn(
        &self,
        whom: Whom<'_>,
        (index, dest): (u32, &Arc<Dest>),
        left: u32,
        (rule, assured): (&Persistence, bool),
    ) -> Result<bool> {
        let (lasts, left) = (time::seconds(rule.seconds), time::seconds(left));
        let silent = lasts.saturating_sub(left);
        let seen = time::now().wrapping_sub(silent);
        let template = Template {
            dest: Chosen::new(dest),
            index,
            seen,
            memo: AtomicU8::new(Memo::learned(seen).0),
            call: Call::of(whom)?,
        };
        let place = whom.place(&self.keys);
        let mut node = Some(Node::new(place, template, memcg::atomic_flags())?);
        // What is replaced or not used is dropped when the lock is not held any more.
        let old = self.shelves.with(shelf_of(place), |shelf| {
            if let Some(there) = shelf.get_mut(place) {
                let memo = Memo(there.memo.load(Ordering::Relaxed));
                let is_newer = there.seen.wrapping_sub(seen) as i32 > 0;
                if is_newer && there.lives(rule) && !memo.is_of_others(there.seen) {
                    return (None, true);
                }
            }
            let old = shelf.remove(place);
            if let Some((_, assured)) = old {
                self.count_out(1, assured);
            }
            self.count_in(assured);
            if let Some(node) = node.take() {
                shelf.tree(assured).insert(node);
            }
            let was_there = old.is_some();
            (old, was_there)
        });
        Ok(!old.is_some_and(|(_old, was_there)| was_there))
    }
}

impl Template {
    /// Whether others are to be told now; then they are taken to be told.
    fn is_due(&self, clock: Clock, period: u32, is_alone: bool) -> bool {
        let memo = Memo(self.memo.load(Ordering::Relaxed));
        let due = memo.look(self.seen, clock, period, false) == Look::Tell
            || (is_alone && memo.is_of_others(self.seen));
        if due {
            self.memo.store(Memo::told(clock).0, Ordering::Relaxed);
        }
        due
    }
}
