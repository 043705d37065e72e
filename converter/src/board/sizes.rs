//! What the device's stores take, from sizes alone.
//!
//! These are the sizes of the device application's stores (`edge-runtime`, head store and sample store):
//! one place here, so that a change there is a change of these constants.

use super::schema::Store;
use edge_runtime::head::file::encoded_len_bound;

/// Bytes of a head slot before its head file.
pub const SLOT_OVERHEAD: u64 = 256;

/// Longest name of a class in bytes; a trained head has one a class, and a line break.
pub const CLASS_NAME: usize = 32;

/// Bytes of a segment's header in the sample store.
pub const SEGMENT_HEADER: u64 = 64;

/// Bytes of a sample's header.
pub const SAMPLE_HEADER: u64 = 64;

/// Bytes of RAM in the sample store's index for each place for a sample.
pub const INDEX_ENTRY: u64 = 12;

/// Largest unit of programming that the stores work with.
pub const MAX_WRITE: u64 = 32;

/// Smallest unit of erasing that the stores work with.
pub const MIN_ERASE: u64 = 512;

/// Most erase blocks in a segment of the sample store.
const MAX_BLOCKS: u64 = 64;

/// Longest head file that a slot of the head store takes.
pub fn head_capacity(store: &Store) -> u64 {
    (store.len / 2).saturating_sub(SLOT_OVERHEAD)
}

/// Length of the file of an int8 head, at most.
pub fn head_len(features: usize, classes: usize) -> u64 {
    encoded_len_bound(features, classes, classes * (CLASS_NAME + 1)) as u64
}

/// How many samples a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleRoom {
    /// Most samples that are kept.
    pub capacity: u64,
    /// Places for samples, the spare ones too: as many entries has the index.
    pub places: u64,
}

impl SampleRoom {
    /// Bytes of RAM of the index.
    pub const fn index_bytes(&self) -> u64 {
        self.places * INDEX_ENTRY
    }
}

/// The room for features of so many bytes.
///
/// The store is divided into segments, as few erase blocks as leave at most a quarter unused. A segment is
/// a header and places of one length: mark, header, feature, mark. A mark and the padding of the feature are
/// one unit of programming, but at least 16 bytes. One segment is spare, and half of another stays free.
pub fn sample_room(store: &Store, features: usize) -> SampleRoom {
    let features = features as u64;
    if store.erase == 0 || features == 0 || features > 1 << 24 {
        return SampleRoom::default();
    }
    let unit = store.write.clamp(16, MAX_WRITE);
    let place = 2 * unit + SAMPLE_HEADER + features.next_multiple_of(unit);
    let segment = (1..=MAX_BLOCKS).find_map(|blocks| {
        let segment = blocks.checked_mul(store.erase)?;
        let places = segment.checked_sub(SEGMENT_HEADER)? / place;
        (places * place >= segment / 4 * 3).then_some((segment, places))
    });
    let Some((segment, places)) = segment else {
        return SampleRoom::default();
    };
    let segments = store.len / segment;
    if segments < 2 {
        return SampleRoom::default();
    }
    SampleRoom {
        capacity: ((segments - 1) * places).saturating_sub(places.div_ceil(2)),
        places: segments * places,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the sample store's own tests.
    #[test]
    fn room_of_real_flashes() {
        let store = |write, erase, blocks| Store {
            len: erase * blocks,
            erase,
            write,
        };
        let pico = sample_room(&store(1, 4096, 64), 1280);
        assert_eq!((pico.capacity, pico.places), (152, 160));
        assert_eq!(pico.index_bytes(), 1920);
        let nucleo = sample_room(&store(32, 128 << 10, 4), 1280);
        assert_eq!((nucleo.capacity, nucleo.places), (232, 372));
        // Features longer than a block.
        assert!(sample_room(&store(4, 4096, 32), 9216).capacity > 0);
        for nothing in [
            sample_room(&store(4, 4096, 1), 1280),
            sample_room(&store(4, 4096, 3), 1280),
            sample_room(&store(4, 4096, 8), 0),
            sample_room(&store(4, 4096, 64), usize::MAX),
        ] {
            assert_eq!(nothing, SampleRoom::default());
        }
    }

    #[test]
    fn heads() {
        let store = Store {
            len: 2 << 16,
            erase: 4096,
            write: 4,
        };
        assert_eq!(head_capacity(&store), 65536 - 256);
        let len = head_len(1280, 5);
        assert!((6400..7168).contains(&len), "{len}");
        assert_eq!(head_capacity(&Store { len: 100, ..store }), 0);
    }
}
