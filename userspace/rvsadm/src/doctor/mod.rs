// SPDX-License-Identifier: GPL-2.0

//! `rvsadm doctor`: looks at this host for what usually goes wrong.

mod director;
mod facts;
mod finding;
mod host;
mod receiver;
mod routes;

use std::net::IpAddr;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use facts::Facts;
use finding::{Finding, Findings, Severity};

pub const AFTER_HELP: &str = "\
Examples:
  rvsadm doctor
  rvsadm doctor --vip 203.0.113.10      as root on a real server of mode dr or tun

As director it looks at a namespace that has services, as real server at one where toa.ko is loaded, or that
has the addresses of --vip, or /32 ones on lo. It changes nothing.

JSON: {\"roles\":[\"director\",\"real-server\"],\"findings\":[{\"check\",\"severity\":\"error\"|\"warning\",\"what\",\"why\",
\"mend\"}]}. Ends with 3 when there are findings, with 0 when there are none.";

/// What to look at.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Look at this host as a real server that has these virtual addresses
    #[arg(long = "vip", value_name = "ADDRESS", num_args = 1..)]
    vips: Vec<IpAddr>,
}

/// It as JSON.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Doctor")]
pub struct Report {
    roles: Vec<&'static str>,
    findings: Vec<Finding>,
}

/// Does it.
pub fn run(arguments: &Arguments, context: &mut Context<'_>) -> Result<(), Failure> {
    let mut facts = Facts::read(context.kernel, &arguments.vips)?;
    let mut findings = Findings::default();
    host::check(&facts, &mut findings);
    if facts.is_director() {
        director::check(&facts, &mut findings);
        routes::check(&mut facts, &mut findings);
    }
    if facts.is_real_server() {
        receiver::check(&facts, &mut findings);
    }
    let mut findings = findings.all();
    findings.sort_by_key(|finding| finding.severity);
    let report = Report {
        roles: facts.roles(),
        findings,
    };
    print(&report, context)?;
    if report.findings.is_empty() {
        Ok(())
    } else {
        Err(Failure::Findings)
    }
}

fn print(report: &Report, context: &mut Context<'_>) -> Result<(), Failure> {
    if context.json {
        return context.print_json(report);
    }
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(
            context.out,
            "{severity}: {} [{}]\n  why:  {}\n  mend: {}\n",
            finding.what, finding.check, finding.why, finding.mend
        )?;
    }
    let role = match report.roles.as_slice() {
        [] => "neither director nor real server: nothing is loaded or set up".to_owned(),
        roles => roles.join(" and "),
    };
    let count = report.findings.len();
    let plural = if count == 1 { "" } else { "s" };
    Ok(writeln!(context.out, "{role}: {count} finding{plural}")?)
}

#[cfg(test)]
mod tests;
