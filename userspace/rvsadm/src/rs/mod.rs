// SPDX-License-Identifier: GPL-2.0

//! `rvsadm rs`: prepares a real server.
//!
//! - [`plan`] says what has to change for direct routing.
//! - [`host`] changes it: [`sysctl`] files and addresses over [`rtnetlink`].
//! - [`record`] remembers what was changed, so that it can be undone exactly.

mod host;
mod plan;
mod record;
mod rtnetlink;
mod sysctl;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rvs_engine::spec::{Mode, Protocol, ServiceId, SpecError};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::values;
use host::{Host, System};
use plan::Setting;
use record::{Change, Record};

const SETUP_HELP: &str = "\
Example:
  rvsadm rs setup --mode dr --vip 203.0.113.10

Mode dr: the virtual address comes to lo as /32, and the host neither answers ARP for it
(arp_ignore=1) nor announces it (arp_announce=2), on all interfaces.

JSON: {\"changes\":[{\"what\",\"before\",\"after\",\"state\"}]}; state is done or left (changed by
someone else since)";

/// What to do with this host as a real server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prepare it; again it changes nothing
    #[command(after_help = SETUP_HELP)]
    Setup {
        /// What it is prepared for
        #[command(flatten)]
        options: Options,
        /// The virtual address, may be given more than once
        #[arg(long = "vip", value_name = "ADDRESS", required = true, num_args = 1..)]
        vips: Vec<IpAddr>,
    },
    /// Put back what setup changed, as it was
    Undo {
        /// What it was prepared for
        #[command(flatten)]
        options: Options,
        /// Only this virtual address; the rest is put back with the last one
        #[arg(long = "vip", value_name = "ADDRESS", num_args = 1..)]
        vips: Vec<IpAddr>,
    },
    /// Show the settings that matter and what setup changed
    Show {
        /// What it is prepared for
        #[command(flatten)]
        options: Options,
    },
}

/// Options of all.
#[derive(Args, Debug)]
pub struct Options {
    /// How packets travel to it
    #[arg(long, short, default_value = "dr", value_parser = values::mode)]
    mode: Mode,
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
        Command::Setup { options, vips } => {
            let what = "set up a real server";
            check_mode(what, options.mode)?;
            let vips = check_vips(what, &vips)?;
            let mut record = Record::load(&options.state_dir)?;
            let changes = setup(&vips, &mut host, &mut record)?;
            print(changes, "nothing to change: it is set up", context)
        }
        Command::Undo { options, vips } => {
            let what = "undo the set-up of a real server";
            check_mode(what, options.mode)?;
            let vips = check_vips(what, &vips)?;
            let mut record = Record::load(&options.state_dir)?;
            let changes = undo(&vips, &mut host, &mut record)?;
            print(changes, "nothing to put back", context)
        }
        Command::Show { options } => {
            check_mode("show a real server", options.mode)?;
            show(&host, &Record::load(&options.state_dir)?, context)
        }
    }
}

/// The changes here are those that direct routing asks for.
fn check_mode(what: &str, mode: Mode) -> Result<(), Failure> {
    if mode == Mode::Dr {
        return Ok(());
    }
    Err(Failure::spec(what, SpecError::ModeUnsupported(mode)))
}

/// Refuses what cannot be a virtual address, by the rule for services.
fn check_vips(what: &str, vips: &[IpAddr]) -> Result<Vec<Ipv4Addr>, Failure> {
    let checked = vips.iter().map(|vip| {
        let service = ServiceId {
            protocol: Protocol::Tcp,
            address: *vip,
            port: 1,
        };
        match (service.validate(), vip) {
            (Ok(()), IpAddr::V4(v4)) => Ok(*v4),
            (Err(error), _) => Err(Failure::spec(what, error)),
            (Ok(()), IpAddr::V6(_)) => Err(Failure::spec(what, SpecError::Ipv6(*vip))),
        }
    });
    checked.collect()
}

/// Changes what has to change, recording each change before it is made.
fn setup(vips: &[Ipv4Addr], host: &mut dyn Host, record: &mut Record) -> Result<Changes, Failure> {
    if record.is_stale(host)? {
        // Left by a namespace that is gone; its number was given out again.
        record.clear()?;
    }
    let mut changes = Changes::default();
    for (setting, before, after) in plan::missing(vips, host)? {
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
fn undo(vips: &[Ipv4Addr], host: &mut dyn Host, record: &mut Record) -> Result<Changes, Failure> {
    let mut changes = Changes::default();
    let others_stay =
        !vips.is_empty() && record.addresses().any(|address| !vips.contains(&address));
    for change in record.newest_first() {
        let wanted = match &change.setting {
            Setting::Address(address) => vips.is_empty() || vips.contains(address),
            Setting::Sysctl(_) | Setting::LoopbackUp => !others_stay,
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
