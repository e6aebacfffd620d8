//! A folder in an object store that speaks S3: `s3://bucket/some/folder`.
//!
//! Region, credentials and endpoint are found as the AWS tools find them: from `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_ENDPOINT_URL`, from the web identity or the container credentials of a
//! Kubernetes pod, or from the instance. An endpoint without TLS is spoken to where it is named as `http://…`.

use crate::http::Clients;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStoreExt, RetryConfig};
use std::time::Duration;
use url::Url;

/// A request that failed for reasons that may pass is tried again so often …
const MAX_RETRIES: usize = 5;

/// … and for no longer than this.
const RETRY_LIMIT: Duration = Duration::from_secs(60);

/// Why reports cannot be taken to an object store.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Not the URL of a folder in a bucket.
    #[error("read the folder for uploads {url}: {reason}\nhint: write s3://bucket/folder")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The environment says something that cannot be.
    #[error("set up uploads to {folder}")]
    Environment {
        /// Where to.
        folder: String,
        /// What.
        #[source]
        error: object_store::Error,
    },
    /// A file did not get there.
    #[error(
        "upload {file} to {folder}\nhint: check AWS_REGION, the credentials, AWS_ENDPOINT_URL where it is not Amazon's, and that the bucket exists"
    )]
    Put {
        /// Which.
        file: String,
        /// Where to.
        folder: String,
        /// Why not.
        #[source]
        error: object_store::Error,
    },
}

/// A folder in an object store.
#[derive(Debug)]
pub struct ObjectFolder {
    store: AmazonS3,
    folder: Path,
    shown: String,
}

impl ObjectFolder {
    /// The folder that a URL names, with credentials from the environment. Nothing is asked for yet.
    ///
    /// # Errors
    /// It is no `s3://` URL, or the environment cannot be understood.
    pub fn open(url: &str) -> Result<Self, UploadError> {
        let (bucket, folder) = parts(url).map_err(|reason| UploadError::Url {
            url: url.to_owned(),
            reason,
        })?;
        let shown = format!("s3://{bucket}/{folder}");
        let builder = AmazonS3Builder::from_env();
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
        let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let store = builder
            .with_bucket_name(bucket)
            .with_allow_http(plain)
            .with_http_connector(Clients)
            .with_retry(RetryConfig {
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_LIMIT,
                ..RetryConfig::default()
            })
            .build();
        let store = store.map_err(|error| UploadError::Environment {
            folder: shown.clone(),
            error,
        })?;
        Ok(Self {
            store,
            folder,
            shown,
        })
    }

    /// The folder below this one with that name.
    pub fn within(self, name: &str) -> Self {
        let folder = self.folder.join(name);
        Self {
            shown: format!("{}/{name}", self.shown.trim_end_matches('/')),
            folder,
            ..self
        }
    }

    /// Writes a file, in the place of one of the same name.
    ///
    /// # Errors
    /// It did not get there, after several attempts where that could help.
    pub async fn put(&self, file: &str, content: Vec<u8>) -> Result<(), UploadError> {
        let place = self.folder.clone().join(file);
        let put = self.store.put(&place, content.into()).await;
        put.map(drop).map_err(|error| UploadError::Put {
            file: file.to_owned(),
            folder: self.shown.clone(),
            error,
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.shown
    }
}

/// Bucket and folder.
fn parts(url: &str) -> Result<(String, Path), String> {
    let parsed = Url::parse(url).map_err(|error| error.to_string())?;
    if parsed.scheme() != "s3" {
        return Err(format!("{}:// is not spoken here", parsed.scheme()));
    }
    let named = !parsed.username().is_empty() || parsed.password().is_some();
    if named || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("it is more than a bucket and a folder".to_owned());
    }
    let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty());
    let bucket = bucket.ok_or("it names no bucket")?;
    let folder = Path::from_url_path(parsed.path()).map_err(|error| error.to_string())?;
    Ok((bucket.to_owned(), folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_folder() {
        for (url, expected) in [
            ("s3://results", Ok(("results", ""))),
            ("s3://results/", Ok(("results", ""))),
            ("s3://results/a/b%20c/", Ok(("results", "a/b c"))),
            ("https://results", Err("https:// is not spoken here")),
            ("results", Err("relative URL without a base")),
            ("s3:///a", Err("it names no bucket")),
            (
                "s3://me:pw@results/a",
                Err("it is more than a bucket and a folder"),
            ),
            (
                "s3://results/a?x=y",
                Err("it is more than a bucket and a folder"),
            ),
        ] {
            let found = parts(url).map(|(bucket, folder)| (bucket, folder.to_string()));
            let expected = expected.map(|(bucket, folder)| (bucket.to_owned(), folder.to_owned()));
            assert_eq!(found, expected.map_err(str::to_owned), "{url}");
        }
    }
}
