//! A report as one page: complete in one file, with charts, asking no server for anything. Everything that came from outside
//! is escaped here, in text and in the JSON that the charts are drawn from.

use std::fmt::Write as _;

use super::told::{Finding, Group, LatencyRow, QUANTILES, Told, told};
use super::{Report, Required, Verdict, json};

const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
const CHARTS: &str = include_str!("assets/charts.js");
// uPlot 1.6.32, of its npm package, unchanged. MIT: web-demo/vendor/uPlot.LICENSE.
const UPLOT: &str = include_str!("../../../../web-demo/vendor/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("../../../../web-demo/vendor/uPlot.min.css");

/// The charts over the seconds: their names in `charts.js`, and their titles.
const SERIES: [(&str, &str); 5] = [
    ("deliveries", "Pushes delivered each second"),
    ("writes", "Writes answered each second"),
    ("latency", "Acknowledgement"),
    ("cpu", "CPU of the server, 100 % is one core"),
    ("memory", "Memory of the server"),
];

/// The whole page.
pub fn written(report: &Report) -> String {
    let told = told(report);
    let title = format!("{} · Tallycast bench", escaped(&told.scenario));
    let style = format!("{UPLOT_STYLE}\n{STYLE}");
    let (body, json) = (body(&told, report), in_script(&json::written(report)));
    let parts =
        [("title", title), ("style", style), ("body", body), ("json", json), ("uplot", UPLOT.to_owned()), ("charts", CHARTS.to_owned())];
    filled(PAGE, &parts)
}

/// The template with its places filled. What is filled in is never searched for places.
fn filled(template: &str, parts: &[(&str, String)]) -> String {
    let mut pieces = template.split("{{");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        let part = parts.iter().find(|(known, _)| *known == name);
        text.push_str(part.map_or("", |(_, part)| part));
        text.push_str(rest);
    }
    text
}

fn body(told: &Told, report: &Report) -> String {
    let mut text = format!("<header><p class=\"brand\">Tallycast bench</p>\n<h1>{}</h1>\n<dl class=\"facts\">", escaped(&told.scenario));
    for (name, value) in &told.facts {
        // Writing into a string cannot fail, here and below.
        let _ = write!(text, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value));
    }
    text.push_str("</dl></header>\n<main>\n");
    if let Some(finding) = &told.finding {
        write_finding(&mut text, finding);
    }
    write_warnings(&mut text, &told.warnings);
    write_tiles(&mut text, told);
    write_requirements(&mut text, &told.requirements);
    write_latencies(&mut text, &told.latencies);
    write_series(&mut text);
    text.push_str("<h2>All figures</h2>\n<div class=\"groups\">\n");
    for group in &told.groups {
        write_group(&mut text, group);
    }
    let version = escaped(&report.run.version);
    let _ = write!(
        text,
        "</div>\n</main>\n<footer><span>Tallycast {version} · all times count from when a thing was due, not from when it could be done</span>\
         <button type=\"button\" id=\"save\">Save as JSON</button></footer>"
    );
    text
}

fn write_finding(text: &mut String, finding: &Finding) {
    let (class, mark) = match finding.verdict {
        Verdict::Kept => ("kept", "✓"),
        Verdict::Broken => ("broken", "✗"),
        Verdict::Unproven => ("unproven", "?"),
    };
    let _ = write!(
        text,
        "<section class=\"finding {class}\"><span class=\"mark\" aria-hidden=\"true\">{mark}</span><div><strong>{}</strong><p>{}</p></div>",
        finding.headline,
        escaped(&finding.sentence)
    );
    write_list(text, &finding.details);
    text.push_str("</section>\n");
}

fn write_warnings(text: &mut String, warnings: &[String]) {
    if !warnings.is_empty() {
        text.push_str("<section class=\"warnings\"><h3>Before you believe a figure</h3>");
        write_list(text, warnings);
        text.push_str("</section>\n");
    }
}

fn write_list(text: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        let lines: String = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
        let _ = write!(text, "<ul>{lines}</ul>");
    }
}

fn write_tiles(text: &mut String, told: &Told) {
    text.push_str("<section class=\"tiles\" aria-label=\"Main figures\">");
    for (what, figure) in &told.highlights {
        let _ = write!(text, "<div class=\"card\"><span>{what}</span><b>{}</b></div>", escaped(figure));
    }
    text.push_str("</section>\n");
}

fn write_requirements(text: &mut String, requirements: &[Required]) {
    if requirements.is_empty() {
        return;
    }
    text.push_str("<h2>Requirements</h2>\n<div class=\"card\"><table class=\"requirements\"><tbody>");
    for required in requirements {
        let (class, word) = if required.met { ("met", "✓ met") } else { ("missed", "✗ missed") };
        let figure = required.figure.as_deref().unwrap_or("not measured in this run");
        let _ = write!(text, "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>", escaped(&required.text), escaped(figure));
    }
    text.push_str("</tbody></table></div>\n");
}

fn write_latencies(text: &mut String, rows: &[LatencyRow]) {
    if rows.is_empty() {
        return;
    }
    text.push_str("<h2>Latency</h2>\n<div class=\"card\"><h3>By percentile, both axes logarithmic</h3>");
    text.push_str("<div class=\"plot\" data-chart=\"percentiles\" role=\"img\" aria-label=\"Latency by percentile; the table below has the figures\"></div>");
    text.push_str("<div class=\"wide\"><table id=\"latencies\"><thead><tr><th></th>");
    for (name, _) in QUANTILES {
        let _ = write!(text, "<th>{name}</th>");
    }
    text.push_str("<th>times</th></tr></thead><tbody>");
    for row in rows {
        let labels = QUANTILES.iter().map(|(name, _)| *name).chain(["times"]);
        let cells = row.quantiles.iter().chain([&row.count]).zip(labels);
        let cells: String = cells.map(|(cell, label)| format!("<td data-label=\"{label}\">{cell}</td>")).collect();
        let _ = write!(text, "<tr data-span=\"{0}\"><th>{0}<small>{1}</small></th>{cells}</tr>", row.span.name(), escaped(row.meaning));
    }
    text.push_str("</tbody></table></div></div>\n");
}

fn write_series(text: &mut String) {
    text.push_str("<section id=\"seconds\"><h2>Second by second</h2>\n<div class=\"series\">");
    for (name, title) in SERIES {
        let _ = write!(
            text,
            "<div class=\"card\"><h3>{title}</h3><div class=\"plot\" data-chart=\"{name}\" role=\"img\" aria-label=\"{title}, over time\"></div></div>"
        );
    }
    text.push_str("</div></section>\n");
}

fn write_group(text: &mut String, group: &Group) {
    let _ = write!(text, "<section class=\"card\"><h3>{}</h3><table><tbody>", group.title);
    for line in &group.lines {
        let note = if line.note.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(&line.note)) };
        let _ = write!(
            text,
            "<tr data-figure=\"{}\"><th>{}</th><td><span>{}</span>{note}</td></tr>",
            line.name,
            line.label,
            escaped(&line.value)
        );
    }
    text.push_str("</tbody></table></section>\n");
}

/// Text for a place between tags or in an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            sign => safe.push(sign),
        }
    }
    safe
}

/// JSON for a place inside a script element: the same JSON, in which nothing can end the element.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
