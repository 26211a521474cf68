// SPDX-License-Identifier: GPL-2.0

//! `rvsadm unload`.

use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rvs_netlink::Request;

use crate::context::Context;
use crate::failure::Failure;
use crate::rs::module::is_loaded;
use crate::xdp;

/// Help on what it does.
pub const AFTER_HELP: &str = "\
Services keep the module loaded: without this, rmmod rvs says that it is in use. With it the services and
connections of all network namespaces are gone; rvsadm save --settings -o FILE comes first.";

/// What asks the module for connections.
const MATCH: &str = "xt_rvs";

/// How often and when removing it is tried after devices gave it frames.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

const WHAT: &str = "unload the module";

/// Lets go of the module, and has it removed.
pub fn run(context: &mut Context<'_>) -> Result<(), Failure> {
    // Rules would be left that nobody can ask any more.
    if is_loaded(MATCH) {
        remove(MATCH).map_err(|reason| {
            let hint = "rules with -m ipvs keep it: iptables-save, ip6tables-save and nft list ruleset show them";
            Failure::new(WHAT, reason, Some(hint))
        })?;
    }
    let detached = xdp::detach_all().map_err(|error| {
        let reason = format!("devices go on giving it frames (XDP): {error}");
        Failure::new(WHAT, reason, Some("rvsadm xdp detach --all"))
    })?;
    let released = context.kernel.execute(&Request::Release);
    released.map_err(|error| Failure::kernel(WHAT, error))?;
    let mut removed = remove("rvs");
    // The kernel frees programs when nothing runs them any more.
    for _ in 0..if detached > 0 { ATTEMPTS } else { 0 } {
        if removed.is_ok() {
            break;
        }
        sleep(PAUSE);
        removed = remove("rvs");
    }
    removed.map_err(|reason| {
        let hint = "services no longer keep it: when nothing else does, rmmod rvs removes it";
        Failure::new(WHAT, reason, Some(hint))
    })?;
    context.done()
}

fn remove(module: &str) -> Result<(), String> {
    let done = Command::new("rmmod").arg(module).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is no program rmmod".to_owned())
        }
        Err(error) => Err(format!("rmmod: {error}")),
    }
}
