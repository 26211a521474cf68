// SPDX-License-Identifier: GPL-2.0

//! A selection of connections on the wire.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::DecodeError;
use rvs_engine::prefix::Prefix;
use rvs_engine::proto::State;
use rvs_engine::selection::Selection;

use crate::attr::{received, required, Attr};
use crate::dest::mode_of;
use crate::generated::selection;
use crate::service::protocol_of;

/// Its attributes.
pub(crate) fn attributes(selected: &Selection) -> Vec<Attr> {
    let mut attributes = Vec::new();
    let mut network = |network: Option<Prefix>, address, bits| {
        if let Some(network) = network {
            attributes.push(Attr::address(address, network.address()));
            attributes.push(Attr::u8(bits, network.bits()));
        }
    };
    network(
        selected.client,
        selection::CLIENT_ADDRESS,
        selection::CLIENT_PREFIX,
    );
    network(
        selected.dest,
        selection::DEST_ADDRESS,
        selection::DEST_PREFIX,
    );
    if let Some(end) = selected.virtual_address {
        attributes.push(Attr::address(selection::VIRTUAL_ADDRESS, end.ip()));
        attributes.push(Attr::u16_be(selection::VIRTUAL_PORT, end.port()));
    }
    let protocol = selected.protocol;
    attributes.extend(protocol.map(|p| Attr::u8(selection::PROTOCOL, p.number())));
    let ports = [
        (selection::CLIENT_PORT, selected.client_port),
        (selection::DEST_PORT, selected.dest_port),
    ];
    for (kind, port) in ports {
        attributes.extend(port.map(|port| Attr::u16_be(kind, port)));
    }
    let numbers = [
        (selection::MODE, selected.mode.map(|mode| mode.number())),
        (
            selection::STATE,
            selected.state.map(|state| state.number().into()),
        ),
        (selection::SILENT, selected.silent_ms),
        (selection::AGE, selected.age),
    ];
    for (kind, number) in numbers {
        attributes.extend(number.map(|number| Attr::u32(kind, number)));
    }
    attributes
}

/// Reads its nest.
pub(crate) fn parse(bytes: &[u8]) -> Result<Selection, DecodeError> {
    let mut selected = Selection::default();
    let (mut client, mut dest) = ((None, None), (None, None));
    let mut virtual_end = (None, None);
    for attribute in received(bytes) {
        let a = attribute?;
        match a.kind() {
            selection::PROTOCOL => selected.protocol = Some(protocol_of(a.u8("protocol")?)?),
            selection::CLIENT_ADDRESS => client.0 = Some(a.address("client address")?),
            selection::CLIENT_PREFIX => client.1 = Some(a.u8("client prefix")?),
            selection::CLIENT_PORT => selected.client_port = Some(a.u16_be("client port")?),
            selection::VIRTUAL_ADDRESS => virtual_end.0 = Some(a.address("virtual address")?),
            selection::VIRTUAL_PORT => virtual_end.1 = Some(a.u16_be("virtual port")?),
            selection::DEST_ADDRESS => dest.0 = Some(a.address("dest address")?),
            selection::DEST_PREFIX => dest.1 = Some(a.u8("dest prefix")?),
            selection::DEST_PORT => selected.dest_port = Some(a.u16_be("dest port")?),
            selection::MODE => selected.mode = Some(mode_of(a.u32("mode")?)?),
            selection::STATE => {
                let number = a.u32("state")?;
                let mut states = State::all();
                selected.state = states.find(|state| u32::from(state.number()) == number);
            }
            selection::SILENT => selected.silent_ms = Some(a.u32("silent")?),
            selection::AGE => selected.age = Some(a.u32("age")?),
            _ => {}
        }
    }
    selected.client = network(client)?;
    selected.dest = network(dest)?;
    if let (Some(address), port) = virtual_end {
        let port = required(port, "virtual port")?;
        selected.virtual_address = Some(SocketAddr::new(address, port));
    }
    Ok(selected)
}

fn network((address, bits): (Option<IpAddr>, Option<u8>)) -> Result<Option<Prefix>, DecodeError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let bits = bits.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
    let network = Prefix::new(address, bits);
    network
        .map(Some)
        .map_err(|error| DecodeError::from(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::encode;
    use rvs_engine::spec::{Mode, Protocol};

    #[test]
    fn what_is_sent_is_read() {
        let all = Selection::default();
        let whole = Selection {
            protocol: Some(Protocol::Udp),
            client: Some(Prefix::new("198.51.100.0".parse().unwrap(), 24).unwrap()),
            client_port: Some(40000),
            virtual_address: Some("[2001:db8::1]:53".parse().unwrap()),
            dest: Some(Prefix::new("2001:db8::7".parse().unwrap(), 128).unwrap()),
            dest_port: Some(53),
            mode: Some(Mode::FullNat),
            state: Some(State::Udp),
            silent_ms: Some(1),
            age: Some(60),
        };
        for selection in [all, whole] {
            assert_eq!(parse(&encode(&attributes(&selection))).unwrap(), selection);
        }
    }
}
