//! A linked firmware: how much flash and RAM it takes, and whether it contains what it must not.

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, elf};
use std::path::{Path, PathBuf};

/// Parts of symbols that must not occur, and what they mean: formatting, which panics would link, and an allocator.
const FORBIDDEN: [(&str, &str); 3] = [
    (
        "4core3fmt",
        "formatting (core::fmt); an `unwrap` of a Result, or a message with arguments, links it",
    ),
    ("__rust_alloc", "an allocator"),
    ("__rg_alloc", "an allocator"),
];

/// Bytes that a firmware takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its code, constants, and the initial values of variables.
    pub flash: u64,
    /// Its static variables.
    pub ram: u64,
}

/// A linked firmware.
#[derive(Clone, Debug)]
pub struct Image {
    /// The ELF file.
    pub elf: PathBuf,
    /// How much it takes.
    pub size: Size,
    /// A forbidden symbol, if there is one, and its meaning.
    forbidden: Option<(String, &'static str)>,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// If it cannot be read, or is no ELF file.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("{}: cannot read the firmware", path.display());
        let bytes = std::fs::read(path).with_context(cannot)?;
        let file = object::File::parse(&*bytes).with_context(cannot)?;
        let mut size = Size { flash: 0, ram: 0 };
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            let writable = sh_flags & u64::from(elf::SHF_WRITE) != 0;
            let stored = section.file_range().is_some_and(|(_, len)| len > 0);
            size.ram += if writable { section.size() } else { 0 };
            size.flash += if stored { section.size() } else { 0 };
        }
        let mut names = file.symbols().filter_map(|s| s.name().ok());
        let forbidden = names.find_map(|name| {
            let found = FORBIDDEN.iter().find(|(part, _)| name.contains(part));
            found.map(|(_, meaning)| (name.to_string(), *meaning))
        });
        Ok(Self {
            elf: path.into(),
            size,
            forbidden,
        })
    }

    /// Checks that the firmware has no allocator and does not format panics.
    ///
    /// # Errors
    /// If it does, with the symbol.
    pub fn check(&self) -> Result<()> {
        match &self.forbidden {
            Some((symbol, meaning)) => bail!(
                "{}: the firmware contains {meaning}: {symbol}",
                self.elf.display()
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test program formats and allocates, so it is refused.
    #[test]
    fn a_program_of_the_host_is_refused() {
        let image = Image::read(&std::env::current_exe().unwrap()).unwrap();
        assert!(image.size.flash > 100_000 && image.size.ram > 0);
        let error = image.check().unwrap_err().to_string();
        assert!(error.contains("the firmware contains"), "{error}");
        assert!(Image::read(Path::new("Cargo.toml")).is_err());
    }
}
