//! An operator with its inputs looked up, and checked access to them for handlers.

use super::schema::{BuiltinOperator, Operator, TensorType};
use super::steps::{Steps, of_activation};
use super::stored::Stored;
use super::value::{Act, List, Value};
use crate::graph::Quant;
use crate::import::ImportError;

/// A tensor that an operator reads.
#[derive(Clone)]
pub struct Operand<'a> {
    /// Its value.
    pub value: Value<'a>,
    /// The type that the file declares.
    pub kind: TensorType,
    /// Quantization, if it is an activation of 8 bits.
    pub quant: Option<Quant>,
}

impl<'a> Operand<'a> {
    /// `value` as a tensor of type `kind`.
    pub fn new(
        value: Value<'a>,
        kind: TensorType,
        steps: Option<&Steps>,
    ) -> Result<Self, ImportError> {
        let quant = match value {
            Value::Act(_) => of_activation(kind, steps)?,
            _ => None,
        };
        Ok(Self { value, kind, quant })
    }

    /// True if it is computed from the network's input.
    pub fn is_act(&self) -> bool {
        matches!(self.value, Value::Act(_))
    }
}

/// An operator of the file with its inputs looked up.
pub struct Node<'a> {
    /// Name of its first result.
    pub name: String,
    /// The operator.
    pub code: BuiltinOperator,
    /// Its table.
    pub table: Operator<'a>,
    /// Inputs; `None` where an optional one is left out.
    pub inputs: Vec<Option<Operand<'a>>>,
    /// Number of results.
    pub outputs: usize,
    /// Quantization of the first result, if it is of 8 bits.
    pub quant: Option<Quant>,
}

impl<'a> Node<'a> {
    /// Input `i`, if it is given.
    pub fn optional(&self, i: usize) -> Option<&Operand<'a>> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Result<&Operand<'a>, ImportError> {
        self.optional(i).ok_or_else(|| {
            ImportError::new(format!("input {i} is missing")).hint("the file is damaged")
        })
    }

    /// Input `i`, an activation.
    pub fn act(&self, i: usize) -> Result<&Act, ImportError> {
        match &self.input(i)?.value {
            Value::Act(act) if act.softmax => {
                Err(ImportError::new("a softmax before other operators")
                    .hint("only a softmax at the end is supported"))
            }
            Value::Act(act) => Ok(act),
            _ => Err(ImportError::new(format!("input {i} is a constant"))
                .hint("the converter that wrote the file should have folded this operator")),
        }
    }

    /// Input `i`, an activation of dimensions `[1, H, W, C]`.
    pub fn image(&self, i: usize) -> Result<&Act, ImportError> {
        let act = self.act(i)?;
        if act.is_image() {
            return Ok(act);
        }
        Err(ImportError::new(format!(
            "input {i} is not a feature map of dimensions 1xHxWxC (it is a {} map)",
            act.shape
        ))
        .hint("only two-dimensional networks are supported"))
    }

    /// Input `i`, a constant of the file, if it is given.
    pub fn optional_stored(&self, i: usize) -> Result<Option<&Stored<'a>>, ImportError> {
        match self.optional(i).map(|o| &o.value) {
            None => Ok(None),
            Some(Value::Stored(stored)) => Ok(Some(stored)),
            Some(_) => Err(ImportError::new(format!("input {i} is computed"))
                .hint("only constants are supported there")),
        }
    }

    /// Input `i`, a constant of the file.
    pub fn stored(&self, i: usize) -> Result<&Stored<'a>, ImportError> {
        self.input(i)?;
        self.optional_stored(i)?
            .ok_or_else(|| ImportError::new(format!("input {i} is missing")))
    }

    /// Input `i`, a short list of integers, constant or computed from shapes.
    pub fn list(&self, i: usize) -> Result<Vec<i64>, ImportError> {
        match &self.input(i)?.value {
            Value::Stored(stored) => stored.list(),
            Value::List(List { values, .. }) => Ok(values.clone()),
            Value::Act(_) => Err(ImportError::new(format!(
                "input {i} is computed from the network's input"
            ))
            .hint("only constants are supported there")),
        }
    }
}

/// The options of an operator; an error if it has none of its kind.
pub fn required<T>(options: Option<T>) -> Result<T, ImportError> {
    options
        .ok_or_else(|| ImportError::new("has no options of its kind").hint("the file is damaged"))
}

/// Checks that an operator reads and writes either quantized values or floats. Only QUANTIZE, DEQUANTIZE and
/// CAST convert between them.
pub fn check_types(node: &Node, first: &Operand) -> Result<(), ImportError> {
    let converts = matches!(
        node.code,
        BuiltinOperator::QUANTIZE | BuiltinOperator::DEQUANTIZE
    );
    let pixels = |o: &Operand| o.is_act() && o.quant.is_none() && o.kind != TensorType::FLOAT32;
    if node.inputs.iter().flatten().any(pixels) && node.code != BuiltinOperator::CAST {
        return Err(ImportError::new(
            "reads 8-bit activations without one scale for the whole tensor",
        )
        .hint("the file is damaged, or quantized in a way of its own"));
    }
    let alike = |o: &Operand| !o.is_act() || o.quant.is_some() == first.quant.is_some();
    let all = node.inputs.iter().flatten().all(alike);
    if all && (converts || first.quant.is_some() == node.quant.is_some()) {
        return Ok(());
    }
    Err(
        ImportError::new("reads and writes activations of float and of 8 bits at once")
            .hint("the file is damaged"),
    )
}
