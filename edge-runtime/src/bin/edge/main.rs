//! The device program for Linux: `edge serve` answers hosts, the other commands do the same on the device's
//! own shell. Parses, puts the application together, prints; nothing else.

#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod device;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod progress;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    match commands::run(cli) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Help and version go to stdout as they are; a mistake in the arguments is one line like any error.
#[cfg(target_os = "linux")]
fn usage(error: &clap::Error) -> std::process::ExitCode {
    if !error.use_stderr() {
        print!("{error}");
        return std::process::ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let message: Vec<&str> = lines
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"))
        .collect();
    let message = match message.join(" ") {
        all if all.starts_with("error:") => all,
        _ => "error: a command is needed".into(),
    };
    eprintln!("{message} (`edge --help` shows how)");
    std::process::ExitCode::from(2)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("error: this program is for Linux");
    std::process::exit(1);
}
