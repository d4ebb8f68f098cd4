//! Files that are built into the program: the demo's page and what browsers build on.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web-demo/"]
struct Files;

/// The description of the REST calls, which `rest.html` shows.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Nothing from elsewhere, nothing inline; only the page itself may frame the page.
const POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'";

/// `/` and the files it needs.
pub fn page() -> Router {
    let index = |headers: HeaderMap| async move { file("index.html", &headers) };
    let openapi = || async { ([(header::CONTENT_TYPE, "application/json")], OPENAPI) };
    Router::new()
        .route("/", get(index))
        .route("/openapi.json", get(openapi))
        .route("/{*path}", get(|Path(path): Path<String>, headers: HeaderMap| async move { file(&path, &headers) }))
}

/// `/sdk/…` alone, for pages that live elsewhere: they may import it from here.
pub fn sdk() -> Router {
    let module = |Path(path): Path<String>, headers: HeaderMap| async move {
        ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], file(&format!("sdk/{path}"), &headers))
    };
    Router::new().route("/sdk/{*path}", get(module))
}

fn file(path: &str, request: &HeaderMap) -> Response {
    // A build for debugging reads from the folder itself.
    let inside = !path.split('/').any(|part| part == "..");
    let Some(file) = Files::get(path).filter(|_| inside) else { return (StatusCode::NOT_FOUND, "there is no such page\n").into_response() };
    let tag: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let headers = [
        (header::CONTENT_TYPE, file.metadata.mimetype().to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag.clone()),
    ];
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data.into_owned()).into_response()
}
