//! Samples: sent, counted, deleted.

use super::{Client, ClientError, Pipe};
use crate::device::protocol::{Reply, Request};
use crate::device::samples::Added;
use crate::head::PoolKind;

/// How many samples a class has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Name of the class.
    pub name: String,
    /// Its samples, those held out included.
    pub samples: u32,
    /// Those held out.
    pub held_out: u32,
}

impl<P: Pipe> Client<P> {
    /// Makes a sample of `class` out of the input that was sent. `pool` says how the feature map is pooled;
    /// `None` as the stored samples are, else as the head of the model does.
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

    /// Asks for the classes of the sample store, sorted by name.
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

    /// Deletes the samples of a class, or all if `class` is `None`. Returns how many.
    pub fn clear_samples(&mut self, class: Option<&str>) -> Result<u32, ClientError> {
        self.call(&Request::ClearSamples { class }, |reply| match reply {
            Reply::Cleared { samples } => Some(samples),
            _ => None,
        })
    }
}
