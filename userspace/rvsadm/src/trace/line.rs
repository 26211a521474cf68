// SPDX-License-Identifier: GPL-2.0

//! One line of the kernel's trace, as `rust/helpers/trace.h` has it printed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rvs_netlink::generated::conn_state;
use schemars::JsonSchema;
use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NewFlow,
    ConnEnd,
    Drop,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::NewFlow => "new-flow",
            Self::ConnEnd => "conn-end",
            Self::Drop => "drop",
        }
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    kind: Kind,
    /// Number of the network namespace.
    pub netns: u64,
    pub protocol: String,
    /// The client, or the source of a packet.
    pub client: SocketAddr,
    /// The virtual end, or the destination of a packet.
    pub virtual_end: SocketAddr,
    pub mark: u32,
    dest: Option<SocketAddr>,
    mode: Option<String>,
    state: Option<&'static str>,
    /// Why a connection ended, or the counter that a packet goes to.
    why: Option<String>,
}

/// It as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Traced")]
pub struct View {
    time: String,
    event: &'static str,
    protocol: String,
    client: String,
    service: String,
    dest: Option<String>,
    mode: Option<String>,
    state: Option<&'static str>,
    why: Option<String>,
    reason: Option<String>,
}

/// Reads `[::ffff:192.0.2.1]:80`.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.strip_prefix('[')?.split_once("]:")?;
    let address: IpAddr = address.parse().ok()?;
    Some(SocketAddr::new(address.to_canonical(), port.parse().ok()?))
}

impl Traced {
    /// Reads a line; none when it is another, or of a module that prints otherwise.
    pub fn read(text: &str) -> Option<Self> {
        let kinds = [
            (": new_flow: ", Kind::NewFlow),
            (": conn_end: ", Kind::ConnEnd),
            (": drop: ", Kind::Drop),
        ];
        let (kind, fields) = kinds
            .into_iter()
            .find_map(|(mark, kind)| Some((kind, text.split_once(mark)?.1)))?;
        let field = |name: &str| {
            let mut words = fields.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let mut event = Self {
            kind,
            netns: field("netns")?.parse().ok()?,
            protocol: String::new(),
            client: SocketAddr::from(([0; 4], 0)),
            virtual_end: SocketAddr::from(([0; 4], 0)),
            mark: field("mark")?.parse().ok()?,
            dest: field("dest").and_then(end),
            mode: field("mode").map(str::to_owned),
            state: None,
            why: field("reason")
                .or(field("why").filter(|why| *why != "-"))
                .map(str::to_owned),
        };
        if kind == Kind::Drop {
            let (source, destination) = fields.split_once(" -> ")?;
            event.client = end(source.rsplit_once(' ')?.1)?;
            event.virtual_end = end(destination.split_once(' ')?.0)?;
            event.protocol = match field("proto")? {
                "6" => "tcp".to_owned(),
                "17" => "udp".to_owned(),
                "132" => "sctp".to_owned(),
                number => number.to_owned(),
            };
        } else {
            event.client = end(field("client")?)?;
            event.virtual_end = end(field("vip")?)?;
            event.protocol = fields.split_whitespace().nth(1)?.to_owned();
            let number = field("state")?.parse().ok()?;
            event.state = conn_state::name(number);
        }
        Some(event)
    }

    /// Whether it is of a packet, whatever that is of.
    pub fn is_of_packet(&self) -> bool {
        self.kind == Kind::Drop
    }

    /// It as JSON.
    pub fn view(&self, time: String) -> View {
        let why = |kind| {
            self.why
                .clone()
                .filter(|_| (self.kind == Kind::Drop) == kind)
        };
        View {
            time,
            event: self.kind.name(),
            protocol: self.protocol.clone(),
            client: self.client.to_string(),
            service: self.virtual_end.to_string(),
            dest: self.dest.map(|dest| dest.to_string()),
            mode: self.mode.clone(),
            state: self.state,
            why: why(false),
            reason: why(true),
        }
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            client,
            virtual_end,
            ..
        } = self;
        let name = self.kind.name();
        write!(f, "{name:<8} {protocol} {client} -> {virtual_end}")?;
        if let (Some(dest), Some(mode)) = (self.dest, &self.mode) {
            write!(f, " to {dest} by {mode}")?;
        }
        match (self.kind, self.state, &self.why) {
            (Kind::ConnEnd, Some(state), Some(why)) => write!(f, ", {state}, {why}"),
            (Kind::Drop, _, Some(reason)) => write!(f, " {reason}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_others_are_passed_over() {
        for text in [
            "",
            "CPU:0 [LOST 12 EVENTS]",
            "  a-1 [000] ..... 1.0: dest_change: netns=1 tcp vip=[::]:0",
            "  a-1 [000] ..... 1.0: drop: netns=1 reason=x proto=6",
            "  a-1 [000] ..... 1.0: new_flow: netns=x tcp",
        ] {
            assert_eq!(Traced::read(text), None, "{text}");
        }
    }

    #[test]
    fn an_end_says_why() {
        let text = "  k-1 [000] ..... 1.0: conn_end: netns=7 udp client=[2001:db8::2]:5 \
                    vip=[2001:db8::1]:53 dest=[2001:db8::9]:53 mode=dr mark=0 state=11 why=expired";
        let event = Traced::read(text).unwrap();
        assert_eq!(
            event.to_string(),
            "conn-end udp [2001:db8::2]:5 -> [2001:db8::1]:53 to [2001:db8::9]:53 by dr, udp, expired"
        );
    }
}
