//! `samples`: the stored samples by class.

use crate::device::Job;
use crate::error::Error;
use crate::output::Output;
use edge_runtime::client::report;
use edge_runtime::client::{Client, Pipe};

/// Lists the samples.
pub struct Samples;

impl Job for Samples {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        let samples = report::SampleCounts::from(&client.samples()?[..]);
        output.print(&samples, || {
            let mut text = format!("{:>8}  {:>8}  class\n", "samples", "held out");
            for class in &samples.classes {
                let name = class.class.escape_debug();
                text += &format!("{:>8}  {:>8}  {name}\n", class.samples, class.held_out);
            }
            text
        })
    }
}
