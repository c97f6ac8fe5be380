//! spike
use crate::options::Convert;
/// c
/// # Errors
/// e
pub fn convert(_asked: &Convert) -> Result<Vec<String>, String> {
    Err("not yet".into())
}
