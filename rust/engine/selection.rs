// SPDX-License-Identifier: GPL-2.0

//! Which connections are meant: those of a client, to a dest, in a state.

use core::fmt;
use core::net::SocketAddr;

use super::mode::{Mode, Protocol};
use super::prefix::Prefix;
use super::proto::State;

/// Which connections are meant; what is not said is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of this protocol.
    pub protocol: Option<Protocol>,
    /// Whose client is in this network.
    pub client: Option<Prefix>,
    /// Whose client has this port.
    pub client_port: Option<u16>,
    /// To this virtual address and port.
    pub virtual_address: Option<SocketAddr>,
    /// Whose dest is in this network.
    pub dest: Option<Prefix>,
    /// Whose dest is asked on this port.
    pub dest_port: Option<u16>,
    /// Of a dest of this mode.
    pub mode: Option<Mode>,
    /// In this state.
    pub state: Option<State>,
    /// Silent for so many milliseconds, at least.
    pub silent_ms: Option<u32>,
    /// Begun so many seconds ago, at least.
    pub age: Option<u32>,
}

/// What a selection looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Transport protocol.
    pub protocol: Protocol,
    /// The client.
    pub client: SocketAddr,
    /// Virtual address and port.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub dest: SocketAddr,
    /// How packets travel to it; unknown is none.
    pub mode: Option<Mode>,
    /// State now.
    pub state: State,
    /// Milliseconds since the last packet.
    pub silent_ms: u32,
    /// Seconds since it began, where that is known: where its service keeps accounts.
    pub age: Option<u32>,
}

impl Selection {
    /// Whether it is all connections.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether that one is meant.
    pub fn takes(&self, of: &Candidate) -> bool {
        fn is<T: PartialEq>(wanted: Option<T>, value: T) -> bool {
            wanted.is_none_or(|wanted| wanted == value)
        }
        let within = |network: Option<Prefix>, end: SocketAddr| {
            network.is_none_or(|network| network.contains(end.ip()))
        };
        is(self.protocol, of.protocol)
            && within(self.client, of.client)
            && is(self.client_port, of.client.port())
            && is(self.virtual_address, of.virtual_address)
            && within(self.dest, of.dest)
            && is(self.dest_port, of.dest.port())
            && self.mode.is_none_or(|mode| of.mode == Some(mode))
            && is(self.state, of.state)
            && self.silent_ms.is_none_or(|least| of.silent_ms >= least)
            && self
                .age
                .is_none_or(|least| of.age.is_some_and(|age| age >= least))
    }
}

/// In words, with a space before each; nothing when it is all.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, " {}", protocol.name())?;
        }
        if let Some(client) = self.client {
            write!(f, " client {client}")?;
        }
        if let Some(port) = self.client_port {
            write!(f, " client port {port}")?;
        }
        if let Some(address) = self.virtual_address {
            write!(f, " to {address}")?;
        }
        if let Some(dest) = self.dest {
            write!(f, " dest {dest}")?;
        }
        if let Some(port) = self.dest_port {
            write!(f, " dest port {port}")?;
        }
        if let Some(mode) = self.mode {
            write!(f, " mode {}", mode.name())?;
        }
        if let Some(state) = self.state {
            write!(f, " state {}", state.name())?;
        }
        if let Some(ms) = self.silent_ms {
            write!(f, " silent for {ms} ms")?;
        }
        match self.age {
            Some(seconds) => write!(f, " begun {seconds} s ago"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<Prefix> {
        let (address, bits) = text.split_once('/').unwrap();
        Some(Prefix::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap())
    }

    fn candidate() -> Candidate {
        Candidate {
            protocol: Protocol::Tcp,
            client: "198.51.100.2:40000".parse().unwrap(),
            virtual_address: "203.0.113.10:80".parse().unwrap(),
            dest: "192.0.2.1:8080".parse().unwrap(),
            mode: Some(Mode::Nat),
            state: State::Established,
            silent_ms: 5000,
            age: Some(9000),
        }
    }

    #[test]
    fn what_is_not_said_is_any() {
        assert!(Selection::default().is_all());
        assert!(Selection::default().takes(&candidate()));
        assert_eq!(Selection::default().to_string(), "");
    }

    /// Each part alone, once as the connection has it and once not.
    #[test]
    fn each_part_has_to_agree() {
        let all = Selection::default();
        let end = |text: &str| Some(text.parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            (Selection { protocol: Some(Protocol::Tcp), ..all }, Selection { protocol: Some(Protocol::Udp), ..all }),
            (Selection { client: network("198.51.100.0/24"), ..all }, Selection { client: network("198.51.101.0/24"), ..all }),
            (Selection { client: network("198.51.100.2/32"), ..all }, Selection { client: network("::/0"), ..all }),
            (Selection { client_port: Some(40000), ..all }, Selection { client_port: Some(40001), ..all }),
            (Selection { virtual_address: end("203.0.113.10:80"), ..all }, Selection { virtual_address: end("203.0.113.10:81"), ..all }),
            (Selection { dest: network("192.0.2.1/32"), ..all }, Selection { dest: network("192.0.2.2/32"), ..all }),
            (Selection { dest_port: Some(8080), ..all }, Selection { dest_port: Some(80), ..all }),
            (Selection { mode: Some(Mode::Nat), ..all }, Selection { mode: Some(Mode::Dr), ..all }),
            (Selection { state: Some(State::Established), ..all }, Selection { state: Some(State::FinWait), ..all }),
            (Selection { silent_ms: Some(5000), ..all }, Selection { silent_ms: Some(5001), ..all }),
            (Selection { age: Some(9000), ..all }, Selection { age: Some(9001), ..all }),
        ];
        for (yes, no) in cases {
            assert!(yes.takes(&candidate()), "{yes}");
            assert!(!no.takes(&candidate()), "{no}");
            assert!(!yes.is_all() && !yes.to_string().is_empty());
        }
    }

    #[test]
    fn an_age_that_is_not_known_is_not_meant() {
        let young = Selection {
            age: Some(0),
            ..Selection::default()
        };
        let unknown = Candidate {
            age: None,
            ..candidate()
        };
        assert!(young.takes(&candidate()) && !young.takes(&unknown));
    }

    #[test]
    fn it_is_said_in_words() {
        let selection = Selection {
            client: network("198.51.100.0/24"),
            state: Some(State::FinWait),
            silent_ms: Some(60_000),
            ..Selection::default()
        };
        assert_eq!(
            selection.to_string(),
            " client 198.51.100.0/24 state fin-wait silent for 60000 ms"
        );
    }
}
