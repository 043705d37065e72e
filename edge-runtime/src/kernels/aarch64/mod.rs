//! Families for 64-bit Arm. Each can be made only where the processor has what it needs; no other file asks the
//! processor.

mod dotprod;
mod finish;
mod neon;

pub use dotprod::Dotprod;
pub use neon::Neon;

/// The part of [`Quads`](crate::kernels::quads::Quads) that the families share.
macro_rules! common {
    ($quads:ty) => {
        #[inline(always)]
        fn load(self, from: &Line) -> $quads {
            bytemuck::cast(*from)
        }

        #[inline(always)]
        fn repeat(self, quad: [i8; 4]) -> $quads {
            bytemuck::cast([quad; 4 * BLOCK / 4])
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
        fn save(self, quads: $quads, to: &mut Line) {
            *to = bytemuck::cast(quads);
        }

        #[inline(always)]
        fn interleave(self, rows: [&[i8; 64]; 4]) -> [$quads; 4] {
            super::finish::interleave(rows).map(|quads| bytemuck::cast(quads))
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
