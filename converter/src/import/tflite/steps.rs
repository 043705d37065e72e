//! Quantization in the file: `real = scale * (q - zero_point)`, per tensor or per channel.

use super::schema::{QuantizationDetails, QuantizationParameters, TensorType};
use crate::graph::Quant;
use crate::import::ImportError;

/// Scales and zero points of a tensor, one zero point per scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// Scales; finite and positive.
    pub scales: Vec<f32>,
    /// Zero points, from -128 to 255.
    pub zero_points: Vec<i32>,
    /// The dimension that they run along, if there is more than one.
    pub axis: usize,
}

impl Steps {
    /// Reads the table. `None` if it is empty, as it often is for float tensors.
    pub fn read(table: QuantizationParameters) -> Result<Option<Self>, ImportError> {
        let damaged = |problem: String| ImportError::new(problem).hint("the file is damaged");
        if table.details_type() != QuantizationDetails::NONE {
            return Err(ImportError::new("a custom quantization is not supported")
                .hint("convert the model again with the standard quantization"));
        }
        let scales: Vec<f32> = match table.scale() {
            Some(s) if !s.is_empty() => s.iter().collect(),
            _ => return Ok(None),
        };
        if let Some(bad) = scales.iter().find(|s| !s.is_finite() || **s <= 0.0) {
            return Err(damaged(format!("a scale of {bad}")));
        }
        let given: Vec<i64> = table.zero_point().map_or(vec![], |z| z.iter().collect());
        let mut zero_points = vec![];
        for &z in &given {
            match i32::try_from(z) {
                Ok(z) if (-128..=255).contains(&z) => zero_points.push(z),
                _ => return Err(damaged(format!("a zero point of {z}"))),
            }
        }
        match zero_points[..] {
            [] => zero_points = vec![0; scales.len()],
            [one] => zero_points = vec![one; scales.len()],
            _ if zero_points.len() != scales.len() => {
                let (z, s) = (zero_points.len(), scales.len());
                return Err(damaged(format!("{z} zero points for {s} scales")));
            }
            _ => {}
        }
        let axis = usize::try_from(table.quantized_dimension()).map_err(|_| {
            damaged(format!(
                "quantized dimension {}",
                table.quantized_dimension()
            ))
        })?;
        Ok(Some(Self {
            scales,
            zero_points,
            axis,
        }))
    }

    /// The only scale and zero point.
    pub fn single(&self) -> Option<(f32, i32)> {
        match (&self.scales[..], &self.zero_points[..]) {
            (&[scale], &[zero_point]) => Some((scale, zero_point)),
            _ => None,
        }
    }
}

/// Quantization of an activation of type `kind` as int8; the zero point of uint8 becomes 128 less.
///
/// `None` for float. Other types are errors.
pub fn of_activation(
    kind: TensorType,
    steps: Option<&Steps>,
) -> Result<Option<Quant>, ImportError> {
    let shift = match kind {
        TensorType::FLOAT32 => return Ok(None),
        TensorType::INT8 => 0,
        TensorType::UINT8 => 128,
        TensorType::INT16 => {
            return Err(ImportError::new("16-bit activations are not supported")
                .hint("convert the model again with int8 activations"));
        }
        other => {
            let name = other.variant_name().unwrap_or("an unknown type");
            return Err(
                ImportError::new(format!("activations of {name} are not supported"))
                    .hint("float32, int8 and uint8 are"),
            );
        }
    };
    let Some((scale, zero_point)) = steps.and_then(Steps::single) else {
        return Err(
            ImportError::new("8-bit activations without one scale for the whole tensor")
                .hint("the file is damaged, or quantized in a way of its own"),
        );
    };
    let zero_point = i8::try_from(zero_point - shift).map_err(|_| {
        ImportError::new(format!("a zero point of {zero_point}")).hint("the file is damaged")
    })?;
    Ok(Some(Quant { scale, zero_point }))
}

/// True if both quantizations are the same, up to the rounding of float32.
pub fn same(a: Quant, b: Quant) -> bool {
    a.zero_point == b.zero_point && (a.scale - b.scale).abs() <= 1e-5 * a.scale
}
