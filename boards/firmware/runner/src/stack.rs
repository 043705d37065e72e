//! How much of the stack was in use. `cortex-m-rt` fills it with a pattern at the start; where the pattern is gone, the
//! stack was used.

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The most bytes of stack that were in use since the start.
pub fn high_water() -> u32 {
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let size = top.addr().saturating_sub(bottom.addr());
    let words = size / size_of::<u32>();
    // SAFETY: the linker script puts the stack between the two symbols, in whole words of RAM. No reference to the
    // part below the stack pointer exists.
    let word = |i: usize| unsafe { bottom.add(i).read_volatile() };
    let painted = (0..words).take_while(|i| word(*i) == STACK_PAINT_VALUE);
    (size - painted.count() * size_of::<u32>()) as u32
}
