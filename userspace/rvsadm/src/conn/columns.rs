// SPDX-License-Identifier: GPL-2.0

//! Columns of the list of connections: what is printed, and by what it is sorted.

use std::net::SocketAddr;

use rvs_netlink::Connection;

use crate::output::{cell, seconds};
use crate::views::ConnectionView;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Protocol,
    Client,
    Service,
    Dest,
    Mode,
    State,
    Expires,
    Idle,
    Local,
    Age,
    InPackets,
    OutPackets,
    InBytes,
    OutBytes,
}

/// All, with their names.
const ALL: [(&str, Column); 14] = [
    ("protocol", Column::Protocol),
    ("client", Column::Client),
    ("service", Column::Service),
    ("dest", Column::Dest),
    ("mode", Column::Mode),
    ("state", Column::State),
    ("expires", Column::Expires),
    ("idle", Column::Idle),
    ("local", Column::Local),
    ("age", Column::Age),
    ("in-packets", Column::InPackets),
    ("out-packets", Column::OutPackets),
    ("in-bytes", Column::InBytes),
    ("out-bytes", Column::OutBytes),
];

/// Those that are printed unless others are asked for.
pub const USUAL: [Column; 7] = [
    Column::Protocol,
    Column::Client,
    Column::Service,
    Column::Dest,
    Column::Mode,
    Column::State,
    Column::Expires,
];

/// What a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Unknown: first.
    None,
    /// A number.
    Number(u64),
    /// An address and port.
    End(SocketAddr),
    /// A name.
    Name(&'static str),
}

/// Reads the name of a column.
pub fn column(text: &str) -> Result<Column, String> {
    let known = ALL.iter().find(|(name, _)| *name == text);
    known.map(|(_, column)| *column).ok_or_else(|| {
        let names = ALL.map(|(name, _)| name);
        format!("the columns are {}", names.join(", "))
    })
}

impl Column {
    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Protocol => "PROTO",
            Self::Client => "CLIENT",
            Self::Service => "SERVICE",
            Self::Dest => "DEST",
            Self::Mode => "MODE",
            Self::State => "STATE",
            Self::Expires => "EXPIRES",
            Self::Idle => "IDLE",
            Self::Local => "LOCAL",
            Self::Age => "AGE",
            Self::InPackets => "INPKTS",
            Self::OutPackets => "OUTPKTS",
            Self::InBytes => "INBYTES",
            Self::OutBytes => "OUTBYTES",
        }
    }

    /// A cell or heading padded to the width of the longest IPv4 endpoint; a longer one moves the rest
    /// of its row.
    pub fn pad(self, text: &str) -> String {
        match self {
            Self::Protocol => format!("{text:<5}"),
            Self::Client | Self::Service | Self::Dest | Self::Local => format!("{text:<21}"),
            Self::Mode => format!("{text:<7}"),
            Self::State => format!("{text:<11}"),
            Self::Expires | Self::Idle | Self::Age | Self::InPackets | Self::OutPackets => {
                format!("{text:>9}")
            }
            Self::InBytes | Self::OutBytes => format!("{text:>13}"),
        }
    }

    /// Its cell.
    pub fn cell(self, connection: &Connection) -> String {
        let view = ConnectionView::from(connection);
        match self {
            Self::Protocol => view.protocol.to_owned(),
            Self::Client => view.client,
            Self::Service => connection.service.to_string(),
            Self::Dest => view.dest,
            Self::Mode => cell(view.mode),
            Self::State => view.state.to_owned(),
            Self::Expires => cell(view.expires_ms.map(seconds)),
            Self::Idle => cell(view.idle_ms.map(seconds)),
            Self::Local => cell(view.local),
            _ => cell(self.carried(connection)),
        }
    }

    /// What a connection is sorted by.
    pub fn key(self, of: &Connection) -> Key {
        let number = |number: Option<u64>| number.map_or(Key::None, Key::Number);
        match self {
            Self::Protocol => Key::Name(of.protocol.name()),
            Self::Client => Key::End(of.client),
            Self::Service => Key::End(of.service),
            Self::Dest => Key::End(of.dest),
            Self::Mode => of.mode.map_or(Key::None, |mode| Key::Name(mode.name())),
            Self::State => Key::Name(of.state_name()),
            Self::Expires => number(of.expires_ms.map(u64::from)),
            Self::Idle => number(of.silent_ms.map(u64::from)),
            Self::Local => of.local.map_or(Key::None, Key::End),
            _ => number(self.carried(of)),
        }
    }

    /// What its account says in one of the columns of accounts.
    fn carried(self, of: &Connection) -> Option<u64> {
        let account = of.account?;
        Some(match self {
            Self::InPackets => account.in_packets,
            Self::OutPackets => account.out_packets,
            Self::InBytes => account.in_bytes,
            Self::OutBytes => account.out_bytes,
            _ => account.age.into(),
        })
    }
}
