// SPDX-License-Identifier: GPL-2.0

//! FTP's commands and replies that tell where a connection for data is opened to: PORT and PASV
//! (RFC 959), EPRT and EPSV (RFC 2428).
//!
//! A line counts that stands whole in one segment, as all programs send them. What is not well formed
//! is left alone: the other end says what it thinks of it.

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// Where servers listen (RFC 959).
pub const PORT: u16 = 21;

/// Longest payload that is read, in bytes: RFC 959 has one line of 512 at most.
pub const PAYLOAD_MAX: usize = 1024;

/// Longest of what is written in place of an address and port: EPRT's of IPv6.
const TEXT_MAX: usize = 64;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To be told where to open a connection to.
    Passive,
    /// That the server opens one.
    Active(Announced),
}

/// Where a connection for data is opened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Which bytes of the payload say so.
    pub range: Range<usize>,
    /// The address; none where it is that of whoever says so.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    form: Form,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `h1,h2,h3,h4,p1,p2`
    Numbers,
    /// `|1|address|port|`, with its delimiter.
    Extended(u8),
    /// `|||port|`, with its delimiter.
    PortOnly(u8),
}

/// What stands in the place of an address and port.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl Text {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.len.checked_add(more.len()).ok_or(fmt::Error)?;
        let to = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        to.copy_from_slice(more.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Announced {
    /// The same with another address and port. None where this way of writing has no place for it.
    pub fn written(&self, address: IpAddr, port: u16) -> Option<Text> {
        let mut text = Text {
            bytes: [0; TEXT_MAX],
            len: 0,
        };
        match (self.form, address) {
            (Form::Numbers, IpAddr::V4(v4)) => {
                let ([a, b, c, d], [high, low]) = (v4.octets(), port.to_be_bytes());
                write!(text, "{a},{b},{c},{d},{high},{low}").ok()?;
            }
            (Form::Numbers, IpAddr::V6(_)) => return None,
            (Form::Extended(mark), _) => {
                let (mark, kind) = (char::from(mark), if address.is_ipv4() { 1 } else { 2 });
                write!(text, "{mark}{kind}{mark}{address}{mark}{port}{mark}").ok()?;
            }
            (Form::PortOnly(mark), _) => {
                let mark = char::from(mark);
                write!(text, "{mark}{mark}{mark}{port}{mark}").ok()?;
            }
        }
        Some(text)
    }
}

/// What a client asks for, in the first line of its segment that does.
pub fn command(payload: &[u8]) -> Option<Command> {
    lines(payload).find_map(|line| {
        let text = payload.get(line.clone())?;
        let word = text
            .first_chunk::<4>()?
            .map(|byte| byte.to_ascii_uppercase());
        let rest = line.start.checked_add(4)?..line.end;
        match &word {
            b"PASV" | b"EPSV" => Some(Command::Passive),
            b"PORT" => numbers(payload, rest).map(Command::Active),
            b"EPRT" => extended(payload, rest).map(Command::Active),
            _ => None,
        }
    })
}

/// Where a server says that it waits, in the first line of its segment that does.
pub fn reply(payload: &[u8]) -> Option<Announced> {
    lines(payload).find_map(|line| {
        let code = payload.get(line.clone())?.first_chunk::<4>()?;
        let rest = line.start.checked_add(4)?..line.end;
        match code {
            b"227 " => numbers(payload, rest),
            b"229 " => port_only(payload, rest),
            _ => None,
        }
    })
}

/// The lines that end in the payload, without their ends.
fn lines(payload: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    core::iter::from_fn(move || {
        let begin = start;
        let len = payload
            .get(begin..)?
            .iter()
            .position(|byte| *byte == b'\n')?;
        let end = begin.checked_add(len)?;
        start = end.checked_add(1)?;
        Some(begin..end)
    })
}

/// `h1,h2,h3,h4,p1,p2`, from the first digit on: of what stands before it there are many forms
/// (RFC 1123, section 4.1.2.6).
fn numbers(payload: &[u8], line: Range<usize>) -> Option<Announced> {
    let text = payload.get(line.clone())?;
    let skipped = text.iter().position(u8::is_ascii_digit)?;
    let (mut values, mut at) = ([0u8; 6], skipped);
    for (index, value) in values.iter_mut().enumerate() {
        if index > 0 {
            at = expect(text, at, b',')?;
        }
        let (number, end) = decimal(text, at)?;
        *value = u8::try_from(number).ok()?;
        at = end;
    }
    let [a, b, c, d, high, low] = values;
    Some(Announced {
        range: line.start.checked_add(skipped)?..line.start.checked_add(at)?,
        address: Some(Ipv4Addr::new(a, b, c, d).into()),
        port: port_of(u16::from_be_bytes([high, low]))?,
        form: Form::Numbers,
    })
}

/// `|1|192.0.2.1|1024|`, behind spaces.
fn extended(payload: &[u8], line: Range<usize>) -> Option<Announced> {
    let text = payload.get(line.clone())?;
    let skipped = text.iter().position(|byte| *byte != b' ')?;
    let mark = delimiter(text, skipped)?;
    let (version, at) = decimal(text, skipped.checked_add(1)?)?;
    let begin = expect(text, at, mark)?;
    let len = text.get(begin..)?.iter().position(|byte| *byte == mark)?;
    let end = begin.checked_add(len)?;
    let address = core::str::from_utf8(text.get(begin..end)?).ok()?;
    let address: IpAddr = match version {
        1 => address.parse::<Ipv4Addr>().ok()?.into(),
        2 => address.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    let (port, at) = decimal(text, end.checked_add(1)?)?;
    let at = expect(text, at, mark)?;
    Some(Announced {
        range: line.start.checked_add(skipped)?..line.start.checked_add(at)?,
        address: Some(address),
        port: port_of(u16::try_from(port).ok()?)?,
        form: Form::Extended(mark),
    })
}

/// `(|||1024|)`, the brackets somewhere in the line.
fn port_only(payload: &[u8], line: Range<usize>) -> Option<Announced> {
    let text = payload.get(line.clone())?;
    let open = text.iter().position(|byte| *byte == b'(')?;
    let begin = open.checked_add(1)?;
    let mark = delimiter(text, begin)?;
    let mut at = begin;
    for _ in 0..3 {
        at = expect(text, at, mark)?;
    }
    let (port, at) = decimal(text, at)?;
    let at = expect(text, at, mark)?;
    Some(Announced {
        range: line.start.checked_add(begin)?..line.start.checked_add(at)?,
        address: None,
        port: port_of(u16::try_from(port).ok()?)?,
        form: Form::PortOnly(mark),
    })
}

/// What parts the fields: any sign but digits (RFC 2428, section 2).
fn delimiter(text: &[u8], at: usize) -> Option<u8> {
    let mark = *text.get(at)?;
    (mark.is_ascii_graphic() && !mark.is_ascii_digit()).then_some(mark)
}

fn expect(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (*text.get(at)? == byte).then(|| at.checked_add(1))?
}

/// A number of one to five digits, and where it ends.
fn decimal(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let rest = text.get(at..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 5 {
        return None;
    }
    let fold = |number: u32, digit: &u8| number * 10 + u32::from(digit.wrapping_sub(b'0'));
    let number = rest.get(..digits)?.iter().fold(0, fold);
    Some((number, at.checked_add(digits)?))
}

fn port_of(port: u16) -> Option<u16> {
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(payload: &[u8], announced: &Announced) -> (String, String, u16) {
        let range = String::from_utf8(payload[announced.range.clone()].to_vec()).unwrap();
        let address = announced.address.map_or(String::new(), |a| a.to_string());
        (range, address, announced.port)
    }

    fn active(payload: &[u8]) -> Option<(String, String, u16)> {
        match command(payload)? {
            Command::Active(announced) => Some(says(payload, &announced)),
            Command::Passive => panic!("passive"),
        }
    }

    fn own(range: &str, address: &str, port: u16) -> Option<(String, String, u16)> {
        Some((range.to_owned(), address.to_owned(), port))
    }

    #[test]
    fn commands() {
        for text in ["PASV\r\n", "epsv\n", "EPSV 2\r\n", "NOOP\r\nPASV\r\n"] {
            assert_eq!(command(text.as_bytes()), Some(Command::Passive), "{text}");
        }
        for text in ["", "PAS", "PASV", "XPASV\r\n", "NOOP\r\n", "STOR PASV\r\n"] {
            assert_eq!(command(text.as_bytes()), None, "{text}");
        }
        let v4 = own("192,0,2,7,4,1", "192.0.2.7", 1025);
        assert_eq!(active(b"PORT 192,0,2,7,4,1\r\n"), v4);
        assert_eq!(active(b"port  192,0,2,7,4,1 \n"), v4);
        assert_eq!(active(b"NOOP\r\nPORT 192,0,2,7,4,1\r\nNOOP\r\n"), v4);
        let v4 = own("|1|192.0.2.7|1025|", "192.0.2.7", 1025);
        assert_eq!(active(b"EPRT |1|192.0.2.7|1025|\r\n"), v4);
        let v6 = own("!2!2001:db8::7!65535!", "2001:db8::7", 65535);
        assert_eq!(active(b"eprt !2!2001:db8::7!65535!\r\n"), v6);
    }

    #[test]
    fn what_is_no_command_is_left_alone() {
        for text in [
            "PORT 192,0,2,7,4,1",
            "PORT 192,0,2,7,4\r\n",
            "PORT 192,0,2,256,4,1\r\n",
            "PORT 192,0,2,7,0,0\r\n",
            "PORT 192,0,2,7,4,111111111111111111111\r\n",
            "PORT 192,0,2,7,,1\r\n",
            "PORT \r\n",
            "EPRT |1|192.0.2.7|1025\r\n",
            "EPRT |1|192.0.2.7|65536|\r\n",
            "EPRT |1|192.0.2.7|0|\r\n",
            "EPRT |2|192.0.2.7|1025|\r\n",
            "EPRT |1|2001:db8::7|1025|\r\n",
            "EPRT |3|x|1025|\r\n",
            "EPRT 1111111111\r\n",
            "EPRT |1||1025|\r\n",
            "EPRT \r\n",
        ] {
            assert_eq!(command(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn replies() {
        let of = |text: &str| reply(text.as_bytes()).map(|it| says(text.as_bytes(), &it));
        let numbers = own("10,0,0,1,200,9", "10.0.0.1", 51209);
        for text in [
            "227 Entering Passive Mode (10,0,0,1,200,9).\r\n",
            "227 =10,0,0,1,200,9\r\n",
            "227 10,0,0,1,200,9\n",
            "200 ok\r\n227 Entering (10,0,0,1,200,9)\r\n",
        ] {
            assert_eq!(of(text), numbers, "{text}");
        }
        let port = own("|||51209|", "", 51209);
        assert_eq!(
            of("229 Entering Extended Passive Mode (|||51209|)\r\n"),
            port
        );
        for text in [
            "227-Entering (10,0,0,1,200,9).\r\n",
            "227 Entering (10,0,0,1,200,9)",
            "227 Entering (10,0,0,1,200)\r\n",
            "229 Entering |||51209|\r\n",
            "229 Entering (||1|51209|)\r\n",
            "229 Entering (|||70000|)\r\n",
            "229 Entering (",
            "229 Entering (\r\n",
            "221 bye (10,0,0,1,200,9)\r\n",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn written_anew_as_it_was_written() {
        let anew = |text: &str, address: &str, port| {
            let announced = match command(text.as_bytes()) {
                Some(Command::Active(announced)) => announced,
                _ => reply(text.as_bytes()).unwrap(),
            };
            let written = announced.written(address.parse().unwrap(), port)?;
            let mut all = text.as_bytes().to_vec();
            all.splice(announced.range, written.bytes().iter().copied());
            Some(String::from_utf8(all).unwrap())
        };
        let passive = "227 Entering Passive Mode (10,0,0,1,200,9).\r\n";
        let longer = "227 Entering Passive Mode (198,51,100,255,255,255).\r\n";
        assert_eq!(anew(passive, "198.51.100.255", 65535).unwrap(), longer);
        assert_eq!(anew(passive, "2001:db8::1", 65535), None);
        let extended = "EPRT !1!10.0.0.1!1025!\r\n";
        assert_eq!(
            anew(extended, "10.0.0.2", 9).unwrap(),
            "EPRT !1!10.0.0.2!9!\r\n"
        );
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe";
        let all = format!("EPRT !2!{longest}!65535!\r\n");
        assert_eq!(anew(extended, longest, 65535).unwrap(), all);
        let port = "229 ok (|||4|)\r\n";
        assert_eq!(
            anew(port, "10.0.0.2", 50000).unwrap(),
            "229 ok (|||50000|)\r\n"
        );
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut state = 1u64;
        let alphabet = b"PORTEPASVpasv0123456789,|.:() \r\n2279\xff";
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            let len = (state >> 58) as usize;
            let mut bits = state;
            let text: Vec<u8> = (0..len)
                .map(|_| {
                    bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(7);
                    alphabet[(bits >> 33) as usize % alphabet.len()]
                })
                .collect();
            for text in [
                text.clone(),
                [b"PORT ", &text[..], b"\n"].concat(),
                [b"EPRT ", &text[..], b"\n"].concat(),
                [b"227 ", &text[..], b"\n"].concat(),
                [b"229 (", &text[..], b"\n"].concat(),
            ] {
                if let Some(Command::Active(it)) = command(&text) {
                    assert!(it.range.end <= text.len() && it.port != 0);
                }
                if let Some(it) = reply(&text) {
                    assert!(it.range.end <= text.len() && it.port != 0);
                }
            }
        }
    }
}
