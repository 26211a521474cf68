// SPDX-License-Identifier: GPL-2.0

//! batch: many changes, all or none.

use kernel::alloc::{flags::GFP_KERNEL, KVVec};
use kernel::error::{code::EINVAL, code::ENOMEM, Result};

use super::change::{self, Step};
use super::decode::Decoder;
use super::generated::{cmd, main};
use super::policy;
use crate::engine::change::Change;
use crate::kapi::genl::{Attr, AttrPolicy, Doit, Place, Request};

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
        if changes.is_empty() {
            return Err(Decoder::new(request).missing(None, main::CHANGE, "change"));
        }
        let Err(refused) = change::apply(request, &changes)? else {
            return Ok(());
        };
        let decoder = Decoder::of_change(request, refused.index);
        let nest = steps(request).nth(refused.index).ok_or(EINVAL)?;
        let change = changes.get(refused.index).ok_or(EINVAL)?;
        Err(Step::of_batch(&decoder, nest)?.refuse(&decoder, change, &refused))
    }
}

fn steps<'a>(request: &Request<'a>) -> impl Iterator<Item = Attr<'a>> {
    let attrs = request.attrs();
    attrs.filter(|attr| attr.kind() == main::CHANGE)
}
