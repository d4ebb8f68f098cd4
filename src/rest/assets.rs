//! Files that are built into the program: the demo's page and what browsers build on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

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
    sdk()
        .route("/", get(index))
        .route("/openapi.json", get(openapi))
        .route("/{*path}", get(|Path(path): Path<String>, headers: HeaderMap| async move { file(&path, &headers) }))
}

/// `/sdk/…`: pages that live elsewhere may import it from here, and npm may install it.
pub fn sdk() -> Router {
    let module = |Path(path): Path<String>, headers: HeaderMap| async move { (ANYWHERE, file(&format!("{SDK}{path}"), &headers)) };
    let package = |headers: HeaderMap| async move { (ANYWHERE, package(&headers)) };
    Router::new().route("/sdk/tallycast.tgz", get(package)).route("/sdk/{*path}", get(module))
}

const ANYWHERE: [(header::HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

/// Where the SDK's files are.
const SDK: &str = "sdk/";

fn file(path: &str, request: &HeaderMap) -> Response {
    // A build for debugging reads from the folder itself.
    let inside = !path.split('/').any(|part| part == "..");
    let Some(file) = Files::get(path).filter(|_| inside) else { return (StatusCode::NOT_FOUND, "there is no such page\n").into_response() };
    tagged(request, file.metadata.mimetype(), file.metadata.sha256_hash(), || file.data.into_owned())
}

/// The SDK as npm takes it: the very files that are served beside it.
fn package(request: &HeaderMap) -> Response {
    static PACKAGE: LazyLock<io::Result<(Vec<u8>, [u8; 32])>> = LazyLock::new(|| {
        let names = Files::iter().filter_map(|path| Some(path.strip_prefix(SDK)?.to_owned()));
        let files = names.filter_map(|name| Files::get(&format!("{SDK}{name}")).map(|file| (name, file.data)));
        let bytes = packed(files.collect())?;
        let hash = Sha256::digest(&bytes).into();
        Ok((bytes, hash))
    });
    match &*PACKAGE {
        Ok((bytes, hash)) => tagged(request, "application/gzip", *hash, || bytes.clone()),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the package could not be made: {e}\n")).into_response(),
    }
}

/// Files by their names as the archive that `npm pack` makes. The same files give the same bytes: `npm` keeps their hash.
fn packed(files: BTreeMap<String, Cow<'static, [u8]>>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (name, data) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(PACKAGE_UNIX_SECONDS);
        archive.append_data(&mut header, format!("package/{name}"), &*data)?;
    }
    archive.into_inner()?.finish()
}

/// The time that npm itself gives all files of a package: 26 October 1985, 08:15 UTC.
const PACKAGE_UNIX_SECONDS: u64 = 499_162_500;

/// Content, or the word that whoever asks has it already.
fn tagged(request: &HeaderMap, kind: &str, hash: [u8; 32], content: impl FnOnce() -> Vec<u8>) -> Response {
    let tag: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag.clone()),
    ];
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, content()).into_response()
}
