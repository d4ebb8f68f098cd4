//! Makes a folder of the frames of a copy: the same rows, and the same blocks under a number of the folder's own.
//!
//! While it is made, and for as long as it is not whole, a file named `UNFINISHED` says so; no store opens such a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::frames::{self, Begin, BlockHead, Kind, Sink};
use super::{BACKUP, Copied, UNFINISHED, UpkeepError};
use crate::store::embedded::block::{HEADER_BYTES, Header, Kind as BlockKind, Sealer};
use crate::store::embedded::disk::{Disk, Folder, write_zeros};
use crate::store::embedded::identity::StoreId;
use crate::store::embedded::journal::Position;
use crate::store::embedded::label::{FIRST_BLOCK, LABEL_BYTES, Label};
use crate::store::embedded::place::Place;
use crate::store::embedded::recovery::recover;
use crate::store::embedded::rows::{self, ACCOUNTS, FORMAT, GROUPS, MEMBERS, Meta, RELATIONS, Rows};
use crate::store::embedded::segment::name_of;
use crate::store::embedded::table::{Table, TableError};
use crate::store::embedded::witness::Nobody;
use crate::store::{Durability, Lsn, Options};

/// The memory for the pages of the table that is made.
const CACHE_BYTES: usize = 64 << 20;
/// Rows are written in transactions of about so many bytes.
const TRANSACTION_BYTES: usize = 16 << 20;

/// A folder that is being filled.
pub(super) struct Target {
    path: PathBuf,
    /// The folder was not there before.
    made: bool,
    disk: Arc<Folder>,
    store: StoreId,
    state: Option<State>,
    finished: bool,
}

/// From the first frame on.
struct State {
    table: Table,
    begin: Begin,
    waiting: Vec<(Rows, Vec<u8>)>,
    waiting_bytes: usize,
    segment: u64,
    /// The segment as it will stand in its file.
    bytes: Vec<u8>,
    last: Option<Lsn>,
    merged: Position,
    ended: bool,
}

impl Target {
    /// Begins in a folder that is empty or does not exist.
    pub(super) fn begin(path: &Path) -> Result<Self, UpkeepError> {
        let failed = |error: io::Error| UpkeepError::Failed(format!("{}: {error}", path.display()));
        let made = !path.exists();
        if !made {
            let mut entries = std::fs::read_dir(path).map_err(failed)?;
            if entries.next().is_some() {
                return Err(UpkeepError::Unfit(format!(
                    "{} is not empty: name a folder that is, or that does not exist yet",
                    path.display()
                )));
            }
        }
        let disk = Arc::new(Folder::new(path).map_err(failed)?);
        let store = StoreId::random().map_err(failed)?;
        disk.open(UNFINISHED, true).and_then(|_| disk.sync_dir()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), made, disk, store, state: None, finished: false })
    }

    /// Ends it as a backup, which `restore` takes and no start.
    pub(super) fn finish_backup(mut self) -> Result<Copied, UpkeepError> {
        let generation = self.generation();
        let copied = self.settle(generation)?;
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let Copied { groups, members, accounts, up_to, .. } = copied;
        let words = format!(
            "# A backup of a Tallycast store. `tallycast verify` reads all of it, `tallycast restore` makes a store of it.\n\
             format = {FORMAT}\nmade = {made} # Unix seconds\nup_to = {up_to}\ngroups = {groups}\nmembers = {members}\naccounts = {accounts}\n"
        );
        let write = || {
            let file = self.disk.open(BACKUP, true)?;
            file.write_at(0, words.as_bytes())?;
            file.sync()
        };
        write().map_err(|error| self.failed(&error))?;
        self.finish(copied)
    }

    /// Ends it as a store that goes on from here. Its generation is another than any before.
    pub(super) fn finish_store(mut self) -> Result<Copied, UpkeepError> {
        let generation = rows::renewed(self.generation());
        let copied = self.settle(generation)?;
        self.finish(copied)
    }

    fn generation(&self) -> u64 {
        self.state.as_ref().map_or(1, |state| state.begin.generation)
    }

    /// The table, once it has been begun and everything in it is written.
    pub(super) fn table(&mut self) -> Result<&Table, UpkeepError> {
        self.write_rows()?;
        self.state.as_ref().map(|state| &state.table).ok_or_else(incomplete)
    }

    /// What the table is to say of the store at last.
    pub(super) fn meta(&self, generation: u64) -> Result<Meta, UpkeepError> {
        let state = self.state.as_ref().ok_or_else(incomplete)?;
        Ok(Meta { generation, merged: state.merged, ..Meta::new(self.store, Durability::Sync) })
    }

    /// Opens what was copied as a start would, so that the table has everything, and gives it its generation.
    fn settle(&mut self, generation: u64) -> Result<Copied, UpkeepError> {
        self.write_rows()?;
        let meta = self.meta(generation)?;
        let state = self.state.take().filter(|state| state.ended).ok_or_else(incomplete)?;
        state.table.set_meta(&meta)?;
        state.table.close();
        let place =
            Place { disk: self.disk.clone(), folder: self.path.display().to_string(), witness: Arc::new(Nobody), home: String::new() };
        let recovered = recover(&place, &Options::new(&self.path))?;
        if recovered.waiting.is_some() {
            return Err(UpkeepError::Failed("there is no room to bring the journal into the table".to_owned()));
        }
        let meta = Meta { clean: true, ..recovered.meta };
        recovered.table.set_meta(&meta)?;
        let copied = Copied::count(&recovered.table, &meta)?;
        recovered.table.close();
        Ok(copied)
    }

    fn finish(mut self, copied: Copied) -> Result<Copied, UpkeepError> {
        let done = self.disk.sync_dir().and_then(|()| self.disk.remove(UNFINISHED)).and_then(|()| self.disk.sync_dir());
        done.map_err(|error| self.failed(&error))?;
        self.finished = true;
        Ok(copied)
    }

    fn start(&mut self, bytes: &[u8]) -> Result<(), UpkeepError> {
        let begin: Begin = postcard::from_bytes(bytes).map_err(|_| incomplete())?;
        if begin.format != FORMAT {
            return Err(UpkeepError::Unfit(format!("the copy has format {}, this program writes format {FORMAT}", begin.format)));
        }
        let meta = Meta::new(self.store, Durability::Sync);
        let merged = Position { lsn: begin.merged, ..meta.merged };
        let table = Table::create(&*self.disk, CACHE_BYTES, &meta)?;
        let (waiting, bytes) = (Vec::new(), vec![0; LABEL_BYTES]);
        self.state = Some(State { table, begin, waiting, waiting_bytes: 0, segment: 1, bytes, last: None, merged, ended: false });
        Ok(())
    }

    fn add_rows(&mut self, rows: Rows, frame: &[u8]) -> Result<(), UpkeepError> {
        let state = self.state.as_mut().ok_or_else(incomplete)?;
        state.waiting.push((rows, frame.to_vec()));
        state.waiting_bytes += frame.len();
        if state.waiting_bytes >= TRANSACTION_BYTES { self.write_rows() } else { Ok(()) }
    }

    fn write_rows(&mut self) -> Result<(), UpkeepError> {
        let Some(state) = self.state.as_mut().filter(|state| !state.waiting.is_empty()) else { return Ok(()) };
        let waiting = std::mem::take(&mut state.waiting);
        state.waiting_bytes = 0;
        let meta = Meta::new(self.store, Durability::Sync);
        let wrong = |words| TableError::Damaged(words);
        state.table.write(|transaction| {
            let (mut groups, mut accounts) = (transaction.open_table(GROUPS)?, transaction.open_table(ACCOUNTS)?);
            let (mut members, mut relations) = (transaction.open_table(MEMBERS)?, transaction.open_table(RELATIONS)?);
            for (rows, frame) in &waiting {
                for row in frames::rows(frame) {
                    let (key, value) = row.map_err(|error| TableError::Damaged(error.to_string()))?;
                    rows.check(key, value).map_err(wrong)?;
                    let text = || std::str::from_utf8(key).map_err(|_| TableError::Damaged("a name is no text".to_owned()));
                    match rows {
                        Rows::Groups => drop(groups.insert(text()?, value)?),
                        Rows::Members => drop(members.insert(key, value)?),
                        Rows::Relations => drop(relations.insert(key, value)?),
                        Rows::Accounts => drop(accounts.insert(text()?, ())?),
                    }
                }
            }
            Ok(((), meta))
        })?;
        Ok(())
    }

    fn add_block(&mut self, frame: &[u8]) -> Result<(), UpkeepError> {
        let (head, payload) = BlockHead::decode(frame)?;
        let state = self.state.as_mut().ok_or_else(incomplete)?;
        if state.last.is_some_and(|last| head.lsn != last + 1) {
            return Err(incomplete());
        }
        let offset = state.bytes.len() as u64;
        let mut block = [&[0; HEADER_BYTES], payload].concat();
        // All of the copy is safe before it counts.
        let header = Header { lsn: head.lsn, synced: head.lsn - 1, written: head.written, kind: head.kind };
        Sealer::new(self.store, state.segment).seal(&mut block, offset, header);
        state.bytes.extend_from_slice(&block);
        state.last = Some(head.lsn);
        let here = Position { lsn: head.lsn, segment: state.segment, offset };
        if head.lsn == state.begin.merged {
            state.merged = here.behind(head.lsn, block.len() as u64, head.kind);
        }
        if head.kind == BlockKind::Last { self.end_segment() } else { Ok(()) }
    }

    /// Writes the segment, and begins the next one.
    fn end_segment(&mut self) -> Result<(), UpkeepError> {
        let state = self.state.as_mut().ok_or_else(incomplete)?;
        let number = state.segment;
        let content = std::mem::replace(&mut state.bytes, vec![0; LABEL_BYTES]);
        state.segment += 1;
        let needed = (content.len() + HEADER_BYTES).next_multiple_of(4096) as u64;
        let label = Label { store: self.store, segment: number, bytes: state.begin.segment_bytes.max(needed) };
        let write = || {
            let file = self.disk.open(&name_of(number), true)?;
            file.write_at(0, &label.encode())?;
            file.write_at(FIRST_BLOCK, &content[LABEL_BYTES..])?;
            write_zeros(&*file, content.len() as u64, label.bytes)?;
            file.sync()
        };
        write().map_err(|error| self.failed(&error))
    }

    fn end(&mut self, frame: &[u8]) -> Result<(), UpkeepError> {
        self.write_rows()?;
        let state = self.state.as_mut().ok_or_else(incomplete)?;
        if state.last.unwrap_or(state.begin.merged).to_le_bytes() != frame {
            return Err(incomplete());
        }
        state.ended = true;
        // A journal has a segment to go on in.
        self.end_segment()
    }

    fn failed(&self, error: &io::Error) -> UpkeepError {
        UpkeepError::Failed(format!("{}: {error}", self.path.display()))
    }
}

impl Sink for Target {
    fn take(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), UpkeepError> {
        let taken = match kind {
            Kind::Begin => self.start(bytes),
            Kind::Rows(rows) => self.add_rows(rows, bytes),
            Kind::Block => self.add_block(bytes),
            Kind::End => self.end(bytes),
            Kind::Failed => Err(UpkeepError::Failed(String::from_utf8_lossy(bytes).into_owned())),
        };
        taken.map_err(|error| match error {
            // The table does not know in which folder it is.
            UpkeepError::Failed(words) if !words.contains(&*self.path.to_string_lossy()) => {
                UpkeepError::Failed(format!("{}: {words}", self.path.display()))
            }
            error => error,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // A copy that is not whole is of no use. What cannot be removed is marked as unfinished.
        drop(self.state.take());
        let names = self.disk.list().unwrap_or_default();
        let (marks, files): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name == UNFINISHED);
        let removed = files.iter().chain(&marks).all(|name| self.disk.remove(name).is_ok());
        if removed && self.made {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn incomplete() -> UpkeepError {
    UpkeepError::Failed("the copy is incomplete: its blocks do not follow each other".to_owned())
}
