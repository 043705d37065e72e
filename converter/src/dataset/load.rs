//! Decodes and preprocesses many files on all cores, with results in order.

use std::sync::atomic::{AtomicUsize, Ordering};

use edge_runtime::model::InputSpec;
use edge_runtime::picture::{Item, LoadError, load};
use rayon::prelude::*;

/// Loads all items, in their order; see [`map_all`].
pub fn load_all(
    items: &[Item],
    spec: &InputSpec,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Vec<u8>>, LoadError> {
    map_all(items, spec, progress, |_, crop| crop)
}

/// Loads every item and hands it to `f` with its index, on all cores; the results are in order.
///
/// At most as many pictures as there are cores are in memory at once. `progress` is called with the number of
/// items that are done.
///
/// # Errors
/// The error of the first broken item in the order of `items`, whichever core finds one first.
pub fn map_all<R: Send>(
    items: &[Item],
    spec: &InputSpec,
    progress: &(dyn Fn(usize) + Sync),
    f: impl Fn(usize, Vec<u8>) -> R + Sync,
) -> Result<Vec<R>, LoadError> {
    let done = AtomicUsize::new(0);
    let broken = AtomicUsize::new(usize::MAX);
    let one = |(i, item): (usize, &Item)| {
        if i > broken.load(Ordering::Relaxed) {
            return None;
        }
        let result = load(&item.path, spec).map(|crop| f(i, crop));
        if result.is_err() {
            broken.fetch_min(i, Ordering::Relaxed);
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        Some(result)
    };
    let results: Vec<Option<Result<R, LoadError>>> =
        items.par_iter().enumerate().map(one).collect();
    // Only items after a broken one are `None`, so the error comes first.
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{dead_leaves, image_file};
    use edge_runtime::model::{ChannelOrder, Filter, ResizeRule};
    use std::path::Path;

    const SPEC: InputSpec = InputSpec {
        height: 8,
        width: 8,
        resize: ResizeRule::ShortSide(10),
        filter: Filter::Bilinear,
        order: ChannelOrder::Rgb,
        mean: [0.0; 3],
        std: [1.0; 3],
    };

    fn files(dir: &Path, n: usize) -> Vec<Item> {
        let one = |i: usize| {
            let path = dir.join(format!("{i:02}.png"));
            let p = dead_leaves::picture(12 + i as u32, 11, i as u64);
            std::fs::write(&path, image_file::encode_png(&p)).unwrap();
            Item { path, class: None }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn in_order_with_progress() {
        let dir = tempfile::tempdir().unwrap();
        let items = files(dir.path(), 20);
        let highest = AtomicUsize::new(0);
        let progress = |n: usize| {
            highest.fetch_max(n, Ordering::Relaxed);
        };
        let all = load_all(&items, &SPEC, &progress).unwrap();
        assert_eq!(highest.into_inner(), 20);
        for (item, crop) in items.iter().zip(&all) {
            assert_eq!(*crop, load(&item.path, &SPEC).unwrap());
        }
        let indices = map_all(&items, &SPEC, &|_| (), |i, _| i).unwrap();
        assert_eq!(indices, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_broken_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let items = files(dir.path(), 20);
        for broken in [19, 12, 5] {
            std::fs::write(&items[broken].path, b"not a picture").unwrap();
            for _ in 0..10 {
                let e = load_all(&items, &SPEC, &|_| ()).unwrap_err().to_string();
                assert!(e.contains(&format!("{broken:02}.png")), "{e}");
            }
        }
    }
}
