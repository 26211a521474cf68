// SPDX-License-Identifier: GPL-2.0

//! What the kernel answers and tells of its own accord.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, Parseable, ParseableParametrized};
use netlink_packet_generic::GenlHeader;
use rvs_engine::selection::Selection;

use crate::attr::{received, required, Attr};
use crate::generated::{laddr, main};
use crate::{
    selection, Config, Connection, Counters, Daemon, DestInfo, Explanation, Records, Restored,
    ServiceInfo, States, Stats, SyncCounters, Template,
};

/// One message of the kernel; which parts it has follows from its command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Command number.
    pub command: u8,
    /// Number of changes that the namespace's configuration has had.
    pub generation: Option<u32>,
    /// A service, or the service of the dest, local address or network of clients.
    pub service: Option<ServiceInfo>,
    /// A dest.
    pub dest: Option<DestInfo>,
    /// A local address; of the service, or without one of the namespace.
    pub laddr: Option<IpAddr>,
    /// A connection.
    pub conn: Option<Connection>,
    /// Which connections were ended.
    pub selection: Option<Selection>,
    /// How many connections were ended.
    pub ended: Option<u64>,
    /// What would become of a packet.
    pub explanation: Option<Explanation>,
    /// A network of clients that stay with a dest.
    pub template: Option<Template>,
    /// Traffic of the namespace.
    pub stats: Option<Stats>,
    /// Traffic of the namespace a second.
    pub rates: Option<Stats>,
    /// Counters of the namespace.
    pub counters: Option<Counters>,
    /// Connections of the namespace by state.
    pub states: Option<States>,
    /// Settings of the namespace.
    pub config: Option<Config>,
    /// A daemon that keeps directors at the same connections.
    pub sync: Option<Daemon>,
    /// What directors told each other.
    pub sync_counters: Option<SyncCounters>,
    /// What the module was loaded with.
    pub parameters: Option<String>,
    /// What outlives the module.
    pub records: Records,
    /// What became of records.
    pub restored: Option<Restored>,
}

impl Reply {
    /// Its connection, with the service that it was scheduled by.
    pub fn connection(self) -> Option<Connection> {
        let by = self.service.map(|service| service.id);
        self.conn.map(|conn| Connection { by, ..conn })
    }

    /// Its attributes, as the kernel sends them.
    pub fn attributes(&self) -> Vec<Attr> {
        let mut nests = Vec::new();
        nests.extend(self.generation.map(|n| Attr::u32(main::GENERATION, n)));
        let mut nest = |kind, attributes: Option<Vec<Attr>>| {
            nests.extend(attributes.map(|attributes| Attr::nest(kind, attributes)));
        };
        nest(main::SERVICE, self.service.as_ref().map(|s| s.attributes()));
        nest(main::DEST, self.dest.as_ref().map(|d| d.attributes()));
        nest(main::CONN, self.conn.as_ref().map(|c| c.attributes()));
        let selected = self.selection.as_ref();
        nest(main::SELECTION, selected.map(selection::attributes));
        let told = self.explanation.as_ref();
        nest(main::EXPLANATION, told.map(|told| told.attributes()));
        let template = self.template.as_ref();
        nest(main::TEMPLATE, template.map(|t| t.attributes()));
        nest(main::STATS, self.stats.as_ref().map(|s| s.attributes()));
        nest(main::RATES, self.rates.as_ref().map(|r| r.attributes()));
        let counters = self.counters.as_ref();
        nest(main::COUNTERS, counters.map(|c| c.attributes()));
        nest(main::STATES, self.states.as_ref().map(|s| s.attributes()));
        nest(main::CONFIG, self.config.as_ref().map(|c| c.attributes()));
        nest(main::SYNC, self.sync.as_ref().map(|d| d.attributes()));
        let counters = self.sync_counters.as_ref();
        nest(main::SYNC_COUNTERS, counters.map(|c| c.attributes()));
        nest(main::RESTORED, self.restored.map(|r| r.attributes()));
        let laddr = self
            .laddr
            .map(|address| Attr::local_address(main::LADDR, address));
        nests.extend(laddr);
        nests.extend(self.ended.map(|n| Attr::uint(main::ENDED, n)));
        nests.extend(self.records.attributes());
        let parameters = self.parameters.as_deref();
        nests.extend(parameters.map(|text| Attr::text(main::PARAMETERS, text)));
        nests
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Reply {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        let mut reply = Self {
            command: header.cmd,
            ..Self::default()
        };
        for attribute in received(bytes) {
            let attribute = attribute?;
            let content = attribute.bytes();
            match attribute.kind() {
                main::SERVICE => reply.service = Some(ServiceInfo::parse(content)?),
                main::DEST => reply.dest = Some(DestInfo::parse(content)?),
                main::CONN => reply.conn = Some(Connection::parse(content)?),
                main::TEMPLATE => reply.template = Some(Template::parse(content)?),
                main::SELECTION => reply.selection = Some(selection::parse(content)?),
                main::EXPLANATION => reply.explanation = Some(Explanation::parse(content)?),
                main::ENDED => reply.ended = Some(attribute.uint("ended")?),
                main::STATS => reply.stats = Some(Stats::parse(content)?),
                main::RATES => reply.rates = Some(Stats::parse(content)?),
                main::COUNTERS => reply.counters = Some(Counters::parse(content)?),
                main::STATES => reply.states = Some(States::parse(content)?),
                main::CONFIG => reply.config = Some(Config::parse(content)?),
                main::SYNC => reply.sync = Some(Daemon::parse(content)?),
                main::SYNC_COUNTERS => {
                    reply.sync_counters = Some(SyncCounters::parse(content)?);
                }
                main::PARAMETERS => reply.parameters = Some(attribute.text("parameters")?),
                main::RECORD => reply.records.push(content)?,
                main::RESTORED => reply.restored = Some(Restored::parse(content)?),
                main::LADDR => reply.laddr = Some(parse_local_address(content)?),
                main::GENERATION => reply.generation = Some(attribute.u32("generation")?),
                _ => {}
            }
        }
        Ok(reply)
    }
}

/// The address in the nest of a local address.
fn parse_local_address(bytes: &[u8]) -> Result<IpAddr, DecodeError> {
    let mut address = None;
    for attribute in received(bytes) {
        let attribute = attribute?;
        if attribute.kind() == laddr::ADDRESS {
            address = Some(attribute.address("local address")?);
        }
    }
    required(address, "local address")
}

#[cfg(test)]
mod tests;
