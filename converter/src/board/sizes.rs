//! What the device application takes of flash and RAM, from sizes alone.
//!
//! These are the sizes of the application's head store, sample store and memory block in `edge-runtime`:
//! one place here, so that a change there is a change of this file.

use super::schema::Store;
use edge_runtime::head::file::encoded_len_bound;
use edge_runtime::head::train::workspace_len;
use edge_runtime::model::{ALIGNMENT, align};

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

/// Most classes of the sample store.
pub const MAX_CLASSES: usize = 100;

/// Longest reply, of which the application keeps the last.
pub const REPLY: usize = 1100;

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

/// Length of the file of a head that is trained on a device, at most.
pub fn head_len(features: usize, classes: usize) -> u64 {
    encoded_len_bound(features, classes, labels_len(classes)) as u64
}

fn labels_len(classes: usize) -> usize {
    classes * (CLASS_NAME + 1)
}

/// Bytes of RAM that training takes in the arena's place: workspace, the new layer and its labels.
pub fn training_bytes(features: usize, classes: usize) -> u64 {
    let parts = [
        4 * workspace_len(features, classes),
        features * classes,
        4 * classes,
        4 * classes,
        labels_len(classes),
    ];
    parts.iter().map(|len| align(*len) as u64).sum()
}

/// Bytes of the application's memory block besides arena or training: a head that waits for its commit, a
/// feature, logits (`own` classes has the model's head), the index of the sample store, and the last reply.
pub fn buffer_bytes(features: usize, classes: usize, own: usize, room: &SampleRoom) -> u64 {
    let candidate = head_len(features, classes).next_multiple_of(ALIGNMENT as u64);
    let parts = [features, 4 * own.max(classes), REPLY].map(|len| align(len) as u64);
    let index = room.index_bytes().next_multiple_of(ALIGNMENT as u64);
    // Aligning the block itself takes what is added last.
    candidate + parts.iter().sum::<u64>() + index + ALIGNMENT as u64 - 1
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

    /// As the application's own plan has it: 1280 features, 5 classes, 160 places.
    #[test]
    fn memory_block() {
        let workspace = 4 * (2 * 1280 * 5 + 2 * 1280 + 3 * 5);
        assert_eq!(
            training_bytes(1280, 5),
            workspace + 4 + 6400 + 32 + 32 + 176
        );
        let room = SampleRoom {
            capacity: 152,
            places: 160,
        };
        let buffers = 6992 + 1280 + 4000 + 1920 + 1104 + 15;
        assert_eq!(buffer_bytes(1280, 5, 1000, &room), buffers);
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
