// SPDX-License-Identifier: GPL-2.0

//! conn-record, template-record, count-record and record-restore: what a namespace has besides its
//! configuration, as bytes that outlive the module.

use core::ops::ControlFlow;

use kernel::error::{
    code::{EINVAL, EMSGSIZE},
    Error, Result,
};

use super::decode::Decoder;
use super::generated::{cmd, main, restored};
use super::namespace::{dumped, namespace};
use super::walk::{self, Place as Passed, Walk};
use super::{encode, policy};
use crate::engine::record::{Fault, Record, MAX};
use crate::engine::record::{Template, VERSION};
use crate::engine::{persistence, spec::ServiceId};
use crate::kapi::genl::{
    Attr, AttrPolicy, Doit, DumpWriter, Dumpit, Full, Place, Progress, Request, Writer,
};
use crate::kapi::work;
use crate::table::{ConnCursor, Service, TemplateCursor, TemplateView, RESTORED};

// Each is told by its number.
const _: [(); restored::MAX as usize] = [(); RESTORED];

/// Puts a record into a message.
#[inline(never)] // For the frame of who has more to put.
fn put(w: &mut Writer<'_>, record: &Record<'_>) -> Result<(), Full> {
    let mut room = [0; MAX];
    match record.write(&mut room) {
        Some(bytes) => w.bytes(main::RECORD, bytes),
        None => Ok(()),
    }
}

/// conn-record.
pub(super) struct Connections;

impl Dumpit for Connections {
    const CMD: u8 = cmd::CONN_RECORD;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::CONN_RECORD);
    type State = ConnCursor;

    fn start(_request: &Request<'_>) -> Result<ConnCursor> {
        Ok(ConnCursor::default())
    }

    /// One message a buffer. A resize moves connections between chains: the next message then says
    /// that the dump is not consistent.
    fn dump(
        request: &Request<'_>,
        cursor: &mut ConnCursor,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let netns = namespace(request)?;
        let before = netns.connections.resizes();
        out.set_generation(before);
        let (mut progress, start) = (Progress::More, *cursor);
        let made = out.message(cmd::CONN_RECORD, |w| {
            loop {
                let mut full = false;
                let (next, resizes) = netns.records(*cursor, |connection| {
                    full = put(w, &Record::Connection(connection)).is_err();
                    match full {
                        false => ControlFlow::Continue(()),
                        true => ControlFlow::Break(()),
                    }
                });
                if resizes != before {
                    // From the start of this buffer, once the next one has said so.
                    *cursor = start;
                    return Ok(());
                }
                let Some(next) = next else {
                    progress = Progress::Done;
                    return Ok(());
                };
                *cursor = next;
                if full {
                    return Ok(());
                }
                work::give_way();
            }
        });
        made.map_err(|_| EMSGSIZE)?;
        Ok(progress)
    }
}

/// template-record.
pub(super) struct Templates;

impl Dumpit for Templates {
    const CMD: u8 = cmd::TEMPLATE_RECORD;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::TEMPLATE_RECORD);
    type State = Walk<TemplateCursor>;

    fn start(request: &Request<'_>) -> Result<Walk<TemplateCursor>> {
        Walk::new(request)
    }

    fn dump(
        request: &Request<'_>,
        walk: &mut Walk<TemplateCursor>,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let (config, _) = dumped(request, out)?;
        let find = |id: &ServiceId| config.service(id);
        let name = |service: &&Service| walk::name(&service.id());
        let mut progress = Progress::Done;
        let made = out.message(cmd::TEMPLATE_RECORD, |w| {
            progress = walk.on(find, config.services(), name, |service, cursor| {
                templates_of(w, service, cursor)
            });
            Ok(())
        });
        made.map_err(|_| EMSGSIZE)?;
        Ok(progress)
    }
}

/// Those of one service from the cursor on.
fn templates_of(w: &mut Writer<'_>, service: &Service, cursor: &mut TemplateCursor) -> Progress {
    let id = service.id();
    let rest = service.list_templates(*cursor, |view| match template(w, id, view) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    match rest {
        Some(rest) => {
            *cursor = rest;
            Progress::More
        }
        None => Progress::Done,
    }
}

fn template(w: &mut Writer<'_>, service: ServiceId, view: &TemplateView) -> Result<(), Full> {
    let record = Template {
        service,
        network: persistence::address(view.network, service.is_ipv6()),
        call: view.call_id(),
        dest: view.dest,
        mode: view.mode,
        left: view.expires_ms,
        assured: view.assured,
    };
    put(w, &Record::Template(record))
}

/// count-record.
pub(super) struct Counts;

impl Dumpit for Counts {
    const CMD: u8 = cmd::COUNT_RECORD;
    const POLICY: &'static [AttrPolicy] = &policy::of_dump(cmd::COUNT_RECORD);
    type State = Walk<Passed>;

    fn start(request: &Request<'_>) -> Result<Walk<Passed>> {
        Walk::new(request)
    }

    fn dump(
        request: &Request<'_>,
        walk: &mut Walk<Passed>,
        out: &mut DumpWriter<'_>,
    ) -> Result<Progress> {
        let (config, _) = dumped(request, out)?;
        let find = |id: &ServiceId| config.service(id);
        let name = |service: &&Service| walk::name(&service.id());
        let mut progress = Progress::More;
        let made = out.message(cmd::COUNT_RECORD, |w| {
            progress = walk.on(find, config.services(), name, |service, passed| {
                counts_of(w, service, passed)
            });
            Ok(())
        });
        made.map_err(|_| EMSGSIZE)?;
        if progress == Progress::More {
            return Ok(Progress::More);
        }
        let last = config.counts();
        // Both or none, as they would be added twice.
        let made = out.message(cmd::COUNT_RECORD, |w| {
            let mut all = last.into_iter().map(Record::Counts);
            all.try_for_each(|record| put(w, &record))
        });
        Ok(made.map_or(Progress::More, |()| Progress::Done))
    }
}

/// Those of one service: its dests', then its own.
fn counts_of(w: &mut Writer<'_>, service: &Service, passed: &mut Passed) -> Progress {
    let name = |member: &&crate::table::Member| walk::name(&member.dest().id());
    let dests = walk::each(service.dests().iter(), passed, name, |member| {
        put(w, &Record::Counts(member.counts()))
    });
    match dests {
        Progress::Done if put(w, &Record::Counts(service.counts())).is_ok() => Progress::Done,
        _ => Progress::More,
    }
}

/// record-restore.
pub(super) struct Restore;

impl Doit for Restore {
    const CMD: u8 = cmd::RECORD_RESTORE;
    const POLICY: &'static [AttrPolicy] = &policy::of_do(cmd::RECORD_RESTORE);

    fn doit(request: &Request<'_>) -> Result {
        // Whatever may be refused comes before the first that is made again.
        for attr in records(request) {
            read(request, attr)?;
        }
        let counts = restore(request)?;
        namespace(request)?.make_room();
        request.reply(cmd::RECORD_RESTORE, encode::RESTORED_SIZE, |w| {
            encode::restored(w, &counts)
        })
    }
}

#[inline(never)] // For the frame of who answers.
fn restore(request: &Request<'_>) -> Result<[u64; RESTORED]> {
    let netns = namespace(request)?;
    let mut counts = [0u64; RESTORED];
    let mut config = netns.config();
    for attr in records(request) {
        let became = netns.restore(&mut config, &read(request, attr)?);
        if let Some(count) = counts.get_mut(became as usize) {
            *count = count.wrapping_add(1);
        }
        work::give_way();
    }
    Ok(counts)
}

fn records<'a>(request: &Request<'a>) -> impl Iterator<Item = Attr<'a>> {
    let attrs = request.attrs();
    attrs.filter(|attr| attr.kind() == main::RECORD)
}

#[inline(never)] // For the frame of who has more to do.
fn read<'a>(request: &Request<'a>, attr: Attr<'a>) -> Result<Record<'a>> {
    match Record::read(attr.payload()) {
        Ok(record) => Ok(record),
        Err(fault) => Err(refuse(request, attr, fault)),
    }
}

#[cold]
#[inline(never)] // As above.
fn refuse<'a>(request: &Request<'a>, attr: Attr<'a>, fault: Fault) -> Error {
    let decoder = Decoder::new(request);
    let place = Place::Attr(attr);
    match fault {
        Fault::Version(version) => decoder.refuse(
            EINVAL,
            place,
            format_args!("a record of version {version}, this module has {VERSION}"),
        ),
        Fault::Kind(kind) => decoder.refuse(
            EINVAL,
            place,
            format_args!("a record of kind {kind}, which this module does not know"),
        ),
        Fault::Length => decoder.refuse(
            EINVAL,
            place,
            format_args!("a record that is not as long as what it says"),
        ),
        Fault::Content => decoder.refuse(
            EINVAL,
            place,
            format_args!("a record that says what cannot be"),
        ),
    }
}
