//! Content codings undone, within a limit, so that a small answer cannot
//! become a big one.

use crate::Failure;
use bytes::Bytes;
use std::io::{self, Read};

/// Bytes of a coded body that are read at a time.
const STEP_BYTES: usize = 16 * 1024;

/// Undoes the codings of a body as its `Content-Encoding` lists them. A coding
/// that is not known leaves the body as it is.
///
/// # Errors
///
/// [`Failure::BadContentEncoding`], [`Failure::TruncatedContentEncoding`], or
/// [`Failure::DecodedTooLarge`] where more than `limit_bytes` come out.
pub fn decode(body: Bytes, content_encoding: &[u8], limit_bytes: usize) -> Result<Bytes, Failure> {
    let codings = content_encoding.rsplit(|byte| *byte == b',');
    codings
        .map(<[u8]>::trim_ascii)
        .try_fold(body, |body, coding| {
            let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if body.is_empty() => Ok(body),
                () if is("gzip") || is("x-gzip") => {
                    read_all(flate2::read::MultiGzDecoder::new(&body[..]), limit_bytes)
                }
                () if is("deflate") && is_zlib(&body) => {
                    read_all(flate2::read::ZlibDecoder::new(&body[..]), limit_bytes)
                }
                () if is("deflate") => {
                    read_all(flate2::read::DeflateDecoder::new(&body[..]), limit_bytes)
                }
                () if is("br") => read_all(
                    brotli::Decompressor::new(&body[..], STEP_BYTES),
                    limit_bytes,
                ),
                () if is("zstd") => {
                    let decoder = ruzstd::decoding::StreamingDecoder::new(&body[..]);
                    read_all(
                        decoder.map_err(|_| Failure::BadContentEncoding)?,
                        limit_bytes,
                    )
                }
                () => Ok(body),
            }
        })
}

/// Whether "deflate" comes with zlib's two bytes in front, as it should and
/// often does not (RFC 1950, 2.2).
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31)
        }
        _ => false,
    }
}

fn read_all(mut decoder: impl Read, limit_bytes: usize) -> Result<Bytes, Failure> {
    let mut decoded = Vec::new();
    let mut step = vec![0; STEP_BYTES];
    loop {
        match decoder.read(&mut step) {
            Ok(0) => return Ok(decoded.into()),
            Ok(read) if read > limit_bytes - decoded.len() => return Err(Failure::DecodedTooLarge),
            Ok(read) => decoded.extend_from_slice(&step[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Failure::TruncatedContentEncoding);
            }
            Err(_) => return Err(Failure::BadContentEncoding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = b"the same words, the same words, the same words";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut &bytes[..], &mut coded, &parameters).expect("memory");
        coded
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(bytes, level)
    }

    fn check(coded: Vec<u8>, encoding: &str, limit: usize, expected: Result<&[u8], Failure>) {
        let decoded = decode(coded.into(), encoding.as_bytes(), limit);
        assert_eq!(
            decoded.as_deref(),
            expected.as_ref().map(|bytes| *bytes),
            "{encoding}"
        );
    }

    #[test]
    fn every_coding_is_undone() {
        for (coded, encoding) in [
            (gzip(TEXT), "gzip"),
            (gzip(TEXT), " X-GZIP "),
            (zlib(TEXT), "deflate"),
            (zlib(TEXT)[2..zlib(TEXT).len() - 4].to_vec(), "deflate"),
            (brotli(TEXT), "br"),
            (zstd(TEXT), "zstd"),
            (brotli(&gzip(TEXT)), "gzip, br"),
            (TEXT.to_vec(), "identity"),
            (TEXT.to_vec(), "unheard-of"),
        ] {
            check(coded, encoding, 1000, Ok(TEXT));
        }
        for encoding in ["gzip", "br", "zstd", "deflate"] {
            check(Vec::new(), encoding, 1000, Ok(b""));
        }
    }

    #[test]
    fn what_comes_out_is_limited() {
        let bomb = vec![b'x'; 10_000_000];
        for (coded, encoding) in [
            (gzip(&bomb), "gzip"),
            (zlib(&bomb), "deflate"),
            (brotli(&bomb), "br"),
            (zstd(&bomb), "zstd"),
            (gzip(&gzip(&bomb)), "gzip, gzip"),
        ] {
            check(
                coded.clone(),
                encoding,
                100_000,
                Err(Failure::DecodedTooLarge),
            );
            check(coded, encoding, bomb.len(), Ok(&bomb));
        }
    }

    #[test]
    fn bad_data_fails_by_name() {
        let cut = |coded: Vec<u8>| coded[..coded.len() - 9].to_vec();
        for (coded, encoding, failure) in [
            (
                b"abcdefghijkl".to_vec(),
                "gzip",
                Failure::BadContentEncoding,
            ),
            (
                b"\xff\xff\xff".to_vec(),
                "deflate",
                Failure::BadContentEncoding,
            ),
            (b"\xff\xff\xff".to_vec(), "br", Failure::BadContentEncoding),
            (
                b"abcdefghijkl".to_vec(),
                "zstd",
                Failure::BadContentEncoding,
            ),
            (cut(gzip(TEXT)), "gzip", Failure::TruncatedContentEncoding),
            (
                cut(zlib(TEXT)),
                "deflate",
                Failure::TruncatedContentEncoding,
            ),
            (cut(brotli(TEXT)), "br", Failure::BadContentEncoding),
        ] {
            check(coded, encoding, 1000, Err(failure));
        }
    }
}
