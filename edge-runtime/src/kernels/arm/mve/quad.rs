//! The inner kernel of dense convolutions: four output channels for pairs of pixels.
//!
//! A tile of 4 channels by 2 pixels has one `vmladava` accumulator in each even register, so that one
//! 16-byte load of weights serves two multiplications of 16 bytes and one of activations four. The sums are
//! then requantized four channels at a time in vector lanes.

use super::pack::Channel;
use core::arch::global_asm;

/// What `graft_mve_quads` reads. All steps in bytes.
#[repr(C)]
pub(super) struct Job {
    /// Pixel 0; `blocks * 16` bytes are read of each pixel.
    pub a: *const i8,
    /// From a pair's first pixel to its second.
    pub pixel_step: usize,
    /// From the end of a pixel to the first pixel of the next pair: `2 * pixel step - blocks * 16`.
    pub pair_step: isize,
    /// Pairs of pixels, at least 1.
    pub pairs: usize,
    /// `quads * blocks * 64` bytes: for each four channels, for each 16 taps, 16 weights of each channel.
    pub weights: *const i8,
    /// Sixteens of taps, at least 1.
    pub blocks: usize,
    /// `quads * 4` records.
    pub channels: *const Channel,
    /// Fours of output channels, at least 1.
    pub quads: usize,
    /// Channel 0 of the first pixel's output.
    pub out: *mut i8,
    /// From a pixel's output to the next one's.
    pub out_step: usize,
    /// Smallest and largest output.
    pub clamp: [i32; 2],
}

global_asm!(
    ".cpu cortex-m55",
    // 16 taps of four channels for two pixels: r3 and r5 pixels, r1 weights; \op is vmladav or vmladava.
    ".macro GRAFT_MVE_QUAD op",
    "vldrb.u8 q0, [r3], #16",
    "vldrw.u32 q2, [r1], #64",
    "vldrb.u8 q1, [r5], #16",
    "\\op\\().s8 r0, q0, q2",
    "\\op\\().s8 r8, q1, q2",
    "vldrw.u32 q2, [r1, #-48]",
    "\\op\\().s8 r2, q0, q2",
    "\\op\\().s8 r10, q1, q2",
    "vldrw.u32 q2, [r1, #-32]",
    "\\op\\().s8 r4, q0, q2",
    "\\op\\().s8 r12, q1, q2",
    "vldrw.u32 q2, [r1, #-16]",
    "\\op\\().s8 r6, q0, q2",
    "\\op\\().s8 lr, q1, q2",
    ".endm",
    ".section .text.graft_mve_quads,\"ax\",%progbits",
    ".global graft_mve_quads",
    ".type graft_mve_quads,%function",
    ".thumb_func",
    "graft_mve_quads:", // r0 job
    "push {{r4-r11, lr}}",
    "vpush {{d8-d15}}",
    "sub sp, #68",
    // On the stack: 0 pair step, 4 out step, 8 weights, 12 blocks - 1, 16 largest output four times,
    // 32 pixel 0, 36 pixel 1, 40 out, 44 pairs, 48 quads, 52 channels.
    "ldr r3, [r0]",
    "ldr r5, [r0, #4]",
    "add r5, r3",
    "strd r3, r5, [sp, #32]",
    "ldr r1, [r0, #8]",
    "ldr r2, [r0, #36]",
    "strd r1, r2, [sp]",
    "ldr r1, [r0, #16]",
    "ldr r9, [r0, #20]",
    "subs r9, r9, #1",
    "strd r1, r9, [sp, #8]",
    "ldr r7, [r0, #32]",
    "ldr r11, [r0, #12]",
    "strd r7, r11, [sp, #40]",
    "ldr r1, [r0, #28]",
    "ldr r2, [r0, #24]",
    "strd r1, r2, [sp, #48]",
    "ldrd r1, r2, [r0, #40]",
    "vdup.32 q3, r1",
    "vdup.32 q2, r2",
    "vstrw.32 q2, [sp, #16]",
    "1:", // four channels: q4 bias, q5 multiplier, q6 rounding, q7 shift, q3 smallest output
    "ldr r0, [sp, #52]",
    "vld40.32 {{q4, q5, q6, q7}}, [r0]",
    "vld41.32 {{q4, q5, q6, q7}}, [r0]",
    "vld42.32 {{q4, q5, q6, q7}}, [r0]",
    "vld43.32 {{q4, q5, q6, q7}}, [r0]!",
    "str r0, [sp, #52]",
    "ldrd r3, r5, [sp, #32]",
    "ldrd r7, r11, [sp, #40]",
    "2:", // a pair of pixels
    "ldrd r1, r9, [sp, #8]",
    "GRAFT_MVE_QUAD vmladav",
    "lsrs r9, r9, #1", // the rest by twos, an odd one first
    "bcc 5f",
    "GRAFT_MVE_QUAD vmladava",
    "5:",
    "beq 4f",
    "3:",
    "GRAFT_MVE_QUAD vmladava",
    "GRAFT_MVE_QUAD vmladava",
    "subs r9, r9, #1",
    "bne 3b",
    "4:",
    "vmov q0[2], q0[0], r0, r4",
    "vmov q0[3], q0[1], r2, r6",
    "vmov q1[2], q1[0], r8, r12",
    "vmov q1[3], q1[1], r10, lr",
    "vadd.i32 q0, q0, q4",
    "ldrd r0, r2, [sp]",
    "vadd.i32 q1, q1, q4",
    "vmulh.s32 q0, q0, q5",
    "add r3, r0",
    "vmulh.s32 q1, q1, q5",
    "vadd.i32 q0, q0, q6",
    "add r5, r0",
    "vadd.i32 q1, q1, q6",
    "vldrw.u32 q2, [sp, #16]",
    "vshl.s32 q0, q0, q7",
    "vshl.s32 q1, q1, q7",
    "vmax.s32 q0, q0, q3",
    "vmax.s32 q1, q1, q3",
    "vmin.s32 q0, q0, q2",
    "vstrb.32 q0, [r7]",
    "vmin.s32 q1, q1, q2",
    "add r7, r2",
    "vstrb.32 q1, [r7]",
    "add r7, r2",
    "subs r11, #1",
    "bne 2b",
    "ldrd r0, r2, [sp, #40]",
    "adds r0, #4",
    "str r0, [sp, #40]",
    "str r1, [sp, #8]", // past this quad's weights
    "ldr r0, [sp, #48]",
    "subs r0, #1",
    "str r0, [sp, #48]",
    "bne 1b",
    "add sp, #68",
    "vpop {{d8-d15}}",
    "pop {{r4-r11, pc}}",
    ".size graft_mve_quads, . - graft_mve_quads",
    ".purgem GRAFT_MVE_QUAD",
);

unsafe extern "C" {
    /// Computes `quads * 4` channels of `pairs * 2` pixels.
    ///
    /// # Safety
    /// Everything that the fields of [`Job`] say must lie in memory that may be read or written.
    pub(super) fn graft_mve_quads(job: *const Job);
}
