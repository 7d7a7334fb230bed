//! The two fields that say where a body ends. Whatever two readers could read differently is refused.

use super::Version;
use super::error::HeadError;
use super::fields::Fields;
use super::header::HeaderId;

/// Whether the body is chunked: one Transfer-Encoding field whose value is exactly `chunked`.
#[inline]
pub(super) fn has_transfer_encoding(fields: &Fields<'_>, version: Version) -> Result<bool, HeadError> {
    let Some(value) = fields.get(HeaderId::TransferEncoding) else { return Ok(false) };
    if fields.present().contains(HeaderId::ContentLength) {
        return Err(HeadError::LengthAndEncoding);
    }
    if fields.repeated().contains(HeaderId::TransferEncoding) {
        return Err(HeadError::EncodingRepeated);
    }
    if version == Version::Http10 {
        return Err(HeadError::EncodingInHttp10);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(true);
    }
    let ends_chunked = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    // Applying chunked twice is an error, not an unknown coding (RFC 9112 section 6.1).
    let times = super::tokens(value).filter(|coding| coding.eq_ignore_ascii_case(b"chunked")).count();
    Err(if ends_chunked.trim_ascii().eq_ignore_ascii_case(b"chunked") && times == 1 {
        HeadError::EncodingUnsupported
    } else {
        HeadError::EncodingNotChunked
    })
}

/// The value of the one Content-Length field.
#[inline]
pub(super) fn content_length(fields: &Fields<'_>) -> Result<Option<u64>, HeadError> {
    let Some(value) = fields.get(HeaderId::ContentLength) else { return Ok(None) };
    if fields.repeated().contains(HeaderId::ContentLength) {
        return Err(HeadError::ContentLengthRepeated);
    }
    decimal(value).map(Some).ok_or(HeadError::ContentLengthInvalid)
}

/// The number that `digits` spell: at least one, nothing but decimal digits, at most 19 of them, so that
/// it fits. Leading zeros count as digits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum * 10 + u64::from(byte - b'0')),
        _ => None,
    })
}
