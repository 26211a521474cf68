// SPDX-License-Identifier: GPL-2.0

//! Which connections a command is about; the kernel picks them out.

use clap::Args;
use rvs_engine::prefix::Prefix;
use rvs_engine::proto::State;
use rvs_engine::selection::Selection;
use rvs_engine::spec::{Mode, Protocol, ServiceId};

use crate::complete;
use crate::units;
use crate::values;

/// A network and perhaps a port: one end of connections.
type End = (Prefix, Option<u16>);

/// Which connections.
#[derive(Args, Clone, Debug)]
pub struct Filter {
    /// Of this service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
    pub service: Option<ServiceId>,
    /// Of these clients: an address, a network like 198.51.100.0/24, or ADDRESS:PORT
    #[arg(long, value_name = "CLIENT", value_parser = values::end)]
    client: Option<End>,
    /// To these real servers: an address, a network, or ADDRESS:PORT
    #[arg(long, value_name = "DEST", value_parser = values::end)]
    dest: Option<End>,
    /// In this state, for instance established, syn-recv, fin-wait, udp
    #[arg(long, value_parser = values::state)]
    state: Option<State>,
    /// Of dests of this mode
    #[arg(long, value_parser = values::mode)]
    mode: Option<Mode>,
    /// Of this protocol: tcp, udp or sctp
    #[arg(long, value_parser = values::protocol)]
    protocol: Option<Protocol>,
    /// Silent for so many seconds, at least
    #[arg(long, value_name = "SECONDS", value_parser = idle)]
    idle: Option<u32>,
    /// Begun so many seconds ago, at least; of services with account only
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    age: Option<u32>,
}

/// Reads seconds that have a number of milliseconds.
fn idle(text: &str) -> Result<u32, String> {
    let seconds = units::seconds(text)?;
    let most = u32::MAX / 1000;
    if seconds > most {
        return Err(format!("{seconds} s are not in 0..={most}"));
    }
    Ok(seconds)
}

impl Filter {
    /// What the kernel is asked for, beside the service.
    pub fn selection(&self) -> Selection {
        Selection {
            protocol: self.protocol,
            client: self.client.map(|(network, _)| network),
            client_port: self.client.and_then(|(_, port)| port),
            virtual_address: None,
            dest: self.dest.map(|(network, _)| network),
            dest_port: self.dest.and_then(|(_, port)| port),
            mode: self.mode,
            state: self.state,
            silent_ms: self.idle.map(|seconds| seconds * 1000),
            age: self.age,
        }
    }

    /// Whether it is all connections.
    pub fn is_all(&self) -> bool {
        self.service.is_none() && self.selection().is_all()
    }
}
