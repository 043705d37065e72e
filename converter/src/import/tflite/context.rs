//! The state of an import: the graph so far and the values by tensor, with what handlers do to both.

use super::clamp;
use super::file::{File, OperatorInfo, TensorInfo};
use super::input::Input;
use super::node::{Node, Operand, check_types};
use super::ops;
use super::schema::{ActivationFunctionType, BuiltinOperator};
use super::steps::{of_activation, same};
use super::value::{Act, Value};
use crate::graph::bounds::Bounds;
use crate::graph::{Activation, BatchNorm, Graph, NodeId, Op};
use crate::import::ImportError;
use crate::import::names::Names;
use crate::import::sweep::{codes_of_input, sweep};
use std::collections::HashMap;

/// Most numbers that one import may read from constants. A hostile file could use one constant many times.
/// VGG-19, the largest common network, has 144 million weights.
const MAX_NUMBERS: usize = 160 << 20;

/// The state of an import.
pub struct Context<'a> {
    /// The graph so far.
    pub graph: Graph,
    /// The batch that the file fixes, 1 if it fixes none.
    pub batch: usize,
    file: &'a File<'a>,
    /// The values of tensors: computed ones, and constants that were read before.
    values: HashMap<usize, Operand<'a>>,
    /// The bounds of the values of each node.
    bounds: Bounds,
    names: Names,
    numbers: usize,
    channels: usize,
    wide_channels: usize,
    warnings: Vec<String>,
}

/// Most inputs of an operator. The widest concatenations have some dozens.
const MAX_OPERANDS: usize = 1024;

impl<'a> Context<'a> {
    /// A graph with nothing but its input.
    pub fn new(file: &'a File<'a>, input: &Input, warnings: Vec<String>) -> Self {
        let mut graph = Graph::new(input.shape);
        graph.nodes[0].quant = input.quant;
        let names = Names::new(&graph.nodes[0].name);
        Self {
            graph,
            batch: input.batch,
            file,
            values: HashMap::from([(
                input.tensor,
                Operand {
                    value: Value::Act(input.act.clone()),
                    kind: input.kind,
                    quant: input.quant,
                },
            )]),
            bounds: Bounds::default(),
            names,
            numbers: 0,
            channels: 0,
            wide_channels: 0,
            warnings,
        }
    }

    /// Imports operator `index` of the file.
    pub fn run(&mut self, index: usize) -> Result<(), ImportError> {
        let info = self.file.operator_info(index)?;
        let in_operator = |e: ImportError| e.node(format!("operator {index}")).op(&info.name);
        let outputs = self
            .file
            .optional_indices(info.table.outputs())
            .map_err(in_operator)?;
        let outputs: Vec<usize> = outputs.into_iter().flatten().collect();
        let Some(&first) = outputs.first() else {
            return Err(in_operator(
                ImportError::new("has no result").hint("the file is damaged"),
            ));
        };
        let result = self.file.tensor(first)?;
        let mut node = Node {
            name: result.name.clone(),
            code: info.code,
            table: info.table,
            inputs: vec![],
            outputs: outputs.len(),
            quant: None,
        };
        let values = self.apply(&info, &result, &mut node).map_err(|e| {
            if e.node.is_some() {
                return e;
            }
            let show = |o: &Option<Operand>| o.as_ref().map_or("-".into(), |o| o.value.show());
            let shapes: Vec<String> = node.inputs.iter().take(16).map(show).collect();
            let e = match &*node.name {
                "" => e.node(format!("operator {index}")),
                name => e.node(name),
            };
            e.op(&info.name).shapes(shapes.join(", "))
        })?;
        for (tensor, value) in outputs.into_iter().zip(values) {
            let info = self.file.tensor(tensor)?;
            let operand = Operand::new(value, info.kind, info.steps.as_deref())
                .map_err(|e| e.node(&info.name).op("tensor"))?;
            self.values.insert(tensor, operand);
        }
        Ok(())
    }

    /// Looks up the inputs of `node` and computes its results; the first one is the tensor `result`.
    fn apply(
        &mut self,
        info: &OperatorInfo<'a>,
        result: &TensorInfo,
        node: &mut Node<'a>,
    ) -> Result<Vec<Value<'a>>, ImportError> {
        let operands = self.file.optional_indices(info.table.inputs())?;
        if operands.len() > MAX_OPERANDS {
            return Err(
                ImportError::new(format!("{} inputs", operands.len())).hint("the file is damaged")
            );
        }
        for index in operands {
            node.inputs
                .push(index.map(|i| self.operand(i)).transpose()?);
        }
        ops::check(node.code)?;
        if let Some(first) = node.inputs.iter().flatten().find(|o| o.is_act())
            && node.code != BuiltinOperator::SHAPE
        {
            node.quant = of_activation(result.kind, result.steps.as_deref())?;
            check_types(node, first)?;
        }
        let mut values = ops::run(self, node)?;
        self.settle(node, &mut values)?;
        Ok(values)
    }

    /// Tensor `index` as an input.
    fn operand(&mut self, index: usize) -> Result<Operand<'a>, ImportError> {
        if let Some(known) = self.values.get(&index) {
            return Ok(known.clone());
        }
        let info = self.file.tensor(index)?;
        if !self.file.is_stored(index) {
            return Err(ImportError::new(format!(
                "reads '{}', which no operator before it computes",
                info.name
            ))
            .hint("the file is damaged, or keeps a state between runs, which is not supported"));
        }
        let kind = info.kind;
        let operand = Operand::new(Value::Stored(self.file.stored(info)?), kind, None)?;
        self.values.insert(index, operand.clone());
        Ok(operand)
    }

    /// Quantizes the result of an operator as the file says, also if the operator added no node.
    fn settle(&mut self, node: &Node, values: &mut [Value]) -> Result<(), ImportError> {
        let Some(quant) = node.quant else {
            return Ok(());
        };
        for value in values {
            let Value::Act(act) = value else { continue };
            if act.softmax {
                continue;
            }
            match self.graph.nodes[act.node].quant {
                Some(has) if same(has, quant) => {}
                has if node.code == BuiltinOperator::QUANTIZE => {
                    let values = self.bounds.of(&self.graph, act.node);
                    let clamp = clamp::after(values, ActivationFunctionType::NONE, Some(quant))?;
                    match clamp {
                        None if has.is_none() => self.graph.nodes[act.node].quant = Some(quant),
                        _ => {
                            let function = clamp.unwrap_or(Activation::None);
                            act.node = self.push(node, Op::Activation(function), &[act.node])?;
                        }
                    }
                }
                _ => {
                    return Err(ImportError::new(
                        "the operator copies integers, but its result has another quantization",
                    )
                    .hint("the file is damaged"));
                }
            }
        }
        Ok(())
    }

    /// Counts `n` numbers against the limit for all constants together.
    pub fn charge(&mut self, n: usize) -> Result<usize, ImportError> {
        if n > MAX_NUMBERS - self.numbers {
            return Err(
                ImportError::new("constants too large for any network for a device")
                    .hint("the file is damaged"),
            );
        }
        self.numbers += n;
        Ok(n)
    }

    /// Counts channels of quantized weights, and the ones that 8 bits cannot hold exactly.
    pub fn count_channels(&mut self, all: usize, wide: usize) {
        self.channels += all;
        self.wide_channels += wide;
    }

    /// Appends a node that computes `op`, quantized as the result of `node`.
    pub fn push(&mut self, node: &Node, op: Op, inputs: &[NodeId]) -> Result<NodeId, ImportError> {
        self.push_as(&node.name, node, op, inputs)
    }

    /// The same with a name of its own.
    pub fn push_as(
        &mut self,
        name: &str,
        node: &Node,
        op: Op,
        inputs: &[NodeId],
    ) -> Result<NodeId, ImportError> {
        let unique = self.names.unique(name);
        let id = self.graph.push(unique, op, inputs).map_err(|e| {
            ImportError::new(e.problem)
                .hint("the file is damaged, or the input size does not fit the network")
        })?;
        self.graph.nodes[id].quant = node.quant;
        Ok(id)
    }

    /// Appends `op` and its fused activation; the result has the dimensions `[1, H, W, C]`.
    pub fn push_image(
        &mut self,
        node: &Node,
        op: Op,
        input: &Act,
        fused: ActivationFunctionType,
    ) -> Result<Value<'a>, ImportError> {
        let id = self.push(node, op, &[input.node])?;
        let id = self.activate(node, id, fused)?;
        Ok(Value::Act(Act::image(id, self.graph.nodes[id].shape)))
    }

    /// Appends `op` and its fused activation, which keep shape and dimensions of `like`.
    pub fn push_like(
        &mut self,
        node: &Node,
        op: Op,
        inputs: &[NodeId],
        like: &Act,
        fused: ActivationFunctionType,
    ) -> Result<Value<'a>, ImportError> {
        let id = self.push(node, op, inputs)?;
        let node = self.activate(node, id, fused)?;
        Ok(Value::Act(Act {
            node,
            ..like.clone()
        }))
    }

    /// Appends `gamma * x + beta` per channel, and the fused activation.
    pub fn push_affine(
        &mut self,
        node: &Node,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        x: &Act,
        fused: ActivationFunctionType,
    ) -> Result<Value<'a>, ImportError> {
        let channels = gamma.len();
        let norm = BatchNorm {
            gamma,
            beta,
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
            epsilon: 0.0,
        };
        self.push_like(node, Op::BatchNorm(norm), &[x.node], x, fused)
    }

    /// Appends the activation of an operator, if it has one: the fused one, and the clamp that its
    /// quantization implies.
    pub fn activate(
        &mut self,
        node: &Node,
        id: NodeId,
        fused: ActivationFunctionType,
    ) -> Result<NodeId, ImportError> {
        let values = self.bounds.of(&self.graph, id);
        let Some(function) = clamp::after(values, fused, node.quant)? else {
            return Ok(id);
        };
        let name = format!("{}/activation", node.name);
        self.push_as(&name, node, Op::Activation(function), &[id])
    }

    /// The graph that computes tensor `output`, whether a softmax was left out, and the warnings.
    pub fn finish(mut self, output: usize) -> Result<(Graph, bool, Vec<String>), ImportError> {
        let name = self.file.tensor(output)?.name;
        let act = match self.values.remove(&output).map(|o| o.value) {
            Some(Value::Act(act)) => act,
            _ => {
                return Err(ImportError::new(format!(
                    "the output '{name}' is not computed from the input"
                ))
                .hint("the file is damaged"));
            }
        };
        if self.wide_channels > 0 {
            self.warnings.push(format!(
                "{} of {} output channels have weights beyond -127 to 127 and were rounded to 8 bits",
                self.wide_channels, self.channels
            ));
        }
        self.graph.output = act.node;
        Ok((
            codes_of_input(sweep(self.graph)),
            act.softmax,
            self.warnings,
        ))
    }
}
