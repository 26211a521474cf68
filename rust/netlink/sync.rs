// SPDX-License-Identifier: GPL-2.0

//! sync-start, sync-stop and sync-get: the daemons that keep directors at the same connections.

use core::{ffi::CStr, net::IpAddr};

use kernel::error::{
    code::{EEXIST, EINVAL, ENODEV, ESRCH},
    Result,
};

use super::decode::{Decoder, MainAttrs};
use super::generated::{cmd, main, sync, sync_counters};
use super::namespace::namespace;
use super::{encode, policy};
use crate::kapi::genl::{
    Attr, AttrPolicy, Attrs, Doit, DumpWriter, Dumpit, Place, Progress, Request, Writer,
};
use crate::kapi::{netdev, sign::Signer};
use crate::sync::{Daemon, Daemons, KeyFile, Refused, Role, NAME_MAX, ROLES};
use crate::table::PEER_COUNTS;

// Each is told by its number.
const _: [(); sync_counters::MAX as usize] = [(); PEER_COUNTS];

/// Bytes of a key.
const KEY_MIN: usize = 16;
const KEY_MAX: usize = 64;

type SyncAttrs<'a> = Attrs<'a, { sync::POLICY.len() }>;

/// sync-start.
pub(super) struct Start;

impl Doit for Start {
    const CMD: u8 = cmd::SYNC_START;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::SYNC_START);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let (nest, attrs) = nest(&decoder, request)?;
        let role = role(&decoder, nest, &attrs)?;
        let device = decoder.require(&attrs, Some(nest), sync::DEVICE, "device")?;
        let name = CStr::from_bytes_until_nul(device.payload()).map_err(|_| EINVAL)?;
        let Some(mtu) = netdev::mtu(request.net(), name) else {
            let name = name.to_str().unwrap_or("?");
            return Err(decoder.refuse(
                ENODEV,
                Place::Attr(device),
                format_args!("there is no device {name} in this namespace"),
            ));
        };
        let group = group(&decoder, &attrs)?;
        let wanted = decoder.number(attrs.get(sync::MAX_LEN), "max-len")?;
        let wanted = u16::try_from(wanted.unwrap_or(0)).unwrap_or(u16::MAX);
        let daemon = Daemon {
            device: padded(name),
            id: decoder.byte(attrs.get(sync::ID), "id")?.unwrap_or(0),
            max_len: Daemon::length(role, wanted, mtu, group),
            group,
            port: match attrs.get(sync::PORT).and_then(|attr| attr.u16_be()) {
                None | Some(0) => Daemon::PORT,
                Some(port) => port,
            },
            ttl: match decoder.byte(attrs.get(sync::TTL), "ttl")? {
                None | Some(0) => Daemon::TTL,
                Some(ttl) => ttl,
            },
            key_file: key_file(&decoder, &attrs)?,
        };
        let key = key(&decoder, &attrs)?;
        let daemons = Daemons::of(request.net()).ok_or(ENODEV)?;
        daemons
            .start(role, daemon, key)
            .map_err(|refused| match refused {
                Refused::Exists => decoder.refuse(
                    EEXIST,
                    Place::Attr(nest),
                    format_args!("a {} runs already: stop it first", role.name()),
                ),
                Refused::Error(error) => {
                    let device = daemon.device_name();
                    decoder.refuse(
                        error,
                        Place::Attr(nest),
                        format_args!("no socket for {group} by {device}: is it up?"),
                    )
                }
            })
    }
}

/// sync-stop.
pub(super) struct Stop;

impl Doit for Stop {
    const CMD: u8 = cmd::SYNC_STOP;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::SYNC_STOP);

    fn doit(request: &Request<'_>) -> Result {
        let decoder = Decoder::new(request);
        let (nest, attrs) = nest(&decoder, request)?;
        let role = role(&decoder, nest, &attrs)?;
        if Daemons::of(request.net()).ok_or(ENODEV)?.stop(role) {
            return Ok(());
        }
        Err(decoder.refuse(
            ESRCH,
            Place::Attr(nest),
            format_args!("no {} runs", role.name()),
        ))
    }
}

/// sync-get.
pub(super) struct Get;

impl Doit for Get {
    const CMD: u8 = cmd::SYNC_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::SYNC_GET);

    fn doit(request: &Request<'_>) -> Result {
        let counts = namespace(request)?.peers.counts.all();
        request.reply(cmd::SYNC_GET, encode::SYNC_COUNTERS_SIZE, |w| {
            w.nest(main::SYNC_COUNTERS, |w| {
                let mut kinds = (1..=sync_counters::MAX).zip(counts);
                kinds.try_for_each(|(kind, count)| w.uint(kind, count))
            })
        })
    }
}

impl Dumpit for Get {
    const CMD: u8 = cmd::SYNC_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::SYNC_GET);
    /// How many roles were looked at.
    type State = usize;

    fn start(_request: &Request<'_>) -> Result<usize> {
        Ok(0)
    }

    fn dump(request: &Request<'_>, seen: &mut usize, out: &mut DumpWriter<'_>) -> Result<Progress> {
        let Some(daemons) = Daemons::of(request.net()) else {
            return Ok(Progress::Done);
        };
        for role in ROLES.into_iter().skip(*seen) {
            if let Some(daemon) = daemons.get(role) {
                let full = out.message(cmd::SYNC_GET, |w| daemon_of(w, role, &daemon));
                if full.is_err() {
                    return Ok(Progress::More);
                }
            }
            *seen = seen.saturating_add(1);
        }
        Ok(Progress::Done)
    }
}

fn daemon_of(w: &mut Writer<'_>, role: Role, daemon: &Daemon) -> encode::Result {
    w.nest(main::SYNC, |w| {
        w.u32(sync::ROLE, role.number())?;
        w.str(sync::DEVICE, daemon.device_name())?;
        w.u8(sync::ID, daemon.id)?;
        w.u32(sync::MAX_LEN, daemon.max_len.into())?;
        encode::address(w, sync::GROUP, daemon.group)?;
        w.u16_be(sync::PORT, daemon.port)?;
        w.u8(sync::TTL, daemon.ttl)?;
        match &daemon.key_file {
            Some(file) => w.str(sync::KEY_FILE, file.name()),
            None => Ok(()),
        }
    })
}

fn nest<'a>(decoder: &Decoder<'a>, request: &Request<'a>) -> Result<(Attr<'a>, SyncAttrs<'a>)> {
    let attrs: MainAttrs<'_> = decoder.table(request.attrs())?;
    let nest = decoder.require(&attrs, None, main::SYNC, "daemon")?;
    Ok((nest, decoder.table(nest.nested())?))
}

fn role<'a>(decoder: &Decoder<'a>, nest: Attr<'a>, attrs: &SyncAttrs<'a>) -> Result<Role> {
    let attr = decoder.require(attrs, Some(nest), sync::ROLE, "role")?;
    let number = decoder.u32(attr, "role")?;
    let mut roles = ROLES.into_iter();
    roles.find(|role| role.number() == number).ok_or_else(|| {
        decoder.refuse(
            EINVAL,
            Place::Attr(attr),
            format_args!("role {number} is neither master (1) nor backup (2)"),
        )
    })
}

fn group<'a>(decoder: &Decoder<'a>, attrs: &SyncAttrs<'a>) -> Result<IpAddr> {
    let Some(attr) = attrs.get(sync::GROUP) else {
        return Ok(Daemon::GROUP);
    };
    let group = decoder.address(attr, "group")?;
    if group.is_multicast() {
        return Ok(group);
    }
    Err(decoder.refuse(
        EINVAL,
        Place::Attr(attr),
        format_args!("{group} is no multicast address: it is of 224.0.0.0/4 or ff00::/8"),
    ))
}

/// The key, where there is to be one.
fn key(decoder: &Decoder<'_>, attrs: &SyncAttrs<'_>) -> Result<Option<Signer>> {
    let Some(attr) = attrs.get(sync::KEY) else {
        return Ok(None);
    };
    let bytes = attr.payload();
    if !(KEY_MIN..=KEY_MAX).contains(&bytes.len()) {
        return Err(decoder.refuse(
            EINVAL,
            Place::Attr(attr),
            format_args!(
                "a key of {} bytes: it has {KEY_MIN} to {KEY_MAX}",
                bytes.len()
            ),
        ));
    }
    let key = Signer::new(bytes);
    key.map(Some).map_err(|error| {
        let place = Place::Attr(attr);
        decoder.refuse(
            error,
            place,
            format_args!("this kernel has no HMAC of SHA-256"),
        )
    })
}

/// Where the key came from, where there is one.
fn key_file(decoder: &Decoder<'_>, attrs: &SyncAttrs<'_>) -> Result<Option<KeyFile>> {
    if attrs.get(sync::KEY).is_none() {
        return Ok(None);
    }
    let Some(attr) = attrs.get(sync::KEY_FILE) else {
        return Ok(KeyFile::new(b""));
    };
    let name = CStr::from_bytes_until_nul(attr.payload()).map_err(|_| EINVAL)?;
    match KeyFile::new(name.to_bytes()) {
        Some(file) => Ok(Some(file)),
        None => Err(decoder.refuse(
            EINVAL,
            Place::Attr(attr),
            format_args!("the name of the key's file is too long"),
        )),
    }
}

/// A name, filled up with zero bytes.
fn padded(name: &CStr) -> [u8; NAME_MAX + 1] {
    let mut padded = [0; NAME_MAX + 1];
    for (to, from) in padded.iter_mut().zip(name.to_bytes()) {
        *to = *from;
    }
    padded
}
