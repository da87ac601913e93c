//! Sums of bytes, as their usual tools show them.

use md5::Md5;
use sha2::{Digest, Sha256};

/// The MD5 sum in hexadecimal digits. It protects against accidents, not against people.
pub fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// The SHA-256 sum in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
