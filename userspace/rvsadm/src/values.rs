// SPDX-License-Identifier: GPL-2.0

//! Values of the command line, as clap reads them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rvs_engine::defence::When;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::prefix::Prefix;
use rvs_engine::proto::{tcp, State};
use rvs_engine::sched::{SchedulerName, SCHEDULER_NAME_MAX};
use rvs_engine::service::{Removed, SchedulerFlags};
use rvs_engine::spec::{DestId, Mode, Protocol, ServiceId, TOA_INHERITED};
use rvs_engine::tunnel::TunnelKind;
use rvs_engine::uoa;

use crate::endpoint::{self, EndpointError};
use crate::ports::Ports;
use crate::units;

/// Reads `tcp/203.0.113.10:443`, `fwmark/7` or `fwmark6/7`.
pub fn service_id(text: &str) -> Result<ServiceId, String> {
    let Some((protocol, rest)) = text.split_once('/') else {
        return Err(
            "a service is PROTOCOL/ADDRESS:PORT, like tcp/203.0.113.10:443, or fwmark/MARK"
                .to_owned(),
        );
    };
    let protocol = &*protocol.to_ascii_lowercase();
    if let "fwmark" | "fwmark6" = protocol {
        let ipv6 = protocol == "fwmark6";
        return Ok(ServiceId::Marked {
            mark: mark(rest)?,
            ipv6,
        });
    }
    let protocol = Protocol::from_name(protocol)
        .ok_or_else(|| format!("{protocol:?} is not tcp, udp, sctp, fwmark or fwmark6"))?;
    let (address, port) = endpoint::split(rest).map_err(|error| error.to_string())?;
    let port = port.ok_or_else(|| EndpointError::NoPort(rest.to_owned()).to_string())?;
    let port = port_of(port, &[protocol])?;
    Ok(ServiceId::Virtual {
        protocol,
        address,
        port,
    })
}

/// Reads a mark, decimal or with `0x` before it.
pub fn mark(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("{text:?} is no mark; it is a number like 7 or 0x7"))
}

/// Reads a port: a number, or its name in /etc/services with one of `protocols`.
fn port_of(text: &str, protocols: &[Protocol]) -> Result<u16, String> {
    endpoint::port_number(text).or_else(|error| {
        let ports = Ports::of_host();
        let mut named = protocols.iter().filter_map(|p| ports.number(text, *p));
        named.next().ok_or_else(|| match error {
            EndpointError::Port(text) if text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                format!("{text:?} is not a port, 0 to 65535, and has no line in /etc/services")
            }
            error => error.to_string(),
        })
    })
}

/// Reads `192.0.2.1:80`.
pub fn dest_id(text: &str) -> Result<DestId, String> {
    let (address, port) = endpoint::parse(text).map_err(|error| error.to_string())?;
    Ok(DestId { address, port })
}

/// Reads `192.0.2.1:80`, or `192.0.2.1` for the port of the service.
pub fn dest(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    // An address of IPv6 without a port needs no brackets.
    if let Ok(address) = text.parse() {
        return Ok((address, None));
    }
    let (address, port) = endpoint::split(text).map_err(|error| error.to_string())?;
    let port = port.map(|port| port_of(port, &Protocol::ALL)).transpose()?;
    Ok((address, port))
}

/// Reads the name of a scheduler, known or not: the kernel tells.
pub fn scheduler(text: &str) -> Result<SchedulerName, String> {
    let name = SchedulerName::new(text).filter(|_| !text.is_empty());
    name.ok_or_else(|| format!("the name of a scheduler has 1 to {SCHEDULER_NAME_MAX} letters"))
}

/// Names of flags, as ipvsadm has them.
const FLAGS: [(&str, SchedulerFlags); 7] = [
    ("sh-fallback", SchedulerFlags::FALLBACK),
    ("sh-port", SchedulerFlags::PORT),
    ("mh-fallback", SchedulerFlags::FALLBACK),
    ("mh-port", SchedulerFlags::PORT),
    ("flag-1", SchedulerFlags::FALLBACK),
    ("flag-2", SchedulerFlags::PORT),
    ("flag-3", SchedulerFlags::THIRD),
];

/// Reads flags of a scheduler with commas between, or `none`.
pub fn flags(text: &str) -> Result<SchedulerFlags, String> {
    if text == "none" {
        return Ok(SchedulerFlags::NONE);
    }
    let mut flags = SchedulerFlags::NONE;
    for word in text.split(',') {
        let known = FLAGS.iter().find(|(name, _)| *name == word);
        let (_, flag) = known.ok_or_else(|| {
            let names: Vec<_> = FLAGS.iter().map(|(name, _)| *name).collect();
            format!(
                "{word:?} is no flag of a scheduler; there are {}",
                names.join(", ")
            )
        })?;
        flags = flags.with(*flag);
    }
    Ok(flags)
}

/// Names of a scheduler's flags, those of its own where it has them.
pub fn flag_names(scheduler: &str, flags: SchedulerFlags) -> Vec<&'static str> {
    let names = match scheduler {
        "sh" => ["sh-fallback", "sh-port", "flag-3"],
        "mh" => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let known = FLAGS.iter().filter(|(name, _)| names.contains(name));
    let set = known.filter(|(_, flag)| flags.has(*flag));
    set.map(|(name, _)| *name).collect()
}

/// What a service says of the option that tells the client's address, unless told otherwise.
pub const TOA_USUAL: &str = "default";

/// Reads `off`, `on` (of UDP), `default`, or a kind.
pub fn toa(text: &str) -> Result<u8, String> {
    match text {
        "off" => Ok(0),
        "on" => Ok(uoa::KIND),
        TOA_USUAL => Ok(TOA_INHERITED),
        _ => text.parse().map_err(|_| {
            format!("{text:?} is not on (udp), off, {TOA_USUAL} or the kind of an option (tcp)")
        }),
    }
}

/// The text that [`toa`] reads.
pub fn toa_text(kind: u8) -> String {
    match kind {
        0 => "off".to_owned(),
        uoa::KIND => "on".to_owned(),
        TOA_INHERITED => TOA_USUAL.to_owned(),
        kind => kind.to_string(),
    }
}

/// Reads the name of a mode.
pub fn mode(text: &str) -> Result<Mode, String> {
    Mode::from_name(text).ok_or_else(|| {
        let names = Mode::ALL.map(Mode::name);
        format!("the modes are {}", names.join(", "))
    })
}

/// Reads `192.0.2.0/24` or an address alone.
pub fn network(text: &str) -> Result<Prefix, String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("{address:?} is no address; a network is like 192.0.2.0/24"))?;
    let bits = match (text.contains('/'), address) {
        (false, IpAddr::V4(_)) => 32,
        (false, IpAddr::V6(_)) => 128,
        (true, _) => bits
            .parse()
            .map_err(|_| format!("{bits:?} is no prefix length"))?,
    };
    Prefix::new(address, bits).map_err(|error| error.to_string())
}

/// The network of one address.
pub fn whole(address: IpAddr) -> Prefix {
    match network(&address.to_string()) {
        Ok(network) => network,
        Err(error) => unreachable!("{error}"),
    }
}

/// Reads an address with a port.
pub fn socket(text: &str) -> Result<SocketAddr, String> {
    let (address, port) = endpoint::parse(text).map_err(|error| error.to_string())?;
    Ok(SocketAddr::new(address, port))
}

/// Reads one end of connections: `192.0.2.1`, `192.0.2.0/24` or `192.0.2.1:80`.
pub fn end(text: &str) -> Result<(Prefix, Option<u16>), String> {
    match socket(text) {
        Ok(end) => Ok((whole(end.ip()), Some(end.port()))),
        Err(_) => network(text).map(|network| (network, None)),
    }
}

/// Reads the name of a protocol.
pub fn protocol(text: &str) -> Result<Protocol, String> {
    let known = Protocol::from_name(&text.to_ascii_lowercase());
    known.ok_or_else(|| "it is tcp, udp or sctp".to_owned())
}

/// Reads the name of a connection's state.
pub fn state(text: &str) -> Result<State, String> {
    State::all()
        .find(|state| state.name() == text)
        .ok_or_else(|| {
            let names: Vec<_> = State::all().map(State::name).collect();
            format!("the states are {}", names.join(", "))
        })
}

/// Reads the length of a prefix, or a netmask.
pub fn prefix(text: &str) -> Result<u8, String> {
    if let Ok(mask) = text.parse::<Ipv4Addr>() {
        let bits = mask.to_bits();
        let length = bits.leading_ones();
        if length != bits.count_ones() {
            return Err(format!(
                "{mask} is no netmask: its ones are not all in front"
            ));
        }
        if length == 0 {
            return Err(format!(
                "{mask} would keep all clients with one dest; without a netmask each stays by itself"
            ));
        }
        return u8::try_from(length).map_err(|error| error.to_string());
    }
    let number = text.parse();
    number.map_err(|_| format!("{text:?} is neither the length of a prefix nor a netmask"))
}

/// Reads `established=900`.
pub fn timeout(text: &str) -> Result<(State, u32), String> {
    let (name, seconds) = text
        .split_once('=')
        .ok_or_else(|| "it is STATE=SECONDS, like established=900".to_owned())?;
    let mut states = State::all().take(tcp::STATES);
    let state = states.find(|state| state.name() == name);
    let state = state.ok_or_else(|| {
        let names: Vec<_> = State::all().take(tcp::STATES).map(State::name).collect();
        format!("the TCP states are {}", names.join(", "))
    })?;
    Ok((state, units::seconds(seconds)?))
}

/// Reads what becomes of connections whose dest is removed.
pub fn removed(text: &str) -> Result<Removed, String> {
    Removed::from_name(text).ok_or_else(|| "it is on, off or default".to_owned())
}

/// Reads what stays with a dest.
pub fn engine(text: &str) -> Result<Engine, String> {
    Engine::from_name(text).ok_or_else(|| "it is off or sip".to_owned())
}

/// Reads whose commands are followed.
pub fn helper(text: &str) -> Result<Helper, String> {
    Helper::from_name(text).ok_or_else(|| "it is off or ftp".to_owned())
}

/// Reads when something is given up.
pub fn when(text: &str) -> Result<When, String> {
    When::from_name(text).ok_or_else(|| "it is off, auto or on".to_owned())
}

/// Reads the kind of a tunnel.
pub fn tunnel_kind(text: &str) -> Result<TunnelKind, String> {
    TunnelKind::from_name(text).ok_or_else(|| {
        let names = TunnelKind::ALL.map(TunnelKind::name);
        format!("the tunnels are {}", names.join(", "))
    })
}

/// Reads `on` or `off`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refused_with_a_reason() {
        let reason = |text| service_id(text).unwrap_err();
        assert!(reason("203.0.113.10:80").contains("PROTOCOL/ADDRESS:PORT"));
        assert!(reason("dccp/203.0.113.10:80").contains("\"dccp\""));
        assert!(reason("tcp/203.0.113.10").contains("no port"));
        assert!(reason("fwmark/").contains("no mark"));
        assert!(reason("fwmark6/::1").contains("\"::1\""));
        assert!(reason("tcp/203.0.113.10:no-such-service").contains("/etc/services"));
        assert_eq!(
            service_id("TCP/203.0.113.10:80"),
            service_id("tcp/203.0.113.10:80")
        );
        assert_eq!(protocol("UDP"), Ok(Protocol::Udp));
        assert!(matches!(
            service_id("FWMARK/0x10"),
            Ok(ServiceId::Marked { mark: 16, .. })
        ));
        assert!(scheduler("").is_err());
        assert!(scheduler("sixteen-letters-").is_err());
        assert!(mode("direct").unwrap_err().contains("dr, nat, tun"));
    }

    #[test]
    fn flags_have_the_names_of_their_scheduler() {
        for (text, scheduler, names) in [
            ("sh-port,sh-fallback", "sh", vec!["sh-fallback", "sh-port"]),
            ("flag-1,flag-3", "mh", vec!["mh-fallback", "flag-3"]),
            ("mh-port", "rr", vec!["flag-2"]),
            ("none", "sh", vec![]),
        ] {
            assert_eq!(flag_names(scheduler, flags(text).unwrap()), names, "{text}");
        }
        assert!(flags("sh-ports").unwrap_err().contains("\"sh-ports\""));
        assert!(flags("").is_err());
    }

    #[test]
    fn the_clients_address_is_carried_as_it_is_said() {
        for kind in 0..=u8::MAX {
            assert_eq!(toa(&toa_text(kind)), Ok(kind));
        }
        assert!(toa("yes").is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(v4: [u8; 4], v6: [u8; 16], port: u16, udp: bool) {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                let service = ServiceId::Virtual { protocol, address, port };
                prop_assert_eq!(service_id(&service.to_string()), Ok(service));
                let mark = u32::from_ne_bytes(v4);
                let marked = ServiceId::Marked { mark, ipv6: udp };
                prop_assert_eq!(service_id(&marked.to_string()), Ok(marked));
                let id = DestId { address, port };
                let shown = id.to_string();
                prop_assert_eq!(dest_id(&shown), Ok(id));
                prop_assert_eq!(dest(&shown), Ok((address, Some(port))));
                prop_assert_eq!(dest(&address.to_string()), Ok((address, None)));
            }
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text: String) {
            let _ = service_id(&text);
            let _ = dest(&text);
        }
    }
}
