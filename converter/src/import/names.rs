//! Unique names for the nodes of a graph.

use std::collections::HashMap;

/// Longest name in bytes. A hostile file may use one long name many times.
const MAX_NAME: usize = 200;

/// Names in use, each with the number that makes the next equal one unique.
pub struct Names(HashMap<String, usize>);

impl Names {
    /// Starts with one name in use.
    pub fn new(first: &str) -> Self {
        Self(HashMap::from([(first.to_string(), 1)]))
    }

    /// Takes `name`, with a number behind it if it is in use or empty.
    pub fn unique(&mut self, name: &str) -> String {
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        let mut unique = name.to_string();
        while unique.is_empty() || self.0.contains_key(&unique) {
            let n = self.0.entry(name.to_string()).or_insert(0);
            unique = format!("{name}_{n}");
            *n += 1;
        }
        self.0.insert(unique.clone(), 1);
        unique
    }
}
