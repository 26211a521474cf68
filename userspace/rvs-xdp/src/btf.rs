// SPDX-License-Identifier: GPL-2.0

//! BTF, the types that the kernel has of itself and its modules, as far as it takes to find a function:
//! `include/uapi/linux/btf.h`.

use crate::Error;

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
const FUNC: u32 = 12;

/// The sections of one.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

/// What a module's BTF goes on from: numbers of the kernel's types and bytes of its strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The first number that is a module's.
    pub first: u32,
    /// Where its strings begin.
    pub strings: u32,
}

impl Base {
    /// Of the kernel's own, a file as `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    ///
    /// [`Error::Btf`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let sections = sections(bytes)?;
        let mut first = 1u32;
        walk(sections.types, |_, _| {
            first = first.saturating_add(1);
            false
        })?;
        let strings = u32::try_from(sections.strings.len());
        let strings = strings.map_err(|_| Error::Btf("too many strings"))?;
        Ok(Self { first, strings })
    }

    /// The number of the function of that name in a module's.
    ///
    /// # Errors
    ///
    /// [`Error::Btf`] where it is no such thing.
    pub fn function(self, module: &[u8], name: &str) -> Result<Option<u32>, Error> {
        let sections = sections(module)?;
        let mut number = self.first;
        let mut found = None;
        walk(sections.types, |kind, at| {
            let at = at.checked_sub(self.strings).map(|at| at as usize);
            let named = at.and_then(|at| sections.strings.get(at..));
            let ends = named.and_then(|text| text.strip_prefix(name.as_bytes()));
            if kind == FUNC && ends.is_some_and(|rest| rest.first() == Some(&0)) {
                found = Some(number);
                return true;
            }
            number = number.saturating_add(1);
            false
        })?;
        Ok(found)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn sections(bytes: &[u8]) -> Result<Sections<'_>, Error> {
    let magic = bytes.first_chunk().map(|two| u16::from_ne_bytes(*two));
    if magic != Some(MAGIC) {
        return Err(Error::Btf("it does not begin as BTF does"));
    }
    let section = |at: usize| {
        let field = |at| word(bytes, at).map(|word| word as usize);
        let start = field(4)?.checked_add(field(at)?)?;
        bytes.get(start..start.checked_add(field(at + 4)?)?)
    };
    let short = Error::Btf("it is shorter than it says");
    match (bytes.len() >= HEADER, section(8), section(16)) {
        (true, Some(types), Some(strings)) => Ok(Sections { types, strings }),
        _ => Err(short),
    }
}

/// Shows kind and name of each type, until `visit` has seen enough.
fn walk(types: &[u8], mut visit: impl FnMut(u32, u32) -> bool) -> Result<(), Error> {
    let short = || Error::Btf("a type is cut short");
    let mut rest = types;
    while !rest.is_empty() {
        let name = word(rest, 0).ok_or_else(short)?;
        let info = word(rest, 4).ok_or_else(short)?;
        let (kind, members) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        // Integers, variables and tags have a word more, arrays three; others by their members.
        let more = match kind {
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * members,
            6 | 13 => 8 * members,
            2 | 7..=12 | 16 | 18 => 0,
            _ => return Err(Error::Btf("it has types of a kind that is not known")),
        };
        if visit(kind, name) {
            return Ok(());
        }
        rest = rest.get(12 + more..).ok_or_else(short)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF of types as words, and of strings.
    fn made(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let types: Vec<_> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let len = types.len() as u32;
        for word in [HEADER as u32, 0, len, len, strings.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    const INT: [u32; 4] = [1, 1 << 24, 4, 32];
    const PROTO: [u32; 5] = [0, (13 << 24) | 1, 1, 0, 1];

    #[test]
    fn a_function_is_found_behind_the_kernels_types() {
        let base = made(&INT, b"\0int\0");
        let base = Base::read(&base).unwrap();
        assert_eq!(
            base,
            Base {
                first: 2,
                strings: 5
            }
        );
        let func = |name| [name, FUNC << 24, 2];
        let types = [&PROTO[..], &func(5), &func(12)].concat();
        let module = made(&types, b"rvs_xx\0rvs_xdp\0");
        assert_eq!(base.function(&module, "rvs_xx").unwrap(), Some(3));
        assert_eq!(base.function(&module, "rvs_xdp").unwrap(), Some(4));
        // A name that only begins so, and one of the kernel's.
        assert_eq!(base.function(&module, "rvs_x").unwrap(), None);
        assert_eq!(base.function(&module, "int").unwrap(), None);
    }

    #[test]
    fn what_is_short_or_odd_is_said_and_nothing_is_read_beyond_it() {
        let whole = made(&[&INT[..], &PROTO[..]].concat(), b"\0int\0");
        for len in 0..whole.len() {
            assert!(Base::read(&whole[..len]).is_err(), "{len}");
        }
        assert!(Base::read(&made(&[0, 31 << 24, 0], b"\0")).is_err());
        assert!(Base::read(&made(&[0, (4 << 24) | 0xffff, 0], b"\0")).is_err());
        let base = Base {
            first: 10,
            strings: u32::MAX,
        };
        assert_eq!(base.function(&whole, "int").unwrap(), None);
    }
}
