//! Finds the network's input, its shape and its quantization.

use super::file::{File, TensorInfo};
use super::live::Live;
use super::schema::TensorType;
use super::steps;
use super::value::Act;
use crate::graph::{Quant, Shape};
use crate::import::ImportError;
use crate::import::pixels::Entry;

/// Largest side of an input, in pixels. Pictures for a device are smaller.
const MAX_SIDE: i32 = 1 << 16;

/// The input.
pub struct Input {
    /// Number of its tensor.
    pub tensor: usize,
    /// Its name.
    pub name: String,
    /// Its shape in the graph.
    pub shape: Shape,
    /// The input as a value.
    pub act: Act,
    /// Type of its elements.
    pub kind: TensorType,
    /// Its quantization.
    pub quant: Option<Quant>,
    /// What the file expects as values.
    pub entry: Entry,
    /// The batch that the file fixes, 1 if it fixes none.
    pub batch: usize,
}

/// Finds the input that the output depends on.
pub fn find(file: &File, live: &Live, warnings: &mut Vec<String>) -> Result<Input, ImportError> {
    let mut inputs = file.inputs()?;
    inputs.retain(|i| live.tensors.contains(i));
    inputs.sort_unstable();
    inputs.dedup();
    let tensor = match inputs[..] {
        [tensor] => tensor,
        [] => {
            return Err(
                ImportError::new("the output depends on no input").hint("the file is damaged")
            );
        }
        _ => {
            return Err(ImportError::new(format!("{} inputs", inputs.len()))
                .hint("networks with one picture as input are supported"));
        }
    };
    let info = file.tensor(tensor)?;
    let name = info.name.clone();
    describe(tensor, info, warnings).map_err(|e| e.node(name).op("input"))
}

fn describe(
    tensor: usize,
    info: TensorInfo,
    warnings: &mut Vec<String>,
) -> Result<Input, ImportError> {
    // Integers without a scale are pixels. A Cast makes them floats; no other operator can read them.
    let (quant, entry) = match (info.kind, &info.steps) {
        (TensorType::UINT8, None) => (None, Entry::Pixels),
        (TensorType::INT8, None) => (None, Entry::SignedPixels),
        (kind, steps) => match steps::of_activation(kind, steps.as_deref())? {
            None => (None, Entry::Float),
            quant => (quant, Entry::Codes),
        },
    };
    let fixed = |d: i32, axis: usize| match u32::try_from(d) {
        Ok(side) if d > 0 && d <= MAX_SIDE => Ok(side),
        _ => Err(ImportError::new(format!("dimension {axis} is {d}"))
            .hint("convert the model with a fixed input size; only the batch may vary")),
    };
    let shape = match info.dims[..] {
        [_, h, w, c] => Shape::new(fixed(h, 1)?, fixed(w, 2)?, fixed(c, 3)?),
        [_, c] => Shape::new(1, 1, fixed(c, 1)?),
        _ => {
            return Err(ImportError::new(format!("{} dimensions", info.dims.len()))
                .hint("inputs of 4 dimensions (NHWC) or 2 are supported"));
        }
    };
    let sides = [shape.h, shape.w, shape.c].map(u64::from);
    if sides.iter().product::<u64>() > 1 << 28 {
        return Err(ImportError::new(format!(
            "an input of {shape} is too large"
        )));
    }
    let batch = usize::try_from(info.dims[0]).unwrap_or(1).max(1);
    if batch > 1 {
        warnings.push(format!(
            "the model fixes a batch of {batch}; it is imported for a batch of 1"
        ));
    }
    let mut act = Act::image(0, shape);
    if info.dims.len() == 2 {
        act.dims = vec![1, shape.c as usize];
    }
    Ok(Input {
        tensor,
        name: info.name,
        shape,
        act,
        kind: info.kind,
        quant,
        entry,
        batch,
    })
}
