//! What whoever runs the gateway asks it: does it live, does it take traffic, what has it counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::audit::Audit;
use super::export::{Export, Format};
use crate::group::node::Node;

/// `/healthz`: the process lives.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "alive\n" }))
}

/// `/readyz` and `/metrics`.
pub fn internal(node: Arc<Node>, audit: Audit) -> Router {
    let ready = {
        let node = node.clone();
        move || async move { readiness(&causes(&node)) }
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Export::new(node, audit)));
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

/// Why the gateway should get no traffic.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Cause {
    /// One word for machines.
    cause: &'static str,
    /// For people.
    message: String,
}

fn causes(node: &Node) -> Vec<Cause> {
    let mut causes = Vec::new();
    if node.draining.load(Ordering::Relaxed) {
        let message = "the gateway is stopping: it answers what it has accepted, and takes nothing new".to_owned();
        causes.push(Cause { cause: "draining", message });
    }
    causes
}

fn readiness(causes: &[Cause]) -> Response {
    match causes {
        [] => Json(serde_json::json!({"ready": true})).into_response(),
        causes => (StatusCode::SERVICE_UNAVAILABLE, Json(serde_json::json!({"ready": false, "causes": causes}))).into_response(),
    }
}
