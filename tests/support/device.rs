//! A simulated device with the small network on it.

use converter::dataset::preprocess;
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use edge_runtime::client::{Client, Patience};
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::memory::{Areas, MemoryPlan};
use edge_runtime::device::server::{RX_LEN, Server, TX_LEN};
use edge_runtime::flash::{Area, Geometry};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::power::NoMeter;
use edge_runtime::signature::Trust;
use edge_runtime::sim::{Faults, SimClock, SimFlash, SimPipe};

/// The device's flash: 40 KiB in blocks of 1 KiB, units of 8 bytes that are programmed once.
pub const GEOMETRY: Geometry = Geometry {
    len: 40 << 10,
    write_size: 8,
    erase_size: 1024,
};

/// Two slots of 4 KiB, and 24 KiB of samples.
pub const AREAS: Areas = Areas {
    heads: Area {
        start: 0,
        len: 8 << 10,
    },
    samples: Area {
        start: 8 << 10,
        len: 24 << 10,
    },
};

/// Anyone's heads, up to six classes.
pub const CONFIG: Config = Config {
    areas: AREAS,
    classes: 6,
    trust: Trust::Anyone,
    stack: None,
    load: None,
};

/// A device's flash, erased.
pub fn flash() -> SimFlash {
    SimFlash::new(GEOMETRY, true)
}

/// The small network in int8.
pub fn int8_model(seed: u64) -> AlignedBytes {
    convert(crate::source(seed), Some(&crate::int8()), &Silent)
        .expect("converts")
        .bytes
}

/// A picture of a class as the network's input.
pub fn input(model: &Model<'_>, class: usize, seed: u64) -> Vec<i8> {
    let crop = preprocess::crop(&crate::picture(class, seed), &crate::INPUT).expect("fits");
    preprocess::to_i8(&crop, &crate::INPUT, model.input().quant)
}

/// The application that the tests run.
pub type TestApp<'a> = App<'a, &'a mut SimFlash, SimClock, NoMeter>;

/// The line to it.
pub type TestPipe<'a, 'b> = SimPipe<'a, 'b, &'a mut SimFlash, SimClock, NoMeter>;

/// RAM for the application.
pub fn memory(model: &Model<'_>) -> Vec<u8> {
    let plan = MemoryPlan::new(model, &GEOMETRY, &AREAS, CONFIG.classes).expect("fits");
    vec![0xa5; plan.total()]
}

/// Starts the application.
pub fn start<'a>(
    model: &'a Model<'a>,
    flash: &'a mut SimFlash,
    memory: &'a mut [u8],
    trust: Trust,
) -> TestApp<'a> {
    let config = Config { trust, ..CONFIG };
    App::new(model, flash, SimClock::new(10), NoMeter, memory, &config).expect("starts")
}

/// Starts the device, does something with a client of it over a line with faults, and stops it.
pub fn with_client<R>(
    model: &Model<'_>,
    flash: &mut SimFlash,
    faults: Faults,
    session: u32,
    act: impl FnOnce(&mut Client<TestPipe<'_, '_>>) -> R,
) -> R {
    let mut memory = memory(model);
    let mut app = start(model, flash, &mut memory, Trust::Anyone);
    let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
    let server = Server::new(&mut app, &mut rx, &mut tx);
    let pipe = SimPipe::new(server, faults, session as u64);
    let patience = Patience {
        attempts: 1000,
        ..Patience::default()
    };
    act(&mut Client::new(pipe, session, patience))
}
