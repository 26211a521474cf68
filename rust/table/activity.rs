// SPDX-License-Identifier: GPL-2.0

//! Which of the datapath's hooks a namespace has: none that nothing is there for.

use kernel::prelude::*;

use super::{
    filter::Gate,
    live::Live,
    turn::{Posts, Turn},
};
use crate::{
    engine::spec::ServiceId,
    kapi::{netfilter::Hooks, rcu},
};

/// Who puts hooks in.
pub(super) trait Activate {
    /// Puts those of a turn for that IP version into the namespace, at those posts.
    fn activate(&self, version: u8, turn: Turn, posts: Posts) -> Result<Hooks>;
}

/// A namespace's hooks.
pub(super) struct Activity {
    posts: Posts,
    v4: Version,
    v6: Version,
}

/// Those of an IP version.
struct Version {
    /// From the first service or dest of the version on.
    early: Option<Hooks>,
    /// While there is a service by mark, or replies are routed by theirs.
    late: Option<Hooks>,
    /// Whether replies of dests are to wait until they have their marks.
    replies: bool,
}

impl Activity {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            posts: Posts::Early,
            v4: Version::new(),
            v6: Version::new(),
        }
    }

    /// Moves the hooks to other posts, and has what comes later go there. Each packet meets at least
    /// one of the old and the new ones. May sleep.
    pub(super) fn move_to(&mut self, hooks: &dyn Activate, posts: Posts) -> Result {
        if posts == self.posts {
            return Ok(());
        }
        let v4 = self.v4.at(hooks, 4, posts)?;
        let v6 = self.v6.at(hooks, 6, posts)?;
        if !v4.is_idle() || !v6.is_idle() {
            // What has passed the new ones by before they were there meets the old ones.
            rcu::synchronize();
        }
        *self = Self { posts, v4, v6 };
        Ok(())
    }

    /// Puts in the hooks that are needed where services go by marks or not, by IP version, and
    /// addresses of services and dests are added. Packets do not know yet that they may wait for
    /// their marks.
    pub(super) fn prepare(
        &mut self,
        hooks: &dyn Activate,
        marks: &Marks,
        mut added: impl Iterator<Item = bool>,
    ) -> Result {
        let posts = self.posts;
        // An address of IPv6 is true.
        while self.v4.early.is_none() || self.v6.early.is_none() {
            match added.next() {
                None => break,
                Some(false) => self.v4.begin(hooks, 4, posts)?,
                Some(true) => self.v6.begin(hooks, 6, posts)?,
            }
        }
        self.v4.prepare(hooks, 4, posts, marks.of(4))?;
        self.v6.prepare(hooks, 6, posts, marks.of(6))
    }

    /// Lets new flows wait for their marks where services go by them, and takes those hooks out
    /// that nothing is there for any more. The services are published.
    pub(super) fn settle(&mut self, live: &Live, marks: &Marks) {
        self.v4.settle(&live.gate_v4, marks.of(4));
        self.v6.settle(&live.gate_v6, marks.of(6));
    }

    /// Lets replies wait for their marks where those are asked for, by rules of the host's routing
    /// that have come or gone. One that finds no memory tries again with the next call.
    pub(super) fn follow_rules(&mut self, live: &Live, hooks: &dyn Activate, marks: &Marks) {
        let posts = self.posts;
        let gates = [(&mut self.v4, 4), (&mut self.v6, 6)];
        for (of, version) in gates {
            let wait = of.early.is_some() && live.replies_are_marked(version);
            if wait == of.replies {
                continue;
            }
            of.replies = wait;
            if of
                .prepare(hooks, version, posts, marks.of(version))
                .is_err()
            {
                of.replies = false;
            }
            of.settle(live.gate(version), marks.of(version));
        }
    }

    /// Takes all hooks out. Packets may be in them for a grace period.
    pub(super) fn end(&mut self) {
        *self = Self::new();
    }
}

impl Version {
    const fn new() -> Self {
        Self {
            early: None,
            late: None,
            replies: false,
        }
    }

    fn is_idle(&self) -> bool {
        self.early.is_none() && self.late.is_none()
    }

    /// As many as there are, at other posts.
    fn at(&self, hooks: &dyn Activate, version: u8, posts: Posts) -> Result<Self> {
        let mut moved = Self::new();
        moved.replies = self.replies;
        if self.early.is_some() {
            moved.begin(hooks, version, posts)?;
        }
        moved.prepare(hooks, version, posts, self.late.is_some())?;
        Ok(moved)
    }

    fn begin(&mut self, hooks: &dyn Activate, version: u8, posts: Posts) -> Result {
        if self.early.is_none() {
            self.early = Some(hooks.activate(version, Turn::Early, posts)?);
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        hooks: &dyn Activate,
        version: u8,
        posts: Posts,
        has_marks: bool,
    ) -> Result {
        if (has_marks || self.replies) && self.late.is_none() {
            self.late = Some(hooks.activate(version, Turn::Late, posts)?);
        }
        Ok(())
    }

    fn settle(&mut self, gate: &Gate, has_marks: bool) {
        gate.set_marks(has_marks);
        gate.set_replies_wait(self.replies);
        if !has_marks && !self.replies {
            self.late = None;
        }
    }
}

/// How many services go by marks, of IPv4 and of IPv6.
#[derive(Default)]
pub(super) struct Marks([u32; 2]);

impl Marks {
    /// Counts a service that is added.
    pub(super) fn add(&mut self, id: &ServiceId) {
        self.change(id, 1);
    }

    /// Counts a service out.
    pub(super) fn remove(&mut self, id: &ServiceId) {
        self.change(id, u32::MAX);
    }

    fn change(&mut self, id: &ServiceId, by: u32) {
        if let ServiceId::Marked { ipv6, .. } = *id {
            let [v4, v6] = &mut self.0;
            let count = if ipv6 { v6 } else { v4 };
            *count = count.wrapping_add(by);
        }
    }

    /// Whether there are any of that IP version.
    fn of(&self, version: u8) -> bool {
        let [v4, v6] = self.0;
        (if version == 6 { v6 } else { v4 }) > 0
    }
}

/// Whether a service is of flows with a mark, of that IP version.
pub(super) fn goes_by_mark(id: &ServiceId, version: u8) -> bool {
    matches!(id, ServiceId::Marked { ipv6, .. } if *ipv6 == (version == 6))
}
