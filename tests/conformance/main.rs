//! Every backend and every family of kernels against the reference, on the cases of the conformance suite; and
//! mistakes made on purpose, which it must find.
//!
//! A new backend is a line in [`backends`]. Emulated Cortex-M are in `conformance_qemu.rs`.

mod floats;
mod mutants;
mod rules;

use edge_runtime::backend::conformance::{Kind, cases, check};
use edge_runtime::backend::{EngineRuntime, Runtime, TractRuntime};
use edge_runtime::kernels;
use edge_runtime::model::DType;

/// Cases of each kind of layer, and random networks.
const LAYERS: u32 = 60;
const NETWORKS: u32 = 150;

/// A backend that the suite runs on.
struct Subject {
    name: String,
    runtime: Box<dyn Runtime>,
    /// What it runs.
    dtypes: &'static [DType],
}

fn subject(name: &str, runtime: impl Runtime + 'static, dtypes: &'static [DType]) -> Subject {
    Subject {
        name: name.to_string(),
        runtime: Box::new(runtime),
        dtypes,
    }
}

/// The engine on every family that this processor can run, the portable one included, and everything else.
fn backends() -> Vec<Subject> {
    let int8 = &[DType::I8];
    let both = &[DType::I8, DType::F32];
    let engine = |k: &'static dyn kernels::Kernels| {
        subject(
            &format!("engine on {} kernels", k.name()),
            EngineRuntime::with_kernels(k),
            int8,
        )
    };
    let mut all: Vec<Subject> = kernels::available().map(engine).collect();
    for threads in [2, 3] {
        // Even the smallest layers are divided.
        let runtime = EngineRuntime::new().threads(threads).divide_from(0);
        all.push(subject(
            &format!("engine on {threads} threads"),
            runtime,
            int8,
        ));
    }
    for k in kernels::available() {
        all.push(subject(
            &format!("tract on {} kernels", k.name()),
            TractRuntime::with_kernels(k),
            both,
        ));
    }
    all
}

/// Runs all cases on all backends. Every backend's first failure of every operator is told.
fn run(dtype: DType) {
    let subjects = backends();
    let subjects = subjects.iter().filter(|s| s.dtypes.contains(&dtype));
    let (mut failures, mut ran) = (Vec::new(), 0);
    for subject in subjects {
        let mut wrong: Vec<&str> = Vec::new();
        for case in cases(dtype, LAYERS, NETWORKS) {
            ran += 1;
            if let Err(failure) = check(&subject.name, &*subject.runtime, &case)
                && !wrong.contains(&failure.operator)
            {
                wrong.push(failure.operator);
                failures.push(failure.to_string());
            }
        }
    }
    assert!(ran > LAYERS * Kind::ALL.len() as u32);
    assert!(failures.is_empty(), "\n{}", failures.concat());
}

#[test]
fn int8_equals_the_reference_bit_for_bit() {
    run(DType::I8);
}

#[test]
fn floats_are_near_the_reference() {
    run(DType::F32);
}
