//! What a text of the configuration means: one small function for each kind of value, with the words for a text that
//! means nothing.

use std::net::SocketAddr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::fault::nearest;
use super::settings::Kind;
use super::sources::quoted;
use super::{Durability, Listen, LogFormat};
use crate::auth::Secret;

/// Longer durations are typing errors, and some clocks cannot be asked so far ahead.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) const FORMATS: [(&str, LogFormat); 3] = [("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
pub(super) const DURABILITIES: [(&str, Durability); 2] = [("sync", Durability::Sync), ("interval", Durability::Interval)];
const LEVELS: [&str; 5] = ["off", "error", "warn", "info", "debug"];

/// An address or a name, and a port. Which addresses a name has is found out at the start.
pub(super) fn listen(text: &str) -> Result<Listen, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Listen { host: address.ip().to_string(), port: address.port() });
    }
    let is_name = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let parts = text.rsplit_once(':').filter(|(host, _)| is_name(host));
    match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => Ok(Listen { host: host.to_ascii_lowercase(), port }),
        None => Err(format!(
            "{} is not an address or a name and a port, such as \"127.0.0.1:8080\", \"localhost:8080\" or \":8080\"",
            quoted(text)
        )),
    }
}

pub(super) fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let not_one = || format!("{} is not {}", bare(text), Kind::Number.words());
    if text.starts_with('-') && text.parse::<i128>().is_ok() {
        return Err(format!("{text} is below 0"));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_one());
    }
    text.parse::<u64>().ok().and_then(|n| T::try_from(n).ok()).ok_or_else(|| format!("{} is too large", bare(text)))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration > DURATION_MAX => Err(format!("{} is longer than a year", quoted(text))),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("{} is not {}", bare(text), Kind::Duration.words())),
    }
}

/// `shown` is the bound as people write it.
pub(super) fn at_most<T: PartialOrd>(value: T, most: T, shown: impl std::fmt::Display) -> Result<T, String> {
    if value > most { Err(format!("it is above {shown}, the most there can be")) } else { Ok(value) }
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, meant)| *meant).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| quoted(name)).collect();
        format!("{} is not {}", quoted(text), names.join(" or "))
    })
}

/// Directives for the log. A bare word that is no level would be taken for the name of a module, with everything of it
/// shown and everything else hidden: nobody means that.
pub(super) fn level(text: &str) -> Result<String, String> {
    let not_one =
        || format!("{} is not a level such as \"info\", nor levels of parts such as \"info,tallycast::store=debug\"", quoted(text));
    let mut parts = text.split(',').map(str::trim);
    if parts.clone().any(|p| p.rsplit('=').next().is_some_and(|level| level.eq_ignore_ascii_case("trace"))) {
        return Err("this program has no lines of the level trace: debug shows everything there is".to_owned());
    }
    if let Some(word) = parts.clone().find(|p| !p.contains(['=', ':', '[']) && !LEVELS.contains(&p.to_lowercase().as_str())) {
        return Err(match nearest(word, LEVELS.into_iter()) {
            Some(offer) => format!("{}; did you mean {offer}?", not_one()),
            None => not_one(),
        });
    }
    if parts.any(|p| p.is_empty()) || EnvFilter::builder().parse(text).is_err() {
        return Err(not_one());
    }
    Ok(text.to_owned())
}

/// Whoever has a UserSig can try secrets on it as fast as his machine computes: shorter ones than this are found.
const SECRET_CHARACTERS_MIN: usize = 16;
/// Texts of examples, which everybody knows.
const PLACEHOLDERS: [&str; 2] = ["put a long random text here", "put-a-long-random-text-here"];

/// An empty item is no secret and no fault: during a rotation a variable that holds the other one is often empty.
pub(super) fn secret(text: &str) -> Result<Option<Secret>, String> {
    let better = "make one with: openssl rand -hex 32";
    if PLACEHOLDERS.iter().any(|known| text.trim().eq_ignore_ascii_case(known)) {
        return Err(format!("a secret is the text of an example, which everybody knows; {better}"));
    }
    if (1..SECRET_CHARACTERS_MIN).contains(&text.chars().count()) {
        return Err(format!("a secret has fewer than {SECRET_CHARACTERS_MIN} characters, so that it can be guessed; {better}"));
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err("a secret has white space at an end, or a control character in it".to_owned());
    }
    Ok(Secret::new(text).ok())
}

/// An origin as a browser sends it, in small letters; `*` and `null` stand as they are.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let small = text.to_ascii_lowercase();
    let is_origin = small.split_once("://").is_some_and(|(scheme, host)| {
        let plain = |c: char| c.is_ascii_graphic() && !"/?#@\"'<>\\*,".contains(c);
        !scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !host.is_empty()
            && host.chars().all(plain)
    });
    if is_origin || small == "*" || small == "null" {
        return Ok(small);
    }
    Err(match small.strip_suffix('/') {
        Some(_) if small.contains("://") => {
            format!("{} is not an origin such as \"https://example.com\": no path, no slash at the end", quoted(text))
        }
        _ => format!("{} is not an origin such as \"https://example.com\"", quoted(text)),
    })
}

/// What reads as a number is shown as one.
fn bare(text: &str) -> String {
    if text.parse::<i128>().is_ok() { text.to_owned() } else { quoted(text) }
}
