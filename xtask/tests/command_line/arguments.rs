//! Help, and mistakes in the arguments.

use crate::support::{Bench, check_refusal};

#[test]
fn the_catalog() {
    let b = Bench::new();
    let models = b.json(&["models"]);
    let models = models["models"].as_array().unwrap();
    let lite0 = models.iter().find(|m| m["name"] == "efficientnet-lite0");
    let lite0 = lite0.expect("in the catalog");
    assert_eq!(lite0["cached"], false);
    assert!(lite0["macs"].as_u64() > Some(380_000_000));
}

#[test]
fn help_says_what_everything_does() {
    let b = Bench::new();
    for command in [
        "models",
        "convert",
        "inspect",
        "run",
        "eval",
        "verify",
        "retrain-head",
        "simulate",
        "device",
    ] {
        let out = b.run(&[command, "--help"]);
        assert!(out.status.success() && out.stdout.len() > 100, "{command}");
    }
}

#[test]
fn mistakes_in_the_arguments() {
    let b = Bench::new();
    b.refused(&[], &["a command is needed"]);
    b.refused(&["convert"], &["NAME|FILE"]);
    b.refused(
        &["convert", "efficientnet-lite9", "--int8"],
        &["efficientnet-lite9", "efficientnet-lite0"],
    );
    b.refused(
        &["convert", "efficientnet-lite0", "--calib", "x"],
        &["--int8"],
    );
    b.refused(
        &[
            "convert",
            "efficientnet-lite0",
            "--int8",
            "--calib",
            "nowhere",
        ],
        &["nowhere"],
    );
    b.refused(
        &["convert", "efficientnet-lite0", "--range", "percentile:3"],
        &["percentile:P"],
    );
    b.refused(&["convert", "weights.pth"], &[".pth", "--weights"]);
    b.model("m.edge");
    b.refused(&["run", "m.edge"], &["IMAGE"]);
    b.refused(
        &["run", "m.edge", "x.jpg", "--backend", "gpu"],
        &["gpu", "engine"],
    );
    b.refused(&["verify", "m.edge", "--on", "engine"], &["at least two"]);
    b.refused(&["inspect", "missing.edge"], &["missing.edge"]);
    b.refused(&["inspect", "."], &[".", "not a regular file"]);
}

#[test]
fn mistakes_name_the_help_that_shows_how() {
    let b = Bench::new();
    for (args, help) in [
        (&["bogus"][..], "`cargo xtask --help`"),
        (&["bench"], "`cargo xtask bench --help`"),
        (
            &["bench", "m.edge", "--board", "x", "--runs", "0"],
            "`cargo xtask bench --help`",
        ),
        (
            &["device", "--port", "infer", "info"],
            "`cargo xtask device --help`",
        ),
        (&["device", "info"], "`cargo xtask device --help`"),
        (
            &["device", "--port", "tcp:h:1", "infer"],
            "`cargo xtask device infer --help`",
        ),
    ] {
        b.refused(args, &[help]);
    }
    // An option of `device`, not of `info`.
    b.refused(
        &["device", "info", "--port", "tcp:h:1"],
        &["`cargo xtask device --help`"],
    );
    b.refused(
        &["device", "--port", "qemu-m7", "info"],
        &["did you mean board:qemu-m7?"],
    );
}

/// Help and hints name the program as the user started it.
#[test]
fn the_installed_program_is_called_graft() {
    let b = Bench::new();
    let installed = |args: &[&str]| {
        let mut command = b.command(args);
        command.env_remove("CARGO_MANIFEST_DIR").output().unwrap()
    };
    check_refusal(
        &installed(&["bench"]),
        &["bench"],
        &["`graft bench --help`"],
    );
    let args = ["convert", "m.edge"];
    check_refusal(&installed(&args), &args, &["`graft inspect`"]);
    for args in [&["--help"][..], &["fit", "--help"], &["--version"]] {
        let text = String::from_utf8(installed(args).stdout).unwrap();
        assert!(text.contains("graft") && !text.contains("xtask"), "{text}");
        let text = String::from_utf8(b.run(args).stdout).unwrap();
        assert!(text.contains("cargo xtask"), "{text}");
    }
}

/// What is suggested is what was meant; else nothing is.
#[test]
fn names_that_may_be_meant() {
    let b = Bench::new();
    for (name, meant) in [
        (
            "Pico 2",
            "did you mean rp2350 (Raspberry Pi Pico 2 (RP2350))?",
        ),
        ("raspberry pi 5", "did you mean raspberry-pi-5?"),
        ("nucleo-h743", "did you mean nucleo-h743zi2?"),
        ("rpi5", "the command `boards` lists"),
        ("esp32", "the command `boards` lists"),
    ] {
        b.refused(&["boards", name], &[name, meant]);
    }
    for (name, meant) in [
        ("resnet20", "did you mean resnet20-cifar10?"),
        ("mobilenetv2", "did you mean mobilenet-v2?"),
        ("densenet121", "the command `models` lists"),
        ("lenet", "the command `models` lists"),
    ] {
        b.refused(&["convert", name], &[name, meant]);
    }
}
