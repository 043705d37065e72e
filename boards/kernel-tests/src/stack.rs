//! The deepest the stack has been, by painting it.

const PAINT: u32 = 0x5a5a_5a5a;

unsafe extern "C" {
    static mut _stack_start: u32;
    static mut __ebss: u32;
    static mut __sdata: u32;
}

/// Bytes from the end of the static variables to a bit below the stack pointer.
fn unused() -> *mut [u32] {
    let here = cortex_m::register::msp::read() as usize - 256;
    let end = (&raw mut __ebss).addr().next_multiple_of(4);
    core::ptr::slice_from_raw_parts_mut(end as *mut u32, (here - end) / 4)
}

/// Bytes of static variables.
pub fn statics() -> usize {
    (&raw mut __ebss).addr() - (&raw mut __sdata).addr()
}

/// Paints what is not in use; call it before what is to be measured.
pub fn paint() {
    let unused = unused();
    for i in 0..unused.len() {
        // SAFETY: between the static variables and the stack pointer nothing is alive.
        unsafe { unused.cast::<u32>().add(i).write_volatile(PAINT) };
    }
}

/// Bytes that the stack has had at most since [`paint`].
pub fn high_water() -> usize {
    let unused = unused();
    let mut i = 0;
    // SAFETY: as in `paint`.
    while i < unused.len() && unsafe { unused.cast::<u32>().add(i).read_volatile() } == PAINT {
        i += 1;
    }
    (&raw mut _stack_start).addr() - (unused.cast::<u32>().addr() + 4 * i)
}
