// SPDX-License-Identifier: GPL-2.0

//! The kernel's extended ack: why a request was refused, and which attribute is to blame.

use std::fmt;
use std::io;

use crate::attr::{received, Received};
use crate::generated::{main, Policy, Set};
use crate::names::attribute_name;

// `enum nlmsgerr_attrs` of include/uapi/linux/netlink.h.
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;
const NLMSGERR_ATTR_MISS_NEST: u16 = 6;

/// Bytes of the netlink and the generic netlink header, which offsets count too.
const HEADERS: usize = 16 + 4;

/// A refusal of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Error number, positive.
    pub errno: i32,
    /// The kernel's text.
    pub text: Option<String>,
    /// The attribute it blames.
    pub blame: Option<Blame>,
    /// The attribute that the request lacks.
    pub missing: Option<String>,
}

/// An attribute of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// Where it is, from the top level on: `dest.weight`.
    pub path: String,
    /// Its value; a nest has none.
    pub value: Option<String>,
    /// Which step of the batch it is in, from 0 on.
    pub change: Option<usize>,
}

impl Refusal {
    /// Takes a refusal apart: its errno, the attributes of its extended ack, and the request.
    pub(crate) fn new(errno: i32, extack: &[u8], request: &[u8]) -> Self {
        let mut refusal = Self {
            errno,
            text: None,
            blame: None,
            missing: None,
        };
        let (mut missing, mut nest) = (None, None);
        // A broken extended ack must not hide the refusal itself.
        for attribute in received(extack).map_while(Result::ok) {
            match attribute.kind() {
                NLMSGERR_ATTR_MSG => refusal.text = attribute.text("text").ok(),
                NLMSGERR_ATTR_OFFS => {
                    let offset = attribute.u32("offset").ok();
                    refusal.blame = offset.and_then(|offset| locate(request, offset));
                }
                NLMSGERR_ATTR_MISS_TYPE => missing = attribute.u32("type").ok(),
                NLMSGERR_ATTR_MISS_NEST => nest = attribute.u32("nest").ok(),
                _ => {}
            }
        }
        if let Some(kind) = missing.and_then(|kind| u16::try_from(kind).ok()) {
            refusal.set_missing(kind, nest.and_then(|offset| find(request, offset)));
        }
        refusal
    }

    fn set_missing(&mut self, kind: u16, nest: Option<Found>) {
        let (set, path) = match &nest {
            Some(found) => (found.inner, format!("{}.", found.blame.path)),
            None => (Some(Set::Main), String::new()),
        };
        let name = set.map_or("unknown", |set| attribute_name(set, kind));
        self.missing = Some(format!("{path}{name}"));
        if self.blame.is_none() {
            // The nest says at least which step of a batch it is.
            self.blame = nest.map(|found| found.blame);
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            f.write_str(text)?;
        } else {
            write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        }
        if let Some(missing) = &self.missing {
            return write!(f, " (missing: {missing})");
        }
        // The texts of `rvs` name the value; those of the kernel's own policy checks do not.
        let says = |value: &str| self.text.as_ref().is_some_and(|text| text.contains(value));
        match &self.blame {
            Some(blame) if blame.path.is_empty() => Ok(()),
            Some(Blame { value: None, .. }) if self.text.is_some() => Ok(()),
            Some(Blame { value: Some(v), .. }) if says(v) => Ok(()),
            Some(blame) => write!(f, " ({blame})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.value {
            Some(value) => write!(f, " = {value}"),
            None => Ok(()),
        }
    }
}

/// An attribute found in a request, and the set that its own attributes are of.
struct Found {
    blame: Blame,
    inner: Option<Set>,
}

/// Names the attribute at `offset` of `request`.
fn locate(request: &[u8], offset: u32) -> Option<Blame> {
    Some(find(request, offset)?.blame)
}

fn find(request: &[u8], offset: u32) -> Option<Found> {
    let offset = usize::try_from(offset).ok()?.checked_sub(HEADERS)?;
    let mut found = Found {
        blame: Blame::default(),
        inner: Some(Set::Main),
    };
    descend(request.get(HEADERS..)?, offset, Set::Main, &mut found).then_some(found)
}

/// Walks `bytes`, attributes of `set`, to the one that starts at `offset`.
fn descend(bytes: &[u8], offset: usize, set: Set, found: &mut Found) -> bool {
    let mut start = 0;
    let mut changes = 0;
    for attribute in received(bytes).map_while(Result::ok) {
        let (kind, content) = (attribute.kind(), attribute.bytes());
        let end = start + 4 + content.len().next_multiple_of(4);
        if offset < end {
            let policy = set.policy().get(usize::from(kind)).copied();
            let policy = policy.unwrap_or(Policy::Unspec);
            found.enter(set, kind, changes);
            found.inner = match policy {
                Policy::Nested(inner) => Some(inner),
                _ => None,
            };
            if offset == start {
                found.blame.value = value(policy, &attribute);
                return true;
            }
            return match found.inner {
                Some(inner) if offset >= start + 4 => {
                    descend(content, offset - start - 4, inner, found)
                }
                _ => false,
            };
        }
        changes += usize::from(set == Set::Main && kind == main::CHANGE);
        start = end;
    }
    false
}

impl Found {
    fn enter(&mut self, set: Set, kind: u16, changes: usize) {
        if set == Set::Main && kind == main::CHANGE {
            // The step's number says it better than its name.
            self.blame.change = Some(changes);
            return;
        }
        if !self.blame.path.is_empty() {
            self.blame.path.push('.');
        }
        self.blame.path.push_str(attribute_name(set, kind));
    }
}

/// The value of `attribute` for people.
fn value(policy: Policy, attribute: &Received<'_>) -> Option<String> {
    match policy {
        Policy::U8(_) => attribute.u8("").ok().map(|n| n.to_string()),
        Policy::U16Be(_) => attribute.u16_be("").ok().map(|n| n.to_string()),
        Policy::U32(_) => attribute.u32("").ok().map(|n| n.to_string()),
        Policy::U64(_) | Policy::Uint(_) => attribute.uint("").ok().map(|n| n.to_string()),
        Policy::NulString { .. } => attribute.text("").ok(),
        Policy::Binary { .. } => attribute.address("").ok().map(|a| a.to_string()),
        Policy::Unspec | Policy::U16(_) | Policy::Nested(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::{encode, Attr};
    use crate::generated::{change, dest, service};
    use proptest::prelude::*;

    /// A batch of two steps, each with a service nest and a dest nest.
    fn batch() -> Vec<u8> {
        let step = |weight| {
            let service = vec![Attr::u8(service::PROTOCOL, 6)];
            let dest = vec![Attr::u32(dest::MODE, 1), Attr::u32(dest::WEIGHT, weight)];
            let nests = vec![
                Attr::u32(change::OP, 6),
                Attr::nest(change::SERVICE, service),
                Attr::nest(change::DEST, dest),
            ];
            Attr::nest(main::CHANGE, nests)
        };
        let mut request = vec![0; HEADERS];
        request.extend(encode(&[step(1), step(70_000)]));
        request
    }

    /// Offset of the second step's weight: headers, first step, nest header, op, service nest,
    /// dest nest's header, mode.
    const SECOND_WEIGHT: u32 = 20 + 44 + 4 + 8 + 12 + 4 + 8;

    fn refusal(attributes: &[Attr]) -> Refusal {
        Refusal::new(34, &encode(attributes), &batch())
    }

    #[test]
    fn offset_becomes_a_name() {
        let offset = Attr::u32(NLMSGERR_ATTR_OFFS, SECOND_WEIGHT);
        let refusal = refusal(&[offset]);
        let blame = refusal.blame.clone().unwrap();
        assert_eq!(blame.path, "dest.weight");
        assert_eq!(blame.value.as_deref(), Some("70000"));
        assert_eq!(blame.change, Some(1));
        assert_eq!(
            refusal.to_string(),
            "Numerical result out of range (os error 34) (dest.weight = 70000)"
        );
    }

    #[test]
    fn the_kernels_text_comes_first() {
        let text = Attr::text(NLMSGERR_ATTR_MSG, "weight 70000 is out of range");
        let offset = Attr::u32(NLMSGERR_ATTR_OFFS, SECOND_WEIGHT);
        assert_eq!(
            refusal(&[text, offset]).to_string(),
            "weight 70000 is out of range"
        );
    }

    #[test]
    fn a_text_without_the_value_gets_it() {
        let text = Attr::text(NLMSGERR_ATTR_MSG, "integer out of range");
        let offset = Attr::u32(NLMSGERR_ATTR_OFFS, SECOND_WEIGHT);
        assert_eq!(
            refusal(&[text, offset]).to_string(),
            "integer out of range (dest.weight = 70000)"
        );
    }

    #[test]
    fn missing_attribute_is_named() {
        let kind = Attr::u32(NLMSGERR_ATTR_MISS_TYPE, dest::PORT.into());
        let nest = Attr::u32(NLMSGERR_ATTR_MISS_NEST, SECOND_WEIGHT - 12);
        let refusal = refusal(&[kind, nest]);
        assert_eq!(refusal.missing.as_deref(), Some("dest.port"));
        assert_eq!(refusal.blame.unwrap().change, Some(1));
        let kind = Attr::u32(NLMSGERR_ATTR_MISS_TYPE, main::SERVICE.into());
        let top = Refusal::new(22, &encode(&[kind]), &batch());
        assert_eq!(top.missing.as_deref(), Some("service"));
    }

    #[test]
    fn offset_to_nowhere_is_no_blame() {
        for offset in [0, 19, 21, 10_000] {
            let refusal = refusal(&[Attr::u32(NLMSGERR_ATTR_OFFS, offset)]);
            assert_eq!(refusal.blame, None, "offset {offset}");
        }
    }

    proptest! {
        #[test]
        fn random_acks_never_panic(extack: Vec<u8>, request: Vec<u8>, offset: u32) {
            let _ = Refusal::new(22, &extack, &request);
            let _ = locate(&request, offset);
            let _ = locate(&batch(), offset % 200);
        }
    }
}
