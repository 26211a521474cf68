// SPDX-License-Identifier: GPL-2.0

//! SCTP's states, as `ip_vs` follows them (`sctp_states` in `ip_vs_proto_sctp.c`).
//!
//! They are the dest's: a client's INIT opens an association, and its cookie comes back to who
//! made it. The first chunk of a packet counts, but for an ABORT behind a cookie.

use super::state::State;

/// How many states SCTP has.
pub const STATES: usize = 14;

/// Number of the first of SCTP's states among all.
const FIRST: u8 = State::SctpNone as u8;

/// Longest time that a sender waits before it sends again, and a second.
const RETRY: u32 = 61;

/// Default seconds of silence by state (`sctp_timeouts`).
pub const TIMEOUTS: [u32; STATES] = [
    2, 4, RETRY, RETRY, RETRY, RETRY, RETRY, RETRY, 900, RETRY, RETRY, RETRY, 4, RETRY,
];

/// What a packet does to an association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// DATA, SACK, HEARTBEAT, and what is not known.
    #[default]
    Data = 0,
    /// INIT.
    Init = 1,
    /// INIT ACK.
    InitAck = 2,
    /// COOKIE ECHO.
    CookieEcho = 3,
    /// COOKIE ACK.
    CookieAck = 4,
    /// SHUTDOWN.
    Shutdown = 5,
    /// SHUTDOWN ACK.
    ShutdownAck = 6,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete = 7,
    /// ERROR.
    Error = 8,
    /// ABORT.
    Abort = 9,
}

impl Event {
    /// That of a packet whose first chunk has this type (RFC 9260, section 3.2).
    #[inline]
    pub const fn of_chunk(kind: u8) -> Self {
        match kind {
            1 => Self::Init,
            2 => Self::InitAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            _ => Self::Data,
        }
    }
}

/// Which packets of an association the balancer sees; see [`super::tcp::Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Table {
    /// From the client, where replies are seen too.
    In = 0,
    /// From the dest to the client.
    Out = 1,
    /// From the client, where replies pass the balancer by.
    InOnly = 2,
}

/// Events of a table.
const EVENTS: usize = 10;

/// Next states: three tables of ten rows.
const NEXT: [[State; STATES]; 3 * EVENTS] = {
    use State::{
        SctpClosed as CL, SctpCookie as CO, SctpCookieEchoed as CE, SctpCookieReplied as CR,
        SctpCookieSent as CS, SctpCookieWait as CW, SctpEstablished as ES, SctpInit as IN,
        SctpInit1 as I1, SctpRejected as RJ, SctpShutdownAckSent as SA, SctpShutdownReceived as SR,
        SctpShutdownSent as SS,
    };
    #[rustfmt::skip]
    let rows = [
        // In          NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
        /* d   */ [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* i   */ [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN],
        /* i_a */ [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* c_e */ [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* c_a */ [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL],
        /* s   */ [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL],
        /* s_a */ [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL],
        /* s_c */ [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL],
        /* err */ [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL],
        /* ab  */ [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL],
        // Out
        /* d   */ [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* i   */ [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW],
        /* i_a */ [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* c_e */ [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL],
        /* c_a */ [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL],
        /* s   */ [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL],
        /* s_a */ [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL],
        /* s_c */ [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* err */ [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* ab  */ [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        // InOnly
        /* d   */ [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* i   */ [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN],
        /* i_a */ [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* c_e */ [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* c_a */ [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL],
        /* s   */ [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL],
        /* s_a */ [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL],
        /* s_c */ [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL],
        /* err */ [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL],
        /* ab  */ [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL],
    ];
    rows
};

/// The state that a packet seen the way `table` says puts an association in.
#[inline]
pub fn next(table: Table, event: Event, state: State) -> State {
    let row = usize::from(table as u8)
        .wrapping_mul(EVENTS)
        .wrapping_add(usize::from(event as u8));
    let column = usize::from(state.number().wrapping_sub(FIRST));
    let next = NEXT.get(row).and_then(|row| row.get(column));
    next.copied().unwrap_or(State::SctpClosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(table: Table, events: &[Event]) -> State {
        let start = State::SctpNone;
        events.iter().fold(start, |state, e| next(table, *e, state))
    }

    #[test]
    fn an_association_of_which_both_sides_are_seen() {
        use Event::*;
        let (mut state, mut seen) = (State::SctpNone, vec![]);
        for (table, event) in [
            (Table::In, Init),
            (Table::Out, InitAck),
            (Table::In, CookieEcho),
            (Table::Out, CookieAck),
            (Table::In, Data),
            (Table::In, Shutdown),
            (Table::Out, ShutdownAck),
            (Table::In, ShutdownComplete),
        ] {
            state = next(table, event, state);
            seen.push(state.name());
        }
        assert_eq!(
            seen,
            [
                "sctp-init1",
                "sctp-cookie-sent",
                "sctp-cookie-replied",
                "sctp-established",
                "sctp-established",
                "sctp-shutdown-received",
                "sctp-shutdown-ack-sent",
                "sctp-closed"
            ]
        );
    }

    #[test]
    fn an_association_of_which_the_client_is_seen() {
        use Event::*;
        let only = |events| walk(Table::InOnly, events);
        assert_eq!(only(&[Init, CookieEcho, Data]), State::SctpEstablished);
        assert_eq!(
            only(&[Init, CookieEcho, Shutdown]),
            State::SctpShutdownReceived
        );
        let all = [Init, CookieEcho, Shutdown, ShutdownComplete];
        assert_eq!(only(&all), State::SctpClosed);
        assert_eq!(only(&[Init, Init]), State::SctpInit);
        assert_eq!(only(&[Init, Abort]), State::SctpClosed);
    }

    #[test]
    fn all_states_lead_to_states_of_sctp() {
        for state in State::all() {
            for chunk in 0..=255 {
                for table in [Table::In, Table::Out, Table::InOnly] {
                    let next = next(table, Event::of_chunk(chunk), state);
                    assert!(next.number() >= FIRST);
                    assert_ne!(next, State::SctpNone);
                }
            }
        }
    }
}
