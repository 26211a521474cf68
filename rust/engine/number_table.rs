// SPDX-License-Identifier: GPL-2.0

//! A hash table of numbers, in an array that somebody else has: where things are in a list.
//!
//! Open addressing, the length a power of two, at least one entry empty. What is removed leaves no
//! mark: those behind it move up.

/// An entry that has nothing.
pub const EMPTY: u32 = u32::MAX;

/// Entries for that many numbers, so that at most half are in use; none when that is too many.
pub fn entries(numbers: usize) -> Option<usize> {
    let entries = numbers.max(4).checked_mul(2)?.checked_next_power_of_two()?;
    (entries <= EMPTY as usize).then_some(entries)
}

/// The number of that hash for which `is` says so.
pub fn find(table: &[u32], hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
    let found = probe(table, hash).find(|&(_, number)| number == EMPTY || is(number));
    found.map(|(_, number)| number).filter(|&n| n != EMPTY)
}

/// Puts a number in. False when there is no room.
pub fn insert(table: &mut [u32], hash: u32, number: u32) -> bool {
    let empty = probe(table, hash).find(|&(_, there)| there == EMPTY);
    let entry = empty.and_then(|(at, _)| table.get_mut(at));
    entry.map(|entry| *entry = number).is_some()
}

/// Takes a number out; `hash_of` is asked for the hashes of others.
pub fn remove(table: &mut [u32], hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) {
    let Some((mut hole, _)) = probe(table, hash).find(|&(_, there)| there == number) else {
        return;
    };
    let mask = table.len().wrapping_sub(1);
    let mut at = hole;
    loop {
        at = at.wrapping_add(1) & mask;
        let there = table.get(at).copied().unwrap_or(EMPTY);
        if there == EMPTY || at == hole {
            break;
        }
        // It may go to the hole if that is not ahead of where it is looked for first.
        let first = hash_of(there) as usize & mask;
        let distance = |from: usize| at.wrapping_sub(from) & mask;
        if distance(first) >= distance(hole) {
            table.swap(hole, at);
            hole = at;
        }
    }
    if let Some(entry) = table.get_mut(hole) {
        *entry = EMPTY;
    }
}

/// The entries where a number of that hash may be, in order.
fn probe(table: &[u32], hash: u32) -> impl Iterator<Item = (usize, u32)> + '_ {
    let mask = table.len().wrapping_sub(1);
    (0..table.len()).filter_map(move |step| {
        let at = (hash as usize).wrapping_add(step) & mask;
        Some((at, *table.get(at)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, vec, vec::Vec};

    /// Few hashes, so that runs are long and go round the end.
    fn hash(number: u32) -> u32 {
        number.wrapping_mul(7) % 19
    }

    fn check(table: &[u32], model: &BTreeSet<u32>) {
        for number in 0..64 {
            let found = find(table, hash(number), |there| there == number);
            assert_eq!(found.is_some(), model.contains(&number), "{number}");
        }
    }

    #[test]
    fn it_finds_what_was_put_in_and_not_taken_out() {
        let mut table = vec![EMPTY; entries(15).unwrap()];
        let (mut model, mut random) = (BTreeSet::new(), 1u32);
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let number = (random >> 16) % 64;
            if model.remove(&number) {
                remove(&mut table, hash(number), number, hash);
            } else if model.len() < 15 {
                assert!(insert(&mut table, hash(number), number));
                model.insert(number);
            }
            check(&table, &model);
        }
        for number in model.iter().copied().collect::<Vec<_>>() {
            remove(&mut table, hash(number), number, hash);
        }
        assert!(table.iter().all(|&entry| entry == EMPTY));
    }

    #[test]
    fn a_full_table_takes_no_more_and_an_empty_one_has_nothing() {
        let mut table = [EMPTY; 2];
        assert!(insert(&mut table, 5, 1) && insert(&mut table, 5, 2));
        assert!(!insert(&mut table, 5, 3));
        assert_eq!(find(&[], 5, |_| true), None);
        assert!(!insert(&mut [], 5, 1));
        remove(&mut [], 5, 1, |_| 5);
        remove(&mut table, 5, 3, |_| 5);
        assert_eq!(find(&table, 5, |there| there == 2), Some(2));
    }

    #[test]
    fn half_of_the_entries_stay_empty() {
        for numbers in 0..100 {
            let entries = entries(numbers).unwrap();
            assert!(entries.is_power_of_two() && entries >= numbers * 2);
        }
        assert_eq!(entries(usize::MAX), None);
    }
}
