// SPDX-License-Identifier: GPL-2.0

//! config-get, trust-add, trust-del, kind-add, kind-del, udp-set, require-set, inherit.

use kernel::prelude::*;

use super::{
    generated::{cmd, main, trust},
    namespace::namespace,
    policy,
    request::{refuse, required, table},
};
use crate::{
    engine::{
        prefix::Prefix,
        toa::{is_of_tcp, KIND_MAX, KIND_MIN},
    },
    kapi::genl::{attr_size, Attr, AttrPolicy, Doit, Place, Request},
    netns::{change, inherit},
    state::{Settings, TRUSTED_MAX},
};

/// Bytes of a trusted network in a message, and of all settings at most.
const NETWORK_SIZE: usize = attr_size(attr_size(16) + attr_size(1));
const SWITCHES: usize = 3;
const SETTINGS_SIZE: usize = NETWORK_SIZE * TRUSTED_MAX
    + attr_size(1) * (KIND_MAX as usize - KIND_MIN as usize + 1 + SWITCHES);

/// config-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::CONFIG_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CONFIG_GET);

    fn doit(request: &Request<'_>) -> Result {
        let netns = namespace(request)?;
        let (settings, inherits) = (netns.copy_of_settings()?, netns.inherits());
        request.reply(cmd::CONFIG_GET, SETTINGS_SIZE, |w| {
            for network in &settings.trusted {
                w.nest(main::TRUST, |w| {
                    match network.address() {
                        core::net::IpAddr::V4(v4) => w.bytes(trust::ADDRESS, &v4.octets())?,
                        core::net::IpAddr::V6(v6) => w.bytes(trust::ADDRESS, &v6.octets())?,
                    }
                    w.u8(trust::PREFIX_LENGTH, network.bits())
                })?;
            }
            for kind in settings.kinds.iter() {
                w.u8(main::KIND, kind)?;
            }
            w.u8(main::UDP, settings.udp.into())?;
            w.u8(main::INHERITED, inherits.into())?;
            w.u8(main::REQUIRE, settings.demands.into())
        })
    }
}

/// trust-add.
pub(super) struct TrustAdd;

impl Doit for TrustAdd {
    const CMD: u8 = cmd::TRUST_ADD;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::TRUST_ADD);

    fn doit(request: &Request<'_>) -> Result {
        let (nest, network) = network(request)?;
        change(namespace(request)?, |settings: &mut Settings| {
            if settings.trusted.contains(&network) {
                return refuse(
                    request,
                    EEXIST,
                    nest,
                    format_args!("{network} is trusted already"),
                );
            }
            if settings.trusted.push_within_capacity(network).is_err() {
                return refuse(
                    request,
                    ENOSPC,
                    nest,
                    format_args!("{TRUSTED_MAX} networks are trusted, more are not kept"),
                );
            }
            Ok(())
        })
    }
}

/// trust-del.
pub(super) struct TrustDel;

impl Doit for TrustDel {
    const CMD: u8 = cmd::TRUST_DEL;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::TRUST_DEL);

    fn doit(request: &Request<'_>) -> Result {
        let (nest, network) = network(request)?;
        change(namespace(request)?, |settings: &mut Settings| {
            let before = settings.trusted.len();
            settings.trusted.retain(|other| *other != network);
            if settings.trusted.len() < before {
                return Ok(());
            }
            refuse(
                request,
                ENOENT,
                nest,
                format_args!("{network} is not trusted"),
            )
        })
    }
}

/// kind-add.
pub(super) struct KindAdd;

impl Doit for KindAdd {
    const CMD: u8 = cmd::KIND_ADD;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::KIND_ADD);

    fn doit(request: &Request<'_>) -> Result {
        let (attr, kind) = kind(request)?;
        change(namespace(request)?, |settings: &mut Settings| {
            if settings.kinds.insert(kind) {
                return Ok(());
            }
            refuse(
                request,
                EEXIST,
                attr,
                format_args!("kind {kind} is there already"),
            )
        })
    }
}

/// kind-del.
pub(super) struct KindDel;

impl Doit for KindDel {
    const CMD: u8 = cmd::KIND_DEL;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::KIND_DEL);

    fn doit(request: &Request<'_>) -> Result {
        let (attr, kind) = kind(request)?;
        change(namespace(request)?, |settings: &mut Settings| {
            if settings.kinds.remove(kind) {
                return Ok(());
            }
            refuse(
                request,
                ENOENT,
                attr,
                format_args!("kind {kind} is not there"),
            )
        })
    }
}

/// udp-set.
pub(super) struct UdpSet;

impl Doit for UdpSet {
    const CMD: u8 = cmd::UDP_SET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::UDP_SET);

    fn doit(request: &Request<'_>) -> Result {
        let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
        let attr = required(request, &attrs, None, main::UDP, "udp")?;
        change(namespace(request)?, |settings: &mut Settings| {
            settings.udp = attr.u8() == Some(1);
            Ok(())
        })
    }
}

/// require-set.
pub(super) struct RequireSet;

impl Doit for RequireSet {
    const CMD: u8 = cmd::REQUIRE_SET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::REQUIRE_SET);

    fn doit(request: &Request<'_>) -> Result {
        let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
        let attr = required(request, &attrs, None, main::REQUIRE, "require")?;
        change(namespace(request)?, |settings: &mut Settings| {
            settings.demands = attr.u8() == Some(1);
            Ok(())
        })
    }
}

/// inherit.
pub(super) struct Inherit;

impl Doit for Inherit {
    const CMD: u8 = cmd::INHERIT;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::INHERIT);

    fn doit(request: &Request<'_>) -> Result {
        let netns = namespace(request)?;
        if netns.net.is_first() {
            let text = format_args!("this is the namespace that others inherit from");
            return Err(request.extack().refuse(EINVAL, Place::Message, text));
        }
        inherit(netns)
    }
}

/// The network that a request is about, and the nest it is in.
fn network<'a>(request: &Request<'a>) -> Result<(Attr<'a>, Prefix)> {
    let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
    let nest = required(request, &attrs, None, main::TRUST, "trust")?;
    let inner = table::<{ trust::POLICY.len() }>(request, nest.nested())?;
    let at = required(request, &inner, Some(nest), trust::ADDRESS, "address")?;
    let bits = required(
        request,
        &inner,
        Some(nest),
        trust::PREFIX_LENGTH,
        "prefix-length",
    )?;
    let Some(address) = at.address() else {
        return refuse(
            request,
            EINVAL,
            at,
            format_args!("an address has 4 or 16 bytes"),
        );
    };
    let Some(len) = bits.u8() else {
        return refuse(
            request,
            EINVAL,
            bits,
            format_args!("prefix-length is malformed"),
        );
    };
    match Prefix::new(address, len) {
        Ok(network) => Ok((nest, network)),
        Err(error) => refuse(request, EINVAL, nest, format_args!("{error}")),
    }
}

/// The kind of option that a request is about; the policy has checked its range.
fn kind<'a>(request: &Request<'a>) -> Result<(Attr<'a>, u8)> {
    let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
    let attr = required(request, &attrs, None, main::KIND, "kind")?;
    match attr.u8() {
        Some(kind) if is_of_tcp(kind) => refuse(
            request,
            EINVAL,
            attr,
            format_args!("kind {kind} is one that TCP itself uses"),
        ),
        Some(kind) => Ok((attr, kind)),
        None => refuse(request, EINVAL, attr, format_args!("kind is malformed")),
    }
}
