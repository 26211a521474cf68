// SPDX-License-Identifier: GPL-2.0

//! Settings of a namespace, as config-set and batch have them.

use kernel::error::Result;

use super::decode::Decoder;
use super::generated::{config as names, tcp_timeouts};
use super::{encode, refusal};
use crate::engine::conntrack::Conntrack;
use crate::engine::defence::When;
use crate::engine::echo::Echo;
use crate::engine::places::Places;
use crate::engine::proto::State;
use crate::engine::spec::{validate_timeout, ConnReuse};
use crate::kapi::genl::{Attr, Attrs, Place};
use crate::table::{ConfigGuard, Settings};

type Names<'a> = Attrs<'a, { names::POLICY.len() }>;

/// The settings with what is in the nest in place of what was.
pub(super) fn decode<'a>(
    decoder: &Decoder<'a>,
    nest: Attr<'a>,
    config: &ConfigGuard<'_>,
) -> Result<Settings> {
    let mut settings = config.settings();
    let attrs: Names<'a> = decoder.table(nest.nested())?;
    timeouts(decoder, &attrs, &mut settings)?;
    numbers(decoder, &attrs, &mut settings)?;
    switches(decoder, &attrs, &mut settings)?;
    choices(decoder, &attrs, &mut settings)?;
    config.check_settings(&settings).map_err(|error| {
        let place = Place::Attr(nest);
        decoder.refuse(refusal::errno(&error), place, format_args!("{error}"))
    })?;
    Ok(settings)
}

fn timeouts<'a>(decoder: &Decoder<'a>, attrs: &Names<'a>, settings: &mut Settings) -> Result {
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
    Ok(())
}

fn timeout<'a>(decoder: &Decoder<'a>, attr: Attr<'a>) -> Result<u32> {
    let seconds = decoder.u32(attr, "timeout")?;
    validate_timeout(seconds).map_err(|error| {
        let place = Place::Attr(attr);
        decoder.refuse(refusal::spec_errno(&error), place, format_args!("{error}"))
    })?;
    Ok(seconds)
}

fn numbers<'a>(decoder: &Decoder<'a>, attrs: &Names<'a>, settings: &mut Settings) -> Result {
    let max = &mut settings.conn_max;
    let others = &mut settings.conn_max_others;
    for (kind, max, name) in [
        (names::CONN_MAX, max, "conn-max"),
        (names::CONN_MAX_OTHERS, others, "conn-max-others"),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *max = attr.uint().ok_or_else(|| decoder.malformed(attr, name))?;
        }
    }
    let ports = &mut settings.local_ports;
    for (kind, port, name) in [
        (names::LOCAL_PORT_MIN, &mut ports.first, "local-port-min"),
        (names::LOCAL_PORT_MAX, &mut ports.last, "local-port-max"),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *port = attr.u16_be().ok_or_else(|| decoder.malformed(attr, name))?;
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
    if let Some(attr) = attrs.get(names::TOA_KIND) {
        let kind = attr.u8();
        settings.toa_kind = kind.ok_or_else(|| decoder.malformed(attr, "toa-kind"))?;
    }
    Ok(())
}

fn switches<'a>(decoder: &Decoder<'a>, attrs: &Names<'a>, settings: &mut Settings) -> Result {
    let Settings {
        expire_nodest,
        expire_quiesced,
        sloppy_tcp,
        nat_as_fullnat,
        cache_bypass,
        ..
    } = settings;
    for (kind, is_on, name) in [
        (names::EXPIRE_NODEST, expire_nodest, "expire-nodest"),
        (names::EXPIRE_QUIESCED, expire_quiesced, "expire-quiesced"),
        (names::SLOPPY_TCP, sloppy_tcp, "sloppy-tcp"),
        (names::NAT_AS_FULLNAT, nat_as_fullnat, "nat-as-fullnat"),
        (names::CACHE_BYPASS, cache_bypass, "cache-bypass"),
    ] {
        if let Some(attr) = attrs.get(kind) {
            *is_on = attr.u8().ok_or_else(|| decoder.malformed(attr, name))? != 0;
        }
    }
    Ok(())
}

fn choices<'a>(decoder: &Decoder<'a>, attrs: &Names<'a>, settings: &mut Settings) -> Result {
    if let Some(attr) = attrs.get(names::CONN_REUSE) {
        let reuse = attr.u8().and_then(ConnReuse::from_number);
        settings.conn_reuse = reuse.ok_or_else(|| decoder.malformed(attr, "conn-reuse"))?;
    }
    if let Some(attr) = attrs.get(names::ECHO) {
        let echo = attr.u8().and_then(Echo::from_number);
        settings.echo = echo.ok_or_else(|| decoder.malformed(attr, "echo"))?;
    }
    if let Some(attr) = attrs.get(names::PLACES) {
        let places = attr.u8().and_then(Places::from_number);
        settings.places = places.ok_or_else(|| decoder.malformed(attr, "places"))?;
    }
    if let Some(attr) = attrs.get(names::CONNTRACK) {
        let conntrack = attr.u8().and_then(Conntrack::from_number);
        settings.conntrack = conntrack.ok_or_else(|| decoder.malformed(attr, "conntrack"))?;
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
    Ok(())
}
