//! `bench` and `power`.

use super::Connection;
use crate::{cli::device::Bench, output, progress::Bars};
use anyhow::Result;
use converter::util::progress::Progress as _;
use serde_json::json;

pub fn bench(client: &mut Connection, args: &Bench, json: bool) -> Result<()> {
    let bars = Bars::new();
    bars.stage("inferences", args.runs.into());
    let bench = client.bench(args.runs, &mut |_| bars.step())?;
    drop(bars);
    let value = json!({
        "runs": bench.runs,
        "min_microseconds": bench.min,
        "median_microseconds": bench.median,
        "max_microseconds": bench.max,
        "cycles": bench.cycles,
        "microwatts": bench.microwatts,
    });
    output::print(json, value, || {
        let ms = |micros: u64| format!("{:.2}", micros as f64 / 1e3);
        let power = match bench.microwatts {
            Some(microwatts) => format!(", {:.2} W", f64::from(microwatts) / 1e6),
            None => ", no power sensor".into(),
        };
        format!(
            "{} inferences: median {} ms, {} to {} ms{power}",
            bench.runs,
            ms(bench.median),
            ms(bench.min),
            ms(bench.max)
        )
    });
    Ok(())
}

pub fn power(client: &mut Connection, json: bool) -> Result<()> {
    let reading = client.power()?;
    let value = json!({
        "millivolts": reading.millivolts,
        "microamperes": reading.microamperes,
        "microwatts": reading.microwatts,
    });
    output::print(json, value, || {
        format!(
            "{:.3} W ({:.3} V, {:.1} mA)",
            f64::from(reading.microwatts) / 1e6,
            f64::from(reading.millivolts) / 1e3,
            f64::from(reading.microamperes) / 1e3
        )
    });
    Ok(())
}
