//! The firmware for QEMU's mps3-an547, a Cortex-M55. The UART has its secure address.

#![no_std]
#![no_main]

qemu::machine!(qemu::UartPlace {
    base: 0x5930_3000,
    irq: 33,
    clock_hz: MAP.clock_hz,
});
