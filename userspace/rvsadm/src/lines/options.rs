// SPDX-License-Identifier: GPL-2.0

//! Options of ipvsadm's lines.

use rvs_engine::spec::{Mode, Protocol};
use rvs_engine::tunnel::TunnelSum;

use super::words::Problem;

/// What a line adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Service,
    Dest,
    Local,
}

/// What an option is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Command(Command),
    Service(Protocol),
    /// A service by mark.
    Mark,
    Ipv6,
    Scheduler,
    RealServer,
    Mode(Mode),
    Weight,
    LocalAddress,
    Upper,
    Lower,
    OnePacket,
    /// `-p`, with or without seconds.
    Persistent,
    Netmask,
    Engine,
    TunnelKind,
    TunnelPort,
    TunnelSum(TunnelSum),
    /// `-b`: FullNAT of a dest in the ipvsadm of Alibaba's LVS, without a value; flags of a scheduler
    /// otherwise.
    FullNatOrFlags,
    /// A command that a saved file does not have.
    NotSaved,
}

/// An option.
struct Known {
    letter: &'static str,
    name: &'static str,
    takes_value: bool,
    means: Means,
}

impl Known {
    /// Whether a value may follow or not.
    fn may_take_value(&self) -> bool {
        matches!(self.means, Means::FullNatOrFlags | Means::Persistent)
    }
}

/// An option without a value.
const fn flag(letter: &'static str, name: &'static str, means: Means) -> Known {
    Known {
        letter,
        name,
        takes_value: false,
        means,
    }
}

/// An option that a value follows.
const fn valued(letter: &'static str, name: &'static str, means: Means) -> Known {
    Known {
        takes_value: true,
        ..flag(letter, name, means)
    }
}

/// Options by letter and name, as in ipvsadm 1.31.
const OPTIONS: &[Known] = &[
    flag("-A", "--add-service", Means::Command(Command::Service)),
    flag("-a", "--add-server", Means::Command(Command::Dest)),
    valued("-t", "--tcp-service", Means::Service(Protocol::Tcp)),
    valued("-u", "--udp-service", Means::Service(Protocol::Udp)),
    valued("-s", "--scheduler", Means::Scheduler),
    valued("-r", "--real-server", Means::RealServer),
    flag("-g", "--gatewaying", Means::Mode(Mode::Dr)),
    flag("-m", "--masquerading", Means::Mode(Mode::Nat)),
    flag("-i", "--ipip", Means::Mode(Mode::Tun)),
    valued("-w", "--weight", Means::Weight),
    // The ipvsadm of DPVS has these.
    flag("-P", "--add-laddr", Means::Command(Command::Local)),
    valued("-z", "--local-address", Means::LocalAddress),
    valued("-x", "--u-threshold", Means::Upper),
    valued("-y", "--l-threshold", Means::Lower),
    flag("-b", "--sched-flags", Means::FullNatOrFlags),
    flag("", "--fullnat", Means::Mode(Mode::FullNat)),
    flag("", "--local", Means::Mode(Mode::Local)),
    valued("", "--sctp-service", Means::Service(Protocol::Sctp)),
    valued("-f", "--fwmark-service", Means::Mark),
    flag("-6", "--ipv6", Means::Ipv6),
    flag("-p", "--persistent", Means::Persistent),
    valued("-M", "--netmask", Means::Netmask),
    flag("-o", "--ops", Means::OnePacket),
    flag("-O", "", Means::OnePacket),
    valued("", "--pe", Means::Engine),
    valued("", "--tun-type", Means::TunnelKind),
    valued("", "--tun-port", Means::TunnelPort),
    flag("", "--tun-nocsum", Means::TunnelSum(TunnelSum::None)),
    flag("", "--tun-csum", Means::TunnelSum(TunnelSum::Whole)),
    flag("", "--tun-remcsum", Means::TunnelSum(TunnelSum::Remote)),
    flag("-E", "--edit-service", Means::NotSaved),
    flag("-D", "--delete-service", Means::NotSaved),
    flag("-C", "--clear", Means::NotSaved),
    flag("-e", "--edit-server", Means::NotSaved),
    flag("-d", "--delete-server", Means::NotSaved),
    flag("-Z", "--zero", Means::NotSaved),
    flag("", "--set", Means::NotSaved),
    flag("", "--start-daemon", Means::NotSaved),
    flag("", "--stop-daemon", Means::NotSaved),
];

/// Options of a line, not yet checked against each other.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) command: Option<Command>,
    /// The protocol of a service at an address, none for one by mark; and its address or mark.
    pub(super) service: Option<(Option<Protocol>, &'a str)>,
    /// Of a service by mark.
    pub(super) ipv6: bool,
    pub(super) scheduler: Option<&'a str>,
    pub(super) real_server: Option<&'a str>,
    pub(super) mode: Option<Mode>,
    pub(super) weight: Option<&'a str>,
    pub(super) local: Option<&'a str>,
    pub(super) upper: Option<&'a str>,
    pub(super) lower: Option<&'a str>,
    pub(super) one_packet: bool,
    /// What follows `-p`, if anything.
    pub(super) persistent: Option<&'a str>,
    pub(super) netmask: Option<&'a str>,
    pub(super) engine: Option<&'a str>,
    pub(super) tunnel_kind: Option<&'a str>,
    pub(super) tunnel_port: Option<&'a str>,
    pub(super) tunnel_sum: Option<TunnelSum>,
    /// What follows `-b`; nothing for FullNAT.
    pub(super) flags: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// Reads the words of a line.
    pub(super) fn parse(line: &'a str) -> Result<Self, Problem> {
        let mut options = Self::default();
        let mut words = line.split_ascii_whitespace().peekable();
        while let Some(word) = words.next() {
            let (name, joined) = split_option(word);
            let is_long = name.starts_with("--");
            let mut known = OPTIONS.iter().filter(|_| name.len() > 1);
            let Some(known) = known.find(|k| name == if is_long { k.name } else { k.letter })
            else {
                return Err(Problem::new(
                    format!("{word:?} is not an option of ipvsadm-save's lines"),
                    "each option starts with - and a value belongs to the option before it",
                ));
            };
            let value = match joined {
                Some(value) if known.takes_value || known.may_take_value() => value,
                None if known.may_take_value() => {
                    let follows = words.next_if(|word| !word.starts_with('-'));
                    follows.unwrap_or_default()
                }
                Some(value) => {
                    return Err(Problem::new(
                        format!("{name} takes no value, and {value:?} follows it"),
                        "write each option on its own",
                    ));
                }
                None if known.takes_value => words.next().ok_or_else(|| {
                    Problem::new(format!("{name} has no value"), "something must follow it")
                })?,
                None => "",
            };
            options.take(name, value, known.means)?;
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &'a str, means: Means) -> Result<(), Problem> {
        let twice = match means {
            Means::Command(command) => self.command.replace(command).is_some(),
            Means::Service(protocol) => self.service.replace((Some(protocol), value)).is_some(),
            Means::Mark => self.service.replace((None, value)).is_some(),
            Means::Ipv6 => std::mem::replace(&mut self.ipv6, true),
            Means::Scheduler => self.scheduler.replace(value).is_some(),
            Means::RealServer => self.real_server.replace(value).is_some(),
            Means::Mode(mode) => self.mode.replace(mode).is_some(),
            Means::Weight => self.weight.replace(value).is_some(),
            Means::LocalAddress => self.local.replace(value).is_some(),
            Means::Upper => self.upper.replace(value).is_some(),
            Means::Lower => self.lower.replace(value).is_some(),
            Means::TunnelKind => self.tunnel_kind.replace(value).is_some(),
            Means::TunnelPort => self.tunnel_port.replace(value).is_some(),
            Means::TunnelSum(sum) => self.tunnel_sum.replace(sum).is_some(),
            Means::OnePacket => std::mem::replace(&mut self.one_packet, true),
            Means::Persistent => self.persistent.replace(value).is_some(),
            Means::Netmask => self.netmask.replace(value).is_some(),
            Means::Engine => self.engine.replace(value).is_some(),
            Means::FullNatOrFlags => self.flags.replace(value).is_some(),
            Means::NotSaved => {
                return Err(Problem::new(
                    format!("{name} has no place in a saved configuration"),
                    "keep -A and -a lines only: restore makes the running configuration that of \
                     the file, whatever was there",
                ));
            }
        };
        if twice {
            return Err(Problem::new(
                format!("{name} says again what the line has said already"),
                "give one service, one real server and one mode a line",
            ));
        }
        Ok(())
    }
}

/// Takes `-w1` and `--weight=1` apart.
fn split_option(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
    }
    match word.char_indices().nth(2) {
        Some((at, _)) if word.starts_with('-') => {
            let (name, value) = word.split_at(at);
            (name, Some(value))
        }
        _ => (word, None),
    }
}
