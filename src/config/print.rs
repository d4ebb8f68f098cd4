//! The configuration as text: the documented template, and what is in force with its origins. Never shows a secret.

use super::fault::Origin;
use super::settings::{Kind, SETTINGS, Setting, VARIABLE};
use super::sources::{Sources, Value};

const SECTIONS: &[(&str, &str)] = &[
    ("log", "Logs go to standard error."),
    ("app", "The app whose users come here."),
    ("store", "Where the counters are kept."),
    ("push", "What one hot room may cost."),
    ("push.min_interval_of", "Left out: as `push.min_interval`."),
    ("limits", "0: no limit, no deadline, unless another sense is given."),
    ("security", "Who may connect."),
    ("drain", "How it ends."),
];

/// Every setting with its default and what it means: the text of `tallycast.example.toml`.
pub fn template() -> String {
    let mut out = format!(
        "# The settings of Tallycast, each with its default.\n#\n\
         # Flags beat environment variables, those beat this file. The variable of a setting is {VARIABLE} and its path\n\
         # in capitals with __ for the dot: {VARIABLE}STORE__PATH, {VARIABLE}APP__SECRET_KEYS=\"first,second\".\n\
         # Durations are texts such as \"250ms\", \"25s\", \"2m\".\n\n"
    );
    for (i, setting) in SETTINGS.iter().enumerate() {
        open_section(&mut out, i, true);
        if !setting.doc.is_empty() {
            out.push_str(&comment(setting.doc));
        }
        out.push_str(&line(setting, &default_of(setting)));
        out.push('\n');
    }
    out
}

impl Sources {
    /// The configuration in force as TOML. Where a value is no default, a comment says where it comes from.
    /// Secrets are counted, not shown.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for (i, setting) in SETTINGS.iter().enumerate() {
            open_section(&mut out, i, false);
            let default = default_of(setting);
            let (value, origin) = self.given(setting).map_or((&default, &Origin::Default), |g| (&g.value, &g.origin));
            out.push_str(&line(setting, value));
            if *origin != Origin::Default {
                out.push_str(&format!("  # {origin}"));
            }
            out.push('\n');
        }
        out
    }
}

fn open_section(out: &mut String, at: usize, documented: bool) {
    let (section, _) = SETTINGS[at].place();
    if at == 0 || SETTINGS[at - 1].place().0 == section {
        return;
    }
    out.push('\n');
    if let (true, Some((_, doc))) = (documented, SECTIONS.iter().find(|(name, _)| *name == section)) {
        out.push_str(&comment(doc));
    }
    out.push_str(&format!("[{section}]\n"));
}

fn line(setting: &Setting, value: &Value) -> String {
    let (_, name) = setting.place();
    match (value, setting.kind) {
        (Value::Many(items), _) if setting.secret && !items.is_empty() => format!("# {name}: {} given, not shown", items.len()),
        (Value::Many(items), _) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("{name} = [{}]", items.join(", "))
        }
        (Value::One(text), _) if setting.secret && !text.is_empty() => format!("# {name}: given, not shown"),
        (Value::One(text), Kind::Number) => format!("{name} = {}", text.as_str()),
        (Value::One(text), Kind::Duration) if text.is_empty() => format!("# {name} = \"100ms\""),
        (Value::One(text), _) => format!("{name} = {}", quoted(text)),
    }
}

pub(super) fn default_of(setting: &Setting) -> Value {
    let text = || setting.default.to_owned().into();
    match setting.kind {
        Kind::List if setting.default.is_empty() => Value::Many(Vec::new()),
        Kind::List => Value::Many(vec![text()]),
        _ => Value::One(text()),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn comment(doc: &str) -> String {
    const WIDTH: usize = 118;
    let mut out = String::new();
    let mut width = 0;
    for word in doc.split(' ') {
        let length = word.chars().count();
        if width == 0 || width + 1 + length > WIDTH {
            out.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + length;
    }
    out.push('\n');
    out
}
