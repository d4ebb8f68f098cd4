//! What whoever runs the gateway asks it: does it live, does it take traffic, what has it counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;

use super::export::Export;
use crate::group::node::Node;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
    let metrics = move || async move {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/readyz", get(ready)).route("/metrics", get(metrics))
}
