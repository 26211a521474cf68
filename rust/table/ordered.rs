// SPDX-License-Identifier: GPL-2.0

//! Things in the order they were added, each found by its id: services, and their dests.
//!
//! What is removed leaves a gap, so that the others keep their places, and it can be put back where
//! it was without memory. Gaps are closed when nobody remembers a place.

use kernel::prelude::*;

use crate::{
    engine::{
        hash::Key,
        number_table::{self, EMPTY},
    },
    kapi::broken::broken,
};

/// Something that has an id of its own in its list.
pub(crate) trait Named {
    /// What names it.
    type Id: PartialEq;

    /// Its id.
    fn name(&self) -> Self::Id;

    /// Hash of an id.
    fn hash(id: &Self::Id, key: &Key) -> u32;
}

/// A list.
pub(crate) struct Ordered<T> {
    places: KVVec<Option<T>>,
    len: usize,
    /// Places by the hash of the id.
    table: KVVec<u32>,
    key: Key,
}

impl<T: Named> Ordered<T> {
    /// An empty one.
    pub(super) const fn new(key: Key) -> Self {
        Self {
            places: KVVec::new(),
            len: 0,
            table: KVVec::new(),
            key,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.places.iter().flatten()
    }

    /// All, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    /// The one of that id.
    pub(crate) fn find(&self, id: &T::Id) -> Option<&T> {
        self.get(self.place(id)?)
    }

    /// The place of that id. It stays the same until [`Ordered::close_gaps`].
    pub(super) fn place(&self, id: &T::Id) -> Option<usize> {
        let is = |place: u32| self.get(place as usize).is_some_and(|it| it.name() == *id);
        let place = number_table::find(&self.table, T::hash(id, &self.key), is)?;
        Some(place as usize)
    }

    /// What is at a place.
    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.places.get(place)?.as_ref()
    }

    /// What is at a place.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.places.get_mut(place)?.as_mut()
    }

    /// All places, some of which may be empty.
    pub(super) fn places(&self) -> core::ops::Range<usize> {
        0..self.places.len()
    }

    /// Adds one of a new id at the end; its place.
    pub(super) fn push(&mut self, it: T) -> Result<usize> {
        self.make_room()?;
        let place = self.places.len();
        self.places.push(None, GFP_KERNEL_ACCOUNT)?;
        self.put(place, it);
        Ok(place)
    }

    /// Puts one at a place that is empty: the last, or that where it was.
    pub(super) fn put(&mut self, place: usize, it: T) {
        let hash = T::hash(&it.name(), &self.key);
        let Some(empty) = self.places.get_mut(place) else {
            return broken!(c"there is no such place in a list");
        };
        *empty = Some(it);
        self.len = self.len.wrapping_add(1);
        if !number_table::insert(&mut self.table, hash, place as u32) {
            broken!(c"no room in the table of a list");
        }
    }

    /// Takes out what is at a place.
    pub(super) fn take(&mut self, place: usize) -> Option<T> {
        let hash = T::hash(&self.get(place)?.name(), &self.key);
        let (all, key) = (&self.places, &self.key);
        let hash_of = |place: u32| {
            let it = all.get(place as usize).and_then(Option::as_ref);
            it.map_or(0, |it| T::hash(&it.name(), key))
        };
        number_table::remove(&mut self.table, hash, place as u32, hash_of);
        self.len = self.len.wrapping_sub(1);
        self.places.get_mut(place)?.take()
    }

    /// Closes gaps if there are many. Others are at other places then, in the same order.
    pub(super) fn close_gaps(&mut self) {
        let gaps = self.places.len().wrapping_sub(self.len);
        if gaps == 0 || gaps < self.len {
            return;
        }
        self.places.retain(|place| place.is_some());
        if self.len == 0 {
            (self.places, self.table) = (KVVec::new(), KVVec::new());
            return;
        }
        fill(&mut self.table, &self.places, &self.key);
    }

    /// Makes room in the table for one more.
    fn make_room(&mut self) -> Result {
        let wanted = number_table::entries(self.len.wrapping_add(1)).ok_or(ENOMEM)?;
        if wanted > self.table.len() {
            let mut table = KVVec::from_elem(EMPTY, wanted, GFP_KERNEL_ACCOUNT)?;
            fill(&mut table, &self.places, &self.key);
            self.table = table;
        }
        Ok(())
    }
}

/// Makes a table of all places.
fn fill<T: Named>(table: &mut [u32], all: &[Option<T>], key: &Key) {
    table.fill(EMPTY);
    for (place, it) in (0u32..).zip(all) {
        if let Some(it) = it {
            number_table::insert(table, T::hash(&it.name(), key), place);
        }
    }
}

impl<'a, T> IntoIterator for &'a Ordered<T> {
    type Item = &'a T;
    type IntoIter = core::iter::Flatten<core::slice::Iter<'a, Option<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.places.iter().flatten()
    }
}
