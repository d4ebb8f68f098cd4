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
use crate::store::{Trouble, TroubleKind};

/// `/healthz`: the process lives.
pub fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "alive\n" }))
}

/// `/readyz` and `/metrics`.
pub fn internal(node: Arc<Node>, audit: Audit) -> Router {
    let ready = {
        let node = node.clone();
        move || async move { readiness(&causes(node.draining.load(Ordering::Relaxed), node.store.troubles())) }
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

fn causes(draining: bool, troubles: Vec<Trouble>) -> Vec<Cause> {
    let message = "the gateway is stopping: clients should be sent elsewhere".to_owned();
    let end = draining.then_some(Cause { cause: "draining", message });
    // A lack of descriptors passes by itself and everybody who is in is served: a crowd at the door of every node must not take
    // all nodes out of service.
    let troubles = troubles.into_iter().filter(|trouble| trouble.kind != TroubleKind::NoDescriptors);
    end.into_iter().chain(troubles.map(|trouble| Cause { cause: trouble.kind.name(), message: trouble.to_string() })).collect()
}

fn readiness(causes: &[Cause]) -> Response {
    match causes {
        [] => Json(serde_json::json!({"ready": true})).into_response(),
        causes => (StatusCode::SERVICE_UNAVAILABLE, Json(serde_json::json!({"ready": false, "causes": causes}))).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: TroubleKind) -> Trouble {
        Trouble { kind, since: 0, words: "No space left on device".into() }
    }

    async fn told(draining: bool, kinds: &[TroubleKind]) -> (u16, serde_json::Value) {
        let response = readiness(&causes(draining, kinds.iter().copied().map(trouble).collect()));
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn who_is_not_ready_says_why() {
        assert_eq!(told(false, &[]).await, (200, serde_json::json!({"ready": true})));
        assert_eq!(told(false, &[TroubleKind::NoDescriptors]).await.0, 200, "those who are in are served");
        let (status, body) = told(true, &[TroubleKind::DiskFull, TroubleKind::SegmentFailing]).await;
        assert_eq!((status, &body["ready"]), (503, &false.into()));
        let causes = body["causes"].as_array().unwrap();
        let names: Vec<_> = causes.iter().map(|cause| cause["cause"].as_str().unwrap()).collect();
        assert_eq!(names, ["draining", "disk_full", "segment_failing"]);
        assert!(causes[1]["message"].as_str().unwrap().contains("free some space"), "{body}");
    }
}
