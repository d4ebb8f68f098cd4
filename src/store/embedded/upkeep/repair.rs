//! Makes the best of a damaged store: a new folder of all that can be read takes its place, and the old one is put aside.
//!
//! A page with one wrong bit is put right: its checksum tells which. Of a damaged leaf those rows are kept whose own
//! checksums hold; what hangs on a damaged branch is lost. The journal is cut before its first block that cannot be read.
//! Relations are made anew from groups and members. Every loss is told, and every epoch changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::frames::{Begin, BlockHead, Kind, Sink as _};
use super::target::Target;
use super::verify::{Finding, examine};
use super::{BACKUP, Copied, UpkeepError, hold, scratch};
use crate::store::Limits;
use crate::store::embedded::belonging;
use crate::store::embedded::block::Sealer;
use crate::store::embedded::disk::scratch::Scratch;
use crate::store::embedded::disk::{Disk as _, read_range};
use crate::store::embedded::journal::Position;
use crate::store::embedded::label::{FIRST_BLOCK, Label};
use crate::store::embedded::pages;
use crate::store::embedded::rows::{FORMAT, Meta, Rows};
use crate::store::embedded::segment::{self, name_of, segment_bytes, segment_of};
use crate::store::embedded::table::{self, Table};

mod salvage;

/// The memory for the table's pages.
const CACHE_BYTES: usize = 64 << 20;

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// What was damaged.
    pub findings: Vec<Finding>,
    /// What was done about it, and what is lost by it.
    pub done: Vec<String>,
    /// What the repaired store holds.
    pub kept: Copied,
    /// Where the damaged folder is now.
    pub aside: PathBuf,
}

/// Repairs a folder that no process has; `None`: nothing in it is damaged, and nothing was changed.
pub fn repair(path: &Path) -> Result<Option<Repaired>, UpkeepError> {
    let _held = hold(path)?;
    let findings = examine(path)?.findings;
    if findings.is_empty() {
        return Ok(None);
    }
    let (fresh, aside) = (beside(path, "repaired")?, beside(path, "damaged")?);
    let mut done = Vec::new();
    let target = save(path, &fresh, &mut done)?;
    let kept = if path.join(BACKUP).exists() { target.finish_backup()? } else { target.finish_store()? };
    if let Some(still) = examine(&fresh)?.findings.first() {
        let words = format!("what could be read does not make a store: {}: {}; restore a backup", still.place, still.what);
        std::fs::remove_dir_all(&fresh).map_err(|error| UpkeepError::Failed(format!("{}: {error}", fresh.display())))?;
        return Err(UpkeepError::Failed(words));
    }
    replace(path, &fresh, &aside).map_err(|error| {
        let (fresh, path) = (fresh.display(), path.display());
        UpkeepError::Failed(format!("the repaired store is in {fresh}, but cannot be put in the place of {path}: {error}; do it by hand"))
    })?;
    done.extend(files_of_others(&aside));
    Ok(Some(Repaired { findings, done, kept, aside }))
}

/// Puts a folder aside and another one in its place.
fn replace(path: &Path, by: &Path, aside: &Path) -> std::io::Result<()> {
    std::fs::rename(path, aside)?;
    std::fs::rename(by, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

/// What else was in the folder, such as the audit log: it is where it was, in the folder that was put aside.
fn files_of_others(aside: &Path) -> Option<String> {
    let names = std::fs::read_dir(aside).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ours = ["LOCK", BACKUP, pages::NAME, table::NAME, table::UNFINISHED, segment::UNFINISHED, "control.sock"];
    let mut others: Vec<String> = names.filter(|name| !ours.contains(&name.as_str()) && segment_of(name).is_none()).collect();
    others.sort_unstable();
    let list = others.join(", ");
    (!others.is_empty()).then(|| format!("not part of the store, and left in {}: {list}", aside.display()))
}

/// A name beside the folder, on the same disk.
fn beside(path: &Path, what: &str) -> Result<PathBuf, UpkeepError> {
    let unfit = || UpkeepError::Unfit(format!("{} cannot be replaced: name it by its own name", path.display()));
    let name = path.file_name().ok_or_else(unfit)?.to_string_lossy();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let names = (seconds..seconds + 100).map(|seconds| path.with_file_name(format!("{name}.{what}-{seconds}")));
    names.into_iter().find(|beside| !beside.exists()).ok_or_else(unfit)
}

/// Copies all that can be read.
fn save(path: &Path, to: &Path, done: &mut Vec<String>) -> Result<Target, UpkeepError> {
    let disk = scratch(path)?;
    let hopeless =
        |error: &dyn std::fmt::Display| UpkeepError::Failed(format!("nothing of the table can be read ({error}): restore a backup"));
    let names = disk.list().map_err(|error| hopeless(&error))?;
    let has_sums = names.iter().any(|name| name == pages::NAME);
    if has_sums {
        done.extend(pages::put_right(&disk).map_err(|error| hopeless(&error))?);
    }
    let unsure = match has_sums {
        false => Some(format!("{} is missing", pages::NAME)),
        true => (!pages::has_true_header(&disk).map_err(|error| hopeless(&error))?)
            .then(|| format!("the header of {} is not what was written", table::NAME)),
    };
    if let Some(unsure) = unsure {
        Table::open_unsummed(&disk, CACHE_BYTES).map_err(|error| hopeless(&error))?.close();
        done.push(format!("{unsure}: all checksums were made anew, after redb's own checksums of all pages were found right"));
    }
    let table = Table::open_leniently(&disk, CACHE_BYTES).map_err(|error| hopeless(&error))?;
    let format = table.format().map_err(|error| hopeless(&error))?;
    if format != FORMAT {
        let words = format!("{} has format {format}: it was damaged before this program had it; restore a backup", path.display());
        return Err(UpkeepError::Unfit(words));
    }
    let meta = table.meta().map_err(|error| hopeless(&error))?;
    let journal = Journal::read(&disk, &meta, done)?;
    let mut target = Target::begin(to)?;
    let begin =
        Begin { format: FORMAT, generation: meta.generation, merged: meta.merged.lsn, segment_bytes: segment_bytes(&Limits::default()) };
    target.take(Kind::Begin, &postcard::to_stdvec(&begin).expect("plain values can always be encoded"))?;
    for rows in [Rows::Groups, Rows::Members, Rows::Accounts] {
        salvage::copy_rows(&table, rows, &mut target, done)?;
    }
    for (head, payload) in &journal.blocks {
        target.take(Kind::Block, &head.encode(payload))?;
    }
    let end = journal.blocks.last().map_or(meta.merged.lsn, |(head, _)| head.lsn);
    target.take(Kind::End, &end.to_le_bytes())?;
    let generation = target.meta(meta.generation)?;
    let orphans = target.table()?.write(|transaction| Ok((belonging::make_anew(transaction)?, generation)))?;
    if orphans > 0 {
        done.push(format!("{orphans} members are lost: their groups cannot be read"));
    }
    Ok(target)
}

/// What can be read of the journal.
struct Journal {
    blocks: Vec<(BlockHead, Vec<u8>)>,
}

impl Journal {
    /// All blocks from the oldest on where they lead as far as the table goes; else those behind that.
    fn read(disk: &Scratch, meta: &Meta, done: &mut Vec<String>) -> Result<Self, UpkeepError> {
        let from = Position { lsn: 0, segment: meta.oldest, offset: FIRST_BLOCK };
        let (mut blocks, mut end) = follow(disk, meta, from, None)?;
        if blocks.last().is_none_or(|(head, _)| head.lsn < meta.merged.lsn) {
            if meta.merged.lsn > 0 {
                done.push("the memory of answered operations is lost: a retry of a write of the last minutes may count twice".to_owned());
            }
            (blocks, end) = follow(disk, meta, meta.merged, Some(meta.merged.lsn))?;
        }
        let behind = headers_behind(disk, meta, end)?;
        if let Some(newest) = behind.last() {
            let name = name_of(end.segment);
            let count = behind.len();
            done.push(format!(
                "the journal is cut behind record block {}, at byte {} of {name}: {count} later blocks, up to number {newest}, are lost",
                end.lsn, end.offset
            ));
        }
        done.extend(gaps_behind(disk, meta, end)?);
        Ok(Self { blocks })
    }
}

/// Whole blocks that follow each other from a place on, and the place behind them.
#[expect(clippy::type_complexity, reason = "a list and where it ends, used twice above")]
fn follow(
    disk: &Scratch,
    meta: &Meta,
    from: Position,
    mut last: Option<u64>,
) -> Result<(Vec<(BlockHead, Vec<u8>)>, Position), UpkeepError> {
    let (mut at, mut blocks) = (from, Vec::new());
    while let Some(bytes) = segment(disk, at.segment)? {
        let here = at.segment;
        // The label is not asked: every block tells by its own sum whose it is and where it stands.
        while at.segment == here
            && let Some(block) = bytes.get(at.offset as usize..).and_then(|rest| Sealer::new(meta.store, here).parse(rest, at.offset))
            && last.is_none_or(|last| block.header.lsn == last + 1)
        {
            let head = BlockHead { lsn: block.header.lsn, written: block.header.written, kind: block.header.kind };
            blocks.push((head, block.payload.to_vec()));
            last = Some(head.lsn);
            at = at.behind(head.lsn, block.bytes as u64, head.kind);
        }
        if at.segment == here {
            break;
        }
    }
    Ok((blocks, at))
}

/// The numbers of all blocks that were begun behind a place.
fn headers_behind(disk: &Scratch, meta: &Meta, end: Position) -> Result<BTreeSet<u64>, UpkeepError> {
    let mut found = BTreeSet::new();
    for number in segments(disk)?.split_off(&end.segment) {
        let from = if number == end.segment { end.offset } else { FIRST_BLOCK };
        let bytes = segment(disk, number)?.unwrap_or_default();
        let rest = bytes.get(from as usize..).unwrap_or_default();
        found.extend(Sealer::new(meta.store, number).headers(rest, from).map(|(_, header)| header.lsn));
    }
    Ok(found.split_off(&(end.lsn + 1)))
}

/// Segments from the end on that are not there as a whole. What stood in them left no trace.
fn gaps_behind(disk: &Scratch, meta: &Meta, end: Position) -> Result<Vec<String>, UpkeepError> {
    let newest = segments(disk)?.last().copied().unwrap_or(0).max(end.segment);
    let mut gaps = Vec::new();
    for number in end.segment..=newest {
        let what = match segment(disk, number)? {
            None => "is missing: ".to_owned(),
            Some(bytes) => match Label::objection(meta.store, number, &bytes, bytes.len() as u64) {
                Some((_, what)) => format!("is not whole ({what}): "),
                None => continue,
            },
        };
        gaps.push(format!("{} {what}blocks that stood there behind number {} are lost", name_of(number), end.lsn));
    }
    Ok(gaps)
}

/// The segments that are there.
fn segments(disk: &Scratch) -> Result<BTreeSet<u64>, UpkeepError> {
    let names = disk.list().map_err(|error| UpkeepError::Failed(error.to_string()))?;
    Ok(names.iter().filter_map(|name| segment_of(name)).collect())
}

fn segment(disk: &Scratch, number: u64) -> Result<Option<Vec<u8>>, UpkeepError> {
    match disk.open(&name_of(number), false).and_then(|file| read_range(&*file, 0, file.len()?)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(UpkeepError::Failed(format!("{}: {error}", name_of(number)))),
    }
}
