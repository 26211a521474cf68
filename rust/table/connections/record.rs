// SPDX-License-Identifier: GPL-2.0

//! A connection as it is recorded, and made again of its record.

use core::sync::atomic::Ordering;

use super::{
    conn::Conn,
    nat::{NatConn, Stage},
    node::Side,
};
use crate::{
    engine::{
        family::Tuple,
        helper::lengths::Lengths,
        proto::State,
        record::{Connection, Ends},
        spec::Protocol,
        sync::memo::Memo,
        tuple::{TupleV4, TupleV6},
    },
    kapi::time,
};

impl Conn {
    /// All of it that outlives the module.
    pub(in crate::table) fn record(&self) -> Option<Connection> {
        let ends = self.client_ends();
        let dest = self.dest();
        let account = self.account().map(|it| {
            let carried = [it.in_packets, it.out_packets, it.in_bytes, it.out_bytes];
            (it.age, carried)
        });
        Some(Connection {
            service: dest.service(),
            dest: dest.id(),
            mode: dest.spec().mode,
            protocol: Protocol::from_number(ends.protocol)?,
            state: self.state(),
            client: ends.client,
            virtual_address: ends.virtual_address,
            silent: time::to_millis(self.silent()),
            is_of_others: self.memo().is_of_others(self.seen()),
            ends: self.recorded_ends(),
            account,
            helped: self.helped(),
        })
    }

    /// What a helper has made of it, if one follows it.
    fn helped(&self) -> Option<([u64; 2], bool)> {
        if self.stage() != Some(Stage::Helped) {
            return None;
        }
        let lengths = [Side::Client, Side::Dest].map(|side| self.lengths(side).word());
        Some((lengths, self.has_asked()))
    }

    fn recorded_ends(&self) -> Option<Ends> {
        if let Some(nat) = self.nat::<TupleV4>() {
            return Some(nat.ends());
        }
        if let Some(nat) = self.nat::<TupleV6>() {
            return Some(nat.ends());
        }
        self.nat64().map(NatConn::ends)
    }

    /// Makes one that has just been made of a record what that says besides.
    pub(in crate::table) fn begin_again(&self, record: &Connection) {
        let seen = time::now().wrapping_sub(time::from_millis(record.silent));
        self.seen.store(seen, Ordering::Relaxed);
        if record.is_of_others {
            self.set_memo(Memo::learned(seen));
        }
        if let Some(account) = record.account {
            self.set_account(account);
        }
        if let Some((lengths, asked)) = record.helped {
            for (side, word) in [Side::Client, Side::Dest].into_iter().zip(lengths) {
                self.set_lengths(side, Lengths::of_word(word));
            }
            self.set_asked(asked);
        }
        let Some(ends) = &record.ends else { return };
        let mut telling = ends.telling;
        if record.state == State::Udp {
            let heard = time::now().wrapping_sub(time::from_millis(telling[1]));
            telling[1] = heard;
        }
        if let Some(nat) = self.nat::<TupleV4>() {
            nat.set_telling(telling);
        } else if let Some(nat) = self.nat::<TupleV6>() {
            nat.set_telling(telling);
        } else if let Some(nat) = self.nat64() {
            nat.set_telling(telling);
        }
    }
}

impl<C: Tuple, D: Tuple> NatConn<C, D> {
    fn ends(&self) -> Ends {
        let key = self.dest_tuple();
        let mut telling = self.telling();
        if self.conn.state() == State::Udp {
            telling[1] = time::to_millis(time::now().wrapping_sub(telling[1]));
        }
        Ends {
            dest: key.source(),
            local: key.destination(),
            shift: self.shift().words(),
            stage: self.recorded_stage(),
            toa_kind: self.toa_kind(),
            telling,
        }
    }
}
