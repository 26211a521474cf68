// SPDX-License-Identifier: GPL-2.0

//! lookup, client-get.

use core::net::{IpAddr, SocketAddr};

use kernel::prelude::*;

use super::{
    generated::{cmd, end, main},
    policy,
    request::{refuse, required, table},
};
use crate::{
    hooks,
    kapi::{
        end::Ends,
        errno::ENODATA,
        genl::{attr_size, Attr, AttrPolicy, Doit, Request},
        sock,
    },
};

/// Bytes of an end in a message at most.
const END_SIZE: usize = attr_size(attr_size(16) + attr_size(2));

/// lookup.
pub(super) struct Lookup;

impl Doit for Lookup {
    const CMD: u8 = cmd::LOOKUP;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::LOOKUP);

    fn doit(request: &Request<'_>) -> Result {
        let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
        let at = required(request, &attrs, None, main::LOCAL, "local")?;
        let local = read(request, at)?;
        let peer_at = required(request, &attrs, None, main::PEER, "peer")?;
        let peer = read(request, peer_at)?;
        if local.is_ipv4() != peer.is_ipv4() {
            return refuse(
                request,
                EINVAL,
                peer_at,
                format_args!("{local} and {peer} are of different families"),
            );
        }
        let ends = Ends {
            peer: peer.into(),
            local: local.into(),
        };
        match sock::with_connection(request.net(), &ends, hooks::client_of) {
            None => refuse(
                request,
                ENOENT,
                at,
                format_args!("no connection of {peer} to {local}"),
            ),
            Some(None) => refuse(
                request,
                ENODATA,
                at,
                format_args!("whom {peer} connects for is not known"),
            ),
            Some(Some(client)) => reply(request, cmd::LOOKUP, client),
        }
    }
}

/// client-get.
pub(super) struct ClientGet;

impl Doit for ClientGet {
    const CMD: u8 = cmd::CLIENT_GET;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::CLIENT_GET);

    fn doit(request: &Request<'_>) -> Result {
        let attrs = table::<{ main::POLICY.len() }>(request, request.attrs())?;
        let attr = required(request, &attrs, None, main::SOCKET, "socket")?;
        let descriptor = attr.u32().unwrap_or(u32::MAX);
        match sock::with_descriptor(descriptor, hooks::client_of) {
            Err(error) => refuse(
                request,
                error,
                attr,
                format_args!("descriptor {descriptor} is no TCP socket"),
            ),
            Ok(None) => refuse(
                request,
                ENODATA,
                attr,
                format_args!("the client of socket {descriptor} is not known"),
            ),
            Ok(Some(client)) => reply(request, cmd::CLIENT_GET, client),
        }
    }
}

/// The end in a nest.
fn read<'a>(request: &Request<'a>, nest: Attr<'a>) -> Result<SocketAddr> {
    let inner = table::<{ end::POLICY.len() }>(request, nest.nested())?;
    let address = required(request, &inner, Some(nest), end::ADDRESS, "address")?;
    let port = required(request, &inner, Some(nest), end::PORT, "port")?;
    match (address.address(), port.u16_be()) {
        (Some(address), Some(port)) => Ok(SocketAddr::new(address.to_canonical(), port)),
        _ => refuse(
            request,
            EINVAL,
            address,
            format_args!("an address has 4 or 16 bytes"),
        ),
    }
}

fn reply(request: &Request<'_>, cmd: u8, client: SocketAddr) -> Result {
    request.reply(cmd, END_SIZE, |w| {
        w.nest(main::CLIENT, |w| {
            match client.ip() {
                IpAddr::V4(v4) => w.bytes(end::ADDRESS, &v4.octets())?,
                IpAddr::V6(v6) => w.bytes(end::ADDRESS, &v6.octets())?,
            }
            w.u16_be(end::PORT, client.port())
        })
    })
}
