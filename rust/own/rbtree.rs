// SPDX-License-Identifier: GPL-2.0

//! Values in the order of their keys: C's red-black tree.

use core::{cmp::Ordering, marker::PhantomData, mem::offset_of, ptr};

use crate::{
    alloc::{Flags, KBox},
    bindings,
    error::Result,
};

struct Node<K, V> {
    links: bindings::rb_node,
    key: K,
    value: V,
}

impl<K, V> Node<K, V> {
    /// The node that has these links.
    ///
    /// # Safety
    ///
    /// They are those of such a node.
    unsafe fn of(links: *mut bindings::rb_node) -> *mut Self {
        // SAFETY: The caller's promise.
        unsafe { links.byte_sub(offset_of!(Self, links)).cast() }
    }
}

/// A value with its key, and what a tree needs to hold it.
pub struct RBTreeNode<K, V>(KBox<Node<K, V>>);

impl<K, V> RBTreeNode<K, V> {
    /// Asks for its memory.
    pub fn new(key: K, value: V, flags: Flags) -> Result<Self> {
        let links = bindings::rb_node::default();
        Ok(Self(KBox::new(Node { links, key, value }, flags)?))
    }
}

/// A tree.
///
/// # Invariants
///
/// Its nodes came from boxes, are its own, and in the order of their keys.
pub struct RBTree<K, V> {
    root: bindings::rb_root,
    _owned: PhantomData<Node<K, V>>,
}

// SAFETY: It owns what is in it.
unsafe impl<K: Send, V: Send> Send for RBTree<K, V> {}
// SAFETY: Who shares it only looks.
unsafe impl<K: Sync, V: Sync> Sync for RBTree<K, V> {}

impl<K, V> RBTree<K, V> {
    /// An empty one.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        // INVARIANT: Nothing is in it.
        Self {
            root: bindings::rb_root {
                rb_node: ptr::null_mut(),
            },
            _owned: PhantomData,
        }
    }

    /// Takes a node out.
    ///
    /// # Safety
    ///
    /// It is in this tree.
    unsafe fn take(&mut self, node: *mut Node<K, V>) -> RBTreeNode<K, V> {
        // SAFETY: It is in this tree, which nobody else uses; then it is in none, and came from a box.
        unsafe {
            bindings::rb_erase(&raw mut (*node).links, &mut self.root);
            RBTreeNode(KBox::from_raw(node))
        }
    }
}

impl<K: Ord, V> RBTree<K, V> {
    /// The node of that key.
    fn find(&self, key: &K) -> Option<*mut Node<K, V>> {
        let mut at = self.root.rb_node;
        while !at.is_null() {
            // SAFETY: By the invariants.
            let node = unsafe { Node::<K, V>::of(at) };
            // SAFETY: As above.
            at = match key.cmp(unsafe { &(*node).key }) {
                Ordering::Equal => return Some(node),
                // SAFETY: As above.
                Ordering::Less => unsafe { (*at).rb_left },
                // SAFETY: As above.
                Ordering::Greater => unsafe { (*at).rb_right },
            };
        }
        None
    }

    /// The value of that key.
    pub fn get(&self, key: &K) -> Option<&V> {
        // SAFETY: It is in the tree as long as that is borrowed.
        self.find(key).map(|node| unsafe { &(*node).value })
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        // SAFETY: As above, and nobody else has the tree.
        self.find(key).map(|node| unsafe { &mut (*node).value })
    }

    /// Puts a node in. Who had its key before is taken out.
    pub fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
        let before = self.remove_node(&node.0.key);
        let node = KBox::into_raw(node.0);
        let (mut parent, mut at): (*mut bindings::rb_node, _) =
            (ptr::null_mut(), &raw mut self.root.rb_node);
        // SAFETY: All are nodes of this tree, but the new one, which is ours and stays where it is;
        // `at` is where the link to it belongs.
        unsafe {
            while !(*at).is_null() {
                parent = *at;
                let other = Node::<K, V>::of(parent);
                at = if (*node).key < (*other).key {
                    &raw mut (*parent).rb_left
                } else {
                    &raw mut (*parent).rb_right
                };
            }
            // Red, below its parent.
            (*node).links = bindings::rb_node {
                __rb_parent_color: parent.expose_provenance(),
                rb_right: ptr::null_mut(),
                rb_left: ptr::null_mut(),
            };
            *at = &raw mut (*node).links;
            bindings::rb_insert_color(&raw mut (*node).links, &mut self.root);
        }
        before
    }

    /// Takes the node of that key out.
    pub fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        let node = self.find(key)?;
        // SAFETY: It is in this tree.
        Some(unsafe { self.take(node) })
    }

    /// The first node whose key is not below that one.
    pub fn cursor_lower_bound_mut(&mut self, key: &K) -> Option<CursorMut<'_, K, V>> {
        let (mut at, mut best) = (self.root.rb_node, None);
        while !at.is_null() {
            // SAFETY: By the invariants.
            unsafe {
                let node = Node::<K, V>::of(at);
                at = if (*node).key < *key {
                    (*at).rb_right
                } else {
                    best = Some(node);
                    (*at).rb_left
                };
            }
        }
        // INVARIANT: Just found in it.
        best.map(|node| CursorMut { tree: self, node })
    }
}

impl<K, V> Drop for RBTree<K, V> {
    fn drop(&mut self) {
        // From the root on, which is there as long as anything is.
        while !self.root.rb_node.is_null() {
            // SAFETY: By the invariants.
            drop(unsafe {
                let node = Node::<K, V>::of(self.root.rb_node);
                self.take(node)
            });
        }
    }
}

/// A place in a tree.
///
/// # Invariants
///
/// `node` is in `tree`.
pub struct CursorMut<'a, K, V> {
    tree: &'a mut RBTree<K, V>,
    node: *mut Node<K, V>,
}

impl<K, V> CursorMut<'_, K, V> {
    /// What is there.
    pub fn current(&self) -> (&K, &V) {
        // SAFETY: By the invariants.
        unsafe { (&(*self.node).key, &(*self.node).value) }
    }

    /// Goes to another node, by its links.
    fn go(self, links: *mut bindings::rb_node) -> Option<Self> {
        if links.is_null() {
            return None;
        }
        // INVARIANT: Callers pass links of a node in the tree.
        Some(Self {
            // SAFETY: As above.
            node: unsafe { Node::of(links) },
            tree: self.tree,
        })
    }

    /// The next place; none behind the last.
    pub fn move_next(self) -> Option<Self> {
        // SAFETY: By the invariants.
        let next = unsafe { bindings::rb_next(&raw const (*self.node).links) };
        self.go(next)
    }

    /// Takes out what is there. The next place, or where there is none the one before.
    pub fn remove_current(self) -> (Option<Self>, RBTreeNode<K, V>) {
        // SAFETY: By the invariants.
        let (next, node) = unsafe {
            let links = &raw const (*self.node).links;
            let mut next = bindings::rb_next(links);
            if next.is_null() {
                next = bindings::rb_prev(links);
            }
            (next, self.tree.take(self.node))
        };
        (self.go(next), node)
    }
}
