// SPDX-License-Identifier: GPL-2.0

//! `rvsadm restore`.

use std::fs;
use std::io::{self, Read as _};

use clap::Args;
use rvs_engine::change::Change;
use rvs_engine::spec::Mode;
use rvs_netlink::{Config, Error, Request, Transport};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config;
use crate::context::Context;
use crate::diff::{describe, Plan, Tally};
use crate::document::Document;
use crate::failure::{BrokenLine, Failure};
use crate::input_rules;
use crate::laddr;
use crate::lines::END;
use crate::output::say;
use crate::ports::Ports;
use crate::saved;
use crate::snapshot::Snapshot;
use crate::sync;

/// Help on what it does.
pub const AFTER_HELP: &str = "\
Examples:
  rvsadm restore /etc/rvs.conf
  rvsadm restore --check /etc/rvs.conf
  ipvsadm-save -n | rvsadm restore --dry-run -

Reads what rvsadm save -j prints, and the lines of rvsadm save and of ipvsadm-save: one service (-A) or dest (-a) a line, # starts a
comment (which ipvsadm-restore does not know). What this version lacks is
refused, never dropped. Local addresses are lines of -P -t SERVICE -z ADDRESS, as the ipvsadm of DPVS
saves them, and #rvsadm laddr ADDRESS for services that have none; dests of mode fullnat have --fullnat.
The line
  #rvsadm config OPTIONS
sets what rvsadm config set OPTIONS would; without it settings stay as they are. So it is with the daemons of
  #rvsadm sync OPTIONS
which are started as rvsadm sync start OPTIONS would, when all else is applied; others go on as they are.

Files of rvsadm save -o have a first line #rvsadm begin and a last line #rvsadm end. Where the last one is
missing, or where a file without one has no service, it is refused unless --empty is given.

Services, dests and local addresses that the file does not have are removed, those that are the same are
left alone with their connections. Any broken line, and nothing is applied; a refusal of the kernel undoes all.

JSON: {\"applied\":B,\"services\":{\"added\",\"changed\",\"removed\",\"unchanged\"},\"dests\":{…},
\"laddrs\":{…},\"settings_changed\":B}, with --dry-run also \"changes\":[\"…\"]; --check: {\"ok\":true,\"services\":N,
\"dests\":N}; broken lines: {\"error\":{…,\"lines\":[{\"line\":N,\"reason\",\"hint\"}]}}";

/// What to restore.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The file; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,
    /// Only check the file; needs no module
    #[arg(long)]
    check: bool,
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// Take a file that has no services, or that has lost its end
    #[arg(long)]
    empty: bool,
}

/// What was, or would be, done.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Restored")]
pub struct Summary {
    applied: bool,
    services: Tally,
    dests: Tally,
    laddrs: Tally,
    settings_changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<String>>,
}

/// The result of a check.
#[derive(JsonSchema, Serialize)]
pub struct Checked {
    ok: bool,
    services: usize,
    dests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    laddrs: Option<usize>,
}

/// Does it.
pub fn run(arguments: Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!("restore {}", arguments.file);
    let text = read(&arguments.file)
        .map_err(|(why, hint)| Failure::new(&*what, format!("cannot read it: {why}"), hint))?;
    let text = if saved::is_json(&text) {
        let hint = Some("it is read as rvsadm save -j prints it");
        saved::lines(&text).map_err(|reason| Failure::new(&*what, reason, hint))?
    } else {
        text
    };
    let document = Document::parse(&text, &Ports::default())
        .map_err(|lines| Failure::lines(what.as_str(), lines))?;
    if arguments.check {
        check_whole(&what, &document, arguments.empty)?;
        return check(&document, context);
    }
    let summary = restore(&what, &document, &arguments, context.kernel)?;
    warn_of_locals(&document);
    print(&summary, context)
}

/// Says which services will refuse connections, as fullnat dests have no local address.
fn warn_of_locals(document: &Document) {
    for service in &document.services {
        let pool = match service.locals.as_slice() {
            [] => &document.locals,
            own => own,
        };
        for ipv6 in [false, true] {
            let needs = service.dests.iter().any(|dest| {
                let address = dest.id.address;
                dest.spec.mode.toward(address) == Mode::FullNat && address.is_ipv6() == ipv6
            });
            if needs && !pool.iter().any(|local| local.address.is_ipv6() == ipv6) {
                let lacks = laddr::lacks(&service.id, ipv6);
                say(format_args!("rvsadm: warning: {lacks}"));
            }
        }
    }
}

/// Reads the file as text.
fn read(file: &str) -> Result<String, (String, Option<&'static str>)> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => io::stdin().lock().read_to_end(&mut bytes),
        _ => fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| (error.to_string(), None))?;
    String::from_utf8(bytes).map_err(|error| {
        let utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let reason = if utf16 {
            "it is UTF-16"
        } else {
            "it is not UTF-8"
        };
        let hint = "save it as UTF-8 or ASCII text in the editor";
        (reason.to_owned(), Some(hint))
    })
}

/// Refuses what is likely to be a mishap: a file that was lost, or cut.
fn check_whole(what: &str, document: &Document, empty: bool) -> Result<(), Failure> {
    if empty {
        return Ok(());
    }
    if let Some(line) = document.cut {
        return Err(Failure::new(
            what,
            format!("it is cut: line {line} begins what was saved, and no line {END:?} ends it"),
            Some("save it again, or see what is missing; --empty takes it as it is"),
        ));
    }
    if document.services.is_empty() && !document.ended {
        return Err(Failure::new(
            what,
            "it has no services, and would remove all that there are",
            Some("if that is meant, add --empty"),
        ));
    }
    Ok(())
}

fn check(document: &Document, context: &mut Context<'_>) -> Result<(), Failure> {
    let checked = Checked {
        ok: true,
        services: document.services.len(),
        dests: document.dest_count(),
        laddrs: Some(document.local_count()).filter(|count| *count > 0),
    };
    if context.json {
        return context.print_json(&checked);
    }
    let Checked {
        services, dests, ..
    } = checked;
    let laddrs = checked.laddrs;
    let laddrs = laddrs.map_or(String::new(), |count| format!(", {count} local addresses"));
    Ok(writeln!(
        context.out,
        "fine: {services} services, {dests} dests{laddrs}"
    )?)
}

/// Makes the kernel's configuration that of `document`.
fn restore(
    what: &str,
    document: &Document,
    arguments: &Arguments,
    kernel: &mut dyn Transport,
) -> Result<Summary, Failure> {
    let failed = |error| Failure::kernel(what, error);
    let dry_run = arguments.dry_run;
    let running = Snapshot::read(kernel).map_err(failed)?;
    check_whole(what, document, arguments.empty)?;
    let plan = Plan::new(document, &running);
    let settings = match &document.settings {
        Some(wanted) => changed(wanted, &config::read(kernel).map_err(failed)?),
        None => Config::default(),
    };
    let settings_changed = !settings.is_empty();
    let daemons = sync::read(kernel).map_err(failed)?;
    let mut wanted = document.daemons.clone();
    wanted.retain(|wanted| !daemons.iter().any(|daemon| sync::is_as(daemon, wanted)));
    // Nothing is applied where one has no key.
    let wanted = wanted
        .into_iter()
        .map(|daemon| sync::with_key(what, daemon));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let changes = dry_run.then(|| {
        let steps = plan.steps.iter().map(|step| describe(&step.change));
        let settings = settings_changed.then(|| format!("set {}", config::line_of(&settings)));
        let started = wanted
            .iter()
            .map(|daemon| format!("start {}", sync::line_of(daemon)));
        settings.into_iter().chain(steps).chain(started).collect()
    });
    if !dry_run {
        apply(what, &plan, settings, kernel)?;
        sync::restore(what, wanted, &daemons, kernel)?;
        if running.services.is_empty() && !document.services.is_empty() {
            input_rules::warn(kernel);
        }
    }
    Ok(Summary {
        applied: !dry_run,
        services: plan.services,
        dests: plan.dests,
        laddrs: plan.laddrs,
        settings_changed,
        changes,
    })
}

/// Of `wanted`, what is not so already.
pub fn changed(wanted: &Config, running: &Config) -> Config {
    let mut changed = Config {
        udp_timeout: wanted
            .udp_timeout
            .filter(|n| Some(*n) != running.udp_timeout),
        conn_max: wanted.conn_max.filter(|n| Some(*n) != running.conn_max),
        conn_max_others: (wanted.conn_max_others).filter(|n| Some(*n) != running.conn_max_others),
        toa_kind: wanted.toa_kind.filter(|k| Some(*k) != running.toa_kind),
        drop_entry: wanted.drop_entry.filter(|w| Some(*w) != running.drop_entry),
        drop_packet: wanted
            .drop_packet
            .filter(|w| Some(*w) != running.drop_packet),
        drop_rate: wanted.drop_rate.filter(|n| Some(*n) != running.drop_rate),
        memory_min: wanted.memory_min.filter(|n| Some(*n) != running.memory_min),
        local_port_min: wanted
            .local_port_min
            .filter(|port| Some(*port) != running.local_port_min),
        local_port_max: wanted
            .local_port_max
            .filter(|port| Some(*port) != running.local_port_max),
        sloppy_tcp: wanted
            .sloppy_tcp
            .filter(|on| Some(*on) != running.sloppy_tcp),
        conn_reuse: wanted
            .conn_reuse
            .filter(|reuse| Some(*reuse) != running.conn_reuse),
        nat_as_fullnat: wanted
            .nat_as_fullnat
            .filter(|on| Some(*on) != running.nat_as_fullnat),
        cache_bypass: wanted
            .cache_bypass
            .filter(|on| Some(*on) != running.cache_bypass),
        echo: wanted.echo.filter(|echo| Some(*echo) != running.echo),
        places: wanted
            .places
            .filter(|places| Some(*places) != running.places),
        conntrack: wanted.conntrack.filter(|on| Some(*on) != running.conntrack),
        expire_nodest: wanted
            .expire_nodest
            .filter(|on| Some(*on) != running.expire_nodest),
        expire_quiesced: wanted
            .expire_quiesced
            .filter(|on| Some(*on) != running.expire_quiesced),
        ..Config::default()
    };
    for (state, seconds) in wanted.tcp_timeouts.iter() {
        if !running.tcp_timeouts.iter().any(|is| is == (state, seconds)) {
            // The name comes from the same list.
            let _ = changed.tcp_timeouts.set(state, seconds);
        }
    }
    changed
}

/// Applies everything or nothing, in one request.
fn apply(
    what: &str,
    plan: &Plan,
    settings: Config,
    kernel: &mut dyn Transport,
) -> Result<(), Failure> {
    if plan.steps.is_empty() && settings.is_empty() {
        return Ok(());
    }
    let changes: Vec<Change> = plan.steps.iter().map(|step| step.change).collect();
    let applied = kernel.execute(&Request::Batch(changes, settings));
    applied.map_err(|error| refused(what, plan, error))
}

/// The failure of a batch, with the line that the kernel blames.
fn refused(what: &str, plan: &Plan, error: Error) -> Failure {
    let index = match &error {
        Error::Refused(refusal) => refusal.blame.as_ref().and_then(|blame| blame.change),
        _ => None,
    };
    let step = index.and_then(|index| plan.steps.get(index));
    let mut failure = Failure::kernel(what, error);
    if let (Some(step), Failure::Refused(refused)) = (step, &mut failure) {
        // The module counts the changes of the batch; whoever wrote the file counts its lines.
        let number = format!("change {}: ", index.map_or(0, |index| index + 1));
        if let Some(text) = refused.reason.strip_prefix(&number) {
            refused.reason = text.to_owned();
        }
        match step.line {
            Some(line) => {
                let broken = BrokenLine {
                    line,
                    reason: std::mem::take(&mut refused.reason),
                    hint: refused.hint.take(),
                };
                refused.lines = vec![broken];
                refused.reason = format!("the kernel refused line {line}; nothing was applied");
            }
            None => {
                let step = describe(&step.change);
                refused.reason = format!("{step}: {}; nothing was applied", refused.reason);
            }
        }
    }
    failure
}

fn print(summary: &Summary, context: &mut Context<'_>) -> Result<(), Failure> {
    if context.json {
        return context.print_json(summary);
    }
    for change in summary.changes.iter().flatten() {
        writeln!(context.out, "{change}")?;
    }
    let tallies = [
        ("services", summary.services),
        ("dests", summary.dests),
        ("laddrs", summary.laddrs),
    ];
    // Of local addresses it is silent where there are none, as most modes need none.
    let unused = |(name, tally): &(&str, Tally)| *name == "laddrs" && *tally == Tally::default();
    for (name, tally) in tallies.into_iter().filter(|tally| !unused(tally)) {
        let Tally {
            added,
            changed,
            removed,
            unchanged,
        } = tally;
        writeln!(
            context.out,
            "{name}: {added} added, {changed} changed, {removed} removed, {unchanged} unchanged"
        )?;
    }
    if summary.settings_changed {
        writeln!(context.out, "settings: changed")?;
    }
    if !summary.applied {
        writeln!(context.out, "nothing was applied (--dry-run)")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
