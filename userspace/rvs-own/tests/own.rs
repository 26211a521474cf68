// SPDX-License-Identifier: GPL-2.0

//! What `rust/own/` has in the place of the kernel's crate: whether it keeps what it is given, gives back
//! what it took, and says so when there is no memory.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::{atomic::Ordering, Mutex as StdMutex, MutexGuard as StdGuard},
};

use kernel::{
    bindings::{LEFT, PIECES, WRONG},
    error::{code::*, from_err_ptr, from_result, to_result, Error, Result},
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{Arc, Mutex, SetOnce},
};

static ALONE: StdMutex<()> = StdMutex::new(());

/// The counters of memory are for one test at a time; at its end all is given back.
struct Alone(#[allow(dead_code)] StdGuard<'static, ()>);

fn alone() -> Alone {
    let guard = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    PIECES.store(0, Ordering::Relaxed);
    LEFT.store(-1, Ordering::Relaxed);
    Alone(guard)
}

impl Drop for Alone {
    fn drop(&mut self) {
        LEFT.store(-1, Ordering::Relaxed);
        if !std::thread::panicking() {
            assert_eq!(PIECES.load(Ordering::Relaxed), 0, "memory is kept");
        }
    }
}

#[test]
fn errors_are_the_numbers_of_c() {
    assert_eq!(EINVAL.to_errno(), -22);
    assert_eq!(Error::from_errno(-12), ENOMEM);
    assert_eq!([0, 5, -4096].map(Error::from_errno), [EINVAL; 3]);
    assert_eq!(to_result(3), Ok(()));
    assert_eq!(to_result(-1), Err(EPERM));
    assert_eq!(from_result(|| Result::<i32>::Err(ENOENT)), -2);
    let bad = (-12_isize) as *mut u8;
    assert_eq!(from_err_ptr(bad), Err(ENOMEM));
    let mut good = 1_u8;
    assert!(from_err_ptr(&raw mut good).is_ok());
    assert!(from_err_ptr(std::ptr::null_mut::<u8>()).is_ok());
}

#[test]
fn a_box_drops_its_value_once() {
    let _alone = alone();
    let value = Rc::new(7);
    let this = KBox::new(value.clone(), GFP_KERNEL).expect("memory");
    assert_eq!((**this, Rc::strong_count(&value)), (7, 2));
    let raw = KBox::into_raw(this);
    // SAFETY: Just made.
    drop(unsafe { KBox::from_raw(raw) });
    assert_eq!(Rc::strong_count(&value), 1);
    LEFT.store(0, Ordering::Relaxed);
    assert!(KBox::new(value.clone(), GFP_KERNEL).is_err());
    assert!(
        KBox::new((), GFP_KERNEL).is_ok(),
        "what has no size needs no memory"
    );
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_vector_does_as_that_of_std() {
    let _alone = alone();
    let (mut ours, mut theirs) = (KVVec::new(), Vec::new());
    let mut random = 1_u64;
    for step in 0..20_000_u64 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = (random >> 33) as usize % (theirs.len() + 1);
        match random >> 60 {
            0..7 => {
                ours.push(Rc::new(step), GFP_KERNEL).expect("memory");
                theirs.push(step);
            }
            7..9 => assert_eq!(ours.pop().map(|v| *v), theirs.pop()),
            9..11 => {
                let inserted = ours.insert_within_capacity(at, Rc::new(step)).is_ok();
                if inserted {
                    theirs.insert(at, step);
                }
            }
            11..13 => match ours.remove(at) {
                Ok(value) => assert_eq!(*value, theirs.remove(at)),
                Err(_) => assert_eq!(at, theirs.len()),
            },
            13 => {
                if ours.push_within_capacity(Rc::new(step)).is_ok() {
                    theirs.push(step);
                }
            }
            14 => {
                ours.retain(|v| **v % 3 != 0);
                theirs.retain(|v| v % 3 != 0);
            }
            _ => {
                ours.truncate(at);
                theirs.truncate(at);
            }
        }
        assert!(
            ours.iter().map(|v| **v).eq(theirs.iter().copied()),
            "step {step}"
        );
    }
    let half = theirs.len() / 2;
    let taken: Vec<_> = ours.into_iter().take(half).map(|v| *v).collect();
    assert_eq!(taken, theirs[..half]);
}

#[test]
fn a_vector_without_memory_stays_as_it_was() {
    let _alone = alone();
    let mut ours = KVec::from_elem(5_u64, 3, GFP_KERNEL).expect("memory");
    LEFT.store(0, Ordering::Relaxed);
    while ours.len() < ours.capacity() {
        ours.push(6, GFP_KERNEL).expect("room");
    }
    let before = ours.to_vec();
    assert!(ours.push(7, GFP_KERNEL).is_err());
    assert!(ours.reserve(usize::MAX, GFP_KERNEL).is_err());
    assert_eq!(*ours, before);
    let mut nothing = KVec::new();
    nothing
        .push((), GFP_KERNEL)
        .expect("what has no size needs no memory");
    assert_eq!(nothing.len(), 1);
}

#[test]
fn memory_is_aligned() {
    #[repr(align(64))]
    struct Line(#[allow(dead_code)] [u8; 65]);
    let _alone = alone();
    let lines = KVec::from_elem((), 0, GFP_KERNEL).expect("memory");
    assert!(lines.is_empty());
    let line = KBox::new(Line([0; 65]), GFP_KERNEL).expect("memory");
    assert_eq!((&raw const *line).addr() % 64, 0);
}

#[test]
fn the_last_owner_drops() {
    let _alone = alone();
    let value = Rc::new(());
    let one = Arc::new(value.clone(), GFP_KERNEL).expect("memory");
    let other = one.clone();
    assert!(Arc::ptr_eq(&one, &other));
    drop(one);
    assert_eq!(Rc::strong_count(&value), 2);
    drop(other);
    assert_eq!(Rc::strong_count(&value), 1);
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
}

#[test]
fn a_place_is_filled_once() {
    let value = Rc::new(());
    let place = SetOnce::new();
    assert!(place.as_ref().is_none());
    assert!(place.populate(value.clone()));
    assert!(!place.populate(value.clone()));
    assert_eq!(Rc::strong_count(&value), 2);
    drop(place);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[pin_data]
struct Whole {
    #[pin]
    locked: Mutex<Part>,
    number: u32,
    text: &'static str,
}

struct Part {
    numbers: [u32; 100],
    more: KVec<u8>,
}

impl Part {
    fn init(first: u32) -> impl Init<Self> {
        init!(Self {
            numbers: [first; 100],
            more: KVec::new(),
        })
    }
}

#[test]
fn a_struct_is_made_where_it_stays() {
    let _alone = alone();
    let (text, part) = ("said", Part::init(3));
    let whole = KBox::pin_init(
        pin_init!(Whole {
            locked <- new_mutex!(part, "part"),
            number: 1 + 1,
            text,
        }),
        GFP_KERNEL,
    )
    .expect("memory");
    whole
        .locked
        .lock()
        .more
        .push(1, GFP_KERNEL)
        .expect("memory");
    let part = whole.locked.lock();
    assert_eq!((whole.number, whole.text), (2, "said"));
    assert_eq!((part.numbers[99], part.more.len()), (3, 1));
}

struct Failing {
    first: Rc<()>,
    second: KVec<u8>,
}

impl Failing {
    fn init(first: Rc<()>, fails: bool) -> impl Init<Self, Error> {
        init!(Self {
            first,
            second: if fails { Err(EBUSY)? } else { KVec::new() },
        }? Error)
    }
}

#[test]
fn what_was_made_is_dropped_when_a_field_fails() {
    let _alone = alone();
    let value = Rc::new(());
    let failed = KBox::pin_init(Failing::init(value.clone(), true), GFP_KERNEL);
    assert_eq!(failed.err(), Some(EBUSY));
    assert_eq!(Rc::strong_count(&value), 1);
    assert!(Arc::pin_init(Failing::init(value.clone(), true), GFP_KERNEL).is_err());
    let made = Arc::pin_init(Failing::init(value.clone(), false), GFP_KERNEL).expect("memory");
    assert_eq!((Rc::strong_count(&made.first), made.second.len()), (2, 0));
}

#[test]
fn a_tree_does_as_that_of_std() {
    let _alone = alone();
    let (mut ours, mut theirs) = (RBTree::new(), BTreeMap::new());
    let mut random = 1_u64;
    for step in 0..20_000_u64 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let key = (random >> 33) % 400;
        match random >> 61 {
            0..4 => {
                let node = RBTreeNode::new(key, Rc::new(step), GFP_KERNEL).expect("memory");
                assert_eq!(
                    ours.insert(node).is_some(),
                    theirs.insert(key, step).is_some()
                );
            }
            4 => assert_eq!(
                ours.remove_node(&key).is_some(),
                theirs.remove(&key).is_some()
            ),
            5 => {
                let found = ours.get_mut(&key).map(|v| **v);
                assert_eq!(found, theirs.get(&key).copied());
            }
            6 => {
                let mut next = ours.cursor_lower_bound_mut(&key);
                for (key, value) in theirs.range(key..).take(9) {
                    let cursor = next.take().expect("as many");
                    assert_eq!((cursor.current().0, **cursor.current().1), (key, *value));
                    next = cursor.move_next();
                }
            }
            _ => {
                let found = theirs.range(key..).next().map(|(key, _)| *key);
                let cursor = ours.cursor_lower_bound_mut(&key);
                assert_eq!(cursor.as_ref().map(|cursor| *cursor.current().0), found);
                let Some(cursor) = cursor else { continue };
                let (rest, _node) = cursor.remove_current();
                theirs.remove(&found.unwrap_or_default());
                let next = theirs
                    .range(key..)
                    .next()
                    .or(theirs.range(..key).next_back());
                let rest = rest.map(|cursor| *cursor.current().0);
                assert_eq!(rest, next.map(|(key, _)| *key));
            }
        }
    }
    let mut next = ours.cursor_lower_bound_mut(&0);
    for (key, value) in &theirs {
        let cursor = next.take().expect("as many");
        assert_eq!((cursor.current().0, **cursor.current().1), (key, *value));
        next = cursor.move_next();
    }
    assert!(next.is_none());
}
