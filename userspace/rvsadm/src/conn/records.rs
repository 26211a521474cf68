// SPDX-License-Identifier: GPL-2.0

//! `rvsadm conn save` and `rvsadm conn restore`.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rvs_engine::record::{Fault, Record, VERSION};
use rvs_netlink::{Error, Records, Request, Transport};
use schemars::JsonSchema;
use serde::Serialize;

use super::file;
use crate::context::Context;
use crate::failure::Failure;
use crate::whole;

/// Help on what is saved.
pub const SAVE_HELP: &str = "\
The file is binary, has a checksum, and is written as a whole. It has of each connection what another module
needs to go on with it: its state and the time that it has left, with mode fullnat its local address and port and
how its sequence numbers and timestamps are moved. Services and settings are saved by rvsadm save, and restored
ahead of it. Packets that come meanwhile may change what is saved already.
JSON, but for -: {\"connections\":N,\"templates\":N}";

/// Help on what becomes of what was saved.
pub const RESTORE_HELP: &str = "\
Connections that are there stay as they are. Those whose dest is not configured wait for it, as if it had been
removed: until it is added, the service's setting for removed dests says what becomes of their packets. A file of
another version, cut short or changed is refused before anything is made.
JSON: {\"new\":N,\"held\":N,\"known\":N,\"full\":N,\"misfit\":N}: those that are there again, that wait for their
dest, that were there already, that had no room (conn-max, memory), that their dest or service is not for";

/// Bytes of records in one request, about: as many as most sockets take without asking.
const PART: usize = 128 << 10;

/// Attempts at a list that the table's growth interrupts.
const ATTEMPTS: u32 = 8;

/// What was saved, as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConnectionsSaved")]
pub struct Saved {
    connections: u64,
    templates: u64,
}

/// What became of it, as JSON.
#[derive(Clone, Copy, Default, JsonSchema, Serialize)]
#[schemars(rename = "ConnectionsRestored")]
pub struct Restored {
    /// Connections and templates that are there again.
    pub new: u64,
    /// Connections that are there again and wait for their dest.
    pub held: u64,
    /// Those that were there.
    pub known: u64,
    /// Those that there was no room for.
    pub full: u64,
    /// Those whose dest or service is not for them.
    pub misfit: u64,
}

/// Saves them.
pub fn save(path: &Path, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!("save connections into {}", path.display());
    let failed = |error| Failure::kernel(what.as_str(), error);
    let mut records = read(context.kernel, &Request::ConnRecords).map_err(failed)?;
    let connections = records.len();
    let templates = read(context.kernel, &Request::TemplateRecords).map_err(failed)?;
    records.append(&templates);
    let bytes = file::of(&records);
    if path == Path::new("-") {
        return Ok(context.out.write_all(&bytes)?);
    }
    whole::replace(path, &bytes).map_err(|error| {
        let hint = "what the file had it still has";
        Failure::new(what, format!("cannot write it: {error}"), Some(hint))
    })?;
    let saved = Saved {
        connections,
        templates: templates.len(),
    };
    if context.json {
        return context.print_json(&saved);
    }
    Ok(writeln!(
        context.out,
        "saved: {} connections, {} templates",
        saved.connections, saved.templates
    )?)
}

/// Makes them again.
pub fn restore(path: &Path, context: &mut Context<'_>) -> Result<(), Failure> {
    let what = format!("restore connections from {}", path.display());
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes =
        bytes.map_err(|error| Failure::new(&what, format!("cannot read it: {error}"), None))?;
    let records = file::read(&bytes).and_then(checked);
    let records = records.map_err(|reason| {
        let hint = "nothing was restored; such files are written by: rvsadm conn save FILE";
        Failure::new(&what, reason, Some(hint))
    })?;
    let became = put(context.kernel, &records).map_err(|error| Failure::kernel(&what, error))?;
    if context.json {
        return context.print_json(&became);
    }
    write!(context.out, "restored: {}", became.new + became.held)?;
    for (number, so) in [
        (became.held, "wait for a dest that is not configured"),
        (became.known, "were there already"),
        (became.full, "had no room (conn-max, or memory)"),
        (became.misfit, "have no service or dest that takes them"),
    ] {
        if number > 0 {
            write!(context.out, "; {number} {so}")?;
        }
    }
    Ok(writeln!(context.out)?)
}

/// The same records, where all of them say something that can be: none is made before that is known.
fn checked(records: Records) -> Result<Records, String> {
    for (number, record) in (1_u64..).zip(records.iter()) {
        let why = match Record::read(record) {
            Ok(_) => continue,
            Err(Fault::Version(version)) => {
                format!("is of version {version}, this rvsadm reads version {VERSION}")
            }
            Err(Fault::Kind(kind)) => format!("is of kind {kind}, which there is none"),
            Err(Fault::Length) => "is not as long as what it says".to_owned(),
            Err(Fault::Content) => "says what cannot be".to_owned(),
        };
        return Err(format!("record {number} of {} {why}", records.len()));
    }
    Ok(records)
}

/// All records of a kind.
pub fn read(kernel: &mut dyn Transport, request: &Request) -> Result<Records, Error> {
    for attempt in 1..=ATTEMPTS {
        let mut records = Records::default();
        let read = kernel.call(request, &mut |reply| {
            records.append(&reply.records);
            Ok(())
        });
        match read {
            Err(Error::Interrupted { .. }) if attempt < ATTEMPTS => {
                sleep(Duration::from_millis(10 << attempt));
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(records),
        }
    }
    Err(Error::Interrupted { attempts: ATTEMPTS })
}

/// Has the kernel make again what they are of.
pub fn put(kernel: &mut dyn Transport, records: &Records) -> Result<Restored, Error> {
    let mut sum = Restored::default();
    for part in records.parts(PART) {
        kernel.call(&Request::RecordRestore(part), &mut |reply| {
            let became = reply.restored.unwrap_or_default();
            sum.new += became.new;
            sum.held += became.held;
            sum.known += became.known;
            sum.full += became.full;
            sum.misfit += became.misfit;
            Ok(())
        })?;
    }
    Ok(sum)
}
