//! Bodies by size, by chunk and by encoding.

use std::convert::Infallible;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures_util::stream;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use rand_xoshiro::Xoshiro256PlusPlus;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use super::{Body, Query, Refusal, Reply, whole, with_header};
use crate::server::Target;

type Answer = Result<Reply, Refusal>;

/// The largest body of `/bytes/{n}` and the largest chunk.
const BYTES_LIMIT: usize = 64 << 20;

/// The most lines or chunks of one body.
const CHUNKS_LIMIT: usize = 100_000;

pub(super) fn sized(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let length = query.param("n", 0, BYTES_LIMIT)?;
    Ok(Reply::Now(whole(
        "application/octet-stream",
        filler(length),
    )))
}

pub(super) fn stream(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let lines = query.param("n", 0, CHUNKS_LIMIT)?;
    let line = move |id| Bytes::from(format!("{}\n", json!({"id": id, "of": lines})));
    Ok(Reply::Now(in_chunks(
        "application/x-ndjson",
        (0..lines).map(line),
    )))
}

pub(super) fn chunked(query: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let sizes = query
        .value("sizes")
        .unwrap_or_else(|| "1,10,100".to_owned());
    let sizes = sizes
        .split(',')
        .take(CHUNKS_LIMIT)
        .map(|size| super::bounded("sizes", size.trim(), BYTES_LIMIT))
        .collect::<Result<Vec<usize>, _>>()?;
    if sizes.iter().sum::<usize>() > BYTES_LIMIT {
        return Err(Refusal(format!("sizes add up to more than {BYTES_LIMIT}")));
    }
    // An empty chunk would end the body.
    let sizes = sizes.into_iter().filter(|size| *size > 0);
    Ok(Reply::Now(in_chunks(
        "application/octet-stream",
        sizes.map(filler),
    )))
}

fn in_chunks(
    content_type: &'static str,
    chunks: impl Iterator<Item = Bytes> + Send + 'static,
) -> http::Response<Body> {
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    let body = StreamBody::new(stream::iter(frames)).map_err(|never| match never {});
    whole(content_type, "").map(|_| body.boxed_unsync())
}

/// Bytes that differ along the body, so that a lost or doubled part shows.
fn filler(length: usize) -> Bytes {
    (0..length).map(|index| b'a' + (index % 26) as u8).collect()
}

/// The document inside every encoding.
fn encoded_text(encoding: &str) -> Vec<u8> {
    let text = "drumfire packs this text many times over. ".repeat(40);
    let body = json!({"encoding": encoding, "id": 42, "text": text});
    body.to_string().into_bytes()
}

pub(super) fn gzip(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&encoded_text("gzip")).map_err(refusal)?;
    Ok(encoded("gzip", encoder.finish().map_err(refusal)?))
}

pub(super) fn deflate(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(&encoded_text("deflate"))
        .map_err(refusal)?;
    Ok(encoded("deflate", encoder.finish().map_err(refusal)?))
}

pub(super) fn brotli(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 4,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut encoded_text("br").as_slice(), &mut packed, &params)
        .map_err(refusal)?;
    Ok(encoded("br", packed))
}

pub(super) fn zstd(_: &Query, _: &mut Xoshiro256PlusPlus, _: &Target) -> Answer {
    let packed = compress_to_vec(encoded_text("zstd").as_slice(), CompressionLevel::Fastest);
    Ok(encoded("zstd", packed))
}

fn encoded(encoding: &'static str, packed: Vec<u8>) -> Reply {
    let answer = whole("application/json", packed);
    Reply::Now(with_header(answer, CONTENT_ENCODING, encoding))
}

/// Encoders that write to memory do not fail; should one, the client is told.
fn refusal(error: std::io::Error) -> Refusal {
    Refusal(format!("cannot encode the body: {error}"))
}
