//! Reading and writing whole files; a file that is written is there entirely or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::{Error, Result};

/// Writes a file through a temporary one beside it, which takes its name once everything is on disk.
/// After an error, or a crash at any time, `path` is as it was.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let run = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".aiai-");
        #[cfg(unix)]
        {
            // As any new file; the mask of the process applies.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temporary = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut writer = BufWriter::new(temporary.as_file());
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if let Ok(old) = std::fs::metadata(path) {
            temporary.as_file().set_permissions(old.permissions())?;
        }
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        Ok(())
    };
    run().map_err(|e| Error::io(path, e))
}

/// Opens a file to be read. A folder, a pipe or a device, which may never end, is an error.
pub fn open(path: &Path) -> Result<File> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    let is_file = std::fs::metadata(path)
        .map_err(|e| Error::io(path, e))?
        .is_file();
    if !is_file {
        let problem = std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file");
        return Err(Error::io(path, problem));
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
}
