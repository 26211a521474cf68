// SPDX-License-Identifier: GPL-2.0

//! `rvsadm dest`.

mod drain;
mod names;
mod show;
mod table;

use clap::{Args, Subcommand};
use rvs_engine::change::Change;
use rvs_engine::spec::{
    validate_tunnel, DestSpec, DestUpdate, Mode, ServiceId, SpecError, WEIGHT_MAX,
};
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::{Tunnel, TunnelKind, TunnelSum};
use rvs_netlink::{Lists, Request};

use self::drain::drained;
pub use self::drain::Drained;
use self::names::{Id, Named, Which};
pub use self::show::DestShown;
pub use self::table::{table, DestList};

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::laddr;
use crate::output::say;
use crate::snapshot::dests_of;
use crate::stats::Columns;
use crate::units;
use crate::values;
use crate::watch::Watch;

const ADD_HELP: &str = "\
Example:
  rvsadm dest add tcp/203.0.113.10:443 192.0.2.1:443 --mode dr --weight 2

Modes (prepare real servers with: rvsadm rs setup):
  dr       direct routing: the real server has the virtual address on lo and answers the client
           itself; it listens on the service's port
  nat      the real server answers through the director, on any port
  tun      as dr, in a tunnel: --tun-type ipip, gre, or gue with --tun-port
  fullnat  the real server answers the director, on any port; see: rvsadm laddr
  local    the director itself serves";

const SET_HELP: &str = "\
Examples:
  rvsadm dest set tcp/203.0.113.10:443 192.0.2.1:443 --weight 2
  rvsadm dest set --all --dest 192.0.2.1 --weight 0    (this server, in all services at once)";

const LIST_HELP: &str = "\
JSON: {\"dests\":[{\"service\",\"id\",\"address\",\"port\",\"mode\",\"weight\",\"upper\",
\"lower\",\"drain\",\"drain_ended\",\"tunnel\":{\"type\",\"port\",\"checksum\"},\"no_port\",\"no_reply\",\"active\",\"inactive\",
\"templates\",\"stats\":{\"connections\",\"in_packets\",\"out_packets\",\"in_bytes\",\"out_bytes\"},\"rates\":{the same,
a second}}]}; what the module does not tell is null";

const DRAIN_HELP: &str = "\
Examples:
  rvsadm dest drain tcp/203.0.113.10:443 192.0.2.1:443 --deadline 60 --wait
  rvsadm dest set tcp/203.0.113.10:443 192.0.2.1:443 --weight 2

The dest gets weight 0. The second example ends a draining. The event dest-drained tells of its end
(rvsadm monitor).

JSON, with --wait: {\"drained\":{…}}, the dest as in the list; drain_ended is how many connections
the deadline ended";

/// What to do with dests.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a dest to a service
    #[command(after_help = ADD_HELP)]
    Add {
        /// The dest
        #[command(flatten)]
        id: Named,
        /// How packets travel to it
        #[arg(long, short, default_value = "dr", value_parser = values::mode)]
        mode: Mode,
        /// Its share of new connections, 0 to 2147483647; 0 takes no new ones
        #[arg(long, short, default_value_t = 1)]
        weight: u32,
        /// Connections from which on it takes no more; 0 is no threshold
        #[arg(long, short = 'x', value_name = "N", value_parser = units::count32, default_value_t = 0)]
        upper: u32,
        /// Connections below which it takes more again; 0 is three quarters of the upper
        #[arg(long, short = 'y', value_name = "N", value_parser = units::count32, default_value_t = 0)]
        lower: u32,
        /// What packets travel in, with mode tun
        #[command(flatten)]
        tunnel: TunnelOptions,
    },
    /// Change a dest; its connections go on
    #[command(after_help = SET_HELP, group = clap::ArgGroup::new("setting").required(true).multiple(true).arg("kind"))]
    Set {
        /// The dest
        #[command(flatten)]
        id: Which,
        /// How packets travel to it
        #[arg(long, short, group = "setting", value_parser = values::mode)]
        mode: Option<Mode>,
        /// Its share of new connections, 0 to 2147483647; 0 takes no new ones
        #[arg(long, short, group = "setting")]
        weight: Option<u32>,
        /// Connections from which on it takes no more; 0 is no threshold
        #[arg(long, short = 'x', value_name = "N", value_parser = units::count32, group = "setting")]
        upper: Option<u32>,
        /// Connections below which it takes more again; 0 is three quarters of the upper
        #[arg(long, short = 'y', value_name = "N", value_parser = units::count32, group = "setting")]
        lower: Option<u32>,
        /// What packets travel in, with mode tun
        #[command(flatten)]
        tunnel: TunnelOptions,
    },
    /// Take a dest out of use: no new connections, and those it has end by themselves or at a deadline
    #[command(after_help = DRAIN_HELP)]
    Drain {
        /// The dest
        #[command(flatten)]
        id: Which,
        /// Seconds after which connections that are still there are ended
        #[arg(long, short, value_name = "SECONDS", default_value_t = 300, value_parser = units::seconds)]
        deadline: u32,
        /// Wait until the last has ended, and tell how many are left
        #[arg(long, conflicts_with = "all")]
        wait: bool,
    },
    /// Remove a dest; its TCP connections go on unless expire-nodest is on
    #[command(visible_alias = "delete")]
    Del {
        /// The dest
        #[command(flatten)]
        id: Which,
    },
    /// List the dests of a service, or of all
    #[command(visible_alias = "ls", after_help = LIST_HELP)]
    List {
        /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
        #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
        service: Option<ServiceId>,
        /// Traffic
        #[command(flatten)]
        columns: Columns,
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
    /// Show one dest with its traffic
    #[command(after_help = "JSON: {\"dest\":{…}}, as in the list")]
    Show {
        /// The dest
        #[command(flatten)]
        id: Named,
    },
}

/// The options of a tunnel, by ipvsadm's names.
#[derive(Args, Clone, Copy, Debug)]
pub struct TunnelOptions {
    /// Kind of the tunnel: ipip, gue or gre
    #[arg(id = "kind", long = "tun-type", value_name = "KIND", value_parser = values::tunnel_kind)]
    kind: Option<TunnelKind>,
    /// gue: UDP port that the real server takes it on
    #[arg(
        long = "tun-port",
        value_name = "PORT",
        requires = "kind",
        default_value_t = 0,
        hide_default_value = true
    )]
    tun_port: u16,
    /// gue, gre: leave the tunnel's header without a checksum, as it is unless told otherwise
    #[arg(long = "tun-nocsum", requires = "kind", conflicts_with_all = ["tun_csum", "tun_remcsum"])]
    tun_nocsum: bool,
    /// gue, gre: with a checksum
    #[arg(long = "tun-csum", requires = "kind", conflicts_with = "tun_remcsum")]
    tun_csum: bool,
    /// gue: with a checksum in the place of that of the packet in it
    #[arg(long = "tun-remcsum", requires = "kind")]
    tun_remcsum: bool,
}

impl TunnelOptions {
    /// The tunnel that is asked for.
    pub fn tunnel(&self) -> Option<Tunnel> {
        let sum = match (self.tun_csum, self.tun_remcsum) {
            (true, _) => TunnelSum::Whole,
            (_, true) => TunnelSum::Remote,
            _ => TunnelSum::None,
        };
        let port = self.tun_port;
        self.kind.map(|kind| Tunnel { kind, sum, port })
    }
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Add {
            id,
            mode,
            weight,
            upper,
            lower,
            tunnel,
        } => {
            let spec = DestSpec {
                mode,
                weight,
                thresholds: Thresholds { upper, lower },
                tunnel: tunnel.tunnel().unwrap_or(Tunnel::IPIP),
            };
            let id = id.id();
            let what = format!("add dest {} to {}", id.dest, id.service);
            check(&what, spec, &id)?;
            let change = Change::DestAdd {
                service: id.service,
                id: id.dest,
                spec,
            };
            context.change(&what, &Request::Change(change))?;
            warn_of(mode, &id, context);
            Ok(())
        }
        Command::Set {
            id: which,
            mode,
            weight,
            upper,
            lower,
            tunnel,
        } => {
            let update = DestUpdate {
                mode,
                weight,
                upper,
                lower,
                drain: None,
                tunnel: tunnel.tunnel(),
            };
            let ids = set(&which, "change", &update, context)?;
            for id in ids {
                warn_of(mode.unwrap_or(Mode::Dr), &id, context);
            }
            Ok(())
        }
        Command::Drain { id, deadline, wait } => {
            let update = DestUpdate {
                drain: Some(deadline),
                ..DestUpdate::default()
            };
            let id = match id.one() {
                Some(id) if wait => id,
                _ => return set(&id, "drain", &update, context).map(drop),
            };
            let what = format!("drain dest {} of {}", id.dest, id.service);
            check_given(&what, &update, &id)?;
            let made = context.kernel.execute(&Request::Change(id.set(update)));
            made.map_err(|error| Failure::kernel(what.as_str(), error))?;
            drained(&what, (id.service, id.dest), context)
        }
        Command::Del { id } => id.change("remove", context, |id| Ok(id.del())).map(drop),
        Command::List {
            service,
            columns,
            watch,
        } => {
            let what = service.map_or("list dests".to_owned(), |s| format!("list dests of {s}"));
            let request = Request::DestList(service);
            watch.repeat(context, |context| print(&what, &request, columns, context))
        }
        Command::Show { id } => {
            let id = id.id();
            let what = format!("show dest {} of {}", id.dest, id.service);
            let request = Request::DestGet(id.service, id.dest);
            show::show(&what, &request, context)
        }
    }
}

/// Changes one dest, or those of a server in all services.
fn set(
    which: &Which,
    verb: &str,
    update: &DestUpdate,
    context: &mut Context<'_>,
) -> Result<Vec<Id>, Failure> {
    which.change(verb, context, |id| {
        let what = format!("{verb} dest {} of {}", id.dest, id.service);
        check_given(&what, update, id)?;
        Ok(id.set(*update))
    })
}

/// Says at once when a dest of that mode will refuse all connections.
fn warn_of(mode: Mode, id: &Id, context: &mut Context<'_>) {
    let address = id.dest.address;
    if mode.toward(address) == Mode::FullNat {
        let missing = laddr::missing(context.kernel, &id.service, address.is_ipv6());
        if let Some(missing) = missing {
            say(format_args!("rvsadm: warning: {missing}"));
        }
    }
}

/// Refuses what the kernel would refuse, before it is asked.
fn check(what: &str, spec: DestSpec, id: &Id) -> Result<(), Failure> {
    spec.validate(&id.dest, &id.service)
        .map_err(|error| Failure::spec(what, error))
}

/// Checks what is given; the rest stays as the kernel has it, and that breaks no rule.
fn check_given(what: &str, update: &DestUpdate, id: &Id) -> Result<(), Failure> {
    update
        .validate()
        .map_err(|error| Failure::spec(what, error))?;
    if let (Some(upper), Some(lower)) = (update.upper, update.lower) {
        if lower > upper {
            return Err(Failure::spec(what, SpecError::Thresholds { upper, lower }));
        }
    }
    if let Some(tunnel) = update.tunnel {
        let checked = match update.mode {
            Some(mode) if mode != Mode::Tun => Err(SpecError::TunnelMode(mode)),
            _ => validate_tunnel(tunnel),
        };
        checked.map_err(|error| Failure::spec(what, error))?;
    }
    match (update.mode, update.weight) {
        (Some(mode), weight) => check(what, DestSpec::new(mode, weight.unwrap_or(1)), id),
        (None, Some(weight)) if weight > WEIGHT_MAX => {
            Err(Failure::spec(what, SpecError::Weight(weight)))
        }
        (None, _) => Ok(()),
    }
}

fn print(
    what: &str,
    request: &Request,
    columns: Columns,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let failed = |error| Failure::kernel(what, error);
    let replies = context.kernel.collect(request).map_err(failed)?;
    let document = DestList::new(&dests_of(replies).map_err(failed)?);
    context.print(&document, |document| table(&document.dests, columns, true))
}

#[cfg(test)]
mod tests;
