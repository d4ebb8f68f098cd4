//! The configuration as typed: what the file, the environment and the flags say, laid over one another, and what is
//! wrong with how they say it. What the values mean is no matter of this file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::fault::{Fault, Origin, nearest};
use super::settings::{Kind, SETTINGS, Setting, VARIABLE, find, is_section};

/// A value, wiped when dropped: any of them may be a secret.
pub(super) type Text = Zeroizing<String>;

#[derive(Clone, PartialEq)]
pub(super) enum Value {
    One(Text),
    Many(Vec<Text>),
}

pub(super) struct Given {
    pub value: Value,
    pub origin: Origin,
}

/// What has been given so far. Flags beat the environment, the environment beats the file, in whatever order they are
/// laid down here. Faults are gathered, not returned: reading names them all at once.
#[derive(Default)]
pub struct Sources {
    given: BTreeMap<&'static str, Given>,
    pub(super) faults: Vec<Fault>,
    /// The file could not be read as a whole, so what is missing may well be in it.
    pub(super) torn: bool,
    /// The files that every user of the machine can read.
    open_files: Vec<Arc<str>>,
}

impl Sources {
    /// Nothing but defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays down a TOML file.
    pub fn file(mut self, path: &Path) -> Self {
        let name: Arc<str> = path.display().to_string().into();
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            self.open_files.push(name.clone());
        }
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => self.text(&name, &text),
            Err(e) => {
                self.torn = true;
                self.fault("", format!("the file cannot be read: {e}"), Origin::File(name, 0));
                self
            }
        }
    }

    /// What is right and should be otherwise all the same: secrets in a file that every user of the machine can read.
    pub fn warnings(&self) -> Vec<Fault> {
        let has_secret = |given: &Given| match &given.value {
            Value::One(text) => !text.is_empty(),
            Value::Many(items) => items.iter().any(|item| !item.is_empty()),
        };
        let warning = |(path, given): (&&str, &Given)| match &given.origin {
            Origin::File(name, _) if self.open_files.contains(name) && has_secret(given) && find(path).is_some_and(|s| s.secret) => {
                let message = format!("every user of this machine can read the secret: chmod 600 {name}");
                Some(Fault { path: path.to_string(), message, origin: given.origin.clone() })
            }
            _ => None,
        };
        self.given.iter().filter_map(warning).collect()
    }

    /// Lays down the text of a TOML file of this name.
    pub fn text(mut self, name: &str, text: &str) -> Self {
        let name: Arc<str> = name.into();
        let (table, errors) = DeTable::parse_recoverable(text);
        let lines = Lines { name, text, torn: errors.iter().filter_map(|e| Some(line_of(text, e.span()?.start))).collect() };
        for error in &errors {
            // Only the message: the error's own display shows the line, and a secret may stand in it.
            let message = format!("not TOML: {}", error.message().replace('\n', ", "));
            self.fault("", message, lines.origin(error.span().map_or(0, |s| s.start)));
        }
        self.torn |= !errors.is_empty();
        self.table("", table.get_ref(), &lines);
        self
    }

    /// Lays down environment variables: those that begin with `TALLYCAST_`, the rest is not ours.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut ours: Vec<(String, OsString)> = variables
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .filter(|(name, _)| name.starts_with(VARIABLE) && !is_made_by_a_cluster(name))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let origin = Origin::Environment(name.clone());
            match (SETTINGS.iter().find(|s| s.variable() == name), value.into_string()) {
                (Some(setting), Ok(value)) => self.plain(setting, value.into(), origin),
                (Some(setting), Err(_)) => self.fault(setting.path, "the value is not UTF-8".into(), origin),
                (None, _) => {
                    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
                    let offer = nearest(&name, known.iter().map(String::as_str));
                    self.fault("", unknown("variable", offer), origin);
                }
            }
        }
        self
    }

    /// Lays down what a flag of the command line says, or what a command settles by itself; `None` says nothing.
    pub fn flag(mut self, flag: &'static str, path: &'static str, value: Option<&str>) -> Self {
        match (find(path), value) {
            (Some(setting), Some(value)) => self.plain(setting, Zeroizing::new(value.to_owned()), Origin::Flag(flag)),
            (None, Some(_)) => self.fault(path, unknown("setting", None), Origin::Flag(flag)),
            (_, None) => (),
        }
        self
    }

    pub(super) fn given(&self, setting: &Setting) -> Option<&Given> {
        self.given.get(setting.path)
    }

    fn plain(&mut self, setting: &'static Setting, text: Text, origin: Origin) {
        let value = if setting.kind == Kind::List { Value::Many(split(&text)) } else { Value::One(text) };
        self.lay(setting, value, origin);
    }

    fn lay(&mut self, setting: &'static Setting, value: Value, origin: Origin) {
        if self.given.get(setting.path).is_none_or(|before| origin.beats(&before.origin)) {
            self.given.insert(setting.path, Given { value, origin });
        }
    }

    fn fault(&mut self, path: &str, message: String, origin: Origin) {
        self.faults.push(Fault { path: path.to_owned(), message, origin });
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, lines: &Lines<'_>) {
        for (key, value) in table {
            let key_text = printable(key.get_ref());
            let path = if prefix.is_empty() { key_text } else { format!("{prefix}.{key_text}") };
            let origin = lines.origin(key.span().start);
            match (find(&path), value.get_ref()) {
                (None, DeValue::Table(inner)) if !inner.is_empty() || is_section(&path) => self.table(&path, inner, lines),
                // A line that is not TOML has its fault already.
                _ if lines.is_torn(&origin) => (),
                (Some(setting), value) => match typed(setting, value) {
                    Ok(value) => self.lay(setting, value, origin),
                    Err(message) => self.fault(&path, message, origin),
                },
                (None, _) if is_section(&path) => {
                    let message = format!("this is a section: write [{path}] on a line of its own and its settings below");
                    self.fault(&path, message, origin);
                }
                (None, _) => self.fault(&path, unknown("key", nearest_path(&path)), origin),
            }
        }
    }
}

/// The text of a file, to tell lines from offsets.
struct Lines<'a> {
    name: Arc<str>,
    text: &'a str,
    torn: Vec<usize>,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::File(self.name.clone(), line_of(self.text, offset))
    }

    fn is_torn(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::File(_, line) if self.torn.contains(line))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// Kubernetes gives every container variables for each service, and a service may well be named `tallycast`.
fn is_made_by_a_cluster(name: &str) -> bool {
    ["SERVICE_HOST", "SERVICE_PORT", "PORT"].iter().any(|made| {
        let rest = name.strip_prefix(VARIABLE).and_then(|n| n.strip_prefix(made));
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('_') && !rest.starts_with("__")))
    })
}

/// A list in one text. Spaces around a comma are nobody's intention.
fn split(text: &str) -> Vec<Text> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').map(|item| Zeroizing::new(item.trim().to_owned())).collect() }
}

fn typed(setting: &Setting, value: &DeValue<'_>) -> Result<Value, String> {
    let owned = |text: &str| Zeroizing::new(text.to_owned());
    match (setting.kind, value) {
        (Kind::Text | Kind::Duration, DeValue::String(text)) => Ok(Value::One(owned(text))),
        (Kind::Number | Kind::Duration, DeValue::Integer(n)) => match i128::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Ok(Value::One(owned(&n.to_string()))),
            Err(_) => Err(format!("{} is too large", printable(n.as_str()))),
        },
        (Kind::List, DeValue::String(text)) => Ok(Value::Many(split(text))),
        (Kind::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(owned))
            .collect::<Option<_>>()
            .map(Value::Many)
            .ok_or_else(|| format!("something in the list is not {}", Kind::Text.words())),
        (kind, _) if setting.secret => Err(format!("the value is not {}", kind.words())),
        (kind, value) => Err(format!("{} is not {}", shown(value), kind.words())),
    }
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Number => "a whole number such as 20",
            Self::Duration => "a duration such as \"25s\"",
            Self::List => "a list of texts such as [\"one\", \"two\"]",
        }
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(n) => printable(n.as_str()),
        DeValue::Float(n) => printable(n.as_str()),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// A value as it may stand in a message: in quotes, one line, not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

fn printable(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let mut short: String = text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn unknown(what: &str, offer: Option<&str>) -> String {
    match offer {
        Some(offer) => format!("unknown {what}; did you mean {offer}?"),
        None => format!("unknown {what}"),
    }
}

/// A right name in a wrong section is nearer than any misspelling.
fn nearest_path(path: &str) -> Option<&'static str> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let mut same_name = SETTINGS.iter().filter(|s| s.place().1 == name);
    match (same_name.next(), same_name.next()) {
        (Some(setting), None) => Some(setting.path),
        _ => nearest(path, SETTINGS.iter().map(|s| s.path)).or_else(|| {
            let offer = nearest(name, SETTINGS.iter().map(|s| s.place().1))?;
            SETTINGS.iter().find(|s| s.place().1 == offer).map(|s| s.path)
        }),
    }
}
