// SPDX-License-Identifier: GPL-2.0

//! Telling the client's address, against a model of what a server makes of it.
//!
//! A hostile client and an odd server exchange segments by way of a director; the network loses
//! them, and any may overtake any other. Whatever happens: a receiver that believes options of any
//! kind believes nothing but the client's address, and the segment that makes a socket has it.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod packet;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rvs_engine::seqadj::{Opening, Shift};
use rvs_engine::toa::insert::{blank, blank_syn, fill, lower_mss, Told};
use rvs_engine::toa::room::{replace, squeeze, HEADER_MAX};
use rvs_engine::toa::telling::{Phase, Telling};
use rvs_engine::tuple::TupleV4;
use rvs_engine::wire::options::{TcpOptions, FAST_OPEN};
use rvs_engine::wire::{Ipv4, TCP};

use self::packet::{Packet, ACK, FIN, HEADS, IP, PSH, RST, SYN};

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 40_000);
const KIND: u8 = 99;
const RUNS: u64 = 3_000;
const STEPS: u32 = 150;

/// A stream of numbers from a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn word(&mut self) -> u32 {
        self.below(1 << 30) as u32 ^ ((self.below(1 << 30) as u32) << 16)
    }
}

/// What the datapath does with a FullNAT connection's segments.
struct Director {
    telling: Telling,
    shift: Shift,
}

impl Director {
    fn client(&mut self, mut packet: Packet) -> Packet {
        let has_payload = packet.payload() > 0;
        let tells = self.telling.client(packet.header(), has_payload);
        let moved = self.shift.toward_dest(packet.header_mut()).unwrap();
        let is_syn = packet.has(SYN);
        let header = packet.header_mut();
        let cleaned = if is_syn {
            blank_syn(header, 4)
        } else {
            blank(header)
        };
        packet.mend(moved.and(cleaned.unwrap()));
        if !tells {
            return packet;
        }
        let client = "198.51.100.7:40000".parse().unwrap();
        let told = Told::new(KIND, &TupleV4::new(client, client, TCP));
        let header_len = packet.header_len();
        if told.has_room(header_len) {
            packet.0.splice(HEADS..HEADS, vec![0; told.size()]);
            fill::<Ipv4>(&mut packet.0, IP, &told, false).unwrap();
        } else {
            let options = squeeze(packet.header(), told.bytes()).unwrap();
            packet
                .0
                .splice(HEADS..HEADS, vec![0; HEADER_MAX - header_len]);
            replace::<Ipv4>(&mut packet.0, IP, header_len, &options, false).unwrap();
        }
        packet
    }

    fn server(&mut self, mut packet: Packet) -> Packet {
        let has_payload = packet.payload() > 0;
        let mut moved = self.shift.toward_client(packet.header_mut()).unwrap();
        self.telling.server(packet.header(), has_payload);
        if packet.has(SYN) {
            moved = moved.and(lower_mss(packet.header_mut(), 4).unwrap());
        }
        packet.mend(moved);
        packet
    }
}

struct Socket {
    /// Its next number, and the client's.
    next: u32,
    expects: u32,
}

/// A server for one client's port, by the rules of Linux where they matter, else at random.
#[derive(Default)]
struct Server {
    has_cookies: bool,
    defers: bool,
    opens_fast: bool,
    socket: Option<Socket>,
    /// The client's number that is next, and its own.
    half_open: Option<(u32, u32)>,
    cookies: Vec<(u32, u32)>,
    sockets: u32,
}

impl Server {
    /// A packet comes; what is sent. The segment that makes a socket is checked.
    fn take(&mut self, packet: &Packet, dice: &mut Dice) -> Option<Packet> {
        if packet.checksum() != 0 {
            return None;
        }
        let (sequence, acknowledgment) = (packet.sequence(), packet.acknowledgment());
        if let Some(socket) = &mut self.socket {
            if packet.has(RST) {
                if dice.percent(50) {
                    self.socket = None;
                }
                return None;
            }
            if sequence == socket.expects {
                socket.expects = sequence.wrapping_add(packet.payload());
            }
            return Some(Packet::new(ACK, socket.next, socket.expects, &[], 0));
        }
        if packet.has(RST) {
            self.half_open = self.half_open.filter(|_| dice.percent(50));
            return None;
        }
        if packet.has(SYN) {
            return self.syn(packet, dice);
        }
        if !packet.has(ACK) {
            return None;
        }
        if let Some((first, own)) = self.half_open {
            if acknowledgment != own {
                return Some(Packet::new(RST, acknowledgment, 0, &[], 0));
            }
            if sequence.wrapping_sub(first) > 65_535 {
                return Some(Packet::new(ACK, own, first, &[], 0));
            }
            if self.defers && packet.payload() == 0 && sequence == first {
                return None;
            }
            self.half_open = None;
            return self.open(packet, own, first);
        }
        if self.cookies.contains(&(sequence, acknowledgment)) {
            return self.open(packet, acknowledgment, sequence);
        }
        Some(Packet::new(RST, acknowledgment, 0, &[], 0))
    }

    fn syn(&mut self, packet: &Packet, dice: &mut Dice) -> Option<Packet> {
        let mut first = packet.sequence().wrapping_add(1);
        if let Some((known, own)) = self.half_open {
            if known != first {
                return Some(Packet::new(ACK, own, known, &[], 0));
            }
            return Some(Packet::new(SYN | ACK, own.wrapping_sub(1), first, &[], 0));
        }
        let known = self.cookies.iter().find(|(other, _)| *other == first);
        let own = known.map_or_else(|| dice.word(), |(_, own)| *own);
        let mut options = TcpOptions::of(packet.header());
        let is_fast = packet.payload() > 0 || options.any(|option| option.kind == FAST_OPEN);
        if self.opens_fast && is_fast {
            first = first.wrapping_add(packet.payload());
            self.open(packet, own, first);
        } else if self.has_cookies {
            self.cookies.push((first, own));
        } else {
            self.half_open = Some((first, own));
        }
        Some(Packet::new(
            SYN | ACK,
            own.wrapping_sub(1),
            first,
            &[2, 4, 5, 180],
            0,
        ))
    }

    fn open(&mut self, packet: &Packet, next: u32, first: u32) -> Option<Packet> {
        assert_eq!(packet.says(), Some(CLIENT), "{:02x?}", packet.0);
        self.sockets += 1;
        let expects = first.wrapping_add(if packet.has(SYN) { 0 } else { packet.payload() });
        self.socket = Some(Socket { next, expects });
        Some(Packet::new(ACK, next, expects, &[], 0))
    }

    /// It does something of itself.
    fn act(&mut self, dice: &mut Dice) -> Option<Packet> {
        if let (Some((first, own)), true) = (self.half_open, dice.percent(50)) {
            if dice.percent(20) {
                self.half_open = None;
            }
            return Some(Packet::new(SYN | ACK, own.wrapping_sub(1), first, &[], 0));
        }
        let socket = self.socket.as_mut()?;
        let (next, expects) = (socket.next, socket.expects);
        match dice.below(8) {
            0 => {
                self.socket = None;
                Some(Packet::new(RST | ACK, next, expects, &[], 0))
            }
            1 => {
                self.socket = None;
                Some(Packet::new(
                    FIN | ACK,
                    next,
                    expects,
                    &[],
                    dice.any(&[0, 100]),
                ))
            }
            // Without a word.
            2 => {
                self.socket = None;
                None
            }
            _ => {
                socket.next = next.wrapping_add(100);
                Some(Packet::new(PSH | ACK, next, expects, &[], 100))
            }
        }
    }
}

/// A client that knows every number it was sent, and says anything.
struct Client {
    begins: [u32; 3],
    seen: Vec<u32>,
    /// What the server's SYNs expect next, and their number behind.
    answers: Vec<(u32, u32)>,
    said: Vec<Packet>,
}

impl Client {
    /// Something new, or what it has said before.
    fn says(&mut self, dice: &mut Dice) -> Packet {
        if !self.said.is_empty() && dice.percent(30) {
            return self.said[dice.below(self.said.len())].clone();
        }
        let said = match self.answers.last() {
            Some(_) if dice.percent(50) => self.handshake(dice),
            None if dice.percent(50) => Packet::new(SYN, self.begins[0], 0, &[], 0),
            _ => self.says_new(dice),
        };
        self.said.push(said);
        self.said[self.said.len() - 1].clone()
    }

    /// What may make a socket.
    fn handshake(&self, dice: &mut Dice) -> Packet {
        let back = dice.any(&[1, 1, 1, 2, 3]).min(self.answers.len());
        let (first, own) = self.answers[self.answers.len() - back];
        let sequence = first.wrapping_add(dice.any(&[0, 0, 0, 1, 101]));
        let acknowledgment = own.wrapping_add(dice.any(&[0, 0, 0, 0, 1, 100]));
        let payload = dice.any(&[0, 100]);
        Packet::new(ACK, sequence, acknowledgment, &Self::options(dice), payload)
    }

    fn says_new(&self, dice: &mut Dice) -> Packet {
        let begin = dice.any(&self.begins);
        let near = [0, 1, 1, 1, 1, 2, 5, 101, 60_000];
        let sequence = begin.wrapping_add(dice.any(&near));
        let payload = dice.any(&[0, 0, 1, 100]);
        let options = Self::options(dice);
        let mut packet = if dice.percent(20) {
            Packet::new(
                SYN | dice.any(&[0, 0, 0, ACK, RST]),
                begin,
                0,
                &options,
                payload,
            )
        } else {
            let other = dice.word();
            let seen = self.seen.get(dice.below(self.seen.len().max(1)));
            let acknowledgment = match seen {
                Some(seen) if dice.percent(90) => seen.wrapping_add(dice.any(&near)),
                _ => other,
            };
            let flags = dice.any(&[ACK, ACK, ACK, ACK | PSH, ACK | FIN, RST, RST | ACK, 0, 0x31]);
            Packet::new(flags, sequence, acknowledgment, &options, payload)
        };
        if dice.percent(15) {
            packet.0[36] ^= 0x55;
        }
        packet
    }

    /// Whole options of kinds with and without a meaning, claims among them; or any bytes.
    fn options(dice: &mut Dice) -> Vec<u8> {
        let mut options = Vec::new();
        let words = dice.any(&[0, 0, 3, 5, 10]);
        while options.len() < words * 4 {
            match dice.below(8) {
                0 => options.extend([8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
                1 => options.extend([1, 1]),
                2 => options.extend([5, 18].into_iter().chain(0..16)),
                3 => options.extend([30, 20].into_iter().chain(0..18)),
                4 => options.extend([34, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
                5 => options.extend([dice.below(256) as u8, dice.below(40) as u8, 7]),
                6 => options.push(dice.any(&[0, 1])),
                _ => {
                    let other = dice.below(256) as u8;
                    let kind = dice.any(&[KIND, 254, 200, 28, other]);
                    options.extend([kind, 8, 0x1a, 0x0a, 192, 0, 2, 66]);
                }
            }
        }
        options.truncate(words * 4);
        options
    }
}

/// One client's ports for a while; how many sockets were made, and whether the telling ended.
fn run(seed: u64) -> (u32, bool) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let begin = dice.word();
    let mut client = Client {
        begins: [begin, begin.wrapping_sub(5), dice.word()],
        seen: Vec::new(),
        answers: Vec::new(),
        said: Vec::new(),
    };
    let mut server = Server {
        has_cookies: dice.percent(40),
        defers: dice.percent(30),
        opens_fast: dice.percent(30),
        ..Server::default()
    };
    let opening = Opening::read(Packet::new(SYN, begin, 0, &[], 0).header()).unwrap();
    let mut director = Director {
        telling: Telling::NEW,
        shift: Shift::new(&opening, dice.word(), 0),
    };
    let (mut to_server, mut to_director) = (Vec::new(), Vec::new());
    let (mut ended, mut overtakes) = (false, dice.percent(50));
    for _ in 0..STEPS {
        let next = |queue: &mut Vec<Packet>, dice: &mut Dice| {
            let at = if overtakes {
                dice.below(queue.len().max(1))
            } else {
                0
            };
            let packet = (!queue.is_empty()).then(|| queue.remove(at));
            packet.filter(|_| !dice.percent(10))
        };
        match dice.below(8) {
            0 | 1 => {
                let sent = client.says(&mut dice);
                let is_sound = sent.checksum() == 0;
                let packet = director.client(sent);
                assert_eq!(packet.checksum() == 0, is_sound);
                let said = packet.says();
                assert!(said.is_none() || said == Some(CLIENT));
                to_server.push(packet);
            }
            2..=4 => {
                if let Some(packet) = next(&mut to_server, &mut dice) {
                    to_director.extend(server.take(&packet, &mut dice));
                }
            }
            5 | 6 => {
                if let Some(packet) = next(&mut to_director, &mut dice) {
                    let packet = director.server(packet);
                    assert_eq!(packet.checksum(), 0);
                    let (sequence, next) = (packet.sequence(), packet.acknowledgment());
                    if packet.has(SYN) {
                        client.answers.push((next, sequence.wrapping_add(1)));
                    } else {
                        client.seen.push(sequence);
                    }
                    ended |= director.telling.phase == Phase::Told;
                }
            }
            _ => to_director.extend(server.act(&mut dice)),
        }
        overtakes ^= dice.percent(5);
    }
    (server.sockets, ended)
}

#[test]
fn a_receiver_believes_the_client_and_nobody_else() {
    let (mut sockets, mut ends) = (0, 0);
    for seed in 1..=RUNS {
        let result = std::panic::catch_unwind(|| run(seed));
        let (made, ended) = result.unwrap_or_else(|_| panic!("seed {seed}"));
        sockets += made;
        ends += u32::from(ended);
    }
    // The model does get somewhere.
    assert!(
        sockets > RUNS as u32 / 4 && ends > RUNS as u32 / 50,
        "{sockets} {ends}"
    );
}
