//! Constant tensors: decoding from `TensorProto`, and access for folding.

use super::external::External;
use super::pb::{TensorProto, tensor_proto::DataType};
use crate::import::ImportError;
pub use crate::import::dims::{elements, show};
use crate::import::values::{bf16_to_f32, chunks, f16_to_f32};
use std::rc::Rc;

/// A constant, row-major in ONNX's order of dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions; their product is the number of elements.
    pub dims: Vec<usize>,
    /// Elements, shared with reshaped copies.
    pub data: Data,
    /// Type of the elements in the file.
    pub kind: DataType,
    /// The scales, if the constant was dequantized.
    pub steps: Option<Rc<Steps>>,
}

/// Scales of a dequantized constant: each element is a whole multiple of its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// The dimension that `scales` runs along.
    pub axis: usize,
    /// One per index of that dimension, or one for all elements; finite and positive.
    pub scales: Vec<f32>,
}

/// Elements of a constant. Every ONNX type becomes one of these two.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats of any width.
    Float(Rc<Vec<f32>>),
    /// Integers of any width, and booleans.
    Int(Rc<Vec<i64>>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float(v) => v.len(),
            Data::Int(v) => v.len(),
        }
    }
}

impl Steps {
    /// The scales after a reshape from `old` to `new`; `None` if no dimension of `new` is the one they run
    /// along.
    fn moved(self: &Rc<Self>, old: &[usize], new: &[usize]) -> Option<Rc<Self>> {
        if self.scales.len() == 1 {
            return Some(self.clone());
        }
        let outer: usize = old[..self.axis].iter().product();
        let mut before = 1;
        for (axis, &d) in new.iter().enumerate() {
            if before == outer && d == self.scales.len() {
                return Some(Rc::new(Self {
                    axis,
                    scales: self.scales.clone(),
                }));
            }
            before *= d;
        }
        None
    }
}

impl Tensor {
    /// A tensor of floats. `data` must have as many elements as `dims`.
    pub fn float(dims: Vec<usize>, data: Vec<f32>) -> Self {
        debug_assert_eq!(elements(&dims), Some(data.len()));
        Self {
            dims,
            data: Data::Float(Rc::new(data)),
            kind: DataType::Float,
            steps: None,
        }
    }

    /// A tensor of integers. `data` must have as many elements as `dims`.
    pub fn int(dims: Vec<usize>, data: Vec<i64>) -> Self {
        debug_assert_eq!(elements(&dims), Some(data.len()));
        Self {
            dims,
            data: Data::Int(Rc::new(data)),
            kind: DataType::Int64,
            steps: None,
        }
    }

    /// The same elements with other dimensions; `None` if their number differs.
    pub fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        (elements(&dims) == Some(self.data.len())).then(|| Self {
            steps: self.steps.as_ref().and_then(|s| s.moved(&self.dims, &dims)),
            dims,
            data: self.data.clone(),
            kind: self.kind,
        })
    }

    /// The elements as floats; fails for integers and if one is not finite.
    pub fn floats(&self) -> Result<Rc<Vec<f32>>, ImportError> {
        match &self.data {
            Data::Float(v) if v.iter().all(|x| x.is_finite()) => Ok(v.clone()),
            Data::Float(_) => Err(ImportError::new("a constant holds an infinity or NaN")
                .hint("the training diverged or the file is damaged")),
            Data::Int(_) => Err(ImportError::new(
                "a constant of integers where floats are needed",
            )),
        }
    }

    /// The elements as integers; fails for floats.
    pub fn ints(&self) -> Result<&[i64], ImportError> {
        match &self.data {
            Data::Int(v) => Ok(v),
            Data::Float(_) => Err(ImportError::new(
                "a constant of floats where integers are needed",
            )),
        }
    }

    /// The element of a tensor that has one.
    pub fn scalar(&self) -> Option<f32> {
        match &self.data {
            Data::Float(v) if v.len() == 1 => Some(v[0]),
            Data::Int(v) if v.len() == 1 => Some(v[0] as f32),
            _ => None,
        }
    }

    /// Decodes a constant of the file.
    pub fn decode(proto: TensorProto, external: &External) -> Result<Self, ImportError> {
        let name = proto.name.clone();
        decode(proto, external).map_err(|e| e.node(name))
    }
}

fn decode(mut proto: TensorProto, external: &External) -> Result<Tensor, ImportError> {
    let dims: Option<Vec<usize>> = proto
        .dims
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect();
    let dims = dims.filter(|d| elements(d).is_some());
    let dims =
        dims.ok_or_else(|| ImportError::new(format!("impossible dimensions {:?}", proto.dims)))?;
    let kind = DataType::try_from(proto.data_type).unwrap_or(DataType::Undefined);
    if proto.data_location == Some(1) {
        proto.raw_data = external.read(&proto.external_data)?;
    }
    let raw = std::mem::take(&mut proto.raw_data);
    let ints32 = std::mem::take(&mut proto.int32_data);
    let float = |v: Vec<f32>| Ok(Data::Float(Rc::new(v)));
    let int = |v: Vec<i64>| Ok(Data::Int(Rc::new(v)));
    let wide = |v: Vec<i32>| v.into_iter().map(i64::from).collect();
    let data = match kind {
        DataType::Float if raw.is_empty() => float(std::mem::take(&mut proto.float_data)),
        DataType::Float => whole(&raw, 4).and_then(|r| float(chunks(r, f32::from_le_bytes))),
        DataType::Double if raw.is_empty() => {
            float(proto.double_data.iter().map(|&v| v as f32).collect())
        }
        DataType::Double => {
            whole(&raw, 8).and_then(|r| float(chunks(r, |b| f64::from_le_bytes(b) as f32)))
        }
        DataType::Float16 if raw.is_empty() => {
            float(ints32.iter().map(|&v| f16_to_f32(v as u16)).collect())
        }
        DataType::Float16 => {
            whole(&raw, 2).and_then(|r| float(chunks(r, |b| f16_to_f32(u16::from_le_bytes(b)))))
        }
        DataType::Bfloat16 if raw.is_empty() => {
            float(ints32.iter().map(|&v| bf16_to_f32(v as u16)).collect())
        }
        DataType::Bfloat16 => {
            whole(&raw, 2).and_then(|r| float(chunks(r, |b| bf16_to_f32(u16::from_le_bytes(b)))))
        }
        DataType::Int64 if raw.is_empty() => int(std::mem::take(&mut proto.int64_data)),
        DataType::Int64 => whole(&raw, 8).and_then(|r| int(chunks(r, i64::from_le_bytes))),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint8 | DataType::Bool
            if raw.is_empty() =>
        {
            int(wide(ints32))
        }
        DataType::Int32 => {
            whole(&raw, 4).and_then(|r| int(chunks(r, |b| i32::from_le_bytes(b).into())))
        }
        DataType::Int16 => {
            whole(&raw, 2).and_then(|r| int(chunks(r, |b| i16::from_le_bytes(b).into())))
        }
        DataType::Int8 => int(raw.iter().map(|&b| (b as i8).into()).collect()),
        DataType::Uint8 | DataType::Bool => int(raw.iter().map(|&b| b.into()).collect()),
        other => Err(ImportError::new(format!(
            "a constant of type {}, which is not supported",
            other.as_str_name()
        ))
        .hint("export the model with float weights")),
    }?;
    if elements(&dims) != Some(data.len()) {
        return Err(ImportError::new(format!(
            "{} elements for dimensions {}",
            data.len(),
            show(&dims)
        ))
        .hint("the file is damaged"));
    }
    Ok(Tensor {
        dims,
        data,
        kind,
        steps: None,
    })
}

fn whole(raw: &[u8], size: usize) -> Result<&[u8], ImportError> {
    if raw.len().is_multiple_of(size) {
        return Ok(raw);
    }
    Err(ImportError::new(format!(
        "{} bytes do not divide into numbers of {size}",
        raw.len()
    ))
    .hint("the file is damaged"))
}
