//! Reading and writing whole files; a file that is written is there entirely or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::{Error, Result};

/// Writes a file through a temporary one beside it, which takes its name once everything is on disk.
/// After an error, or a crash at any time, `path` is as it was. Of a link, what it leads to is written;
/// a folder, a pipe or a device is an error.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<()> {
    let target = target(path)?;
    let run = || -> std::io::Result<()> {
        let temporary = temporary_beside(&target)?;
        let mut writer = BufWriter::new(temporary.as_file());
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if let Ok(old) = std::fs::metadata(&target) {
            temporary.as_file().set_permissions(old.permissions())?;
        }
        temporary.as_file().sync_all()?;
        temporary.persist(&target)?;
        Ok(())
    };
    run().map_err(|e| Error::io(path, e))
}

/// Whether [`write_atomically`] could write the file now. Nothing is left behind.
pub fn check_writable(path: &Path) -> Result<()> {
    let temporary = temporary_beside(&target(path)?);
    temporary.map(drop).map_err(|e| Error::io(path, e))
}

/// The file that is written for a path.
fn target(path: &Path) -> Result<PathBuf> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::NotAFile(path.to_owned())),
        Ok(_) => path.canonicalize().map_err(|e| Error::io(path, e)),
        Err(_) => Ok(path.to_owned()),
    }
}

fn temporary_beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".aiai-");
    #[cfg(unix)]
    {
        // As any new file; the mask of the process applies.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

/// Opens a file to be read. A folder, a pipe or a device, which may never end, is an error.
pub fn open(path: &Path) -> Result<File> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    let is_file = std::fs::metadata(path)
        .map_err(|e| Error::io(path, e))?
        .is_file();
    if !is_file {
        return Err(Error::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(|e| Error::io(path, e))
}

/// Maps a file into memory, read only.
///
/// A file must not be changed while it is mapped; this crate itself only replaces files by new ones.
pub fn map(path: &Path) -> Result<Arc<Mmap>> {
    let file = open(path)?;
    // SAFETY: the mapping is read only and private to this process; see above for changes by others.
    let map = unsafe { Mmap::map(&file) };
    map.map(Arc::new).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(b"new")?;
            Err(std::io::Error::other("stop"))
        });
        assert!(matches!(failed, Err(Error::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_atomically(&folder.path().join("none/file"), |_| Ok(())).is_err());
        assert!(map(folder.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        write_atomically(&at("link"), |w| w.write_all(b"new")).unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.unwrap().success());
        std::os::unix::fs::symlink("pipe", at("to_pipe")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["pipe", "to_pipe", "folder"] {
            let written = write_atomically(&at(name), |w| w.write_all(b"new"));
            assert!(matches!(written, Err(Error::NotAFile(_))), "{name}");
            assert!(check_writable(&at(name)).is_err());
            assert!(!at(name).is_file());
        }
        check_writable(&at("file")).unwrap();
        check_writable(&at("none")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    }
}
