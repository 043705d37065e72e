//! What would fit instead: networks of the catalog for a board, and boards for a model. Both are judged as a board runs
//! them: packed for its processor.

mod estimate;

use super::family::family;
use super::fit::{Fit, Network, Request, judge};
use super::known;
use super::needs::Needs;
use super::schema::{Board, Use};
use crate::pack::PackError;
use crate::zoo::{self, CatalogEntry, Weights, catalog};
use edge_runtime::model::{Family, Model};
use estimate::needs_of;

/// Most networks that are suggested.
const NETWORKS: usize = 3;

/// Most boards that are suggested.
const BOARDS: usize = 4;

/// Networks with more parameters are not considered: building them takes long, and they fit no small device.
const MOST_PARAMETERS: u64 = 32_000_000;

/// Judges a model as the board runs it: packed for its processor. `file_len` is the length of the model's file in bytes.
/// If it does not fit, suggests networks and boards; that builds networks of the catalog and takes some seconds.
///
/// # Errors
/// If the model cannot be packed.
pub fn fit(
    model: &Model<'_>,
    file_len: usize,
    board: &Board,
    request: &Request,
) -> Result<Fit, PackError> {
    let needs = |family| Needs::packed(model, file_len, family);
    let mut fit = judge(&needs(family(board))?, board, request);
    if !fit.fits() {
        fit.networks = networks(board, request);
        fit.boards = boards(&|family| needs(family).ok(), board, request);
    }
    Ok(fit)
}

/// The largest networks of the catalog that fit the board as int8 models, at most three.
pub fn networks(board: &Board, request: &Request) -> Vec<Network> {
    let room = match (board.region(Use::Model), &board.linux) {
        (Some(region), _) => region.size,
        (None, Some(linux)) => linux.ram.unwrap_or(u64::MAX),
        (None, None) => 0,
    };
    let mut entries: Vec<&CatalogEntry> = catalog::all()
        .iter()
        // A parameter takes at least a byte.
        .filter(|e| e.parameters <= room.min(MOST_PARAMETERS))
        .collect();
    entries.sort_by_key(|e| std::cmp::Reverse(e.parameters));
    let fitting = entries.into_iter().filter_map(|entry| {
        // The needs do not depend on the weights.
        let graph = zoo::build(entry, Weights::Random { seed: 0 }).ok()?;
        let labels = entry.labels().iter().map(|l| l.len() + 1).sum();
        let needs = needs_of(graph, labels, family(board))?;
        judge(&needs, board, request).fits().then(|| Network {
            name: entry.name.clone(),
            model_bytes: needs.model_bytes,
            arena_bytes: needs.arena_bytes,
        })
    });
    fitting.take(NETWORKS).collect()
}

/// Names of other boards that the model fits, boards of the same kind first, at most four. `needs` returns the needs of
/// the model packed for a family, or unpacked for `None`; it returns `None` if the model cannot be packed.
pub fn boards(
    needs: &dyn Fn(Option<Family>) -> Option<Needs>,
    board: &Board,
    request: &Request,
) -> Vec<String> {
    // There are few families and many boards, so the model is packed once for each family.
    let mut packed: Vec<(Option<Family>, Option<Needs>)> = vec![];
    let mut fitting = |b: &&Board| {
        let family = family(b);
        if !packed.iter().any(|(f, _)| *f == family) {
            packed.push((family, needs(family)));
        }
        let needs = packed.iter().find(|(f, _)| *f == family);
        let needs = needs.and_then(|(_, needs)| needs.as_ref());
        let other = b.name != board.name && b.name != "host";
        other && needs.is_some_and(|needs| judge(needs, b, request).fits())
    };
    let mut found: Vec<&Board> = known::all().iter().filter(|b| fitting(b)).collect();
    found.sort_by_key(|b| b.kind != board.kind);
    found.iter().take(BOARDS).map(|b| b.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::find;

    #[test]
    fn what_would_fit() {
        let request = Request::default();
        let found = networks(&find("qemu-m7").unwrap(), &request);
        assert!(!found.is_empty() && found.len() <= NETWORKS);
        for name in ["nucleo-h743zi2", "qemu-m7"] {
            let board = find(name).unwrap();
            for n in networks(&board, &request) {
                assert!(n.model_bytes <= board.region(Use::Model).unwrap().size);
                assert!(n.arena_bytes <= board.region(Use::Arena).unwrap().size);
            }
        }
        let entry = catalog::find("efficientnet-lite0").unwrap();
        let graph = zoo::build(entry, Weights::Random { seed: 0 }).unwrap();
        let needs = |family| needs_of(graph.clone(), 0, family);
        let found = boards(&needs, &find("nucleo-h743zi2").unwrap(), &request);
        assert_eq!(found, ["qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"]);
        let found = boards(&needs, &find("raspberry-pi-4").unwrap(), &request);
        assert_eq!(found.len(), BOARDS);
        let linux = ["jetson-nano", "jetson-orin-nano", "raspberry-pi-5"];
        assert_eq!(found[..3], linux);
        // A model that cannot be packed runs where models are not packed.
        let unpacked = |family: Option<_>| family.is_none().then(|| needs(None)).flatten();
        let found = boards(&unpacked, &find("raspberry-pi-4").unwrap(), &request);
        assert_eq!(found, linux);
    }
}
