// SPDX-License-Identifier: GPL-2.0

//! The text that a scrape is answered with.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{text, DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::families::{self as metrics, counted, Counted, Family, Split, Value};
use crate::reading::{Dest, Reading, Service};

/// What was read of a namespace, or why nothing was.
#[derive(Debug)]
pub struct Scrape {
    /// Its name as a label has it, nothing for the exporter's own.
    pub netns: String,
    pub took: Duration,
    pub reading: Result<Reading, String>,
}

/// All that a scrape tells.
#[derive(Debug)]
pub struct Exposition {
    pub scrapes: Vec<Scrape>,
    /// Version of the module, where it says one.
    pub module: Option<String>,
    pub requests: u64,
    pub refused: u64,
}

/// Labels of a sample, by name and value.
type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Exposition {
    /// The text, as OpenMetrics has it.
    pub fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Namespaces that were read.
    fn readings(&self) -> impl Iterator<Item = (&str, &Reading)> {
        let scrapes = self.scrapes.iter();
        scrapes.filter_map(|scrape| Some((scrape.netns.as_str(), scrape.reading.as_ref().ok()?)))
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let named: Vec<Named<'_>> = self.readings().map(Named::new).collect();
        self.encode_own(&mut encoder)?;
        self.encode_namespaces(&mut encoder)?;
        encode_counters(&mut encoder, &named)?;
        encode_states(&mut encoder, &named)?;
        info(&mut encoder, metrics::SERVICE_INFO, |write| {
            named.iter().try_for_each(|of| {
                of.each_service(|service, mut labels| {
                    labels.push(("scheduler", &service.scheduler));
                    write(&labels)
                })
            })
        })?;
        for split in metrics::SERVICE_TRAFFIC.iter().chain(&metrics::SERVICE) {
            let mut writer = Writer::new(&mut encoder, &split.family)?;
            for of in &named {
                of.each_service(|service, labels| writer.split(split, service, labels))?;
            }
        }
        info(&mut encoder, metrics::DEST_INFO, |write| {
            named.iter().try_for_each(|of| {
                of.each_dest(|dest, mut labels| {
                    labels.push(("mode", dest.mode.map_or("", |mode| mode.name())));
                    write(&labels)
                })
            })
        })?;
        for split in metrics::DEST_TRAFFIC.iter().chain(&metrics::DEST) {
            let mut writer = Writer::new(&mut encoder, &split.family)?;
            for of in &named {
                of.each_dest(|dest, labels| writer.split(split, dest, labels))?;
            }
        }
        Ok(())
    }
}

impl Exposition {
    /// Of the exporter.
    fn encode_own(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        info(encoder, metrics::BUILD, |write| {
            write(&vec![("version", env!("CARGO_PKG_VERSION"))])
        })?;
        if let Some(version) = &self.module {
            info(encoder, metrics::MODULE, |write| {
                write(&vec![("version", version)])
            })?;
        }
        for (family, value) in [
            (metrics::REQUESTS, self.requests),
            (metrics::REFUSED, self.refused),
        ] {
            let encoder =
                encoder.encode_descriptor(family.name, family.help, family.unit, family.kind())?;
            ConstCounter::new(value).encode(encoder)?;
        }
        Ok(())
    }

    /// Of namespaces as a whole.
    fn encode_namespaces(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer::new(encoder, &metrics::UP)?;
        for scrape in &self.scrapes {
            let labels = vec![("netns", scrape.netns.as_str())];
            writer.sample(&labels, scrape.reading.is_ok().into())?;
        }
        let mut writer = Writer::new(encoder, &metrics::DURATION)?;
        for scrape in &self.scrapes {
            let labels = vec![("netns", scrape.netns.as_str())];
            let seconds = ConstGauge::new(scrape.took.as_secs_f64());
            seconds.encode(writer.encoder.encode_family(&labels)?)?;
        }
        let figures: [(Family, Value<Reading>); 3] = [
            (metrics::CHANGES, |of| of.generation.map(u64::from)),
            (metrics::LIMIT, |of| {
                (of.conn_max > 0).then_some(of.conn_max)
            }),
            (metrics::OMITTED, |of| Some(of.omitted)),
        ];
        for (family, figure) in figures {
            let mut writer = Writer::new(encoder, &family)?;
            for (netns, reading) in self.readings() {
                if let Some(value) = figure(reading) {
                    writer.sample(&vec![("netns", netns)], value)?;
                }
            }
        }
        for split in &metrics::TRAFFIC {
            let mut writer = Writer::new(encoder, &split.family)?;
            for (netns, reading) in self.readings() {
                writer.split(split, &reading.traffic, vec![("netns", netns)])?;
            }
        }
        Ok(())
    }
}

/// The module's counters.
fn encode_counters(encoder: &mut DescriptorEncoder<'_>, named: &[Named<'_>]) -> fmt::Result {
    let Some(first) = named.first() else {
        return Ok(());
    };
    let entries: Vec<_> = named
        .iter()
        .map(|of| of.reading.counters.entries())
        .collect();
    let places = first.reading.counters.entries().into_iter().enumerate();
    let places: Vec<_> = places.map(|(at, (name, _))| (at, counted(name))).collect();
    let values = |at: usize| {
        let all = named.iter().zip(&entries);
        all.filter_map(move |(of, entries)| Some((of.netns, entries.get(at)?.1)))
    };
    let mut writer = Writer::new(encoder, &metrics::DROPPED)?;
    for (at, counted) in &places {
        if let Counted::Reason(reason) = counted {
            for (netns, value) in values(*at) {
                writer.sample(&vec![("netns", netns), ("reason", reason)], value)?;
            }
        }
    }
    for (at, counted) in &places {
        if let Counted::Own(name, help, grows) = counted {
            let mut writer = Writer::named(encoder, name, help, *grows)?;
            for (netns, value) in values(*at) {
                writer.sample(&vec![("netns", netns)], value)?;
            }
        }
    }
    Ok(())
}

/// Connections by state.
fn encode_states(encoder: &mut DescriptorEncoder<'_>, named: &[Named<'_>]) -> fmt::Result {
    let mut writer = Writer::new(encoder, &metrics::STATES)?;
    for of in named {
        for (state, number) in of.reading.states.entries() {
            writer.sample(&vec![("netns", of.netns), ("state", state)], number)?;
        }
    }
    Ok(())
}

/// A namespace's services and dests with their names, which each metric repeats.
struct Named<'a> {
    netns: &'a str,
    reading: &'a Reading,
    services: Vec<String>,
    dests: Vec<String>,
}

impl<'a> Named<'a> {
    fn new((netns, reading): (&'a str, &'a Reading)) -> Self {
        Self {
            netns,
            reading,
            services: reading.services.iter().map(|s| s.id.to_string()).collect(),
            dests: reading.dests.iter().map(|d| d.id.to_string()).collect(),
        }
    }

    fn each_service<'b>(
        &'b self,
        mut write: impl FnMut(&'b Service, Labels<'b>) -> fmt::Result,
    ) -> fmt::Result {
        let mut services = self.reading.services.iter().zip(&self.services);
        services.try_for_each(|(service, name)| {
            write(service, vec![("netns", self.netns), ("service", name)])
        })
    }

    fn each_dest<'b>(
        &'b self,
        mut write: impl FnMut(&'b Dest, Labels<'b>) -> fmt::Result,
    ) -> fmt::Result {
        let mut dests = self.reading.dests.iter().zip(&self.dests);
        dests.try_for_each(|(dest, name)| {
            let service = self.services.get(dest.service).map_or("", String::as_str);
            let labels = vec![("netns", self.netns), ("service", service), ("dest", name)];
            write(dest, labels)
        })
    }
}

/// Writes the samples of a family.
struct Writer<'a> {
    encoder: MetricEncoder<'a>,
    is_counter: bool,
}

impl<'a> Writer<'a> {
    fn new(encoder: &'a mut DescriptorEncoder<'_>, family: &'a Family) -> Result<Self, fmt::Error> {
        let kind = family.kind();
        Ok(Self {
            encoder: encoder.encode_descriptor(family.name, family.help, family.unit, kind)?,
            is_counter: family.is_counter,
        })
    }

    fn named(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &'static str,
        is_counter: bool,
    ) -> Result<Self, fmt::Error> {
        let family = if is_counter {
            Family::counter("", help)
        } else {
            Family::gauge("", help)
        };
        Ok(Self {
            encoder: encoder.encode_descriptor(name, help, None, family.kind())?,
            is_counter,
        })
    }

    fn sample(&mut self, labels: &Labels<'_>, value: u64) -> fmt::Result {
        let encoder = self.encoder.encode_family(labels)?;
        if self.is_counter {
            ConstCounter::new(value).encode(encoder)
        } else {
            // Gauges are signed; none of these is that large.
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
        }
    }

    /// All values of a split, of those that there are.
    fn split<T>(&mut self, split: &Split<T>, of: &T, mut labels: Labels<'_>) -> fmt::Result {
        let length = labels.len();
        for (part, value) in split.values {
            let Some(value) = value(of) else {
                continue;
            };
            labels.truncate(length);
            if !split.label.is_empty() {
                labels.push((split.label, part));
            }
            self.sample(&labels, value)?;
        }
        Ok(())
    }
}

/// Writes a family whose labels are what it tells.
fn info(
    encoder: &mut DescriptorEncoder<'_>,
    family: Family,
    each: impl FnOnce(&mut dyn FnMut(&Labels<'_>) -> fmt::Result) -> fmt::Result,
) -> fmt::Result {
    let mut writer = Writer::new(encoder, &family)?;
    each(&mut |labels| writer.sample(labels, 1))
}

/// A text as the value of a label has it, which the encoder leaves to us.
pub fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The same as the older text of Prometheus has it, for who does not ask for OpenMetrics: there the
/// names of counters end in `_total` everywhere, and there are no units.
pub fn as_prometheus(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            let end = if kind == "counter" { "_total" } else { "" };
            if let Some(help) = help.take() {
                text.push_str(&format!("# HELP {name}{end} {help}\n"));
            }
            text.push_str(&format!("# TYPE {name}{end} {kind}\n"));
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}
