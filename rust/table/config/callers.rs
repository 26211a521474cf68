// SPDX-License-Identifier: GPL-2.0

//! Which dests begin calls themselves, of the configuration as it is.

use kernel::prelude::*;

use super::{super::callers::Callers, guard::ConfigGuard, undo::Undo};
use crate::{
    engine::{persistence::Engine, service::ServiceSpec, spec::Mode},
    kapi::rcu::RcuBox,
};

/// What becomes of those that packets see; none where they stay.
pub(super) type NextCallers = Option<Option<KBox<RcuBox<Callers>>>>;

impl ConfigGuard<'_> {
    /// Those from now on, where a service of calls has changed or gone.
    #[inline(never)]
    pub(super) fn next_callers(&self, undo: &[Undo]) -> Result<NextCallers> {
        let config = &*self.config;
        let had_calls = undo.iter().any(|step| match step {
            Undo::ServiceDel(_, service) => keeps_calls(&service.spec),
            Undo::ServiceSet(_, past) => keeps_calls(&past.spec),
            _ => false,
        });
        if !had_calls && !config.changed().any(|service| keeps_calls(&service.spec)) {
            return Ok(None);
        }
        let services = config
            .services
            .iter()
            .filter(|service| keeps_calls(&service.spec));
        // Those by mark have no address that a call could come from.
        let services = services.filter(|service| service.id.address().is_some());
        let dests = services.flat_map(|service| {
            let dests = service.dests.iter().map(|member| &member.dest);
            dests.map(move |dest| (dest, service.id))
        });
        let callers = dests.filter(|(dest, _)| dest.mode() == Mode::Nat && dest.id().port != 0);
        let count = callers.clone().count();
        if count == 0 {
            return Ok(Some(None));
        }
        let mut made = Callers::with_room(count)?;
        for (dest, service) in callers {
            made.add(dest.id(), service)?;
        }
        made.settle();
        Ok(Some(Some(RcuBox::new(made, GFP_KERNEL_ACCOUNT)?)))
    }
}

fn keeps_calls(spec: &ServiceSpec) -> bool {
    spec.persistence.seconds != 0 && spec.persistence.engine == Engine::Sip
}
