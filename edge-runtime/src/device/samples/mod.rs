//! The sample store: labelled int8 features in flash. It is bounded, keeps the classes balanced, and is read
//! in place.
//!
//! Start with [`SampleStore`].
//!
//! No library is used: `sequential-storage` and `ekv` give copies in RAM and keep an item within one page,
//! but training reads thousands of features hundreds of times where they lie, and a feature can be longer
//! than an erase block.
//!
//! The store is a log in segments (see [`mod@layout`]). A new sample takes the next free cell. If the store
//! is full, the oldest sample of the largest class is then marked as deleted. If no cell is free, a segment
//! is reclaimed: the samples of the one with the fewest samples are copied into the spare segment, and the
//! old one is erased and becomes the spare.
//!
//! Power may fail at any point:
//! - a record counts only if its checksum is right, so a torn one does not;
//! - an interrupted reclaiming leaves samples twice. On opening, a segment whose samples are all elsewhere is
//!   erased; the newer one only if it is not complete;
//! - a deleted sample has two marks, before and after it. An erase that loses power breaks the record before
//!   both marks are gone, whether it works from the front or from the back.
//!
//! Every eighth sample of a class is held out, counted when it is added, and stays held out. Class names are
//! in the records, so no table can get lost. Features of another trunk or another pooling are not samples:
//! their segments count as free. Segments of another trunk are reused last, so that an old model that is
//! loaded again finds its samples if there was room for both.
//!
//! The caller brings the RAM: an index of 12 bytes for each cell, and a table of [`MAX_CLASSES`] classes of
//! 48 bytes. Knows no model and no protocol.

pub mod layout;
mod record;

pub use layout::SampleLayout;
pub use record::MAX_CLASS_NAME;

use crate::flash::{Area, Flash, FlashError, is_erased, write};
use crate::head::PoolKind;
use crate::head::train::TrainingSet;
use record::{Record, Segment};

/// Most classes in a store.
pub const MAX_CLASSES: usize = 100;

/// Of so many samples of a class, one is held out to judge the training.
pub const HELD_OUT_EVERY: u32 = 8;

/// Of so many reclaimings, one takes the oldest segment.
const MOVE_OLDEST_EVERY: u32 = 8;

/// Why the store refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The flash failed.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// The area is too small or is not made of erase blocks.
    #[error("the area of the sample store does not hold two segments of samples")]
    Area,
    /// The index is too small.
    #[error("the index of the sample store has {have} entries and needs {need}")]
    Index {
        /// Its length.
        have: usize,
        /// One entry for each cell.
        need: usize,
    },
    /// The name of a class is not allowed.
    #[error("a class name has 1 to {MAX_CLASS_NAME} bytes and no control characters")]
    ClassName,
    /// Too many classes.
    #[error("the sample store takes {MAX_CLASSES} classes; clear one")]
    Classes,
    /// There is no such class.
    #[error("there are no samples of this class")]
    NoSuchClass,
    /// The feature has another length.
    #[error("the feature has {have} values and the store keeps {need}")]
    Feature {
        /// Its length.
        have: usize,
        /// What the store was made for.
        need: usize,
    },
    /// The stored features are pooled in another way.
    #[error("the stored samples were pooled by {stored}; clear them to use another pooling")]
    Pool {
        /// How they were pooled.
        stored: PoolKind,
    },
    /// All 2^32 sample numbers are used.
    #[error("the sample numbers are used up; clear the store")]
    Numbers,
}

/// Where a sample is: an entry of the index, 12 bytes of RAM.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Entry {
    id: u32,
    cell: u32,
    class: u16,
    flags: u16,
}

const HELD_OUT: u16 = 1;
const TWICE: u16 = 2;

/// A class of the store: an entry of the table, 48 bytes of RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Class {
    name: [u8; MAX_CLASS_NAME],
    name_len: u32,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
    /// Number of its newest sample.
    ordinal: u32,
}

impl Class {
    /// One without samples; `name` has at most [`MAX_CLASS_NAME`] bytes.
    fn new(name: &str) -> Self {
        let mut class = Self::default();
        for (to, byte) in class.name.iter_mut().zip(name.bytes()) {
            *to = byte;
            class.name_len += 1;
        }
        class
    }

    /// Its name.
    pub fn name(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The name as bytes, whose order is that of the text.
    fn bytes(&self) -> &[u8] {
        self.name.get(..self.name_len as usize).unwrap_or_default()
    }
}

/// The table of classes of a store.
pub type ClassTable = [Class; MAX_CLASSES];

/// Result of adding a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Added {
    /// Its number.
    pub id: u32,
    /// True if it is held out: it judges the training and is not trained on.
    pub held_out: bool,
    /// Number of the sample that was deleted to make room, if the store was full.
    pub evicted: Option<u32>,
    /// True if the sample was stored before, by the request that this one repeats.
    pub repeated: bool,
}

/// The store. Each call gets the flash, which is shared with the head store.
///
/// ```
/// use edge_runtime::device::samples::{Class, Entry, MAX_CLASSES, SampleLayout, SampleStore};
/// use edge_runtime::flash::{Area, Geometry};
/// use edge_runtime::head::PoolKind;
/// use edge_runtime::head::train::TrainingSet;
/// # use edge_runtime::sim::SimFlash;
/// # let geometry = Geometry { len: 32 << 10, write_size: 16, erase_size: 4096 };
/// # let mut flash = SimFlash::new(geometry, true);
/// # let trunk = [0; 32];
///
/// let (area, feature) = (Area { start: 0, len: 32 << 10 }, [5; 64]);
/// let layout = SampleLayout::new(&geometry, area, feature.len()).expect("room for samples");
/// let mut index = vec![Entry::default(); layout.all_cells()];
/// let mut table = [Class::default(); MAX_CLASSES];
/// // `trunk` is the SHA-256 of the trunk that makes the features.
/// let mut store =
///     SampleStore::open(&mut flash, area, trunk, feature.len(), &mut index, &mut table)?;
/// store.add(&mut flash, "daisy", PoolKind::Avg, 1, &feature)?;
/// assert_eq!(store.classes()[0].name(), "daisy");
/// // Training reads the samples where they lie.
/// assert_eq!(store.view(&flash).feature(0), feature);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SampleStore<'a> {
    layout: SampleLayout,
    trunk: [u8; 32],
    pool: Option<PoolKind>,
    index: &'a mut [Entry],
    len: usize,
    table: &'a mut ClassTable,
    /// Classes in the table.
    classes: usize,
    /// The next cell to write, as long as it is in its segment.
    free: core::ops::Range<u32>,
    next_id: Option<u32>,
}

impl<'a> SampleStore<'a> {
    /// Reads the samples in `area`, and finishes what a power cut interrupted. `index` needs
    /// [`SampleLayout::all_cells`] entries; the content of `index` and `table` does not matter.
    ///
    /// # Errors
    /// [`SampleError::Area`], [`SampleError::Index`], or [`SampleError::Flash`].
    pub fn open(
        flash: &mut impl Flash,
        area: Area,
        trunk: [u8; 32],
        features: usize,
        index: &'a mut [Entry],
        table: &'a mut ClassTable,
    ) -> Result<Self, SampleError> {
        let layout =
            SampleLayout::new(&flash.geometry(), area, features).ok_or(SampleError::Area)?;
        let (have, need) = (index.len(), layout.all_cells());
        if have < need {
            return Err(SampleError::Index { have, need });
        }
        let mut store = Self {
            layout,
            trunk,
            pool: None,
            index,
            len: 0,
            table,
            classes: 0,
            free: 0..0,
            next_id: Some(1),
        };
        store.pool = store.newest(flash).map(|(header, _)| header.pool);
        store.scan(flash);
        if store.is_interrupted(flash) {
            store.finish_reclaiming(flash)?;
        }
        store.complete_marks(flash);
        store.free = store.find_free(flash);
        while store.len > layout.capacity() {
            store.evict(flash)?;
        }
        Ok(store)
    }

    /// The sizes.
    pub fn layout(&self) -> &SampleLayout {
        &self.layout
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The classes, sorted by name. The index of a class is its label in [`View`].
    pub fn classes(&self) -> &[Class] {
        self.table.get(..self.classes).unwrap_or_default()
    }

    /// How the samples were pooled, if there are any.
    pub fn pool(&self) -> Option<PoolKind> {
        if self.len == 0 { None } else { self.pool }
    }

    /// The samples, in the order in which they were added.
    pub fn view<'s>(&'s self, flash: &'s impl Flash) -> View<'s> {
        View {
            layout: &self.layout,
            entries: self.entries(),
            bytes: flash.bytes(),
        }
    }

    /// Adds a sample of `class`, whose feature was pooled by `pool`. `token` tells a repeated request from a
    /// new one: if it is not 0 and equals that of the newest sample, nothing is added.
    ///
    /// # Errors
    /// [`SampleError`]. Then, and when power fails, all other samples are still there.
    pub fn add(
        &mut self,
        flash: &mut impl Flash,
        class: &str,
        pool: PoolKind,
        token: u64,
        feature: &[i8],
    ) -> Result<Added, SampleError> {
        if class.is_empty() || class.len() > MAX_CLASS_NAME || class.contains(char::is_control) {
            return Err(SampleError::ClassName);
        }
        let (have, need) = (feature.len(), self.layout.features as usize);
        if have != need {
            return Err(SampleError::Feature { have, need });
        }
        if let Some(repeated) = self.repetition(flash, class, token) {
            return Ok(repeated);
        }
        match self.pool() {
            Some(stored) if stored != pool => return Err(SampleError::Pool { stored }),
            Some(_) => (),
            None if self.pool != Some(pool) => {
                // Segments of the other pooling are spare from now on.
                self.pool = Some(pool);
                self.free = 0..0;
            }
            None => (),
        }
        let known = self.find(class);
        if known.is_err() && self.classes == MAX_CLASSES {
            return Err(SampleError::Classes);
        }
        let ordinal = match known {
            Ok(i) => self.table[i].ordinal.wrapping_add(1),
            Err(_) => 1,
        };
        let id = self.next_id.ok_or(SampleError::Numbers)?;
        let cell = self.take_cell(flash)?;
        let record = Record {
            id,
            ordinal,
            token,
            held_out: ordinal.is_multiple_of(HELD_OUT_EVERY),
            class,
        };
        let feature: &[u8] = bytemuck::cast_slice(feature);
        let at = self.layout.cell_at(cell) + self.layout.unit;
        let header_len = layout::RECORD_HEADER as u32;
        write(flash, at + header_len, feature)?;
        write(flash, at, &record.encode(feature))?;
        self.next_id = id.checked_add(1);
        self.insert(cell, &record);
        let mut evicted = None;
        while self.len > self.layout.capacity() {
            evicted = Some(self.evict(flash)?);
        }
        Ok(Added {
            id,
            held_out: record.held_out,
            evicted,
            repeated: false,
        })
    }

    /// Deletes the samples of a class and returns how many there were. If power fails, some may be left.
    pub fn clear_class(&mut self, flash: &mut impl Flash, class: &str) -> Result<u32, SampleError> {
        let class = self.find(class).map_err(|_| SampleError::NoSuchClass)?;
        let mut deleted = 0;
        // From the newest to the oldest: the rest of the class stays what it was.
        for i in (0..self.len).rev() {
            if self.index[i].class as usize == class {
                let last = self.table[class].samples == 1;
                self.delete(flash, i)?;
                deleted += 1;
                if last {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    /// Deletes all samples and returns how many there were. If power fails, some may be left.
    pub fn clear_all(&mut self, flash: &mut impl Flash) -> Result<u32, SampleError> {
        let had = self.len as u32;
        while self.len > 0 {
            self.delete(flash, self.len - 1)?;
        }
        Ok(had)
    }

    fn entries(&self) -> &[Entry] {
        &self.index[..self.len]
    }

    fn find(&self, class: &str) -> Result<usize, usize> {
        self.classes()
            .binary_search_by(|c| c.bytes().cmp(class.as_bytes()))
    }

    /// The newest sample, if it is the one that is being added.
    fn repetition(&self, flash: &impl Flash, class: &str, token: u64) -> Option<Added> {
        let newest = self.entries().last()?;
        let record = self.record(flash, newest.cell)?;
        let same = token != 0 && record.token == token && record.class == class;
        same.then_some(Added {
            id: record.id,
            held_out: record.held_out,
            evicted: None,
            repeated: true,
        })
    }

    /// A segment's header, if it holds samples of this trunk and pooling.
    fn segment(&self, flash: &impl Flash, segment: u32) -> Option<Segment> {
        let bytes = flash
            .bytes()
            .get(self.layout.segment_at(segment) as usize..)?;
        let header = Segment::decode(bytes)?;
        let ours = header.trunk == self.trunk
            && header.features == self.layout.features
            && self.pool.is_none_or(|pool| pool == header.pool);
        ours.then_some(header)
    }

    /// The segment that was opened last.
    fn newest(&self, flash: &impl Flash) -> Option<(Segment, u32)> {
        let all = (0..self.layout.segments).filter_map(|s| Some((self.segment(flash, s)?, s)));
        all.max_by_key(|(header, _)| header.sequence)
    }

    /// True if power failed between the opening of the spare segment and the erasing of the reclaimed one.
    fn is_interrupted(&self, flash: &impl Flash) -> bool {
        let twice = self.entries().iter().any(|e| e.flags & TWICE != 0);
        twice || self.spares(flash).next().is_none()
    }

    /// Erases every segment of which nothing gets lost, the newest only if it is not complete. What an
    /// interrupted erase left of a segment is among them.
    fn finish_reclaiming(&mut self, flash: &mut impl Flash) -> Result<(), SampleError> {
        let newest = self.newest(flash).map(|(_, segment)| segment);
        for segment in (0..self.layout.segments).filter(|s| Some(*s) != newest) {
            if self.segment(flash, segment).is_some() && self.is_redundant(flash, segment) {
                flash.erase(self.layout.segment_at(segment))?;
                self.scan(flash);
            }
        }
        if let Some(newest) = newest
            && self.is_interrupted(flash)
            && self.is_redundant(flash, newest)
        {
            flash.erase(self.layout.segment_at(newest))?;
            self.scan(flash);
        }
        Ok(())
    }

    /// Segments that can be erased, from the one after the segment in use on: all are worn alike.
    fn spares(&self, flash: &impl Flash) -> impl Iterator<Item = u32> {
        let count = self.layout.segments;
        let after = self.free.end.div_ceil(self.layout.cells);
        (0..count)
            .map(move |i| (after + i) % count)
            .filter(|s| self.segment(flash, *s).is_none())
    }

    /// The spare to take: one that is empty, else one without samples of another trunk, else the first. What
    /// lies in an empty one is erased all over; the segments of another trunk may have another length.
    fn best_spare(&self, flash: &impl Flash) -> Option<u32> {
        let bytes = |segment| {
            let start = self.layout.segment_at(segment) as usize;
            let all = flash.bytes().get(start..).unwrap_or_default();
            all.get(..self.layout.segment as usize).unwrap_or_default()
        };
        let empty = |s: &u32| is_erased(bytes(*s));
        let ours = |s: &u32| Segment::decode(bytes(*s)).is_none_or(|s| s.trunk == self.trunk);
        let spares = || self.spares(flash);
        let found = spares().find(empty).or_else(|| spares().find(ours));
        found.or_else(|| spares().next())
    }

    fn cell<'f>(&self, flash: &'f impl Flash, cell: u32) -> &'f [u8] {
        let at = self.layout.cell_at(cell) as usize;
        let bytes = flash.bytes().get(at..).unwrap_or_default();
        bytes.get(..self.layout.cell as usize).unwrap_or_default()
    }

    /// Which of the two deletion marks of a cell are set.
    fn marks(&self, flash: &impl Flash, cell: u32) -> [bool; 2] {
        let (bytes, unit) = (self.cell(flash, cell), self.layout.unit as usize);
        let last = bytes.len().saturating_sub(unit);
        [0, last].map(|at| !is_erased(bytes.get(at..at + unit).unwrap_or_default()))
    }

    /// The record in a cell, deleted or not.
    fn record<'f>(&self, flash: &'f impl Flash, cell: u32) -> Option<Record<'f>> {
        let bytes = self.cell(flash, cell).get(self.layout.unit as usize..)?;
        Record::decode(bytes, self.layout.features as usize)
    }

    fn live<'f>(&self, flash: &'f impl Flash, cell: u32) -> Option<Record<'f>> {
        if self.marks(flash, cell) != [false; 2] {
            return None;
        }
        self.record(flash, cell)
    }

    fn cells_of(&self, segment: u32) -> core::ops::Range<u32> {
        segment * self.layout.cells..(segment + 1) * self.layout.cells
    }

    /// Sets the second mark where power failed between the two.
    fn complete_marks(&self, flash: &mut impl Flash) {
        for segment in 0..self.layout.segments {
            if self.segment(flash, segment).is_none() {
                continue;
            }
            for cell in self.cells_of(segment) {
                let marks = self.marks(flash, cell);
                if marks[0] != marks[1] && self.record(flash, cell).is_some() {
                    // Where that fails, the sample is still deleted: one mark is enough.
                    let _ = self.mark(flash, cell, usize::from(marks[0]));
                }
            }
        }
    }

    fn mark(&self, flash: &mut impl Flash, cell: u32, which: usize) -> Result<(), SampleError> {
        let (layout, zeros) = (&self.layout, [0; crate::flash::MAX_WRITE_SIZE]);
        let at = layout.cell_at(cell) + [0, layout.cell - layout.unit][which];
        Ok(write(flash, at, &zeros[..layout.unit as usize])?)
    }

    /// Builds index and class table from the flash.
    fn scan(&mut self, flash: &impl Flash) {
        (self.len, self.classes) = (0, 0);
        for segment in 0..self.layout.segments {
            if self.segment(flash, segment).is_none() {
                continue;
            }
            for cell in self.cells_of(segment) {
                if let Some(record) = self.live(flash, cell) {
                    self.insert(cell, &record);
                }
            }
        }
        let newest = self.entries().last().map_or(0, |e| e.id);
        self.next_id = match (newest.checked_add(1), self.next_id) {
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        };
    }

    fn insert(&mut self, cell: u32, record: &Record<'_>) {
        let place = self.entries().partition_point(|e| e.id < record.id);
        if let Some(entry) = self.index[..self.len].get_mut(place)
            && entry.id == record.id
        {
            entry.flags |= TWICE;
            return;
        }
        let class = match self.find(record.class) {
            Ok(class) => class,
            Err(class) => {
                // A flash that holds more classes than a store takes was not written by one.
                if self.classes == MAX_CLASSES {
                    return;
                }
                self.table.copy_within(class..self.classes, class + 1);
                self.table[class] = Class::new(record.class);
                self.classes += 1;
                let later = self.index[..self.len].iter_mut();
                later
                    .filter(|e| e.class as usize >= class)
                    .for_each(|e| e.class += 1);
                class
            }
        };
        let entry = &mut self.table[class];
        entry.samples += 1;
        entry.held_out += record.held_out as u32;
        entry.ordinal = entry.ordinal.max(record.ordinal);
        self.index.copy_within(place..self.len, place + 1);
        self.index[place] = Entry {
            id: record.id,
            cell,
            class: class as u16,
            flags: if record.held_out { HELD_OUT } else { 0 },
        };
        self.len += 1;
    }

    fn remove(&mut self, i: usize) {
        let entry = self.index[i];
        self.index.copy_within(i + 1..self.len, i);
        self.len -= 1;
        let class = &mut self.table[entry.class as usize];
        class.samples -= 1;
        class.held_out -= u32::from(entry.flags & HELD_OUT != 0);
        if class.samples == 0 {
            let next = entry.class as usize + 1;
            self.table.copy_within(next..self.classes, next - 1);
            self.classes -= 1;
            let later = self.index[..self.len].iter_mut();
            later
                .filter(|e| e.class > entry.class)
                .for_each(|e| e.class -= 1);
        }
    }

    /// Deletes entry `i`.
    fn delete(&mut self, flash: &mut impl Flash, i: usize) -> Result<(), SampleError> {
        let cell = self.index[i].cell;
        self.mark(flash, cell, 0)?;
        // One mark is enough to delete.
        self.remove(i);
        self.mark(flash, cell, 1)
    }

    /// Deletes the oldest sample of the largest class, of equally large ones the class with the oldest
    /// sample.
    fn evict(&mut self, flash: &mut impl Flash) -> Result<u32, SampleError> {
        let most = self.classes().iter().map(|c| c.samples).max().unwrap_or(0);
        let largest = |e: &Entry| self.classes()[e.class as usize].samples == most;
        let Some(i) = self.entries().iter().position(largest) else {
            return Err(SampleError::Area);
        };
        let id = self.index[i].id;
        self.delete(flash, i)?;
        Ok(id)
    }

    /// Entries in a segment.
    fn population(&self, segment: u32) -> usize {
        let cells = self.cells_of(segment);
        self.entries()
            .iter()
            .filter(|e| cells.contains(&e.cell))
            .count()
    }

    /// True if every sample of a segment is elsewhere, too.
    fn is_redundant(&self, flash: &impl Flash, segment: u32) -> bool {
        self.cells_of(segment)
            .all(|cell| match self.live(flash, cell) {
                None => true,
                Some(record) => {
                    let place = self.entries().partition_point(|e| e.id < record.id);
                    let entry = self.entries().get(place);
                    entry.is_some_and(|e| e.id == record.id && e.flags & TWICE != 0)
                }
            })
    }

    /// The cells that were never written, at the end of the segment that has most of them.
    fn find_free(&self, flash: &impl Flash) -> core::ops::Range<u32> {
        let tail = |segment| {
            self.segment(flash, segment)?;
            let cells = self.cells_of(segment);
            let written = |c: &u32| !is_erased(self.cell(flash, *c));
            let first = cells
                .clone()
                .rev()
                .find(written)
                .map_or(cells.start, |c| c + 1);
            Some(first..cells.end)
        };
        let all = (0..self.layout.segments).filter_map(tail);
        all.max_by_key(|range| range.len()).unwrap_or(0..0)
    }

    /// The next cell to write to, made if there is none.
    fn take_cell(&mut self, flash: &mut impl Flash) -> Result<u32, SampleError> {
        // A segment that is moved for its age can be full.
        for _ in 0..3 {
            if !self.free.is_empty() {
                break;
            }
            let another = self.spares(flash).nth(1).is_some();
            match self.best_spare(flash) {
                Some(segment) if another => self.open_segment(flash, segment)?,
                Some(spare) => self.reclaim(flash, spare)?,
                None => {
                    // A reclaiming that failed left its segment empty but for the header.
                    let mut empty = (0..self.layout.segments).filter(|s| self.population(*s) == 0);
                    let segment = empty.next().ok_or(SampleError::Area)?;
                    flash.erase(self.layout.segment_at(segment))?;
                    self.reclaim(flash, segment)?;
                }
            }
        }
        self.free.next().ok_or(SampleError::Area)
    }

    /// Erases a spare segment and makes it the one that is written to.
    fn open_segment(&mut self, flash: &mut impl Flash, segment: u32) -> Result<(), SampleError> {
        let at = self.layout.segment_at(segment);
        for block in (at..at + self.layout.segment).step_by(self.layout.block as usize) {
            flash.erase(block)?;
        }
        // Whatever trunk or pooling they are of: a number that is not the highest would be ignored later.
        let at_segment = |s| flash.bytes().get(self.layout.segment_at(s) as usize..);
        let used = (0..self.layout.segments).filter_map(|s| Segment::decode(at_segment(s)?));
        let newest = used.map(|s| s.sequence).max().unwrap_or(0);
        let header = Segment {
            sequence: newest.checked_add(1).ok_or(SampleError::Numbers)?,
            pool: self.pool.ok_or(SampleError::Area)?,
            features: self.layout.features,
            trunk: self.trunk,
        };
        write(flash, at, &header.encode())?;
        self.free = self.cells_of(segment);
        Ok(())
    }

    /// Moves the samples of the segment that has fewest into the spare one, and erases it.
    fn reclaim(&mut self, flash: &mut impl Flash, spare: u32) -> Result<(), SampleError> {
        let victim = self.victim(flash).ok_or(SampleError::Area)?;
        self.open_segment(flash, spare)?;
        let cells = self.cells_of(victim);
        for i in 0..self.len {
            let from = self.index[i].cell;
            if cells.contains(&from) {
                let to = self.free.next().ok_or(SampleError::Area)?;
                self.copy(flash, from, to)?;
                self.index[i].cell = to;
            }
        }
        Ok(flash.erase(self.layout.segment_at(victim))?)
    }

    /// The segment with the fewest samples, but not the newest one: that has the samples which were moved
    /// last, and would be moved for ever. Now and then it is the oldest one, so that blocks whose samples
    /// stay are worn, too.
    fn victim(&self, flash: &impl Flash) -> Option<u32> {
        let (newest, only) = (self.newest(flash)?, self.layout.segments == 2);
        let aged = newest.0.sequence.is_multiple_of(MOVE_OLDEST_EVERY);
        (0..self.layout.segments)
            .filter(|s| only || *s != newest.1)
            .filter_map(|s| Some((self.segment(flash, s)?.sequence, s)))
            .min_by_key(|(sequence, s)| (if aged { 0 } else { self.population(*s) }, *sequence))
            .map(|(_, segment)| segment)
    }

    fn copy(&self, flash: &mut impl Flash, from: u32, to: u32) -> Result<(), SampleError> {
        let layout = &self.layout;
        let [from, to] = [from, to].map(|cell| layout.cell_at(cell) + layout.unit);
        let mut buffer = [0; 256];
        for start in (0..layout.record_len()).step_by(buffer.len()) {
            let len = buffer.len().min(layout.record_len() - start);
            let part = flash
                .bytes()
                .get(from as usize + start..)
                .unwrap_or_default();
            let part = part.get(..len).ok_or(SampleError::Area)?;
            buffer[..len].copy_from_slice(part);
            write(flash, to + start as u32, &buffer[..len])?;
        }
        Ok(())
    }
}

/// The samples as training reads them.
#[derive(Clone, Copy, Debug)]
pub struct View<'s> {
    layout: &'s SampleLayout,
    entries: &'s [Entry],
    bytes: &'s [u8],
}

impl TrainingSet for View<'_> {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn label(&self, i: usize) -> usize {
        self.entries[i].class as usize
    }

    fn held_out(&self, i: usize) -> bool {
        self.entries[i].flags & HELD_OUT != 0
    }

    fn feature(&self, i: usize) -> &[i8] {
        let at = self.layout.cell_at(self.entries[i].cell) + self.layout.unit;
        let at = at as usize + layout::RECORD_HEADER;
        bytemuck::cast_slice(&self.bytes[at..at + self.layout.features as usize])
    }
}

#[cfg(test)]
mod tests;
