//! The firmware for QEMU's mps2-an500, a Cortex-M7.

#![no_std]
#![no_main]

qemu::machine!(qemu::UartPlace {
    base: 0x4000_4000,
    irq: 0,
    clock_hz: MAP.clock_hz,
});
