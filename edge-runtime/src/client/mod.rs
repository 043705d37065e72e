//! The host's side: asks a device over a byte pipe and asks again until it answers.
//!
//! A request keeps its number when it is repeated, so the device executes it once. Transfers shrink their
//! chunks on a bad line: a short frame has a chance where a long one has none. Knows no transport: a
//! [`Pipe`] is a serial port, a socket, or a simulated line.

pub mod judged;
pub mod names;
mod pipe;
pub mod report;

pub use pipe::Pipe;

use crate::crc32;
use crate::device::frame::{FrameReader, encode, frame_len, reader_len};
use crate::device::load::Demand;
use crate::device::memory::Room;
use crate::device::protocol::{
    self as p, Bench, ClassMode, Header, LoadFile, LoadInfo, MAX_CHUNK, MAX_PAYLOAD, Message,
    ModelInfo, Progress, Reply, Request, RetrainOptions, Retrained, StateInfo,
};
use crate::device::samples::Added;
use crate::device::{DeviceError, Event};
use crate::head::store::Active;
use crate::head::train::TrainError;
use crate::head::{HeadSize, PoolKind};
use crate::model::Model;
use crate::power::Reading;
use crate::signature::SIGNATURE_LEN;
use judged::Judged;
use names::NameError;
use sha2::{Digest, Sha256};
use std::io;
use std::time::{Duration, Instant};

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The line is gone.
    #[error("the line to the device failed: {0}")]
    Pipe(#[from] io::Error),
    /// Silence.
    #[error(
        "the device did not answer {attempts} requests; check the line, that it runs, and that no other host is talking to it"
    )]
    NoAnswer {
        /// How often it was asked.
        attempts: u32,
    },
    /// It speaks another protocol.
    #[error(
        "the device speaks protocol version {found}, this program {}",
        p::VERSION
    )]
    Version {
        /// The device's.
        found: u8,
    },
    /// It refuses.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An answer to another question.
    #[error("the device answered something else than was asked; update one of the two programs")]
    Unexpected,
    /// A training that no device does.
    #[error("cannot train: {0}")]
    Train(#[from] TrainError),
    /// Classes of the present head would be lost.
    #[error(
        "the new head would lack {} of the present head's {classes} classes, for there are no samples of them: {}; add pictures of them, or go on without them (--drop-classes)",
        .missing.len(), names::list(.missing.iter().map(String::as_str))
    )]
    Lost {
        /// Their names.
        missing: Vec<String>,
        /// Classes of the head.
        classes: u32,
    },
    /// The same of a head that came with its network, and knows more classes.
    #[error(
        "the present head has {classes} classes, and there would be samples of {have}; give pictures of all of them, or go on without them (--drop-classes)"
    )]
    Fewer {
        /// Classes with samples.
        have: u32,
        /// Classes of the head.
        classes: u32,
    },
    /// Nobody can say which classes of the present head would be lost.
    #[error(
        "the present head has {classes} classes without names, so that no samples can be of them; go on without them (--drop-classes)"
    )]
    Unnamed {
        /// Classes of the head.
        classes: u32,
    },
    /// A class that the device's sample store would refuse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// More classes than the device trains.
    #[error(
        "the head would have {classes} classes with those that are stored, and the device trains {most} at most; give fewer, or clear samples"
    )]
    Classes {
        /// Of new and stored samples.
        classes: usize,
        /// What the device is planned for.
        most: usize,
    },
    /// The device has no room for a head with such a hidden layer.
    #[error(
        "a hidden layer of {units} units takes {need} bytes on the device, and there are {have}; {}",
        match .most { 0 => "leave --hidden out".into(), most => format!("at most {most} units fit") }
    )]
    Hidden {
        /// What was asked for.
        units: usize,
        /// What it takes, in training or as a head that waits for its commit.
        need: usize,
        /// What there is.
        have: usize,
        /// What would fit.
        most: usize,
    },
    /// The request is too long for a frame.
    #[error("the request is too long for a frame")]
    RequestTooLong,
    /// The head changed under the export.
    #[error("the head changed while it was exported; export it again")]
    HeadChanged,
}

/// How patient a client is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Silence after which a request is repeated. It doubles with every repetition, up to 16 times. Requests that a
    /// device answers at once are repeated sooner, once it is known how long the line takes.
    pub timeout: Duration,
    /// How often a request is sent before the client gives up.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(500),
            attempts: 20,
        }
    }
}

/// Shortest chunk on a bad line.
const MIN_CHUNK: usize = 32;

/// A model as the device describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// SHA-256 of the trunk.
    pub trunk: [u8; 32],
    /// Most bytes in a chunk.
    pub max_chunk: usize,
}

/// What a training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// What the device says of the head.
    pub retrained: Retrained,
    /// How well it knows each of its classes.
    pub classes: Vec<Judged>,
}

/// A class of an inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Likely {
    /// Its number.
    pub class: u32,
    /// Its whole name, or empty.
    pub label: String,
    /// Its logit.
    pub logit: f32,
    /// Its probability, by the activation of the head; `None` if its numbers are no logits of classes.
    pub probability: Option<f32>,
}

/// Samples of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its name.
    pub name: String,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
}

/// A connection to a device.
pub struct Client<P> {
    pipe: P,
    patience: Patience,
    session: u32,
    id: u32,
    tokens: u32,
    chunk: usize,
    max_chunk: usize,
    repetitions: u64,
    /// Silence after which a request that a device answers at once is repeated.
    quick: Duration,
}

/// What a device does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Next to nothing: how long the line takes tells when an answer is lost.
    Little,
    /// It may erase flash or compute.
    Any,
}

/// Least silence after which a request is repeated: less may be a busy machine.
const LEAST_SILENCE: Duration = Duration::from_millis(50);

/// How often a request with little work is repeated before the silences grow: losses are no reason to wait.
const QUICK_ATTEMPTS: u32 = 8;

impl<P: Pipe> Client<P> {
    /// A client that has not yet spoken. `session` is a number that no earlier client of the device used
    /// lately, e.g. from clock and process id.
    pub fn new(pipe: P, session: u32, patience: Patience) -> Self {
        Self {
            pipe,
            patience,
            session,
            id: 0,
            tokens: 0,
            chunk: MAX_CHUNK,
            max_chunk: MAX_CHUNK,
            repetitions: 0,
            quick: patience.timeout,
        }
    }

    /// Opens the session; `expect` is the hash of the trunk that the device must have.
    pub fn connect(&mut self, expect: Option<[u8; 32]>) -> Result<Identity, ClientError> {
        let identity = self.call(&Request::Hello { expect }, |reply| match reply {
            Reply::Hello {
                trunk, max_chunk, ..
            } => Some(Identity {
                trunk,
                max_chunk: max_chunk as usize,
            }),
            _ => None,
        })?;
        self.max_chunk = identity.max_chunk.clamp(1, MAX_CHUNK);
        self.chunk = self.chunk.min(self.max_chunk);
        Ok(identity)
    }

    /// The model; `read` gets the description, whose name borrows from the frame.
    pub fn model<R>(&mut self, read: impl FnOnce(&ModelInfo<'_>) -> R) -> Result<R, ClientError> {
        self.call(&Request::Model, |reply| match reply {
            Reply::Model(model) => Some(read(&model)),
            _ => None,
        })
    }

    /// Stores, head and memory.
    pub fn state(&mut self) -> Result<StateInfo, ClientError> {
        self.call(&Request::State, |reply| match reply {
            Reply::State(state) => Some(state),
            _ => None,
        })
    }

    /// Whether a head can be trained there from the stored samples and new ones of these classes; if `clear`, from the
    /// new ones alone. Says before samples are sent what the device would say after it. Returns the classes of the
    /// present head, if that was trained, which the new one will lack.
    ///
    /// # Errors
    /// [`ClientError::Train`], [`ClientError::Name`], [`ClientError::Lost`], [`ClientError::Fewer`],
    /// [`ClientError::Unnamed`], [`ClientError::Classes`], [`ClientError::Hidden`], or what the device would say.
    pub fn check_training(
        &mut self,
        new: &[String],
        clear: bool,
        options: &RetrainOptions,
    ) -> Result<Vec<String>, ClientError> {
        options.train_options().check()?;
        new.iter().try_for_each(|name| names::check(name))?;
        names::check_distinct(new)?;
        let features = self.model(|m| m.features)? as usize;
        let stored = if clear { vec![] } else { self.samples()? };
        let old = stored.iter().filter(|s| !new.contains(&s.name)).count();
        let size = HeadSize {
            features,
            hidden: options.hidden.into(),
            classes: old + new.len(),
        };
        let have = size.classes as u32;
        if have < 2 {
            return Err(DeviceError::TooFewClasses { have }.into());
        }
        let state = self.state()?;
        let known = |name: &String| new.contains(name) || stored.iter().any(|s| s.name == *name);
        let lost = self.lost(&state, options.classes, have, &known)?;
        let room = Room::from(&state);
        if size.classes > room.classes {
            return Err(ClientError::Classes {
                classes: size.classes,
                most: room.classes,
            });
        }
        room.check(&size).map_err(|short| ClientError::Hidden {
            units: size.hidden,
            need: short.need,
            have: short.have,
            most: room.most_hidden(features, size.classes),
        })?;
        Ok(lost)
    }

    /// The classes of the present head that are not `known`, if that matters; `have` classes are.
    fn lost(
        &mut self,
        state: &StateInfo,
        mode: ClassMode,
        have: u32,
        known: &dyn Fn(&String) -> bool,
    ) -> Result<Vec<String>, ClientError> {
        let classes = state.head_classes;
        let keep = mode == ClassMode::Add || mode == ClassMode::Keep && state.head_trained;
        if !keep && !state.head_trained {
            return Ok(vec![]);
        }
        // Nobody wants to read, or to wait for, the names of a thousand classes.
        if !state.head_trained && classes > have {
            return Err(ClientError::Fewer { have, classes });
        }
        let names = self.labels(classes)?;
        let unnamed = names.iter().all(String::is_empty);
        let missing: Vec<String> = names.into_iter().filter(|n| !known(n)).collect();
        match (keep, missing.is_empty(), unnamed) {
            (true, _, true) => Err(ClientError::Unnamed { classes }),
            (true, false, false) => Err(ClientError::Lost { missing, classes }),
            (false, _, true) => Ok(vec![]),
            _ => Ok(missing),
        }
    }

    /// The names of the first `classes` classes of the active head.
    pub fn labels(&mut self, classes: u32) -> Result<Vec<String>, ClientError> {
        (0..classes)
            .map(|c| self.whole_label(c, vec![], None))
            .collect()
    }

    /// The name of a class of the active head, of which the start is known, and maybe the length.
    fn whole_label(
        &mut self,
        class: u32,
        mut name: Vec<u8>,
        len: Option<u32>,
    ) -> Result<String, ClientError> {
        let mut whole = len;
        while whole.is_none_or(|len| name.len() < len as usize) {
            let offset = name.len() as u32;
            let request = Request::Label { class, offset };
            let before = name.len();
            let len = self.attempt_quickly(&request, |reply| match reply {
                Reply::Label { len, data } => {
                    name.extend_from_slice(data);
                    Some(len)
                }
                _ => None,
            })?;
            if name.len() == before {
                break;
            }
            whole = Some(len);
        }
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Sends an input: int8, NHWC.
    pub fn send_input(&mut self, input: &[i8]) -> Result<(), ClientError> {
        let bytes: &[u8] = bytemuck::cast_slice(input);
        let begin = Request::BeginInput {
            len: bytes.len() as u32,
            crc: crc32(&[bytes]),
        };
        self.call(&begin, received)?;
        let chunk = |offset, data| Request::InputChunk { offset, data };
        self.send_chunks(bytes, 0, Work::Little, &mut |_| (), chunk)
    }

    /// Runs the network on the input that was sent; returns microseconds and the likeliest classes.
    pub fn infer(&mut self, top: u8) -> Result<(u64, Vec<Likely>), ClientError> {
        let inferred = self.call(&Request::Infer { top }, |reply| match reply {
            Reply::Inferred { micros, top } => {
                let likely = top.iter().map(|t| {
                    let likely = Likely {
                        class: t.class,
                        label: t.label.into(),
                        logit: t.logit,
                        probability: (!t.probability.is_nan()).then_some(t.probability),
                    };
                    (likely, t.label_len)
                });
                Some((micros, likely.collect::<Vec<_>>()))
            }
            _ => None,
        });
        let (micros, top) = inferred?;
        let mut all = vec![];
        for (mut likely, len) in top {
            let start = core::mem::take(&mut likely.label);
            likely.label = self.whole_label(likely.class, start.into(), Some(len))?;
            all.push(likely);
        }
        Ok((micros, all))
    }

    /// All logits of the last inference.
    pub fn logits(&mut self) -> Result<Vec<f32>, ClientError> {
        let mut all = vec![];
        loop {
            let first = all.len() as u32;
            let (classes, part) = self.call(&Request::Logits { first }, |reply| match reply {
                Reply::Logits { classes, values } => Some((classes, values)),
                _ => None,
            })?;
            all.extend_from_slice(&part);
            if part.is_empty() || all.len() >= classes as usize {
                return Ok(all);
            }
        }
    }

    /// Makes the input that was sent a sample of a class.
    pub fn add_sample(
        &mut self,
        class: &str,
        pool: Option<PoolKind>,
    ) -> Result<Added, ClientError> {
        self.tokens += 1;
        let token = (self.session as u64) << 32 | self.tokens as u64;
        let request = Request::AddSample { class, pool, token };
        self.call(&request, |reply| match reply {
            Reply::Added(added) => Some(added),
            _ => None,
        })
    }

    /// The classes of the sample store.
    pub fn samples(&mut self) -> Result<Vec<Counted>, ClientError> {
        let mut all = vec![];
        loop {
            let first = all.len() as u32;
            let (classes, part) = self.call(&Request::Samples { first }, |reply| match reply {
                Reply::Samples { classes, list, .. } => {
                    let counted = list.iter().map(|c| Counted {
                        name: c.name.into(),
                        samples: c.samples,
                        held_out: c.held_out,
                    });
                    Some((classes, counted.collect::<Vec<_>>()))
                }
                _ => None,
            })?;
            let end = part.is_empty();
            all.extend(part);
            if end || all.len() >= classes as usize {
                return Ok(all);
            }
        }
    }

    /// Deletes the samples of a class, or all; returns how many.
    pub fn clear_samples(&mut self, class: Option<&str>) -> Result<u32, ClientError> {
        self.call(&Request::ClearSamples { class }, |reply| match reply {
            Reply::Cleared { samples } => Some(samples),
            _ => None,
        })
    }

    /// Trains on the stored samples.
    pub fn retrain(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Retrained, ClientError> {
        Ok(self.retrain_counted(options, progress)?.0)
    }

    /// As [`Self::retrain`], and judges each class of the new head.
    pub fn train(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Training, ClientError> {
        let samples = self.samples()?;
        let (retrained, right) = self.retrain_counted(options, progress)?;
        if right.len() != samples.len() {
            return Err(ClientError::Unexpected);
        }
        let judged =
            |(s, right): (&Counted, u32)| Judged::new(&s.name, s.samples, s.held_out, right);
        Ok(Training {
            retrained,
            classes: samples.iter().zip(right).map(judged).collect(),
        })
    }

    /// Trains; besides, how many held-out samples of each class are right.
    fn retrain_counted(
        &mut self,
        options: RetrainOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Retrained, Vec<u32>), ClientError> {
        let request = Request::RetrainHead(options);
        self.exchange(&request, progress, |reply| match reply {
            Reply::Retrained(retrained, right) => Some((retrained, right.iter().collect())),
            _ => None,
        })
    }

    /// Makes the trained or imported head the active one; returns its sequence number.
    pub fn commit(&mut self) -> Result<u32, ClientError> {
        self.call(&Request::Commit, |reply| match reply {
            Reply::Committed { sequence } => Some(sequence),
            _ => None,
        })
    }

    /// Goes back to the head before.
    pub fn rollback(&mut self) -> Result<Active, ClientError> {
        self.call(&Request::Rollback, |reply| match reply {
            Reply::RolledBack(active) => Some(active),
            _ => None,
        })
    }

    /// The file of the active head.
    pub fn export_head(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut file: Vec<u8> = vec![];
        let mut first = None;
        loop {
            let request = Request::ExportHead {
                offset: file.len() as u32,
                max: self.chunk as u16,
            };
            let (attempts, before) = (self.attempts(), self.repetitions);
            let read = |reply: Reply<'_>| match reply {
                Reply::Head {
                    sequence,
                    len,
                    data,
                } => Some((sequence, len, data.to_vec())),
                _ => None,
            };
            let part = self.attempt(&request, attempts, Work::Little, &mut |_| (), read);
            let (sequence, len, data) = match part {
                Err(ClientError::NoAnswer { .. }) if self.shrink() => continue,
                other => other?,
            };
            if self.repetitions == before {
                self.grow();
            }
            if *first.get_or_insert((sequence, len)) != (sequence, len) {
                return Err(ClientError::HeadChanged);
            }
            let end = data.is_empty();
            file.extend(data);
            if end || file.len() >= len as usize {
                return Ok(file);
            }
        }
    }

    /// Sends a head file. [`Self::commit`] makes it active.
    pub fn import_head(
        &mut self,
        file: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), ClientError> {
        let begin = Request::BeginImport {
            len: u32::try_from(file.len()).map_err(|_| ClientError::RequestTooLong)?,
            crc: crc32(&[file]),
            signature: signature.map(halves),
        };
        self.call(&begin, received)?;
        let chunk = |offset, data| Request::ImportChunk { offset, data };
        self.send_chunks(file, 0, Work::Little, &mut |_| (), chunk)
    }

    /// Which models can be loaded, and which one runs. Needs no session where no application runs.
    pub fn load_info(&mut self) -> Result<LoadInfo, ClientError> {
        self.call(&Request::LoadInfo, |reply| match reply {
            Reply::LoadInfo(info) => Some(info),
            _ => None,
        })
    }

    /// Sends a model file, which the device checks and makes its own; then it restarts, which ends the session.
    /// `model` is the file, parsed; `watch` gets how many bytes are there, again and again. Returns the hash of the
    /// trunk, or nothing if the device restarted before it was heard: who connects again learns what runs.
    pub fn load(
        &mut self,
        file: &[u8],
        model: &Model<'_>,
        signature: Option<&[u8; SIGNATURE_LEN]>,
        watch: &mut dyn FnMut(usize),
    ) -> Result<Option<[u8; 32]>, ClientError> {
        let begin = Request::BeginLoad(LoadFile {
            len: u32::try_from(file.len()).map_err(|_| ClientError::RequestTooLong)?,
            sha256: Sha256::digest(file).into(),
            signature: signature.map(halves),
            demand: Demand::of(model),
        });
        let chunk = |offset, data| Request::LoadChunk { offset, data };
        // A late request of another host may take the transfer away: it goes on where it was.
        let mut interrupted = 0;
        loop {
            let first = self.call(&begin, received)? as usize;
            watch(first);
            match self.send_chunks(file, first, Work::Any, watch, chunk) {
                Err(ClientError::Device(DeviceError::NoSession)) if interrupted < 3 => {
                    interrupted += 1;
                }
                sent => break sent?,
            }
        }
        let loaded = self.call(&Request::FinishLoad, |reply| match reply {
            Reply::Loaded { trunk } => Some(trunk),
            _ => None,
        });
        match loaded {
            Ok(trunk) => Ok(Some(trunk)),
            Err(
                ClientError::Device(DeviceError::NoSession | DeviceError::NotReady(_))
                | ClientError::Pipe(_)
                | ClientError::NoAnswer { .. },
            ) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Times inferences.
    pub fn bench(
        &mut self,
        runs: u16,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Bench, ClientError> {
        self.exchange(&Request::Bench { runs }, progress, |reply| match reply {
            Reply::Bench(bench) => Some(bench),
            _ => None,
        })
    }

    /// Reads the power sensor.
    pub fn power(&mut self) -> Result<Reading, ClientError> {
        self.call(&Request::Power, |reply| match reply {
            Reply::Power(reading) => Some(reading),
            _ => None,
        })
    }

    /// Takes all events out of the log; returns them and how many were lost before.
    pub fn log(&mut self) -> Result<(Vec<Event>, u32), ClientError> {
        let (mut all, mut before) = (vec![], 0);
        loop {
            let (part, lost) = self.call(&Request::Log, |reply| match reply {
                Reply::Log { lost, events } => Some((events, lost)),
                _ => None,
            })?;
            before += lost;
            if part.is_empty() {
                return Ok((all, before));
            }
            all.extend_from_slice(&part);
        }
    }

    /// Restarts the device. The session ends with it.
    pub fn reset(&mut self) -> Result<(), ClientError> {
        self.call(&Request::Reset, |reply| {
            (reply == Reply::Resetting).then_some(())
        })
    }

    /// Sends a request of any kind and reads its reply.
    pub fn call<R>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.exchange(request, &mut |_| (), read)
    }

    /// How often a request had to be repeated.
    pub fn repetitions(&self) -> u64 {
        self.repetitions
    }

    /// The line.
    pub fn pipe(&mut self) -> &mut P {
        &mut self.pipe
    }

    /// Gives the line back.
    pub fn into_pipe(self) -> P {
        self.pipe
    }

    fn exchange<R>(
        &mut self,
        request: &Request<'_>,
        progress: &mut dyn FnMut(Progress),
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.attempt(request, self.patience.attempts, Work::Any, progress, read)
    }

    /// As [`Self::call`], for what a device answers at once.
    fn attempt_quickly<R>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        let attempts = self.patience.attempts;
        self.attempt(request, attempts, Work::Little, &mut |_| (), read)
    }

    /// Silence after a request, sent for the time `attempt` after the first, that says that it or its answer is lost.
    fn silence(&self, work: Work, attempt: u32) -> Duration {
        let longest = self.patience.timeout * 16;
        match work {
            Work::Any => self.patience.timeout * (1 << attempt.min(4)),
            Work::Little => {
                let doublings = (attempt + 1).saturating_sub(QUICK_ATTEMPTS).min(20);
                self.quick.saturating_mul(1 << doublings).min(longest)
            }
        }
    }

    /// Learns from a request with little work how long the line takes.
    fn learn(&mut self, taken: Duration) {
        let silence = (taken * 4).max(LEAST_SILENCE);
        self.quick = match silence > self.quick {
            true => silence,
            // Not from one lucky frame.
            false => (self.quick * 3 + silence) / 4,
        };
        self.quick = self.quick.min(self.patience.timeout);
    }

    /// How often to send a chunk: few times as long as a smaller one may do better.
    fn attempts(&self) -> u32 {
        let smallest = self.chunk <= MIN_CHUNK;
        self.patience
            .attempts
            .min(if smallest { u32::MAX } else { 3 })
    }

    /// Halves the chunks; false if they are as small as they get.
    fn shrink(&mut self) -> bool {
        let smaller = (self.chunk / 2).max(MIN_CHUNK).min(self.chunk);
        let shrunk = smaller < self.chunk;
        self.chunk = smaller;
        shrunk
    }

    fn grow(&mut self) {
        self.chunk = (self.chunk + self.chunk / 16).min(self.max_chunk);
    }

    /// Sends `bytes` from offset `from` on in chunks, each after the last was acknowledged.
    fn send_chunks<'b>(
        &mut self,
        bytes: &'b [u8],
        from: usize,
        work: Work,
        watch: &mut dyn FnMut(usize),
        request: impl Fn(u32, &'b [u8]) -> Request<'b>,
    ) -> Result<(), ClientError> {
        let mut at = from;
        while at < bytes.len() {
            let data = &bytes[at..bytes.len().min(at + self.chunk)];
            let (attempts, before) = (self.attempts(), self.repetitions);
            let request = request(at as u32, data);
            let sent = self.attempt(&request, attempts, work, &mut |_| (), received);
            at = match sent {
                Ok(next) => {
                    if self.repetitions == before {
                        self.grow();
                    }
                    let next = next as usize;
                    if next <= at || next > bytes.len() {
                        return Err(ClientError::Unexpected);
                    }
                    next
                }
                // It did arrive, but the acknowledgement did not.
                Err(ClientError::Device(DeviceError::ChunkOffset { expected }))
                    if expected as usize > at && expected as usize <= bytes.len() =>
                {
                    expected as usize
                }
                Err(ClientError::NoAnswer { .. }) if self.shrink() => at,
                Err(error) => return Err(error),
            };
            watch(at);
        }
        Ok(())
    }

    /// Sends a request under a new number up to so many times, and reads its reply.
    fn attempt<R>(
        &mut self,
        request: &Request<'_>,
        attempts: u32,
        work: Work,
        progress: &mut dyn FnMut(Progress),
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, ClientError> {
        self.id = self.id.wrapping_add(1);
        let header = Header::new(self.session, self.id);
        let mut payload = [0; MAX_PAYLOAD];
        let len = p::encode(header, request, &mut payload).ok_or(ClientError::RequestTooLong)?;
        let mut frame = vec![0; frame_len(len)];
        let frame = encode(&payload[..len], &mut frame).ok_or(ClientError::RequestTooLong)?;
        let mut rx = vec![0; reader_len(MAX_PAYLOAD)];
        let mut reader = FrameReader::new(&mut rx);
        let mut bytes = [0; 1024];
        // Requests in a row to which nothing came.
        let mut attempt = 0;
        while attempt < attempts {
            self.repetitions += u64::from(attempt > 0);
            self.pipe.send(frame)?;
            let (timeout, sent) = (self.silence(work, attempt), Instant::now());
            loop {
                let count = self.pipe.receive(&mut bytes, timeout)?;
                if count == 0 {
                    attempt += 1;
                    break;
                }
                let mut rest = bytes.get(..count).unwrap_or_default();
                while let Some(payload) = reader.read(&mut rest) {
                    let Some((found, body)) = Header::decode(payload) else {
                        continue;
                    };
                    if (found.session, found.id) != (header.session, header.id) {
                        continue;
                    }
                    if found.version != p::VERSION {
                        let found = found.version;
                        return Err(ClientError::Version { found });
                    }
                    match p::decode::<Message<'_>>(body) {
                        Some(Message::Progress(p)) => {
                            attempt = 0;
                            progress(p);
                        }
                        Some(Message::Reply(Ok(reply))) => {
                            if work == Work::Little && attempt == 0 {
                                self.learn(sent.elapsed());
                            }
                            return read(reply).ok_or(ClientError::Unexpected);
                        }
                        Some(Message::Reply(Err(error))) => return Err(error.into()),
                        None => return Err(ClientError::Unexpected),
                    }
                }
            }
        }
        Err(ClientError::NoAnswer { attempts })
    }
}

impl From<&StateInfo> for Room {
    fn from(state: &StateInfo) -> Self {
        Self {
            work: state.max_training as usize,
            candidate: state.max_head as usize,
            classes: state.max_classes as usize,
        }
    }
}

/// The two halves of a signature, as requests have them.
fn halves(signature: &[u8; SIGNATURE_LEN]) -> [[u8; 32]; 2] {
    [0, 32].map(|at| core::array::from_fn(|i| signature[at + i]))
}

fn received(reply: Reply<'_>) -> Option<u32> {
    match reply {
        Reply::Received { next } => Some(next),
        _ => None,
    }
}
