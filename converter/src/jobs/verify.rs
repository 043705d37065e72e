//! Checks that all backends compute the same bits: runs the same inputs on several of them and compares the
//! output of every layer. Boards have no room for whole outputs, so checksums are compared with them.

use edge_runtime::backend::{BackendError, Observer, Values};
use edge_runtime::model::{DType, Model};
use sha2::{Digest, Sha256};

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The model is float, and float results differ from machine to machine.
    #[error(
        "only int8 models give the same bits everywhere, and this one is float; convert it with --int8"
    )]
    FloatModel,
    /// There is only one backend, and nothing to compare it with.
    #[error("verify compares at least two backends; name them, e.g. --on engine,tract")]
    OneBackend,
}

/// The first value that differs between two backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Names of the two backends.
    pub backends: [&'static str; 2],
    /// Index of the input.
    pub input: usize,
    /// Index of the layer.
    pub layer: usize,
    /// Its name.
    pub name: String,
    /// Its operator.
    pub op: &'static str,
    /// Index of the element in the layer's NHWC output.
    pub element: usize,
    /// Its value on either backend.
    pub values: [i8; 2],
    /// How many elements of this layer differ.
    pub count: usize,
    /// How many elements it has.
    pub elements: usize,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b] = self.backends;
        write!(
            f,
            "layer {} '{}' ({}) differs on input {}: element {} is {} on {a} and {} on {b}; {} of {} elements differ",
            self.layer,
            self.name,
            self.op,
            self.input,
            self.element,
            self.values[0],
            self.values[1],
            self.count,
            self.elements
        )
    }
}

/// How much was compared, if nothing differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of values on each backend.
    pub values: u64,
}

/// Runs one input on every backend. The result is the number of values that were compared, or the first
/// difference from the first backend. `index` is the number of the input in that difference.
pub fn verify_one(
    model: &Model<'_>,
    backends: &mut [Box<dyn Observer + '_>],
    index: usize,
    input: &[i8],
) -> Result<Result<u64, Difference>, VerifyError> {
    if model.dtype() != DType::I8 {
        return Err(VerifyError::FloatModel);
    }
    let Some((reference, others @ [_, ..])) = backends.split_first_mut() else {
        return Err(VerifyError::OneBackend);
    };
    let mut expected: Vec<Vec<i8>> = Vec::new();
    reference.run(Values::I8(input), &mut |_, values| {
        if let Values::I8(values) = values {
            expected.push(values.to_vec());
        }
    })?;
    for other in others {
        let mut first: Option<Difference> = None;
        let mut seen = 0;
        let names = [reference.backend(), other.backend()];
        other.run(Values::I8(input), &mut |layer, values| {
            seen += 1;
            let (Values::I8(got), None) = (values, &first) else {
                return;
            };
            let want = expected.get(layer).map_or(&[][..], |v| &v[..]);
            first = difference(want, got).map(|(element, values, count)| {
                let (name, op) = model
                    .layers()
                    .nth(layer)
                    .map_or(("", ""), |l| (l.name, l.op.name()));
                Difference {
                    backends: names,
                    input: index,
                    layer,
                    name: name.into(),
                    op,
                    element,
                    values,
                    count,
                    elements: want.len(),
                }
            });
        })?;
        if let Some(difference) = first {
            return Ok(Err(difference));
        }
        if seen != expected.len() {
            return Err(VerifyError::Backend(BackendError::Engine {
                backend: names[1],
                layer: String::new(),
                why: format!(
                    "showed {seen} layers where {} has {}",
                    names[0],
                    expected.len()
                ),
            }));
        }
    }
    Ok(Ok(expected.iter().map(|v| v.len() as u64).sum()))
}

/// SHA-256 of values, as a device has them in memory.
pub type Checksum = [u8; 32];

/// Checksums of all that one inference computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Of each layer's output, in the file's order.
    pub layers: Vec<Checksum>,
    /// Of the head's feature vector and of its logits, if the model has a head.
    pub head: Option<[Checksum; 2]>,
}

/// Runs one input on a backend and makes the checksums.
///
/// # Errors
/// If the model is float or the backend fails.
pub fn trace(
    model: &Model<'_>,
    backend: &mut dyn Observer,
    input: &[i8],
) -> Result<Trace, VerifyError> {
    if model.dtype() != DType::I8 {
        return Err(VerifyError::FloatModel);
    }
    let mut trace = Trace::default();
    let mut map = vec![];
    backend.run(Values::I8(input), &mut |_, values| {
        if let Values::I8(values) = values {
            trace
                .layers
                .push(checksum(values.iter().map(|q| [*q as u8])));
            map.clear();
            map.extend_from_slice(values);
        }
    })?;
    trace.head = model.head().map(|head| {
        let (mut feature, mut logits) = (vec![0; head.features()], vec![0.0; head.classes()]);
        head.feature(&map, &mut feature);
        head.logits(&feature, &mut logits);
        [
            checksum(feature.iter().map(|q| [*q as u8])),
            checksum(logits.iter().map(|l| l.to_le_bytes())),
        ]
    });
    Ok(trace)
}

fn checksum<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> Checksum {
    let bytes: Vec<u8> = values.flatten().collect();
    Sha256::digest(bytes).into()
}

/// The first part of an inference that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A layer's output.
    Layer {
        /// Its index.
        index: usize,
        /// Its name.
        name: String,
        /// Its operator.
        op: &'static str,
    },
    /// The feature vector.
    Feature,
    /// The logits.
    Logits,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Layer { index, name, op } => write!(f, "layer {index} '{name}' ({op})"),
            Self::Feature => f.write_str("the head's feature vector"),
            Self::Logits => f.write_str("the head's logits"),
        }
    }
}

/// Where two inferences of a model differ first. A part that only one of them has differs.
pub fn first_difference(model: &Model<'_>, expected: &Trace, got: &Trace) -> Option<Place> {
    let layers = expected.layers.len().max(got.layers.len());
    let differs = |i: &usize| expected.layers.get(*i) != got.layers.get(*i);
    if let Some(index) = (0..layers).find(differs) {
        let layer = model.layers().nth(index);
        let (name, op) = layer.map_or(("", ""), |l| (l.name, l.op.name()));
        return Some(Place::Layer {
            index,
            name: name.into(),
            op,
        });
    }
    match (expected.head, got.head) {
        (a, b) if a == b => None,
        (Some([a, _]), Some([b, _])) if a == b => Some(Place::Logits),
        _ => Some(Place::Feature),
    }
}

/// The first element that differs, its two values, and how many elements differ. A missing element counts as
/// 0.
fn difference(want: &[i8], got: &[i8]) -> Option<(usize, [i8; 2], usize)> {
    if want == got {
        return None;
    }
    let at = |v: &[i8], i: usize| v.get(i).copied().unwrap_or(0);
    let len = want.len().max(got.len());
    let mut unequal = (0..len).filter(|&i| want.get(i) != got.get(i));
    let first = unequal.next()?;
    Some((
        first,
        [at(want, first), at(got, first)],
        1 + unequal.count(),
    ))
}
