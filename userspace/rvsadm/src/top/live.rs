// SPDX-License-Identifier: GPL-2.0

//! The live view in a terminal: set up, kept up to date, and put back however it ends.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEventKind};
use ratatui::DefaultTerminal;
use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::app::App;
use super::draw::draw;
use super::sampler::{Sample, Sampler};
use crate::failure::Failure;

/// What is looked for between two keys.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Time in which a signal is to be noticed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reading takes at most one of so many parts of the time.
const PAUSE_PARTS: u32 = 4;

const WHAT: &str = "show a live view";
const HINT: &str = "in scripts: rvsadm top --once, or rvsadm top -j";

/// Refuses where there is no terminal.
pub fn check_terminal() -> Result<(), Failure> {
    if io::stdout().is_terminal() && io::stdin().is_terminal() {
        return Ok(());
    }
    let reason = "standard input and output are not a terminal";
    Err(Failure::new(WHAT, reason, Some(HINT)))
}

/// Shows it until a key or a signal ends it. What was read first is in `sample`.
pub fn run(mut app: App, sample: Sample) -> Result<(), Failure> {
    let signal = Arc::new(AtomicI32::new(0));
    wait_for_signals(Arc::clone(&signal))?;
    app.take(Ok(sample), Instant::now());
    let terminal = ratatui::try_init();
    let terminal = terminal.map_err(|error| Failure::new(WHAT, error.to_string(), Some(HINT)));
    let shown = terminal.and_then(|mut terminal| {
        let shown = show(&mut terminal, &mut app, &signal);
        shown.map_err(Failure::Output)
    });
    ratatui::restore();
    let number = signal.load(Ordering::Relaxed);
    if number != 0 {
        // As if it had not been caught, now that the terminal is as it was.
        emulate_default_handler(number)?;
    }
    shown
}

/// Notes what signal came. Should nobody look at that in time, it does what it always does.
fn wait_for_signals(signal: Arc<AtomicI32>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for number in signals.forever() {
            signal.store(number, Ordering::Relaxed);
            thread::sleep(PATIENCE);
            let _ = emulate_default_handler(number);
        }
    });
    Ok(())
}

/// Waits for a key, or a while. A terminal that has gone is an error: reading from it would never end.
fn wait_for_key() -> io::Result<()> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&TICK)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    if fds.iter().any(|fd| fd.revents().intersects(gone)) {
        return Err(io::Error::other("the terminal has gone"));
    }
    Ok(())
}

fn show(terminal: &mut DefaultTerminal, app: &mut App, signal: &AtomicI32) -> io::Result<()> {
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let sampler = Sampler::start();
    let mut asked: Option<Instant> = None;
    let mut due = Instant::now() + app.delay;
    let (mut changed, mut is_urgent) = (true, false);
    while !app.ends && signal.load(Ordering::Relaxed) == 0 {
        let now = Instant::now();
        if let Some(sample) = sampler.answer() {
            app.take(sample, now);
            let then = asked.take().unwrap_or(now);
            due = then + app.delay.max((now - then).saturating_mul(PAUSE_PARTS));
            changed = true;
        }
        if asked.is_none() && (is_urgent || (now >= due && !app.is_paused)) {
            if !sampler.ask(app.ask()) {
                return Err(io::Error::other("the thread that reads has ended"));
            }
            asked = Some(now);
            is_urgent = false;
        }
        if changed {
            terminal.draw(|frame| draw(frame, app, colours))?;
        }
        changed = false;
        wait_for_key()?;
        while !app.ends && event::poll(Duration::ZERO)? {
            changed = true;
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => is_urgent |= app.key(key),
                _ => {}
            }
        }
    }
    Ok(())
}
