//! Training on toy samples.

use super::*;
use crate::model::AlignedBytes;
use crate::random::Random;

const QUANT: Quant = Quant {
    scale: 0.02,
    zero_point: -128,
};

/// Classes around centres of their own, with noise; every fifth sample is held out, if any.
struct Toy {
    features: Vec<Vec<i8>>,
    classes: usize,
    hold_out: bool,
}

impl Toy {
    fn new(classes: usize, features: usize, samples: usize) -> Self {
        let random = |a: u64, b: u64| Random::new(a << 32 | b).bits();
        let feature = |i: usize, f: usize| {
            let centre = (random((i % classes) as u64 + 1000, f as u64) % 40) as i32;
            let noise = (random(i as u64 + 5000, f as u64) % 61) as i32;
            (centre + noise - 128) as i8
        };
        let row = |i| (0..features).map(|f| feature(i, f)).collect();
        Self {
            features: (0..samples).map(row).collect(),
            classes,
            hold_out: true,
        }
    }
}

impl TrainingSet for Toy {
    fn len(&self) -> usize {
        self.features.len()
    }
    fn label(&self, i: usize) -> usize {
        i % self.classes
    }
    fn held_out(&self, i: usize) -> bool {
        self.hold_out && i / self.classes % 5 == 4
    }
    fn feature(&self, i: usize) -> &[i8] {
        &self.features[i]
    }
}

/// A training's result, its int8 weights, biases and scales, and all epochs.
type Run = (
    Result<Trained, TrainError>,
    Vec<i8>,
    Vec<i32>,
    Vec<f32>,
    Vec<Epoch>,
);

fn run(toy: &Toy, options: &TrainOptions) -> Run {
    let mut layers = Buffers::new(toy, options.hidden.into());
    let (result, epochs) = layers.train(toy, options);
    let layers = layers.layers();
    let (w, b, s) = (&layers.weights, &layers.bias, &layers.scale);
    (result, w.to_vec(), b.to_vec(), s.to_vec(), epochs)
}

/// Memory for the layers of a head.
struct Buffers {
    size: HeadSize,
    memory: AlignedBytes,
    /// Of the hidden units of the last training.
    scale: f32,
}

impl Buffers {
    fn new(samples: &impl TrainingSet, hidden: usize) -> Self {
        let labels = (0..samples.len()).map(|i| samples.label(i));
        let size = HeadSize {
            features: samples.feature(0).len(),
            hidden,
            classes: labels.max().unwrap() + 1,
        };
        Self::of(size)
    }

    fn of(size: HeadSize) -> Self {
        Self {
            size,
            memory: AlignedBytes::zeroed(size.layers_len()),
            scale: 0.0,
        }
    }

    fn layers(&mut self) -> Layers<'_> {
        Layers::new(&self.size, &mut self.memory).unwrap()
    }

    fn train(
        &mut self,
        samples: &impl TrainingSet,
        options: &TrainOptions,
    ) -> (Result<Trained, TrainError>, Vec<Epoch>) {
        let mut workspace = vec![f32::NAN; self.size.workspace_len()];
        let mut epochs = vec![];
        let mut right = 0;
        let mut layers = self.layers();
        let result = train(
            samples,
            QUANT,
            options,
            &mut layers,
            &mut workspace,
            &mut |e| epochs.push(e),
            &mut |_| right += 1,
        );
        assert!(result.is_err() || result.is_ok_and(|trained| trained.right == right));
        self.scale = layers.hidden.map_or(0.0, |h| h.quant.scale);
        (result, epochs)
    }
}

#[test]
fn learns_and_the_int8_layer_agrees() {
    let toy = Toy::new(4, 24, 400);
    let (trained, w, b, s, epochs) = run(&toy, &TrainOptions::default());
    let trained = trained.unwrap();
    let best = trained.best;
    assert!(best.top1 > 0.9, "{best:?}");
    assert!(
        best.loss < epochs[0].loss,
        "no better than the start: {best:?}"
    );
    let right = (0..toy.len()).filter(|&i| toy.held_out(i)).filter(|&i| {
        let logit = |c: usize| {
            let acc = toy
                .feature(i)
                .iter()
                .zip(&w[c * 24..])
                .map(|(q, w)| *q as i32 * *w as i32)
                .sum::<i32>();
            (acc + b[c]) as f32 * s[c]
        };
        let logits: Vec<f32> = (0..4).map(logit).collect();
        math::argmax(&logits) == toy.label(i)
    });
    assert_eq!(
        (trained.right as usize, trained.judges),
        (right.count(), 80)
    );
    let int8 = trained.right as f32 / trained.judges as f32;
    assert!(
        (int8 - best.top1).abs() < 0.04,
        "int8 {int8}, float {}",
        best.top1
    );
}

#[test]
fn few_held_out_samples_judge_and_are_learned() {
    let options = TrainOptions {
        epochs: 6,
        ..TrainOptions::default()
    };
    let mut toy = Toy::new(3, 16, 90);
    let (trained, w, b, s, epochs) = run(&toy, &options);
    let trained = trained.unwrap();
    assert_eq!((trained.best.number, trained.judges), (6, 18));
    let refit: Vec<_> = epochs.iter().map(|e| e.refit).collect();
    assert_eq!(refit[6..], [false, true, true, true, true, true, true]);
    // But for the calibration, the head is the one that learned all samples.
    toy.hold_out = false;
    let (all, w_all, b_all, s_all, epochs) = run(&toy, &options);
    assert_eq!((all.unwrap().best.number, all.unwrap().judges), (6, 90));
    assert!(epochs.iter().all(|e| !e.refit));
    assert_eq!((w, b), (w_all, b_all));
    let factors = s.iter().zip(&s_all).map(|(s, all)| s / all);
    let factors: Vec<f32> = factors.collect();
    assert!(
        factors.iter().all(|f| (f / factors[0] - 1.0).abs() < 1e-6),
        "{factors:?}"
    );
    assert_ne!(factors[0], 1.0);

    // 45 held out are enough to choose the epoch, and stay unseen.
    toy = Toy::new(3, 16, 225);
    let (trained, w, ..) = run(&toy, &options);
    assert_eq!(trained.unwrap().judges, 45);
    toy.hold_out = false;
    assert_ne!(w, run(&toy, &options).1);
}

#[test]
fn the_seed_decides() {
    let toy = Toy::new(3, 10, 90);
    let with = |seed| {
        run(
            &toy,
            &TrainOptions {
                seed,
                ..Default::default()
            },
        )
        .1
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn the_bits_are_the_same_everywhere() {
    // FNV-1a of weights and biases. Another value on some machine means that its heads differ.
    let (_, w, b, s, _) = run(&Toy::new(3, 17, 120), &TrainOptions::default());
    let scales = s.iter().flat_map(|s| s.to_bits().to_le_bytes());
    let bytes = w
        .iter()
        .map(|w| *w as u8)
        .chain(b.iter().flat_map(|b| b.to_le_bytes()))
        .chain(scales);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ b as u64).wrapping_mul(0x100_0000_01b3)
    });
    assert_eq!(hash, 0x7ee5_5b1f_85a9_7f63, "{hash:#x}");
}

#[test]
fn what_cannot_be_trained_says_why() {
    let toy = Toy::new(2, 8, 20);
    let bad = |options| run(&toy, &options).0.unwrap_err();
    let d = TrainOptions::default();
    assert_eq!(
        bad(TrainOptions {
            learning_rate: f32::NAN,
            ..d
        }),
        TrainError::Option("the learning rate, which is above 0 and at most 1000")
    );
    assert_eq!(
        bad(TrainOptions { batch: 0, ..d }),
        TrainError::Option("the batch size, at least 1")
    );
    let endless = TrainOptions {
        epochs: u32::MAX,
        ..d
    };
    assert_eq!(
        bad(endless),
        TrainError::Option("the number of epochs, at most 10000")
    );
    let lonely = Toy {
        features: vec![vec![0; 8]; 2],
        classes: 2,
        hold_out: true,
    };
    let mut buffers = Buffers::of(HeadSize::linear(8, 3));
    let refused = buffers.train(&lonely, &d).0;
    assert_eq!(refused, Err(TrainError::EmptyClass(2)));
    // No place for a hidden layer, one that was not asked for, and one that is too wide.
    let hidden = TrainOptions { hidden: 4, ..d };
    let refused = Buffers::new(&toy, 0).train(&toy, &hidden).0;
    assert_eq!(refused, Err(TrainError::Layers));
    let refused = Buffers::new(&toy, 4).train(&toy, &d).0;
    assert_eq!(refused, Err(TrainError::Layers));
    let wide = MAX_HIDDEN + 1;
    let options = TrainOptions {
        hidden: wide as u16,
        ..d
    };
    assert_eq!(bad(options), TrainError::Hidden(wide));
    let constant = Toy {
        features: vec![vec![5; 8]; 10],
        classes: 2,
        hold_out: true,
    };
    assert!(
        run(&constant, &d).0.is_ok(),
        "equal features are no reason to fail"
    );
}

/// Two classes, each in two opposite corners of a plane: no line separates them.
struct Corners(Vec<[i8; 8]>);

impl Corners {
    fn new(samples: usize) -> Self {
        let noise = |i: usize, f: usize| (Random::new((i * 8 + f) as u64).bits() % 41) as i32 - 20;
        let row = |i: usize| {
            let (a, b) = (i % 2, i / 2 % 2);
            let sign = |bit| if bit == 0 { 40 } else { -40 };
            // Label 0: both signs alike.
            let (x, y) = (sign(b), sign(a ^ b));
            core::array::from_fn(|f| ([x, y, 0, 0, 0, 0, 0, 0][f] + noise(i, f)) as i8)
        };
        Self((0..samples).map(row).collect())
    }
}

impl TrainingSet for Corners {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn label(&self, i: usize) -> usize {
        i % 2
    }
    fn held_out(&self, i: usize) -> bool {
        i / 4 % 5 == 4
    }
    fn feature(&self, i: usize) -> &[i8] {
        &self.0[i]
    }
}

#[test]
fn a_hidden_layer_learns_what_one_layer_cannot() {
    let corners = Corners::new(400);
    let top1 = |hidden: u16| {
        let options = TrainOptions {
            hidden,
            ..TrainOptions::default()
        };
        let mut buffers = Buffers::new(&corners, hidden.into());
        let (trained, epochs) = buffers.train(&corners, &options);
        let trained = trained.unwrap();
        let right = trained.right as f32 / trained.judges as f32;
        if hidden > 0 {
            assert!(trained.best.loss < epochs[0].loss);
            // int8 agrees with float.
            assert!((right - trained.best.top1).abs() < 0.03, "{trained:?}");
        }
        right
    };
    let (line, curve) = (top1(0), top1(16));
    assert!(line < 0.75, "{line}");
    assert!(curve > 0.97, "{curve}");
}

#[test]
fn the_bits_with_a_hidden_layer_are_the_same_everywhere() {
    let toy = Toy::new(3, 17, 120);
    let options = TrainOptions {
        hidden: 10,
        ..TrainOptions::default()
    };
    let mut buffers = Buffers::new(&toy, 10);
    let (trained, _) = buffers.train(&toy, &options);
    assert!(trained.unwrap().best.top1 > 0.9);
    let scale = buffers.scale.to_le_bytes();
    let bytes = buffers.memory.iter().chain(&scale);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ *b as u64).wrapping_mul(0x100_0000_01b3)
    });
    assert_eq!(hash, 0x61a5_1e17_62b5_a42d, "{hash:#x}");
    // More units than samples, and features that are all equal.
    let few = Toy::new(2, 5, 10);
    let options = TrainOptions {
        hidden: MAX_HIDDEN as u16,
        ..options
    };
    let (trained, _) = Buffers::new(&few, MAX_HIDDEN).train(&few, &options);
    assert!(trained.unwrap().best.loss.is_finite());
    let constant = Toy {
        features: vec![vec![5; 8]; 10],
        classes: 2,
        hold_out: true,
    };
    let (trained, _) = Buffers::new(&constant, MAX_HIDDEN).train(&constant, &options);
    assert!(trained.unwrap().best.loss.is_finite());
}

#[test]
fn a_second_training_that_fails_is_not_kept() {
    // Steps so large that an epoch is good or bad by chance.
    let mut ruined = 0;
    for seed in 0..40 {
        let toy = Toy::new(2, 8, 30);
        let options = TrainOptions {
            learning_rate: 2.0,
            momentum: 0.99,
            weight_decay: 1.0,
            batch: 3,
            epochs: 3,
            seed,
            ..TrainOptions::default()
        };
        let mut buffers = Buffers::new(&toy, 0);
        let (trained, epochs) = buffers.train(&toy, &options);
        let trained = trained.unwrap();
        let mut logits = [0.0; 2];
        let layers = buffers.layers();
        let right = (0..toy.len()).filter(|&i| {
            layers.logits(toy.feature(i), &mut logits);
            math::argmax(&logits) == toy.label(i)
        });
        let stated = trained.right as f32 / trained.judges as f32;
        let found = right.count() as f32 / toy.len() as f32;
        assert!(found > stated - 0.3, "seed {seed}: {stated}, {found}");
        let last = epochs.last().unwrap();
        ruined += usize::from(last.refit && last.top1 < stated - 0.3);
    }
    assert!(ruined > 0, "no second training failed");
}
