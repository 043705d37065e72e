//! Activations on int8 values: as a pair of bounds where they clamp, else as a table.

use edge_runtime::model::{Activation, Quant};

/// The least and the largest code of an output after a clamping activation; all codes for any other.
pub fn clamp(activation: Activation, output: Quant) -> [i8; 2] {
    let (low, high) = activation
        .clamp_bounds()
        .unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
    let q = |v: f32| {
        (v as f64 / output.scale as f64 + output.zero_point as f64)
            .round()
            .clamp(-128.0, 127.0) as i8
    };
    [q(low), q(high)]
}

/// The output's code for every code of the input from -128 to 127.
pub fn table(activation: Activation, input: Quant, output: Quant) -> [i8; 256] {
    core::array::from_fn(|i| {
        let real = input.scale * (i as f32 - 128.0 - input.zero_point as f32);
        let q = activation.apply(real) as f64 / output.scale as f64 + output.zero_point as f64;
        (q + 0.5).floor().clamp(-128.0, 127.0) as i8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: Quant = Quant {
        scale: 0.125,
        zero_point: -28,
    };

    #[test]
    fn bounds_are_codes_of_the_output() {
        assert_eq!(clamp(Activation::None, OUTPUT), [-128, 127]);
        assert_eq!(clamp(Activation::Relu, OUTPUT), [-28, 127]);
        assert_eq!(clamp(Activation::Relu6, OUTPUT), [-28, 20]);
        assert_eq!(clamp(Activation::Clip(-100.0, 0.26), OUTPUT), [-128, -26]);
    }

    #[test]
    fn a_table_says_every_code() {
        let input = Quant {
            scale: 0.3125,
            zero_point: 4,
        };
        let table = table(Activation::Relu, input, OUTPUT);
        // Code 4 is zero; code 5 is 0.3125, two and a half steps of the output, rounded up.
        assert_eq!(table[..=132], [-28; 133]);
        assert_eq!((table[133], table[134], table[255]), (-25, -23, 127));
    }
}
