//! What networks say that do not end in a softmax: one sigmoid, several, plain numbers, clamped logits. Right values
//! come from onnxruntime 1.32.0; `data/outputs.py` makes the networks and prints them.

use edge_runtime::picture::{Picture, image_file};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Side of the pictures.
const SIDE: u32 = 16;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        for seed in 0..4 {
            let png = image_file::encode_png(&picture(seed));
            std::fs::write(bench.path(&format!("{seed}.png")), png).unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {error}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }

    /// Converts a network of the test data and returns what `convert` says.
    fn convert(&self, network: &str, more: &[&str]) -> Value {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/output_{network}.onnx"));
        let args = [
            "convert",
            file.to_str().unwrap(),
            "--normalize",
            "unit",
            "-o",
            "m.edge",
        ];
        self.json(&[&args, more].concat())
    }

    /// Trains a head on the folder `new`.
    fn retrain(&self) {
        self.text(&["retrain-head", "m.edge", "--data", "new", "-o", "new.edge"]);
        std::fs::rename(self.path("new.edge"), self.path("m.edge")).unwrap();
    }

    /// What `run` says of the four pictures.
    fn answers(&self) -> Vec<Value> {
        let pictures = [
            "run", "m.edge", "0.png", "1.png", "2.png", "3.png", "--top", "5", "--logits",
        ];
        let said = self.json(&pictures);
        said["results"].as_array().unwrap().clone()
    }
}

/// As `data/outputs.py` draws it.
fn picture(seed: u32) -> Picture {
    let pixel = |i: u32| {
        let (c, x, y) = (i % 3, i / 3 % SIDE, i / 3 / SIDE);
        (x * (7 + 3 * seed) + y * (5 + seed) + c * 40 * seed + 11 * seed * seed) as u8
    };
    Picture::new(SIDE, SIDE, (0..SIDE * SIDE * 3).map(pixel).collect()).unwrap()
}

/// Probability of a class in an answer of `run`.
fn probability(answer: &Value, class: usize) -> f64 {
    let of_class = |t: &&Value| t["class"] == class;
    let top = answer["top"].as_array().unwrap().iter().find(of_class);
    top.unwrap()["probability"].as_f64().unwrap()
}

fn close(got: f64, want: f64, most: f64) {
    assert!((got - want).abs() <= most, "{got} instead of {want}");
}

#[test]
fn one_sigmoid_is_a_choice_of_two_classes() {
    let bench = Bench::new();
    let binary = [0.968884, 0.99847, 0.967377, 0.985384];
    let pooled = [0.586357, 0.611489, 0.608813, 0.616694];
    let quantized = [0.971061, 0.99847, 0.967145, 0.986723];
    let cases: [(&str, &[&str], [f64; 4], f64); 5] = [
        ("binary", &[], binary, 2e-6),
        ("binary", &["--int8"], binary, 0.01),
        ("pooled", &[], pooled, 2e-6),
        ("pooled", &["--int8"], pooled, 0.02),
        ("quantized", &["--int8"], quantized, 0.003),
    ];
    for (network, more, wanted, most) in cases {
        bench.convert(network, more);
        for (answer, want) in bench.answers().iter().zip(wanted) {
            close(probability(answer, 1), want, most);
            close(probability(answer, 0), 1.0 - want, most);
        }
    }
    bench.convert("binary", &[]);
    let text = bench.text(&["run", "m.edge", "0.png"]);
    assert!(text.contains("96.9 %  class 1"), "{text}");
}

#[test]
fn labels_are_there_or_not_each_by_itself() {
    let bench = Bench::new();
    let wanted = [
        [0.518325, 0.420246, 0.341074],
        [0.513529, 0.261922, 0.240272],
        [0.387737, 0.065915, 0.232718],
        [0.412621, 0.081723, 0.232292],
    ];
    for (more, most) in [(&[][..], 2e-6), (&["--int8"], 0.02)] {
        bench.convert("labels", more);
        for (answer, wanted) in bench.answers().iter().zip(wanted) {
            (0..3).for_each(|class| close(probability(answer, class), wanted[class], most));
        }
    }
    assert_eq!(
        bench.json(&["inspect", "m.edge"])["output"]["activation"],
        "sigmoid"
    );
    // What the file ends in is no matter of opinion.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/output_labels.onnx");
    let out = bench.run(&[
        "convert",
        file.to_str().unwrap(),
        "--activation",
        "softmax",
        "-o",
        "n.edge",
    ]);
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && error.contains("ends in a sigmoid"),
        "{error}"
    );
}

#[test]
fn one_number_is_shown_as_a_number_unless_it_is_called_a_logit() {
    let bench = Bench::new();
    let numbers = [-3.101541, -5.290768, -5.384521, -6.01237];
    let said = bench.convert("number", &[]);
    assert!(
        said["notes"].to_string().contains("--activation sigmoid"),
        "{said}"
    );
    for (answer, want) in bench.answers().iter().zip(numbers) {
        assert_eq!(answer["top"][0]["probability"], Value::Null);
        close(answer["logits"][0].as_f64().unwrap(), want, 2e-5);
    }
    let text = bench.text(&["run", "m.edge", "0.png"]);
    assert!(
        text.contains("-3.1015") && !text.contains("100.0 %"),
        "{text}"
    );
    bench.convert("number", &["--activation", "sigmoid"]);
    for (answer, want) in bench.answers().iter().zip(numbers) {
        close(probability(answer, 1), 1.0 / (1.0 + (-want).exp()), 2e-6);
    }
}

#[test]
fn logits_keep_the_bounds_of_the_last_layer() {
    let bench = Bench::new();
    let wanted = [
        [0.439782, 1.0, 1.0, 1.0],
        [0.300226, 1.0, 1.0, 1.0],
        [0.151748, 1.0, 1.0, 1.0],
        [0.074863, 1.0, 1.0, 1.0],
    ];
    for (more, most) in [(&[][..], 2e-5), (&["--int8"], 0.1)] {
        bench.convert("clipped", more);
        for (answer, wanted) in bench.answers().iter().zip(wanted) {
            let logits = answer["logits"].as_array().unwrap();
            for (got, want) in logits.iter().zip(wanted) {
                close(got.as_f64().unwrap(), want, most);
            }
        }
    }
    let head = &bench.json(&["inspect", "m.edge"])["head"];
    assert_eq!(head["classes"], 4);
}

/// Class names, evaluation and a new head work for a network of one sigmoid as for any classifier.
#[test]
fn one_sigmoid_has_names_an_accuracy_and_a_head_that_can_be_replaced() {
    let bench = Bench::new();
    std::fs::write(bench.path("names.txt"), "absent\npresent\n").unwrap();
    bench.convert("binary", &["--int8", "--labels", "names.txt"]);
    let text = bench.text(&["run", "m.edge", "0.png"]);
    assert!(
        text.contains("96.9 %  present") || text.contains("97.0 %  present"),
        "{text}"
    );
    // All four pictures are of the second class to this network.
    for (folder, pictures) in [("absent", [0]), ("present", [1])] {
        std::fs::create_dir_all(bench.path("set").join(folder)).unwrap();
        for seed in pictures {
            let name = format!("{seed}.png");
            std::fs::copy(bench.path(&name), bench.path("set").join(folder).join(name)).unwrap();
        }
    }
    assert_eq!(bench.json(&["eval", "m.edge", "set"])["top1"], 0.5);

    graft_tests::class_folders(&bench.path("new"), &["east", "north", "south"], 6, 1);
    bench.retrain();
    let answer = &bench.answers()[0];
    let sum: f64 = (0..3).map(|class| probability(answer, class)).sum();
    close(sum, 1.0, 1e-6);
    assert_eq!(
        bench.json(&["run", "m.edge", "0.png"])["activation"],
        "softmax"
    );

    // The same of labels: the new head is a choice of one class, whatever the old one was.
    bench.convert("labels", &["--int8"]);
    bench.retrain();
    let answer = &bench.answers()[0];
    let sum: f64 = (0..3).map(|class| probability(answer, class)).sum();
    close(sum, 1.0, 1e-6);
}
