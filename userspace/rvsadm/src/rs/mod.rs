// SPDX-License-Identifier: GPL-2.0

//! `rvsadm rs`: prepares a real server.
//!
//! - [`purpose`] is the part it is to play, [`plan`] says what has to change for that.
//! - [`host`] changes it: [`sysctl`] files, addresses and routes over [`rtnetlink`], the receiver.
//! - [`record`] remembers what was changed, so that it can be undone exactly.

mod host;
mod plan;
mod purpose;
mod record;
mod rtnetlink;
mod setting;
mod sysctl;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rvs_engine::prefix::Prefix;
use rvs_engine::spec::Mode;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::values;
use host::{Host, System};
use purpose::{check_vips, Purpose};
use record::{Change, Record};
use setting::Setting;

const SETUP_HELP: &str = "\
Examples:
  rvsadm rs setup --mode dr --vip 203.0.113.10
  rvsadm rs setup --mode tun --vip 203.0.113.10 --vip 2001:db8:113::10
  rvsadm rs setup --mode nat --director 192.168.56.118 --client 198.51.100.0/24
  rvsadm rs setup --mode fullnat --director 192.168.56.200/29

Mode dr: the virtual address comes to lo as /32, and the host neither answers ARP for it
(arp_ignore=1) nor announces it (arp_announce=2), on all interfaces. An IPv6 address comes as /128:
neighbour discovery does not tell of lo's.
Mode tun: as dr, and tunl0 takes packets out of IPIP tunnels. Where rp_filter is 1, it is 2 on
tunl0: clients' packets come in there, and answers leave elsewhere. For an IPv6 address ip6tnl0 takes
packets out of tunnels over IPv6; for tunnels of one family over the other see the README.
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
        /// Where it is kept
        #[command(flatten)]
        options: Options,
    },
    /// Put back what setup changed, as it was
    Undo {
        /// Where it is kept
        #[command(flatten)]
        options: Options,
        /// Only this virtual address; ARP and tunnel settings are put back with the last one
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
#[derive(Debug, Serialize)]
struct ChangeView {
    what: String,
    before: String,
    after: String,
    state: &'static str,
}

/// Changes as JSON.
#[derive(Debug, Default, Serialize)]
struct Changes {
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
#[derive(Serialize)]
struct Shown {
    settings: Vec<SettingView>,
    changes: Vec<ChangeView>,
}

#[derive(Serialize)]
struct SettingView {
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
            options,
        } => {
            let purpose = Purpose::new(mode, &vips, &directors, &clients)?;
            let mut record = Record::load(&options.state_dir)?;
            let changes = setup(&purpose, &mut host, &mut record)?;
            print(changes, "nothing to change: it is set up", context)
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

/// Changes what has to change, recording each change before it is made.
fn setup(purpose: &Purpose, host: &mut dyn Host, record: &mut Record) -> Result<Changes, Failure> {
    if record.is_stale(host)? {
        // Left by a namespace that is gone; its number was given out again.
        record.clear()?;
    }
    for device in purpose.tunnels() {
        host.make_tunnel(device)?;
    }
    let mut changes = Changes::default();
    for (setting, before, after) in plan::missing(purpose, host)? {
        let change = Change {
            setting: setting.clone(),
            before: before.clone(),
            after: after.clone(),
        };
        record.add(change)?;
        host.set(&setting, &after)?;
        changes.push(&setting, &before, &after, "done");
    }
    Ok(changes)
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
    let mut settings = Vec::new();
    for setting in plan::shown(host)? {
        settings.push(SettingView {
            value: host.get(&setting)?,
            what: setting.to_string(),
        });
    }
    let mut changes = Changes::default();
    for change in record.newest_first() {
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
