// SPDX-License-Identifier: GPL-2.0

//! `rvsadm generate`: manual pages and completions, from the definitions that `--help` prints.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap_complete::env::Shells;
use clap_mangen::roff::{roman, Roff};
use clap_mangen::Man;

use crate::complete::ASKED_BY;
use crate::context::Context;
use crate::failure::Failure;

/// The manual's section of commands for the administrator.
const SECTION: &str = "8";

/// For bash, which breaks words where ours have colons.
const BASH: &[u8] = include_bytes!("completion.bash");

/// What to generate.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Manual pages of rvsadm and each of its commands, into a folder
    Man {
        /// The folder, which is there
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// What a shell reads to complete rvsadm's command lines, with services, dests and namespaces as they are
    Completion {
        /// bash, zsh, fish or elvish
        #[arg(value_name = "SHELL", value_parser = shell)]
        shell: String,
    },
}

fn shell(text: &str) -> Result<String, String> {
    let shells = Shells::builtins();
    match shells.completer(text) {
        Some(shell) => Ok(shell.name().to_owned()),
        None => Err(format!(
            "there are {}",
            shells.names().collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Does it, for `program`.
pub fn run(
    command: Command,
    program: clap::Command,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Man { folder } => man(program, &folder).map_err(|error| {
            let what = format!("write manual pages to {}", folder.display());
            Failure::new(what, error.to_string(), Some("name a folder that is there"))
        }),
        Command::Completion { shell } if shell == "bash" => Ok(context.out.write_all(BASH)?),
        Command::Completion { shell } => {
            let shells = Shells::builtins();
            let registration = shells.completer(&shell).map(|completer| {
                completer.write_registration(ASKED_BY, "rvsadm", "rvsadm", "rvsadm", context.out)
            });
            Ok(registration.unwrap_or(Ok(()))?)
        }
    }
}

fn man(mut program: clap::Command, folder: &Path) -> io::Result<()> {
    program.build();
    pages(&program, "rvsadm", folder)
}

/// A page of a command, and those of the commands below it.
fn pages(command: &clap::Command, name: &str, folder: &Path) -> io::Result<()> {
    let mut file = Vec::new();
    page(command, name, &mut file)?;
    fs::write(folder.join(format!("{name}.{SECTION}")), file)?;
    let visible = |below: &&clap::Command| !below.is_hide_set() && below.get_name() != "help";
    for below in command.get_subcommands().filter(visible) {
        pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    // Examples and shapes have lines of their own, which are to stay.
    let after = command.get_after_help().map(ToString::to_string);
    let shown = command
        .clone()
        .display_name(name)
        .after_help("")
        .after_long_help("");
    let man = Man::new(shown)
        .title(name.to_uppercase())
        .section(SECTION)
        .source(format!("rvsadm {}", env!("CARGO_PKG_VERSION")))
        .manual("RVS");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(out)?;
    }
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(out)?;
    }
    if let Some(after) = after {
        let mut notes = Roff::new();
        notes.control("SH", ["NOTES"]).control("nf", []);
        for line in after.lines() {
            notes.text([roman(line)]);
        }
        notes.control("fi", []).to_writer(out)?;
    }
    let others = "rvs(4), rvs.conf(5), toa(4), rvsadm(8), ipvsadm(8), keepalived(8)";
    Roff::new()
        .control("SH", ["SEE ALSO"])
        .text([roman(others)])
        .to_writer(out)
}
