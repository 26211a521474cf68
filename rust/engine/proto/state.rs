// SPDX-License-Identifier: GPL-2.0

//! States of connections.

/// State of a connection.
///
/// The TCP states have `ip_vs`'s meaning and order (`IP_VS_TCP_S_*` in `include/net/ip_vs.h`); the
/// numbers are those of the netlink enum `conn-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// New, no packet counted yet.
    None = 0,
    /// Both sides have answered.
    Established = 1,
    /// The dest's side sent a SYN.
    SynSent = 2,
    /// The client's SYN was seen.
    SynRecv = 3,
    /// The dest's side is closing; with [`InOnly`](super::tcp::Table::InOnly) the client's.
    FinWait = 4,
    /// Both sides closed.
    TimeWait = 5,
    /// Reset or gone.
    Close = 6,
    /// The client closed.
    CloseWait = 7,
    /// The dest's side closed last.
    LastAck = 8,
    /// Waits for a connection, such as one an application helper announced.
    Listen = 9,
    /// Cookies were asked for; only in `ip_vs`'s secure_tcp tables, which RVS does not have.
    SynAck = 10,
    /// UDP has but this one.
    Udp = 11,
    /// SCTP: new, no packet counted yet.
    SctpNone = 12,
    /// SCTP: the client's first INIT was seen.
    SctpInit1 = 13,
    /// SCTP: the client's INIT was seen again.
    SctpInit = 14,
    /// SCTP: the dest sent a cookie.
    SctpCookieSent = 15,
    /// SCTP: the client sent the cookie back.
    SctpCookieReplied = 16,
    /// SCTP: the dest's INIT was seen.
    SctpCookieWait = 17,
    /// SCTP: the client sent a cookie.
    SctpCookie = 18,
    /// SCTP: the dest sent the cookie back.
    SctpCookieEchoed = 19,
    /// SCTP: both sides have their cookies.
    SctpEstablished = 20,
    /// SCTP: the dest is closing.
    SctpShutdownSent = 21,
    /// SCTP: the client is closing.
    SctpShutdownReceived = 22,
    /// SCTP: the dest agreed to close.
    SctpShutdownAckSent = 23,
    /// SCTP: the dest refused.
    SctpRejected = 24,
    /// SCTP: closed or gone.
    SctpClosed = 25,
}

/// How many states there are.
pub const STATES: usize = 26;

/// States by number; filled up to a power of two so that no lookup can be out of bounds.
const BY_NUMBER: [State; 32] = [
    State::None,
    State::Established,
    State::SynSent,
    State::SynRecv,
    State::FinWait,
    State::TimeWait,
    State::Close,
    State::CloseWait,
    State::LastAck,
    State::Listen,
    State::SynAck,
    State::Udp,
    State::SctpNone,
    State::SctpInit1,
    State::SctpInit,
    State::SctpCookieSent,
    State::SctpCookieReplied,
    State::SctpCookieWait,
    State::SctpCookie,
    State::SctpCookieEchoed,
    State::SctpEstablished,
    State::SctpShutdownSent,
    State::SctpShutdownReceived,
    State::SctpShutdownAckSent,
    State::SctpRejected,
    State::SctpClosed,
    State::Close,
    State::Close,
    State::Close,
    State::Close,
    State::Close,
    State::Close,
];

impl State {
    /// All states by number.
    #[inline]
    pub fn all() -> impl Iterator<Item = Self> {
        BY_NUMBER.into_iter().take(STATES)
    }

    /// The state with this number; a number that is none is taken for [`State::Close`].
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        BY_NUMBER[(number & 31) as usize]
    }

    /// Its number.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a dest counts the connection as active (`tcp_state_active_table` in
    /// `ip_vs_proto_tcp.c`); UDP never is, SCTP when it is established.
    ///
    /// A connection starts inactive (`IP_VS_CONN_F_INACTIVE` comes with its dest's flags), before
    /// its first packet moves it.
    #[inline(always)]
    pub const fn is_active(self) -> bool {
        const ACTIVE: u32 = (1 << State::Established as u32)
            | (1 << State::SynSent as u32)
            | (1 << State::SynRecv as u32)
            | (1 << State::SynAck as u32)
            | (1 << State::SctpEstablished as u32);
        (ACTIVE >> (self as u32)) & 1 != 0
    }

    /// Whether both sides have shown that they mean it, so that what was kept for the client's next
    /// flows is to be relied on (`ip_vs_control_assure_ct` is called for these).
    #[inline(always)]
    pub const fn assures(self) -> bool {
        matches!(self, Self::Established | Self::SctpEstablished)
    }

    /// Whether both sides of a TCP connection have said that it is over.
    #[inline(always)]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::TimeWait | Self::Close)
    }

    /// What going from this state to `next` adds to the dest's count of active connections: -1, 0
    /// or 1. Inactive ones are those that are not active (`ip_vs_dest_inactconns`).
    #[inline(always)]
    pub const fn active_change(self, next: Self) -> i32 {
        next.is_active() as i32 - self.is_active() as i32
    }

    /// Name in netlink and in `rvsadm`'s output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Established => "established",
            Self::SynSent => "syn-sent",
            Self::SynRecv => "syn-recv",
            Self::FinWait => "fin-wait",
            Self::TimeWait => "time-wait",
            Self::Close => "close",
            Self::CloseWait => "close-wait",
            Self::LastAck => "last-ack",
            Self::Listen => "listen",
            Self::SynAck => "synack",
            Self::Udp => "udp",
            Self::SctpNone => "sctp-none",
            Self::SctpInit1 => "sctp-init1",
            Self::SctpInit => "sctp-init",
            Self::SctpCookieSent => "sctp-cookie-sent",
            Self::SctpCookieReplied => "sctp-cookie-replied",
            Self::SctpCookieWait => "sctp-cookie-wait",
            Self::SctpCookie => "sctp-cookie",
            Self::SctpCookieEchoed => "sctp-cookie-echoed",
            Self::SctpEstablished => "sctp-established",
            Self::SctpShutdownSent => "sctp-shutdown-sent",
            Self::SctpShutdownReceived => "sctp-shutdown-received",
            Self::SctpShutdownAckSent => "sctp-shutdown-ack-sent",
            Self::SctpRejected => "sctp-rejected",
            Self::SctpClosed => "sctp-closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_states_are_the_same_thing() {
        for (number, state) in State::all().enumerate() {
            assert_eq!(usize::from(state.number()), number);
            assert_eq!(State::from_number(number as u8), state);
        }
        assert_eq!(State::all().count(), STATES);
        for number in STATES as u8..=31 {
            assert_eq!(State::from_number(number), State::Close);
        }
    }

    #[test]
    fn five_states_are_active() {
        let active: Vec<_> = State::all().filter(|s| s.is_active()).collect();
        assert_eq!(
            active,
            [
                State::Established,
                State::SynSent,
                State::SynRecv,
                State::SynAck,
                State::SctpEstablished
            ]
        );
        assert_eq!(State::None.active_change(State::SynRecv), 1);
        assert_eq!(State::SynRecv.active_change(State::Established), 0);
        assert_eq!(State::Established.active_change(State::FinWait), -1);
        assert_eq!(State::FinWait.active_change(State::TimeWait), 0);
        assert_eq!(State::None.active_change(State::Udp), 0);
    }

    #[test]
    fn established_connections_assure() {
        let assuring: Vec<_> = State::all().filter(|s| s.assures()).collect();
        assert_eq!(assuring, [State::Established, State::SctpEstablished]);
    }
}
