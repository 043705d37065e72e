//! The state of an import: the graph so far and the values by name, with what handlers do to both.

use super::attributes::Attributes;
use super::external::External;
use super::node::Node;
use super::ops;
use super::pb::NodeProto;
use super::quantized::Quantized;
use super::tensor::elements;
use super::value::{Act, Value};
use crate::graph::bounds::Interval;
use crate::graph::{BatchNorm, Graph, GraphError, NodeId, Op, Shape};
use crate::import::ImportError;
use crate::import::names::Names;
use crate::import::sweep::{codes_of_input, sweep};
use std::collections::HashMap;

/// Most elements that one import may create by ConstantOfShape and by folding that keeps the size of a
/// constant. VGG-19, the largest common network, has 144 million weights.
const MAX_FILLED: usize = 160 << 20;
/// Most elements that all other folding may create. Such folding is arithmetic on shapes.
const MAX_FOLDED: usize = 1 << 24;

/// The state of an import.
pub struct Context {
    /// The graph so far.
    pub graph: Graph,
    /// Version of the operator set.
    pub opset: i64,
    /// The batch that the file fixes, 1 if it fixes none.
    pub batch: i64,
    /// Reads weights from other files.
    pub external: External,
    /// The quantization of the values so far.
    pub quantized: Quantized,
    values: HashMap<String, Value>,
    uses: HashMap<String, usize>,
    names: Names,
    filled: usize,
    folded: usize,
    warnings: Vec<String>,
}

impl Context {
    /// A graph with nothing but its input.
    pub fn new(
        input: Shape,
        opset: i64,
        batch: i64,
        external: External,
        uses: HashMap<String, usize>,
        warnings: Vec<String>,
    ) -> Self {
        let graph = Graph::new(input);
        let names = Names::new(&graph.nodes[0].name);
        Self {
            graph,
            opset,
            batch,
            external,
            quantized: Quantized::default(),
            values: HashMap::new(),
            uses,
            names,
            filled: 0,
            folded: 0,
            warnings,
        }
    }

    /// Makes a value known by `name`.
    pub fn define(&mut self, name: String, value: Value) {
        self.values.insert(name, value);
    }

    /// Imports one node of the file.
    pub fn run(&mut self, proto: &NodeProto) -> Result<(), ImportError> {
        let first = proto.output.first().map_or("", |s| s.as_str());
        let wanted = if proto.name.is_empty() {
            first
        } else {
            &proto.name
        };
        let mut node = Node {
            name: wanted.to_string(),
            attributes: Attributes(proto),
            inputs: vec![],
        };
        let domain = &proto.domain;
        let op = if domain.is_empty() || domain == "ai.onnx" {
            proto.op_type.clone()
        } else {
            format!("{domain}.{}", proto.op_type)
        };
        let result = self.inputs(proto).and_then(|inputs| {
            node.inputs = inputs;
            if let Some(a) = proto.attribute.iter().find(|a| !a.ref_attr_name.is_empty()) {
                return Err(ImportError::new("refers to a function's attribute").attribute(&a.name));
            }
            ops::run(self, &op, &node)
        });
        let values = result.map_err(|e| {
            let shapes: Vec<String> = node
                .inputs
                .iter()
                .map(|v| v.as_ref().map_or("-".into(), Value::show))
                .collect();
            e.node(&node.name).op(&op).shapes(shapes.join(", "))
        })?;
        for (name, value) in proto.output.iter().zip(values) {
            self.define(name.clone(), value);
        }
        Ok(())
    }

    /// Looks up the inputs, and drops values after their last use.
    fn inputs(&mut self, proto: &NodeProto) -> Result<Vec<Option<Value>>, ImportError> {
        let mut inputs = vec![];
        for name in &proto.input {
            if name.is_empty() {
                inputs.push(None);
                continue;
            }
            let uses = self.uses.get_mut(name);
            let last = uses.is_some_and(|n| {
                *n = n.saturating_sub(1);
                *n == 0
            });
            let value = if last {
                self.values.remove(name)
            } else {
                self.values.get(name).cloned()
            };
            let value = value.ok_or_else(|| {
                ImportError::new(format!(
                    "reads '{name}', which no supported node before it computes"
                ))
                .hint("masks and indices are not supported; nodes must be sorted")
            })?;
            inputs.push(Some(value));
        }
        Ok(inputs)
    }

    /// Counts `n` elements against [`MAX_FILLED`]; returns `n`.
    pub fn charge(&mut self, n: Option<usize>) -> Result<usize, ImportError> {
        spend(&mut self.filled, n, MAX_FILLED)
    }

    /// Counts `n` elements against [`MAX_FOLDED`]; returns `n`.
    pub fn charge_small(&mut self, n: Option<usize>) -> Result<usize, ImportError> {
        spend(&mut self.folded, n, MAX_FOLDED)
    }

    /// The elements of a small folded constant of `dims`: `f` of each index, row-major.
    pub fn fold<T>(
        &mut self,
        dims: &[usize],
        f: impl FnMut(&[usize]) -> T,
    ) -> Result<Vec<T>, ImportError> {
        let n = self.charge_small(elements(dims))?;
        Ok(each_index(dims, n, f))
    }

    /// The same for a constant as large as one of its inputs.
    pub fn rearrange<T>(
        &mut self,
        dims: &[usize],
        f: impl FnMut(&[usize]) -> T,
    ) -> Result<Vec<T>, ImportError> {
        let n = self.charge(elements(dims))?;
        Ok(each_index(dims, n, f))
    }

    /// Appends a node that computes `op`.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, ImportError> {
        let unique = self.names.unique(name);
        self.graph
            .push(unique, op, inputs)
            .map_err(|e: GraphError| {
                ImportError::new(e.problem)
                    .hint("the file is damaged, or the input size does not fit the network")
            })
    }

    /// Appends a node; the result has the dimensions `[1, C, H, W]`.
    pub fn push_image(&mut self, node: &Node, op: Op, input: &Act) -> Result<Value, ImportError> {
        let id = self.push(&node.name, op, &[input.node])?;
        Ok(Value::Act(Act::image(id, self.graph.nodes[id].shape)))
    }

    /// Appends a node that keeps shape and dimensions of its input.
    pub fn push_like(&mut self, node: &Node, op: Op, like: &Act) -> Result<Value, ImportError> {
        let id = self.push(&node.name, op, &[like.node])?;
        Ok(Value::Act(Act {
            node: id,
            ..like.clone()
        }))
    }

    /// Appends `gamma * x + beta` per channel.
    pub fn push_affine(
        &mut self,
        name: &str,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        x: &Act,
    ) -> Result<Act, ImportError> {
        let channels = gamma.len();
        let norm = BatchNorm {
            gamma,
            beta,
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
            epsilon: 0.0,
        };
        let node = self.push(name, Op::BatchNorm(norm), &[x.node])?;
        Ok(Act { node, ..x.clone() })
    }

    /// Scale and offset of a node that [`Context::push_affine`] made.
    pub fn affine(&self, id: NodeId) -> Option<(&[f32], &[f32])> {
        match &self.graph.nodes[id].op {
            Op::BatchNorm(b)
                if b.epsilon == 0.0
                    && b.mean.iter().all(|&m| m == 0.0)
                    && b.variance.iter().all(|&v| v == 1.0) =>
            {
                Some((&b.gamma, &b.beta))
            }
            _ => None,
        }
    }

    /// The interval that the values of a node lie in.
    pub fn interval(&mut self, id: NodeId) -> Interval {
        self.quantized.bounds.of(&self.graph, id)
    }

    /// The graph that computes `output`, whether a softmax was left out, and the warnings.
    pub fn finish(mut self, output: &str) -> Result<(Graph, bool, Vec<String>), ImportError> {
        let act = match self.values.remove(output) {
            Some(Value::Act(act)) => act,
            Some(Value::Const(_)) => {
                return Err(ImportError::new(format!(
                    "the output '{output}' is a constant"
                )));
            }
            None => {
                return Err(
                    ImportError::new(format!("nothing computes the output '{output}'"))
                        .hint("masks and indices are not supported; otherwise the file is damaged"),
                );
            }
        };
        if !act.is_order(super::value::Order::Hwc) && !act.is_image() {
            self.warnings.push(format!(
                "the output, a map of {}, is given row by row, not channel by channel",
                act.shape
            ));
        }
        self.warnings.extend(self.quantized.warnings());
        self.graph.output = act.node;
        Ok((
            codes_of_input(sweep(self.graph)),
            act.softmax,
            self.warnings,
        ))
    }
}

fn spend(spent: &mut usize, n: Option<usize>, limit: usize) -> Result<usize, ImportError> {
    let fits = n.filter(|&n| n <= limit - *spent);
    let n = fits.ok_or_else(|| {
        ImportError::new("constants too large for any network for a device")
            .hint("the file is damaged")
    })?;
    *spent += n;
    Ok(n)
}

/// `f` of the first `n` indices of `dims`, row-major.
fn each_index<T>(dims: &[usize], n: usize, mut f: impl FnMut(&[usize]) -> T) -> Vec<T> {
    let mut index = vec![0; dims.len()];
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        out.push(f(&index));
        for (i, &d) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    out
}
