//! Recordings in an object store that speaks S3's protocol: closed segments are carried there, and read
//! back in the order of their names. A segment is removed here only once it is there with all its bytes.

mod remote;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig, WriteMultipart};
use traffic::read::Source;
use traffic::segment::Folder;

pub use object_store::Error;
pub use remote::{Fetched, Remote};

/// Bytes of one part of an upload, and the least that S3 takes of all but the last is 5 MiB.
const PART: usize = 8 << 20;
/// Parts that are under way at once.
const PARTS: usize = 2;
/// How often a request is tried again, and how long at most.
const RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_secs(60);

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// What was carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Segments that are in the store now and not in the folder any more.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// The store of `s3://bucket/prefix`. Options have the names of the usual variables, in any letter case:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT`,
    /// `AWS_ALLOW_HTTP`, `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` (else the bucket is in the path), and whatever
    /// else [`AmazonS3ConfigKey`] knows. Nothing is read from the environment.
    ///
    /// # Errors
    ///
    /// The address is none of a bucket, or an option is not known or wrong.
    pub fn new<'a>(
        url: &str,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let rest = url.strip_prefix("s3://").filter(|rest| !rest.starts_with('/'));
        let rest = rest.filter(|rest| !rest.is_empty()).ok_or_else(|| Error::Generic {
            store: "S3",
            source: format!("`{url}`, allowed is s3://bucket/prefix").into(),
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let retry = RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
        for (key, value) in options {
            let key: AmazonS3ConfigKey = key.to_ascii_lowercase().parse()?;
            builder = builder.with_config(key, value);
        }
        Ok(Self { objects: Arc::new(builder.build()?), prefix: Path::parse(prefix)? })
    }

    /// A part of it, below its prefix.
    #[must_use]
    pub fn below(&self, part: &str) -> Self {
        Self { objects: Arc::clone(&self.objects), prefix: self.path(part) }
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    /// The names of what is in the store with their bytes, in their order.
    ///
    /// # Errors
    ///
    /// As the store says.
    pub async fn list(&self) -> Result<Vec<(String, u64)>, Error> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let below = self.objects.list_with_delimiter(prefix).await?;
        let objects = below.objects.into_iter();
        let mut names: Vec<_> =
            objects.filter_map(|it| Some((it.location.filename()?.to_owned(), it.size))).collect();
        names.sort();
        Ok(names)
    }

    /// Puts a file into the store, in parts where it is large.
    ///
    /// # Errors
    ///
    /// As the store or the file says; of what was sent nothing is left.
    pub async fn put(&self, name: &str, mut file: impl Read) -> Result<u64, Error> {
        let path = self.path(name);
        let first = part(&mut file).map_err(broken)?;
        let mut bytes = first.len() as u64;
        if first.len() < PART {
            self.objects.put(&path, PutPayload::from(first)).await?;
            return Ok(bytes);
        }
        let upload = self.objects.put_multipart(&path).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        upload.put(first.into());
        loop {
            let next = match part(&mut file) {
                Ok(next) if next.is_empty() => break,
                Ok(next) => next,
                Err(error) => {
                    upload.abort().await?;
                    return Err(broken(error));
                }
            };
            if let Err(error) = upload.wait_for_capacity(PARTS).await {
                upload.abort().await?;
                return Err(error);
            }
            bytes += next.len() as u64;
            upload.put(next.into());
        }
        upload.finish().await?;
        Ok(bytes)
    }

    /// Carries all closed segments of the folder into the store, the oldest first, and removes them there.
    /// One that is there already, because a crash came in between, is sent again.
    ///
    /// Files are read in place: this is for a task that may block.
    ///
    /// # Errors
    ///
    /// As the store or the folder says. What was not carried stays in the folder, for the next time.
    pub async fn carry<F: Folder + Source>(&self, folder: &mut F) -> Result<Carried, Error> {
        let mut carried = Carried::default();
        let mut closed = Folder::list(folder).map_err(broken)?;
        closed.retain(|(name, _)| name.ends_with(".jsonl.zst"));
        closed.sort();
        for (name, _) in closed {
            let file = match folder.open(&name) {
                // The writer removed it for its quota.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(broken)?,
            };
            let bytes = self.put(&name, file).await?;
            let there = self.objects.head(&self.path(&name)).await?.size;
            if there != bytes {
                let problem = format!("{name}: {bytes} bytes were sent, {there} are there");
                return Err(broken(io::Error::other(problem)));
            }
            folder.remove(&name).map_err(broken)?;
            carried.segments += 1;
            carried.bytes += bytes;
        }
        Ok(carried)
    }

    /// What an object has in it, piece by piece.
    async fn get(&self, name: &str) -> Result<remote::Pieces, Error> {
        let object = self.objects.get(&self.path(name)).await?;
        Ok(Box::pin(object.into_stream().map_err(io::Error::other)))
    }
}

/// The next [`PART`] bytes of the file, or what is left of it.
fn part(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART as u64).read_to_end(&mut part)?;
    Ok(part)
}

fn broken(error: io::Error) -> Error {
    Error::Generic { store: "folder", source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_option_that_is_none_is_told() {
        for wrong in ["", "s3://", "s3:///x", "http://bucket/x"] {
            let error = Store::new(wrong, []).unwrap_err().to_string();
            assert!(error.contains("allowed is s3://bucket/prefix"), "{error}");
        }
        let error = Store::new("s3://b/x", [("AWS_NONSENSE", "1")]).unwrap_err().to_string();
        assert!(error.contains("nonsense"), "{error}");
    }
}
