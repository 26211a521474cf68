// SPDX-License-Identifier: GPL-2.0

//! `rvsadm config`.

use clap::{Args, Parser, Subcommand};
use rvs_engine::conntrack::Conntrack;
use rvs_engine::defence::When;
use rvs_engine::echo::Echo;
use rvs_engine::places::Places;
use rvs_engine::portpool::PortRange;
use rvs_engine::proto::State;
use rvs_engine::spec::ConnReuse;
use rvs_engine::spec::{
    validate_drop_rate, validate_local_ports, validate_timeout, validate_toa_kind,
};
use rvs_netlink::{Config, Error, Lists, Request, Transport};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{cell, Table};
use crate::units;
use crate::values;
use crate::views::ConfigView;

const SET_HELP: &str = "\
Examples:
  rvsadm config set --tcp-timeout established=900,fin-wait=120 --udp-timeout 300
  rvsadm config set --expire-nodest on

TCP states:
  none, established, syn-sent, syn-recv, fin-wait, time-wait, close, close-wait, last-ack,
  listen, synack";

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the settings
    #[command(after_help = "\
JSON: {\"tcp_timeouts\":{\"established\":N,…},\"udp_timeout\":N,\"conn_max\":N,\"conn_max_others\":N,\"expire_nodest\":\"off\",\"expire_quiesced\":\"off\",\
\"local_port_min\":N,\"local_port_max\":N,\"toa\":\"254\",\"sloppy_tcp\":B,\"conn_reuse\":\"closed\",\"nat_as_fullnat\":B,\"drop_entry\":S,\
\"drop_packet\":S,\"drop_rate\":N,\"memory_min\":N,\"cache_bypass\":B,\"echo\":\"host\",\"places\":\"early\",\"conntrack\":\"off\"}")]
    Show,
    /// Change settings; what is not given stays
    #[command(after_help = SET_HELP)]
    Set(Settings),
}

/// The settings of a command line.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct Settings {
    /// Seconds of silence after which a TCP connection in a state expires
    #[arg(long, value_name = "STATE=SECONDS", value_delimiter = ',', value_parser = values::timeout)]
    tcp_timeout: Vec<(State, u32)>,
    /// Seconds of silence after which a UDP flow expires
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    udp_timeout: Option<u32>,
    /// Connections the namespace may hold; 0 is no limit but memory
    #[arg(long, value_name = "N", value_parser = units::count)]
    conn_max: Option<u64>,
    /// Connections each other namespace may hold, 0 for no limit; only on the host itself
    #[arg(long, value_name = "N", value_parser = units::count)]
    conn_max_others: Option<u64>,
    /// Whether connections of a removed dest end at their next packet: on or off
    #[arg(long, value_name = "ON|OFF", value_parser = values::switch)]
    expire_nodest: Option<bool>,
    /// Whether UDP flows of a dest of weight 0 go elsewhere at their next packet: on or off
    #[arg(long, value_name = "ON|OFF", value_parser = values::switch)]
    expire_quiesced: Option<bool>,
    /// Ports that local addresses are used with, for fullnat
    #[arg(long, value_name = "MIN-MAX", value_parser = local_ports)]
    local_ports: Option<PortRange>,
    /// Kind of the TCP option that tells a fullnat dest the client's address: off, or up to 254
    #[arg(long, value_name = "off|KIND", value_parser = toa_kind)]
    toa: Option<u8>,
    /// Whether any TCP packet but a reset begins a connection: on or off
    #[arg(long, value_name = "ON|OFF", value_parser = values::switch)]
    sloppy_tcp: Option<bool>,
    /// When a SYN on a connection's ports opens another: off, closed (TIME_WAIT, CLOSE), closing
    #[arg(long, value_name = "WHEN", value_parser = conn_reuse)]
    conn_reuse: Option<ConnReuse>,
    /// Whether dests that ipvsadm or keepalived add as masqueraded are fullnat: on or off
    #[arg(long, value_name = "ON|OFF", value_parser = values::switch)]
    nat_as_fullnat: Option<bool>,
    /// Whether flows of services by mark that find no dest go where they are to: on or off
    #[arg(long, value_name = "ON|OFF", value_parser = values::switch)]
    cache_bypass: Option<bool>,
    /// Who answers ICMP echo requests to an address that has a service: host, answer (the
    /// director, also where the address is not its own) or balance (a dr or tun dest)
    #[arg(long, value_name = "WHO", value_parser = echo)]
    echo: Option<Echo>,
    /// Where packets are taken: early, or where ip_vs takes them, behind the rules of INPUT
    #[arg(long, value_name = "early|ip_vs", value_parser = places)]
    places: Option<Places>,
    /// Whether the host tracks new connections as with ip_vs, at ip_vs's places; fast takes packets of
    /// established flows early all the same, but for one each half second
    #[arg(long, value_name = "off|on|fast", value_parser = conntrack)]
    conntrack: Option<Conntrack>,
    /// When connections that were not answered end early: off, auto (memory is short) or on
    #[arg(long, value_name = "off|auto|on", value_parser = values::when)]
    drop_entry: Option<When>,
    /// When some new flows are dropped: off, auto (memory is short) or on
    #[arg(long, value_name = "off|auto|on", value_parser = values::when)]
    drop_packet: Option<When>,
    /// Of how many new flows one is dropped, with --drop-packet on
    #[arg(long, value_name = "N")]
    drop_rate: Option<u32>,
    /// Free memory below which it is short, in MiB
    #[arg(long, value_name = "MIB")]
    memory_min: Option<u32>,
}

/// Reads `closed`.
fn conn_reuse(text: &str) -> Result<ConnReuse, String> {
    ConnReuse::from_name(text).ok_or_else(|| "it is off, closed or closing".to_owned())
}

/// Reads `host`.
fn echo(text: &str) -> Result<Echo, String> {
    Echo::from_name(text).ok_or_else(|| "it is host, answer or balance".to_owned())
}

/// Reads `early`.
fn conntrack(text: &str) -> Result<Conntrack, String> {
    Conntrack::from_name(text).ok_or_else(|| "it is off, on or fast".to_owned())
}

fn places(text: &str) -> Result<Places, String> {
    Places::from_name(text).ok_or_else(|| "it is early or ip_vs".to_owned())
}

/// Reads `off` or `254`.
fn toa_kind(text: &str) -> Result<u8, String> {
    match text {
        "off" => Ok(0),
        _ => text
            .parse()
            .ok()
            .filter(|kind| *kind != 0)
            .ok_or_else(|| "it is off, or the kind of an option, like 254".to_owned()),
    }
}

/// Reads `5000-65535`.
fn local_ports(text: &str) -> Result<PortRange, String> {
    let number = |text: &str| text.parse::<u16>().ok();
    text.split_once('-')
        .and_then(|(first, last)| {
            Some(PortRange {
                first: number(first)?,
                last: number(last)?,
            })
        })
        .ok_or_else(|| "it is MIN-MAX, like 5000-65535".to_owned())
}

impl Settings {
    /// The settings, checked; what is wrong as text and hint.
    fn into_config(self) -> Result<Config, rvs_engine::spec::SpecError> {
        let mut config = Config {
            udp_timeout: self.udp_timeout,
            conn_max: self.conn_max,
            conn_max_others: self.conn_max_others,
            expire_nodest: self.expire_nodest,
            expire_quiesced: self.expire_quiesced,
            local_port_min: self.local_ports.map(|ports| ports.first),
            local_port_max: self.local_ports.map(|ports| ports.last),
            toa_kind: self.toa,
            sloppy_tcp: self.sloppy_tcp,
            conn_reuse: self.conn_reuse,
            nat_as_fullnat: self.nat_as_fullnat,
            drop_entry: self.drop_entry,
            drop_packet: self.drop_packet,
            drop_rate: self.drop_rate,
            memory_min: self.memory_min,
            cache_bypass: self.cache_bypass,
            echo: self.echo,
            places: self.places,
            conntrack: self.conntrack,
            ..Config::default()
        };
        for (state, seconds) in self.tcp_timeout {
            validate_timeout(seconds)?;
            // The spec has all states that the argument may name.
            let _ = config.tcp_timeouts.set(state.name(), seconds);
        }
        self.toa.map_or(Ok(()), validate_toa_kind)?;
        self.drop_rate.map_or(Ok(()), validate_drop_rate)?;
        self.local_ports.map_or(Ok(()), validate_local_ports)?;
        self.udp_timeout.map_or(Ok(()), validate_timeout)?;
        Ok(config)
    }
}

/// Settings as a line of a file has them.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// Why a line of a file holds no settings.
pub enum LineError {
    /// It cannot be read.
    Usage(String),
    /// It breaks a rule.
    Spec(rvs_engine::spec::SpecError),
}

/// What is wrong with a line of a file: usage and hints of a whole program do not help there.
pub fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.trim_start_matches("error: ").to_owned()
}

/// Reads the words of a line as [`line_of`] makes it.
pub fn parse_line(words: &[&str]) -> Result<Config, LineError> {
    let line = Line::try_parse_from(words);
    let line = line.map_err(|error| LineError::Usage(first_line(&error)))?;
    line.settings.into_config().map_err(LineError::Spec)
}

/// The options of `config set` that make these settings.
pub fn line_of(config: &Config) -> String {
    let timeouts = config.tcp_timeouts.iter();
    let timeouts: Vec<_> = timeouts.map(|(s, n)| format!("{s}={n}")).collect();
    let parts = [
        (!timeouts.is_empty()).then(|| format!("--tcp-timeout {}", timeouts.join(","))),
        config.udp_timeout.map(|n| format!("--udp-timeout {n}")),
        config.conn_max.map(|n| format!("--conn-max {n}")),
        (config.conn_max_others).map(|n| format!("--conn-max-others {n}")),
        switch("--expire-nodest", config.expire_nodest),
        switch("--expire-quiesced", config.expire_quiesced),
        config
            .local_port_min
            .zip(config.local_port_max)
            .map(|(min, max)| format!("--local-ports {min}-{max}")),
        config.toa_kind.map(|kind| format!("--toa {}", toa(kind))),
        switch("--sloppy-tcp", config.sloppy_tcp),
        config
            .conn_reuse
            .map(|reuse| format!("--conn-reuse {}", reuse.name())),
        switch("--nat-as-fullnat", config.nat_as_fullnat),
        config
            .drop_entry
            .map(|when| format!("--drop-entry {}", when.name())),
        config
            .drop_packet
            .map(|when| format!("--drop-packet {}", when.name())),
        config.drop_rate.map(|n| format!("--drop-rate {n}")),
        config.memory_min.map(|n| format!("--memory-min {n}")),
        switch("--cache-bypass", config.cache_bypass),
        config.echo.map(|echo| format!("--echo {}", echo.name())),
        config
            .places
            .map(|places| format!("--places {}", places.name())),
        config
            .conntrack
            .map(|conntrack| format!("--conntrack {}", conntrack.name())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn switch(option: &str, is_on: Option<bool>) -> Option<String> {
    is_on.map(|on| format!("{option} {}", on_off(on)))
}

fn on_off(on: bool) -> &'static str {
    if on {
        "on"
    } else {
        "off"
    }
}

/// An option kind as an argument has it.
fn toa(kind: u8) -> String {
    match kind {
        0 => "off".to_owned(),
        kind => kind.to_string(),
    }
}

/// Reads the running settings.
pub fn read(kernel: &mut dyn Transport) -> Result<Config, Error> {
    let reply = kernel.one(&Request::ConfigGet)?;
    reply.config.ok_or(Error::Missing("config"))
}

/// Does it.
pub fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Show => {
            let config = read(context.kernel);
            let config = config.map_err(|error| Failure::kernel("show settings", error))?;
            context.print(&ConfigView::from(&config), table)
        }
        Command::Set(settings) => {
            let what = "change settings";
            let config = settings
                .into_config()
                .map_err(|error| Failure::spec(what, error))?;
            context.change(what, &Request::ConfigSet(config))
        }
    }
}

fn table(config: &ConfigView) -> Table {
    let mut table = Table::new(&["SETTING"], &["VALUE"]);
    for (state, seconds) in &config.tcp_timeouts.0 {
        table.row([format!("tcp-timeout {state}"), format!("{seconds} s")]);
    }
    let udp = config.udp_timeout.map(|seconds| format!("{seconds} s"));
    table.row(["udp-timeout".to_owned(), cell(udp)]);
    let limit = |n| match n {
        0 => "no limit".to_owned(),
        n => n.to_string(),
    };
    table.row(["conn-max".to_owned(), cell(config.conn_max.map(limit))]);
    if let Some(others) = config.conn_max_others {
        table.row(["conn-max-others".to_owned(), limit(others)]);
    }
    table.row(["expire-nodest".to_owned(), cell(config.expire_nodest)]);
    table.row(["expire-quiesced".to_owned(), cell(config.expire_quiesced)]);
    let ports = config.local_port_min.zip(config.local_port_max);
    let ports = ports.map(|(min, max)| format!("{min}-{max}"));
    table.row(["local-ports".to_owned(), cell(ports)]);
    table.row(["toa".to_owned(), cell(config.toa.as_ref())]);
    table.row(["sloppy-tcp".to_owned(), cell(config.sloppy_tcp.map(on_off))]);
    table.row(["conn-reuse".to_owned(), cell(config.conn_reuse)]);
    table.row([
        "nat-as-fullnat".to_owned(),
        cell(config.nat_as_fullnat.map(on_off)),
    ]);
    table.row([
        "cache-bypass".to_owned(),
        cell(config.cache_bypass.map(on_off)),
    ]);
    table.row(["echo".to_owned(), cell(config.echo)]);
    table.row(["places".to_owned(), cell(config.places)]);
    table.row(["conntrack".to_owned(), cell(config.conntrack)]);
    table.row(["drop-entry".to_owned(), cell(config.drop_entry)]);
    table.row(["drop-packet".to_owned(), cell(config.drop_packet)]);
    table.row(["drop-rate".to_owned(), cell(config.drop_rate)]);
    let memory = config.memory_min.map(|n| format!("{n} MiB"));
    table.row(["memory-min".to_owned(), cell(memory)]);
    table
}
