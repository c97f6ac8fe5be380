//! Folders of the file system, the only place of this crate where files are touched.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::read::Source;
use crate::segment::{File, Folder};

/// A folder with recordings.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// The folder of this path, made if it is not there.
    ///
    /// # Errors
    ///
    /// As the file system says.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// The folder of this path, to read it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl File for fs::File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

impl Folder for Disk {
    type File = fs::File;

    fn create(&mut self, name: &str) -> io::Result<fs::File> {
        // It may have been removed since.
        fs::create_dir_all(&self.path)?;
        // What people sent is nobody else's business.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name))
    }

    fn has(&mut self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is no text is none of ours; a file may be gone since it was listed.
            if let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata())
                && about.is_file()
            {
                files.push((name, about.len()));
            }
        }
        Ok(files)
    }
}

impl Source for Disk {
    type File = fs::File;

    fn list(&mut self) -> io::Result<Vec<String>> {
        let files = Folder::list(self)?;
        Ok(files.into_iter().map(|(name, _)| name).collect())
    }

    fn open(&mut self, name: &str) -> io::Result<fs::File> {
        fs::File::open(self.path.join(name))
    }
}
