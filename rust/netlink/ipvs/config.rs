// SPDX-License-Identifier: GPL-2.0

//! Commands about the whole: timeouts and information.

use kernel::error::{code::EINVAL, Result};

use super::policy::POLICY;
use super::uapi::{cmd, info, main, IP_VS_VERSION};
use super::{encode, nest};
use crate::engine::proto::State;
use crate::kapi::genl::{AttrPolicy, Doit, Place, Request};
use crate::kapi::time;
use crate::netlink::namespace::namespace;
use crate::netlink::{event, refusal};

/// The timeouts and the states that have them.
pub(super) const TIMEOUTS: [(u16, State); 3] = [
    (main::TIMEOUT_TCP, State::Established),
    (main::TIMEOUT_TCP_FIN, State::FinWait),
    (main::TIMEOUT_UDP, State::Udp),
];

/// Seconds that `ip_vs` takes at most: its timeouts are 31-bit numbers of ticks.
pub(super) const SECONDS_MAX: u32 = i32::MAX.unsigned_abs() / time::HZ;

/// SET_CONFIG.
pub(super) struct Set;

impl Doit for Set {
    const CMD: u8 = cmd::SET_CONFIG;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let mut config = namespace(request)?.config();
        let mut settings = config.settings();
        for attr in request.attrs() {
            let found = TIMEOUTS.iter().find(|(kind, _)| *kind == attr.kind());
            let (Some(&(_, state)), seconds) = (found, nest::u32(attr)) else {
                continue;
            };
            if seconds > SECONDS_MAX {
                let place = Place::Attr(attr);
                return Err(request.extack().refuse(
                    EINVAL,
                    place,
                    format_args!("timeout {seconds} s is out of range"),
                ));
            }
            if seconds > 0 {
                settings.timeouts.set(state, seconds);
            }
        }
        config.set_settings(settings).map_err(|error| {
            let errno = refusal::errno(&error);
            request
                .extack()
                .refuse(errno, Place::Message, format_args!("{error}"))
        })?;
        event::settings(request, &config);
        Ok(())
    }
}

/// GET_CONFIG.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::GET_CONFIG;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let settings = namespace(request)?.config().settings();
        request.reply(cmd::SET_CONFIG, encode::SIZE, |w| {
            TIMEOUTS
                .iter()
                .try_for_each(|&(kind, state)| w.u32(kind, settings.timeouts.get(state)))
        })
    }
}

/// GET_INFO.
pub(super) struct Info;

impl Doit for Info {
    const CMD: u8 = cmd::GET_INFO;
    const POLICY: &'static [AttrPolicy] = &POLICY;

    fn doit(request: &Request<'_>) -> Result {
        let buckets = namespace(request)?.config().counters().table_buckets;
        request.reply(cmd::SET_INFO, encode::SIZE, |w| {
            w.u32(info::VERSION, IP_VS_VERSION)?;
            w.u32(info::CONN_TAB_SIZE, buckets as u32)
        })
    }
}
