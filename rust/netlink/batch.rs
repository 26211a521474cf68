// SPDX-License-Identifier: GPL-2.0

//! batch: many changes and settings, all or nothing.

use kernel::alloc::{flags::GFP_KERNEL_ACCOUNT, KVVec};
use kernel::error::{
    code::{E2BIG, EINVAL, ENOMEM},
    Error, Result,
};

use super::change::{self, Step};
use super::decode::Decoder;
use super::generated::{cmd, main};
use super::namespace::namespace;
use super::{config, event, policy, settings};
use crate::engine::change::Change;
use crate::kapi::genl::{Attr, AttrPolicy, Doit, Place, Request};
use crate::table::Refused;

/// Changes that a batch has at most, so that no list of what belongs to each is too long to be
/// allocated.
const STEPS_MAX: usize = 1 << 20;

/// batch.
pub(super) struct Batch;

impl Doit for Batch {
    const CMD: u8 = cmd::BATCH;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::BATCH);

    fn doit(request: &Request<'_>) -> Result {
        const {
            assert!(STEPS_MAX * event::PART_MAX < i32::MAX as usize);
            assert!(STEPS_MAX * size_of::<Change>() < i32::MAX as usize);
        }
        let count = steps(request).count();
        if count > STEPS_MAX {
            return Err(request.extack().refuse(
                E2BIG,
                Place::Message,
                format_args!("{count} changes in one batch, which has at most {STEPS_MAX}"),
            ));
        }
        let mut changes: KVVec<Change> =
            KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT).map_err(|_| {
                let text = format_args!("no memory for so many changes");
                request.extack().refuse(ENOMEM, Place::Message, text)
            })?;
        for (index, nest) in steps(request).enumerate() {
            let decoder = Decoder::of_change(request, index);
            let change = Step::of_batch(&decoder, nest)?.decode(&decoder)?;
            changes.push(change, GFP_KERNEL_ACCOUNT)?;
        }
        let decoder = Decoder::new(request);
        let nest = settings(request, &decoder)?;
        if changes.is_empty() && nest.is_none() {
            return Err(decoder.missing(None, main::CHANGE, "change"));
        }
        let mut config = namespace(request)?.config();
        // Whatever may be refused comes before the first change.
        let settings = match nest {
            Some(nest) => Some((nest, settings::decode(&decoder, nest, &config)?)),
            None => None,
        };
        if !changes.is_empty() {
            change::apply(request, &mut config, &changes)
                .map_err(|refused| refuse(request, &changes, &refused))?;
        }
        match settings {
            Some((nest, settings)) => config::set(request, &mut config, nest, settings),
            None => Ok(()),
        }
    }
}

/// Says why one of `changes` is refused.
fn refuse(request: &Request<'_>, changes: &[Change], refused: &Refused) -> Error {
    let step = || {
        let decoder = Decoder::of_change(request, refused.index);
        let nest = steps(request).nth(refused.index).ok_or(EINVAL)?;
        let change = changes.get(refused.index).ok_or(EINVAL)?;
        let step = Step::of_batch(&decoder, nest)?;
        Ok(step.refuse(&decoder, change, refused))
    };
    step().unwrap_or_else(|error| error)
}

/// The nest of settings, if there is one.
fn settings<'a>(request: &Request<'a>, decoder: &Decoder<'a>) -> Result<Option<Attr<'a>>> {
    let mut nests = request.attrs().filter(|attr| attr.kind() == main::CONFIG);
    let first = nests.next();
    match nests.next() {
        Some(second) => Err(decoder.twice(second)),
        None => Ok(first),
    }
}

fn steps<'a>(request: &Request<'a>) -> impl Iterator<Item = Attr<'a>> {
    let attrs = request.attrs();
    attrs.filter(|attr| attr.kind() == main::CHANGE)
}
