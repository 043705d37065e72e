//! A whole simulated device: application and loader by turns, as a microcontroller's main loop runs them, in a thread
//! behind a line that may be bad.

use crate::device::{AREAS, CONFIG, GEOMETRY};
use edge_runtime::client::{Client, Patience, Pipe};
use edge_runtime::device::NotReady;
use edge_runtime::device::app::{App, Config};
use edge_runtime::device::load::{Limits, Loader, ModelRegion, ModelStore};
use edge_runtime::device::memory::MemoryPlan;
use edge_runtime::device::server::{LoadServer, RX_LEN, Server, TX_LEN};
use edge_runtime::flash::{Flash, Geometry};
use edge_runtime::model::Model;
use edge_runtime::power::NoMeter;
use edge_runtime::signature::{Trust, signature_in};
use edge_runtime::sim::{Faults, NoisyLine, SimClock, SimFlash};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The model's flash: 64 KiB in blocks of 4 KiB, units of 32 bytes that are programmed once.
pub const REGION: Geometry = Geometry {
    len: 64 << 10,
    write_size: 32,
    erase_size: 4096,
};

/// RAM of the device.
pub const RAM: usize = 64 << 10;

/// What is left of a device without power.
pub struct Machine {
    /// Flash of heads and samples.
    pub stores: SimFlash,
    /// Flash of the model.
    pub model: SimFlash,
    /// Whose models and heads it takes.
    pub trust: Trust,
}

impl Machine {
    /// A device without a model.
    pub fn new(trust: Trust) -> Self {
        Self {
            stores: crate::device::flash(),
            model: SimFlash::new(REGION, true),
            trust,
        }
    }

    /// A device that was flashed.
    pub fn with_model(bytes: &[u8]) -> Self {
        let mut machine = Self::new(Trust::Anyone);
        let mut region = ModelRegion::new(&mut machine.model);
        region.begin(bytes.len() as u32).expect("fits");
        region.append(bytes).expect("good flash");
        region.finish(None).expect("good flash");
        machine
    }

    /// Which models it takes.
    pub fn limits(&self) -> Limits {
        Limits {
            capacity: ModelRegion::new(self.model.clone()).capacity(),
            keeps_old: false,
            geometry: GEOMETRY,
            areas: AREAS,
            ram: RAM,
            classes: 2,
            trust: self.trust,
        }
    }

    /// The model that would run.
    pub fn whole_model(&self) -> Result<Model<'_>, NotReady> {
        let bytes = self.model.bytes();
        let model = Model::parse_region(bytes).map_err(|e| NotReady::from(&e))?;
        let file = &bytes[..model.header().file_len() as usize];
        let trusted = self.trust.check_model(file, signature_in(bytes).as_ref());
        trusted.map(|()| model).map_err(|_| NotReady::Untrusted)
    }

    /// Power on, a host with a client over a line with these faults, power off. A flash that loses power
    /// fails from then on, as the device says.
    pub fn run<R>(
        &mut self,
        faults: Faults,
        session: u32,
        act: impl FnOnce(&mut Client<ThreadPipe>) -> R,
    ) -> R {
        let (up, device_in) = channel();
        let (device_out, down) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || self.serve(&device_in, &device_out));
            let pipe = ThreadPipe {
                up,
                down: Arc::new(Mutex::new(down)),
                noise: [session as u64, !session as u64].map(|s| NoisyLine::new(faults, s)),
                rest: vec![],
            };
            let patience = Patience {
                timeout: Duration::from_millis(if faults == Faults::NONE { 2000 } else { 4 }),
                attempts: if faults == Faults::NONE { 2 } else { 1000 },
            };
            act(&mut Client::new(pipe, session, patience))
        })
    }

    fn off(&self) -> bool {
        self.stores.is_off() || self.model.is_off()
    }

    /// Starts and restarts until the host is gone or power is.
    fn serve(&mut self, line: &Receiver<Vec<u8>>, out: &Sender<Vec<u8>>) {
        let limits = self.limits();
        let mut send = |frame: &[u8]| {
            let _ = out.send(frame.to_vec());
        };
        while !self.off() {
            let (mut rx, mut tx) = ([0; RX_LEN], [0; TX_LEN]);
            let mut memory = vec![0xa5; RAM];
            let model = self.whole_model();
            let started = model.and_then(|model| {
                let plan = MemoryPlan::largest(&model, &GEOMETRY, &AREAS, RAM);
                Ok((model, plan.map_err(|e| NotReady::from(&e))?))
            });
            let (reason, load) = match started {
                Err(reason) => (reason, None),
                Ok((model, plan)) => {
                    let config = Config {
                        classes: plan.classes,
                        trust: self.trust,
                        load: Some(limits),
                        ..CONFIG
                    };
                    // As `whole_model` borrows all of it, the stores are cloned and put back.
                    let mut stores = self.stores.clone();
                    let clock = SimClock::new(10);
                    let app = App::new(&model, &mut stores, clock, NoMeter, &mut memory, &config);
                    let mut app = app.expect("starts");
                    let mut server = Server::new(&mut app, &mut rx, &mut tx);
                    let mut on = true;
                    while on && !server.app().reset_requested() && !server.app().load_requested() {
                        on = match line.recv() {
                            Ok(bytes) => {
                                server.receive(&bytes, &mut send);
                                !server.app().flash().is_off()
                            }
                            Err(_) => false,
                        };
                    }
                    let load = app.take_load();
                    self.stores = stores;
                    match load {
                        _ if !on => return,
                        None => continue,
                        Some(load) => {
                            let (have, need) = (0, load.file.len);
                            (NotReady::Loading { have, need }, Some(load))
                        }
                    }
                }
            };
            let region = ModelRegion::new(&mut self.model);
            let mut vacant = LoadServer::new(Loader::new(region, limits, reason), &mut rx, &mut tx);
            if let Some(load) = load {
                vacant.begin(&load, &mut send);
            }
            while !vacant.reset_requested() {
                match line.recv() {
                    Ok(bytes) => vacant.receive(&bytes, &mut send),
                    Err(_) => return,
                }
            }
        }
    }
}

/// The host's end of the line.
pub struct ThreadPipe {
    up: Sender<Vec<u8>>,
    down: Arc<Mutex<Receiver<Vec<u8>>>>,
    noise: [NoisyLine; 2],
    rest: Vec<u8>,
}

impl ThreadPipe {
    /// The same line for another host.
    pub fn handle(&self) -> Self {
        Self {
            up: self.up.clone(),
            down: self.down.clone(),
            noise: self.noise.clone(),
            rest: vec![],
        }
    }
}

impl Pipe for ThreadPipe {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut carried = vec![];
        self.noise[0].carry(bytes, &mut carried);
        // A device without power hears nothing.
        let _ = self.up.send(carried);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.rest.is_empty() {
            let received = self.down.lock().expect("one host").recv_timeout(timeout);
            match received {
                Ok(bytes) => self.noise[1].carry(&bytes, &mut self.rest),
                Err(RecvTimeoutError::Timeout) => return Ok(0),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        // A frame of which nothing arrived is silence.
        Ok(count)
    }
}
