// SPDX-License-Identifier: GPL-2.0

//! `rvsadm rs`: prepares a real server.
//!
//! - [`purpose`] is the part it is to play, [`plan`] says what has to change for that.
//! - [`tunnel`] knows which of the kernel's devices take packets out of which tunnels.
//! - [`host`] changes it: [`sysctl`] files, addresses and routes over [`rtnetlink`], [`links`], ports
//!   of GUE, the receiver.
//! - [`record`] remembers what was changed, so that it can be undone exactly.

mod host;
mod links;
pub mod module;
mod plan;
mod purpose;
mod record;
pub mod rtnetlink;
mod setting;
mod supposed;
pub mod sysctl;
mod tunnel;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rvs_engine::prefix::Prefix;
use rvs_engine::spec::Mode;
use rvs_engine::tunnel::Tunnel;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::dest::TunnelOptions;
use crate::failure::Failure;
use crate::output::Table;
use crate::values;
use host::{Host, System};
use purpose::{check_vips, Purpose};
use record::{Change, Record};
use setting::{Setting, ABSENT, PRESENT};
use supposed::Supposed;
use tunnel::{Device, Family};

const SETUP_HELP: &str = "\
Examples:
  rvsadm rs setup --mode dr --vip 203.0.113.10
  rvsadm rs setup --mode tun --vip 203.0.113.10 --vip 2001:db8:113::10
  rvsadm rs setup --mode tun --vip 203.0.113.10 --tun-type gue --tun-port 6080 --over ipv6
  rvsadm rs setup --mode nat --director 192.168.56.118 --client 198.51.100.0/24
  rvsadm rs setup --mode fullnat --director 192.168.56.200/29

Mode dr: the virtual address comes to lo as /32, and the host neither answers ARP for it
(arp_ignore=1) nor announces it (arp_announce=2), on all interfaces. An IPv6 address comes as /128:
neighbour discovery does not tell of lo's.
Mode tun: as dr, and a device takes packets out of the tunnels that 'dest add' sends with the same
--tun options: tunl0, or sit0 for IPv6 addresses, gre0; over IPv6 ip6tnl0, in the mode that the
addresses need, and ip6gre0. GRE with --tun-csum gets a device of its own, rvs-gre or rvs-gre6; a
host takes GRE either with checksums or without. For GUE the port is opened. The device has the
address 192.0.0.8, or rp_filter drops all that comes out of it. Where rp_filter is 1, it is 2 on the
device: clients' packets come in there, and answers leave elsewhere.
Mode nat: routes to the clients lead through the director, and ICMP redirects are not believed.
Without --client these are 0.0.0.0/1 and 128.0.0.0/1, or ::/1 and 8000::/1, so that the default route stays as it is.
Mode fullnat: nothing is needed but that the directors can be reached. toa.ko, if it is to tell
programs their clients, believes the networks of --director.

JSON: {\"changes\":[{\"what\",\"before\",\"after\",\"state\"}]}; state is done or left (changed by
someone else since)";

/// What to do with this host as a real server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prepare it; again it changes nothing
    #[command(after_help = SETUP_HELP)]
    Setup {
        /// How packets travel to it
        #[arg(long, short, default_value = "dr", value_parser = values::mode)]
        mode: Mode,
        /// dr, tun: the virtual address, may be given more than once
        #[arg(long = "vip", value_name = "ADDRESS", required_unless_present = "directors", num_args = 1..)]
        vips: Vec<IpAddr>,
        /// nat: the director's address; fullnat: networks that directors connect from
        #[arg(long = "director", value_name = "PREFIX", value_parser = values::network, num_args = 1..)]
        directors: Vec<Prefix>,
        /// nat: networks of the clients
        #[arg(long = "client", value_name = "PREFIX", value_parser = values::network, num_args = 1..)]
        clients: Vec<Prefix>,
        /// tun: what the director's packets travel in, as with 'dest add'
        #[command(flatten)]
        tunnel: TunnelOptions,
        /// tun: IP version of the tunnel's own header, that of the dest's address; without it that
        /// of each virtual address
        #[arg(long, value_name = "FAMILY", value_enum)]
        over: Option<Family>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        /// Where it is kept
        #[command(flatten)]
        options: Options,
    },
    /// Put back what setup changed, as it was
    Undo {
        /// Where it is kept
        #[command(flatten)]
        options: Options,
        /// Only this virtual address; ARP settings and tunnels are put back with the last one
        #[arg(long = "vip", value_name = "ADDRESS", num_args = 1..)]
        vips: Vec<IpAddr>,
    },
    /// Show the settings that matter and what setup changed
    Show {
        /// Where it is kept
        #[command(flatten)]
        options: Options,
    },
}

/// Options of all.
#[derive(Args, Debug)]
pub struct Options {
    /// Where changes are recorded
    #[arg(long, hide = true, default_value = "/run/rvs")]
    state_dir: PathBuf,
}

/// A change as JSON.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Change")]
pub struct ChangeView {
    what: String,
    before: String,
    after: String,
    state: &'static str,
}

/// Changes as JSON.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Changes {
    changes: Vec<ChangeView>,
}

impl Changes {
    fn push(&mut self, what: &Setting, before: &str, after: &str, state: &'static str) {
        self.changes.push(ChangeView {
            what: what.to_string(),
            before: before.to_owned(),
            after: after.to_owned(),
            state,
        });
    }
}

/// What is shown as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RealServer")]
pub struct Shown {
    settings: Vec<SettingView>,
    changes: Vec<ChangeView>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Setting")]
pub struct SettingView {
    what: String,
    value: String,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut host = System::new()?;
    match command {
        Command::Setup {
            mode,
            vips,
            directors,
            clients,
            tunnel,
            over,
            dry_run,
            options,
        } => {
            let tunnel = tunnel.tunnel().unwrap_or(Tunnel::IPIP);
            let purpose = Purpose::new(mode, &vips, &directors, &clients, tunnel, over)?;
            let mut record = Record::load(&options.state_dir)?;
            let nothing = "nothing to change: it is set up";
            if dry_run {
                let mut host = Supposed::new(&host);
                let changes = setup(&purpose, &mut host, &mut record.unwritten())?;
                print(changes, nothing, context)?;
                if !context.json {
                    writeln!(context.out, "nothing was changed (--dry-run)")?;
                }
                return Ok(());
            }
            let changes = setup(&purpose, &mut host, &mut record)?;
            print(changes, nothing, context)
        }
        Command::Undo { options, vips } => {
            let vips = check_vips("undo the set-up of a real server", &vips)?;
            let mut record = Record::load(&options.state_dir)?;
            let changes = undo(&vips, &mut host, &mut record)?;
            print(changes, "nothing to put back", context)
        }
        Command::Show { options } => show(&host, &Record::load(&options.state_dir)?, context),
    }
}

/// Changes what has to change, recording each change before it is made; all of it or nothing.
fn setup(purpose: &Purpose, host: &mut dyn Host, record: &mut Record) -> Result<Changes, Failure> {
    if record.is_stale(host)? {
        // Left by a namespace that is gone; its number was given out again.
        record.clear()?;
    }
    plan::check(purpose, host)?;
    let earlier = record.clone();
    let mut made = Vec::new();
    if let Err(failure) = change_all(purpose, host, record, &mut made) {
        return Err(take_back(failure, made, earlier, host, record));
    }
    let mut changes = Changes::default();
    for change in &made {
        changes.push(&change.setting, &change.before, &change.after, "done");
    }
    Ok(changes)
}

/// Changes what has to change; `made` are the changes so far, the last one perhaps in vain.
fn change_all(
    purpose: &Purpose,
    host: &mut dyn Host,
    record: &mut Record,
    made: &mut Vec<Change>,
) -> Result<(), Failure> {
    // Their settings are there only when they are.
    for device in purpose.devices() {
        make(device, host, record, made)?;
    }
    for (setting, before, after) in plan::missing(purpose, host)? {
        let change = Change {
            setting,
            before,
            after,
        };
        record.add(change.clone())?;
        made.push(change.clone());
        host.set(&change.setting, &change.after)?;
    }
    Ok(())
}

/// Puts back what a set-up that failed has changed, and says so in its failure.
fn take_back(
    failure: Failure,
    made: Vec<Change>,
    earlier: Record,
    host: &mut dyn Host,
    record: &mut Record,
) -> Failure {
    *record = earlier;
    let mut stay = Vec::new();
    for change in made.into_iter().rev() {
        let back = match host.get(&change.setting) {
            Ok(now) if now == change.after => host.set(&change.setting, &change.before),
            other => other.map(drop),
        };
        if back.is_err() {
            stay.push(change.setting.to_string());
            // For undo to try again.
            let _ = record.add(change);
        }
    }
    let _ = record.store();
    let note = if stay.is_empty() {
        "nothing is changed".to_owned()
    } else {
        format!("{} cannot be put back", stay.join(", "))
    };
    failure.but(&note)
}

/// Makes a device of tunnels that is not there.
fn make(
    device: Device,
    host: &mut dyn Host,
    record: &mut Record,
    all: &mut Vec<Change>,
) -> Result<(), Failure> {
    let setting = Setting::Device(device);
    if host.get(&setting)? == PRESENT {
        return Ok(());
    }
    let change = Change {
        setting: setting.clone(),
        before: ABSENT.to_owned(),
        after: PRESENT.to_owned(),
    };
    record.add(change.clone())?;
    let made = host.make(device);
    match made {
        Ok(true) => all.push(change),
        // The kernel's own, which is there with the module, is not to be removed.
        _ => record.remove(&setting)?,
    }
    made.map(drop)
}

/// Puts back what is recorded, the last change first; of addresses only `vips` if there are any.
fn undo(vips: &[IpAddr], host: &mut dyn Host, record: &mut Record) -> Result<Changes, Failure> {
    let mut changes = Changes::default();
    let others_stay =
        !vips.is_empty() && record.addresses().any(|address| !vips.contains(&address));
    for change in record.newest_first() {
        let wanted = match &change.setting {
            Setting::Address(address) => vips.is_empty() || vips.contains(address),
            // Modes that have no virtual address on the host are undone with the whole.
            setting if setting.is_of_all_addresses() => !others_stay,
            _ => vips.is_empty(),
        };
        if !wanted {
            continue;
        }
        let now = host.get(&change.setting)?;
        if now == change.after {
            host.set(&change.setting, &change.before)?;
            changes.push(&change.setting, &now, &change.before, "done");
        } else if now != change.before {
            // Someone else has set it since, and knows why.
            changes.push(&change.setting, &now, &now, "left");
        }
        record.remove(&change.setting)?;
    }
    Ok(changes)
}

fn show(host: &dyn Host, record: &Record, context: &mut Context<'_>) -> Result<(), Failure> {
    let changed = record.newest_first();
    let mut shown = plan::shown(host)?;
    for change in changed.iter().rev() {
        if !shown.contains(&change.setting) {
            shown.push(change.setting.clone());
        }
    }
    let mut settings = Vec::new();
    for setting in shown {
        settings.push(SettingView {
            value: host.get(&setting)?,
            what: setting.to_string(),
        });
    }
    let mut changes = Changes::default();
    for change in &changed {
        changes.push(&change.setting, &change.before, &change.after, "done");
    }
    let document = Shown {
        settings,
        changes: changes.changes,
    };
    context.print(&document, |document| {
        let mut table = Table::new(&["SETTING", "VALUE", "BEFORE SETUP"], &[]);
        for setting in &document.settings {
            let change = document.changes.iter().find(|c| c.what == setting.what);
            let before = change.map_or("-", |change| change.before.as_str());
            table.row([&setting.what, &setting.value, before].map(str::to_owned));
        }
        table
    })
}

fn print(changes: Changes, nothing: &str, context: &mut Context<'_>) -> Result<(), Failure> {
    if changes.changes.is_empty() && !context.json {
        return Ok(writeln!(context.out, "{nothing}")?);
    }
    context.print(&changes, |changes| {
        let mut table = Table::new(&["SETTING", "BEFORE", "AFTER", ""], &[]);
        for change in &changes.changes {
            let note = match change.state {
                "left" => "left as it is: someone else changed it",
                _ => "",
            };
            table.row([&change.what, &change.before, &change.after, note].map(str::to_owned));
        }
        table
    })
}

#[cfg(test)]
mod tests;
