//! What real clients send, which is not what the tests' own does.

use tokio::process::Command;
use xtests::stack::{Place, Stack};
use xtests::{Result, ensure, eventually};

use crate::Missing;

/// Over HTTP/2 httpx ends an upload in an empty frame of its own, after the declared bytes.
const POSTS: &str = r#"
import sys, httpx
with httpx.Client(http1=False, http2=True, trust_env=False) as client:
    for number in range(20):
        cart = {"productIds": ["p-100"], "email": "a@example.com"}
        answer = client.post(sys.argv[1] + "/api/checkout", json=cart)
        assert answer.status_code == 200 and answer.http_version == "HTTP/2", answer
"#;

pub(crate) async fn what_httpx_posts_over_http_2_is_mirrored(place: &Place) -> Result<()> {
    let known = Command::new("python3").args(["-c", "import httpx, h2"]).output().await;
    if !known.is_ok_and(|known| known.status.success()) {
        return Err(Missing("httpx with http2".to_owned()).into());
    }
    let stack = Stack::start(place, &[]).await?;
    let url = stack.proxy.url().await?;
    let done = Command::new("python3").args(["-c", POSTS, &url]).output().await?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await? == 20.0);
    stack.stop().await
}
