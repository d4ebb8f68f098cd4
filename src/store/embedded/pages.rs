//! The table's file as redb sees it: every byte that is read was written by us, or the read fails.
//!
//! redb checks its pages on request only, and trusts them otherwise: one flipped bit in a branch page would lead it past
//! groups that exist. So each page of 4 KiB has a checksum over its number and itself, in a file beside the table, and is
//! checked whenever it is read from the disk. The header, the one page that redb changes in place, carries its checksum in
//! its own sector. All other pages are written to free places, so after a crash the sums of what counts are still true.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nix::errno::Errno;
use redb::StorageBackend;

use super::disk::{Disk, DiskFile};

/// The name of the file with the sums.
pub(super) const NAME: &str = "table.sums";

/// redb's page.
const PAGE_BYTES: usize = 4096;
/// What redb uses of the first page; the checksum follows it in the same sector.
const HEADER_BYTES: usize = 320;
/// A sum's bytes.
const SUM_BYTES: usize = 4;
/// Sums are written by so many bytes at a time.
const BLOCK_BYTES: usize = 4096;
/// What is wrong with a page that has changed.
pub(super) const WRONG: &str = "the page is not what was written: its checksum is wrong";
/// The first byte of a leaf page.
const LEAF: u8 = 1;
/// The sum of a page that was never written. No page has it.
const NEVER: u32 = 0;

/// A page of the table is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub(super) struct PageDamage {
    /// Where the page begins.
    pub(super) offset: u64,
    /// What is wrong with it.
    pub(super) what: &'static str,
}

impl PageDamage {
    /// The damage that an error of the table's file tells of.
    pub(super) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

impl From<PageDamage> for io::Error {
    fn from(damage: PageDamage) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, damage)
    }
}

#[derive(Debug, Default)]
struct State {
    /// One for each page; the first, of the header, is not used.
    sums: Vec<u32>,
    /// Blocks of sums that the disk does not have.
    unwritten: BTreeSet<usize>,
}

/// The sums of all pages. They are of what the table's file holds now, synced or not.
#[derive(Debug)]
pub(super) struct Sums {
    file: Arc<dyn DiskFile>,
    state: RwLock<State>,
}

impl Sums {
    /// Begins without any.
    pub(super) fn create(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        file.set_len(0)?;
        Ok(Self { file, state: RwLock::default() })
    }

    /// Reads those of a table.
    pub(super) fn open(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let bytes = super::disk::read_range(&*file, 0, file.len()?)?;
        let sums = bytes.as_chunks::<SUM_BYTES>().0.iter().map(|sum| u32::from_le_bytes(*sum)).collect();
        Ok(Self { file, state: RwLock::new(State { sums, unwritten: BTreeSet::new() }) })
    }

    /// Takes all pages of a table without sums for what was written. Whoever calls has checked them by other means.
    pub(super) fn adopt(file: Arc<dyn DiskFile>, table: &dyn DiskFile) -> io::Result<Self> {
        let sums = Self::create(file)?;
        let length = table.len()?;
        sums.resize(length)?;
        let mut pages = vec![0; 256 * PAGE_BYTES];
        let mut at = PAGE_BYTES as u64;
        while at < length {
            let pages = &mut pages[..(length - at).min(256 * PAGE_BYTES as u64) as usize];
            table.read_at(at, pages)?;
            sums.note(at, pages)?;
            at += pages.len() as u64;
        }
        sums.sync()?;
        Ok(sums)
    }

    /// Makes room for the sums of a file of such a length, or forgets those of what was cut off.
    fn resize(&self, bytes: u64) -> io::Result<()> {
        let per_block = BLOCK_BYTES / SUM_BYTES;
        let pages = (bytes as usize).div_ceil(PAGE_BYTES);
        let mut state = self.write();
        if pages < state.sums.len() {
            state.sums[pages..].fill(NEVER);
            let cut = pages / per_block..state.sums.len().div_ceil(per_block);
            state.unwritten.extend(cut);
        } else {
            self.grow(&mut state, pages)?;
        }
        Ok(())
    }

    /// Makes room for the sums of so many pages. Written at once, so that a lack of space is found while the table grows and
    /// not while it is synced.
    fn grow(&self, state: &mut State, pages: usize) -> io::Result<()> {
        if pages > state.sums.len() {
            let had = state.sums.len() * SUM_BYTES;
            let has = pages.next_multiple_of(BLOCK_BYTES / SUM_BYTES) * SUM_BYTES;
            super::disk::write_zeros(&*self.file, had as u64, has as u64)?;
            state.sums.resize(has / SUM_BYTES, NEVER);
        }
        Ok(())
    }

    fn check(&self, offset: u64, pages: &[u8]) -> Result<(), PageDamage> {
        let state = self.read();
        for (page, bytes) in numbered(offset, pages) {
            let what = match state.sums.get(page) {
                Some(&sum) if sum == sum_of(page, bytes) => continue,
                None | Some(&NEVER) => "the page was never written, or its checksum is lost",
                Some(_) => WRONG,
            };
            return Err(PageDamage { offset: (page * PAGE_BYTES) as u64, what });
        }
        Ok(())
    }

    fn note(&self, offset: u64, pages: &[u8]) -> io::Result<()> {
        let mut state = self.write();
        // A loss of power may have left the table its new length, and this file the old one.
        self.grow(&mut state, (offset as usize + pages.len()).div_ceil(PAGE_BYTES))?;
        for (page, bytes) in numbered(offset, pages) {
            state.sums[page] = sum_of(page, bytes);
            state.unwritten.insert(page * SUM_BYTES / BLOCK_BYTES);
        }
        Ok(())
    }

    /// Writes the sums that the disk does not have, and syncs them.
    fn sync(&self) -> io::Result<()> {
        let blocks = std::mem::take(&mut self.write().unwritten);
        if blocks.is_empty() {
            return Ok(());
        }
        let written = blocks.iter().try_for_each(|block| self.file.write_at((block * BLOCK_BYTES) as u64, &self.block(*block)));
        let synced = written.and_then(|()| self.file.sync().map_err(|error| io::Error::other(format!("{NAME} cannot be synced: {error}"))));
        if synced.is_err() {
            self.write().unwritten.extend(blocks);
        }
        synced
    }

    /// Whether the file is still in its folder.
    pub(super) fn has_name(&self) -> io::Result<bool> {
        self.file.has_name()
    }

    fn block(&self, block: usize) -> Vec<u8> {
        let per_block = BLOCK_BYTES / SUM_BYTES;
        let state = self.read();
        state.sums.iter().skip(block * per_block).take(per_block).flat_map(|sum| sum.to_le_bytes()).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table's file, checked.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    file: Arc<dyn DiskFile>,
    sums: Arc<Sums>,
    /// An operation has failed, after which redb refuses everything until it is opened again.
    failed: Arc<AtomicBool>,
    lenient: Option<Shown>,
}

/// How many damaged pages were shown as they are.
pub(super) type Shown = Arc<AtomicU64>;

impl Pages {
    /// Pages in `file` with their sums.
    pub(super) fn new(file: Arc<dyn DiskFile>, sums: Arc<Sums>) -> Self {
        Self { file, sums, failed: Arc::default(), lenient: None }
    }

    /// Pages that show damaged leaves as they are: their rows have sums of their own, so whoever checks those may save what
    /// is whole. A damaged branch would lead to rows of another time, and is refused.
    pub(super) fn lenient(file: Arc<dyn DiskFile>, sums: Arc<Sums>, shown: Shown) -> Self {
        Self { lenient: Some(shown), ..Self::new(file, sums) }
    }

    /// Whether the header carries no sum: the table was made by a program that knew none.
    pub(super) fn is_bare(file: &dyn DiskFile) -> io::Result<bool> {
        let mut sum = [0; SUM_BYTES];
        file.read_at(HEADER_BYTES as u64, &mut sum)?;
        Ok(sum == NEVER.to_le_bytes())
    }

    /// Puts the sum into a header that has none.
    pub(super) fn seal_header(&self) -> io::Result<()> {
        let header = super::disk::read_range(&*self.file, 0, HEADER_BYTES as u64)?;
        self.write_pages(0, &header)?;
        self.file.sync()
    }

    /// Whether an operation has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }

    fn read_pages(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset > 0 {
            read_page(&*self.file, offset, out)?;
            return match (self.sums.check(offset, out), &self.lenient) {
                (Err(_), Some(shown)) if out.first() == Some(&LEAF) => {
                    shown.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                (checked, _) => Ok(checked?),
            };
        }
        let mut header = [0; HEADER_BYTES + SUM_BYTES];
        read_page(&*self.file, 0, &mut header)?;
        if !is_true(&header) {
            let what = "the header is not what was written: its checksum is wrong, unless an older program has opened it";
            return Err(PageDamage { offset: 0, what }.into());
        }
        let wanted =
            header[..HEADER_BYTES].get(..out.len()).ok_or_else(|| io::Error::other("more than a header is read at the beginning"))?;
        out.copy_from_slice(wanted);
        Ok(())
    }

    fn write_pages(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset > 0 {
            self.sums.note(offset, data)?;
            return self.file.write_at(offset, data);
        }
        let mut header = [0; HEADER_BYTES + SUM_BYTES];
        if data.len() != HEADER_BYTES {
            return Err(io::Error::other("what is written at the beginning is no header"));
        }
        header[..HEADER_BYTES].copy_from_slice(data);
        let sum = sum_of(0, &header[..HEADER_BYTES]);
        header[HEADER_BYTES..].copy_from_slice(&sum.to_le_bytes());
        self.file.write_at(0, &header)
    }
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        self.watch(self.file.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.watch(self.read_pages(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.watch(self.sums.resize(length).and_then(|()| self.file.set_len(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        // A sync that failed for want of space is as final as any: it must not look like a write that found none.
        let sync = || self.file.sync().map_err(|error| io::Error::other(format!("the table cannot be synced: {error}")));
        self.watch(self.sums.sync().and_then(|()| sync()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.watch(self.write_pages(offset, data))
    }
}

/// Reads a page, or the header. What is cut off, or what the disk does not give back, is damaged as much as what has changed.
fn read_page(file: &dyn DiskFile, offset: u64, out: &mut [u8]) -> io::Result<()> {
    file.read_at(offset, out).map_err(|error| match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::UnexpectedEof, _) => PageDamage { offset, what: "the file ends before the end of this page" }.into(),
        (_, Some(number)) if number == Errno::EIO as i32 => PageDamage { offset, what: "the disk cannot read this page" }.into(),
        _ => error,
    })
}

/// All pages that were written once and are not what was written, by their first bytes; also such that are not in use, and
/// after a kill those may be many.
pub(super) fn damaged(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let (file, sums) = (disk.open(super::table::NAME, false)?, Sums::open(disk.open(NAME, false)?)?);
    let state = sums.read();
    let mut damaged = Vec::new();
    let mut page = vec![0; PAGE_BYTES];
    for number in 1..file.len()? as usize / PAGE_BYTES {
        let offset = (number * PAGE_BYTES) as u64;
        let is_whole = match read_page(&*file, offset, &mut page) {
            Err(error) if PageDamage::of(&error).is_none() => return Err(error),
            Err(_) => false,
            Ok(()) => state.sums.get(number).is_none_or(|sum| *sum == NEVER || *sum == sum_of(number, &page)),
        };
        if !is_whole {
            damaged.push(offset);
        }
    }
    Ok(damaged)
}

/// Puts right what one wrong bit explains: of a page, of the header, or of a checksum; says what it did. A checksum of 32 bits
/// tells each of the bits of a page from all others.
pub(super) fn put_right(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let file = disk.open(super::table::NAME, false)?;
    let sums = disk.open(NAME, true)?;
    let mut done = Vec::new();
    let header = super::disk::read_range(&*file, 0, (HEADER_BYTES + SUM_BYTES) as u64)?;
    if let Some((bit, right)) = one_bit(0, &header[..HEADER_BYTES], number(&header[HEADER_BYTES..])) {
        file.write_at(0, &right.bytes)?;
        file.write_at(HEADER_BYTES as u64, &right.sum.to_le_bytes())?;
        done.push(format!("the header of {} has one wrong bit (at {bit}): it was put right", super::table::NAME));
    }
    for offset in damaged(disk)? {
        let page = offset as usize / PAGE_BYTES;
        let place = (page * SUM_BYTES) as u64;
        let sum = number(&super::disk::read_range(&*sums, place, place + SUM_BYTES as u64)?);
        let mut bytes = vec![0; PAGE_BYTES];
        if read_page(&*file, offset, &mut bytes).is_ok()
            && let Some((bit, right)) = one_bit(page, &bytes, sum)
        {
            file.write_at(offset, &right.bytes)?;
            sums.write_at(place, &right.sum.to_le_bytes())?;
            done.push(format!("{} at byte {offset}: the page has one wrong bit (at {bit}): it was put right", super::table::NAME));
        }
    }
    Ok(done)
}

/// Whether the table's header is what was written.
pub(super) fn has_true_header(disk: &dyn Disk) -> io::Result<bool> {
    let header = super::disk::read_range(&*disk.open(super::table::NAME, false)?, 0, (HEADER_BYTES + SUM_BYTES) as u64)?;
    Ok(is_true(&header))
}

/// Whether a header fits the sum behind it.
fn is_true(header: &[u8]) -> bool {
    let (bytes, sum) = header.split_at(HEADER_BYTES);
    sum_of(0, bytes) == number(sum)
}

/// A page and its sum, as they were written.
struct Right {
    bytes: Vec<u8>,
    sum: u32,
}

/// Where one wrong bit explains why page and sum do not fit, and what they are without it; `None`: they fit, or it is more.
fn one_bit(page: usize, bytes: &[u8], sum: u32) -> Option<(String, Right)> {
    let mut bytes = bytes.to_vec();
    let found = sum_of(page, &bytes);
    if (found ^ sum).count_ones() <= 1 {
        return (found != sum).then_some(("of its checksum".to_owned(), Right { bytes, sum: found }));
    }
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if sum_of(page, &bytes) == sum {
            return Some((format!("bit {} of byte {}", bit % 8, bit / 8), Right { bytes, sum }));
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    None
}

fn number(sum: &[u8]) -> u32 {
    sum.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The pages in the bytes, with their numbers.
fn numbered(offset: u64, pages: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = offset as usize / PAGE_BYTES;
    pages.chunks(PAGE_BYTES).enumerate().map(move |(at, bytes)| (first + at, bytes))
}

fn sum_of(page: usize, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(page as u32);
    hasher.update(bytes);
    hasher.finalize().max(NEVER + 1)
}
