// SPDX-License-Identifier: GPL-2.0

//! `ADDRESS:PORT` and `[ADDRESS]:PORT`.

use std::fmt;
use std::net::IpAddr;

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// The part before the port is no address.
    Address(String),
    /// An IPv6 address without brackets, so that its port cannot be told from it.
    Brackets(String),
    /// There is no port.
    NoPort(String),
    /// The part after the address is no port.
    Port(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(f, "{text:?} is not an IP address"),
            Self::Brackets(text) => write!(f, "{text:?}: write IPv6 as [ADDRESS]:PORT"),
            Self::NoPort(text) => write!(f, "{text:?} has no port"),
            Self::Port(text) => write!(f, "{text:?} is not a port, 0 to 65535"),
        }
    }
}

/// Takes `text` apart; the port is `None` when there is none.
pub fn split(text: &str) -> Result<(IpAddr, Option<&str>), EndpointError> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, rest)) => match rest.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None => return Err(EndpointError::Port(rest.to_owned())),
            },
            None => return Err(EndpointError::Address(text.to_owned())),
        },
        None => match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                return Err(EndpointError::Brackets(text.to_owned()));
            }
            Some((address, port)) => (address, Some(port)),
            None => (text, None),
        },
    };
    match address.parse() {
        Ok(address) => Ok((address, port)),
        Err(_) => Err(EndpointError::Address(address.to_owned())),
    }
}

/// The port with this number.
pub fn port_number(text: &str) -> Result<u16, EndpointError> {
    // `parse` takes a sign, a port has none.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| EndpointError::Port(text.to_owned()))
}

/// Takes `text` apart; the port has to be there, as a number.
pub fn parse(text: &str) -> Result<(IpAddr, u16), EndpointError> {
    match split(text)? {
        (address, Some(port)) => Ok((address, port_number(port)?)),
        (_, None) => Err(EndpointError::NoPort(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    #[test]
    fn refused() {
        let error = |text: &str| parse(text).unwrap_err();
        assert_eq!(
            error("192.0.2.1"),
            EndpointError::NoPort("192.0.2.1".into())
        );
        assert_eq!(error("[::1]"), EndpointError::NoPort("[::1]".into()));
        assert_eq!(error("::1:80"), EndpointError::Brackets("::1:80".into()));
        assert_eq!(error("[::1]80"), EndpointError::Port("80".into()));
        assert_eq!(error("[::1"), EndpointError::Address("[::1".into()));
        assert_eq!(error("web:80"), EndpointError::Address("web".into()));
        for port in ["", "+80", "-1", "65536", "http", "8 0"] {
            assert_eq!(
                error(&format!("192.0.2.1:{port}")),
                EndpointError::Port(port.into())
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(bytes: [u8; 16], v4: [u8; 4], port: u16) {
            for address in [IpAddr::from(bytes), IpAddr::from(v4)] {
                let printed = SocketAddr::new(address, port).to_string();
                prop_assert_eq!(parse(&printed), Ok((address, port)));
            }
        }

        #[test]
        fn any_text_is_an_endpoint_or_an_error(text: String) {
            let _ = parse(&text);
        }
    }
}
