// SPDX-License-Identifier: GPL-2.0

//! What the live view shows and what keys do to it, without a terminal.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rvs_engine::spec::{DestId, ServiceId};

use super::columns::{Row, Sort};
use super::figures::{condition, drops, Condition, Drop, Unanswered};
use super::sampler::{Ask, Conns, Sample};
use crate::reading::{Dest, Reading};

/// Time between two readings that keys may make of it.
const DELAYS: [u64; 6] = [1, 2, 5, 10, 30, 60];

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Services,
    /// All dests, or those of a service.
    Dests(Option<ServiceId>),
    /// The connections of a dest.
    Conns(ServiceId, DestId),
}

/// What a line is, whatever its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(ServiceId, Option<DestId>);

/// The state of the live view.
pub struct App {
    pub view: View,
    /// The lists that this one was opened from, with the line that was.
    back: Vec<(View, Option<Key>)>,
    pub reading: Option<Reading>,
    taken: Option<Instant>,
    unanswered: Option<Unanswered>,
    pub drops: Vec<Drop>,
    pub conns: Option<Conns>,
    /// Why there is nothing newer.
    pub error: Option<String>,
    conditions: Vec<Condition>,
    /// Of each service, dests that are not well, and how it does.
    bad: Vec<(u32, Condition)>,
    /// The lines that are shown, in order: numbers of services, dests or connections.
    order: Vec<usize>,
    selected: Option<Key>,
    /// The selected line's place, where it was when it is gone.
    pub cursor: usize,
    /// First line on the screen.
    pub first: usize,
    /// Lines that the screen has.
    pub page: usize,
    pub sort: Sort,
    pub reversed: bool,
    pub filter: String,
    pub edits_filter: bool,
    pub is_paused: bool,
    pub shows_help: bool,
    pub delay: Duration,
    /// Whether it is to end.
    pub ends: bool,
}

impl App {
    /// A view that has nothing to show yet.
    pub fn new(delay: Duration, sort: Sort, filter: String) -> Self {
        Self {
            view: View::Services,
            back: Vec::new(),
            reading: None,
            taken: None,
            unanswered: None,
            drops: Vec::new(),
            conns: None,
            error: None,
            conditions: Vec::new(),
            bad: Vec::new(),
            order: Vec::new(),
            selected: None,
            cursor: 0,
            first: 0,
            page: 1,
            sort,
            reversed: false,
            filter,
            edits_filter: false,
            is_paused: false,
            shows_help: false,
            delay,
            ends: false,
        }
    }

    /// What is to be read next.
    pub fn ask(&self) -> Ask {
        match self.view {
            View::Conns(service, dest) => Ask(Some((service, dest))),
            _ => Ask(None),
        }
    }

    /// Takes what was read, or why nothing could be.
    pub fn take(&mut self, sample: Result<Sample, String>, now: Instant) {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => return self.error = Some(error),
        };
        self.error = None;
        let reading = sample.reading;
        let before = self.reading.as_ref().zip(self.taken);
        let before = before.map(|(old, taken)| (&old.counters, now.duration_since(taken)));
        self.drops = drops(&reading.counters, before);
        self.judge(&reading);
        self.unanswered = Some(Unanswered::of(&reading));
        self.reading = Some(reading);
        self.taken = Some(now);
        // What was read for a list that is no longer shown is of no use to this one.
        if sample.ask == self.ask() {
            self.conns = sample.conns;
        }
        self.arrange();
    }

    /// Works out how each dest and service does.
    fn judge(&mut self, reading: &Reading) {
        // Off until there is a dest that takes connections.
        self.bad = vec![(0, Condition::Off); reading.services.len()];
        self.conditions.clear();
        for dest in &reading.dests {
            let service = reading.services.get(dest.service);
            let before = self.unanswered.as_ref();
            let is = service.map_or(Condition::Fine, |of| condition(of, dest, before));
            self.conditions.push(is);
            if let Some((count, worst)) = self.bad.get_mut(dest.service) {
                let takes = !matches!(is, Condition::Off | Condition::Drain);
                *count += u32::from(takes && is != Condition::Fine);
                *worst = match *worst {
                    _ if !takes => *worst,
                    Condition::Off => is,
                    worst => is.max(worst),
                };
            }
        }
    }

    /// The line with that number, of the lists that have figures.
    pub fn row(&self, number: usize) -> Option<Row<'_>> {
        let reading = self.reading.as_ref()?;
        if self.view == View::Services {
            let service = reading.services.get(number)?;
            let (bad, worst) = self.bad.get(number).copied()?;
            return Some(Row {
                service,
                dest: None,
                condition: worst,
                bad,
            });
        }
        let dest = reading.dests.get(number)?;
        Some(Row {
            service: reading.services.get(dest.service)?,
            dest: Some(dest),
            condition: self.conditions.get(number).copied()?,
            bad: 0,
        })
    }

    /// Whether a dest is in this list.
    fn is_of_view(&self, reading: &Reading, dest: &Dest) -> bool {
        match self.view {
            View::Dests(Some(id)) => reading
                .services
                .get(dest.service)
                .is_some_and(|service| service.id == id),
            _ => true,
        }
    }

    /// Chooses and sorts the lines, and finds the selected one again.
    pub fn arrange(&mut self) {
        let filter = self.filter.to_lowercase();
        let takes = |name: String| filter.is_empty() || name.to_lowercase().contains(&filter);
        let mut order: Vec<usize> = Vec::new();
        match (self.view, &self.reading, &self.conns) {
            (View::Conns(..), _, Some(conns)) => {
                let rows = conns.rows.iter().enumerate();
                order.extend(rows.filter(|(_, c)| takes(c.text())).map(|(at, _)| at));
            }
            (View::Conns(..), _, None) | (_, None, _) => {}
            (View::Services, Some(reading), _) => order.extend(0..reading.services.len()),
            (View::Dests(_), Some(reading), _) => {
                let dests = reading.dests.iter().enumerate();
                let of = dests.filter(|(_, dest)| self.is_of_view(reading, dest));
                order.extend(of.map(|(at, _)| at));
            }
        }
        if !matches!(self.view, View::Conns(..)) {
            let mut rows: Vec<_> = order
                .iter()
                .filter_map(|at| Some((*at, self.row(*at)?)))
                .collect();
            rows.retain(|(_, row)| filter.is_empty() || takes(row.name()));
            rows.sort_by(|(_, a), (_, b)| {
                let ordering = self.sort.compare(a, b);
                if self.reversed {
                    ordering.reverse()
                } else {
                    ordering
                }
            });
            order = rows.into_iter().map(|(at, _)| at).collect();
        }
        self.order = order;
        self.find_selected();
    }

    fn find_selected(&mut self) {
        let place = self.selected.and_then(|key| {
            self.order
                .iter()
                .position(|at| self.key_of(*at) == Some(key))
        });
        self.select(place.unwrap_or(self.cursor));
    }

    fn key_of(&self, number: usize) -> Option<Key> {
        if matches!(self.view, View::Conns(..)) {
            return None;
        }
        let row = self.row(number)?;
        Some(Key(row.service.id, row.dest.map(|dest| dest.id)))
    }

    /// Selects the line at a place, or the last one.
    fn select(&mut self, place: usize) {
        self.cursor = place.min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.cursor).and_then(|at| self.key_of(*at));
    }

    /// Numbers of all lines, in order.
    pub fn numbers(&self) -> Vec<usize> {
        self.order.clone()
    }

    /// Lines there are.
    pub fn lines(&self) -> usize {
        self.order.len()
    }

    /// Numbers of the lines that a screen of so many shows, the selected one among them.
    pub fn visible(&mut self, page: usize) -> Vec<usize> {
        self.page = page.max(1);
        let last = self.order.len().saturating_sub(self.page);
        let lowest = self.cursor.saturating_add(1).saturating_sub(self.page);
        self.first = self.first.clamp(lowest, self.cursor).min(last);
        let shown = self.order.iter().skip(self.first).take(page);
        shown.copied().collect()
    }

    fn open(&mut self, view: View) {
        self.back.push((self.view, self.selected));
        self.go(view, None);
    }

    fn go(&mut self, view: View, selected: Option<Key>) {
        self.view = view;
        self.selected = selected;
        self.conns = None;
        (self.cursor, self.first) = (0, 0);
        self.filter.clear();
        self.arrange();
    }

    /// Does what a key means; says whether something else is to be read at once.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c')) {
            self.ends = true;
            return false;
        }
        if self.edits_filter {
            self.edit(key.code);
            return false;
        }
        if self.shows_help {
            self.shows_help = false;
            return false;
        }
        self.command(key.code)
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.edits_filter = false,
            KeyCode::Esc => {
                self.edits_filter = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            // No name is longer.
            KeyCode::Char(c) if self.filter.len() < 120 => self.filter.push(c),
            _ => {}
        }
        self.arrange();
    }

    fn command(&mut self, code: KeyCode) -> bool {
        let end = self.order.len();
        match code {
            KeyCode::Char('q') => self.ends = true,
            KeyCode::Up | KeyCode::Char('k') => self.select(self.cursor.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.cursor.saturating_add(1)),
            KeyCode::PageUp => self.select(self.cursor.saturating_sub(self.page)),
            KeyCode::PageDown => self.select(self.cursor.saturating_add(self.page)),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(end),
            KeyCode::Enter | KeyCode::Right => return self.enter(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.leave(),
            KeyCode::Tab => {
                self.back.clear();
                let is_services = self.view == View::Services;
                let view = if is_services {
                    View::Dests(None)
                } else {
                    View::Services
                };
                self.go(view, None);
            }
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.arrange();
            }
            KeyCode::Char('r') => {
                self.reversed = !self.reversed;
                self.arrange();
            }
            KeyCode::Char('/') => self.edits_filter = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('+') => self.change_delay(true),
            KeyCode::Char('-') => self.change_delay(false),
            KeyCode::Char('h' | '?') => self.shows_help = true,
            _ => {}
        }
        false
    }

    /// Opens the selected line.
    fn enter(&mut self) -> bool {
        match (self.view, self.selected) {
            (View::Services, Some(Key(id, _))) => self.open(View::Dests(Some(id))),
            (View::Dests(_), Some(Key(id, Some(dest)))) => {
                self.open(View::Conns(id, dest));
                return true;
            }
            _ => {}
        }
        false
    }

    /// Takes the filter away, or goes back to the list before.
    fn leave(&mut self) {
        if !self.filter.is_empty() {
            self.filter.clear();
            self.arrange();
        } else if let Some((view, selected)) = self.back.pop() {
            self.go(view, selected);
        }
    }

    fn change_delay(&mut self, longer: bool) {
        let now = self.delay.as_secs();
        let delay = if longer {
            DELAYS.into_iter().find(|delay| *delay > now)
        } else {
            DELAYS.into_iter().rev().find(|delay| *delay < now)
        };
        if let Some(delay) = delay {
            self.delay = Duration::from_secs(delay);
        }
    }
}
