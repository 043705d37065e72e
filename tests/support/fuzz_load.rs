//! What the fuzz target `load` does with its bytes: a list of steps, as in [`crate::fuzz`], for a loader on a
//! simulated flash that loses power.

use crate::fuzz::{Steps, steps};
use crate::machine::Machine;
use edge_runtime::device::NotReady;
use edge_runtime::device::load::{Loader, ModelRegion};
use edge_runtime::device::protocol::{
    self as p, Demand, Header, LoadFile, MAX_CHUNK, MAX_PAYLOAD, Message, Request,
};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::signature::Trust;
use edge_runtime::sim::{PowerCut, SimFlash, Torn};
use sha2::{Digest, Sha256};

/// Kinds of steps.
pub mod kind {
    /// A payload as it is.
    pub const PAYLOAD: u8 = 0;
    /// The bytes of a request, in the host's session.
    pub const REQUEST: u8 = 1;
    /// Announces and sends the good file, changed by triples (offset, two bytes, and what to xor), with a right hash,
    /// and finishes.
    pub const FILE: u8 = 2;
    /// Announces the good file as it is, and sends so many chunks of it as the first byte says.
    pub const PART: u8 = 3;
    /// Restarts, and in what follows power fails: at which operation, torn how, and how far.
    pub const POWER_CUT: u8 = 4;
    /// How many there are.
    pub const KINDS: u8 = 5;
}

/// Does the steps in `bytes` on a device without a model.
///
/// # Panics
/// If the loader panics, answers what cannot be decoded, or leaves a model that runs and was not sent whole.
pub fn loads(file: &[u8], bytes: &[u8], seen: &mut dyn FnMut(&Message<'_>)) {
    let mut machine = Machine::new(Trust::Anyone);
    let limits = machine.limits();
    let model = Model::parse(file).expect("a good model");
    let demand = Demand::of(&model);
    let mut steps = steps(bytes).peekable();
    let mut sent = false;
    while steps.peek().is_some() {
        let region = ModelRegion::new(&mut machine.model);
        let loader = Loader::new(region, limits, NotReady::NoModel);
        let mut host = Host {
            loader,
            demand,
            seen,
            id: 0,
            loaded: false,
        };
        let mut cut = None;
        for (step, data) in steps.by_ref() {
            let at = |i: usize| data.get(i).copied().unwrap_or(0);
            match step % kind::KINDS {
                kind::PAYLOAD => host.send(data),
                kind::REQUEST => host.body(data),
                kind::FILE => {
                    let mut file = file.to_vec();
                    for change in data.chunks_exact(3) {
                        let at = u16::from_le_bytes([change[0], change[1]]) as usize % file.len();
                        file[at] ^= change[2];
                    }
                    host.loaded |= Model::parse(&AlignedBytes::copy_of(&file)).is_ok();
                    host.file(&file, usize::MAX);
                    host.request(&Request::FinishLoad);
                }
                kind::PART => {
                    host.loaded |= usize::from(at(0)) * MAX_CHUNK >= file.len();
                    host.file(file, at(0).into());
                }
                _ => {
                    let part = 4 * u32::from(at(2));
                    let torn = match at(1) % 4 {
                        0 => Torn::Nothing,
                        1 => Torn::Front(part),
                        2 => Torn::Back(part),
                        _ => Torn::All,
                    };
                    cut = Some(PowerCut {
                        operation: at(0).into(),
                        torn,
                        seed: at(2).into(),
                    });
                    break;
                }
            }
            if host.loader.reset_requested() {
                break;
            }
        }
        sent |= host.loaded;
        machine.model.restore_power();
        // Of a changed file, too, only what was found good.
        if machine.whole_model().is_ok() {
            assert!(sent, "a model that nobody sent whole");
        }
        if let Some(cut) = cut {
            machine.model.cut_power(cut);
        }
    }
}

struct Host<'r, 's> {
    loader: Loader<ModelRegion<&'r mut SimFlash>>,
    demand: Demand,
    seen: &'s mut dyn FnMut(&Message<'_>),
    id: u32,
    /// A good file was sent whole.
    loaded: bool,
}

impl Host<'_, '_> {
    fn send(&mut self, payload: &[u8]) {
        let asked = Header::decode(payload).map(|(header, _)| header);
        let seen = &mut *self.seen;
        self.loader.handle(payload, &mut |answer| {
            let (header, body) = Header::decode(answer).expect("an answer has a header");
            let asked = asked.expect("what has no header is not answered");
            assert_eq!((header.session, header.id), (asked.session, asked.id));
            let message = p::decode(body).expect("an answer can be decoded");
            seen(&message);
        });
    }

    fn body(&mut self, body: &[u8]) {
        self.id = self.id.wrapping_add(1);
        let mut payload = Header::new(7, self.id).encode().to_vec();
        payload.extend(body);
        self.send(&payload);
    }

    fn request(&mut self, request: &Request<'_>) {
        let mut out = [0; MAX_PAYLOAD];
        let len = p::encode(Header::new(7, 0), request, &mut out).expect("fits");
        self.body(&out[p::HEADER_LEN..len]);
    }

    fn file(&mut self, file: &[u8], chunks: usize) {
        self.request(&Request::BeginLoad(LoadFile {
            len: file.len() as u32,
            sha256: Sha256::digest(file).into(),
            signature: None,
            demand: self.demand,
        }));
        for (i, data) in file.chunks(MAX_CHUNK).take(chunks).enumerate() {
            let offset = (i * MAX_CHUNK) as u32;
            self.request(&Request::LoadChunk { offset, data });
        }
    }
}

/// Loads that succeed, stop, are damaged, and lose power.
pub fn whole_load() -> Steps {
    let body = |request: &Request<'_>| {
        let mut out = vec![0; MAX_PAYLOAD];
        let len = p::encode(Header::new(0, 0), request, &mut out).expect("fits");
        out[p::HEADER_LEN..len].to_vec()
    };
    let mut steps = Steps::default();
    steps.push(kind::REQUEST, &body(&Request::LoadInfo));
    steps.push(kind::REQUEST, &body(&Request::FinishLoad));
    steps.push(kind::PART, &[2]);
    steps.push(kind::REQUEST, &body(&Request::State));
    steps.push(kind::REQUEST, &body(&Request::FinishLoad));
    steps.push(kind::FILE, &[0, 8, 1]);
    steps.push(kind::FILE, &[]);
    steps.push(kind::POWER_CUT, &[5, 1, 100]);
    steps.push(kind::FILE, &[]);
    steps.push(kind::POWER_CUT, &[200, 0, 0]);
    steps.push(kind::FILE, &[]);
    steps.push(kind::REQUEST, &body(&Request::Reset));
    steps.push(kind::PAYLOAD, &Header::new(3, 3).encode());
    steps
}
