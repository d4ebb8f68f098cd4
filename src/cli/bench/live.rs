//! What is shown while a test runs: a progress bar and a live line on a terminal, a plain line each second elsewhere, all on
//! standard error. Nothing depends on it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::Second;

/// The lines on standard error.
pub(super) struct Live {
    bar: Option<ProgressBar>,
    plain: bool,
}

impl Live {
    /// Shows nothing when it is to be quiet.
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = !quiet && std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
            let style = ProgressStyle::with_template("{prefix:<11} {bar:20} {pos}/{len}  {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, plain: !quiet && !terminal }
    }

    /// Something new begins, of so many steps.
    pub(super) fn begin(&self, phase: &'static str, steps: usize) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(phase);
            bar.set_message("");
            bar.set_position(0);
            bar.set_length(steps as u64);
        }
        self.line(phase);
    }

    /// So many steps are done.
    pub(super) fn step(&self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    /// A second is over.
    pub(super) fn second(&self, second: &Second) {
        let time = |micros: Option<u64>| micros.map_or("-".to_owned(), |micros| format!("{:.1?}", Duration::from_micros(micros)));
        let mut text = format!(
            "{} acknowledged, p50 {}, p99 {}; {} pushes",
            second.acknowledged,
            time(second.acknowledgement_p50_us),
            time(second.acknowledgement_p99_us),
            second.deliveries
        );
        if second.refused > 0 {
            text += &format!("; {} refused", second.refused);
        }
        if let (Some(cpu), Some(rss)) = (second.server_cpu_percent, second.server_rss_bytes) {
            text += &format!("; server {cpu:.0} % CPU, {} MiB", rss >> 20);
        }
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => self.line(&format!("{:>4} s: {text}", second.at_s + 1)),
        }
    }

    fn line(&self, text: &str) {
        if self.plain {
            // Standard error may be closed; the report is what counts.
            let _ = writeln!(std::io::stderr(), "bench: {text}");
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
