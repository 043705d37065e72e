//! Runs in QEMU (mps3-an547): the MVE kernels against the portable ones on random layers, then the
//! instructions of every layer shape of two networks.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use edge_runtime::kernels::arm::mve::{self, pack};
use edge_runtime::kernels::{self, AddParams, ConvParams, Geometry};
use edge_runtime::model::{Shape, Window};

const BIG: usize = 400_000;
static mut BUFFERS: [[i8; BIG]; 5] = [[0; BIG]; 5];
static mut NUMBERS: [[i32; 1024]; 2] = [[0; 1024]; 2];
static mut SHIFTS: [u8; 1024] = [0; 1024];
static mut CHANNELS: [pack::Channel; 1024] = [pack::Channel { bias: 0, multiplier: 0, rounding: 0, shift: 0 }; 1024];

#[repr(align(16))]
struct Al<T>(T);
static mut PACKED: Al<[i8; BIG]> = Al([0; BIG]);

struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }
    fn range(&mut self, low: u32, high: u32) -> u32 {
        low + self.next() % (high - low + 1)
    }
    fn fill(&mut self, to: &mut [i8], low: i8) {
        let extreme = self.next() % 8 == 0;
        for v in to {
            *v = match self.next() % 8 {
                0 => i8::MIN,
                1 => i8::MAX,
                _ if extreme => if self.next() % 2 == 0 { i8::MIN } else { i8::MAX },
                _ => self.next() as i8,
            }
            .max(low);
        }
    }
}

fn ticks_start() {
    unsafe {
        let syst = 0xE000_E010 as *mut u32;
        syst.write_volatile(0);
        syst.add(1).write_volatile(0xFF_FFFF);
        syst.add(2).write_volatile(0);
        syst.write_volatile(5);
        let _ = syst.read_volatile();
    }
}
fn ticks_read() -> u32 {
    unsafe {
        let syst = 0xE000_E010 as *mut u32;
        let v = syst.add(2).read_volatile();
        assert!(syst.read_volatile() & 0x1_0000 == 0);
        0u32.wrapping_sub(v) & 0xFF_FFFF
    }
}
fn instructions(ticks: u32) -> u32 {
    (ticks as u64 * 125 / 4) as u32
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn insn_mark_begin() { unsafe { core::arch::asm!("nop") } }
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn insn_mark_end() { unsafe { core::arch::asm!("nop", "nop") } }

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind { Dense, Depthwise }

/// Random numbers for a layer, both kernels, compared. Returns instructions of the fast one.
fn case(rng: &mut Rng, kind: Kind, g: &Geometry, hard: bool) -> Option<u32> {
    #[allow(static_mut_refs)]
    let ([input, weights, expected, got, scratch], [bias, mult], shift, channels, packed) =
        unsafe { (&mut BUFFERS, &mut NUMBERS, &mut SHIFTS, &mut CHANNELS, &mut PACKED.0) };
    let oc = g.output.c as usize;
    let taps = (g.window.kernel[0] * g.window.kernel[1]) as usize * if kind == Kind::Dense { g.input.c as usize } else { 1 };
    let input = &mut input[..g.input.len()];
    let weights = &mut weights[..taps * oc];
    rng.fill(input, -128);
    rng.fill(weights, -127);
    let log = taps.ilog2() as u32;
    for c in 0..oc {
        bias[c] = (rng.next() as i32) >> rng.range(8, 20);
        mult[c] = (1 << 30) + (rng.next() >> 2) as i32 % (1 << 30);
        shift[c] = if hard { rng.range(33, 62) } else { rng.range(36, 38) + log } as u8;
        if rng.next() % 16 == 0 { mult[c] = if rng.next() % 2 == 0 { 1 << 30 } else { i32::MAX }; }
    }
    let low = if rng.next() % 2 == 0 { -128 } else { rng.range(0, 255) as i32 - 128 } as i8;
    let high = if rng.next() % 2 == 0 { 127 } else { rng.range((low as i32 + 128) as u32, 255) as i32 - 128 } as i8;
    let params = ConvParams {
        weights, bias: &bias[..oc], multiplier: &mult[..oc], shift: &shift[..oc],
        input_zero_point: rng.next() as i8, output_zero_point: rng.next() as i8, clamp: [low, high],
    };
    let expected = &mut expected[..g.output.len()];
    let got = &mut got[..g.output.len() + 16];
    got.fill(99);
    let (guard_at, t) = (g.output.len(), ());
    let _ = t;
    let n;
    match kind {
        Kind::Dense => {
            kernels::conv(g, 1, &params, input, expected);
            let l = pack::ConvLayout::new(g);
            let packed = &mut packed[..l.weights_len()];
            let channels = &mut channels[..l.channels_len()];
            if !l.pack(&params, packed, channels) { return None; }
            let p = mve::PackedConv { weights: packed, channels, input_zero_point: params.input_zero_point, clamp: params.clamp };
            let scratch = &mut scratch[..l.scratch_len()];
            ticks_start();
            insn_mark_begin();
            mve::conv(g, &p, scratch, input, &mut got[..guard_at]);
            insn_mark_end();
            n = ticks_read();
        }
        Kind::Depthwise => {
            kernels::depthwise(g, &params, input, expected);
            let l = pack::DepthwiseLayout::new(g);
            let packed = &mut packed[..l.weights_len()];
            if !l.pack(&params, packed) { return None; }
            let p = mve::PackedDepthwise { weights: packed, input_zero_point: params.input_zero_point, output_zero_point: params.output_zero_point, clamp: params.clamp };
            let scratch = &mut scratch[..l.scratch_len()];
            ticks_start();
            insn_mark_begin();
            mve::depthwise(g, &p, scratch, input, &mut got[..guard_at]);
            insn_mark_end();
            n = ticks_read();
        }
    }
    if guard_at <= 8 { hprintln!("{:?} {:?}", &got[..guard_at], &expected[..guard_at]); }
    let bad = (0..guard_at).find(|i| got[*i] != expected[*i]);
    if bad.is_some() || got[guard_at..].iter().any(|v| *v != 99) {
        hprintln!("DIFFERENT {:?} {:?} at {:?}", kind, g, bad);
        if let Some(i) = bad {
            let i = i / 8 * 8;
            let end = (i + 16).min(guard_at);
            hprintln!("{:?}\n{:?}", &got[i..end], &expected[i..end]);
            hprintln!("{:?} {:?} {:?} {:?}", &params.shift[..oc.min(16)], &params.multiplier[..oc.min(16)], &params.bias[..oc.min(16)], params.clamp);
            hprintln!("{:?}", &channels[..oc.min(16)]);
        }
        debug::exit(debug::EXIT_FAILURE);
        loop {}
    }
    Some(instructions(n))
}

fn geometry(input: [u32; 3], oc: u32, window: Window) -> Option<Geometry> {
    let input = Shape::new(input[0], input[1], input[2]);
    let (h, w) = (window.output_len(0, input.h)?, window.output_len(1, input.w)?);
    Some(Geometry { input, output: Shape::new(h, w, oc), window })
}

fn same(k: u32, s: u32, n: u32) -> Window {
    let out = n.div_ceil(s);
    let total = ((out - 1) * s + k).saturating_sub(n);
    Window { kernel: [k, k], stride: [s, s], dilation: [1, 1], pad_before: [total / 2; 2], pad_after: [total - total / 2; 2] }
}

fn random_cases(rng: &mut Rng, n: u32) {
    let (mut done, mut left) = ([0, 0], 0);
    for i in 0..n {
        let kind = if rng.next() % 2 == 0 { Kind::Dense } else { Kind::Depthwise };
        let point = kind == Kind::Dense && rng.next() % 3 == 0;
        let mut w = Window {
            kernel: [rng.range(1, 5), rng.range(1, 5)],
            stride: [rng.range(1, 3), rng.range(1, 3)],
            dilation: [rng.range(1, 2), rng.range(1, 2)],
            pad_before: [rng.range(0, 3), rng.range(0, 3)],
            pad_after: [rng.range(0, 3), rng.range(0, 3)],
        };
        if rng.next() % 3 == 0 { w.kernel = [3, 3]; w.dilation = [1, 1]; }
        if rng.next() % 9 == 0 && kind == Kind::Depthwise { w.kernel = [1, 7]; }
        if point { w = Window { stride: w.stride, ..Window::POINT }; }
        let c = if rng.next() % 2 == 0 { rng.range(1, 9) * 8 } else { rng.range(1, 50) };
        let oc = if kind == Kind::Dense { rng.range(1, 21) } else { c };
        let Some(g) = geometry([rng.range(1, 9), rng.range(1, 9), c], oc, w) else { continue };
        match case(rng, kind, &g, i % 4 == 0) {
            Some(_) => done[kind as usize] += 1,
            None => left += 1,
        }
    }
    for _ in 0..200 {
        #[allow(static_mut_refs)]
        let [a, b, expected, got, _] = unsafe { &mut BUFFERS };
        let len = rng.range(1, 70) as usize;
        rng.fill(&mut a[..len], -128);
        rng.fill(&mut b[..len], -128);
        let low = if rng.next() % 2 == 0 { -128 } else { rng.next() as i8 };
        let mut m = || (rng.next() % ((1 << 22) + 1)) as i32 - (1 << 21);
        let multipliers = [m(), m()];
        let p = AddParams {
            zero_points: [rng.next() as i8, rng.next() as i8], multipliers, shift: rng.range(1, 30) as u8,
            output_zero_point: rng.next() as i8, clamp: [low, 127],
        };
        kernels::add(&p, &a[..len], &b[..len], &mut expected[..len]);
        got[..len + 16].fill(99);
        mve::add(&p, &a[..len], &b[..len], &mut got[..len]);
        let ok = got[..len] == expected[..len] && got[len..len + 16].iter().all(|v| *v == 99);
        mve::add_in_place(&p, &mut a[..len], &b[..len]);
        if !ok || a[..len] != expected[..len] {
            hprintln!("DIFFERENT add {:?} {}", p, len);
            debug::exit(debug::EXIT_FAILURE);
        }
    }
    hprintln!("equal: {} dense, {} depthwise, 200 adds; {} not packable", done[0], done[1], left);
}

fn count(rng: &mut Rng, title: &str, layers: &[(Kind, [u32; 3], u32, u32, u32)], adds: &[usize]) {
    let mut total = 0;
    for (kind, input, oc, k, s) in layers {
        let g = geometry(*input, *oc, same(*k, *s, input[0])).unwrap();
        let n = case(rng, *kind, &g, false).unwrap();
        let macs = g.output.len() as u32 * k * k * if *kind == Kind::Dense { input[2] } else { 1 };
        hprintln!("{} {:?} {:?} -> {} k{} s{}: {} ({} outputs, {} /output, {} /1000 MACs)", title, kind, input, oc, k, s, n,
            g.output.len(), n / g.output.len() as u32, n as u64 * 1000 / macs as u64);
        total += n;
    }
    #[allow(static_mut_refs)]
    let [a, b, out, _, _] = unsafe { &mut BUFFERS };
    for len in adds {
        let p = AddParams { zero_points: [3, -4], multipliers: [1 << 20, 1 << 19], shift: 20, output_zero_point: 5, clamp: [-128, 127] };
        ticks_start();
        mve::add(&p, &a[..*len], &b[..*len], &mut out[..*len]);
        let n = instructions(ticks_read());
        hprintln!("{} add {}: {}", title, len, n);
        total += n;
    }
    hprintln!("{} total {}", title, total);
}

#[entry]
fn main() -> ! {
    let mut rng = Rng(12345);
    for (c, p, oc) in [(16, 2, 4), (16, 1, 4), (32, 2, 4), (48, 2, 4), (64, 2, 4), (16, 2, 8), (16, 3, 8), (16, 3, 7)] {
        let g = geometry([1, p, c], oc, Window::POINT).unwrap();
        hprintln!("{} {} {}", c, p, oc);
        case(&mut rng, Kind::Dense, &g, false);
    }
    random_cases(&mut rng, 1500);
    use Kind::{Dense as C, Depthwise as D};
    count(&mut rng, "vww", &[
        (C, [96, 96, 3], 8, 3, 2),
        (D, [48, 48, 8], 8, 3, 1), (C, [48, 48, 8], 16, 1, 1),
        (D, [48, 48, 16], 16, 3, 2), (C, [24, 24, 16], 32, 1, 1),
        (D, [24, 24, 32], 32, 3, 1), (C, [24, 24, 32], 32, 1, 1),
        (D, [24, 24, 32], 32, 3, 2), (C, [12, 12, 32], 64, 1, 1),
        (D, [12, 12, 64], 64, 3, 1), (C, [12, 12, 64], 64, 1, 1),
        (D, [12, 12, 64], 64, 3, 2), (C, [6, 6, 64], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 1), (C, [6, 6, 128], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 1), (C, [6, 6, 128], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 1), (C, [6, 6, 128], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 1), (C, [6, 6, 128], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 1), (C, [6, 6, 128], 128, 1, 1),
        (D, [6, 6, 128], 128, 3, 2), (C, [3, 3, 128], 256, 1, 1),
        (D, [3, 3, 256], 256, 3, 1), (C, [3, 3, 256], 256, 1, 1),
    ], &[]);
    count(&mut rng, "resnet8", &[
        (C, [32, 32, 3], 16, 3, 1), (C, [32, 32, 16], 16, 3, 1), (C, [32, 32, 16], 16, 3, 1),
        (C, [32, 32, 16], 32, 3, 2), (C, [16, 16, 32], 32, 3, 1), (C, [32, 32, 16], 32, 1, 2),
        (C, [16, 16, 32], 64, 3, 2), (C, [8, 8, 64], 64, 3, 1), (C, [16, 16, 32], 64, 1, 2),
    ], &[16384, 8192, 4096]);
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    hprintln!("PANIC {}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
