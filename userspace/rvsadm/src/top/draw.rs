// SPDX-License-Identifier: GPL-2.0

//! The live view on a screen.

use std::time::SystemTime;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table};
use ratatui::Frame;

use super::app::{App, View};
use super::columns::{Column, Row, ALL_DESTS, DESTS, SERVICES};
use super::figures::{bits, short, Condition};
use crate::clock;

/// The least of a terminal that shows anything of use.
pub const LEAST: (u16, u16) = (50, 8);

/// What keys do; the first as a line at the bottom.
const KEYS: [(&str, &str); 11] = [
    ("q", "quit"),
    ("Enter", "open"),
    ("Esc", "back"),
    ("Tab", "all dests"),
    ("s", "sort"),
    ("/", "filter"),
    ("p", "pause"),
    ("h", "help"),
    ("r", "sort the other way round"),
    ("+ -", "slower, faster"),
    ("arrows PgUp PgDn Home End", "select"),
];

/// How many of them the line at the bottom has.
const KEYS_IN_LINE: usize = 8;

const STATES: [&str; 5] = [
    "off    weight 0",
    "drain  takes no new connections until it is empty",
    "idle   nothing comes to it, though something comes to its service",
    "full   it has the connections of its upper threshold",
    "mute   connections ended that it had not answered since the last reading",
];

/// Draws all.
pub fn draw(frame: &mut Frame<'_>, app: &mut App, colours: bool) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let text = format!(
            "terminal too small: {}x{}, needs {width}x{height}",
            area.width, area.height
        );
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [head, list, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head_lines(app, colours)), head);
    if app.shows_help {
        frame.render_widget(Paragraph::new(help()), list);
    } else if matches!(app.view, View::Conns(..)) {
        draw_conns(frame, app, list);
    } else {
        draw_rows(frame, app, list, colours);
    }
    frame.render_widget(Paragraph::new(foot_line(app)), foot);
}

fn bold(text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), Style::new().add_modifier(Modifier::BOLD))
}

fn coloured(text: String, colour: Color, colours: bool) -> Span<'static> {
    let style = if colours {
        Style::new().fg(colour)
    } else {
        Style::new().add_modifier(Modifier::BOLD)
    };
    Span::styled(text, style)
}

fn head_lines(app: &App, colours: bool) -> Vec<Line<'static>> {
    let now = clock::text(SystemTime::now());
    let now = now.get(11..19).unwrap_or_default().to_owned();
    let mut first = vec![
        bold("rvsadm top"),
        Span::raw(format!("  {now}Z  every {} s", app.delay.as_secs())),
    ];
    let mut lines = Vec::new();
    if let Some(reading) = &app.reading {
        let counters = &reading.counters;
        let most = match reading.conn_max {
            0 => String::new(),
            max => format!(" of {max}"),
        };
        let held = format!(
            "  connections {}{most}  templates {}",
            counters.conns_now, counters.templates_now
        );
        first.push(Span::raw(held));
        let rates = &reading.rates;
        lines.push(Line::raw(format!(
            "new/s {}  packets/s in {} out {}  bits/s in {} out {}",
            short(rates.connections),
            short(rates.in_packets),
            short(rates.out_packets),
            short(bits(rates.in_bytes)),
            short(bits(rates.out_bytes)),
        )));
    } else {
        lines.push(Line::raw("reading …"));
    }
    if app.is_paused {
        first.push(Span::raw("  "));
        first.push(coloured("PAUSED".to_owned(), Color::Yellow, colours));
    }
    lines.insert(0, Line::from(first));
    lines.push(drops_line(app, colours));
    lines.push(title_line(app, colours));
    lines
}

/// Reasons of drops: how many a second, and since when they are counted.
fn drops_line(app: &App, colours: bool) -> Line<'static> {
    if app.drops.is_empty() {
        return Line::raw("drops none");
    }
    let mut spans = vec![Span::raw("drops/s (total)")];
    for drop in &app.drops {
        let rate = drop
            .rate
            .map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let text = format!("  {} {rate} ({})", drop.reason, short(drop.total));
        spans.push(match drop.rate {
            Some(rate) if rate > 0.0 => coloured(text, Color::Red, colours),
            _ => Span::raw(text),
        });
    }
    Line::from(spans)
}

/// What list it is; instead, why it is old.
fn title_line(app: &App, colours: bool) -> Line<'static> {
    if let Some(error) = &app.error {
        let text = format!("{error}; shown is what was last read");
        return Line::from(coloured(text, Color::Red, colours));
    }
    let lines = app.lines();
    let mut text = match app.view {
        View::Services => format!("Services ({lines})"),
        View::Dests(None) => format!("All dests ({lines})"),
        View::Dests(Some(id)) => format!("Dests of {id} ({lines})"),
        View::Conns(service, dest) => {
            let count = app.conns.as_ref().map(|conns| conns.count);
            let count = count.map_or("reading …".to_owned(), |count| count.to_string());
            format!("Connections of {service} to {dest} ({count})")
        }
    };
    match app.view {
        View::Conns(..) => {
            let kept = app.conns.as_ref().map_or(0, |conns| conns.rows.len());
            if app.conns.as_ref().is_some_and(|c| c.count > kept as u64) {
                text.push_str(&format!(", {kept} of them kept"));
            }
        }
        _ => {
            text.push_str(&format!("  by {}", app.sort.name()));
            if app.reversed {
                text.push_str(", reversed");
            }
        }
    }
    let omitted = app.reading.as_ref().map_or(0, |reading| reading.omitted);
    if omitted > 0 {
        text.push_str(&format!("  {omitted} more dests are left out"));
    }
    if !app.filter.is_empty() && !app.edits_filter {
        text.push_str(&format!("  filter: {}", app.filter));
    }
    Line::from(bold(text))
}

/// Of lists with figures.
fn draw_rows(frame: &mut Frame<'_>, app: &mut App, area: Rect, colours: bool) {
    let columns: Vec<&Column> = match app.view {
        View::Services => SERVICES,
        View::Dests(None) => ALL_DESTS,
        _ => DESTS,
    }
    .iter()
    .filter(|column| column.from <= area.width)
    .collect();
    let rest = rest_of(&columns, area.width);
    let lines = usize::from(area.height.saturating_sub(1));
    let visible = app.visible(lines);
    let cursor = app.cursor.saturating_sub(app.first);
    let rows = visible.iter().enumerate().filter_map(|(place, number)| {
        let row = app.row(*number)?;
        let cells = columns
            .iter()
            .map(|column| cell_of(column, (column.cell)(&row), rest));
        let mut style = style_of(&row, colours);
        if place == cursor {
            style = style.add_modifier(Modifier::REVERSED);
        }
        Some(Cells::new(cells).style(style))
    });
    let rows: Vec<_> = rows.collect();
    let heading = columns.iter().map(|c| cell_of(c, c.title.to_owned(), rest));
    let heading = Cells::new(heading).style(Style::new().add_modifier(Modifier::BOLD));
    let widths = columns.iter().map(|column| match column.takes_rest {
        true => Constraint::Length(rest),
        false => Constraint::Length(column.width),
    });
    frame.render_widget(Table::new(rows, widths).header(heading), area);
}

/// Width of each column that takes what the others leave; there is one space between two.
fn rest_of(columns: &[&Column], width: u16) -> u16 {
    let taking = columns.iter().filter(|column| column.takes_rest).count();
    let fixed: usize = columns.iter().map(|column| usize::from(column.width)).sum();
    let gaps = columns.len().saturating_sub(1);
    let rest = usize::from(width).saturating_sub(fixed.saturating_add(gaps));
    u16::try_from(rest / taking.max(1)).unwrap_or(u16::MAX)
}

fn cell_of(column: &Column, text: String, rest: u16) -> Cell<'static> {
    Cell::from(match column.takes_rest {
        true => Line::raw(fit(text, rest.into())).left_aligned(),
        false => Line::raw(text).right_aligned(),
    })
}

/// A name in so many columns: what is left out is in its middle, as its end is the port.
fn fit(text: String, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text;
    }
    let end = (width / 2).min(14);
    let start = width.saturating_sub(end).saturating_sub(1);
    let mut fitted: String = text.chars().take(start).collect();
    fitted.push('…');
    fitted.extend(text.chars().skip(length.saturating_sub(end)));
    fitted
}

fn style_of(row: &Row<'_>, colours: bool) -> Style {
    let colour = match row.condition {
        Condition::Fine => return Style::new(),
        Condition::Off | Condition::Drain => Color::DarkGray,
        Condition::Idle => Color::Yellow,
        Condition::Full => Color::Red,
        Condition::Mute => Color::Magenta,
    };
    if colours {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

fn draw_conns(frame: &mut Frame<'_>, app: &mut App, area: Rect) {
    let visible = app.visible(usize::from(area.height.saturating_sub(1)));
    let cursor = app.cursor.saturating_sub(app.first);
    let conns = app.conns.as_ref();
    // State and time take 21, spaces 3.
    let half = usize::from(area.width.saturating_sub(24) / 2);
    let rows = visible.iter().enumerate().filter_map(|(place, number)| {
        let conn = conns?.rows.get(*number)?;
        let cells = [
            fit(conn.client.clone(), half),
            fit(conn.service.clone(), half),
            conn.state.to_owned(),
            conn.expires.clone(),
        ];
        let mut style = Style::new();
        if place == cursor {
            style = style.add_modifier(Modifier::REVERSED);
        }
        Some(Cells::new(cells).style(style))
    });
    let rows: Vec<_> = rows.collect();
    let heading = Cells::new(["CLIENT", "SERVICE", "STATE", "EXPIRES"]);
    let end = u16::try_from(half).unwrap_or(u16::MAX);
    let widths = [
        Constraint::Length(end),
        Constraint::Length(end),
        Constraint::Length(11),
        Constraint::Length(10),
    ];
    let heading = heading.style(Style::new().add_modifier(Modifier::BOLD));
    frame.render_widget(Table::new(rows, widths).header(heading), area);
}

fn help() -> Vec<Line<'static>> {
    let keys = KEYS
        .iter()
        .map(|(key, what)| Line::from(vec![bold(format!("{key:<26}")), Span::raw(*what)]));
    let states = STATES.iter().map(|state| Line::raw(*state));
    keys.chain(states).collect()
}

fn foot_line(app: &App) -> Line<'static> {
    if app.edits_filter {
        let text = format!(
            "filter: {}_  (Enter keeps it, Esc takes it away)",
            app.filter
        );
        return Line::from(bold(text));
    }
    if app.shows_help {
        return Line::raw("any key goes back");
    }
    let keys = KEYS.iter().take(KEYS_IN_LINE);
    let spans = keys.flat_map(|(key, what)| [bold(*key), Span::raw(format!(" {what}  "))]);
    Line::from(spans.collect::<Vec<_>>())
}
