//! Constants of the file. They stay bytes until an operator asks for numbers.

use super::schema::TensorType;
use super::steps::Steps;
use crate::import::ImportError;
use crate::import::dims::elements;
use crate::import::values::{bf16_to_f32, chunks, f16_to_f32};
use std::rc::Rc;

/// Most elements of a list, such as a shape or a list of axes.
const MAX_LIST: usize = 4096;

/// A constant, row-major.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    /// Dimensions; their product is the number of elements.
    pub dims: Vec<usize>,
    /// Type of the elements.
    pub kind: TensorType,
    /// Little-endian elements, exactly as many as `dims` say.
    bytes: &'a [u8],
    /// Quantization. Per channel, it has one scale per index of its dimension.
    pub steps: Option<Rc<Steps>>,
}

/// Bytes of an element.
fn size(kind: TensorType) -> Option<usize> {
    Some(match kind {
        TensorType::INT8 | TensorType::UINT8 | TensorType::BOOL => 1,
        TensorType::INT16 | TensorType::FLOAT16 | BFLOAT16 => 2,
        TensorType::INT32 | TensorType::FLOAT32 => 4,
        TensorType::INT64 | TensorType::FLOAT64 => 8,
        _ => return None,
    })
}

/// A type that the schema here does not have yet.
const BFLOAT16: TensorType = TensorType(18);

impl<'a> Stored<'a> {
    /// A constant; an error if the number of `bytes` does not fit `dims` and `kind`.
    pub fn new(
        dims: Vec<usize>,
        kind: TensorType,
        bytes: &'a [u8],
        steps: Option<Rc<Steps>>,
    ) -> Result<Self, ImportError> {
        let Some(size) = size(kind) else {
            let name = kind.variant_name().unwrap_or("an unknown type");
            return Err(
                ImportError::new(format!("constants of {name} are not supported"))
                    .hint("convert the model again with float or int8 weights"),
            );
        };
        let expected = elements(&dims).and_then(|n| n.checked_mul(size));
        if expected != Some(bytes.len()) {
            let (n, shape) = (bytes.len(), crate::import::dims::show(&dims));
            return Err(
                ImportError::new(format!("{n} bytes for {shape} elements of {size}"))
                    .hint("the file is truncated or damaged"),
            );
        }
        if let Some(s) = &steps
            && s.scales.len() > 1
            && dims.get(s.axis) != Some(&s.scales.len())
        {
            let (n, axis) = (s.scales.len(), s.axis);
            return Err(
                ImportError::new(format!("{n} scales along dimension {axis}"))
                    .hint("the file is damaged"),
            );
        }
        Ok(Self {
            dims,
            kind,
            bytes,
            steps,
        })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / size(self.kind).unwrap_or(1)
    }

    /// The elements as they are stored, if they are 8-bit integers.
    pub fn bytes_as_integers(&self) -> Option<impl Iterator<Item = i32> + use<'a>> {
        let signed = match self.kind {
            TensorType::INT8 => true,
            TensorType::UINT8 => false,
            _ => return None,
        };
        let read = move |&b: &u8| if signed { (b as i8).into() } else { b.into() };
        Some(self.bytes.iter().map(read))
    }

    /// The elements as they are stored, if they are 32-bit integers.
    pub fn words(&self) -> Option<Vec<i32>> {
        (self.kind == TensorType::INT32).then(|| chunks(self.bytes, i32::from_le_bytes))
    }

    /// A short list of integers: a shape, axes.
    pub fn list(&self) -> Result<Vec<i64>, ImportError> {
        if self.len() > MAX_LIST {
            return Err(ImportError::new(format!(
                "{} elements where a few are expected",
                self.len()
            ))
            .hint("the file is damaged"));
        }
        match self.kind {
            TensorType::INT32 => Ok(chunks(self.bytes, |b| i32::from_le_bytes(b).into())),
            TensorType::INT64 => Ok(chunks(self.bytes, i64::from_le_bytes)),
            _ => Err(ImportError::new(
                "a constant of other than 32- or 64-bit integers where integers are needed",
            )
            .hint("the file is damaged")),
        }
    }

    /// The elements as real numbers, dequantized; an error if one is not finite.
    pub fn reals(&self) -> Result<Vec<f32>, ImportError> {
        let values = match self.kind {
            TensorType::FLOAT32 => chunks(self.bytes, f32::from_le_bytes),
            TensorType::FLOAT16 => chunks(self.bytes, |b| f16_to_f32(u16::from_le_bytes(b))),
            BFLOAT16 => chunks(self.bytes, |b| bf16_to_f32(u16::from_le_bytes(b))),
            TensorType::FLOAT64 => chunks(self.bytes, |b| f64::from_le_bytes(b) as f32),
            _ => self.dequantized()?,
        };
        if values.iter().all(|v| v.is_finite()) {
            return Ok(values);
        }
        Err(ImportError::new("a constant holds an infinity or NaN")
            .hint("the training diverged or the file is damaged"))
    }

    fn dequantized(&self) -> Result<Vec<f32>, ImportError> {
        let (Some(integers), Some(steps)) = (self.bytes_as_integers(), &self.steps) else {
            return Err(ImportError::new(
                "a constant of integers without a scale where real numbers are needed",
            ));
        };
        let channel = self.channel_of();
        let real = |(i, q): (usize, i32)| {
            let c = channel(i);
            (q - steps.zero_points[c]) as f32 * steps.scales[c]
        };
        Ok(integers.enumerate().map(real).collect())
    }

    /// Index of the scale of element `i`.
    pub fn channel_of(&self) -> impl Fn(usize) -> usize + use<> {
        let (axis, count) = match &self.steps {
            Some(s) => (s.axis, s.scales.len()),
            None => (0, 1),
        };
        let inner: usize = self.dims.iter().skip(axis + 1).product();
        // Without elements this is never called.
        let inner = inner.max(1);
        move |i| if count == 1 { 0 } else { i / inner % count }
    }
}
