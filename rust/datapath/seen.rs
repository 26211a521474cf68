// SPDX-License-Identifier: GPL-2.0

//! Which connection a packet is of that was sent on: for rules of iptables that ask.

use super::{gate::Balanced, read::parse_copy};
use crate::{
    engine::{
        family::{Tuple, V4, V6},
        spec::Mode,
    },
    kapi::{
        netns::Net,
        rcu::Rcu,
        seen::{See, Seen},
        skb::Skb,
    },
    table::{Conn, Netns, Side},
};

/// The port of FTP's commands, whose clients `ip_vs` keeps with a dest for all ports.
const FTP: u16 = 21;

/// Finds connections.
pub(crate) struct Finder;

impl See for Finder {
    fn see(net: &Net, skb: &Skb<'_>, version: u8, rcu: Rcu<'_>) -> Option<Seen> {
        let netns = Netns::of(net)?;
        let conn = match version {
            4 => find::<V4>(netns, skb, rcu),
            _ => find::<V6>(netns, skb, rcu),
        };
        conn.map(seen)
    }
}

/// The connection of a packet on its way to a dest: as that sees it.
fn find<'a, F: Balanced>(netns: &Netns, skb: &Skb<'_>, rcu: Rcu<'a>) -> Option<&'a Conn> {
    let tuple = parse_copy::<F>(skb).ok()?.tuple;
    let look_up = |tuple: &F::Tuple| {
        let hash = netns.connections.hash(tuple);
        netns.connections.lookup(tuple, hash, rcu)
    };
    if let Some((conn, Side::Dest)) = look_up(&tuple.reversed()) {
        return Some(conn);
    }
    match look_up(&tuple) {
        Some((conn, Side::Client)) if !conn.has_two_keys() => Some(conn),
        _ => None,
    }
}

fn seen(conn: &Conn) -> Seen {
    let (ends, dest) = (conn.client_ends(), conn.dest());
    let kept_port = match dest.service().port() {
        0 | FTP => 0,
        port => port,
    };
    Seen {
        protocol: ends.protocol,
        virtual_address: ends.virtual_address,
        kept_port: dest.keeps().map(|_| kept_port),
        method: match dest.mode() {
            Mode::Nat | Mode::FullNat => 0,
            Mode::Local => 1,
            Mode::Tun => 2,
            Mode::Dr => 3,
        },
    }
}
