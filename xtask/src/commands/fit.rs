//! `fit`: a model against a board.

use super::{parse, read};
use crate::{cli, output, units};
use anyhow::{Result, bail};
use converter::board::fit::Requirement;
use converter::board::{self, Fit, Request};
use serde_json::{Value, json};

pub fn run(args: &cli::Fit, json: bool) -> Result<()> {
    let board = board::find(&args.board)?;
    let bytes = read(&args.model)?;
    let model = parse(&args.model, &bytes)?;
    let request = Request {
        classes: args.classes as usize,
        hidden: args.hidden.into(),
        samples: args.samples,
    };
    let fit = board::fit(&model, bytes.len(), &board, &request)?;
    let name = model.manifest().name;
    let mut json_value = value(&fit);
    json_value["model"] = name.into();
    output::print(json, json_value, || {
        format!("{name} on {} ({})\n{}", board.title, board.name, text(&fit))
    });
    verdict(&fit)
}

/// An error if the model does not fit; everything has been printed before.
pub fn verdict(fit: &Fit) -> Result<()> {
    if !fit.fits() {
        bail!(
            "the model does not fit {}: {}",
            fit.board,
            fit.misfits().join(", ")
        );
    }
    Ok(())
}

/// An error of one line with the numbers of all that does not fit.
pub fn require(fit: &Fit) -> Result<()> {
    let lines = fit.lines.iter().filter(|l| !l.fits);
    let misfits: Vec<String> = lines
        .map(|l| match (l.needs, l.has, l.item.unit()) {
            (Some(needs), Some(has), Some(unit)) => {
                format!("{} needs {needs} {unit} and there are {has}", l.item.name())
            }
            _ => l.item.name().into(),
        })
        .collect();
    if misfits.is_empty() {
        return Ok(());
    }
    bail!(
        "the model does not fit {}: {}; `cargo xtask fit` says what to change",
        fit.board,
        misfits.join(", ")
    )
}

/// The judgement for machines.
pub fn value(fit: &Fit) -> Value {
    let line = |l: &Requirement| {
        json!({
            "item": l.item.name(), "place": l.place, "unit": l.item.unit(),
            "needs": l.needs, "has": l.has, "margin": margin(l),
            "fits": l.fits, "advice": l.advice,
        })
    };
    json!({
        "board": fit.board,
        "fits": fit.fits(),
        "classes": fit.request.classes,
        "most_classes": fit.most_classes,
        "hidden": fit.request.hidden,
        "most_hidden": fit.most_hidden,
        "sample_capacity": fit.sample_capacity,
        "lines": fit.lines.iter().map(line).collect::<Vec<_>>(),
        "notes": fit.notes,
        "networks_that_fit": fit.networks.iter().map(|n| json!({
            "name": n.name, "model_bytes": n.model_bytes, "arena_bytes": n.arena_bytes,
        })).collect::<Vec<_>>(),
        "boards_that_fit": fit.boards,
    })
}

/// The judgement for people.
pub fn text(fit: &Fit) -> String {
    let header = ["", "needs", "has", "margin", "", "where"];
    let mut rows = vec![header.map(String::from).to_vec()];
    for line in &fit.lines {
        let amount = |n: Option<u64>| match n {
            None => String::new(),
            Some(n) if line.item.unit() == Some("bytes") => units::bytes(n),
            Some(n) => n.to_string(),
        };
        let margin = match (line.needs, line.has) {
            (Some(needs), Some(has)) if needs > has => format!("-{}", amount(Some(needs - has))),
            (Some(needs), Some(has)) => amount(Some(has - needs)),
            _ => String::new(),
        };
        rows.push(vec![
            format!("  {}", line.item.name()),
            amount(line.needs),
            amount(line.has),
            margin,
            if line.fits { "fits" } else { "DOES NOT FIT" }.into(),
            line.place.clone(),
        ]);
    }
    let mut out = output::table(&rows);
    for line in fit.lines.iter().filter(|l| !l.fits) {
        let advice = line.advice.as_deref().unwrap_or("another board");
        out += &format!("  {}: {advice}\n", line.item.name());
    }
    if !fit.fits() {
        out += &alternatives(fit);
    }
    if fit.fits() && fit.most_classes > 0 {
        let hidden = match fit.most_hidden {
            0 => String::new(),
            units => format!(", with up to {units} hidden units"),
        };
        out += &format!(
            "  up to {} classes can be trained; head slot and training RAM are for {}{hidden}\n",
            fit.most_classes, fit.request.classes
        );
    }
    for note in &fit.notes {
        out += &format!("  note: {note}\n");
    }
    out
}

/// Networks and boards that would fit.
fn alternatives(fit: &Fit) -> String {
    let networks = fit.networks.iter().map(|n| {
        format!(
            "{} ({}, arena {})",
            n.name,
            units::bytes(n.model_bytes),
            units::bytes(n.arena_bytes)
        )
    });
    let networks: Vec<String> = networks.collect();
    let networks = match networks.is_empty() {
        true => "none of the catalog".into(),
        false => networks.join(", "),
    };
    let boards = match fit.boards.is_empty() {
        true => "none of the known ones".into(),
        false => fit.boards.join(", "),
    };
    format!("  networks that fit this board: {networks}\n  boards that this model fits: {boards}\n")
}

/// What is left; if negative, what is missing.
fn margin(line: &Requirement) -> Option<i64> {
    let margin = i128::from(line.has?) - i128::from(line.needs?);
    Some(margin.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}
