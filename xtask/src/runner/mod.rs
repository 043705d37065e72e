//! Measures a model on a board in QEMU with the board's runner image (`boards/firmware/runner`): instructions, memory,
//! and checksums of all results.
//!
//! [`collector`] takes the messages of the image, whose types are those of the crate `runner-report`.

mod collector;

pub use collector::{InputRun, Run};

use crate::firmware::{self, Image};
use crate::qemu;
use anyhow::{Context, Result, bail};
use collector::Collector;
use converter::board::schema::{Deploy, Use};
use converter::board::{self, Board};
use edge_runtime::head::Head;
use edge_runtime::model::{ALIGNMENT, AlignedBytes, Model, align};
use runner_report::{JOB_LEN, Report};

/// A model that is ready to run on a board.
pub struct Runner<'b> {
    board: &'b Board,
    /// The board's runner image.
    pub image: Image,
    /// The model's file as the board has it: packed for its processor.
    pub file: AlignedBytes,
}

impl<'b> Runner<'b> {
    /// Packs a model for a board and builds the board's image.
    ///
    /// # Errors
    /// If the board does not run in QEMU, the model is float or needs more memory than the board's regions have, or
    /// the image cannot be built.
    pub fn new(board: &'b Board, model: &Model<'_>) -> Result<Self> {
        if !matches!(board.deploy, Deploy::Qemu { .. }) {
            bail!("{} does not run in QEMU", board.name);
        }
        let file = board::pack_for(model, board)?;
        let packed = Model::parse(&file).context("the packed model")?;
        let ram = packed.arena_bytes() + head_bytes(&packed) + ALIGNMENT;
        require(board, Use::Arena, ram, "activations and head take")?;
        require(board, Use::Model, file.len(), "the model takes")?;
        let image = firmware::build_runner(board)?;
        Ok(Self { board, image, file })
    }

    /// The model as the board has it.
    pub fn model(&self) -> Result<Model<'_>> {
        Model::parse(&self.file).context("the packed model")
    }

    /// The board's name.
    pub fn name(&self) -> &str {
        &self.board.name
    }

    /// How many inputs fit after the model; at least 1. `input_len` is the length of one in bytes.
    pub fn capacity(&self, input_len: usize) -> usize {
        let region = self.board.region(Use::Model).map_or(0, |r| r.size);
        let used = (align(self.file.len()) + JOB_LEN) as u64;
        (region.saturating_sub(used) / (input_len as u64).max(1)).max(1) as usize
    }

    /// Runs all inputs, each as long as the model's input. Calls `seen` after each message, one for each layer.
    ///
    /// # Errors
    /// If the inputs do not fit, QEMU fails, or the image sends other messages than it must.
    pub fn run(&self, inputs: &[Vec<i8>], seen: &mut dyn FnMut()) -> Result<Run> {
        let model = self.model()?;
        let job = job(&self.file, inputs);
        require(self.board, Use::Model, job.len(), "model and inputs take")?;
        let region = self.board.region(Use::Model);
        let base = region.context("the board has no region 'model'")?.base;
        let file = tempfile::NamedTempFile::new().context("no temporary file")?;
        std::fs::write(file.path(), job).context("cannot write the model for QEMU")?;
        let hz = self.board.cpu.clock_hz;
        let hz = hz.with_context(|| format!("{} has no clock", self.board.name))?;
        let mut collector = Collector::new(&model, inputs.len(), hz);
        let mut machine = qemu::once::start(
            self.board,
            &self.image.elf,
            file.path(),
            base,
            size_of::<Report>(),
        )?;
        let failed = || format!("the runner on {} failed", self.board.name);
        while !collector.is_done() {
            let message = machine.next().with_context(failed)?;
            let report: Report = bytemuck::pod_read_unaligned(&message);
            collector.take(&report).with_context(failed)?;
            seen();
        }
        collector.finish().with_context(failed)
    }
}

/// RAM besides arena, stack and static variables, in bytes: the head's feature vector and logits.
pub fn head_bytes(model: &Model<'_>) -> usize {
    let head = |h: &Head<'_>| h.features() + size_of::<f32>() * h.classes();
    model.head().map_or(0, head)
}

/// Checks that a region has enough bytes.
fn require(board: &Board, purpose: Use, need: usize, what: &str) -> Result<()> {
    let have = board.region(purpose).map_or(0, |r| r.size);
    if need as u64 > have {
        bail!(
            "the model does not fit {}: {what} {need} bytes, and region '{}' has {have}",
            board.name,
            purpose.name()
        );
    }
    Ok(())
}

/// What the image reads in region `model`: the model, the number of inputs, the inputs.
fn job(model: &[u8], inputs: &[Vec<i8>]) -> Vec<u8> {
    let mut job = model.to_vec();
    job.resize(align(job.len()), 0);
    job.extend((inputs.len() as u32).to_le_bytes());
    job.resize(job.len() + JOB_LEN - size_of::<u32>(), 0);
    for input in inputs {
        job.extend(input.iter().map(|q| *q as u8));
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_after_the_model() {
        let job = job(&[7; 17], &[vec![1, -1], vec![2, -2]]);
        assert_eq!(job[..17], [7; 17]);
        assert_eq!(job[17..32], [0; 15]);
        assert_eq!(job[32..36], [2, 0, 0, 0]);
        assert_eq!(job[36..48], [0; 12]);
        assert_eq!(job[48..], [1, 255, 2, 254]);
    }
}
