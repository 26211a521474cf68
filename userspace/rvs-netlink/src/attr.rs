// SPDX-License-Identifier: GPL-2.0

//! One netlink attribute, as a value to send and as bytes received.

use std::net::IpAddr;

use netlink_packet_core::{
    emit_u16_be, emit_u32, emit_u64, parse_ip, parse_string, parse_u16_be, parse_u32, parse_u64,
    parse_u8, DecodeError, Emitable, ErrorContext, Nla, NlaBuffer, NlasIterator, NLA_F_NESTED,
};

use crate::generated::laddr;

/// What an attribute carries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    U8(u8),
    U16Be(u16),
    U32(u32),
    Uint(u64),
    Text(String),
    Address(IpAddr),
    Bytes(Vec<u8>),
    /// Encoded, or each nest around it would measure it anew.
    Nest(Vec<u8>),
}

/// An attribute to send.
///
/// The encoding is that of the attribute's type in the spec; whoever builds one picks it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attr {
    kind: u16,
    value: Value,
}

impl Attr {
    /// A `u8`.
    pub fn u8(kind: u16, value: u8) -> Self {
        let value = Value::U8(value);
        Self { kind, value }
    }

    /// A `u16` in network order.
    pub fn u16_be(kind: u16, value: u16) -> Self {
        let value = Value::U16Be(value);
        Self { kind, value }
    }

    /// A `u32` in host order.
    pub fn u32(kind: u16, value: u32) -> Self {
        let value = Value::U32(value);
        Self { kind, value }
    }

    /// A `uint`: four bytes where they suffice, else eight.
    pub fn uint(kind: u16, value: u64) -> Self {
        let value = Value::Uint(value);
        Self { kind, value }
    }

    /// A string; the terminating zero is added.
    pub fn text(kind: u16, value: &str) -> Self {
        let value = Value::Text(value.to_owned());
        Self { kind, value }
    }

    /// An address, 4 or 16 bytes in network order.
    pub fn address(kind: u16, address: IpAddr) -> Self {
        let value = Value::Address(address);
        Self { kind, value }
    }

    /// Bytes as they are, less than 64 KiB.
    pub fn bytes(kind: u16, bytes: &[u8]) -> Self {
        let value = Value::Bytes(bytes.into());
        Self { kind, value }
    }

    /// A nest. Its content must stay under 64 KiB, the most that an attribute's length can say.
    pub fn nest(kind: u16, attributes: impl AsRef<[Self]>) -> Self {
        let value = Value::Nest(encode(attributes.as_ref()));
        Self { kind, value }
    }

    /// The nest of a local address.
    pub(crate) fn local_address(kind: u16, address: IpAddr) -> Self {
        Self::nest(kind, [Self::address(laddr::ADDRESS, address)])
    }
}

impl Nla for Attr {
    fn value_len(&self) -> usize {
        match &self.value {
            Value::U8(_) => 1,
            Value::U16Be(_) => 2,
            Value::U32(_) => 4,
            Value::Uint(value) if u32::try_from(*value).is_ok() => 4,
            Value::Uint(_) => 8,
            Value::Text(text) => text.len() + 1,
            Value::Address(IpAddr::V4(_)) => 4,
            Value::Address(IpAddr::V6(_)) => 16,
            Value::Bytes(bytes) | Value::Nest(bytes) => bytes.len(),
        }
    }

    fn kind(&self) -> u16 {
        match self.value {
            Value::Nest(_) => self.kind | NLA_F_NESTED,
            _ => self.kind,
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        // The buffer is `value_len` bytes, so that none of these can fail.
        let _ = match &self.value {
            Value::U8(value) => {
                buffer.fill(*value);
                Ok(())
            }
            Value::U16Be(value) => emit_u16_be(buffer, *value),
            Value::U32(value) => emit_u32(buffer, *value),
            Value::Uint(value) => match u32::try_from(*value) {
                Ok(short) => emit_u32(buffer, short),
                Err(_) => emit_u64(buffer, *value),
            },
            Value::Text(text) => {
                buffer.fill(0);
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                Ok(())
            }
            Value::Address(address) => {
                match address {
                    IpAddr::V4(v4) => buffer.copy_from_slice(&v4.octets()),
                    IpAddr::V6(v6) => buffer.copy_from_slice(&v6.octets()),
                }
                Ok(())
            }
            Value::Bytes(bytes) | Value::Nest(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
        };
    }
}

/// A received attribute.
pub struct Received<'a> {
    buffer: NlaBuffer<&'a [u8]>,
}

/// The attributes in `bytes`, in order.
pub fn received(bytes: &[u8]) -> impl Iterator<Item = Result<Received<'_>, DecodeError>> {
    NlasIterator::new(bytes).map(|buffer| buffer.map(|buffer| Received { buffer }))
}

impl Received<'_> {
    /// Its number, without flags.
    pub fn kind(&self) -> u16 {
        self.buffer.kind()
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.value()
    }

    /// A `u8`.
    pub fn u8(&self, name: &str) -> Result<u8, DecodeError> {
        parse_u8(self.bytes()).context(name)
    }

    /// A `u16` in network order.
    pub fn u16_be(&self, name: &str) -> Result<u16, DecodeError> {
        parse_u16_be(self.bytes()).context(name)
    }

    /// A `u32` in host order.
    pub fn u32(&self, name: &str) -> Result<u32, DecodeError> {
        parse_u32(self.bytes()).context(name)
    }

    /// A `uint`, four or eight bytes.
    pub fn uint(&self, name: &str) -> Result<u64, DecodeError> {
        let bytes = self.bytes();
        if bytes.len() == 4 {
            return parse_u32(bytes).map(u64::from).context(name);
        }
        parse_u64(bytes).context(name)
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<String, DecodeError> {
        parse_string(self.bytes()).context(name)
    }

    /// An address of 4 or 16 bytes.
    pub fn address(&self, name: &str) -> Result<IpAddr, DecodeError> {
        parse_ip(self.bytes()).context(name)
    }
}

/// What a message must have and does not.
pub fn required<T>(value: Option<T>, name: &str) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::from(format!("the kernel's message has no {name}")))
}

/// Bytes of `attributes`, as a message carries them.
pub fn encode(attributes: &[Attr]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(attribute: Attr) -> Vec<u8> {
        encode(&[attribute])
    }

    #[test]
    fn known_bytes() {
        assert_eq!(one(Attr::u16_be(3, 0x0050)), [6, 0, 3, 0, 0, 0x50, 0, 0]);
        assert_eq!(
            one(Attr::text(4, "rr")),
            [7, 0, 4, 0, b'r', b'r', 0, 0],
            "a string ends with a zero and is padded"
        );
        assert_eq!(
            one(Attr::nest(1, vec![Attr::u8(1, 6)])),
            [12, 0, 1, 0x80, 5, 0, 1, 0, 6, 0, 0, 0],
            "a nest says that it is one"
        );
    }

    #[test]
    fn uint_is_four_or_eight_bytes() {
        assert_eq!(one(Attr::uint(1, 7)).len(), 8);
        assert_eq!(one(Attr::uint(1, u64::MAX)).len(), 12);
    }

    #[test]
    fn truncated_is_an_error() {
        assert!(received(&[8, 0, 1, 0, 1]).any(|a| a.is_err()));
        assert!(received(&[2, 0, 1, 0]).any(|a| a.is_err()));
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_come_back(number: u64, short: u16, bytes: [u8; 16]) {
            let wide = one(Attr::uint(9, number));
            let wide = received(&wide).next().unwrap().unwrap();
            prop_assert_eq!(wide.uint("n").unwrap(), number);
            let port = one(Attr::u16_be(9, short));
            prop_assert_eq!(received(&port).next().unwrap().unwrap().u16_be("p").unwrap(), short);
            let address = IpAddr::from(bytes);
            let sent = one(Attr::address(9, address));
            let sent = received(&sent).next().unwrap().unwrap();
            prop_assert_eq!(sent.address("a").unwrap(), address);
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            for attribute in received(&bytes).flatten() {
                let _ = attribute.uint("x");
                let _ = attribute.text("x");
                let _ = attribute.address("x");
                let _ = attribute.u8("x");
            }
        }
    }
}
