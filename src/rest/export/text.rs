//! The two dresses of a scrape: Prometheus's text format 0.0.4, which everything reads, and OpenMetrics for whoever asks.

use std::fmt;

use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::registry::Registry;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header wants. OpenMetrics is for those who name it and like it no less than plain text.
    pub fn wanted(accept: &str) -> Self {
        let (mut classic, mut open) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))).map_or(1000, per_mille);
            match kind.as_str() {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" => classic = quality.max(classic),
                _ => {}
            }
        }
        if open > 0 && open >= classic { Self::OpenMetrics } else { Self::Classic }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Everything in a registry.
    pub fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match self {
            Self::OpenMetrics => encode(&mut text, registry).map(|()| text),
            Self::Classic => encode_registry(&mut text, registry).map(|()| classic(&text)),
        }
    }
}

/// A quality such as `0.75`, in thousandths.
fn per_mille(quality: &str) -> u16 {
    quality.parse::<f32>().map_or(0, |quality| (quality.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// In the classic format a counter's words and type stand under the name of its sample, `_total` and all.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 1024);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").and_then(|help| help.split_once(' '));
        match (help, lines.peek()) {
            (Some((name, words)), Some(kind)) if kind.strip_prefix("# TYPE ").is_some_and(|kind| kind == format!("{name} counter")) => {
                text.push_str(&format!("# HELP {name}_total {words}\n# TYPE {name}_total counter\n"));
                lines.next();
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [prometheus, "application/openmetrics-text", "text/plain; q=0.3, Application/OpenMetrics-Text; Q=0.4"] {
            assert_eq!(Format::wanted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in
            ["", "*/*", "text/plain", "text/html,*/*;q=0.8", "text/plain, application/openmetrics-text;q=0.9", "text/plain;version=0.0.4"]
        {
            assert_eq!(Format::wanted(accept), Format::Classic, "{accept}");
        }
        assert_eq!(Format::wanted("application/openmetrics-text;q=0"), Format::Classic);
        assert_eq!(Format::wanted("application/openmetrics-text;q=nonsense"), Format::Classic);
    }

    #[test]
    fn only_counters_are_dressed_otherwise() {
        let open = "# HELP a Likes.\n# TYPE a counter\na_total 1\n# HELP b Now counter.\n# TYPE b gauge\nb 2\n";
        let classic_text = "# HELP a_total Likes.\n# TYPE a_total counter\na_total 1\n# HELP b Now counter.\n# TYPE b gauge\nb 2\n";
        assert_eq!(classic(open), classic_text);
    }
}
