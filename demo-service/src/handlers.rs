//! The endpoints: the shop under `/api`, chaos, and what an operator looks at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Query, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::catalog::{self, Product};
use crate::chaos::Chaos;
use crate::chaos::routes::ShopChaos;
use crate::metrics::Metrics;

/// Largest request body, in bytes: twice what is mirrored by default.
const BODY_MAX: usize = 2 << 20;

/// What the endpoints share.
#[derive(Debug)]
pub struct Shop {
    chaos: Mutex<ShopChaos>,
    metrics: Metrics,
}

impl Shop {
    /// A shop with this chaos at the start.
    pub fn new(chaos: Chaos, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { chaos: Mutex::new(ShopChaos::new(chaos)), metrics })
    }

    /// The registry.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn chaos(&self) -> ShopChaos {
        *self.chaos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Shop>>;

/// All endpoints.
pub fn router(shop: Arc<Shop>) -> Router {
    let api = Router::new()
        .route("/api/search", get(search))
        .route("/api/product/{id}", get(product))
        .route("/api/checkout", post(checkout))
        .route_layer(from_fn_with_state(Arc::clone(&shop), suffer));
    Router::new()
        .merge(api)
        .route("/chaos", get(show_chaos).put(change_chaos))
        .route("/actuator/health", get(|| async { Json(json!({"status": "UP"})) }))
        .route("/actuator/prometheus", get(prometheus))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(Arc::clone(&shop), measure))
        .with_state(shop)
}

/// Counts and times every request, the faults included.
async fn measure(State(shop): Shared, request: Request, next: Next) -> Response {
    let uri = template_of(&request);
    let (method, start) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    shop.metrics.record(&method, uri, response.status(), start.elapsed());
    response
}

/// The path template of a request.
fn template_of(request: &Request) -> &'static str {
    const TEMPLATES: [&str; 6] = [
        "/api/search",
        "/api/product/{id}",
        "/api/checkout",
        "/chaos",
        "/actuator/health",
        "/actuator/prometheus",
    ];
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    TEMPLATES.into_iter().find(|known| Some(*known) == path).unwrap_or("UNKNOWN")
}

/// A request whose answer is to be wrong.
#[derive(Clone, Copy)]
struct Mismatch(bool);

/// Injects the faults.
async fn suffer(State(shop): Shared, mut request: Request, next: Next) -> Response {
    let fate = shop.chaos().of(template_of(&request)).fate(rand::random::<f64>);
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    if fate.error {
        let path = request.uri().path();
        return error(StatusCode::INTERNAL_SERVER_ERROR, "injected error", path);
    }
    request.extensions_mut().insert(Mismatch(fate.mismatch));
    next.run(request).await
}

/// A body that says what went wrong.
#[derive(Serialize)]
struct ErrorBody<'a> {
    timestamp: u128,
    status: u16,
    error: &'a str,
    message: &'a str,
    path: &'a str,
}

fn error(status: StatusCode, message: &str, path: &str) -> Response {
    let body = ErrorBody {
        timestamp: now_ms(),
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or("Error"),
        message,
        path,
    };
    (status, Json(body)).into_response()
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[derive(Deserialize)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

#[derive(Serialize)]
struct SearchAnswer<'a> {
    query: &'a str,
    count: usize,
    items: Vec<&'static Product>,
    timestamp: u128,
}

async fn search(
    axum::Extension(Mismatch(wrong)): axum::Extension<Mismatch>,
    uri: Uri,
    query: Result<Query<SearchQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => {
            return error(StatusCode::BAD_REQUEST, &rejection.body_text(), uri.path());
        }
    };
    let query = query.q.trim();
    let items = catalog::search(query);
    let count = items.len() + usize::from(wrong);
    Json(SearchAnswer { query, count, items, timestamp: now_ms() }).into_response()
}

async fn product(
    axum::Extension(Mismatch(wrong)): axum::Extension<Mismatch>,
    uri: Uri,
    Path(id): Path<String>,
) -> Response {
    match catalog::find(&id) {
        Some(product) => {
            let mut product = *product;
            product.price_cents += u64::from(wrong);
            Json(product).into_response()
        }
        None => error(StatusCode::NOT_FOUND, &format!("no product {id:?}"), uri.path()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkout {
    product_ids: Vec<String>,
    email: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
    total_cents: u64,
    timestamp: u128,
}

async fn checkout(
    axum::Extension(Mismatch(wrong)): axum::Extension<Mismatch>,
    uri: Uri,
    body: Result<axum::body::Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return error(rejection.status(), &rejection.body_text(), uri.path()),
    };
    let request: Checkout = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(why) => {
            let message = format!("{why}; wanted is {{\"productIds\":[…],\"email\":…}}");
            return error(StatusCode::BAD_REQUEST, &message, uri.path());
        }
    };
    let prices = request.product_ids.iter().filter_map(|id| catalog::find(id));
    let total_cents = prices.map(|product| product.price_cents).sum::<u64>() + u64::from(wrong);
    let order_id = order_id(&request, total_cents);
    Json(Order { order_id, total_cents, timestamp: now_ms() }).into_response()
}

/// The first 16 hex digits of a SHA-256 over the request in one canonical form, and the total:
/// two healthy services give the same order the same id.
fn order_id(request: &Checkout, total_cents: u64) -> String {
    let canonical = json!([request.product_ids, request.email, total_cents]).to_string();
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

async fn show_chaos(State(shop): Shared) -> Json<ShopChaos> {
    Json(shop.chaos())
}

async fn change_chaos(
    State(shop): Shared,
    uri: Uri,
    body: Result<axum::body::Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return error(rejection.status(), &rejection.body_text(), uri.path()),
    };
    let fields: Map<String, Value> = match serde_json::from_slice(&body) {
        Ok(fields) => fields,
        Err(why) => {
            return error(StatusCode::BAD_REQUEST, &format!("no JSON object: {why}"), uri.path());
        }
    };
    let mut chaos = shop.chaos.lock().unwrap_or_else(PoisonError::into_inner);
    match chaos.changed(&fields) {
        Ok(changed) => {
            *chaos = changed;
            Json(changed).into_response()
        }
        Err(why) => error(StatusCode::BAD_REQUEST, &why, uri.path()),
    }
}

async fn prometheus(State(shop): Shared) -> Response {
    let content_type = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    ([content_type], shop.metrics.render()).into_response()
}

async fn not_found(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, "no such path", uri.path())
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{method} is not allowed here");
    error(StatusCode::METHOD_NOT_ALLOWED, &message, uri.path())
}
