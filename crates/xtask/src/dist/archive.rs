//! Archives that come out the same, byte for byte, from the same files: the order, the times, the owners and the modes are fixed.

use std::io::{Cursor, Write as _};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A file of an archive: its name, what it holds, and whether it is a program.
pub struct Entry<'a> {
    /// Its name; no folders.
    pub name: &'a str,
    /// What it holds.
    pub content: &'a [u8],
    /// Whether it can be run.
    pub program: bool,
}

impl Entry<'_> {
    fn mode(&self) -> u32 {
        if self.program { 0o755 } else { 0o644 }
    }
}

/// A `.tar.gz`. `time_s`: Unix seconds that all its files have.
///
/// # Errors
/// That it cannot be written.
pub fn tar_gz(entries: &[Entry<'_>], time_s: u64) -> Result<Vec<u8>> {
    // No name and no time in gzip's own header; the operating system is "unknown" wherever it is made.
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(entry.content.len() as u64);
        header.set_mode(entry.mode());
        header.set_mtime(time_s);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, entry.name, entry.content).context("could not write a tar archive")?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// A `.zip`. Its files have the first time that the format knows: it has no time zones.
///
/// # Errors
/// That it cannot be written.
pub fn zip(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(entry.mode());
        zip.start_file(entry.name, options).context("could not write a zip archive")?;
        zip.write_all(entry.content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The SHA-256 of bytes, in lower-case hexadecimal as krew wants it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|d| char::from_digit(d.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const ENTRIES: [Entry<'_>; 2] = [
        Entry { name: "kubectl-dbscale", content: b"program", program: true },
        Entry { name: "LICENSE", content: b"words", program: false },
    ];

    #[test]
    fn the_same_files_make_the_same_bytes() {
        assert_eq!(tar_gz(&ENTRIES, 1_700_000_000).unwrap(), tar_gz(&ENTRIES, 1_700_000_000).unwrap());
        assert_eq!(zip(&ENTRIES).unwrap(), zip(&ENTRIES).unwrap());
    }

    #[test]
    fn a_tar_holds_plain_files_of_nobody_special() {
        let bytes = tar_gz(&ENTRIES, 1_700_000_000).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&*bytes));
        let read = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            assert_eq!(header.entry_type(), tar::EntryType::Regular);
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (1_700_000_000, 0));
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content, header.mode().unwrap())
        });
        let wanted = [("kubectl-dbscale", "program", 0o755), ("LICENSE", "words", 0o644)];
        assert_eq!(read.collect::<Vec<_>>(), wanted.map(|(n, c, m)| (n.to_owned(), c.to_owned(), m)));
    }

    #[test]
    fn a_zip_holds_them_too() {
        let mut zip = zip::ZipArchive::new(Cursor::new(zip(&ENTRIES).unwrap())).unwrap();
        assert_eq!(zip.len(), 2);
        assert_eq!(zip.by_name("kubectl-dbscale").unwrap().unix_mode().map(|m| m & 0o777), Some(0o755));
        let mut words = String::new();
        zip.by_name("LICENSE").unwrap().read_to_string(&mut words).unwrap();
        assert_eq!(words, "words");
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn a_known_sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
