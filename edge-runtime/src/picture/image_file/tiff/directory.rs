//! The tags of a TIFF file's first page. Knows the container (TIFF and BigTIFF), not what tags mean.

/// A tag's number in the file.
pub(super) type Tag = u16;

/// The first page's tags.
pub(super) struct Directory<'a> {
    file: &'a [u8],
    little: bool,
    big: bool,
    /// One after the other, 12 or 20 bytes each.
    entries: &'a [u8],
}

impl<'a> Directory<'a> {
    pub(super) fn first(file: &'a [u8]) -> Option<Self> {
        let little = file.starts_with(b"II");
        let mut directory = Self {
            file,
            little,
            big: false,
            entries: &[],
        };
        directory.big = directory.number(file.get(2..4)?) == 43;
        let (start, count) = match directory.big {
            true => (directory.number(file.get(8..16)?), 8),
            false => (directory.number(file.get(4..8)?), 2),
        };
        let start = usize::try_from(start).ok()?;
        let first = start.checked_add(count)?;
        let count = directory.number(file.get(start..first)?);
        let len = usize::try_from(count)
            .ok()?
            .checked_mul(directory.entry())?;
        directory.entries = file.get(first..first.checked_add(len)?)?;
        Some(directory)
    }

    /// True if the first byte of a number is its least.
    pub(super) fn little(&self) -> bool {
        self.little
    }

    fn entry(&self) -> usize {
        if self.big { 20 } else { 12 }
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |n: u64, &b: &u8| n << 8 | u64::from(b);
        match self.little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        }
    }

    /// The bytes of a tag's values, and how many each has; `None` without the tag, or if it is damaged.
    fn raw(&self, tag: Tag) -> Option<(&'a [u8], usize)> {
        let mut entries = self.entries.chunks_exact(self.entry());
        let entry = entries.find(|e| self.number(&e[..2]) == u64::from(tag))?;
        let each = match self.number(&entry[2..4]) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            16..=18 => 8,
            _ => return None,
        };
        let (count, value) = entry[4..].split_at(if self.big { 8 } else { 4 });
        let len = usize::try_from(self.number(count))
            .ok()?
            .checked_mul(each)?;
        let bytes = match len <= value.len() {
            true => &value[..len],
            false => {
                let at = usize::try_from(self.number(value)).ok()?;
                self.file.get(at..at.checked_add(len)?)?
            }
        };
        Some((bytes, each))
    }

    pub(super) fn has(&self, tag: Tag) -> bool {
        self.raw(tag).is_some()
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        self.raw(tag).map(|(bytes, _)| bytes)
    }

    /// All values of a tag; none without it.
    pub(super) fn all(&self, tag: Tag) -> Vec<u64> {
        let (bytes, each) = self.raw(tag).unwrap_or((&[], 1));
        bytes.chunks_exact(each).map(|v| self.number(v)).collect()
    }

    /// The first value of a tag.
    pub(super) fn one(&self, tag: Tag) -> Option<u64> {
        let (bytes, each) = self.raw(tag)?;
        Some(self.number(bytes.get(..each)?))
    }
}
