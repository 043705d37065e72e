//! Filters and biases of convolutions, quantized ones with their steps.

use super::context::Context;
use super::node::Node;
use super::schema::TensorType;
use super::stored::Stored;
use crate::import::ImportError;

/// Largest weight, in steps, that int8 weights have.
const MAX_WEIGHT: i32 = 127;

/// Filters, one after the other.
pub struct Filters {
    /// Real values, output channel outermost.
    pub values: Vec<f32>,
    /// Of a quantized model: the file's step of each channel.
    stored_scales: Option<Vec<f32>>,
    /// Of a quantized model: the step of each channel, for int8 weights from -127 to 127.
    pub scales: Option<Vec<f32>>,
}

/// Where the output channels are.
#[derive(Clone, Copy, PartialEq)]
pub enum Outputs {
    /// First dimension: CONV_2D and FULLY_CONNECTED.
    First,
    /// Last dimension: DEPTHWISE_CONV_2D.
    Last,
}

impl Filters {
    /// Decodes weights that have `outputs` output channels.
    ///
    /// A channel of `q - zero_point` from -127 to 127 is kept exactly. Weights with a zero point can have 9
    /// bits; a channel that needs them gets a wider step, and the quantizer will round it. One warning
    /// says how many.
    pub fn read(
        context: &mut Context,
        stored: &Stored,
        place: Outputs,
        outputs: usize,
    ) -> Result<Self, ImportError> {
        let count = context.charge(stored.len())?;
        let per_channel = count.checked_div(outputs).unwrap_or(0);
        let from = |k: usize| match place {
            Outputs::First => k,
            Outputs::Last => k % per_channel * outputs + k / per_channel,
        };
        let (Some(integers), Some(steps)) = (stored.bytes_as_integers(), &stored.steps) else {
            if stored.bytes_as_integers().is_some() || stored.kind == TensorType::INT32 {
                return Err(
                    ImportError::new("integer weights without a scale").hint("the file is damaged")
                );
            }
            let reals = stored.reals()?;
            return Ok(Self {
                values: (0..count).map(|k| reals[from(k)]).collect(),
                stored_scales: None,
                scales: None,
            });
        };
        let axis = match place {
            Outputs::First => 0,
            Outputs::Last => stored.dims.len().saturating_sub(1),
        };
        if steps.scales.len() > 1 && steps.axis != axis {
            return Err(ImportError::new(format!(
                "weights quantized along dimension {}, not along the output channels",
                steps.axis
            ))
            .hint("the file is damaged, or quantized in a way of its own"));
        }
        let of = |o: usize| if steps.scales.len() == 1 { 0 } else { o };
        let integers: Vec<i32> = integers.collect();
        let stored_scales: Vec<f32> = (0..outputs).map(|o| steps.scales[of(o)]).collect();
        let mut scales = stored_scales.clone();
        let mut values = Vec::with_capacity(count);
        let mut wide = 0;
        for o in 0..outputs {
            let mut largest = 0;
            for k in o * per_channel..(o + 1) * per_channel {
                let weight = integers[from(k)] - steps.zero_points[of(o)];
                largest = largest.max(weight.abs());
                values.push(weight as f32 * stored_scales[o]);
            }
            if largest > MAX_WEIGHT {
                scales[o] *= largest as f32 / MAX_WEIGHT as f32;
                wide += 1;
            }
        }
        if !values.iter().chain(&scales).all(|v| v.is_finite()) {
            return Err(ImportError::new("weights that are not finite").hint("the file is damaged"));
        }
        context.count_channels(outputs, wide);
        Ok(Self {
            values,
            stored_scales: Some(stored_scales),
            scales: Some(scales),
        })
    }

    /// The bias in input `i` of `node`, zeros if it has none; one number per output channel.
    pub fn bias(
        &self,
        context: &mut Context,
        node: &Node,
        i: usize,
        outputs: usize,
    ) -> Result<Vec<f32>, ImportError> {
        context.charge(outputs)?;
        let Some(stored) = node.optional_stored(i)? else {
            return Ok(vec![0.0; outputs]);
        };
        if stored.len() != outputs {
            let n = stored.len();
            return Err(
                ImportError::new(format!("{n} biases for {outputs} outputs"))
                    .hint("the file is damaged"),
            );
        }
        let input = node.input(0)?.quant;
        let reals = match (stored.words(), input, &self.stored_scales) {
            (Some(words), Some(input), Some(scales)) => {
                let real = |(b, s): (&i32, &f32)| {
                    (f64::from(*b) * f64::from(input.scale) * f64::from(*s)) as f32
                };
                words.iter().zip(scales).map(real).collect()
            }
            (None, None, _) if stored.kind != TensorType::INT64 => stored.reals()?,
            _ => {
                return Err(ImportError::new(format!(
                    "a bias of {} does not go with this input and these weights",
                    stored.kind.variant_name().unwrap_or("an unknown type")
                ))
                .hint("the file is damaged, or quantized in a way of its own"));
            }
        };
        match reals.iter().all(|b: &f32| b.is_finite()) {
            true => Ok(reals),
            false => Err(ImportError::new("a bias that is not finite").hint("the file is damaged")),
        }
    }

    /// Fails unless weights and the input are quantized both or neither. Weights alone may be: TFLite then
    /// quantizes activations while it runs.
    pub fn check_input(&self, node: &Node) -> Result<(), ImportError> {
        if node.input(0)?.quant.is_some() && self.scales.is_none() {
            return Err(
                ImportError::new("float weights for a quantized input").hint("the file is damaged")
            );
        }
        Ok(())
    }
}
