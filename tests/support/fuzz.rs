//! What the fuzz targets `frame` and `request` do with their bytes. It lies here, because `cargo test` tests the
//! seeds, and does not build the targets.
//!
//! An input is a list of steps: a byte that says what to do, two that give a length (little-endian), and so many
//! bytes to do it with, or those that are left. So whatever the fuzzer makes of an input is one.

use crate::device::{CONFIG, TestApp, flash, input, memory};
use edge_runtime::crc32;
use edge_runtime::device::app::App;
use edge_runtime::device::frame::{FrameReader, encode, frame_len, reader_len};
use edge_runtime::device::protocol::{
    self as p, Header, MAX_CHUNK, MAX_PAYLOAD, Message, Reply, Request, RetrainOptions,
};
use edge_runtime::head::store::Active;
use edge_runtime::model::Model;
use edge_runtime::power::NoMeter;
use edge_runtime::sim::{PowerCut, SimClock, Torn};
use sha2::{Digest, Sha256};

/// Most steps of an input that are taken: a fuzzer learns nothing from longer ones.
const MAX_STEPS: usize = 100;

/// Most epochs that a fuzzed training gets.
const MAX_EPOCHS: u32 = 8;

/// A list of steps in bytes.
#[derive(Clone, Debug, Default)]
pub struct Steps(Vec<u8>);

impl Steps {
    /// Adds one.
    pub fn push(&mut self, kind: u8, data: &[u8]) -> &mut Self {
        self.0.push(kind);
        self.0.extend((data.len() as u16).to_le_bytes());
        self.0.extend(data);
        self
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The steps in any bytes.
pub(crate) fn steps(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let next = move || {
        let ([kind, low, high], rest) = bytes.split_first_chunk()?;
        let len = u16::from_le_bytes([*low, *high]) as usize;
        let (data, rest) = rest.split_at(len.min(rest.len()));
        bytes = rest;
        Some((*kind, data))
    };
    core::iter::from_fn(next).take(MAX_STEPS)
}

/// Kinds of steps on a line.
pub mod line {
    /// Bytes as they are.
    pub const BYTES: u8 = 0;
    /// The frame of a payload.
    pub const FRAME: u8 = 1;
    /// The frame of a payload that follows one byte, whose bit `i` damages every eighth byte from `i` on.
    pub const DAMAGED: u8 = 2;
}

/// Feeds a frame reader. The first byte is its room for payloads, in steps of 4 bytes; the second decides the
/// pieces in which bytes arrive.
///
/// # Panics
/// If a whole frame that fits is not delivered, or if pieces decide what is.
pub fn frames(bytes: &[u8]) {
    let ([room, pieces], rest) = match bytes.split_first_chunk::<2>() {
        Some((first, rest)) => (*first, rest),
        None => return,
    };
    let room = 4 * room as usize;
    let (mut sent, mut expected) = (vec![], vec![]);
    for (kind, data) in steps(rest) {
        let framed = |payload: &[u8]| {
            let mut out = vec![0; frame_len(payload.len())];
            encode(payload, &mut out).expect("long enough").to_vec()
        };
        match (kind % 3, data) {
            (line::FRAME, _) => {
                sent.extend(framed(data));
                if data.len() <= room {
                    expected.push(data.to_vec());
                }
            }
            (line::DAMAGED, [bits, data @ ..]) => {
                let damaged = framed(data).into_iter().enumerate();
                sent.extend(damaged.map(|(i, b)| b ^ (bits >> (i % 8) & 1)));
            }
            _ => sent.extend(data),
        }
    }
    let read = |piece: &mut dyn FnMut() -> usize| {
        let mut buffer = vec![0; reader_len(room)];
        let mut reader = FrameReader::new(&mut buffer);
        let (mut found, mut rest) = (vec![], &sent[..]);
        while !rest.is_empty() {
            let (mut part, tail) = rest.split_at(piece().min(rest.len()));
            rest = tail;
            while let Some(payload) = reader.read(&mut part) {
                found.push(payload.to_vec());
            }
        }
        (found, reader.damaged())
    };
    let whole = read(&mut || usize::MAX);
    let mut random = edge_runtime::random::Random::new(pieces as u64);
    let most = 1 + pieces as usize % 64;
    assert_eq!(whole, read(&mut || 1 + random.below(most)));
    // What noise happens to give is delivered, too.
    let mut found = whole.0.iter();
    for payload in &expected {
        assert!(found.any(|f| f == payload), "a good frame was lost");
    }
}

/// Kinds of steps of a session.
pub mod session {
    /// A payload as it is.
    pub const PAYLOAD: u8 = 0;
    /// A request after a valid header with the next id.
    pub const REQUEST: u8 = 1;
    /// A whole input, of the class that the first byte says.
    pub const INPUT: u8 = 2;
    /// The last payload again.
    pub const AGAIN: u8 = 3;
    /// Imports the active head, changed by triples (offset, two bytes, and what to xor), with a right checksum.
    pub const IMPORT: u8 = 4;
    /// Restarts the device.
    pub const RESTART: u8 = 5;
    /// The same, and in what follows power fails: at which operation, torn how, and how far.
    pub const POWER_CUT: u8 = 6;
    /// How many there are.
    pub const KINDS: u8 = 7;
}

/// What lasts over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lasting {
    active: Active,
    samples: u32,
}

/// Devices with one model, to be fuzzed.
pub struct Requests<'m> {
    model: &'m Model<'m>,
    inputs: Vec<Vec<i8>>,
}

impl<'m> Requests<'m> {
    /// With the small network.
    pub fn new(model: &'m Model<'m>) -> Self {
        let inputs = (0..3).map(|class| input(model, class, 5)).collect();
        Self { model, inputs }
    }

    /// Does the steps in `bytes` on a new device; `seen` gets all replies.
    ///
    /// # Panics
    /// If the device panics, answers what cannot be decoded, does not start again, or forgets what it had.
    pub fn run(&self, bytes: &[u8], seen: &mut dyn FnMut(&Message<'_>)) {
        let (mut flash, mut memory) = (flash(), memory(self.model));
        let mut steps = steps(bytes);
        let mut before = None;
        let mut cut = None;
        loop {
            if let Some(cut) = cut {
                flash.cut_power(cut);
            }
            let (clock, meter) = (SimClock::new(10), NoMeter);
            let app = App::new(self.model, &mut flash, clock, meter, &mut memory, &CONFIG);
            let mut end = None;
            match app {
                Ok(app) => {
                    let mut host = Host {
                        requests: self,
                        app,
                        seen,
                        id: 0,
                        last: vec![],
                    };
                    let now = host.lasting();
                    assert!(before.is_none_or(|b| b == now), "{before:?}, now {now:?}");
                    end = host.run(&mut steps);
                    let off = host.app.flash().is_off();
                    before = (!off).then(|| host.lasting());
                }
                Err(e) => assert!(cut.is_some(), "the device does not start: {e}"),
            }
            flash.restore_power();
            let last = end.is_none() && cut.is_none();
            cut = end.flatten();
            if last {
                return;
            }
        }
    }
}

/// A host that is not to be trusted, and its device.
struct Host<'r, 'a, 's> {
    requests: &'r Requests<'r>,
    app: TestApp<'a>,
    seen: &'s mut dyn FnMut(&Message<'_>),
    id: u32,
    last: Vec<u8>,
}

/// The session of all its requests.
const SESSION: u32 = 7;

impl Host<'_, '_, '_> {
    /// Steps until the device is to be restarted, maybe with a power cut; `None` at their end.
    fn run<'b>(
        &mut self,
        steps: &mut impl Iterator<Item = (u8, &'b [u8])>,
    ) -> Option<Option<PowerCut>> {
        for (kind, data) in steps {
            let at = |i: usize| data.get(i).copied().unwrap_or(0);
            match kind % session::KINDS {
                session::PAYLOAD => self.send(data.to_vec()),
                session::REQUEST => self.request_bytes(data),
                session::INPUT => self.input(at(0) as usize % self.requests.inputs.len()),
                session::AGAIN => self.send(self.last.clone()),
                session::IMPORT => self.import(data),
                session::RESTART => return Some(None),
                _ => {
                    let part = 4 * at(2) as u32;
                    let torn = match at(1) % 4 {
                        0 => Torn::Nothing,
                        1 => Torn::Front(part),
                        2 => Torn::Back(part),
                        _ => Torn::All,
                    };
                    let operation = at(0) as u64;
                    let seed = at(2) as u64;
                    return Some(Some(PowerCut {
                        operation,
                        torn,
                        seed,
                    }));
                }
            }
        }
        None
    }

    /// Sends a payload and looks at the answers.
    fn send(&mut self, payload: Vec<u8>) {
        let asked = Header::decode(&payload).map(|(header, _)| header);
        let seen = &mut *self.seen;
        self.app.handle(&payload, &mut |answer| {
            assert!(answer.len() <= MAX_PAYLOAD);
            let (header, body) = Header::decode(answer).expect("an answer has a header");
            let asked = asked.expect("what has no header is not answered");
            assert_eq!((header.session, header.id), (asked.session, asked.id));
            seen(&p::decode(body).expect("an answer can be decoded"));
        });
        self.last = payload;
    }

    /// Sends the bytes of a request, training for a few epochs only.
    fn request_bytes(&mut self, body: &[u8]) {
        if let Some(Request::RetrainHead(options)) = p::decode(body) {
            let epochs = options.epochs % (MAX_EPOCHS + 1);
            return self.request(&Request::RetrainHead(RetrainOptions { epochs, ..options }));
        }
        self.id = self.id.wrapping_add(1);
        let mut payload = Header::new(SESSION, self.id).encode().to_vec();
        payload.extend(body);
        self.send(payload);
    }

    fn request(&mut self, request: &Request<'_>) {
        self.id = self.id.wrapping_add(1);
        let mut out = vec![0; MAX_PAYLOAD];
        let header = Header::new(SESSION, self.id);
        let len = p::encode(header, request, &mut out).expect("fits");
        out.truncate(len);
        self.send(out);
    }

    fn input(&mut self, class: usize) {
        let values = self.requests.inputs[class].iter();
        let bytes: Vec<u8> = values.map(|v| *v as u8).collect();
        let (len, crc) = (bytes.len() as u32, crc32(&[&bytes]));
        self.request(&Request::BeginInput { len, crc });
        for (i, data) in bytes.chunks(MAX_CHUNK).enumerate() {
            let offset = (i * MAX_CHUNK) as u32;
            self.request(&Request::InputChunk { offset, data });
        }
    }

    fn import(&mut self, changes: &[u8]) {
        let mut head = self.active_head();
        for change in changes.chunks_exact(3) {
            let at = u16::from_le_bytes([change[0], change[1]]) as usize % head.len();
            head[at] ^= change[2];
        }
        let sha = Sha256::new()
            .chain_update(&head[..64])
            .chain_update(&head[96..]);
        head[64..96].copy_from_slice(&sha.finalize());
        let (len, crc, signature) = (head.len() as u32, crc32(&[&head]), None);
        self.request(&Request::BeginImport {
            len,
            crc,
            signature,
        });
        for (i, data) in head.chunks(MAX_CHUNK).enumerate() {
            let offset = (i * MAX_CHUNK) as u32;
            self.request(&Request::ImportChunk { offset, data });
        }
    }

    /// The active head's file, asked for in a session of its own.
    fn active_head(&mut self) -> Vec<u8> {
        let mut file = vec![];
        loop {
            let (offset, max) = (file.len() as u32, MAX_CHUNK as u16);
            let request = Request::ExportHead { offset, max };
            let whole = self.aside(&request, |reply| match reply {
                Reply::Head { len, data, .. } => {
                    file.extend(data);
                    file.len() >= len as usize
                }
                other => panic!("{other:?}"),
            });
            if whole {
                return file;
            }
        }
    }

    fn lasting(&mut self) -> Lasting {
        self.aside(&Request::State, |reply| match reply {
            Reply::State(state) => Lasting {
                active: state.active,
                samples: state.samples,
            },
            other => panic!("{other:?}"),
        })
    }

    /// Asks what a device always answers, and gives the session back to the host.
    fn aside<R>(&mut self, request: &Request<'_>, mut take: impl FnMut(Reply<'_>) -> R) -> R {
        let mut result = None;
        for (id, request) in [&Request::Hello { expect: None }, request]
            .into_iter()
            .enumerate()
        {
            let mut payload = vec![0; MAX_PAYLOAD];
            let header = Header::new(SESSION + 1, id as u32);
            let len = p::encode(header, request, &mut payload).expect("fits");
            self.app.handle(&payload[..len], &mut |answer| {
                let (_, body) = Header::decode(answer).expect("an answer has a header");
                if let (1, Some(Message::Reply(Ok(reply)))) = (id, p::decode(body)) {
                    result = Some(take(reply));
                }
            });
        }
        self.request(&Request::Hello { expect: None });
        result.expect("the device answers")
    }
}

/// A session that gets everywhere: samples, training, commit, import, rollback, restart and power cut.
pub fn whole_session() -> Steps {
    let mut steps = Steps::default();
    let body = |request: &Request<'_>| {
        let mut out = vec![0; MAX_PAYLOAD];
        let len = p::encode(Header::new(0, 0), request, &mut out).expect("fits");
        out[p::HEADER_LEN..len].to_vec()
    };
    let ask = |steps: &mut Steps, request: Request<'_>| {
        steps.push(session::REQUEST, &body(&request));
    };
    ask(&mut steps, Request::Model);
    ask(&mut steps, Request::State);
    for i in 0..8u8 {
        steps.push(session::INPUT, &[i % 2]);
        let class = ["a", "b"][i as usize % 2];
        let (pool, token) = (None, i as u64 + 1);
        ask(&mut steps, Request::AddSample { class, pool, token });
    }
    steps.push(session::AGAIN, &[]);
    ask(&mut steps, Request::Samples { first: 0 });
    let options = RetrainOptions {
        epochs: 3,
        commit: false,
        ..RetrainOptions::default()
    };
    ask(&mut steps, Request::RetrainHead(options));
    ask(&mut steps, Request::Commit);
    steps.push(session::INPUT, &[0]);
    ask(&mut steps, Request::Infer { top: 2 });
    ask(&mut steps, Request::Logits { first: 0 });
    let (class, offset) = (1, 0);
    ask(&mut steps, Request::Label { class, offset });
    ask(&mut steps, Request::Bench { runs: 1 });
    steps.push(session::IMPORT, &[100, 0, 255]);
    ask(&mut steps, Request::Commit);
    steps.push(session::IMPORT, &[]);
    ask(&mut steps, Request::Commit);
    ask(&mut steps, Request::Rollback);
    steps.push(session::RESTART, &[]);
    ask(&mut steps, Request::Log);
    ask(&mut steps, Request::Power);
    ask(&mut steps, Request::ClearSamples { class: Some("a") });
    steps.push(session::POWER_CUT, &[1, 1, 100]);
    ask(&mut steps, Request::ClearSamples { class: None });
    ask(&mut steps, Request::LoadInfo);
    ask(&mut steps, Request::FinishLoad);
    ask(&mut steps, Request::Reset);
    steps.push(session::PAYLOAD, &Header::new(3, 3).encode());
    steps
}

/// Good, damaged, overlong and half frames.
pub fn whole_line() -> Vec<u8> {
    let mut steps = Steps::default();
    steps.push(line::FRAME, b"hello");
    steps.push(line::BYTES, &[1, 2, 3]);
    steps.push(line::FRAME, &[0; 60]);
    steps.push(line::DAMAGED, &[4, 9, 9, 9, 0, 9]);
    steps.push(line::FRAME, &[7; 300]);
    steps.push(line::BYTES, &[0, 0, 5, 1]);
    steps.push(line::FRAME, b"");
    let mut bytes = vec![16, 9];
    bytes.extend(steps.bytes());
    bytes
}
