// SPDX-License-Identifier: GPL-2.0

//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    complete, config, conn, dest, doctor, explain, exporter, generate, laddr, monitor, namespaces,
    restore, rs, save, schema, service, stats, sync, toa, top, trace, unload, upgrade, version,
    xdp,
};

const AFTER_HELP: &str = "\
Names:
  a service is PROTOCOL/ADDRESS:PORT, for instance tcp/203.0.113.10:443, port 0 being all ports;
               or fwmark/MARK: flows of packets that are marked (nft … meta mark set 7),
               fwmark6/MARK for IPv6
  a dest (real server) is ADDRESS:PORT, for instance 192.0.2.1:443; without a port it is the service's
  ports may have their names of /etc/services, times be like 90s, 5m, 1h30m, numbers like 10k

Examples:
  rvsadm service add tcp/203.0.113.10:443 --scheduler wrr
  rvsadm dest add tcp/203.0.113.10:443 192.0.2.1:443 --mode dr --weight 2
  rvsadm service list
  rvsadm save -o rvs.conf && rvsadm restore rvs.conf

Exit codes:
  0  done
  1  refused or failed; standard error says what, why and how to mend it
  2  the command line is wrong
  3  rvsadm doctor has findings

Everything applies to the current network namespace, or to that of -n NAME.
The module is loaded with: modprobe rvs";

/// Configures the Rust virtual server (rvs.ko): services, real servers, connections.
#[derive(Debug, Parser)]
#[command(name = "rvsadm", version, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    /// Print one JSON document instead of a table (errors too, on standard error)
    #[arg(short, long, global = true)]
    pub json: bool,

    /// In this network namespace, by its name in /run/netns, as with ip -n
    #[arg(short = 'n', long, global = true, value_name = "NAME", value_parser = namespaces::name)]
    #[arg(add = complete::namespaces())]
    pub in_netns: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Services: virtual addresses that are balanced
    #[command(subcommand)]
    Service(service::Command),
    /// Dests: the real servers of a service
    #[command(subcommand)]
    Dest(dest::Command),
    /// Local addresses: what mode fullnat puts in the client's place
    #[command(subcommand)]
    Laddr(laddr::Command),
    /// Connections
    #[command(subcommand)]
    Conn(conn::Command),
    /// Traffic and counters of the namespace
    #[command(subcommand)]
    Stats(stats::Command),
    /// Keep directors at the same connections: who fails over loses none
    #[command(subcommand)]
    Sync(sync::Command),
    /// Have devices give frames of established flows to RVS before the stack (XDP)
    #[command(subcommand)]
    Xdp(xdp::Command),
    /// Watch services and dests live: connections, traffic, drops
    #[command(after_help = top::AFTER_HELP)]
    Top(top::Arguments),
    /// Serve metrics to Prometheus
    #[command(after_help = exporter::AFTER_HELP)]
    Exporter(exporter::Arguments),
    /// Say what would become of a packet, and why
    #[command(after_help = explain::AFTER_HELP)]
    Explain(explain::Arguments),
    /// Print what becomes of packets as they come
    #[command(after_help = trace::AFTER_HELP)]
    Trace(trace::Arguments),
    /// Look at this host for what usually goes wrong, as director or real server
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor(doctor::Arguments),
    /// Settings of the namespace: timeouts and limits
    #[command(subcommand)]
    Config(config::Command),
    /// Print the configuration as lines that `rvsadm restore` and ipvsadm-restore read
    #[command(after_help = save::AFTER_HELP)]
    Save(save::Arguments),
    /// Make the running configuration that of a file, changing only what differs
    #[command(after_help = restore::AFTER_HELP)]
    Restore(restore::Arguments),
    /// Print changes of the configuration as they happen
    #[command(after_help = monitor::AFTER_HELP)]
    Monitor(monitor::Arguments),
    /// Prepare this host (or namespace) to be a real server
    #[command(subcommand)]
    Rs(rs::Command),
    /// The receiver on a real server (toa.ko): programs see the client, not the director
    #[command(subcommand)]
    Toa(toa::Command),
    /// Print the JSON Schema of the documents that -j prints
    #[command(after_help = schema::AFTER_HELP)]
    Schema(schema::Arguments),
    /// Remove the module with all services and connections of all namespaces
    #[command(after_help = unload::AFTER_HELP)]
    Unload,
    /// Change the module for another one: services and connections go on
    #[command(after_help = upgrade::AFTER_HELP)]
    Upgrade(upgrade::Arguments),
    /// Print the versions of this program and of the modules
    #[command(after_help = version::AFTER_HELP)]
    Version,
    /// Print what packages install beside the program: manual pages, completions
    #[command(subcommand, hide = true)]
    Generate(generate::Command),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
