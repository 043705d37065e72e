//! `--mean` and `--std`, on the scale of pixels from 0 to 1 or from 0 to 255.

use anyhow::{Result, bail};
use converter::import::PixelRule;
use converter::import::pixels::short;

/// The rule for a network of `channels` channels. A number above 1 says that both are on the scale of
/// pixels from 0 to 255. Numbers on two different scales are an error.
pub fn rule(mean: Option<&[f32]>, std: Option<&[f32]>, channels: usize) -> Result<PixelRule> {
    let mean = mean.map(|v| numbers("--mean", v, channels)).transpose()?;
    let std = std.map(|v| numbers("--std", v, channels)).transpose()?;
    if std.iter().flatten().any(|v| *v <= 0.0) {
        bail!("--std must be greater than zero");
    }
    let above = |values: &[f32; 3]| values.iter().any(|v| v.abs() > 1.0);
    let (mean, std) = match (mean, std) {
        (Some(mean), Some(std)) if !above(&mean) && !above(&std) => {
            return Ok(PixelRule::of_unit(mean, std));
        }
        (Some(mean), Some(std)) => (mean, std),
        // Caffe's networks only subtract the mean.
        (Some(mean), None) if above(&mean) => (mean, [1.0; 3]),
        (None, Some(std)) if above(&std) => ([0.0; 3], std),
        (Some(mean), None) => bail!(
            "--mean {} needs --std: 1 if the mean is only taken away from pixels from 0 to 1",
            list(&mean)
        ),
        (_, std) => bail!(
            "--std {} needs --mean: 0 if pixels from 0 to 1 are only divided",
            list(&std.unwrap_or_default())
        ),
    };
    if let Some(m) = mean.iter().find(|m| m.abs() > 255.0) {
        bail!(
            "--mean {}: the mean of pixels from 0 to 255 is not beyond them",
            short(*m, 6)
        );
    }
    let small = |v: &f32| *v != 0.0 && v.abs() < 1.0;
    if mean.iter().any(small) || std.iter().any(small) {
        bail!(
            "--mean {} and --std {} are not on one scale: give both for pixels from 0 to 1, or both for 0 to 255",
            list(&mean),
            list(&std)
        );
    }
    Ok(PixelRule { mean, std })
}

/// One number for each of red, green and blue.
fn numbers(option: &str, values: &[f32], channels: usize) -> Result<[f32; 3]> {
    if values.iter().any(|v| !v.is_finite()) {
        bail!("{option} must be numbers");
    }
    match *values {
        [v] => Ok([v; 3]),
        [_, _, _] if channels == 1 => {
            bail!("{option} gives three numbers, and the network takes one channel; give one")
        }
        [r, g, b] => Ok([r, g, b]),
        _ => bail!(
            "{option} takes one or three numbers, and there are {}",
            values.len()
        ),
    }
}

fn list(values: &[f32; 3]) -> String {
    let count = if values.iter().all(|v| *v == values[0]) {
        1
    } else {
        3
    };
    let all: Vec<String> = values[..count].iter().map(|v| short(*v, 6)).collect();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
    const STD: [f32; 3] = [58.395, 57.12, 57.375];

    fn near(rule: PixelRule, mean: [f32; 3], std: [f32; 3]) {
        for (a, b) in rule
            .mean
            .iter()
            .chain(&rule.std)
            .zip(mean.iter().chain(&std))
        {
            assert!((a - b).abs() < 1e-3, "{rule:?} is not {mean:?}, {std:?}");
        }
    }

    #[test]
    fn both_scales() {
        let of = |mean: &[f32], std: &[f32]| rule(Some(mean), Some(std), 3).unwrap();
        near(of(&MEAN, &STD), MEAN, STD);
        near(
            of(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
            MEAN,
            STD,
        );
        near(of(&[0.5], &[0.5]), [127.5; 3], [127.5; 3]);
        near(of(&[127.0], &[128.0]), [127.0; 3], [128.0; 3]);
        // Caffe's, with and without a std.
        let caffe = [104.0, 117.0, 123.0];
        near(of(&caffe, &[1.0]), caffe, [1.0; 3]);
        near(rule(Some(&caffe), None, 3).unwrap(), caffe, [1.0; 3]);
        // Means of zero are on either scale.
        near(of(&[0.0], &[255.0]), [0.0; 3], [255.0; 3]);
        near(rule(None, Some(&[255.0]), 3).unwrap(), [0.0; 3], [255.0; 3]);
        near(of(&[0.0], &[1.0]), [0.0; 3], [255.0; 3]);
        near(of(&[0.5], &[1.0]), [127.5; 3], [255.0; 3]);
    }

    #[test]
    fn what_is_refused() {
        let fails = |mean: Option<&[f32]>, std: Option<&[f32]>, channels, words: &[&str]| {
            let e = rule(mean, std, channels).unwrap_err().to_string();
            assert!(!e.contains('\n'), "{e}");
            words
                .iter()
                .for_each(|w| assert!(e.contains(w), "'{w}': {e}"));
        };
        let small = [0.229, 0.224, 0.225];
        let one = ["one scale", "0 to 255"];
        fails(
            Some(&MEAN),
            Some(&small),
            3,
            &["123.675", "0.229", one[0], one[1]],
        );
        fails(Some(&[0.5]), Some(&[127.5]), 3, &one);
        fails(Some(&[0.485, 116.28, 103.53]), Some(&STD), 3, &one);
        fails(Some(&[0.5]), None, 3, &["--mean 0.5", "--std"]);
        fails(None, Some(&[0.5]), 3, &["--std 0.5", "--mean"]);
        fails(Some(&[300.0]), Some(&[1.0]), 3, &["--mean 300"]);
        fails(
            Some(&MEAN),
            Some(&[58.0, -57.0, 57.0]),
            3,
            &["--std must be greater than zero"],
        );
        fails(
            Some(&[f32::NAN]),
            Some(&[1.0]),
            3,
            &["--mean must be numbers"],
        );
        fails(Some(&[1.0, 2.0]), Some(&[1.0]), 3, &["one or three", "2"]);
        fails(Some(&MEAN), Some(&[1.0]), 1, &["--mean", "one channel"]);
    }
}
