//! One suite that every backend, every family of kernels and every emulated board must pass.
//!
//! It makes small networks, runs them on a [`Runtime`] and compares every element of every layer with a reference of
//! its own ([`mod@reference`]): bit for bit if int8, within a tolerance if float. A [`Failure`] names backend, operator,
//! the call that makes the case again, the first element that differs, and the fewest layers that still show it.
//!
//! ```
//! use edge_runtime::backend::EngineRuntime;
//! use edge_runtime::backend::conformance::{Case, Kind, check};
//! use edge_runtime::model::DType;
//!
//! for index in 0..20 {
//!     let case = Case::layer(Kind::Conv, DType::I8, index);
//!     check("engine", &EngineRuntime::new(), &case)?;
//! }
//! # Ok::<(), Box<edge_runtime::backend::conformance::Failure>>(())
//! ```
//!
//! Knows backends by their trait only. `tests/conformance/main.rs` has the list of those that it runs on.

mod cases;
mod failure;
mod layers;
mod network;
pub mod reference;

pub use cases::{Case, Data};
pub use failure::{Failure, Problem};
pub use layers::{Builder, Kind};
pub use network::{Network, Tensor};

use crate::backend::{BackendError, Runtime};
use crate::model::{DType, Layer, Model, Shape};
use reference::{Normative, Rules};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How far a float may be from the reference, as a part of the magnitude of what was added.
const TOLERANCE: f64 = 1e-5;

/// How far the same float may be on two ways through a network.
const DRIFT: f64 = 1e-4;

/// Everything that the suite runs for a type of elements: `layers` single layers of each [`Kind`], `networks` random
/// networks, and those made by hand.
pub fn cases(dtype: DType, layers: u32, networks: u32) -> impl Iterator<Item = Case> {
    let singles = move |kind| (0..layers).map(move |index| Case::layer(kind, dtype, index));
    let random = (0..networks).map(move |index| Case::network(dtype, index));
    let kinds = Kind::ALL.into_iter();
    kinds
        .flat_map(singles)
        .chain(random)
        .chain(Case::hand_made(dtype))
}

/// Runs one case on a backend; `name` is for the message.
///
/// # Errors
/// Says what is wrong and where.
pub fn check(name: &str, runtime: &dyn Runtime, case: &Case) -> Result<(), Box<Failure>> {
    check_by(&Normative, name, runtime, case)
}

/// As [`check`], with other rules for int8: to see that they are noticed.
///
/// # Errors
/// As [`check`].
pub fn check_by(
    rules: &dyn Rules,
    name: &str,
    runtime: &dyn Runtime,
    case: &Case,
) -> Result<(), Box<Failure>> {
    let Err(found) = compare(rules, runtime, &case.network, &case.inputs) else {
        return Ok(());
    };
    let (network, found) = shrink(rules, runtime, case, found);
    let file = network.file();
    let layers = match Model::parse(&file) {
        Ok(model) => model.layers().map(|l| describe(&l)).collect(),
        Err(error) => vec![error.to_string()],
    };
    Err(Box::new(Failure {
        backend: name.to_string(),
        operator: found.layer.map_or("", |layer| network.operator(layer)),
        case: format!("{}, input {}", case.name, found.input),
        problem: found.problem,
        layers,
    }))
}

/// The first thing that is wrong with a network.
struct Found {
    /// Which input.
    input: usize,
    /// Which layer, if it is one's fault.
    layer: Option<usize>,
    problem: Problem,
    /// What the backend gave before: the input and the outputs of the layers.
    tensors: Vec<Data>,
}

/// Drops layers as long as what remains is wrong as well: those behind the wrong one, and then those before it, as
/// many as possible.
fn shrink(rules: &dyn Rules, runtime: &dyn Runtime, case: &Case, found: Found) -> (Network, Found) {
    if let Some(last) = found.layer {
        for (input, values) in found.tensors.iter().enumerate().rev() {
            let Some(part) = case.network.part(input, last) else {
                continue;
            };
            let values = [values.clone()];
            if let Err(smaller) = compare(rules, runtime, &part, &values)
                && smaller.layer.is_some()
            {
                let input = found.input;
                return (part, Found { input, ..smaller });
            }
        }
    }
    (case.network.clone(), found)
}

fn compare(
    rules: &dyn Rules,
    runtime: &dyn Runtime,
    network: &Network,
    inputs: &[Data],
) -> Result<(), Found> {
    let file = network.file();
    let model = Model::parse(&file).expect("the suite makes good models");
    let fails = |input, problem| Found {
        input,
        layer: None,
        problem,
        tensors: vec![inputs[input].clone()],
    };
    let observed = guarded(|| observe(runtime, &model, inputs));
    let observed = observed.map_err(|(input, error)| {
        let layer = match &error {
            BackendError::Engine { layer, .. } => model.layers().position(|l| l.name == layer),
            _ => None,
        };
        let problem = Problem::Error(error.to_string());
        Found {
            layer,
            ..fails(input, problem)
        }
    })?;
    for (index, (layers, last)) in observed.iter().enumerate() {
        let mut tensors = vec![inputs[index].clone()];
        for (number, layer) in model.layers().enumerate() {
            let Some(got) = layers.get(number) else {
                let text = format!("the observer shows {} layers", layers.len());
                return Err(fails(index, Problem::Shape(text)));
            };
            if let Some(problem) = difference(rules, &model, &layer, &tensors, got) {
                return Err(Found {
                    input: index,
                    layer: Some(number),
                    problem,
                    tensors,
                });
            }
            tensors.push(got.clone());
        }
        let same = match (last, &tensors[tensors.len() - 1]) {
            (Data::F32(a), Data::F32(b)) => near(a, b),
            (a, b) => a == b,
        };
        if !same {
            let layer = Some(tensors.len() - 2);
            return Err(Found {
                layer,
                ..fails(index, Problem::Session)
            });
        }
    }
    Ok(())
}

/// A panic as an error.
fn guarded<T>(
    f: impl FnOnce() -> Result<T, (usize, BackendError)>,
) -> Result<T, (usize, BackendError)> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        let error = BackendError::Engine {
            backend: "",
            layer: String::new(),
            why: format!("it panics: {}", text.unwrap_or_default()),
        };
        Err((0, error))
    })
}

/// The outputs of all layers, and what a session that shows nothing gives.
type Outputs = (Vec<Data>, Data);

/// The outputs for every input; an error comes with the input's index.
fn observe(
    runtime: &dyn Runtime,
    model: &Model<'_>,
    inputs: &[Data],
) -> Result<Vec<Outputs>, (usize, BackendError)> {
    let first = |e| (0, e);
    let prepared = runtime.prepare(model).map_err(first)?;
    let mut observer = prepared.clone().observer().map_err(first)?;
    let mut session = prepared.session().map_err(first)?;
    let mut observed = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let here = |e| (index, e);
        let mut layers = Vec::new();
        let mut show = |layer: usize, values: crate::backend::Values<'_>| {
            // A layer out of order leaves a gap, which is noticed.
            if layer == layers.len() {
                layers.push(Data::of(values));
            }
        };
        observer.run(input.values(), &mut show).map_err(here)?;
        let last = session.run(input.values()).map_err(here)?;
        observed.push((layers, Data::of(last)));
    }
    Ok(observed)
}

/// What is wrong with a layer's output, given all tensors before it.
fn difference(
    rules: &dyn Rules,
    model: &Model<'_>,
    layer: &Layer<'_>,
    tensors: &[Data],
    got: &Data,
) -> Option<Problem> {
    let read = layer.inputs.iter().map(|i| &tensors[i.tensor as usize]);
    let shape = layer.output.shape;
    match got {
        Data::I8(got) => {
            let inputs: Vec<&[i8]> = read.filter_map(Data::as_i8).collect();
            if inputs.len() != layer.inputs.len() {
                return Some(Problem::Shape("int8 values of a float layer".into()));
            }
            let expected = reference::int8::layer(model, layer, &inputs, rules);
            let differs = |(got, expected): (&i8, &i8)| got != expected;
            let number = |q: &i8| *q as f64;
            first(shape, got, &expected, differs, number, number)
        }
        Data::F32(got) => {
            let inputs: Vec<&[f32]> = read.filter_map(Data::as_f32).collect();
            if inputs.len() != layer.inputs.len() {
                return Some(Problem::Shape("float values of an int8 layer".into()));
            }
            let expected = reference::float::layer(model, layer, &inputs);
            let differs = |(got, e): (&f32, &reference::float::Expected)| {
                let error = (*got as f64 - e.value).abs();
                error.is_nan() || error > TOLERANCE * (1.0 + e.magnitude)
            };
            first(shape, got, &expected, differs, |v| *v as f64, |e| e.value)
        }
    }
}

fn first<G, E>(
    shape: Shape,
    got: &[G],
    expected: &[E],
    differs: impl Fn((&G, &E)) -> bool,
    got_number: impl Fn(&G) -> f64,
    expected_number: impl Fn(&E) -> f64,
) -> Option<Problem> {
    if got.len() != expected.len() {
        let text = format!("{} elements instead of {}", got.len(), expected.len());
        return Some(Problem::Shape(text));
    }
    let wrong = |i: &usize| differs((&got[*i], &expected[*i]));
    let at = (0..got.len()).find(wrong)?;
    let (pixel, c) = (at / shape.c as usize, at % shape.c as usize);
    Some(Problem::Value {
        element: [pixel / shape.w as usize, pixel % shape.w as usize, c],
        got: got_number(&got[at]),
        expected: expected_number(&expected[at]),
        differing: [(0..got.len()).filter(wrong).count(), got.len()],
    })
}

fn near(a: &[f32], b: &[f32]) -> bool {
    let largest = b.iter().fold(1f32, |m, v| m.max(v.abs()));
    let close = |(a, b): (&f32, &f32)| ((a - b).abs() as f64) <= DRIFT * largest as f64;
    a.len() == b.len() && a.iter().zip(b).all(close)
}

/// A layer in one line.
fn describe(layer: &Layer<'_>) -> String {
    let tensor = |o: &crate::model::Operand| {
        format!(
            "tensor {} {} zero point {}",
            o.tensor, o.shape, o.quant.zero_point
        )
    };
    let inputs: Vec<String> = layer.inputs.iter().map(tensor).collect();
    format!(
        "{:?}: {} -> {}",
        layer.op,
        inputs.join(", "),
        tensor(&layer.output)
    )
}
