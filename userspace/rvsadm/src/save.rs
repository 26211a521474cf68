// SPDX-License-Identifier: GPL-2.0

//! `rvsadm save`.

use rvs_engine::spec::DestSpec;
use rvs_netlink::{Config, Error};
use serde::Serialize;

use crate::config;
use crate::context::Context;
use crate::failure::Failure;
use crate::lines::{dest_line, service_line, settings_line};
use crate::snapshot::Snapshot;
use crate::views::{ConfigView, DestView, ServiceView, ServiceWithDests};

/// Help on the format.
pub const AFTER_HELP: &str = "\
Example:
  rvsadm save > /etc/rvs.conf

Services and dests are lines of ipvsadm-save -n:
  -A -t 203.0.113.10:443 -s wrr
  -a -t 203.0.113.10:443 -r 192.0.2.1:443 -g -w 2
ipvsadm's lines have no place for the namespace's settings. They are a last line that is a comment
to ipvsadm-restore, with the options of rvsadm config set:
  #rvsadm config --tcp-timeout established=900,… --udp-timeout 300 …

JSON: {\"services\":[{\"service\":{…},\"dests\":[{…}]}],\"config\":{…}}, each as in the lists;
restore reads the lines only";

/// Everything as JSON.
#[derive(Serialize)]
struct Document {
    services: Vec<ServiceWithDests>,
    config: ConfigView,
}

/// Does it.
pub fn run(context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::kernel("save the configuration", error);
    let snapshot = Snapshot::read(context.kernel).map_err(failed)?;
    let settings = config::read(context.kernel).map_err(failed)?;
    if context.json {
        let document = document(&snapshot, &settings);
        return context.print_json(&document);
    }
    // Nothing is printed of a configuration that cannot be saved as a whole.
    for line in lines(&snapshot, &settings)? {
        writeln!(context.out, "{line}")?;
    }
    Ok(())
}

/// The lines of a configuration.
pub fn lines(snapshot: &Snapshot, settings: &Config) -> Result<Vec<String>, Failure> {
    let missing = |what| Failure::kernel("save the configuration", Error::Missing(what));
    let mut lines = Vec::new();
    for running in &snapshot.services {
        let id = &running.service.id;
        let scheduler = running.service.scheduler.as_deref();
        lines.push(service_line(
            id,
            scheduler.ok_or_else(|| missing("scheduler"))?,
        ));
        for dest in &running.dests {
            let spec = DestSpec {
                mode: dest.mode.ok_or_else(|| missing("mode"))?,
                weight: dest.weight.ok_or_else(|| missing("weight"))?,
            };
            let line = dest_line(id, &dest.id, &spec).ok_or_else(|| {
                Failure::new(
                    "save the configuration",
                    format!("dest {} has mode {}", dest.id, spec.mode.name()),
                    Some("ipvsadm's lines cannot say that mode"),
                )
            })?;
            lines.push(line);
        }
    }
    if !settings.is_empty() {
        lines.push(settings_line(settings));
    }
    Ok(lines)
}

fn document(snapshot: &Snapshot, settings: &Config) -> Document {
    let services = snapshot.services.iter().map(|running| {
        let dests = running.dests.iter();
        ServiceWithDests {
            service: ServiceView::from(&running.service),
            dests: dests
                .map(|dest| DestView::new(&running.service.id, dest))
                .collect(),
        }
    });
    Document {
        services: services.collect(),
        config: ConfigView::from(settings),
    }
}
