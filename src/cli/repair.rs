//! `tallycast repair`: makes the best of a damaged store, and says what is lost.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::say;
use crate::store;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder of a damaged store that is not in use
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let path = args.path.display();
    let Some(repaired) = store::repair(&args.path)? else {
        return say(&format!("{path}: sound; nothing was changed\n"));
    };
    let mut text = format!("{path}: repaired; it holds {}. Every group has a new epoch.\nDamaged was:\n", super::holds(&repaired.kept));
    for finding in &repaired.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", finding.place, finding.what);
    }
    text.push_str("Done:\n");
    for done in &repaired.done {
        let _ = writeln!(text, "  {done}");
    }
    let _ = writeln!(text, "The damaged folder is kept as {}; remove it when it is not needed any more.", repaired.aside.display());
    say(&text)
}
