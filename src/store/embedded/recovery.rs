//! What happens between opening the folder and the first commit: finds what is true, wipes out what is not, merges the rest.
//!
//! Every step can be cut off and done again. Nothing is changed before the whole journal was found sound, and the
//! generation grows before anything that was answered is wiped out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::behind::Behind;
use super::disk::{Disk, DiskFile, read_range, write_zeros};
use super::identity::StoreId;
use super::journal::Position;
use super::kinds;
use super::label::Label;
use super::merge::{merge_some, read_behind};
use super::merger::merge_bytes_max;
use super::overlay::Overlay;
use super::place::Place;
use super::replays::{Replays, horizon};
use super::rows::{self, FORMAT, Meta};
use super::scan::{self, Scan};
use super::segment::{self, Segments, name_of, segment_bytes, segment_of};
use super::table::{self, Table, TableError};
use super::troubles::{Troubles, Who};
use super::upgrade;
use super::witness::Watch;
use crate::domain::UnixMillis;
use crate::store::{Durability, OpenError, Options, TroubleKind};

/// A store that is ready for its threads.
pub(super) struct Recovered {
    pub(super) troubles: Arc<Troubles>,
    pub(super) table: Table,
    pub(super) meta: Meta,
    pub(super) segments: Arc<Segments>,
    pub(super) end: Position,
    pub(super) newest: UnixMillis,
    pub(super) replays: Replays,
    /// Bytes of blocks that the table does not have.
    pub(super) unmerged_bytes: u64,
    /// What these hold, where there was no space to merge them. The table does not know then under which conditions the
    /// store is kept, and what else `meta` says.
    pub(super) waiting: Option<(Behind, Overlay)>,
    /// Who sees the writes of this life, where that is of use.
    pub(super) watch: Option<Watch>,
}

/// Makes the folder ready. It must be locked.
pub(super) fn recover(place: &Place, options: &Options) -> Result<Recovered, OpenError> {
    let (table, mut meta, numbers) = open_table(place, options)?;
    let now = (options.clock)();
    let present = numbers.iter().copied().filter(|number| *number >= meta.oldest).collect();
    let mut scan =
        scan::scan(&*place.disk, &meta, &present, horizon(now, options.replay_window)).map_err(|error| place.scan_error(error))?;
    // What was answered may have been in the machine's memory alone; only its memory can tell whether all of it is here.
    let proved = place.witness.told(&meta.store).is_some_and(|note| note.proves(meta.life, scan.end.lsn));
    // A copy that was put in the place of a later state goes on from an earlier moment, and its original may go on as well.
    let copied = !meta.home.is_empty() && meta.home != place.home;
    if copied || meta.interval && !meta.clean && !proved {
        meta.generation = if copied { rows::renewed(meta.generation) } else { meta.generation + 1 };
        meta.home = place.home.clone();
        meta.life = 0;
        match table.set_meta(&meta) {
            // Where there is no room for it, this life proves nothing to the next one, which will change it again.
            Err(TableError::Full) => table.mend().map_err(|error| place.table_error(error))?,
            set => set.map_err(|error| place.table_error(error))?,
        }
    }
    let troubles = Arc::new(Troubles::new(options.clock.clone()));
    let bytes = segment_bytes(&options.limits);
    let prepared = clear_behind(place, &scan, &present, bytes).map_err(|error| place.io_error(&error))?;
    make_safe(&*place.disk, &scan).map_err(|error| place.io_error(&error))?;
    let spare = numbers.into_iter().filter(|number| *number < meta.oldest).collect();
    // The clock may have been set back since. What seems to lie ahead is taken for what happened just now, or it would be kept,
    // and keep its segment, until the clock has caught up.
    scan.replays.none_after(now);
    scan.used.values_mut().for_each(|written| *written = (*written).min(now));
    let newest = scan.used.values().copied().max().unwrap_or(0);
    let segments = Arc::new(Segments::new(place.disk.clone(), (meta.store, bytes), troubles.clone(), scan.used, prepared, spare));
    let mut found = Recovered {
        troubles,
        table,
        meta,
        segments,
        end: scan.end,
        newest,
        replays: scan.replays,
        unmerged_bytes: scan.unmerged_bytes,
        waiting: None,
        watch: None,
    };
    found.begin_life(place, options.durability);
    match found.settle(options) {
        Ok(()) => Ok(found),
        Err(TableError::Full) => {
            found.troubles.begin(Who::Merging, TroubleKind::DiskFull, "the journal cannot be merged into the table");
            found.go_without().map_err(|error| place.table_error(error))?;
            Ok(found)
        }
        Err(error) => Err(place.table_error(error)),
    }
}

impl Recovered {
    /// From now on the store is kept here, and like this.
    fn begin_life(&mut self, place: &Place, durability: Durability) {
        let meta = &mut self.meta;
        if durability == Durability::Interval {
            self.watch = Watch::begin(place.witness.clone(), meta.store, meta.life, self.end.lsn);
        }
        *meta = Meta {
            life: self.watch.as_ref().map_or(0, Watch::life),
            home: place.home.clone(),
            interval: durability == Durability::Interval,
            clean: false,
            ..meta.clone()
        };
    }

    /// Merges all and lets the table know how the store is kept.
    fn settle(&mut self, options: &Options) -> Result<(), TableError> {
        kinds::complete(&self.table, &self.meta)?;
        while self.meta.merged.lsn < self.end.lsn {
            let bytes_max = merge_bytes_max(&options.limits);
            let (merged, bytes) = merge_some(&self.table, &self.segments, &self.meta, self.end, bytes_max)?;
            self.meta.merged = merged;
            self.unmerged_bytes = self.unmerged_bytes.saturating_sub(bytes);
        }
        self.table.set_meta(&self.meta)
    }

    /// Makes it possible to serve reads, and writes for which there is room, while the table cannot grow.
    fn go_without(&mut self) -> Result<(), TableError> {
        self.table.mend()?;
        let mut overlay = Overlay::default();
        let behind = read_behind(&self.segments, self.meta.merged, self.end, &mut overlay)?;
        self.waiting = Some((behind, overlay));
        Ok(())
    }
}

/// The table, what it says of the store, and all journal segments that are there. A new store is begun.
fn open_table(place: &Place, options: &Options) -> Result<(Table, Meta, BTreeSet<u64>), OpenError> {
    let io = |error: io::Error| place.io_error(&error);
    let names = place.disk.list().map_err(io)?;
    // Whatever else may be here belongs to somebody else.
    for unfinished in names.iter().filter(|name| [segment::UNFINISHED, table::UNFINISHED].contains(&name.as_str())) {
        place.disk.remove(unfinished).map_err(io)?;
    }
    let mut numbers: BTreeSet<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    if names.iter().any(|name| name == table::NAME) {
        let table = Table::open(&*place.disk, options.cache_bytes).map_err(|error| place.table_error(error))?;
        let found = table.format().map_err(|error| place.table_error(error))?;
        if found > FORMAT {
            return Err(OpenError::Newer { folder: place.folder.clone(), found, known: FORMAT });
        }
        if found == 1 {
            upgrade::upgrade(place, options, &table, &mut numbers)?;
        }
        let meta = table.meta().map_err(|error| place.table_error(error))?;
        return Ok((table, meta, numbers));
    }
    for number in std::mem::take(&mut numbers) {
        if scan::has_content(&*place.disk, number).map_err(|error| place.scan_error(error))? {
            return Err(place.damaged(&name_of(number), 0, "there is a journal, but its table.redb is missing".to_owned()));
        }
        place.disk.remove(&name_of(number)).map_err(io)?;
    }
    // The journal comes before the table: from then on a table without its journal is known to be damage.
    let meta = Meta::new(StoreId::random().map_err(io)?, options.durability);
    let label = Label { store: meta.store, segment: meta.oldest, bytes: segment_bytes(&options.limits) };
    segment::create(&*place.disk, label, &[]).map_err(io)?;
    let table = Table::create(&*place.disk, options.cache_bytes, &meta).map_err(|error| place.table_error(error))?;
    Ok((table, meta, BTreeSet::from([1])))
}

/// Wipes out what was begun behind the end, and removes later segments; one that is empty is the next to be used.
fn clear_behind(place: &Place, scan: &Scan, present: &BTreeSet<u64>, bytes: u64) -> io::Result<Option<(u64, Arc<dyn DiskFile>)>> {
    let mut prepared = None;
    // From the newest down, each made safe: a hole in the row of segments would look like damage.
    for number in present.range(scan.end.segment + 1..).rev().copied() {
        let file = place.disk.open(&name_of(number), false)?;
        if !scan.discarded && number == scan.end.segment + 1 && file.len()? == bytes {
            prepared = Some((number, file));
        } else {
            place.disk.remove(&name_of(number))?;
            place.disk.sync_dir()?;
        }
    }
    if scan.torn {
        let file = place.disk.open(&name_of(scan.end.segment), false)?;
        write_zeros(&*file, scan.end.offset, file.len()?)?;
        file.sync()?;
    }
    Ok(prepared)
}

/// Writes blocks again that may be in the kernel's memory alone. To sync them would not do: after a sync that failed, the
/// kernel takes their pages for clean.
fn make_safe(disk: &dyn Disk, scan: &Scan) -> io::Result<()> {
    let mut files: BTreeMap<u64, Arc<dyn DiskFile>> = BTreeMap::new();
    for (_, (number, offset, bytes)) in &scan.unsynced {
        if !files.contains_key(number) {
            files.insert(*number, disk.open(&name_of(*number), false)?);
        }
        let file = &files[number];
        let block = read_range(&**file, *offset, offset + bytes)?;
        file.write_at(*offset, &block)?;
    }
    files.values().try_for_each(|file| file.sync())
}
