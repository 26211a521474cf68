// SPDX-License-Identifier: GPL-2.0

//! Arrays that grow.

use core::{
    alloc::Layout,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
};

use crate::{
    alloc::{AllocError, Allocator, Flags, KVmalloc, Kmalloc},
    error::{code::EINVAL, Error},
};

/// An array that grows, in memory of `A`.
///
/// # Invariants
///
/// `start` points to room for `room` values in memory of `A`, of which the first `len` are valid; to
/// anywhere when `room` is 0 or they have no size.
pub struct Vec<T, A: Allocator> {
    start: NonNull<T>,
    room: usize,
    len: usize,
    _owned: PhantomData<(T, A)>,
}

/// One of `kmalloc`.
pub type KVec<T> = Vec<T, Kmalloc>;

/// One of `kvmalloc`.
pub type KVVec<T> = Vec<T, KVmalloc>;

/// Why a value was not put in, with the value.
pub enum InsertError<T> {
    /// There is no such place.
    IndexOutOfBounds(T),
    /// There is no room.
    OutOfCapacity(T),
}

/// There is no room for the value.
pub struct PushError<T>(pub T);

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushError")
    }
}

impl<T> From<PushError<T>> for Error {
    fn from(_: PushError<T>) -> Self {
        EINVAL
    }
}

/// There is no such place.
#[derive(Debug)]
pub struct RemoveError;

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IndexOutOfBounds(_) => "IndexOutOfBounds",
            Self::OutOfCapacity(_) => "OutOfCapacity",
        })
    }
}

// SAFETY: It owns the values, as variables would.
unsafe impl<T: Send, A: Allocator> Send for Vec<T, A> {}
// SAFETY: As above.
unsafe impl<T: Sync, A: Allocator> Sync for Vec<T, A> {}

impl<T, A: Allocator> Vec<T, A> {
    /// None yet, and no memory.
    pub const fn new() -> Self {
        // INVARIANT: No room.
        Self {
            start: NonNull::dangling(),
            room: 0,
            len: 0,
            _owned: PhantomData,
        }
    }

    /// None yet, with room for that many.
    pub fn with_capacity(room: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut this = Self::new();
        this.reserve(room, flags)?;
        Ok(this)
    }

    /// One of `len` values at `start`, in memory of `A` for `room` of them.
    ///
    /// # Safety
    ///
    /// It is as the invariants have it, and nobody else's.
    pub unsafe fn from_raw_parts(start: *mut T, len: usize, room: usize) -> Self {
        // INVARIANT: The caller's promise.
        Self {
            // SAFETY: So it is not null.
            start: unsafe { NonNull::new_unchecked(start) },
            room,
            len,
            _owned: PhantomData,
        }
    }

    /// How many there is room for.
    pub fn capacity(&self) -> usize {
        if size_of::<T>() == 0 {
            usize::MAX
        } else {
            self.room
        }
    }

    /// Whether the memory is ours to free.
    fn has_memory(&self) -> bool {
        self.room != 0 && size_of::<T>() != 0
    }

    /// Makes room for that many more; to twice as many at least, so that adding one by one is cheap.
    pub fn reserve(&mut self, more: usize, flags: Flags) -> Result<(), AllocError> {
        let wanted = self.len.checked_add(more).ok_or(AllocError)?;
        if wanted <= self.capacity() {
            return Ok(());
        }
        let room = wanted.max(self.room.saturating_mul(2));
        let layout = Layout::array::<T>(room).map_err(|_| AllocError)?;
        let start = A::alloc(layout, flags)?.cast::<T>();
        // SAFETY: The new memory is for more values than the old one has.
        unsafe { start.copy_from_nonoverlapping(self.start, self.len) };
        if self.has_memory() {
            // SAFETY: By the invariants; the values are in their new place.
            unsafe { A::free(self.start.cast()) };
        }
        // INVARIANT: Room for `room`, with the first `len` valid.
        (self.start, self.room) = (start, room);
        Ok(())
    }

    /// Adds one at the end.
    pub fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        // SAFETY: Just made room for it.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Adds one at the end, if there is room.
    pub fn push_within_capacity(&mut self, value: T) -> Result<(), PushError<T>> {
        if self.len >= self.capacity() {
            return Err(PushError(value));
        }
        // SAFETY: There is room for one more.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Takes the last one out.
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: It was valid and counts no more.
        Some(unsafe { self.start.add(self.len).read() })
    }

    /// Puts one in at `index`, if there is room.
    pub fn insert_within_capacity(&mut self, index: usize, value: T) -> Result<(), InsertError<T>> {
        if index > self.len {
            return Err(InsertError::IndexOutOfBounds(value));
        }
        if self.len >= self.capacity() {
            return Err(InsertError::OutOfCapacity(value));
        }
        // SAFETY: There is room for one more, and those from `index` on move by one.
        unsafe {
            let at = self.start.add(index);
            ptr::copy(at.as_ptr(), at.as_ptr().add(1), self.len - index);
            at.write(value);
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the one at `index` out; those behind it move up.
    pub fn remove(&mut self, index: usize) -> Result<T, RemoveError> {
        if index >= self.len {
            return Err(RemoveError);
        }
        self.len -= 1;
        // SAFETY: It is valid and counts no more where it was; those behind it move by one.
        Ok(unsafe {
            let at = self.start.add(index);
            let value = at.read();
            ptr::copy(at.as_ptr().add(1), at.as_ptr(), self.len - index);
            value
        })
    }

    /// Drops those behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        let Some(gone) = self.len.checked_sub(len) else {
            return;
        };
        self.len = len;
        // SAFETY: They were valid and count no more.
        unsafe {
            let gone = ptr::slice_from_raw_parts_mut(self.start.add(len).as_ptr(), gone);
            ptr::drop_in_place(gone);
        }
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Drops those that `keep` does not name; the others keep their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        for at in 0..self.len {
            let Some(value) = self.get_mut(at) else {
                break;
            };
            if keep(value) {
                self.swap(kept, at);
                kept += 1;
            }
        }
        self.truncate(kept);
    }
}

impl<T: Clone, A: Allocator> Vec<T, A> {
    /// That many of the same.
    pub fn from_elem(value: T, len: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut this = Self::with_capacity(len, flags)?;
        for _ in 1..len {
            this.push(value.clone(), flags)?;
        }
        if len > 0 {
            this.push(value, flags)?;
        }
        Ok(this)
    }

    /// Adds those of a slice.
    pub fn extend_from_slice(&mut self, values: &[T], flags: Flags) -> Result<(), AllocError> {
        self.reserve(values.len(), flags)?;
        for value in values {
            self.push(value.clone(), flags)?;
        }
        Ok(())
    }
}

impl<T, A: Allocator> Drop for Vec<T, A> {
    fn drop(&mut self) {
        self.clear();
        if self.has_memory() {
            // SAFETY: By the invariants.
            unsafe { A::free(self.start.cast()) };
        }
    }
}

impl<T, A: Allocator> Default for Vec<T, A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, A: Allocator> Deref for Vec<T, A> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: By the invariants.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T, A: Allocator> DerefMut for Vec<T, A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: By the invariants.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: fmt::Debug, A: Allocator> fmt::Debug for Vec<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The values of a [`Vec`] one by one, taken out of it.
pub struct IntoIter<T, A: Allocator> {
    /// Its values are not its any more, but its memory is.
    memory: ManuallyDrop<Vec<T, A>>,
    next: usize,
}

impl<T, A: Allocator> Iterator for IntoIter<T, A> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next >= self.memory.len {
            return None;
        }
        // SAFETY: Valid, and each is read once.
        let value = unsafe { self.memory.start.add(self.next).read() };
        self.next += 1;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.memory.len - self.next;
        (left, Some(left))
    }
}

impl<T, A: Allocator> Drop for IntoIter<T, A> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
        self.memory.len = 0;
        // SAFETY: Once; it has no values left.
        unsafe { ManuallyDrop::drop(&mut self.memory) };
    }
}

impl<T, A: Allocator> IntoIterator for Vec<T, A> {
    type Item = T;
    type IntoIter = IntoIter<T, A>;

    fn into_iter(self) -> IntoIter<T, A> {
        IntoIter {
            memory: ManuallyDrop::new(self),
            next: 0,
        }
    }
}

impl<'a, T, A: Allocator> IntoIterator for &'a Vec<T, A> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T, A: Allocator> IntoIterator for &'a mut Vec<T, A> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> slice::IterMut<'a, T> {
        self.iter_mut()
    }
}
