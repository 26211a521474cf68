// SPDX-License-Identifier: GPL-2.0

//! `rvsadm save`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use rvs_engine::spec::DestSpec;
use rvs_engine::threshold::Thresholds;
use rvs_engine::tunnel::Tunnel;
use rvs_netlink::{Config, Error};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::context::Context;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::lines::{
    default_local_line, dest_line, local_line, service_lines, settings_line, sync_line, BEGIN, END,
};
use crate::output::say;
use crate::snapshot::{settings_of, Snapshot};
use crate::sync::{self, DaemonView};
use crate::views::{ConfigView, DestView, ServiceView, ServiceWithDests};
use crate::whole;

/// What fails when it does.
const WHAT: &str = "save the configuration";

/// Help on the format.
pub const AFTER_HELP: &str = "\
Examples:
  rvsadm save --settings -o /etc/rvs.conf
  rvsadm save | ipvsadm-restore

With -o the file is written anew beside the old one and takes its place when all of it is on the disk. With -o
or --settings the first line is #rvsadm begin and the last one #rvsadm end, without which rvsadm restore
refuses what has the first one; ipvsadm-restore reads neither.

Prints services and dests as ipvsadm-save -n does, so that both tools read them:
  -A -t 203.0.113.10:443 -s wrr
  -a -t 203.0.113.10:443 -r 192.0.2.1:443 -g -w 2
Where a service has settings that ipvsadm has not, a line
  #rvsadm service tcp/203.0.113.10:443 --mh-size 65537
with options of rvsadm service set follows, which ipvsadm-restore does not read.
ipvsadm's lines have no place for the namespace's settings. With --settings a last line has them,
with the options of rvsadm config set; rvsadm restore reads it, ipvsadm-restore does not:
  #rvsadm config --tcp-timeout established=900,… --udp-timeout 300 …
and so have the daemons of rvsadm sync, with the options that start them; of a key they have the file:
  #rvsadm sync master --device eth1 --id 7 --key-file /etc/rvs-sync.key
Nor have they one for mode fullnat and its local addresses. Where there are such, dests and addresses of
services are written as the ipvsadm of DPVS does, and those for all services with a line of ours:
  -a -t 203.0.113.10:443 -r 192.0.2.1:443 --fullnat -w 2
  -P -t 203.0.113.10:443 -z 192.0.2.200
  #rvsadm laddr 192.0.2.201

JSON: {\"services\":[{\"service\":{…},\"dests\":[{…}],\"laddrs\":[\"…\"]}],\"laddrs\":[\"…\"],
\"config\":{…},\"sync\":[{…}]}, each as in the lists, laddrs of the default beside the services;
rvsadm restore reads it too";

/// What to save.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Save the namespace's settings and daemons of sync too (ipvsadm-restore does not read these lines)
    #[arg(long)]
    pub settings: bool,
    /// Write the file as a whole; what is there stays until all is written
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Everything as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Saved")]
pub struct Document {
    services: Vec<ServiceSaved>,
    laddrs: Vec<String>,
    config: ConfigView,
    sync: Vec<DaemonView>,
}

/// A service with all that it has.
#[derive(JsonSchema, Serialize)]
pub struct ServiceSaved {
    #[serde(flatten)]
    service: ServiceWithDests,
    laddrs: Vec<String>,
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel(WHAT, error);
    let snapshot = Snapshot::read(context.kernel).map_err(failed)?;
    warn_unknown(&snapshot);
    if context.json {
        let settings = config::read(context.kernel).map_err(failed)?;
        let daemons = sync::read(context.kernel).map_err(failed)?;
        let document = Document {
            sync: daemons.into_iter().map(DaemonView::from).collect(),
            ..document(&snapshot, &settings)
        };
        let text = serde_json::to_vec(&Envelope::new(&document));
        let mut text = text.map_err(std::io::Error::from)?;
        text.push(b'\n');
        return put(&text, arguments, context);
    }
    // Nothing is printed of a configuration that cannot be saved as a whole.
    let mut lines = lines(&snapshot)?;
    if arguments.settings {
        let mut settings = config::read(context.kernel).map_err(failed)?;
        warn_not_saved("settings", settings.unknown.take());
        if !settings.is_empty() {
            lines.push(settings_line(&settings));
        }
        let daemons = sync::read(context.kernel).map_err(failed)?;
        lines.extend(daemons.iter().map(sync_line));
    }
    // Without these, and without what ipvsadm-restore cannot read besides, it reads the lines too.
    if arguments.settings || arguments.output.is_some() {
        lines.insert(0, BEGIN.to_owned());
        lines.push(END.to_owned());
    }
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    put(text.as_bytes(), arguments, context)
}

/// Warns of what a module of a later version tells and this one does not know: it is not saved.
fn warn_unknown(snapshot: &Snapshot) {
    let services = snapshot.services.iter();
    let service = services.clone().find_map(|running| running.service.unknown);
    let mut dests = services.flat_map(|running| &running.dests);
    for (what, unknown) in [
        ("services", service),
        ("dests", dests.find_map(|dest| dest.unknown)),
    ] {
        warn_not_saved(what, unknown);
    }
}

fn warn_not_saved(what: &str, unknown: Option<u16>) {
    if let Some(number) = unknown {
        say(format_args!(
            "rvsadm: warning: of {what} the module tells what this version does not know (attribute \
             {number}): it is not saved; use the rvsadm that came with the module"
        ));
    }
}

/// Puts it into the file, or prints it.
fn put(text: &[u8], arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let Some(path) = &arguments.output else {
        return Ok(context.out.write_all(text)?);
    };
    whole::replace(path, text).map_err(|error| {
        let what = format!("save into {}", path.display());
        let hint = "what the file had it still has";
        Failure::new(what, format!("cannot write it: {error}"), Some(hint))
    })
}

/// Everything, with settings, as rvsadm restore reads it.
pub fn text(snapshot: &Snapshot, settings: &Config) -> Option<String> {
    let mut lines = lines(snapshot).ok()?;
    lines.push(settings_line(settings));
    lines.insert(0, BEGIN.to_owned());
    lines.push(END.to_owned());
    Some(lines.join("\n") + "\n")
}

/// The lines of services and dests.
fn lines(snapshot: &Snapshot) -> Result<Vec<String>, Failure> {
    let missing = |what| Failure::kernel(WHAT, Error::Missing(what));
    let mut lines = Vec::new();
    for running in &snapshot.services {
        let id = &running.service.id;
        let spec = settings_of(&running.service).ok_or_else(|| missing("scheduler"))?;
        lines.extend(service_lines(id, &spec));
        for dest in &running.dests {
            let spec = DestSpec {
                mode: dest.mode.ok_or_else(|| missing("mode"))?,
                weight: dest.weight.ok_or_else(|| missing("weight"))?,
                thresholds: Thresholds {
                    upper: dest.upper.unwrap_or(0),
                    lower: dest.lower.unwrap_or(0),
                },
                tunnel: dest.tunnel.unwrap_or(Tunnel::IPIP),
            };
            lines.push(dest_line(id, &dest.id, &spec));
        }
        let locals = running.locals.iter();
        lines.extend(locals.map(|address| local_line(id, *address)));
    }
    lines.extend(snapshot.locals.iter().copied().map(default_local_line));
    Ok(lines)
}

fn document(snapshot: &Snapshot, settings: &Config) -> Document {
    let services = snapshot.services.iter().map(|running| {
        let dests = running.dests.iter();
        let service = ServiceWithDests {
            service: ServiceView::from(&running.service),
            dests: dests
                .map(|dest| DestView::new(&running.service.id, dest))
                .collect(),
            warnings: Vec::new(),
        };
        let laddrs = texts(&running.locals);
        ServiceSaved { service, laddrs }
    });
    Document {
        services: services.collect(),
        laddrs: texts(&snapshot.locals),
        config: ConfigView::from(settings),
        sync: Vec::new(),
    }
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(IpAddr::to_string).collect()
}
