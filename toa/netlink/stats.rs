// SPDX-License-Identifier: GPL-2.0

//! stats-get.

use kernel::error::Result;

use super::{
    generated::{cmd, counters, main},
    namespace::namespace,
    policy,
};
use crate::{
    kapi::genl::{attr_size, AttrPolicy, Doit, Request},
    state::Counter,
};

/// Counters that are told as they are.
const PLAIN: [(u16, Counter); 11] = [
    (counters::LEARNED, Counter::Learned),
    (counters::ANSWERED, Counter::Answered),
    (counters::UNTRUSTED, Counter::Untrusted),
    (counters::MALFORMED, Counter::Malformed),
    (counters::WRONG_LENGTH, Counter::WrongLength),
    (counters::TWICE, Counter::Twice),
    (counters::BAD_ADDRESS, Counter::BadAddress),
    (counters::NO_MEMORY, Counter::NoMemory),
    (counters::FLOWS_LEARNED, Counter::FlowLearned),
    (counters::FLOWS_EVICTED, Counter::FlowEvicted),
    (counters::WITHOUT_OPTION, Counter::WithoutOption),
];

/// stats-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::STATS_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::STATS_GET);

    fn doit(request: &Request<'_>) -> Result {
        let netns = namespace(request)?;
        let counts = netns.counts();
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or(0);
        let size = attr_size(attr_size(8) * counters::POLICY.len());
        request.reply(cmd::STATS_GET, size, |w| {
            w.nest(main::COUNTERS, |w| {
                // Each CPU's part is read at another moment.
                let now = of(Counter::Learned).saturating_sub(of(Counter::Forgotten));
                w.uint(counters::SOCKETS_NOW, now)?;
                w.uint(counters::FLOWS_NOW, netns.flows() as u64)?;
                for (kind, counter) in PLAIN {
                    w.uint(kind, of(counter))?;
                }
                Ok(())
            })
        })
    }
}
