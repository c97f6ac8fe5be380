//! A real browser without a window: Chromium, as Debian has it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chromiumoxide::browser::{Browser as Chromium, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams,
};
use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use chromiumoxide::page::ScreenshotParams;
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use crate::har::NetworkLog;
use crate::run::Run;
use crate::{Result, eventually};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Where it may be.
const PLACES: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
];

/// A browser, with a folder of its own.
#[derive(Debug)]
pub struct Browser {
    chromium: Chromium,
    events: JoinHandle<()>,
}

/// A tab.
#[derive(Debug)]
pub struct Tab(chromiumoxide::Page);

impl Browser {
    /// Starts one; `None` where none is installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(run: &Arc<Run>) -> Result<Option<Self>> {
        let Some(program) = PLACES.into_iter().find(|it| Path::new(it).exists()) else {
            return Ok(None);
        };
        // Two that share a folder would wait for each other.
        let own = format!("browser-{}", COUNT.fetch_add(1, Ordering::SeqCst));
        // As root, and in containers, it has no sandbox.
        let config = BrowserConfig::builder()
            .chrome_executable(program)
            .no_sandbox()
            .user_data_dir(run.folder(&own)?)
            .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
            .build()?;
        let making = run.make().await;
        let (mut chromium, mut handler) = Chromium::launch(config).await?;
        let id = chromium.get_mut_child().and_then(|child| child.as_mut_inner().id());
        run.note_process(id.ok_or("it ended at once")?)?;
        drop(making);
        // Events that the library does not know are errors, and no reason to stop.
        let events = tokio::spawn(async move { while handler.next().await.is_some() {} });
        Ok(Some(Self { chromium, events }))
    }

    /// Opens a page in a new tab.
    ///
    /// # Errors
    /// When there is none.
    pub async fn open(&self, url: &str) -> Result<Tab> {
        Ok(Tab(self.chromium.new_page(url).await?))
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not.
    pub async fn close(mut self) -> Result<()> {
        self.chromium.close().await?;
        self.chromium.wait().await?;
        self.events.abort();
        Ok(())
    }
}

impl Tab {
    /// Goes to another page.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn go(&self, url: &str) -> Result<()> {
        self.0.goto(url).await?;
        Ok(())
    }

    /// Where it is.
    ///
    /// # Errors
    /// When the browser does not say.
    pub async fn url(&self) -> Result<String> {
        Ok(self.0.url().await?.unwrap_or_default())
    }

    /// Listens to what it asks, and is answered.
    ///
    /// # Errors
    /// When the browser does not tell.
    pub async fn network(&self) -> Result<NetworkLog> {
        NetworkLog::of(&self.0).await
    }

    /// What an expression says there; null while the page is just being left.
    pub async fn eval(&self, expression: &str) -> serde_json::Value {
        let found = self.0.evaluate_expression(expression).await;
        found.ok().and_then(|it| it.into_value().ok()).unwrap_or_default()
    }

    /// The text that is shown of the first element of a selector; nothing where there is none.
    pub async fn text(&self, selector: &str) -> String {
        let found = self.eval(&format!("document.querySelector({selector:?})?.innerText")).await;
        found.as_str().unwrap_or_default().to_owned()
    }

    /// How many elements there are.
    pub async fn count(&self, selector: &str) -> u64 {
        let found = self.eval(&format!("document.querySelectorAll({selector:?}).length")).await;
        found.as_u64().unwrap_or_default()
    }

    /// Waits until a text is shown.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn shows(&self, selector: &str, text: &str) -> Result<()> {
        let mut shown = String::new();
        let waited: Result<()> = async {
            eventually!({
                shown = self.text(selector).await;
                shown.contains(text)
            });
            Ok(())
        }
        .await;
        waited.map_err(|_| format!("{selector} never showed {text:?}, but {shown:?}").into())
    }

    /// Clicks as a mouse does.
    ///
    /// # Errors
    /// When there is nothing to click.
    pub async fn click(&self, selector: &str) -> Result<()> {
        self.0.find_element(selector).await?.click().await?;
        Ok(())
    }

    /// Types into a field, as a keyboard does.
    ///
    /// # Errors
    /// When there is none.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        self.0.find_element(selector).await?.click().await?.type_str(text).await?;
        Ok(())
    }

    /// Presses a key on what has the focus.
    ///
    /// # Errors
    /// When nothing has it.
    pub async fn press(&self, key: &str) -> Result<()> {
        self.0.find_element(":focus").await?.press_key(key).await?;
        Ok(())
    }

    /// Shows pages this wide, and dark or light.
    ///
    /// # Errors
    /// When the browser does not.
    pub async fn look(&self, width: i64, dark: bool) -> Result<()> {
        self.0.execute(SetDeviceMetricsOverrideParams::new(width, 900, 1.0, false)).await?;
        let scheme = if dark { "dark" } else { "light" };
        let feature = MediaFeature::new("prefers-color-scheme", scheme);
        self.0.emulate_media_features(vec![feature]).await?;
        Ok(())
    }

    /// Writes what is shown, the whole page, as PNG.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn screenshot(&self, file: &Path) -> Result<()> {
        let whole = ScreenshotParams::builder();
        let whole = whole.format(CaptureScreenshotFormat::Png).full_page(true).build();
        self.0.save_screenshot(whole, file).await?;
        Ok(())
    }
}
