//! The state of an import: the graph so far, the values by name, and what handlers need of both.

use super::attributes::Attributes;
use super::external::External;
use super::ops;
use super::pb::NodeProto;
use super::tensor::{Tensor, elements};
use super::value::{Act, Value};
use crate::graph::{BatchNorm, Graph, GraphError, NodeId, Op, Shape};
use crate::import::ImportError;
use crate::import::names::Names;
use crate::import::sweep::sweep;
use std::collections::HashMap;

/// Most elements that ConstantOfShape and folding that keeps sizes may create in one import. The weights
/// of VGG-19, the largest network one meets, are 144 million.
const MAX_FILLED: usize = 160 << 20;
/// Most elements that all other folding may create: it is arithmetic on shapes.
const MAX_FOLDED: usize = 1 << 24;

/// The state of an import.
pub struct Context {
    /// The graph so far.
    pub graph: Graph,
    /// Version of the operator set.
    pub opset: i64,
    /// Batch that the file fixes.
    pub batch: i64,
    /// Where Constant nodes may keep their data.
    pub external: External,
    values: HashMap<String, Value>,
    uses: HashMap<String, usize>,
    names: Names,
    filled: usize,
    folded: usize,
    warnings: Vec<String>,
}

/// A node of the file with its inputs looked up.
pub struct Node<'a> {
    /// Unique name.
    pub name: String,
    /// Attributes.
    pub attributes: Attributes<'a>,
    /// Inputs; `None` where an optional one is left out.
    pub inputs: Vec<Option<Value>>,
}

impl Node<'_> {
    /// The operator's name.
    pub fn op(&self) -> &str {
        &self.attributes.0.op_type
    }

    /// Input `i`, if it is given.
    pub fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Result<&Value, ImportError> {
        self.optional(i).ok_or_else(|| {
            ImportError::new(format!("input {i} is missing")).hint("the file is damaged")
        })
    }

    /// Input `i`, an activation.
    pub fn act(&self, i: usize) -> Result<&Act, ImportError> {
        match self.input(i)? {
            Value::Act(act) if act.softmax => {
                Err(ImportError::new("a Softmax before other operators")
                    .hint("only a Softmax at the end is supported"))
            }
            Value::Act(act) => Ok(act),
            Value::Const(_) => Err(ImportError::new(format!("input {i} is a constant"))
                .hint("simplify the model first (onnxsim)")),
        }
    }

    /// Input `i`, an activation of dimensions `[1, C, H, W]`.
    pub fn image(&self, i: usize) -> Result<&Act, ImportError> {
        let act = self.act(i)?;
        if act.is_image() {
            return Ok(act);
        }
        Err(ImportError::new(format!(
            "input {i} is not a feature map of dimensions 1xCxHxW (rows and columns of a {} map)",
            act.shape
        ))
        .hint("only two-dimensional networks in NCHW are supported"))
    }

    /// Input `i`, a constant, if it is given.
    pub fn optional_tensor(&self, i: usize) -> Result<Option<&Tensor>, ImportError> {
        match self.optional(i) {
            None => Ok(None),
            Some(Value::Const(t)) => Ok(Some(t)),
            Some(Value::Act(_)) => Err(ImportError::new(format!(
                "input {i} is computed from the network's input"
            ))
            .hint("only constants are supported there")),
        }
    }

    /// Input `i`, a constant.
    pub fn tensor(&self, i: usize) -> Result<&Tensor, ImportError> {
        self.input(i)?;
        self.optional_tensor(i)?
            .ok_or_else(|| ImportError::new(format!("input {i} is missing")))
    }

    /// All inputs, if they are constants.
    pub fn all_constant(&self) -> Option<Vec<&Tensor>> {
        let tensor = |v: &Option<Value>| match v {
            Some(Value::Const(_)) | None => true,
            Some(Value::Act(_)) => false,
        };
        if !self.inputs.iter().all(tensor) {
            return None;
        }
        Some(
            self.inputs
                .iter()
                .flatten()
                .filter_map(|v| {
                    if let Value::Const(t) = v {
                        Some(t)
                    } else {
                        None
                    }
                })
                .collect(),
        )
    }
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
            values: HashMap::new(),
            uses,
            names,
            filled: 0,
            folded: 0,
            warnings,
        }
    }

    /// Names a value.
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
            ops::handler(&op)(self, &node)
        });
        let value = result.map_err(|e| {
            let shapes: Vec<String> = node
                .inputs
                .iter()
                .map(|v| v.as_ref().map_or("-".into(), Value::show))
                .collect();
            e.node(&node.name).op(&op).shapes(shapes.join(", "))
        })?;
        self.define(first.to_string(), value);
        Ok(())
    }

    /// Looks the inputs up, and lets go of values that are read for the last time.
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
                .hint("second outputs (masks, indices) are not supported; nodes must be sorted")
            })?;
            inputs.push(Some(value));
        }
        Ok(inputs)
    }

    /// Counts `n` elements against what constants may have that a file describes but does not hold.
    pub fn charge(&mut self, n: Option<usize>) -> Result<usize, ImportError> {
        spend(&mut self.filled, n, MAX_FILLED)
    }

    /// The same for what may be small.
    pub fn charge_small(&mut self, n: Option<usize>) -> Result<usize, ImportError> {
        spend(&mut self.folded, n, MAX_FOLDED)
    }

    /// The elements of a folded constant of `dims`: `f` of each index.
    pub fn fold<T>(
        &mut self,
        dims: &[usize],
        f: impl FnMut(&[usize]) -> T,
    ) -> Result<Vec<T>, ImportError> {
        let n = self.charge_small(elements(dims))?;
        Ok(each_index(dims, n, f))
    }

    /// The same for a constant that has the size of another.
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

    /// Appends a node whose result is viewed as `[1, C, H, W]`.
    pub fn push_image(&mut self, node: &Node, op: Op, input: &Act) -> Result<Value, ImportError> {
        let id = self.push(&node.name, op, &[input.node])?;
        Ok(Value::Act(Act::image(id, self.graph.nodes[id].shape)))
    }

    /// Appends a node that keeps the shape of its input, and the view of it.
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
        node: &Node,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        x: &Act,
    ) -> Result<Value, ImportError> {
        let channels = gamma.len();
        let norm = BatchNorm {
            gamma,
            beta,
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
            epsilon: 0.0,
        };
        self.push_like(node, Op::BatchNorm(norm), x)
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
                return Err(ImportError::new(format!("nothing computes the output '{output}'"))
                    .hint("second outputs (masks, indices) are not supported; otherwise the file is damaged"));
            }
        };
        if !act.is_order(super::value::Order::Hwc) && !act.is_image() {
            self.warnings.push(format!(
                "the output, a map of {}, is given row by row, not channel by channel",
                act.shape
            ));
        }
        self.graph.output = act.node;
        Ok((sweep(self.graph), act.softmax, self.warnings))
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
