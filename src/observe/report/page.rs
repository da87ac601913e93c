//! The page itself: one file that needs nothing else. The tables are there without its script; the script draws the timeline.

use std::collections::HashMap;

use super::read::{Run, Wait};
use super::sums::{Table, tables, time};
use crate::observe::json::{put, quote};

/// So many waits are drawn, the longest.
const DRAWN: usize = 100_000;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub fn html(run: &Run, program: &str) -> String {
    let mut out = String::with_capacity(1 << 16);
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    put(&mut out, format_args!("<title>{}</title>\n<style>\n{STYLE}</style>\n", escape(program)));
    put(&mut out, format_args!("<header><h1>{}</h1><p>{}</p></header>\n", escape(program), escape(&summary(run))));
    out.push_str("<section id=\"timeline\" hidden><h2>Timeline</h2>\n");
    out.push_str(
        "<div id=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"task, command, object, file:line\" \
                  aria-label=\"Search\"><button id=\"whole\">Whole run</button><span id=\"legend\"></span></div>\n",
    );
    out.push_str("<div id=\"view\"><canvas id=\"canvas\" tabindex=\"0\" aria-label=\"Timeline; the tables below say the same\">\
                  </canvas><div id=\"room\"></div></div>\n<p id=\"help\">Wheel with Ctrl, or + and −: zoom. Drag, or ← and →: \
                  move. Double click: whole run.</p>\n<div id=\"tip\" hidden></div></section>\n");
    out.push_str("<noscript><p>The timeline needs JavaScript; all else is here.</p></noscript>\n<main>\n");
    tables(run).iter().for_each(|table| show(&mut out, table));
    out.push_str("</main>\n<script type=\"application/json\" id=\"data\">");
    // A text in it could look like the end of the element.
    out.push_str(&data(run).replace("</", "<\\/").replace("<!--", "<\\u0021--"));
    put(&mut out, format_args!("</script>\n<script>\n{SCRIPT}</script>\n</html>\n"));
    out
}

fn summary(run: &Run) -> String {
    let failed = run.commands.iter().filter(|command| command.code != 0).count();
    let waits: u64 = run.by_object.values().map(|sum| sum.count).sum();
    let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    let (tasks, commands) = (run.tasks.len(), run.commands.len());
    format!("{} · {tasks} tasks · {waits} waits · {commands} commands{failed}", time(run.end))
}

fn show(out: &mut String, table: &Table) {
    put(out, format_args!("<section><h2>{}</h2>", escape(table.title)));
    if !table.about.is_empty() {
        put(out, format_args!("<p>{}</p>", escape(table.about)));
    }
    if table.rows.is_empty() {
        out.push_str("<p class=\"none\">None.</p></section>\n");
        return;
    }
    out.push_str("<div class=\"scroll\"><table><thead><tr>");
    let class = |column: &str| if column.starts_with('>') { " class=\"n\"" } else { "" };
    for column in table.columns {
        put(out, format_args!("<th{}>{}</th>", class(column), escape(column.trim_start_matches('>'))));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(table.columns) {
            put(out, format_args!("<td{}>{}</td>", class(column), escape(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>");
    if table.of > table.rows.len() {
        put(out, format_args!("<p class=\"none\">and {} more</p>", table.of - table.rows.len()));
    }
    out.push_str("</section>\n");
}

/// What the script draws. Texts that come again and again are numbers of a list.
fn data(run: &Run) -> String {
    let mut texts = Texts::default();
    let mut out = String::from("{");
    put(&mut out, format_args!("\"end\":{:.6},\"tasks\":[", run.end));
    for (i, task) in run.tasks.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let (name, process) = (texts.number(&task.name), run.processes.get(&task.track.0));
        let process = texts.number(process.map_or("", String::as_str));
        put(&mut out, format_args!("{comma}[{name},{process},{:.6},{:.6}]", task.began, task.ended));
    }
    out.push_str("],\"waits\":[");
    let mut waits: Vec<&Wait> = run.waits.iter().collect();
    if waits.len() > DRAWN {
        waits.sort_by(|one, other| (other.to - other.from).total_cmp(&(one.to - one.from)));
        waits.truncate(DRAWN);
        waits.sort_by(|one, other| one.to.total_cmp(&other.to));
    }
    for (i, wait) in waits.into_iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let by = match (wait.held_by.is_empty(), wait.waker) {
            (false, _) => format!("held by {} since {}", wait.held_by, wait.held_since),
            (true, Some((task, _))) => format!("woken by {}", run.tasks[task].name),
            (true, None) => String::new(),
        };
        let (what, at) = (texts.number(&wait.what), texts.number(&wait.at));
        let (how, by) = (texts.number(&wait.how), texts.number(&by));
        put(&mut out, format_args!("{comma}[{},{:.6},{:.6},{what},{at},{how},{by}]", wait.task, wait.from, wait.to));
    }
    out.push_str("],\"commands\":[");
    for (i, command) in run.commands.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let (text, ended) = (texts.number(&command.text), texts.number(&command.ended));
        let row = command.row - super::super::trace::COMMANDS;
        put(&mut out, format_args!("{comma}[{row},{:.6},{:.6},{text}", command.from, command.to));
        put(&mut out, format_args!(",{},{ended},{}]", command.code, command.pid));
    }
    out.push_str("],\"incidents\":[");
    for (i, incident) in run.incidents.iter().take(DRAWN).enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let (who, what) = (texts.number(&incident.who), texts.number(&incident.what));
        put(&mut out, format_args!("{comma}[{:.6},{who},{what}]", incident.at));
    }
    out.push_str("],\"texts\":[");
    for (i, text) in texts.all.iter().enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        quote(&mut out, text);
    }
    out.push_str("]}");
    out
}

#[derive(Default)]
struct Texts {
    numbers: HashMap<String, usize>,
    all: Vec<String>,
}

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len();
        self.all.push(text.to_string());
        self.numbers.insert(text.to_string(), number);
        number
    }
}

/// Text as it may stand in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
