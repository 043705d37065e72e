//! Takes the messages of a runner image and checks them: all must come, in order, and their counts must agree.

use anyhow::{Result, bail};
use edge_runtime::model::Model;
use runner_report::{CALIBRATION, Digest, Report, failure, kind};

/// How many ticks two measurements of the same work may differ: each starts anywhere within a tick.
const JITTER: u64 = 2;

/// Ticks after which the timer starts again from zero. A lost period would be missing from a count.
const PERIOD: u64 = 1 << 24;

const NANOSECONDS: u128 = 1_000_000_000;

/// A layer of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerRun {
    /// Instructions, exact to one tick of the clock.
    pub instructions: u64,
    /// SHA-256 of its output.
    pub output: Digest,
}

/// The head of one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRun {
    /// Instructions, exact to one tick of the clock.
    pub instructions: u64,
    /// SHA-256 of the feature vector.
    pub feature: Digest,
    /// SHA-256 of the logits.
    pub logits: Digest,
}

/// One inference, layer by layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputRun {
    /// The layers, in the order of the file.
    pub layers: Vec<LayerRun>,
    /// The head, if the model has one.
    pub head: Option<HeadRun>,
}

/// All results of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Instructions of a whole inference of the first input, head included, without interruption.
    pub instructions: u64,
    /// Most bytes of stack that it used.
    pub stack_bytes: u64,
    /// The inferences, one for each input.
    pub inputs: Vec<InputRun>,
}

/// Takes the messages of an image, in order.
pub struct Collector {
    hz: u64,
    layers: usize,
    has_head: bool,
    inputs: usize,
    calibrated: bool,
    inference: Option<(u64, u32)>,
    done: Vec<InputRun>,
    current: InputRun,
    ticks: u64,
    first_ticks: Option<u64>,
    ended: bool,
}

impl Collector {
    /// For a number of inputs of a model, on a board whose timer runs at `hz`.
    pub fn new(model: &Model<'_>, inputs: usize, hz: u64) -> Self {
        Self::of(model.layers().count(), model.head().is_some(), inputs, hz)
    }

    fn of(layers: usize, has_head: bool, inputs: usize, hz: u64) -> Self {
        Self {
            hz: hz.max(1),
            layers,
            has_head,
            inputs,
            calibrated: false,
            inference: None,
            done: vec![],
            current: InputRun::default(),
            ticks: 0,
            first_ticks: None,
            ended: false,
        }
    }

    /// True after the last message.
    pub fn is_done(&self) -> bool {
        self.ended
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// If another message was expected, or this one says that the image failed.
    pub fn take(&mut self, report: &Report) -> Result<()> {
        let all = self.done.len() == self.inputs;
        let (input, layer) = (self.done.len(), self.current.layers.len());
        let Report { ticks, value, .. } = *report;
        let (this, [first, second]) = (report.input as usize == input && !all, report.digests);
        match report.kind {
            kind::FAILED => bail!("{}", reason(value)),
            kind::CLOCK if !self.calibrated => {
                let expected = CALIBRATION * self.hz / NANOSECONDS as u64;
                if ticks.abs_diff(expected) > JITTER {
                    bail!(
                        "{CALIBRATION} instructions took {ticks} ticks of the timer and not {expected}: this QEMU does not count as this program needs it, or board.toml has another clock"
                    );
                }
                self.calibrated = true;
            }
            kind::INFERENCE if self.calibrated && self.inference.is_none() => {
                self.inference = Some((ticks, value));
            }
            kind::LAYER
                if self.inference.is_some()
                    && this
                    && value as usize == layer
                    && layer < self.layers =>
            {
                let instructions = self.instructions(ticks)?;
                self.current.layers.push(LayerRun {
                    instructions,
                    output: first,
                });
                self.ticks = self.ticks.saturating_add(ticks);
                if !self.has_head && self.current.layers.len() == self.layers {
                    self.next_input();
                }
            }
            kind::HEAD if this && self.has_head && layer == self.layers => {
                let instructions = self.instructions(ticks)?;
                self.current.head = Some(HeadRun {
                    instructions,
                    feature: first,
                    logits: second,
                });
                self.ticks = self.ticks.saturating_add(ticks);
                self.next_input();
            }
            kind::DONE if all => self.ended = true,
            other => bail!("it sent a message of kind {other}, which was not expected"),
        }
        Ok(())
    }

    fn next_input(&mut self) {
        self.done.push(std::mem::take(&mut self.current));
        let ticks = std::mem::take(&mut self.ticks);
        self.first_ticks.get_or_insert(ticks);
    }

    /// Converts ticks to instructions, which take a nanosecond each.
    fn instructions(&self, ticks: u64) -> Result<u64> {
        let instructions = u128::from(ticks) * NANOSECONDS / u128::from(self.hz);
        match u64::try_from(instructions) {
            Ok(instructions) => Ok(instructions),
            Err(_) => bail!("it counted {ticks} ticks, which is impossible"),
        }
    }

    /// The results.
    ///
    /// # Errors
    /// If the layers of the first input do not add up to the whole inference, because a period of the timer was lost.
    pub fn finish(self) -> Result<Run> {
        let Some((ticks, stack)) = self.inference else {
            bail!("it did not say how long an inference takes");
        };
        if let Some(sum) = self.first_ticks
            && sum.abs_diff(ticks) >= PERIOD / 2
        {
            bail!(
                "an inference took {ticks} ticks of the timer, and its layers {sum}: a period of the timer was lost"
            );
        }
        Ok(Run {
            instructions: self.instructions(ticks)?,
            stack_bytes: u64::from(stack),
            inputs: self.done,
        })
    }
}

/// The reason of a failure in words.
fn reason(why: u32) -> &'static str {
    match why {
        failure::MODEL => "it found no model in its region, or a damaged one",
        failure::ENGINE => "it has no kernels for this model",
        failure::INPUTS => "there are fewer bytes than inputs",
        failure::MEMORY => "the model needs more RAM than region 'arena' has",
        failure::PANIC => "a check failed",
        failure::FAULT => "the processor raised a hard fault",
        _ => "it does not say why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kind: u32, ticks: u64, value: u32) -> Report {
        Report {
            kind,
            ticks,
            value,
            digests: [[8; 32], [9; 32]],
            ..Report::default()
        }
    }

    fn clock() -> Report {
        report(kind::CLOCK, 50_000, 0)
    }

    fn inference() -> Report {
        report(kind::INFERENCE, 30, 500)
    }

    fn layer(layer: u32, ticks: u64) -> Report {
        report(kind::LAYER, ticks, layer)
    }

    fn head() -> Report {
        report(kind::HEAD, 1, 0)
    }

    fn done() -> Report {
        report(kind::DONE, 0, 0)
    }

    fn run(reports: &[Report]) -> Result<Run> {
        let mut collector = Collector::of(2, true, 1, 25_000_000);
        for report in reports {
            collector.take(report)?;
        }
        assert!(collector.is_done());
        collector.finish()
    }

    #[test]
    fn ticks_become_instructions() {
        let all = [
            clock(),
            inference(),
            layer(0, 10),
            layer(1, 19),
            head(),
            done(),
        ];
        let run = run(&all).unwrap();
        assert_eq!((run.instructions, run.stack_bytes), (1200, 500));
        let layers: Vec<u64> = run.inputs[0]
            .layers
            .iter()
            .map(|l| l.instructions)
            .collect();
        assert_eq!(layers, [400, 760]);
        assert_eq!(run.inputs[0].head.unwrap().logits, [9; 32]);
        // 31.25 instructions a tick.
        let collector = Collector::of(1, false, 1, 32_000_000);
        assert_eq!(collector.instructions(16).unwrap(), 500);
        assert!(
            Collector::of(1, false, 1, 1)
                .instructions(u64::MAX)
                .is_err()
        );
    }

    #[test]
    fn a_clock_with_another_speed_is_refused() {
        let error = run(&[report(kind::CLOCK, 40_000, 0)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("does not count"), "{error}");
        assert!(run(&[report(kind::CLOCK, u64::MAX, 0)]).is_err());
    }

    #[test]
    fn unexpected_messages_are_refused() {
        let wrong: [&[Report]; 6] = [
            &[inference()],
            &[clock(), clock()],
            &[clock(), inference(), layer(1, 1)],
            &[clock(), inference(), layer(0, 1), layer(0, 1)],
            &[clock(), inference(), layer(0, 1), head()],
            &[clock(), inference(), layer(0, 1), layer(1, 1), done()],
        ];
        for reports in wrong {
            let error = run(reports).unwrap_err().to_string();
            assert!(error.contains("not expected"), "{error}");
        }
    }

    #[test]
    fn a_lost_period_is_noticed() {
        let long = report(kind::INFERENCE, PERIOD + 30, 1);
        let all = [clock(), long, layer(0, 10), layer(1, 19), head(), done()];
        let error = run(&all).unwrap_err().to_string();
        assert!(error.contains("a period of the timer was lost"), "{error}");
    }

    #[test]
    fn failures_are_reported() {
        for (why, text) in [(failure::MEMORY, "more RAM"), (99, "does not say")] {
            let failed = report(kind::FAILED, 0, why);
            let error = run(&[clock(), failed]).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
