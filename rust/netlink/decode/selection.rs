// SPDX-License-Identifier: GPL-2.0

//! The nest of a selection of connections.

use core::net::{IpAddr, SocketAddr};

use kernel::error::{code::EINVAL, Result};

use super::{Decoder, MainAttrs};
use crate::engine::prefix::Prefix;
use crate::engine::proto::State;
use crate::engine::selection::Selection;
use crate::engine::spec::{Mode, Protocol};
use crate::kapi::errno::EPROTONOSUPPORT;
use crate::kapi::genl::{Attr, Attrs, Place, Request};
use crate::netlink::generated::{main, selection};

/// The attributes of a selection's nest.
type SelectionAttrs<'a> = Attrs<'a, { selection::POLICY.len() }>;

impl<'a> Decoder<'a> {
    /// The selection that a request may have; all connections where it has none.
    pub(in super::super) fn selection(&self, request: &Request<'a>) -> Result<Selection> {
        let attrs: MainAttrs<'a> = self.table(request.attrs())?;
        let Some(nest) = attrs.get(main::SELECTION) else {
            return Ok(Selection::default());
        };
        let attrs: SelectionAttrs<'a> = self.table(nest.nested())?;
        let number = |kind, name| self.number(attrs.get(kind), name);
        Ok(Selection {
            protocol: self.selected_protocol(attrs.get(selection::PROTOCOL))?,
            client: self.network(
                nest,
                &attrs,
                (selection::CLIENT_ADDRESS, selection::CLIENT_PREFIX),
                "client-address",
            )?,
            client_port: self.port(attrs.get(selection::CLIENT_PORT), "client-port")?,
            virtual_address: self.virtual_end(nest, &attrs)?,
            dest: self.network(
                nest,
                &attrs,
                (selection::DEST_ADDRESS, selection::DEST_PREFIX),
                "dest-address",
            )?,
            dest_port: self.port(attrs.get(selection::DEST_PORT), "dest-port")?,
            mode: self.selected_mode(attrs.get(selection::MODE))?,
            state: self.selected_state(attrs.get(selection::STATE))?,
            silent_ms: number(selection::SILENT, "silent")?,
            age: number(selection::AGE, "age")?,
        })
    }

    /// A port, if there is one.
    fn port(&self, attr: Option<Attr<'a>>, name: &str) -> Result<Option<u16>> {
        let Some(attr) = attr else { return Ok(None) };
        let port = attr.u16_be().map(Some);
        port.ok_or_else(|| self.malformed(attr, name))
    }

    /// A network of which the address, and perhaps the length, is given.
    fn network(
        &self,
        nest: Attr<'a>,
        attrs: &SelectionAttrs<'a>,
        (address, prefix): (u16, u16),
        name: &str,
    ) -> Result<Option<Prefix>> {
        let bits = attrs.get(prefix);
        let Some(attr) = attrs.get(address) else {
            return match bits {
                None => Ok(None),
                Some(_) => Err(self.missing(Some(nest), address, name)),
            };
        };
        let of = self.address(attr, name)?;
        let len = self.byte(bits, name)?.unwrap_or(match of {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        });
        Prefix::new(of, len).map(Some).map_err(|error| {
            let place = Place::Attr(bits.unwrap_or(attr));
            self.refuse(EINVAL, place, format_args!("{error}"))
        })
    }

    /// A virtual address and port, which are given both or not at all.
    fn virtual_end(
        &self,
        nest: Attr<'a>,
        attrs: &SelectionAttrs<'a>,
    ) -> Result<Option<SocketAddr>> {
        let (address, port) = (selection::VIRTUAL_ADDRESS, selection::VIRTUAL_PORT);
        if attrs.get(address).is_none() && attrs.get(port).is_none() {
            return Ok(None);
        }
        let address = self.require(attrs, Some(nest), address, "virtual-address")?;
        let port = self.require(attrs, Some(nest), port, "virtual-port")?;
        let of = self.address(address, "virtual-address")?;
        let port = self.port(Some(port), "virtual-port")?;
        Ok(port.map(|port| SocketAddr::new(of, port)))
    }

    pub(super) fn selected_protocol(&self, attr: Option<Attr<'a>>) -> Result<Option<Protocol>> {
        let Some(attr) = attr else { return Ok(None) };
        let protocol = attr.u8().and_then(Protocol::from_number);
        protocol.map(Some).ok_or_else(|| {
            let text = format_args!("the protocol is 6 (tcp), 17 (udp) or 132 (sctp)");
            self.refuse(EPROTONOSUPPORT, Place::Attr(attr), text)
        })
    }

    fn selected_mode(&self, attr: Option<Attr<'a>>) -> Result<Option<Mode>> {
        let Some(attr) = attr else { return Ok(None) };
        let mode = attr.u32().and_then(Mode::from_number);
        mode.map(Some).ok_or_else(|| self.malformed(attr, "mode"))
    }

    fn selected_state(&self, attr: Option<Attr<'a>>) -> Result<Option<State>> {
        let Some(attr) = attr else { return Ok(None) };
        let number = attr.u32();
        let mut known = State::all().filter(|state| number == Some(state.number().into()));
        let state = known.next().map(Some);
        state.ok_or_else(|| self.malformed(attr, "state"))
    }
}
