// SPDX-License-Identifier: GPL-2.0

//! A buffer of the kernel's trace for this command alone.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

/// Where the kernel's trace is.
const TRACING: &str = "/sys/kernel/tracing";

/// The tracepoints.
const EVENTS: [&str; 3] = ["new_flow", "conn_end", "drop"];

/// KiB of a CPU's buffer.
const BUFFER: &str = "1024";

/// Takes the buffer away when whoever it is for is gone, however that ends: its standard input ends with it.
const KEEPER: &str =
    "trap '' HUP INT TERM; cat >/dev/null; echo 0 >\"$0/events/enable\"; rmdir \"$0\"";

/// Why there is none, and how to mend that.
type Trouble = (String, Option<&'static str>);

/// The buffer.
pub struct Instance {
    pipe: File,
    text: Vec<u8>,
    keeper: Child,
    /// Number of this network namespace.
    pub netns: u64,
}

impl Instance {
    /// Makes it and begins.
    pub fn open() -> Result<Self, Trouble> {
        let io =
            |what: &'static str| move |error: io::Error| (format!("cannot {what}: {error}"), None);
        let of_module: PathBuf = [TRACING, "events", "rvs"].iter().collect();
        if !of_module.is_dir() {
            return Err(match fs::exists([TRACING, "/events"].concat()) {
                Ok(true) => (
                    "the module rvs is not loaded, or has no tracepoints".to_owned(),
                    Some("modprobe rvs"),
                ),
                _ => (
                    format!("the kernel's trace is not at {TRACING}"),
                    Some("as root: mount -t tracefs tracefs /sys/kernel/tracing"),
                ),
            });
        }
        let name = format!("rvsadm-{}", std::process::id());
        let path: PathBuf = [TRACING, "instances", &name].iter().collect();
        fs::create_dir(&path).map_err(io("make a buffer of the trace"))?;
        // From here on it goes by itself.
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let keeper = keeper.map_err(|error| {
            let _ = fs::remove_dir(&path);
            (format!("cannot run /bin/sh: {error}"), None)
        })?;
        fs::write(path.join("buffer_size_kb"), BUFFER).map_err(io("size the buffer"))?;
        let pipe = File::open(path.join("trace_pipe")).map_err(io("read the trace"))?;
        for event in EVENTS {
            let file = path.join("events/rvs").join(event).join("enable");
            fs::write(file, "1").map_err(io("turn a tracepoint on"))?;
        }
        Ok(Self {
            pipe,
            text: Vec::new(),
            keeper,
            netns: own_netns().map_err(io("tell this network namespace"))?,
        })
    }

    /// The next line, until `deadline` if there is one; `None` when that has passed.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<String>, Trouble> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let read = self.wait(deadline).and_then(|ready| {
                let mut some = [0; 4096];
                match ready {
                    false => Ok(None),
                    true => self
                        .pipe
                        .read(&mut some)
                        .map(|len| Some(some[..len].to_vec())),
                }
            });
            match read {
                Ok(None) => return Ok(None),
                // Nothing was there for us after all.
                Ok(Some(some)) => self.text.extend(some),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let hint = Some("was the module unloaded?");
                    return Err((format!("cannot read the trace: {error}"), hint));
                }
            }
        }
    }

    /// Whether something came before the deadline.
    fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut descriptors = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut descriptors, timeout.as_ref()) {
                Ok(0) if left == Some(Duration::ZERO) => return Ok(false),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Whoever takes the buffer away waits for the end of this, and cannot while the trace is read.
        if let Ok(null) = File::open("/dev/null") {
            self.pipe = null;
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The number that tracepoints name this network namespace by.
fn own_netns() -> io::Result<u64> {
    let link = fs::read_link("/proc/self/ns/net")?;
    let text = link.to_string_lossy();
    let number = text.trim_start_matches("net:[").trim_end_matches(']');
    number.parse().map_err(io::Error::other)
}
