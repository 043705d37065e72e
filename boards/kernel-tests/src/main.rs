//! Packed kernels against the portable ones on random shapes, strides, pads, shifts and extremes, in QEMU.
//!
//! Exits with an error where something differs. `./run` builds and starts it. How many instructions a network
//! takes, `cargo xtask bench` counts.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprint, hprintln};
use edge_runtime::kernels::{
    AddParams, ConvParams, CortexM, Geometry, Kernels, MapParams, MulParams, PackedParams,
    Portable, RequantizeParams,
};
use edge_runtime::model::packed::mve::{LANES, MveConv, MveDepthwise};
use edge_runtime::model::packed::{conv_depth, conv_place, depthwise_place};
use edge_runtime::model::{ChannelRecord, Layout};
use edge_runtime::random::Random;
use edge_runtime::tensor::{Shape, Window};

/// Cases per layout.
const CASES: u32 = 400;

/// What this program has kernels for.
const LAYOUTS: &[Layout] = if cfg!(feature = "m55") {
    &[Layout::MveConv, Layout::MveDepthwise]
} else {
    &[Layout::DspConv, Layout::DspDepthwise]
};

/// Largest tensors of a case.
const ROOM: usize = 48 << 10;
const CHANNELS: usize = 80;

#[repr(C, align(16))]
struct Memory {
    weights: [i8; ROOM],
    packed: [i8; ROOM],
    input: [i8; ROOM],
    expected: [i8; ROOM],
    output: [i8; ROOM],
    scratch: [i8; ROOM],
    bias: [i32; CHANNELS],
    multiplier: [i32; CHANNELS],
    shift: [u8; CHANNELS],
    records: [ChannelRecord; CHANNELS],
}

#[entry]
fn main() -> ! {
    exit(run())
}

/// True if all cases agree.
fn run() -> bool {
    let memory = cortex_m::singleton!(: Memory = Memory {
        weights: [0; ROOM],
        packed: [0; ROOM],
        input: [0; ROOM],
        expected: [0; ROOM],
        output: [0; ROOM],
        scratch: [0; ROOM],
        bias: [0; CHANNELS],
        multiplier: [0; CHANNELS],
        shift: [0; CHANNELS],
        records: [ChannelRecord { bias: 0, multiplier: 0, rounding: 0, shift: 0 }; CHANNELS],
    });
    let Some(memory) = memory else {
        return false;
    };
    let mut good = true;
    for layout in LAYOUTS.iter().copied() {
        let mut random = Random::new(layout as u64 + 11);
        let (mut cases, mut bad, mut saturated, mut outputs) = (0, 0, 0u64, 0u64);
        while cases < CASES {
            let Some(case) = Case::new(&mut random, layout) else {
                continue;
            };
            if !case.prepare(&mut random, memory) {
                continue;
            }
            let output = case.run(memory);
            saturated += output
                .iter()
                .filter(|q| **q == i8::MIN || **q == i8::MAX)
                .count() as u64;
            outputs += output.len() as u64;
            let n = case.geometry.output.len();
            if memory.output[..n] != memory.expected[..n] {
                let at = (0..n)
                    .find(|i| memory.output[*i] != memory.expected[*i])
                    .unwrap_or(0);
                hprintln!("DIFFERENT at {}: {:?}", at, case);
                bad += 1;
            }
            // What lies behind the output must not be touched.
            if memory.output[n..n + 16] != [GUARD; 16] {
                hprintln!("WRITES BEHIND THE OUTPUT: {:?}", case);
                bad += 1;
            }
            cases += 1;
        }
        hprint!(
            "{}: {} cases, {} outputs, {} of them saturated",
            layout.name(),
            cases,
            outputs,
            saturated
        );
        hprintln!(", {} bad", bad);
        good &= bad == 0 && saturated > 0 && saturated < outputs;
    }
    good & adds(memory) & products(memory) & tables(memory)
}

/// True if sums of two tensors are what [`AddParams::apply`] says, in place and not.
fn adds(m: &mut Memory) -> bool {
    let mut r = Random::new(17);
    let mut bad = 0;
    for _ in 0..CASES {
        let len = r.range(1, 99) as usize;
        let extremes = r.below(4) == 0;
        let (a, b) = (&mut m.input[..len], &mut m.weights[..len]);
        r.i8s(a, i8::MIN, extremes);
        r.i8s(b, i8::MIN, extremes);
        let mut multiplier = || r.range(-1 << 21, 1 << 21);
        let multipliers = [multiplier(), multiplier()];
        let bounds = [r.bits() as i8, r.bits() as i8];
        let p = AddParams {
            zero_points: [r.bits() as i8, r.bits() as i8],
            multipliers,
            shift: r.range(1, 30) as u8,
            output_zero_point: r.bits() as i8,
            clamp: [bounds[0].min(bounds[1]), bounds[0].max(bounds[1])],
        };
        for i in 0..len {
            m.expected[i] = p.apply(a[i], b[i]);
        }
        m.output[..len + 16].fill(GUARD);
        CortexM.add(&p, a, b, &mut m.output[..len]);
        CortexM.add_in_place(&p, a, b);
        let same = m.output[..len] == m.expected[..len] && a == &m.expected[..len];
        if !same || m.output[len..len + 16] != [GUARD; 16] {
            hprintln!("DIFFERENT sum of {} elements: {:?}", len, p);
            bad += 1;
        }
    }
    hprintln!("add: {} cases, {} bad", CASES, bad);
    bad == 0
}

/// True if products are what [`MulParams::apply`] says, in place and not, with one factor per channel and not.
fn products(m: &mut Memory) -> bool {
    let mut r = Random::new(18);
    let mut bad = 0;
    for _ in 0..CASES {
        let channels = r.range(1, 40) as usize;
        let len = channels * r.range(1, 9) as usize;
        let factors = r.pick(&[len, channels]);
        let extremes = r.below(4) == 0;
        let (a, b) = (&mut m.input[..len], &mut m.weights[..factors]);
        r.i8s(a, i8::MIN, extremes);
        r.i8s(b, i8::MIN, extremes);
        let p = MulParams {
            zero_points: [r.bits() as i8, r.bits() as i8],
            multiplier: r.range(1 << 30, i32::MAX),
            shift: match r.below(4) {
                0 => r.range(1, 62),
                _ => r.range(34, 48),
            } as u8,
            output_zero_point: r.bits() as i8,
        };
        for i in 0..len {
            m.expected[i] = p.apply(a[i], b[i % factors]);
        }
        m.output[..len + 16].fill(GUARD);
        CortexM.mul(&p, a, b, &mut m.output[..len]);
        CortexM.mul_in_place(&p, a, b);
        let same = m.output[..len] == m.expected[..len] && a == &m.expected[..len];
        if !same || m.output[len..len + 16] != [GUARD; 16] {
            hprintln!("DIFFERENT product of {} elements: {:?}", len, p);
            bad += 1;
        }
    }
    hprintln!("mul: {} cases, {} bad", CASES, bad);
    bad == 0
}

/// True if tables are looked up right, in place and not.
fn tables(m: &mut Memory) -> bool {
    let mut r = Random::new(19);
    let mut bad = 0;
    for _ in 0..CASES {
        let len = r.range(1, 99) as usize;
        let (values, table) = (&mut m.input[..len], &mut m.weights[..256]);
        r.i8s(values, i8::MIN, false);
        r.i8s(table, i8::MIN, false);
        for i in 0..len {
            m.expected[i] = table[(values[i] as i32 + 128) as usize];
        }
        let p = MapParams { table };
        m.output[..len + 16].fill(GUARD);
        CortexM.map(&p, values, &mut m.output[..len]);
        CortexM.map_in_place(&p, values);
        let same = m.output[..len] == m.expected[..len] && values == &m.expected[..len];
        if !same || m.output[len..len + 16] != [GUARD; 16] {
            hprintln!("DIFFERENT table of {} elements", len);
            bad += 1;
        }
    }
    hprintln!("map: {} cases, {} bad", CASES, bad);
    bad == 0
}

/// Stands behind the output.
const GUARD: i8 = 0x55;

/// A number from `low` to `high`, both included.
fn count(r: &mut Random, low: i32, high: i32) -> u32 {
    r.range(low, high) as u32
}

fn is_depthwise(layout: Layout) -> bool {
    matches!(layout, Layout::DspDepthwise | Layout::MveDepthwise)
}

#[derive(Debug)]
struct Case {
    layout: Layout,
    geometry: Geometry,
    input_shift: u8,
    zero_points: [i8; 2],
    clamp: [i8; 2],
    extremes: bool,
    /// Bytes that the input starts off a multiple of 4.
    offset: usize,
}

impl Case {
    fn new(r: &mut Random, layout: Layout) -> Option<Self> {
        let depthwise = is_depthwise(layout);
        let nine = layout == Layout::DspDepthwise;
        let kernel = match (nine, r.below(4)) {
            (true, _) => [3, 3],
            (_, 0) => [1, 1],
            (_, 1) => [3, 3],
            _ => [count(r, 1, 5), count(r, 1, 5)],
        };
        let dilation = match nine {
            true => [1, 1],
            false => [r.pick(&[1, 1, 1, 2]), r.pick(&[1, 1, 1, 2, 3])],
        };
        let window = Window {
            kernel,
            stride: match nine {
                true => [count(r, 1, 4), count(r, 1, 2)],
                false => [count(r, 1, 3), count(r, 1, 3)],
            },
            dilation,
            pad_before: [count(r, 0, 3), count(r, 0, 3)],
            pad_after: [count(r, 0, 3), count(r, 0, 3)],
        };
        let mut side = |most| match r.below(6) {
            0 => 1,
            1 => count(r, 1, 40),
            _ => count(r, 1, most),
        };
        let (h, w) = (side(12), side(12));
        let c = match depthwise {
            true => r.pick(&[4, 8, 16, 32, 5, 6, 7, 13, 64]),
            false => r.pick(&[1, 2, 3, 4, 5, 8, 12, 16, 32, 64]),
        };
        let input = Shape::new(h, w, c);
        let channels = match depthwise {
            true => c,
            false => count(r, 1, 24),
        };
        let output = Shape::new(window.output_len(0, h)?, window.output_len(1, w)?, channels);
        let zero = |r: &mut Random| match r.below(4) {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => r.bits() as i8,
        };
        let zero_points = [zero(r), zero(r)];
        let clamp = match r.below(4) {
            0 => {
                let (a, b) = (r.bits() as i8, r.bits() as i8);
                [a.min(b), a.max(b)]
            }
            _ => [i8::MIN, i8::MAX],
        };
        let geometry = Geometry {
            input,
            output,
            window,
        };
        let fits = input.len() + 4 <= ROOM
            && output.len() + 16 <= ROOM
            && layout.weights_len(&window, input, output) <= ROOM as u64
            && layout.scratch_len(&window, input, output) <= ROOM as u64;
        fits.then_some(Self {
            layout,
            geometry,
            input_shift: r.pick(&[0, 8]),
            zero_points,
            clamp,
            extremes: r.below(4) == 0,
            offset: r.below(4),
        })
    }

    fn depthwise(&self) -> bool {
        is_depthwise(self.layout)
    }

    /// Fills the memory; false if the numbers cannot be packed.
    fn prepare(&self, r: &mut Random, m: &mut Memory) -> bool {
        let g = &self.geometry;
        let channels = g.output.c as usize;
        let area = (g.window.kernel[0] * g.window.kernel[1]) as usize;
        let taps = match self.depthwise() {
            true => area,
            false => area * g.input.c as usize,
        };
        let depth = conv_depth(&g.window, g.input) as usize;
        let mve = MveConv::new(&g.window, g.input, g.output);
        r.i8s(&mut m.weights[..taps * channels], -127, self.extremes);
        r.i8s(&mut m.input[..g.input.len() + 4], i8::MIN, self.extremes);
        m.output.fill(GUARD);
        m.packed.fill(0);
        for c in 0..channels {
            for k in 0..taps {
                let weight = match self.depthwise() {
                    true => m.weights[k * channels + c],
                    false => m.weights[c * taps + k],
                };
                let at = match self.layout {
                    Layout::DspConv => conv_place(c, k, depth),
                    Layout::DspDepthwise => depthwise_place(c, k),
                    Layout::MveConv => mve.place(c as u64, k as u64) as usize,
                    // Below, when all numbers are there.
                    Layout::MveDepthwise => continue,
                };
                m.packed[at] = weight;
            }
            // From results that all saturate to such that are all the zero point.
            let magnitude = 128 * 127 * taps as u32;
            let bits = 32 - magnitude.leading_zeros();
            if bits + self.input_shift as u32 > 29 {
                return false;
            }
            m.bias[c] = (r.bits() as i32) >> (31 - bits);
            m.multiplier[c] = r.range(1 << 30, i32::MAX);
            let low = 33 - self.input_shift;
            m.shift[c] = match r.below(8) {
                0 => low,
                1 if self.layout == Layout::MveDepthwise => r.range(low as i32, 62) as u8,
                1 => low + 22,
                _ => (23 + bits as u8 + r.range(0, 8) as u8).clamp(low, low + 22),
            };
            let record = match r.below(10) {
                // A switched-off channel.
                0 => {
                    m.shift[c] = 62;
                    m.bias[c] = 0;
                    let record =
                        ChannelRecord::constant(0, m.multiplier[c], 62, self.zero_points[1]);
                    Some(record)
                }
                _ => ChannelRecord::new(
                    m.bias[c],
                    m.multiplier[c],
                    m.shift[c],
                    self.input_shift,
                    self.zero_points[1],
                ),
            };
            let Some(record) = record else {
                return false;
            };
            m.records[c..c + 4].fill(record);
        }
        if self.layout == Layout::MveDepthwise {
            self.pack_blocks(m);
        }
        true
    }

    /// Weights and numbers as [`MveDepthwise`] says.
    fn pack_blocks(&self, m: &mut Memory) {
        let g = &self.geometry;
        let layout = MveDepthwise::new(&g.window, g.input, g.output);
        let (area, channels) = (
            (g.window.kernel[0] * g.window.kernel[1]) as usize,
            g.input.c as usize,
        );
        let blocks = m.packed.chunks_exact_mut(layout.block_len() as usize);
        for (block, bytes) in blocks.take(layout.period as usize).enumerate() {
            let (weights, numbers) = bytes.split_at_mut((layout.taps * LANES) as usize);
            for lane in 0..LANES {
                let c = layout.channel(block as u64, lane) as usize;
                for k in 0..area {
                    weights[k * LANES as usize + lane as usize] = m.weights[k * channels + c];
                }
            }
            for (i, lane) in MveDepthwise::ORDER.into_iter().enumerate() {
                let c = layout.channel(block as u64, lane) as usize;
                let shift = 32 - self.input_shift as i32 - m.shift[c] as i32;
                for (k, value) in [m.bias[c], m.multiplier[c], shift].into_iter().enumerate() {
                    let value = value.to_le_bytes().map(|b| b as i8);
                    numbers[(k * LANES as usize + i) * 4..][..4].copy_from_slice(&value);
                }
            }
        }
    }

    /// Runs both kernels; the packed one's output.
    fn run<'m>(&self, m: &'m mut Memory) -> &'m [i8] {
        let g = &self.geometry;
        let (channels, outputs) = (g.output.c as usize, g.output.len());
        let weights = self.layout.weights_len(&g.window, g.input, g.output) as usize;
        let records = self.layout.records(g.output) as usize;
        let scratch = self.layout.scratch_len(&g.window, g.input, g.output) as usize;
        let input = &m.input[self.offset..][..g.input.len()];
        let groups = if self.depthwise() { channels } else { 1 };
        let params = ConvParams {
            geometry: *g,
            groups,
            weights: &m.weights,
            input_zero_point: self.zero_points[0],
            requantize: RequantizeParams {
                bias: &m.bias[..channels],
                multiplier: &m.multiplier[..channels],
                shift: &m.shift[..channels],
                zero_point: self.zero_points[1],
                clamp: self.clamp,
            },
        };
        let expected = &mut m.expected[..outputs];
        match self.depthwise() {
            true => Portable.depthwise(&params, input, expected),
            false => Portable.conv(&params, input, expected),
        }
        let params = PackedParams {
            layout: self.layout,
            geometry: *g,
            weights: &m.packed[..weights],
            records: &m.records[..records],
            input_shift: self.input_shift,
            input_zero_point: self.zero_points[0],
            output_zero_point: self.zero_points[1],
            clamp: self.clamp,
        };
        let output = &mut m.output[..outputs];
        CortexM.packed(&params, input, output, &mut m.scratch[..scratch]);
        output
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(false)
}

/// Ends the emulator, with an error if something was wrong.
fn exit(good: bool) -> ! {
    debug::exit(match good {
        true => debug::EXIT_SUCCESS,
        false => debug::EXIT_FAILURE,
    });
    loop {
        cortex_m::asm::wfi();
    }
}
