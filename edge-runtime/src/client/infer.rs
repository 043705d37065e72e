//! Inference, and names of classes.

use super::chunks::received;
use super::exchange::Work;
use super::{Client, ClientError, Pipe};
use crate::crc32;
use crate::device::protocol::{Reply, Request};

/// One of the likeliest classes of an inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Likely {
    /// Index of the class.
    pub class: u32,
    /// The whole name of the class; empty if it has none.
    pub label: String,
    /// Its logit.
    pub logit: f32,
    /// Its probability; `None` if the outputs of the head are not logits of classes.
    pub probability: Option<f32>,
}

impl<P: Pipe> Client<P> {
    /// Sends an input: int8, NHWC, quantized as [`Self::model`] says.
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

    /// Runs the network on the input that was sent. Returns the time in microseconds and the `top` likeliest
    /// classes.
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

    /// The names of the first `classes` classes of the active head.
    pub fn labels(&mut self, classes: u32) -> Result<Vec<String>, ClientError> {
        (0..classes)
            .map(|c| self.whole_label(c, vec![], None))
            .collect()
    }

    /// The name of a class of the active head. `name` is its known start, `len` its whole length, if that is
    /// known.
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
}
