// SPDX-License-Identifier: GPL-2.0

//! config-get and config-set.

use kernel::error::Result;

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, config as names, main, tcp_timeouts};
use super::namespace::namespace;
use super::{encode, event, policy, refusal};
use crate::engine::defence::When;
use crate::engine::echo::Echo;
use crate::engine::proto::State;
use crate::engine::spec::{validate_timeout, ConnReuse};
use crate::kapi::genl::{Attr, AttrPolicy, Doit, Place, Request};
use crate::table::{ConfigGuard, Settings};

/// config-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::CONFIG_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONFIG_GET);

    fn doit(request: &Request<'_>) -> Result {
        let config = namespace(request)?.config();
        request.reply(cmd::CONFIG_GET, encode::SETTINGS_SIZE, |w| {
            encode::settings(w, &config)
        })
    }
}

/// config-set.
pub(super) struct Set;

impl Doit for Set {
    const CMD: u8 = cmd::CONFIG_SET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONFIG_SET);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
        let nest = decoder.require(&attrs, None, main::CONFIG, "config")?;
        let mut config = namespace(request)?.config();
        let settings = decode(&decoder, nest, &config)?;
        set(request, &mut config, nest, settings)
    }
}

/// Sets the settings that [`decode`] gave for `nest`, and sends their event.
pub(super) fn set<'a>(
    request: &Request<'a>,
    config: &mut ConfigGuard<'_>,
    nest: Attr<'a>,
    settings: Settings,
) -> Result {
    config.set_settings(settings).map_err(|error| {
        let (errno, place) = (refusal::errno(&error), Place::Attr(nest));
        Decoder::new(request).refuse(errno, place, format_args!("{error}"))
    })?;
    event::settings(request, config);
    Ok(())
}

/// The settings with what is in the nest in place of what was.
pub(super) fn decode<'a>(
    decoder: &Decoder<'a>,
    nest: Attr<'a>,
    config: &ConfigGuard<'_>,
) -> Result<Settings> {
    let mut settings = config.settings();
    let attrs = decoder.table::<{ names::POLICY.len() }>(nest.nested())?;
    if let Some(nest) = attrs.get(names::TCP_TIMEOUTS) {
        let timeouts = decoder.table::<{ tcp_timeouts::POLICY.len() }>(nest.nested())?;
        for (kind, state) in encode::TCP_TIMEOUTS {
            if let Some(attr) = timeouts.get(kind) {
                settings.timeouts.set(state, timeout(decoder, attr)?);
            }
        }
    }
    if let Some(attr) = attrs.get(names::UDP_TIMEOUT) {
        let seconds = timeout(decoder, attr)?;
        settings.timeouts.set(State::Udp, seconds);
    }
    for (kind, max, name) in [
        (names::CONN_MAX, &mut settings.conn_max, "conn-max"),
        (
            names::CONN_MAX_OTHERS,
            &mut settings.conn_max_others,
            "conn-max-others",
        ),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *max = attr.uint().ok_or_else(|| decoder.malformed(attr, name))?;
        }
    }
    for (kind, is_on, name) in [
        (
            names::EXPIRE_NODEST,
            &mut settings.expire_nodest,
            "expire-nodest",
        ),
        (
            names::EXPIRE_QUIESCED,
            &mut settings.expire_quiesced,
            "expire-quiesced",
        ),
        (names::SLOPPY_TCP, &mut settings.sloppy_tcp, "sloppy-tcp"),
        (
            names::NAT_AS_FULLNAT,
            &mut settings.nat_as_fullnat,
            "nat-as-fullnat",
        ),
        (
            names::CACHE_BYPASS,
            &mut settings.cache_bypass,
            "cache-bypass",
        ),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *is_on = attr.u8().ok_or_else(|| decoder.malformed(attr, name))? != 0;
        }
    }
    if let Some(attr) = attrs.get(names::CONN_REUSE) {
        let reuse = attr.u8().and_then(ConnReuse::from_number);
        settings.conn_reuse = reuse.ok_or_else(|| decoder.malformed(attr, "conn-reuse"))?;
    }
    if let Some(attr) = attrs.get(names::ECHO) {
        let echo = attr.u8().and_then(Echo::from_number);
        settings.echo = echo.ok_or_else(|| decoder.malformed(attr, "echo"))?;
    }
    for (kind, port, name) in [
        (
            names::LOCAL_PORT_MIN,
            &mut settings.local_ports.first,
            "local-port-min",
        ),
        (
            names::LOCAL_PORT_MAX,
            &mut settings.local_ports.last,
            "local-port-max",
        ),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *port = attr.u16_be().ok_or_else(|| decoder.malformed(attr, name))?;
        }
    }
    if let Some(attr) = attrs.get(names::TOA_KIND) {
        let kind = attr.u8();
        settings.toa_kind = kind.ok_or_else(|| decoder.malformed(attr, "toa-kind"))?;
    }
    for (kind, when, name) in [
        (names::DROP_ENTRY, &mut settings.drop_entry, "drop-entry"),
        (names::DROP_PACKET, &mut settings.drop_packet, "drop-packet"),
    ] {
        if let Some(attr) = attrs.get(kind) {
            let known = When::from_number(decoder.u32(attr, name)?);
            *when = known.ok_or_else(|| decoder.malformed(attr, name))?;
        }
    }
    for (kind, number, name) in [
        (names::DROP_RATE, &mut settings.drop_rate, "drop-rate"),
        (names::MEMORY_MIN, &mut settings.memory_min, "memory-min"),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *number = decoder.u32(attr, name)?;
        }
    }
    config.check_settings(&settings).map_err(|error| {
        let place = Place::Attr(nest);
        decoder.refuse(refusal::errno(&error), place, format_args!("{error}"))
    })?;
    Ok(settings)
}

fn timeout<'a>(decoder: &Decoder<'a>, attr: Attr<'a>) -> Result<u32> {
    let seconds = decoder.u32(attr, "timeout")?;
    validate_timeout(seconds).map_err(|error| {
        let place = Place::Attr(attr);
        decoder.refuse(refusal::spec_errno(&error), place, format_args!("{error}"))
    })?;
    Ok(seconds)
}
