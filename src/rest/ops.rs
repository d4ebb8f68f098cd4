//! What whoever runs the gateway asks it: does it live, does it take traffic, what has it counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;

use super::export::{Export, Format};
use crate::group::node::Node;

/// `/healthz`: the process lives.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "alive\n" }))
}

/// `/readyz` and `/metrics`.
pub fn internal(node: Arc<Node>) -> Router {
    let ready = {
        let node = node.clone();
        move || async move {
            match node.draining.load(Ordering::Relaxed) {
                false => (StatusCode::OK, "ready\n"),
                true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            }
        }
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Export(node)));
    let registry = Arc::new(registry);
    let metrics = move |headers: HeaderMap| async move {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let format = Format::wanted(&accept.collect::<Vec<_>>().join(","));
        match format.write(&registry) {
            Ok(text) => ([(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/readyz", get(ready)).route("/metrics", get(metrics))
}
