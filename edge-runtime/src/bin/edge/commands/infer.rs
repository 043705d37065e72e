//! `infer`: what is on a picture; and how pictures become inputs.

use crate::cli::Infer;
use crate::device::Job;
use crate::error::Error;
use crate::output::{Output, percent};
use edge_runtime::client::report::{Class, Inference};
use edge_runtime::client::{Client, Pipe};
use edge_runtime::model::{InputSpec, Quant};
use edge_runtime::picture::{load, preprocess};
use std::path::Path;

/// What turns pictures into inputs.
pub fn input_rule<P: Pipe>(client: &mut Client<P>) -> Result<(InputSpec, Quant), Error> {
    Ok(client.model(|m| (m.spec, m.quant))?)
}

pub fn send_picture<P: Pipe>(
    client: &mut Client<P>,
    path: &Path,
    (spec, quant): &(InputSpec, Quant),
) -> Result<(), Error> {
    let crop = load(path, spec)?;
    Ok(client.send_input(&preprocess::to_i8(&crop, spec, *quant))?)
}

impl Job for &Infer {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        let rule = input_rule(client)?;
        send_picture(client, &self.picture, &rule)?;
        let (microseconds, top) = client.infer(self.top)?;
        let seen = Inference {
            image: self.picture.display().to_string(),
            microseconds,
            top: top.iter().map(Class::from).collect(),
            logits: None,
        };
        output.print(&seen, || {
            let mut text = String::new();
            for class in &seen.top {
                let label = match class.label.as_str() {
                    "" => format!("class {}", class.class),
                    label => label.escape_debug().to_string(),
                };
                let said = match class.probability {
                    Some(probability) => percent(probability),
                    None => format!("{:.4}", class.logit),
                };
                text += &format!("{said:>7}  {label}\n");
            }
            text + &format!("{:.1} ms", microseconds as f64 / 1000.0)
        })
    }
}
