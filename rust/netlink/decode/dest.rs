// SPDX-License-Identifier: GPL-2.0

//! A dest's nest.

use kernel::error::Result;

use super::Decoder;
use crate::engine::spec::{DestId, DestUpdate, Mode};
use crate::engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use crate::kapi::genl::{Attr, Attrs};
use crate::netlink::generated::dest;

/// A dest's nest.
pub(in super::super) struct DestIn<'a> {
    nest: Attr<'a>,
    attrs: Attrs<'a, { dest::POLICY.len() }>,
    /// Which dest.
    pub(in super::super) id: DestId,
}

impl<'a> Decoder<'a> {
    /// A dest's nest.
    pub(in super::super) fn dest(&self, nest: Attr<'a>) -> Result<DestIn<'a>> {
        let attrs = self.table(nest.nested())?;
        let address = self.require(&attrs, Some(nest), dest::ADDRESS, "dest address")?;
        let port = self.require(&attrs, Some(nest), dest::PORT, "dest port")?;
        let id = DestId {
            address: self.address(address, "dest address")?,
            port: port
                .u16_be()
                .ok_or_else(|| self.malformed(port, "dest port"))?,
        };
        Ok(DestIn { nest, attrs, id })
    }

    /// The settings in a dest's nest.
    pub(in super::super) fn dest_update(&self, dest: &DestIn<'a>) -> Result<DestUpdate> {
        let number = |kind, name| {
            let attr = dest.attrs.get(kind);
            attr.map(|attr| self.u32(attr, name)).transpose()
        };
        Ok(DestUpdate {
            mode: self.mode(dest)?,
            weight: self.weight(dest)?,
            upper: number(dest::UPPER_THRESHOLD, "upper-threshold")?,
            lower: number(dest::LOWER_THRESHOLD, "lower-threshold")?,
            drain: number(dest::DRAIN, "drain")?,
            tunnel: self.tunnel(dest)?,
        })
    }

    /// The settings in the nest of a dest that is to be added: it has nothing to drain.
    pub(in super::super) fn update_of_new(&self, dest: &DestIn<'a>) -> Result<DestUpdate> {
        self.refuse_setting(dest.attrs.get(dest::DRAIN), "drain")?;
        self.dest_update(dest)
    }

    /// The tunnel in a dest's nest; its kind has to be there where anything of it is.
    fn tunnel(&self, dest: &DestIn<'a>) -> Result<Option<Tunnel>> {
        let of = |kind| dest.attrs.get(kind);
        let Some(kind) = of(dest::TUNNEL_KIND) else {
            let rest = of(dest::TUNNEL_PORT).or(of(dest::TUNNEL_CHECKSUM));
            return match rest {
                None => Ok(None),
                Some(_) => Err(self.missing(Some(dest.nest), dest::TUNNEL_KIND, "tunnel-kind")),
            };
        };
        let malformed = |attr, name| self.malformed(attr, name);
        let number = self.u32(kind, "tunnel-kind")?;
        let kind = TunnelKind::from_number(number).ok_or_else(|| malformed(kind, "tunnel-kind"))?;
        let sum = match of(dest::TUNNEL_CHECKSUM) {
            None => TunnelSum::None,
            Some(attr) => TunnelSum::from_number(self.u32(attr, "tunnel-checksum")?)
                .ok_or_else(|| malformed(attr, "tunnel-checksum"))?,
        };
        let port = match of(dest::TUNNEL_PORT) {
            None => 0,
            Some(attr) => attr
                .u16_be()
                .ok_or_else(|| malformed(attr, "tunnel-port"))?,
        };
        Ok(Some(Tunnel { kind, sum, port }))
    }

    /// The mode in a dest's nest.
    fn mode(&self, dest: &DestIn<'a>) -> Result<Option<Mode>> {
        let Some(attr) = dest.attrs.get(dest::MODE) else {
            return Ok(None);
        };
        match Mode::from_number(self.u32(attr, "mode")?) {
            Some(mode) => Ok(Some(mode)),
            None => Err(self.malformed(attr, "mode")),
        }
    }

    /// The mode in a dest's nest, which has to be there.
    pub(in super::super) fn required_mode(&self, dest: &DestIn<'a>) -> Result<Mode> {
        self.mode(dest)?
            .ok_or_else(|| self.missing(Some(dest.nest), dest::MODE, "mode"))
    }

    /// The weight in a dest's nest.
    fn weight(&self, dest: &DestIn<'a>) -> Result<Option<u32>> {
        let attr = dest.attrs.get(dest::WEIGHT);
        attr.map(|attr| self.u32(attr, "weight")).transpose()
    }

    /// The weight in a dest's nest, which has to be there.
    pub(in super::super) fn required_weight(&self, dest: &DestIn<'a>) -> Result<u32> {
        self.weight(dest)?
            .ok_or_else(|| self.missing(Some(dest.nest), dest::WEIGHT, "weight"))
    }

    /// Refuses settings where a dest is only named.
    pub(in super::super) fn only_dest_id(&self, dest: &DestIn<'a>) -> Result {
        for (kind, name) in [
            (dest::MODE, "mode"),
            (dest::WEIGHT, "weight"),
            (dest::UPPER_THRESHOLD, "upper-threshold"),
            (dest::LOWER_THRESHOLD, "lower-threshold"),
            (dest::DRAIN, "drain"),
            (dest::TUNNEL_KIND, "tunnel-kind"),
            (dest::TUNNEL_PORT, "tunnel-port"),
            (dest::TUNNEL_CHECKSUM, "tunnel-checksum"),
        ] {
            self.refuse_setting(dest.attrs.get(kind), name)?;
        }
        Ok(())
    }
}
