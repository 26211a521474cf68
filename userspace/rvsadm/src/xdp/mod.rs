// SPDX-License-Identifier: GPL-2.0

//! `rvsadm xdp`: devices whose frames of established flows leave before the stack sees them.

mod ingress;
mod links;
mod mode;
mod refusals;

use std::fs;
use std::io;
use std::iter;

use clap::{Args, Subcommand};
use rvs_xdp::link::{self, Attached};
use schemars::JsonSchema;
use serde::Serialize;

use self::links::Link;
use self::mode::Mode;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, say, Table};

const ATTACH_HELP: &str = "\
Examples:
  rvsadm xdp attach eth0
  rvsadm xdp attach eth0 --mode generic

Both sides want it where packets come back through the director: the device of the clients and that of the
real servers. What leaves this way is seen neither by tcpdump nor by rules at ingress, tc, OUTPUT or
POSTROUTING; where such rules are known to be, packets go through the stack. docs/xdp.md says when it pays.";

const SHOW_HELP: &str = "\
JSON: {\"devices\":[{\"device\",\"index\",\"mode\",\"program\"}]}
rvsadm stats show has how many frames were taken, and why others were not.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have a device give its frames to RVS before the stack
    #[command(after_help = ATTACH_HELP)]
    Attach(Attach),
    /// Have it give none any more; connections go on through the stack
    Detach {
        /// Its name
        #[arg(required_unless_present = "all")]
        device: Option<String>,
        /// All devices of this network namespace, and what is left of those that are gone
        #[arg(long, conflicts_with = "device")]
        all: bool,
    },
    /// Show devices that do
    #[command(after_help = SHOW_HELP)]
    Show,
}

/// What is to give its frames.
#[derive(Args, Debug)]
pub struct Attach {
    /// Its name
    device: String,
    /// By its driver, or by the stack's copy for drivers that cannot: right, but hardly faster
    #[arg(long, value_enum, default_value_t = Mode::Native)]
    mode: Mode,
}

/// A device as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "XdpDevice")]
struct DeviceView {
    /// None when it is gone.
    device: Option<String>,
    index: Option<u32>,
    mode: &'static str,
    /// As bpftool numbers it.
    program: u32,
}

/// All as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Xdp")]
pub struct Document {
    devices: Vec<DeviceView>,
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Attach(attach) => self::attach(&attach, context),
        Command::Detach { device, .. } => detach(device.as_deref(), context),
        Command::Show => show(context),
    }
}

fn attach(attach: &Attach, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!("attach {}", attach.device);
    let links = read_links(&what)?;
    let link = find(&links, &attach.device, &what)?;
    refusals::of_host(&what)?;
    for warning in refusals::of_link(&what, link, &links, attach.mode)? {
        say(format!("warning: {warning}"));
    }
    for one in iter::once(link).chain(link.vlans(&links)) {
        let rules = ingress::rules(one).join("; ");
        if !rules.is_empty() {
            say(format!(
                "warning: rules at the ingress of {} do not see frames of established flows any more: {rules}\n\
                 hint: if they are to, rvsadm xdp detach {}",
                one.name, link.name
            ));
        }
    }
    let attached = link::attach(link.index, attach.mode == Mode::Generic);
    attached.map_err(|error| refusals::of_kernel(&what, link, attach.mode, &error))?;
    context.done()
}

/// The numbers of all programs that devices of this thread's network namespace have.
pub fn programs() -> Result<Vec<u32>, rvs_netlink::Error> {
    let links = links::read()?;
    Ok(links.iter().filter_map(|link| link.program).collect())
}

/// Those of this network namespace: of the devices that are in it, and of those that are gone and were.
fn here(links: &[Link], what: &str) -> Result<Vec<Attached>, Failure> {
    let read = || -> io::Result<_> {
        let namespace = link::namespace()?;
        let mut all = link::all()?;
        all.retain(|one| match one.device {
            Some(_) => links.iter().any(|link| link.program == Some(one.program)),
            None => one.namespace == namespace,
        });
        Ok(all)
    };
    read().map_err(|error| Failure::new(what, error.to_string(), None))
}

fn detach(device: Option<&str>, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!("detach {}", device.unwrap_or("all devices"));
    let links = read_links(&what)?;
    let index = match device {
        Some(name) => Some(find(&links, name, &what)?.index),
        None => None,
    };
    let mut those = here(&links, &what)?;
    those.retain(|one| index.is_none() || one.device == index);
    if those.is_empty() && index.is_some() {
        let hint = "rvsadm xdp show lists those that do";
        return Err(Failure::new(what, "it gives RVS no frames", Some(hint)));
    }
    for one in those {
        let gone = one.detach();
        gone.map_err(|error| Failure::new(&what, error.to_string(), None))?;
    }
    context.done()
}

/// Has no device of any namespace give frames: programs keep the module, until a while after. How many
/// did.
pub fn detach_all() -> io::Result<usize> {
    let all = link::all()?;
    for one in &all {
        one.detach()?;
    }
    // Nothing depends on it. Where it may not be written to, as by a unit, or others have put something there,
    // it stays; asked whether there is one, a file system that is read-only says that it is.
    let _ = fs::remove_dir(link::FOLDER);
    Ok(all.len())
}

fn show(context: &mut Context<'_>) -> Result<(), Failure> {
    let what = "show devices";
    let links = read_links(what)?;
    let devices = here(&links, what)?.into_iter().map(|one| {
        let link = links.iter().find(|link| Some(link.index) == one.device);
        DeviceView {
            device: link.map(|link| link.name.clone()),
            index: one.device,
            mode: if one.generic { "generic" } else { "native" },
            program: one.program,
        }
    });
    let document = Document {
        devices: devices.collect(),
    };
    context.print(&document, table)
}

fn table(document: &Document) -> Table {
    let mut table = Table::new(&["DEVICE", "MODE"], &["INDEX", "PROGRAM"]);
    for one in &document.devices {
        table.row([
            one.device.clone().unwrap_or_else(|| "(gone)".to_owned()),
            one.mode.to_owned(),
            cell(one.index),
            one.program.to_string(),
        ]);
    }
    table
}

fn read_links(what: &str) -> Result<Vec<Link>, Failure> {
    links::read().map_err(|error| Failure::kernel(what, error))
}

fn find<'a>(links: &'a [Link], name: &str, what: &str) -> Result<&'a Link, Failure> {
    links.iter().find(|link| link.name == name).ok_or_else(|| {
        let reason = format!("there is no device {name} in this network namespace");
        Failure::new(
            what,
            reason,
            Some("ip link lists them; -n NETNS for another namespace"),
        )
    })
}
