//! Checks and times the kernels of the processor that this runs on, without a model.
//!
//! ```text
//! kernels check                    the conformance suite on every family
//! kernels time [FAMILY [LAYER]]    time, GMAC/s and share of the measured peak of typical layers
//! kernels run FAMILY LAYER TIMES   one layer so many times, for a program that counts instructions
//! kernels layers                   their names
//! ```

mod layers;

use edge_runtime::backend::conformance::{cases, check};
use edge_runtime::backend::{EngineRuntime, Runtime};
use edge_runtime::kernels::{self, Native};
use edge_runtime::model::DType;
use layers::{LAYERS, Layer, Prepared};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Cases of each kind of layer, and random networks: half of what `cargo test` runs, as this runs in emulators.
const CASES: [u32; 2] = [30, 75];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(|word| &**word).collect();
    let done = match words[..] {
        ["check"] => all_agree(),
        ["time"] => family(None).and_then(|k| time(k, None)),
        ["time", name] => family(Some(name)).and_then(|k| time(k, None)),
        ["time", name, of] => family(Some(name)).and_then(|k| time(k, Some(layer(of)?))),
        ["run", name, of, times] => run(name, of, times),
        ["layers"] => {
            LAYERS.iter().for_each(|layer| println!("{}", layer.name));
            Ok(())
        }
        _ => Err(
            "usage: kernels check | time [FAMILY [LAYER]] | run FAMILY LAYER TIMES | layers".into(),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn family(name: Option<&str>) -> Result<&'static Native, String> {
    if let Some(name) = name {
        kernels::force(name).map_err(|e| e.to_string())?;
    }
    Ok(kernels::native())
}

fn layer(name: &str) -> Result<&'static Layer, String> {
    let names = || LAYERS.iter().map(|l| l.name).collect::<Vec<_>>().join(", ");
    let found = LAYERS.iter().find(|layer| layer.name == name);
    found.ok_or_else(|| format!("no layer {name}; there are: {}", names()))
}

/// Runs the conformance suite on every family, and on several threads.
fn all_agree() -> Result<(), String> {
    let mut subjects: Vec<(String, EngineRuntime)> = kernels::available()
        .map(|k| (k.name().to_string(), EngineRuntime::with_kernels(k)))
        .collect();
    for threads in [2, 3] {
        let runtime = EngineRuntime::new().threads(threads).divide_from(0);
        subjects.push((format!("{threads} threads"), runtime));
    }
    let [layers, networks] = CASES;
    for (name, runtime) in &subjects {
        let mut count = 0;
        for case in cases(DType::I8, layers, networks) {
            check(name, runtime as &dyn Runtime, &case).map_err(|failure| failure.to_string())?;
            count += 1;
        }
        println!("{name}: {count} cases agree with the reference");
    }
    Ok(())
}

/// Times layers until each has taken a while; the shortest time counts.
fn time(kernels: &'static Native, only: Option<&'static Layer>) -> Result<(), String> {
    let peak = kernels::measured_peak(kernels);
    print!("{} kernels", kernels.name());
    match peak {
        Some(peak) => println!("; at most {:.0} GMAC/s", peak / 1e9),
        None => println!(),
    }
    for layer in LAYERS
        .iter()
        .filter(|l| only.is_none_or(|o| o.name == l.name))
    {
        let mut prepared = Prepared::new(layer, kernels);
        let (start, mut shortest) = (Instant::now(), Duration::MAX);
        while start.elapsed() < Duration::from_millis(200) {
            let start = Instant::now();
            prepared.run();
            shortest = shortest.min(start.elapsed());
        }
        let rate = layer.macs() as f64 / shortest.as_secs_f64();
        print!(
            "{:22} {:9.1} us {:7.1} GMAC/s",
            layer.name,
            shortest.as_secs_f64() * 1e6,
            rate / 1e9
        );
        match peak {
            Some(peak) => println!(" {:4.0} %", 100.0 * rate / peak),
            None => println!(),
        }
    }
    Ok(())
}

fn run(name: &str, of: &str, times: &str) -> Result<(), String> {
    let times: u32 = times
        .parse()
        .map_err(|_| format!("TIMES is a number, and this is {times:?}"))?;
    let layer = layer(of)?;
    let mut prepared = Prepared::new(layer, family(Some(name))?);
    for _ in 0..times {
        prepared.run();
    }
    println!("{} MACs {}", layer.macs(), prepared.checksum());
    Ok(())
}
