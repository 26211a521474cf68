// SPDX-License-Identifier: GPL-2.0

//! `rvsadm monitor`.

use std::time::{Duration, Instant};

use clap::Args;
use rvs_netlink::{Event, Events};
use serde::Serialize;

use crate::config::line_of;
use crate::context::Context;
use crate::failure::Failure;
use crate::laddr::pool_name;
use crate::views::{ConfigView, DestView, LocalView, ServiceView};

/// Help on the output.
pub const AFTER_HELP: &str = "\
Example:
  rvsadm monitor --count 1 --timeout 60

Says on standard error when it listens. With --timeout it ends with 0, and with 1 when --count asked
for more than came.

JSON, one document a line: {\"event\":\"service-add\",\"generation\":N,\"service\":{…}}, with \"dest\",
\"laddr\" or \"config\" where it is about one of those, each as in the lists. Events are service-add, service-set, service-del,
dest-add, dest-set, dest-del, dest-drained, laddr-add, laddr-del, config; lost says that some came too fast to be read";

/// How long to listen.
#[derive(Args, Debug)]
pub struct Arguments {
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
}

/// An event as JSON.
#[derive(Serialize)]
struct EventView {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest: Option<DestView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    laddr: Option<LocalView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigView>,
}

/// Does it.
pub fn run(arguments: Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("listen for events", error);
    let mut events = Events::subscribe().map_err(failed)?;
    eprintln!("rvsadm: listening for events");
    let timeout = arguments.timeout.map(u64::from).map(Duration::from_secs);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut seen = 0;
    while arguments.count.is_none_or(|count| seen < count) {
        let Some(event) = events.next(deadline).map_err(failed)? else {
            return timed_out(seen, arguments.count);
        };
        seen += 1;
        if context.json {
            context.print_json(&view(&event))?;
        } else {
            writeln!(context.out, "{}", text(&event))?;
        }
        // Whoever reads wants it now.
        context.out.flush()?;
    }
    Ok(())
}

fn timed_out(seen: u64, wanted: Option<u64>) -> Result<(), Failure> {
    match wanted {
        None => Ok(()),
        Some(wanted) => Err(Failure::new(
            "wait for events",
            format!("{seen} of {wanted} came before the timeout"),
            None,
        )),
    }
}

/// The event for people: `dest-add tcp/203.0.113.10:80 192.0.2.1:80 mode dr weight 1`.
fn text(event: &Event) -> String {
    let mut words = vec![event.name().to_owned()];
    if let Event::Change(reply) = event {
        if let Some(service) = &reply.service {
            words.push(service.id.to_string());
            let scheduler = service.scheduler.as_ref().filter(|_| reply.dest.is_none());
            words.extend(scheduler.map(|name| format!("scheduler {name}")));
        }
        if let Some(dest) = &reply.dest {
            words.push(dest.id.to_string());
            words.extend(dest.mode.map(|mode| format!("mode {}", mode.name())));
            words.extend(dest.weight.map(|weight| format!("weight {weight}")));
        }
        if let Some(address) = reply.laddr {
            if reply.service.is_none() {
                words.push(pool_name(None));
            }
            words.push(address.to_string());
        }
        words.extend(reply.config.as_ref().map(line_of));
    }
    words.join(" ")
}

fn view(event: &Event) -> EventView {
    let mut view = EventView {
        event: event.name(),
        generation: None,
        service: None,
        dest: None,
        laddr: None,
        config: None,
    };
    if let Event::Change(reply) = event {
        view.generation = reply.generation;
        let service_id = reply.service.as_ref().map(|service| service.id);
        view.laddr = reply
            .laddr
            .map(|address| LocalView::new(service_id, address));
        match (&reply.service, &reply.dest) {
            // Of the service the event has the id only, and the part says that.
            _ if view.laddr.is_some() => {}
            (Some(service), Some(dest)) => view.dest = Some(DestView::new(&service.id, dest)),
            (service, _) => view.service = service.as_ref().map(ServiceView::from),
        }
        view.config = reply.config.as_ref().map(ConfigView::from);
    }
    view
}
