// SPDX-License-Identifier: GPL-2.0

//! `rvsadm service`.

use clap::{Args, Parser, Subcommand};
use rvs_engine::change::Change;
use rvs_engine::helper::Helper;
use rvs_engine::persistence::Engine;
use rvs_engine::proto::own::TimeoutUpdate;
use rvs_engine::proto::State;
use rvs_engine::sched::SchedulerName;
use rvs_engine::service::{Removed, SchedulerFlags, ServiceSpec, ServiceUpdate};
use rvs_engine::spec::{Mode, ServiceId};
use rvs_netlink::{DestInfo, Lists, Request, ServiceInfo, Transport};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::config::first_line;
use crate::context::Context;
use crate::dest::{self, DestList};
use crate::failure::Failure;
use crate::input_rules;
use crate::laddr;
use crate::output::{cell, Table};
use crate::snapshot::{dests_of, services_of};
use crate::stats::{warn_missing, Columns};
use crate::units;
use crate::values;
use crate::views::{ServiceView, ServiceWithDests};
use crate::watch::Watch;

const ADD_HELP: &str = "\
Example:
  rvsadm service add tcp/203.0.113.10:443 --scheduler rr
  rvsadm service add tcp/203.0.113.10:443 -s mh --sched-flags mh-fallback,mh-port
  rvsadm service add udp/203.0.113.10:53 -s rr --ops
  rvsadm service add tcp/203.0.113.10:0 -s wlc --persistence 300 --persistence-prefix 24
  rvsadm service add fwmark/7 -s rr --persistence 300

Schedulers:
  rr, wrr          the dests in turn; as often as their weights say
  lc, wlc          the fewest connections; relative to the weights
  sed, nq          the shortest expected delay; an idle dest first
  lblc, lblcr      by destination address, as long as that dest is not too busy
  dh, sh, mh       by hash of the destination, of the source; Maglev hashing of the source
  fo, ovf          the highest weight; the highest that is not overflowing
  twos             the less loaded of two that are drawn by weight";

const LIST_HELP: &str = "\
JSON: {\"generation\":N,\"services\":[{\"id\",\"protocol\",\"address\",\"port\",\"mark\",\"scheduler\",
\"flags\":[\"…\"],\"mh_size\",\"expiration\",\"one_packet\",\"toa\",\"account\",\"helper\",\"random_start\",\"slow_start\",\"persistence\",
\"persistence_prefix\",\"persistence_quiesced\",\"persistence_engine\",\"templates\",\"tcp_timeouts\":{…},\"udp_timeout\",
\"expire_nodest\",\"expire_quiesced\",\"dests\",\"active\",\"inactive\",
\"stats\":{\"connections\",\"in_packets\",\"out_packets\",\"in_bytes\",\"out_bytes\"},
\"rates\":{the same, a second}}]}; what the module does not tell is null";

const SHOW_HELP: &str = "\
JSON: {\"service\":{…},\"dests\":[{…}]}, each as in the lists, and \"warnings\":[\"…\"] where something keeps \
it from working";

/// What to do with services.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a service
    #[command(after_help = ADD_HELP)]
    Add {
        /// The service
        #[command(flatten)]
        id: Id,
        /// How dests are chosen for new connections
        #[arg(long, short, default_value = "wrr", value_parser = values::scheduler)]
        scheduler: SchedulerName,
        /// The rest
        #[command(flatten)]
        settings: Settings,
    },
    /// Change a service; its connections go on
    #[command(group = clap::ArgGroup::new("setting").required(true).multiple(true)
        .args(["scheduler", "flags", "mh_size", "expiration", "one_packet", "toa", "account", "random_start",
            "slow_start", "persistence", "prefix", "quiesced", "engine", "tcp_timeout", "udp_timeout",
            "removed", "quiesced_flows", "helper"]))]
    Set {
        /// The service
        #[command(flatten)]
        id: Id,
        /// How dests are chosen for new connections
        #[arg(long, short, value_parser = values::scheduler)]
        scheduler: Option<SchedulerName>,
        /// The rest
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a service with its dests
    #[command(visible_alias = "delete")]
    Del {
        /// The service
        #[command(flatten)]
        id: Id,
    },
    /// List all services
    #[command(visible_alias = "ls", after_help = LIST_HELP)]
    List {
        /// Traffic
        #[command(flatten)]
        columns: Columns,
        /// Again and again
        #[command(flatten)]
        watch: Watch,
    },
    /// Show one service with its dests and traffic
    #[command(after_help = SHOW_HELP)]
    Show {
        /// The service
        #[command(flatten)]
        id: Id,
    },
    /// Remove all services
    Flush,
}

/// Settings besides the scheduler.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Flags of the scheduler, as ipvsadm has them: sh-fallback, sh-port, mh-fallback, mh-port,
    /// flag-1, flag-2, flag-3, with commas between; none for none
    #[arg(long = "sched-flags", short = 'b', value_name = "FLAGS", value_parser = values::flags)]
    flags: Option<SchedulerFlags>,
    /// Size of mh's table, a prime: 251, 509, … 4093 (default), … 65521, 65537, 131071
    #[arg(long, value_name = "N")]
    mh_size: Option<u32>,
    /// Seconds after which lblc and lblcr forget an unused address (default 86400)
    #[arg(long = "sched-expiration", value_name = "SECONDS", value_parser = units::seconds)]
    expiration: Option<u32>,
    /// Schedule every packet on its own and keep no connections (--ops=off: no longer); UDP only
    #[arg(long = "ops", short = 'o', value_name = "SWITCH", num_args = 0..=1, require_equals = true,
        default_missing_value = "on", value_parser = values::switch)]
    one_packet: Option<bool>,
    /// Let rr start at a dest that is drawn, so that many directors do not all start at one
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true,
        default_missing_value = "on", value_parser = values::switch)]
    random_start: Option<bool>,
    /// Seconds within which a dest that is new, or takes connections again, gets its share; for
    /// wrr, wlc, sed, nq and twos
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    slow_start: Option<u32>,
    /// Seconds that a client stays with its dest after its last connection began; 0 for not
    #[arg(long, short = 'p', value_name = "SECONDS", value_parser = units::seconds)]
    persistence: Option<u32>,
    /// Clients that stay together, by the length of their prefix or a netmask: 24, 255.255.255.0
    #[arg(long = "persistence-prefix", short = 'M', value_name = "PREFIX",
        value_parser = values::prefix)]
    prefix: Option<u8>,
    /// Let clients stay with a dest whose weight is 0 too
    #[arg(long = "persistence-quiesced", value_name = "SWITCH", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = values::switch)]
    quiesced: Option<bool>,
    /// What stays with a dest, with persistence of UDP: off, which is networks of clients, or sip, which is
    /// each of their calls, by its Call-ID; datagrams that begin a flow and have none are dropped
    #[arg(long = "pe", value_name = "off|sip", value_parser = values::engine)]
    engine: Option<Engine>,
    /// Seconds of silence after which a TCP connection in a state expires; 0 as the namespace's
    #[arg(long, value_name = "STATE=SECONDS", value_delimiter = ',', value_parser = values::timeout)]
    tcp_timeout: Vec<(State, u32)>,
    /// Seconds of silence after which a UDP flow expires; 0 as the namespace's
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    udp_timeout: Option<u32>,
    /// Whether connections of a removed dest end at their next packet; default as the namespace's
    #[arg(long = "expire-nodest", value_name = "on|off|default", value_parser = values::removed)]
    removed: Option<Removed>,
    /// Whether UDP flows of a dest of weight 0 go elsewhere at their next packet; default as the
    /// namespace's
    #[arg(long = "expire-quiesced", value_name = "on|off|default", value_parser = values::removed)]
    quiesced_flows: Option<Removed>,
    /// Tell real servers of mode fullnat the client's address: in the TCP option of that kind, as
    /// config set --toa says (default), or not at all; for UDP on or off (default)
    #[arg(long, value_name = "off|on|KIND|default", value_parser = values::toa)]
    toa: Option<u8>,
    /// Count packets and bytes of each connection that begins from now on; conn list and conn show tell
    /// them. Costs the packets of this service a little
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true,
        default_missing_value = "on", value_parser = values::switch)]
    account: Option<bool>,
    /// Follow the commands of a protocol to the connections that they tell of, in modes nat and fullnat: ftp
    /// (PORT, PASV, EPRT, EPSV). Its connections are counted as with --account
    #[arg(long, value_name = "off|ftp", value_parser = values::helper)]
    helper: Option<Helper>,
}

/// Settings as a line of a file has them.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// Reads the words of a line as [`line_of`] makes it; what is wrong as text.
pub fn parse_line(words: &[&str]) -> Result<ServiceUpdate, String> {
    match Line::try_parse_from(words) {
        Ok(line) => Ok(line.settings.update(None)),
        Err(error) => Err(first_line(&error)),
    }
}

/// The options of `service set` for what ipvsadm has no options for.
pub fn line_of(update: &ServiceUpdate) -> String {
    let on_off = |on| if on { "on" } else { "off" };
    let tcp = update
        .timeouts
        .iter()
        .filter(|(state, _)| *state != State::Udp);
    let tcp: Vec<_> = tcp.map(|(s, n)| format!("{}={n}", s.name())).collect();
    let parts = [
        update.mh_size.map(|n| format!("--mh-size {n}")),
        update.expiration.map(|n| format!("--sched-expiration {n}")),
        update
            .random_start
            .map(|on| format!("--random-start={}", on_off(on))),
        update.slow_start.map(|n| format!("--slow-start {n}")),
        update
            .quiesced
            .map(|on| format!("--persistence-quiesced={}", on_off(on))),
        update.engine.map(|e| format!("--pe {}", e.name())),
        (!tcp.is_empty()).then(|| format!("--tcp-timeout {}", tcp.join(","))),
        update
            .timeouts
            .get(State::Udp)
            .map(|n| format!("--udp-timeout {n}")),
        update
            .removed
            .map(|removed| format!("--expire-nodest {}", removed.name())),
        update
            .quiesced_flows
            .map(|flows| format!("--expire-quiesced {}", flows.name())),
        update
            .toa
            .map(|kind| format!("--toa {}", values::toa_text(kind))),
        update.account.map(|on| format!("--account={}", on_off(on))),
        update
            .helper
            .map(|helper| format!("--helper {}", helper.name())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

impl Settings {
    fn update(self, scheduler: Option<SchedulerName>) -> ServiceUpdate {
        let mut timeouts = TimeoutUpdate::default();
        for (state, seconds) in self.tcp_timeout {
            timeouts.set(state, seconds);
        }
        if let Some(seconds) = self.udp_timeout {
            timeouts.set(State::Udp, seconds);
        }
        ServiceUpdate {
            scheduler,
            flags: self.flags,
            mh_size: self.mh_size,
            expiration: self.expiration,
            one_packet: self.one_packet,
            random_start: self.random_start,
            slow_start: self.slow_start,
            persistence: self.persistence,
            prefix: self.prefix,
            quiesced: self.quiesced,
            engine: self.engine,
            timeouts,
            removed: self.removed,
            quiesced_flows: self.quiesced_flows,
            toa: self.toa,
            account: self.account,
            helper: self.helper,
        }
    }
}

/// The argument that names a service.
#[derive(Args, Clone, Copy, Debug)]
pub struct Id {
    /// The service, PROTOCOL/ADDRESS:PORT or fwmark/MARK
    #[arg(value_name = "SERVICE", value_parser = values::service_id, add = complete::services())]
    pub service: ServiceId,
}

/// The list as JSON.
#[derive(JsonSchema, Serialize)]
pub struct ServiceList {
    generation: Option<u32>,
    services: Vec<ServiceView>,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Add {
            id,
            scheduler,
            settings,
        } => {
            let id = id.service;
            let what = format!("add service {id}");
            id.validate()
                .map_err(|error| Failure::spec(what.as_str(), error))?;
            let spec = settings.update(None).of(&ServiceSpec::new(scheduler));
            spec.validate(&id)
                .map_err(|error| Failure::spec(what.as_str(), error))?;
            let change = Change::ServiceAdd { id, spec };
            context.change(&what, &Request::Change(change))?;
            input_rules::warn_once(context.kernel);
            Ok(())
        }
        Command::Set {
            id,
            scheduler,
            settings,
        } => {
            let update = settings.update(scheduler);
            let change = Change::ServiceSet {
                id: id.service,
                update,
            };
            let what = format!("change service {}", id.service);
            check_given(&what, &update, &id.service)?;
            context.change(&what, &Request::Change(change))
        }
        Command::Del { id } => {
            let change = Change::ServiceDel { id: id.service };
            let what = format!("remove service {}", id.service);
            context.change(&what, &Request::Change(change))
        }
        Command::Flush => context.change("remove all services", &Request::ServiceFlush),
        Command::List { columns, watch } => watch.repeat(context, |context| list(columns, context)),
        Command::Show { id } => show(id.service, context),
    }
}

/// Checks what is given; the rest stays as the kernel has it, and that breaks no rule.
fn check_given(what: &str, update: &ServiceUpdate, id: &ServiceId) -> Result<(), Failure> {
    let any = values::scheduler("rr").map_err(|reason| Failure::new(what, reason, None))?;
    let spec = update.of(&ServiceSpec::new(any));
    spec.validate(id)
        .map_err(|error| Failure::spec(what, error))
}

fn list(columns: Columns, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("list services", error);
    let replies = context.kernel.collect(&Request::ServiceList);
    let replies = replies.map_err(failed)?;
    let generation = replies.first().and_then(|reply| reply.generation);
    let services = services_of(replies).map_err(failed)?;
    check_complete(&services);
    let document = ServiceList {
        generation,
        services: services.iter().map(ServiceView::from).collect(),
    };
    context.print(&document, |document| table(&document.services, columns))
}

fn show(id: ServiceId, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel(format!("show service {id}"), error);
    let reply = context.kernel.one(&Request::ServiceGet(id));
    let services = services_of(vec![reply.map_err(failed)?]).map_err(failed)?;
    check_complete(&services);
    let dests = context.kernel.collect(&Request::DestList(Some(id)));
    let dests = dests_of(dests.map_err(failed)?).map_err(failed)?;
    for service in services.iter().map(ServiceView::from) {
        let document = ServiceWithDests {
            service,
            dests: DestList::new(&dests).dests,
            warnings: warnings(&id, &dests, context.kernel),
        };
        if context.json {
            context.print_json(&document)?;
            continue;
        }
        table(std::slice::from_ref(&document.service), Columns::STATS).write(context.out)?;
        writeln!(context.out)?;
        dest::table(&document.dests, Columns::STATS, false).write(context.out)?;
        for warning in &document.warnings {
            writeln!(context.out, "\nwarning: {warning}")?;
        }
    }
    Ok(())
}

/// What keeps a service's dests from taking connections.
fn warnings(
    id: &ServiceId,
    dests: &[(ServiceInfo, DestInfo)],
    kernel: &mut dyn Transport,
) -> Vec<String> {
    let mut warnings = Vec::new();
    for ipv6 in [false, true] {
        let mut dests = dests.iter().map(|(_, dest)| dest);
        let needs = dests.any(|dest| {
            let address = dest.id.address;
            let mode = dest.mode.map(|mode| mode.toward(address));
            mode == Some(Mode::FullNat) && address.is_ipv6() == ipv6
        });
        if needs {
            warnings.extend(laddr::missing(kernel, id, ipv6));
        }
    }
    warnings
}

fn table(services: &[ServiceView], columns: Columns) -> Table {
    let options: Vec<_> = services.iter().map(ServiceView::options).collect();
    let any = options.iter().any(|options| !options.is_empty());
    let text: &[&str] = if any {
        &["SERVICE", "SCHEDULER", "OPTIONS"]
    } else {
        &["SERVICE", "SCHEDULER"]
    };
    let mut table = Table::new(text, &["DESTS", "ACTIVE", "INACTIVE"]);
    columns.head(&mut table);
    for (service, options) in services.iter().zip(options) {
        let mut cells = vec![service.id.clone(), cell(service.scheduler.as_ref())];
        if any {
            cells.push(cell((!options.is_empty()).then_some(options)));
        }
        cells.extend([
            cell(service.dests),
            cell(service.active),
            cell(service.inactive),
        ]);
        columns.fill(&mut cells, service.stats.as_ref(), service.rates.as_ref());
        table.row(cells);
    }
    table
}

/// Warns when the module tells less than this version of the spec has.
fn check_complete(services: &[ServiceInfo]) {
    warn_missing(
        services,
        &[
            ("scheduler", |s| s.scheduler.is_some()),
            ("sched-flags", |s| s.settings.flags.is_some()),
            ("persistence", |s| s.settings.persistence.is_some()),
            ("dests", |s| s.dests.is_some()),
            ("active", |s| s.active.is_some()),
            ("inactive", |s| s.inactive.is_some()),
            ("stats", |s| s.stats.is_some()),
            ("rates", |s| s.rates.is_some()),
        ],
    );
}
