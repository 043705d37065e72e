//! Flash and RAM that the device application takes, from sizes alone. The application's own code in `edge-runtime`
//! computes them; here the numbers have 64 bits, as in a `board.toml`.

use super::schema::{self, Store};
use edge_runtime::device::memory::{self, MemoryPlan, Sizes};
pub use edge_runtime::device::samples::MAX_CLASSES;
use edge_runtime::device::samples::SampleLayout;
use edge_runtime::flash::{Area, Geometry, MAX_WRITE_SIZE, MIN_ERASE_SIZE};
use edge_runtime::head::HeadSize;
use edge_runtime::head::store::HeadStore;

// The rules of `board.toml` are those of the stores.
const _: () = assert!(schema::MAX_WRITE == MAX_WRITE_SIZE as u64);
const _: () = assert!(schema::MIN_ERASE == MIN_ERASE_SIZE as u64);

/// Longest head that a slot of the head store takes, in bytes.
pub fn head_capacity(store: &Store) -> u64 {
    usize::try_from(store.len).map_or(0, |len| HeadStore::slot_capacity(len) as u64)
}

/// Upper bound for the length of a head that is trained on a device, in bytes.
pub fn head_len(size: &HeadSize) -> u64 {
    memory::head_len(size) as u64
}

/// RAM that training takes in place of the arena, in bytes: workspace, the new layers and their labels.
pub fn training_bytes(size: &HeadSize) -> u64 {
    memory::training_bytes(size) as u64
}

/// RAM of the application besides arena or training, in bytes. `own` is the number of classes of the model's head.
pub fn buffer_bytes(features: usize, classes: usize, own: usize, room: &SampleRoom) -> u64 {
    let plan = MemoryPlan::of(&Sizes {
        features,
        classes,
        factory: own,
        arena: 0,
        cells: room.places as usize,
    });
    plan.buffers() as u64
}

/// How many samples a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleRoom {
    /// Most samples.
    pub capacity: u64,
    /// Places for samples, with the spare ones. The index has an entry for each.
    pub places: u64,
}

/// How many samples with feature vectors of `features` bytes a store holds; none if it does not hold two segments.
pub fn sample_room(store: &Store, features: usize) -> SampleRoom {
    let layout = || {
        let len = u32::try_from(store.len).ok()?;
        let geometry = Geometry {
            len,
            write_size: u32::try_from(store.write).ok()?,
            erase_size: u32::try_from(store.erase).ok()?,
        };
        SampleLayout::new(&geometry, Area { start: 0, len }, features)
    };
    layout().map_or(SampleRoom::default(), |l| SampleRoom {
        capacity: l.capacity() as u64,
        places: l.all_cells() as u64,
    })
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
            training_bytes(&HeadSize::linear(1280, 5)),
            workspace + 4 + 6400 + 32 + 32 + 176
        );
        let room = SampleRoom {
            capacity: 152,
            places: 160,
        };
        let buffers = 6992 + 1280 + 4000 + 1920 + 4800 + 1104 + 15;
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
        let len = head_len(&HeadSize::linear(1280, 5));
        assert!((6400..7168).contains(&len), "{len}");
        assert_eq!(head_capacity(&Store { len: 100, ..store }), 0);
    }
}
