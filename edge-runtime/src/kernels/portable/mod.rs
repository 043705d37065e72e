//! The kernels that define the arithmetic, in safe Rust for every processor.
//!
//! `docs/reference/arithmetic.md` states what they compute. They index slices, so numbers and lengths that
//! contradict each other panic. Some are compiled again for a processor's extension (`inline(always)`).

/// Calls `$block(arguments, first, count)` for all channels, in blocks of at most `$most`; it says how many it did. A
/// length that the compiler knows is faster, so the sizes are few.
#[cfg(feature = "std")]
macro_rules! in_blocks {
    ($channels:expr, $most:ident, $block:ident($($argument:expr),*)) => {
        let mut first = 0;
        while first < $channels {
            first += match $channels - first {
                $most.. => $block($($argument,)* first, $most),
                64.. => $block($($argument,)* first, 64),
                32.. => $block($($argument,)* first, 32),
                16.. => $block($($argument,)* first, 16),
                rest => $block($($argument,)* first, rest),
            };
        }
    };
}

mod conv;
mod depthwise;
mod elementwise;
#[cfg(feature = "std")]
mod float;
mod layout;
mod norm;
mod pool;
mod requantize;
mod unfold;

pub use conv::conv;
pub use depthwise::depthwise;
pub use elementwise::{
    add, add_in_place, map, map_in_place, mul, mul_in_place, prelu, prelu_in_place,
};
#[cfg(feature = "std")]
pub use float::float_depthwise;
pub use layout::{concat_part, pad, shuffle, slice};
pub use norm::norm;
#[cfg(feature = "std")]
pub use pool::max_pool_in_blocks;
pub use pool::{avg_pool, max_pool};
pub use requantize::{requantize, requantize_sums, rescale, saturate};
pub use unfold::unfold;
