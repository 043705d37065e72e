//! Small networks in the making, which become `.edge` files, whole or in part.

use crate::model::write::Writer;
use crate::model::{
    AlignedBytes, Blob, ChannelOrder, DType, Filter, InputSpec, Layer, Manifest, Op, Operand,
    Quant, ResizeRule, Shape, Trunk, WeightsOrigin, align,
};

/// A tensor's shape and quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Its shape.
    pub shape: Shape,
    /// Its quantization; [`Quant::NONE`] in a float network.
    pub quant: Quant,
}

/// A layer: it reads some tensors and writes the next one.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    op: Op,
    inputs: Vec<usize>,
    /// The output takes the bytes of the first input.
    in_place: bool,
}

/// A network whose layers and numbers are in memory.
#[derive(Clone, Debug)]
pub struct Network {
    dtype: DType,
    /// Tensor 0 is the input; layer `i` writes tensor `i + 1`.
    tensors: Vec<Tensor>,
    steps: Vec<Step>,
    /// All numbers, and no layers.
    blobs: Writer,
    /// Tensors lie in the arena from the last to the first, so that an input lies right behind its output.
    reversed: bool,
}

impl Network {
    /// One without layers.
    pub fn new(dtype: DType, input: Tensor) -> Self {
        Self {
            dtype,
            tensors: vec![input],
            steps: Vec::new(),
            blobs: Writer::default(),
            reversed: false,
        }
    }

    /// Puts the tensors into the arena in the opposite order: each right before its input.
    pub fn reverse(&mut self) {
        self.reversed = true;
    }

    /// Element type of activations and weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The name of a layer's operator.
    pub fn operator(&self, layer: usize) -> &'static str {
        self.steps[layer].op.name()
    }

    /// A tensor.
    pub fn tensor(&self, index: usize) -> Tensor {
        self.tensors[index]
    }

    /// The number of the last tensor.
    pub fn last(&self) -> usize {
        self.steps.len()
    }

    /// Stores numbers.
    pub fn blob<T: bytemuck::NoUninit>(&mut self, values: &[T]) -> Blob {
        self.blobs.blob(values)
    }

    /// Adds a layer; the number of its output.
    pub fn push(&mut self, op: Op, inputs: &[usize], output: Tensor) -> usize {
        let name = format!("{} {}", op.name(), self.steps.len());
        self.steps.push(Step {
            name,
            op,
            inputs: inputs.to_vec(),
            in_place: false,
        });
        self.tensors.push(output);
        self.last()
    }

    /// Puts the last layer's output onto its first input, if the operator allows it and the layer reads that
    /// tensor once. No later layer may read it.
    pub fn last_in_place(&mut self) -> bool {
        let Some(step) = self.steps.last_mut() else {
            return false;
        };
        let first = step.inputs[0];
        step.in_place = step.op.in_place() && !step.inputs[1..].contains(&first);
        step.in_place
    }

    /// The file.
    ///
    /// # Panics
    /// If it does not fit the format.
    pub fn file(&self) -> AlignedBytes {
        let mut writer = self.blobs.clone();
        let (operands, arena_bytes) = self.operands();
        for (index, step) in self.steps.iter().enumerate() {
            let inputs = step.inputs.iter().map(|i| operands[*i]).collect();
            writer.layer(&Layer {
                name: &step.name,
                op: step.op.clone(),
                inputs,
                output: operands[index + 1],
            });
        }
        let trunk = Trunk {
            dtype: self.dtype,
            input: operands[0],
            arena_bytes: arena_bytes as u32,
            layers: 0,
            packing: None,
        };
        let file = writer.finish(&manifest(), trunk, None);
        file.expect("a small network fits the format")
    }

    /// Every tensor with bytes of its own, but for outputs that lie on their input.
    fn operands(&self) -> (Vec<Operand>, usize) {
        let count = self.tensors.len();
        let on_input = |tensor: usize| {
            let step = self.steps.get(tensor.checked_sub(1)?)?;
            step.in_place.then(|| step.inputs[0])
        };
        let mut offsets = vec![0; count];
        let mut end = 0;
        let order: Vec<usize> = match self.reversed {
            true => (0..count).rev().collect(),
            false => (0..count).collect(),
        };
        for tensor in order.into_iter().filter(|t| on_input(*t).is_none()) {
            offsets[tensor] = end;
            end = align(end + self.tensors[tensor].shape.len() * self.dtype.size());
        }
        for tensor in 0..count {
            if let Some(input) = on_input(tensor) {
                offsets[tensor] = offsets[input];
            }
        }
        let operand = |(tensor, offset): (usize, usize)| Operand {
            tensor: tensor as u32,
            shape: self.tensors[tensor].shape,
            offset: offset as u32,
            quant: self.tensors[tensor].quant,
        };
        (offsets.into_iter().enumerate().map(operand).collect(), end)
    }

    /// The network that has tensor `input` as its input and ends with layer `last`, without the layers that it does
    /// not need; `None` if what remains needs another tensor before it.
    pub fn part(&self, input: usize, last: usize) -> Option<Self> {
        let mut needed = vec![false; self.tensors.len()];
        needed[last + 1] = true;
        for layer in (0..=last).rev().filter(|layer| layer + 1 > input) {
            if needed[layer + 1] {
                for tensor in &self.steps[layer].inputs {
                    needed[*tensor] = true;
                }
            }
        }
        if !needed[input] || needed[..input].contains(&true) || input > last {
            return None;
        }
        let mut part = Self {
            tensors: vec![self.tensors[input]],
            steps: Vec::new(),
            ..self.clone()
        };
        let mut renumbered = vec![0; self.tensors.len()];
        for layer in input..=last {
            if !needed[layer + 1] {
                continue;
            }
            let step = &self.steps[layer];
            part.steps.push(Step {
                inputs: step.inputs.iter().map(|i| renumbered[*i]).collect(),
                ..step.clone()
            });
            part.tensors.push(self.tensors[layer + 1]);
            renumbered[layer + 1] = part.last();
        }
        Some(part)
    }
}

fn manifest() -> Manifest<'static> {
    Manifest {
        name: "conformance",
        source: "edge_runtime::backend::conformance",
        license: "",
        converter: "",
        weights: WeightsOrigin::Random { seed: 0 },
        input: InputSpec {
            height: 8,
            width: 8,
            resize: ResizeRule::Squash,
            filter: Filter::Bilinear,
            order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        quantization: None,
        parameters: 0,
        macs: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn tensor(c: u32) -> Tensor {
        let quant = Quant {
            scale: 1.0,
            zero_point: 0,
        };
        Tensor {
            shape: Shape::new(1, 1, c),
            quant,
        }
    }

    /// `input -> 1 -> 2 -> 4 = 1 + 2`, and 3 that nothing reads.
    fn diamond() -> Network {
        let mut network = Network::new(DType::I8, tensor(20));
        let shuffle = |groups| Op::Shuffle { groups };
        for (op, input) in [(shuffle(2), 0), (shuffle(4), 1), (shuffle(5), 0)] {
            network.push(op, &[input], tensor(20));
        }
        let add = Op::Add {
            multipliers: [1; 2],
            shift: 1,
            clamp: [-128, 127],
            activation: crate::model::Activation::None,
        };
        network.push(add, &[2, 1], tensor(20));
        network
    }

    #[test]
    fn parts_keep_what_they_need() {
        let network = diamond();
        let names = |part: &Network| -> Vec<String> {
            let file = part.file();
            let model = Model::parse(&file).expect("a good model");
            model.layers().map(|l| l.name.to_string()).collect()
        };
        let part = |input, last| network.part(input, last).map(|p| names(&p));
        assert_eq!(part(0, 3).unwrap(), ["shuffle 0", "shuffle 1", "add 3"]);
        assert_eq!(part(1, 3).unwrap(), ["shuffle 1", "add 3"]);
        assert_eq!(part(2, 3), None);
        assert_eq!(part(0, 2).unwrap(), ["shuffle 2"]);
        assert_eq!(part(1, 2), None);
    }

    #[test]
    fn outputs_lie_before_their_inputs_or_on_them() {
        let mut network = diamond();
        network.reverse();
        let offsets = |network: &Network| -> Vec<u32> {
            let file = network.file();
            let model = Model::parse(&file).expect("a good model");
            model.layers().map(|l| l.output.offset).collect()
        };
        assert_eq!(offsets(&network), [96, 64, 32, 0]);
        assert!(network.last_in_place());
        assert_eq!(offsets(&network), [64, 32, 0, 32]);
        let mut shuffled = diamond();
        shuffled.push(Op::Shuffle { groups: 1 }, &[4], tensor(20));
        assert!(!shuffled.last_in_place());
    }
}
