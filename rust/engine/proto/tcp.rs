// SPDX-License-Identifier: GPL-2.0

//! TCP's states, as `ip_vs` follows them (`tcp_states` in `ip_vs_proto_tcp.c`).
//!
//! The balancer sees packets, not what becomes of them; the tables say what to think of each.
//! `ip_vs` has a second set of tables for its `secure_tcp` defence; RVS has not. A SYN that finds its
//! connection in TIME_WAIT or CLOSE begins another one: that is not here, but in `datapath/reuse.rs`.

use super::super::wire::TcpFlags;
use super::state::State;

/// How many states TCP has.
pub const STATES: usize = 11;

/// Default seconds of silence by state (`tcp_timeouts`).
pub const TIMEOUTS: [u32; STATES] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];

/// Which packets of a connection the balancer sees; the value is where the table starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// From the client, where replies are seen too (NAT, FullNAT).
    In = 0,
    /// From the dest to the client.
    Out = 80,
    /// From the client, where replies pass the balancer by (DR, TUN).
    InOnly = 160,
}

/// Where a packet's row starts in a table, by its lowest five control bits. RST counts before
/// SYN, SYN before FIN, FIN before ACK (`tcp_state_idx`).
const ROWS: [u8; 32] = {
    let mut rows = [64; 32];
    let mut flags = 0;
    while flags < 32 {
        rows[flags as usize] = if flags & TcpFlags::RST.0 != 0 {
            48
        } else if flags & TcpFlags::SYN.0 != 0 {
            0
        } else if flags & TcpFlags::FIN.0 != 0 {
            16
        } else if flags & TcpFlags::ACK.0 != 0 {
            32
        } else {
            64
        };
        flags += 1;
    }
    rows
};

/// Next states: three tables of five rows of sixteen; see [`Table`] and [`ROWS`].
const NEXT: [State; 256] = {
    use State::{
        Close as CL, CloseWait as CW, Established as ES, FinWait as FW, LastAck as LA,
        Listen as LI, SynRecv as SR, SynSent as SS, TimeWait as TW,
    };
    const NOT_USED: [State; STATES] = [State::Close; STATES];
    #[rustfmt::skip]
    let rows: [[State; STATES]; 16] = [
        // In        NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        /* syn  */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
        /* fin  */ [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW],
        /* ack  */ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        /* rst  */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR],
        /* none */ [CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        // Out
        /* syn  */ [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR],
        /* fin  */ [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW],
        /* ack  */ [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES],
        /* rst  */ [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL],
        /* none */ [CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        // InOnly
        /* syn  */ [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR],
        /* fin  */ [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW],
        /* ack  */ [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES],
        /* rst  */ [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL],
        /* none */ [CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        NOT_USED,
    ];
    let mut next = [State::Close; 256];
    let mut row = 0;
    while row < 16 {
        let mut state = 0;
        while state < STATES {
            next[row * 16 + state] = rows[row][state];
            state += 1;
        }
        row += 1;
    }
    next
};

/// The state that a packet with `flags`, seen the way `table` says, puts a connection in.
///
/// A packet with none of RST, SYN, FIN and ACK closes, as in `ip_vs`.
#[inline(always)]
pub const fn next(table: Table, flags: TcpFlags, state: State) -> State {
    let row = ROWS[(flags.0 & 31) as usize];
    // At most 160 + 64 + 15: all of it fits u8, so no check is needed.
    let index = (table as u8)
        .wrapping_add(row)
        .wrapping_add(state as u8 & 15);
    NEXT[index as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE_NAMES: &str = "NO ES SS SR FW TW CL CW LA LI SA";

    /// The tables as the behaviour contract prints them, each line a row of `tcp_states`.
    const RULES: &str = "
        in  syn SR ES ES SR SR SR SR SR SR SR SR
        in  fin CL CW SS TW TW TW CL CW LA LI TW
        in  ack ES ES SS ES FW TW CL CW CL LI ES
        in  rst CL CL CL SR CL CL CL CL LA LI SR
        out syn SS ES SS SR SS SS SS SS SS LI SR
        out fin TW FW SS TW FW TW CL TW LA LI TW
        out ack ES ES SS ES FW TW CL CW LA ES ES
        out rst CL CL SS CL CL TW CL CL CL CL CL
        one syn SR ES ES SR SR SR SR SR SR SR SR
        one fin CL FW SS TW FW TW CL CW LA LI TW
        one ack ES ES SS ES FW TW CL CW CL LI ES
        one rst CL CL CL SR CL CL CL CL LA LI CL";

    fn state(name: &str) -> State {
        let number = STATE_NAMES
            .split(' ')
            .position(|n| n == name)
            .unwrap_or_else(|| panic!("state {name}"));
        State::from_number(number as u8)
    }

    #[test]
    fn every_transition_is_ip_vss() {
        let mut checked = 0;
        for line in RULES.lines().filter(|l| !l.trim().is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let table = match words[0] {
                "in" => Table::In,
                "out" => Table::Out,
                _ => Table::InOnly,
            };
            // Whatever comes with it, the strongest flag decides.
            let (flag, weaker) = match words[1] {
                "rst" => (TcpFlags::RST, 0xff),
                "syn" => (TcpFlags::SYN, 0xff ^ TcpFlags::RST.0),
                "fin" => (TcpFlags::FIN, 0xff ^ TcpFlags::RST.0 ^ TcpFlags::SYN.0),
                _ => (TcpFlags::ACK, 0xff ^ 7),
            };
            for (from, to) in State::all().zip(&words[2..]) {
                for flags in (0..=255).filter(|f| f & !weaker == 0 && f & flag.0 != 0) {
                    assert_eq!(
                        next(table, TcpFlags(flags), from),
                        state(to),
                        "{line}: {from:?} {flags:#x}"
                    );
                    checked += 1;
                }
            }
        }
        // 240 of the 256 sets of control bits hold one of the four.
        assert_eq!(checked, 3 * 11 * 240);
    }

    #[test]
    fn a_packet_without_flags_closes() {
        for table in [Table::In, Table::Out, Table::InOnly] {
            for from in State::all() {
                for flags in [0, 0x08, 0x20, 0x28, 0xe8] {
                    assert_eq!(next(table, TcpFlags(flags), from), State::Close);
                }
            }
        }
    }

    #[test]
    fn a_web_request_through_direct_routing() {
        let seen = |flags| move |state| next(Table::InOnly, flags, state);
        let mut state = State::None;
        let ack = TcpFlags::ACK;
        for (step, expected) in [
            (TcpFlags::SYN, State::SynRecv),
            (ack, State::Established),
            (ack.with(TcpFlags::PSH), State::Established),
            (ack.with(TcpFlags::FIN), State::FinWait),
            (ack, State::FinWait),
        ] {
            state = seen(step)(state);
            assert_eq!(state, expected);
        }
    }
}
