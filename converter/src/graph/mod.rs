//! The float network between import and the `.edge` file: NHWC, batch 1, a small set of operators.
//!
//! Importers build a [`Graph`] with [`Graph::push`], which derives and checks every shape. Passes rewrite it;
//! the quantizer and the writer read it. [`split`] finds where the trunk ends and the head begins. This
//! module knows nothing of files.

pub mod bounds;
pub mod reference;
mod shape;
pub mod split;
pub mod window;

pub use edge_runtime::model::{Activation, Quant, Shape, Window};

/// Index of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// A network. Node 0 is its input.
#[derive(Clone, Debug)]
pub struct Graph {
    /// All nodes, in topological order: a node comes after the nodes that it reads.
    pub nodes: Vec<Node>,
    /// The node whose result is the output of the network (logits for a classifier).
    pub output: NodeId,
}

/// One operation and its result.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the source network; no two nodes have the same.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// The nodes whose results it reads.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Shape,
    /// Quantization of the result, if the source network is quantized and says it.
    pub quant: Option<Quant>,
}

impl Node {
    /// Number of multiply-accumulate operations of one inference.
    pub fn macs(&self) -> u64 {
        match &self.op {
            Op::Conv(c) => (self.shape.len() * c.weights.len() / c.out_channels) as u64,
            _ => 0,
        }
    }
}

/// Weights of a convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvWeights {
    /// Kernel, stride, dilation and padding.
    pub window: Window,
    /// Number of channel groups; 1 for an ordinary convolution.
    pub groups: usize,
    /// Number of output channels.
    pub out_channels: usize,
    /// OHWI: `[out_channels][kernel rows][kernel columns][input channels / groups]`.
    pub weights: Vec<f32>,
    /// One number per output channel.
    pub bias: Vec<f32>,
    /// Activation that is fused into the layer. Importers leave [`Activation::None`]; a pass fuses.
    pub activation: Activation,
    /// Mean and standard deviation of each output channel before the activation, known from a batch
    /// norm that was folded in.
    pub statistics: Option<Vec<ChannelStatistics>>,
    /// Scale of the weights of each output channel, if they are int8 in the source: every weight is a whole
    /// multiple of it, from -127 to 127 times.
    pub weight_scales: Option<Vec<f32>>,
}

/// Mean and standard deviation of one channel during training, as a batch norm keeps them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
}

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Scale, one number per channel, as for the other fields.
    pub gamma: Vec<f32>,
    /// Offset.
    pub beta: Vec<f32>,
    /// Running mean.
    pub mean: Vec<f32>,
    /// Running variance.
    pub variance: Vec<f32>,
    /// Added to every variance; 0 if this is only a factor and an offset per channel.
    pub epsilon: f32,
}

/// Local response normalization across channels (Krizhevsky et al., 2012, section 3.3):
/// `x[c] / (bias + alpha / size * sum(x[i]^2))^beta`, the sum over `size` channels around c, from
/// `c - (size - 1) / 2` to `c + size / 2`, as far as they exist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Number of channels in the sum.
    pub size: u32,
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Constant that is added before the power; positive.
    pub bias: f32,
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The network's input, already normalized.
    Input,
    /// Convolution. A fully connected layer is a convolution whose window covers its whole input.
    Conv(ConvWeights),
    /// Batch normalization. [`passes::simplify`](crate::passes::simplify) folds it into a convolution.
    BatchNorm(BatchNorm),
    /// A function of every element.
    Activation(Activation),
    /// Maximum over a window (dilation 1). Padding does not count.
    MaxPool(Window),
    /// Mean over a window (dilation 1).
    AvgPool {
        /// The window.
        window: Window,
        /// True if padding counts in the divisor.
        count_padding: bool,
    },
    /// Sum of two tensors of one shape, then an activation. Importers leave [`Activation::None`]; a pass
    /// fuses.
    Add(Activation),
    /// Concatenation along channels.
    Concat,
    /// A strided part of the input, see `edge_runtime::model::Op::Slice`.
    Slice {
        /// First row, column, channel.
        start: [u32; 3],
        /// Step of rows and columns.
        step: [u32; 2],
        /// Shape of the result.
        shape: Shape,
    },
    /// Zeros around the input.
    Pad {
        /// Rows, columns, channels before.
        before: [u32; 3],
        /// Rows, columns, channels after.
        after: [u32; 3],
    },
    /// Product of two tensors of one shape, or of a map and one number per channel (the second input,
    /// 1x1xC, a squeeze-and-excitation gate).
    Mul,
    /// `x` if positive, else the channel's slope times `x` (He et al., 2015).
    PRelu(Vec<f32>),
    /// Local response normalization.
    LocalResponseNorm(LocalResponseNorm),
    /// Channel shuffle (Zhang et al., "ShuffleNet", 2017): the channels as a matrix of `groups` rows,
    /// transposed. Channel `j` of the result is channel `j % groups * (c / groups) + j / groups`.
    Shuffle {
        /// Rows; divides the channels.
        groups: u32,
    },
}

impl Op {
    /// Short name of the operation for messages and tables, e.g. `max-pool`.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv(_) => "conv",
            Op::BatchNorm(_) => "batch-norm",
            Op::Activation(_) => "activation",
            Op::MaxPool(_) => "max-pool",
            Op::AvgPool { .. } => "avg-pool",
            Op::Add(_) => "add",
            Op::Concat => "concat",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Mul => "mul",
            Op::PRelu(_) => "prelu",
            Op::LocalResponseNorm(_) => "local-response-norm",
            Op::Shuffle { .. } => "shuffle",
        }
    }
}

/// A node that does not fit its inputs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("node '{node}' ({op}): {problem}")]
pub struct GraphError {
    /// Name of the node.
    pub node: String,
    /// Its operation.
    pub op: &'static str,
    /// What is wrong, with shapes.
    pub problem: String,
}

impl Graph {
    /// A graph that has only its input, of shape `input`.
    pub fn new(input: Shape) -> Self {
        let node = Node {
            name: "input".into(),
            op: Op::Input,
            inputs: vec![],
            shape: input,
            quant: None,
        };
        Self {
            nodes: vec![node],
            output: 0,
        }
    }

    /// Appends a node, makes it the output of the network, and returns its number.
    ///
    /// # Errors
    /// If the shapes or numbers of the inputs do not suit the operation.
    ///
    /// # Panics
    /// If an input is not a node of the graph.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, GraphError> {
        let name = name.into();
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.nodes[i].shape).collect();
        let shape = shape::infer(&op, &shapes).map_err(|problem| GraphError {
            node: name.clone(),
            op: op.name(),
            problem,
        })?;
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            shape,
            quant: None,
        });
        self.output = self.nodes.len() - 1;
        Ok(self.output)
    }

    /// Makes every node that reads `from` read `to` instead; if `from` is the output, `to` becomes the
    /// output.
    pub fn redirect(&mut self, from: NodeId, to: NodeId) {
        for input in self.nodes.iter_mut().flat_map(|n| &mut n.inputs) {
            if *input == from {
                *input = to;
            }
        }
        if self.output == from {
            self.output = to;
        }
    }

    /// True if the source network was quantized already: a node other than the input has a quantization.
    pub fn is_quantized(&self) -> bool {
        self.nodes.iter().skip(1).any(|n| n.quant.is_some())
    }

    /// Shape of the input.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// Per node, how many nodes read it; the output of the network counts as one more reader.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len()];
        for &i in self.nodes.iter().flat_map(|n| &n.inputs) {
            uses[i] += 1;
        }
        uses[self.output] += 1;
        uses
    }

    /// Number of trained parameters: weights, biases, and gamma and beta of batch norms. Biases that are all
    /// zero and factors that are all one do not count.
    pub fn parameters(&self) -> u64 {
        let bias = |bias: &[f32]| {
            if bias.iter().any(|b| *b != 0.0) {
                bias.len()
            } else {
                0
            }
        };
        let count = |op: &Op| match op {
            Op::Conv(c) => c.weights.len() + bias(&c.bias),
            // An offset per channel that is not a batch norm of the source.
            Op::BatchNorm(b) if b.epsilon == 0.0 && b.gamma.iter().all(|g| *g == 1.0) => {
                bias(&b.beta)
            }
            Op::BatchNorm(b) => b.gamma.len() + b.beta.len(),
            Op::PRelu(slopes) => slopes.len(),
            _ => 0,
        };
        self.nodes.iter().map(|n| count(&n.op) as u64).sum()
    }

    /// Number of multiply-accumulate operations of one inference.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(Node::macs).sum()
    }
}
