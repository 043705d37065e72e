//! The firmware for QEMU's mps2-an521, a Cortex-M33. The UART has its secure address.

#![no_std]
#![no_main]

qemu::machine!(qemu::UartPlace {
    base: 0x5020_0000,
    irq: 32,
    clock_hz: MAP.clock_hz,
});
