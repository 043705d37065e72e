//! Families for 64-bit Arm. Each can be made only where the processor has what it needs; no other file asks the
//! processor.

mod dotprod;
mod finish;
mod neon;

pub use dotprod::Dotprod;
pub use neon::Neon;

/// The part of [`Quads`](crate::kernels::quads::Quads) that the families share.
macro_rules! common {
    () => {
        #[inline(always)]
        fn load(self, from: &Line) -> [int8x16_t; 4] {
            bytemuck::cast(*from)
        }

        #[inline(always)]
        fn repeat(self, quad: [i8; 4]) -> [int8x16_t; 4] {
            super::finish::repeat(quad)
        }

        #[inline(always)]
        fn many(self, quads: &[[i8; 4]; 4]) -> int8x16_t {
            bytemuck::cast(*quads)
        }

        #[inline(always)]
        fn flip_16(self, from: &[i8; 16], to: &mut [i8; 16]) {
            *to = *from;
        }

        #[inline(always)]
        fn flip_64(self, from: &[i8; 64], to: &mut [i8; 64]) {
            *to = *from;
        }

        #[inline(always)]
        fn save(self, quads: [int8x16_t; 4], to: &mut Line) {
            *to = bytemuck::cast(quads);
        }

        #[inline(always)]
        fn interleave(self, rows: [&[i8; 64]; 4]) -> [[int8x16_t; 4]; 4] {
            super::finish::interleave(rows)
        }

        #[inline(always)]
        fn ready(self, channels: &Channels) -> Ready {
            super::finish::ready(channels)
        }

        #[inline(always)]
        fn shared(self, output: &Output) -> Shared {
            super::finish::shared(output)
        }

        #[inline(always)]
        fn scale<const SCALING: u8>(self, sums: Four, numbers: &Ready, _: &Shared) -> Four {
            super::finish::scale::<SCALING>(sums, numbers)
        }

        #[inline(always)]
        fn store(self, scaled: Four, shared: &Shared, to: &mut [i8; BLOCK]) {
            super::finish::store(scaled, shared, to);
        }
    };
}
use common;
