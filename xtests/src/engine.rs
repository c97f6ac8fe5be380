//! The container engine, and an image that is made without any registry.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use testcontainers::bollard::models::NetworkDisconnectRequest;
use testcontainers::bollard::models::{NetworkConnectRequest, NetworkCreateRequest};
use testcontainers::bollard::query_parameters::{
    CreateImageOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    ListImagesOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, RestartContainerOptionsBuilder,
};
use testcontainers::bollard::{Docker, body_full};
use testcontainers::core::client::docker_client_instance;

use crate::Result;
use crate::binaries::{Binaries, shared_libraries};
use crate::run::{Dead, Run};

/// The label that all of a run's containers, networks and images carry.
pub const LABEL: &str = "mirrorlab.xtests.run";
/// The repository of the images, tagged with the run's name.
const IMAGE: &str = "mirrorlab-xtests";

/// An engine that answers, and an image with the programs under test.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    run: Arc<Run>,
}

impl Engine {
    /// Finds the engine, clears up after dead runs, and makes the image.
    ///
    /// # Errors
    /// Why there are no container tests here.
    pub async fn find(run: Arc<Run>, binaries: &Binaries) -> Result<Self> {
        let docker = docker_client_instance().await?;
        docker.ping().await.map_err(|error| format!("no container engine answers: {error}"))?;
        let engine = Self { docker, run };
        for dead in Dead::find() {
            engine.remove(&dead.name).await?;
            dead.bury();
        }
        engine.import(archive(binaries)?).await?;
        Ok(engine)
    }

    /// The run that it works for.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Image name and tag.
    pub fn image(&self) -> (String, String) {
        (IMAGE.to_owned(), self.run.name.clone())
    }

    /// Whether an image is there already; nothing is ever pulled.
    pub async fn has_image(&self, name: &str) -> bool {
        self.docker.inspect_image(name).await.is_ok()
    }

    /// The run's label.
    pub fn label(&self) -> (&'static str, String) {
        (LABEL, self.run.name.clone())
    }

    async fn import(&self, archive: Vec<u8>) -> Result<()> {
        let (repo, tag) = self.image();
        let label = format!("LABEL {LABEL}={tag}");
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(&repo).tag(&tag);
        let options = options.changes(vec![label]).build();
        let body = body_full(Bytes::from(archive));
        self.docker.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await?;
        Ok(())
    }

    /// A network of its own.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn create_network(&self, name: &str) -> Result<()> {
        let (key, value) = self.label();
        let labels = HashMap::from([(key.to_owned(), value)]);
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            labels: Some(labels),
            ..NetworkCreateRequest::default()
        };
        let _making = self.run.make().await;
        self.docker.create_network(request).await?;
        Ok(())
    }

    /// Removes a network; its containers are gone.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        Ok(self.docker.remove_network(name).await?)
    }

    /// Cuts a container off a network.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn disconnect(&self, network: &str, container: &str) -> Result<()> {
        let request =
            NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        Ok(self.docker.disconnect_network(network, request).await?)
    }

    /// Puts a container back on a network.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn connect(&self, network: &str, container: &str) -> Result<()> {
        let request =
            NetworkConnectRequest { container: container.to_owned(), endpoint_config: None };
        Ok(self.docker.connect_network(network, request).await?)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn signal(&self, container: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        Ok(self.docker.kill_container(container, Some(options)).await?)
    }

    /// Stops and starts a container.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn restart(&self, container: &str) -> Result<()> {
        let options = RestartContainerOptionsBuilder::new().build();
        Ok(self.docker.restart_container(container, Some(options)).await?)
    }

    /// Removes all that this run made.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn remove_own(&self) -> Result<()> {
        self.remove(&self.run.name).await
    }

    async fn remove(&self, run: &str) -> Result<()> {
        let filters = HashMap::from([("label", vec![format!("{LABEL}={run}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for container in self.docker.list_containers(Some(options)).await? {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let id = container.id.unwrap_or_default();
            // A test's own clearing up may be quicker.
            drop(self.docker.remove_container(&id, Some(options)).await);
        }
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        for network in self.docker.list_networks(Some(options)).await? {
            drop(self.docker.remove_network(&network.id.unwrap_or_default()).await);
        }
        let options = ListImagesOptionsBuilder::new().all(true).filters(&filters).build();
        for image in self.docker.list_images(Some(options)).await? {
            let options = RemoveImageOptionsBuilder::new().force(true).build();
            drop(self.docker.remove_image(&image.id, Some(options), None).await);
        }
        Ok(())
    }
}

/// A root file system of the programs and the libraries they name, and nothing else.
fn archive(binaries: &Binaries) -> Result<Vec<u8>> {
    if !cfg!(target_os = "linux") {
        return Err("programs of this system do not run in Linux containers".into());
    }
    let mut archive = tar::Builder::new(Vec::new());
    // The engine does not know entries of this kind.
    archive.sparse(false);
    for program in binaries.all() {
        let name = program.file_name().ok_or("a program without a name")?;
        archive.append_path_with_name(program, name)?;
    }
    for library in shared_libraries(&binaries.all())? {
        let name = library.strip_prefix("/")?;
        archive.append_path_with_name(&library, name)?;
    }
    let mut temporary = tar::Header::new_gnu();
    temporary.set_entry_type(tar::EntryType::Directory);
    temporary.set_mode(0o1777);
    temporary.set_size(0);
    archive.append_data(&mut temporary, Path::new("tmp/"), std::io::empty())?;
    Ok(archive.into_inner()?)
}
