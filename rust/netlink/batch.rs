// SPDX-License-Identifier: GPL-2.0

//! batch: many changes and settings, all or nothing.

use kernel::alloc::{flags::GFP_KERNEL, KVVec};
use kernel::error::{code::EINVAL, code::ENOMEM, Error, Result};

use super::change::{self, Step};
use super::decode::Decoder;
use super::generated::{cmd, main};
use super::{config, namespace, policy};
use crate::engine::change::Change;
use crate::kapi::genl::{Attr, AttrPolicy, Doit, Place, Request};
use crate::table::Refused;

/// batch.
pub(super) struct Batch;

impl Doit for Batch {
    const CMD: u8 = cmd::BATCH;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::BATCH);

    fn doit(request: &Request<'_>) -> Result {
        // As many as the message holds: it bounds the memory this takes.
        let mut changes: KVVec<Change> = KVVec::with_capacity(steps(request).count(), GFP_KERNEL)
            .map_err(|_| {
            let text = format_args!("no memory for so many changes");
            request.extack().refuse(ENOMEM, Place::Message, text)
        })?;
        for (index, nest) in steps(request).enumerate() {
            let decoder = Decoder::of_change(request, index);
            let change = Step::of_batch(&decoder, nest)?.decode(&decoder)?;
            changes.push(change, GFP_KERNEL)?;
        }
        let decoder = Decoder::new(request);
        let nest = settings(request, &decoder)?;
        if changes.is_empty() && nest.is_none() {
            return Err(decoder.missing(None, main::CHANGE, "change"));
        }
        let mut config = namespace(request)?.config();
        // Whatever may be refused comes before the first change.
        let settings = match nest {
            Some(nest) => Some((nest, config::decode(&decoder, nest, config.settings())?)),
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
