// SPDX-License-Identifier: GPL-2.0

//! `rvsadm upgrade`: another module in the place of the one that runs, with all that it has.
//!
//! Everything that can go wrong without harm is tried first. Then packets of services are dropped,
//! which clients send again, as nobody answers them; what the module has is taken from it, the module
//! is changed, and gets it back. If the new one does not take it, the old one does.

mod drop;
mod haste;
mod ko;
mod others;
mod places;
mod state;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use rvs_netlink::{number_of_ipvs, Client, Error, Lists as _, Request, Transport as _};
use schemars::JsonSchema;
use serde::Serialize;

use self::drop::Dropping;
use self::haste::Haste;
use self::ko::{Module, Ready};
use self::others::Others;
use self::places::Place;
use self::state::{Carried, Configured};
use crate::conn::file;
use crate::conn::records::Restored;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::say;

/// Help on what it does.
pub const AFTER_HELP: &str = "\
Services, connections, templates, counters, settings and daemons of all network namespaces go from the module that
runs to another. Meanwhile packets to virtual and local addresses are dropped, and so are those of real servers of
mode nat: nobody answers, clients send again. That takes some tenths of a second, and more with very many
connections. If the new module does not load, or does not take what the old one had, the old one comes back with
all of it. Its file has to be found first: --old FILE, /run/rvs/rvs.ko (a copy that this program and rvs.service
keep), or the one that is installed. Devices give it frames again (rvsadm xdp) when it is done; rules that have
the match ipvs are to be removed first, which is said.

Without MODULE.ko it is the one that is installed. Needs nf_tables. Programs that watch (rvsadm monitor, top) end.

JSON: {\"from\",\"to\",\"namespaces\",\"connections\",\"templates\",\"pause_ms\",\"lost\"}: lost are connections and
templates that the new module had no use for";

const WHAT: &str = "upgrade the module";

/// Where what was taken is while the module is changed, in case that this program is killed.
const SAVED: &str = "/run/rvs/upgrade";

/// Times that a module is tried to be removed which somebody still uses, and pauses between.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What to do.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The new module's file; the installed one if none is named
    #[arg(value_name = "MODULE.ko")]
    module: Option<PathBuf>,
    /// The file of the module that runs
    #[arg(long, value_name = "MODULE.ko")]
    old: Option<PathBuf>,
    /// Only keep a copy of the module that runs, so that a later upgrade finds it
    #[arg(long, conflicts_with_all = ["module"])]
    keep: bool,
}

/// What was done, as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Upgraded")]
pub struct Upgraded {
    from: String,
    to: String,
    namespaces: usize,
    connections: u64,
    templates: u64,
    pause_ms: u64,
    lost: u64,
}

/// A namespace with what it has.
struct Kept<'a> {
    place: &'a Place,
    dropping: Option<Dropping>,
    client: Option<Client>,
    configured: Configured,
    carried: Carried,
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let refused = |reason: String| {
        let hint = "nothing was changed: the module that runs goes on";
        Failure::new(WHAT, reason, Some(hint))
    };
    let old = ko::running(arguments.old.as_deref()).map_err(refused)?;
    if arguments.keep {
        let kept = old.keep();
        kept.map_err(|error| refused(format!("cannot write {}: {error}", ko::KEPT)))?;
        return context.done();
    }
    let new = match &arguments.module {
        Some(path) => Module::read(path),
        None => Module::installed(),
    };
    let new = new.map_err(refused)?;
    new.fits().map_err(refused)?;
    let parameters = parameters(context).map_err(|error| Failure::kernel(WHAT, error))?;
    new.load_others();
    let old_ready = old.ready().map_err(refused)?;
    let new_ready = new.ready().map_err(refused)?;
    // Nothing stops it half way but what nobody can catch.
    for signal in [libc_signal::HUP, libc_signal::INT, libc_signal::TERM] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let places = places::all();
    // These go on when it is done, or if it is not.
    let _others = Others::take(&places).map_err(refused)?;
    let mut all = prepare(&places).map_err(refused)?;
    let haste = Haste::begin();
    let began = Instant::now();
    if let Err(reason) = take(&mut all).and_then(|()| remove(&all)) {
        stay(&mut all);
        return Err(refused(reason));
    }
    let changed = change(&old_ready, &new_ready, &parameters, &all);
    drop(haste);
    for kept in &mut all {
        if let Some(dropping) = kept.dropping.take() {
            dropping.end();
        }
    }
    let pause = began.elapsed();
    let became = changed?;
    if let Err(error) = new.keep() {
        say(format_args!(
            "rvsadm: warning: cannot write {}: {error}",
            ko::KEPT
        ));
    }
    let _ = fs::remove_dir_all(SAVED);
    let sum = |of: fn(&Carried) -> u64| all.iter().map(|kept| of(&kept.carried)).sum();
    let upgraded = Upgraded {
        from: old.version(),
        to: new.version(),
        namespaces: all
            .iter()
            .filter(|kept| kept.configured.services > 0)
            .count(),
        connections: sum(|carried| carried.connections),
        templates: sum(|carried| carried.templates),
        pause_ms: pause.as_millis() as u64,
        lost: became.full + became.misfit,
    };
    if context.json {
        return context.print_json(&upgraded);
    }
    let Upgraded {
        from,
        to,
        namespaces,
        connections,
        templates,
        pause_ms,
        lost,
    } = upgraded;
    if lost > 0 {
        say(format_args!(
            "rvsadm: warning: the new module had no use for {lost} connections and templates"
        ));
    }
    Ok(writeln!(
        context.out,
        "rvs {from} is now {to}: {namespaces} namespaces, {connections} connections, {templates} templates; \
         packets waited {pause_ms} ms"
    )?)
}

/// Numbers of signals, which are the same on all machines that there are modules for.
mod libc_signal {
    pub const HUP: i32 = 1;
    pub const INT: i32 = 2;
    pub const TERM: i32 = 15;
}

/// What the module that runs was loaded with, and, where it speaks IPVS, by which number: keepalived asks for
/// that once.
fn parameters(context: &mut Context<'_>) -> Result<String, Error> {
    let reply = context.kernel.one(&Request::ConfigGet)?;
    let loaded_with = reply.parameters.unwrap_or_default();
    if !loaded_with.contains("ipvs=") {
        return Ok(loaded_with);
    }
    let number = number_of_ipvs()?;
    Ok(format!("{loaded_with} ipvs_family={number}"))
}

/// Reads the configuration of all namespaces, and makes ready to drop.
fn prepare(places: &[Place]) -> Result<Vec<Kept<'_>>, String> {
    let mut all = Vec::new();
    let mut with_services = 0;
    for place in places {
        let opened = place.inside(|| {
            let mut client = Client::connect()?;
            let configured = Configured::read(&mut client)?;
            Ok::<_, Error>((client, configured))
        });
        let (client, configured) = settled(place, opened)?;
        with_services += usize::from(configured.services > 0);
        all.push(Kept {
            place,
            dropping: None,
            client: Some(client),
            configured,
            carried: Carried::default(),
        });
    }
    nobody_else(with_services)?;
    for kept in &mut all {
        let opened = kept.place.inside(|| {
            let mut dropping = Dropping::prepare()?;
            dropping.add(&kept.configured.what)?;
            Ok::<_, Error>(dropping)
        });
        let dropping = settled(kept.place, opened);
        kept.dropping = Some(dropping.map_err(|why| format!("{why} (is there nf_tables?)"))?);
    }
    Ok(all)
}

/// Refuses if more hold the module than there are namespaces with services. Programs of devices hold it
/// until a while after.
fn nobody_else(with_services: usize) -> Result<(), String> {
    let mut holds = 0;
    for _ in 0..ATTEMPTS {
        holds = ko::holds().unwrap_or(0);
        if holds <= with_services {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(format!(
        "{holds} network namespaces, modules (lsmod) and programs (bpftool prog) use the module, and \
         {with_services} of them are namespaces that can be entered: one without a process or a name would lose all; \
         give it a name, or end what is in it"
    ))
}

/// What was done in a namespace, or why it was not.
fn settled<T, E: Display>(place: &Place, done: std::io::Result<Result<T, E>>) -> Result<T, String> {
    let told = |error: &dyn Display| format!("in the namespace {}: {error}", place.name);
    let done = done.map_err(|error| told(&error))?;
    done.map_err(|error| told(&error))
}

/// From now on packets are dropped; takes what there is.
fn take(all: &mut [Kept<'_>]) -> Result<(), String> {
    for kept in all.iter_mut() {
        if let Some(dropping) = kept.dropping.as_mut() {
            let begun = dropping.begin();
            settled(kept.place, Ok(begun))?;
        }
    }
    for kept in all {
        let Some(client) = kept.client.as_mut() else {
            continue;
        };
        let mut taken = || {
            if !kept.configured.is_current(client)? {
                let read = kept.place.inside(|| Configured::read(client));
                kept.configured = read.map_err(|e| Error::Io("entering it", e))??;
            }
            kept.carried = Carried::take(client)?;
            let mut what = kept.carried.what();
            what.to
                .retain(|address| !kept.configured.what.to.contains(address));
            what.from
                .retain(|address| !kept.configured.what.from.contains(address));
            match &mut kept.dropping {
                Some(dropping) if !what.is_empty() => dropping.add(&what),
                _ => Ok(()),
            }
        };
        let taken = taken();
        settled(kept.place, Ok(taken))?;
        // Nobody holds the module any more.
        kept.client = None;
    }
    Ok(())
}

/// The module that runs goes on as it was.
fn stay(all: &mut [Kept<'_>]) {
    for kept in all {
        let started = kept.place.inside(|| {
            let mut client = Client::connect()?;
            kept.carried.start_daemons(&mut client)
        });
        if let Err(why) = settled(kept.place, started) {
            say(format_args!("rvsadm: warning: daemons: {why}"));
        }
        kept.dropping = None;
    }
}

/// Removes the module that runs, when what it had is in files as well.
fn remove(all: &[Kept<'_>]) -> Result<(), String> {
    if let Err(error) = save(all) {
        say(format_args!(
            "rvsadm: warning: cannot write {SAVED}: {error}"
        ));
    }
    unload().map_err(|why| format!("cannot remove the module: {why}"))
}

/// Loads the new module, or else the old one again.
fn change(
    old: &Ready<'_>,
    new: &Ready<'_>,
    parameters: &str,
    all: &[Kept<'_>],
) -> Result<Restored, Failure> {
    let failed = |reason: String, hint: &str| Failure::new(WHAT, reason, Some(hint));
    let why = match begin(new, parameters, all) {
        Ok(became) => return Ok(became),
        Err(why) => why,
    };
    // If it was loaded, it goes again.
    let _ = unload();
    match begin(old, parameters, all) {
        Ok(_) => {
            let hint = "the old one is back with everything, from its file";
            Err(failed(format!("{}: {why}", new.path().display()), hint))
        }
        Err(other) => {
            let reason = format!("{why}; and the old one: {other}");
            let hint = format!("what there was is in {SAVED}: rvsadm restore, rvsadm conn restore");
            Err(failed(reason, &hint))
        }
    }
}

/// Loads a module and gives it everything.
fn begin(module: &Ready<'_>, parameters: &str, all: &[Kept<'_>]) -> Result<Restored, String> {
    module.load(parameters)?;
    let mut sum = Restored::default();
    for kept in all {
        let given = state::give(kept.place, &kept.configured, &kept.carried);
        let became = settled(kept.place, Ok(given))?;
        sum.full += became.full;
        sum.misfit += became.misfit;
    }
    Ok(sum)
}

/// Removes the module that runs, with its services.
fn unload() -> Result<(), String> {
    for attempt in 0..ATTEMPTS {
        if let Ok(mut client) = Client::connect() {
            // A module that has no services has nothing to let go of.
            let _ = client.execute(&Request::Release);
        }
        match ko::unload(c"rvs") {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::AGAIN) if attempt + 1 < ATTEMPTS => sleep(PAUSE),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("somebody uses it".to_owned())
}

/// Writes what was taken, in case that this program is killed.
fn save(all: &[Kept<'_>]) -> std::io::Result<()> {
    fs::create_dir_all(SAVED)?;
    for (number, kept) in all.iter().enumerate() {
        if kept.carried.records.is_empty() && kept.configured.services == 0 {
            continue;
        }
        let folder = Path::new(SAVED);
        let text = format!(
            "# The namespace: {}\n{}",
            kept.place.name, kept.configured.text
        );
        fs::write(folder.join(format!("{number}.conf")), text)?;
        fs::write(
            folder.join(format!("{number}.conns")),
            file::of(&kept.carried.records),
        )?;
    }
    Ok(())
}
