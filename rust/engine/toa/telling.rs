// SPDX-License-Identifier: GPL-2.0

//! Which of a client's segments tell its address (TOA).
//!
//! A server learns the address from the segment that makes its socket, and which that is only the
//! server knows: segments get lost, overtake each other, have wrong checksums, and a hostile client
//! sends whatever it likes. So every segment of the client tells, until the server has shown that it
//! has a socket. It shows that by what it sends, and by nothing that the client sends: payload where
//! its SYN said that its stream begins, or an acknowledgment of the client's payload from there.
//!
//! From then on no segment makes a socket while that one lasts, and it may end unseen. Another is
//! made by a SYN and what follows, or by a SYN cookie alone, which is good for more than one. So
//! the segment whose numbers the server's SYN vouches for tells always, and of a client that was
//! given several such numbers every segment. A reset makes every segment tell again as well: whoever
//! guesses at cookies of connections before, gets resets for those that are wrong.

use super::super::wire::options::{TcpOptions, FAST_OPEN};
use super::super::wire::TcpFlags;

/// Where things are in the TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGMENT: usize = 8;
const FLAGS: usize = 13;

/// What is not the middle of a connection.
pub const TURNS: TcpFlags = TcpFlags::SYN.with(TcpFlags::RST);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every segment tells; the server has not answered a SYN.
    Opening,
    /// Every segment tells; the server has answered, perhaps without a socket.
    Telling,
    /// The server has a socket.
    Told,
    /// Every segment tells, for good.
    Always,
}

/// How far a connection is with telling, and where its streams begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// How far it is.
    pub phase: Phase,
    /// The client's number that the server's SYN expects next, as the client has it.
    pub first: u32,
    /// The server's number behind its SYN; 0 before that.
    pub expected: u32,
}

impl Telling {
    /// A connection of which nothing was seen.
    pub const NEW: Self = Self {
        phase: Phase::Opening,
        first: 0,
        expected: 0,
    };

    /// Notes a segment of the client, given by its whole header as the client sent it, and says
    /// whether it tells.
    pub fn client(&mut self, header: &[u8], has_payload: bool) -> bool {
        let Some((flags, sequence, acknowledgment)) = numbers(header) else {
            return false;
        };
        if flags.has(TcpFlags::RST) {
            self.begin_anew();
            return false;
        }
        if flags.has(TcpFlags::SYN) {
            if self.phase == Phase::Told || sequence.wrapping_add(1) != self.first {
                self.begin_anew();
            }
            // One that makes the socket at once, with a cookie or without.
            return has_payload || TcpOptions::of(header).any(|option| option.kind == FAST_OPEN);
        }
        self.phase != Phase::Told || (sequence == self.first && acknowledgment == self.expected)
    }

    /// Notes a segment of the server, given by its whole header with the client's numbers as the
    /// client has them.
    pub fn server(&mut self, header: &[u8], has_payload: bool) {
        let Some((flags, sequence, acknowledgment)) = numbers(header) else {
            return;
        };
        if flags.has(TcpFlags::RST) {
            self.begin_anew();
        } else if flags.has(TcpFlags::SYN) {
            self.answered(acknowledgment, sequence.wrapping_add(1));
        } else if self.phase == Phase::Telling && sequence == self.expected {
            let taken = acknowledgment.wrapping_sub(self.first) as i32;
            if has_payload || (flags.has(TcpFlags::ACK) && taken > 0) {
                self.phase = Phase::Told;
            }
        }
    }

    /// The server's SYN. It may come twice, the second time late.
    fn answered(&mut self, first: u32, expected: u32) {
        if self.expected != 0 && (first, expected) != (self.first, self.expected) {
            self.phase = Phase::Always;
        }
        if self.phase != Phase::Opening {
            return;
        }
        *self = Self {
            phase: Phase::Telling,
            first,
            expected,
        };
    }

    fn begin_anew(&mut self) {
        if self.phase != Phase::Always {
            self.phase = Phase::Opening;
        }
    }
}

fn numbers(header: &[u8]) -> Option<(TcpFlags, u32, u32)> {
    let word = |at: usize| {
        let bytes = header.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let flags = TcpFlags(*header.get(FLAGS)?);
    Some((flags, word(SEQUENCE)?, word(ACKNOWLEDGMENT)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    const FIN: u8 = 0x11;

    fn header(flags: u8, sequence: u32, acknowledgment: u32, options: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 20];
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        header[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
        header[12] = (5 + options.len() as u8 / 4) << 4;
        header[13] = flags;
        header.extend(options);
        header
    }

    /// A connection whose server has answered; streams begin with 100 and 900.
    fn answered() -> Telling {
        let mut telling = Telling::NEW;
        assert!(!telling.client(&header(SYN, 99, 0, &[]), false));
        telling.server(&header(SYN | ACK, 899, 100, &[]), false);
        telling
    }

    fn told() -> Telling {
        let mut telling = answered();
        telling.server(&header(ACK, 900, 100, &[]), true);
        assert_eq!(telling.phase, Phase::Told);
        telling
    }

    #[test]
    fn nothing_that_the_client_says_ends_it() {
        let mut telling = answered();
        for acknowledgment in [0, 899, 900, 901, 5_000, u32::MAX] {
            for sequence in [0, 99, 100, 101] {
                assert!(telling.client(&header(ACK, sequence, acknowledgment, &[]), false));
                assert!(telling.client(&header(FIN, sequence, acknowledgment, &[]), true));
            }
        }
    }

    #[test]
    fn the_server_ends_it_by_what_only_a_socket_sends() {
        assert!(!told().client(&header(ACK, 101, 1_000, &[]), true));
        assert!(!told().client(&header(ACK, 100, 901, &[]), false));
        let mut telling = answered();
        telling.server(&header(ACK, 900, 101, &[]), false);
        assert_eq!(telling.phase, Phase::Told);
        // Of a connection before, of a SYN, and of nobody in particular.
        for (flags, sequence, acknowledgment) in [
            (ACK, 901, 101),
            (ACK, 899, 101),
            (SYN | ACK, 899, 100),
            (ACK, 900, 100),
            (0, 900, 101),
        ] {
            let has_payload = sequence != 900;
            let mut telling = answered();
            telling.server(&header(flags, sequence, acknowledgment, &[]), has_payload);
            assert_eq!(telling.phase, Phase::Telling, "{flags:#x} {sequence}");
        }
    }

    #[test]
    fn what_a_cookie_vouches_for_tells_always() {
        assert!(told().client(&header(ACK, 100, 900, &[]), false));
        assert!(told().client(&header(ACK, 100, 900, &[]), true));
    }

    #[test]
    fn what_may_end_the_socket_or_begin_another_begins_it_anew() {
        let next = header(ACK, 700, 1_700, &[]);
        for flags in [RST, RST | ACK] {
            let mut telling = told();
            telling.server(&header(flags, 1_000, 300, &[]), false);
            assert!(telling.client(&next, false), "{flags:#x}");
            // What was on its way.
            telling.server(&header(ACK, 900, 300, &[]), true);
            assert!(telling.client(&next, false), "{flags:#x}");
        }
        for flags in [RST, RST | ACK, RST | SYN, SYN, SYN | ACK] {
            let mut telling = told();
            assert!(!telling.client(&header(flags, 99, 0, &[]), false));
            assert!(telling.client(&next, false), "{flags:#x}");
        }
    }

    #[test]
    fn a_syn_that_comes_twice_changes_nothing() {
        let mut telling = answered();
        telling.client(&header(SYN, 99, 0, &[]), false);
        assert_eq!(telling, answered());
        let mut telling = told();
        telling.server(&header(SYN | ACK, 899, 100, &[]), false);
        assert_eq!(telling, told());
    }

    #[test]
    fn syns_that_make_a_socket_tell() {
        let cookie = [34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1];
        let tells = |options: &[u8], has_payload| {
            let mut telling = Telling::NEW;
            telling.client(&header(SYN, 99, 0, options), has_payload)
        };
        assert!(tells(&cookie, true) && tells(&cookie, false));
        // Servers may do without cookies.
        assert!(tells(&[34, 2, 1, 1], false) && tells(&[], true));
        assert!(!tells(&[2, 4, 5, 180], false));
    }

    #[test]
    fn several_cookies_are_told_for_good() {
        for (first, expected) in [(100, 5_000), (200, 900)] {
            let mut telling = answered();
            telling.client(&header(SYN, first - 1, 0, &[]), false);
            telling.server(&header(SYN | ACK, expected - 1, first, &[]), false);
            telling.server(&header(ACK, expected, first, &[]), true);
            assert!(telling.client(&header(ACK, 3_000, 4_000, &[]), true));
        }
    }

    #[test]
    fn an_answer_to_a_stray_syn_shows_nothing() {
        // The server has a half-open connection whose client begins with 100; of a SYN that begins
        // with 95 it says so.
        let mut telling = answered();
        telling.client(&header(SYN, 94, 0, &[]), false);
        telling.server(&header(SYN | ACK, 899, 100, &[]), false);
        telling.server(&header(ACK, 900, 100, &[]), false);
        assert!(telling.client(&header(ACK, 104, 900, &[]), true));
    }

    #[test]
    fn short_headers_say_nothing() {
        let mut telling = Telling::NEW;
        assert!(!telling.client(&[0; 13], true));
        telling.server(&[0; 13], true);
        assert_eq!(telling, Telling::NEW);
    }
}
