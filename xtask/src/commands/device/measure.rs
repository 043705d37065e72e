//! `bench` and `power`.

use super::Connection;
use crate::output::{self, Report, Text};
use crate::{cli::device::Bench, progress::Bars, units};
use anyhow::Result;
use converter::util::progress::Progress as _;
use serde::Serialize;

pub fn bench(client: &mut Connection, args: &Bench, json: bool) -> Result<()> {
    let bars = Bars::new();
    bars.stage("inferences", args.runs.into());
    let bench = client.bench(args.runs, &mut |_| bars.step())?;
    drop(bars);
    let report = TimingReport {
        runs: bench.runs,
        min_microseconds: bench.min,
        median_microseconds: bench.median,
        max_microseconds: bench.max,
        cycles: bench.cycles,
        microwatts: bench.microwatts,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct TimingReport {
    runs: u16,
    min_microseconds: u64,
    median_microseconds: u64,
    max_microseconds: u64,
    cycles: Option<u32>,
    microwatts: Option<i32>,
}

impl Report for TimingReport {
    fn text(&self, out: &mut Text) {
        let [median, min, max] = [
            self.median_microseconds,
            self.min_microseconds,
            self.max_microseconds,
        ]
        .map(units::milliseconds);
        let power = match self.microwatts {
            Some(microwatts) => format!("{:.2} W", f64::from(microwatts) / 1e6),
            None => "no power sensor".into(),
        };
        out.line(format_args!(
            "{} inferences: median {median} ms, {min} to {max} ms, {power}",
            self.runs
        ));
    }
}

pub fn power(client: &mut Connection, json: bool) -> Result<()> {
    let reading = client.power()?;
    let report = PowerReport {
        millivolts: reading.millivolts,
        microamperes: reading.microamperes,
        microwatts: reading.microwatts,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct PowerReport {
    millivolts: u32,
    microamperes: i32,
    microwatts: i32,
}

impl Report for PowerReport {
    fn text(&self, out: &mut Text) {
        let watts = f64::from(self.microwatts) / 1e6;
        let volts = f64::from(self.millivolts) / 1e3;
        let milliamperes = f64::from(self.microamperes) / 1e3;
        out.line(format_args!(
            "{watts:.3} W ({volts:.3} V, {milliamperes:.1} mA)"
        ));
    }
}
