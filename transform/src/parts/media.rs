//! What a body is, by its content type.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// What a body says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON, `+json` included.
    Json,
    /// A JSON document on each line.
    JsonLines,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` and kin, with what stands between its parts.
    Multipart(String),
    /// Text of any other kind, XML included.
    Text,
    /// gRPC, whose messages nobody can look into without their schema.
    Grpc,
    /// Anything else.
    Other,
    /// There is no content type.
    Unsaid,
}

impl Media {
    /// What these headers say.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(CONTENT_TYPE).iter();
        let Some(value) = lines.next() else { return Self::Unsaid };
        // Which of them is read, only the reader knows.
        if lines.any(|other| other != value) {
            return Self::Other;
        }
        if compare::reply::says_grpc(value.as_bytes()) {
            return Self::Grpc;
        }
        let Ok(text) = value.to_str() else { return Self::Other };
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "application/json" | "text/json" => Self::Json,
            "application/x-ndjson"
            | "application/jsonl"
            | "application/json-lines"
            | "application/x-jsonlines"
            | "application/ndjson" => Self::JsonLines,
            "application/x-www-form-urlencoded" => Self::Form,
            _ if name.ends_with("+json") => Self::Json,
            _ if name.starts_with("multipart/") => {
                boundary(parameters).map_or(Self::Other, Self::Multipart)
            }
            _ if name.starts_with("text/") || name.ends_with("xml") => Self::Text,
            "application/javascript" | "application/graphql" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The parameter of this name (RFC 2046 section 5.1.1), in quotes or not.
fn boundary(parameters: &str) -> Option<String> {
    let mut rest = parameters;
    let mut found = None;
    while let Some((name, value)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ';', '\t']);
        let value = value.trim_start();
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(';').unwrap_or((value, "")),
        };
        let is_boundary = name.eq_ignore_ascii_case("boundary");
        // Which of several is meant, only the reader knows.
        if name.eq_ignore_ascii_case("boundary*")
            || is_boundary && found.replace(value.trim_end()).is_some()
        {
            return None;
        }
        rest = behind;
    }
    found.filter(|it| !it.is_empty() && it.len() <= 70).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(text: &str) -> Media {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
        Media::of(&headers)
    }

    #[test]
    fn a_body_is_what_its_content_type_says() {
        for (text, expected) in [
            ("application/json", Media::Json),
            ("Application/Problem+JSON; charset=utf-8", Media::Json),
            ("application/x-ndjson", Media::JsonLines),
            ("application/x-www-form-urlencoded; charset=UTF-8", Media::Form),
            ("multipart/form-data; boundary=abc", Media::Multipart("abc".into())),
            (
                "multipart/form-data; charset=\"a;b\"; Boundary=\"a b\"",
                Media::Multipart("a b".into()),
            ),
            ("multipart/form-data", Media::Other),
            ("multipart/form-data; boundary=", Media::Other),
            ("multipart/form-data; boundary=a; boundary=b", Media::Other),
            ("multipart/form-data; boundary=a; boundary*=utf-8''b", Media::Other),
            ("text/html", Media::Text),
            ("image/svg+xml", Media::Text),
            ("application/grpc+proto", Media::Grpc),
            ("image/png", Media::Other),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(Media::of(&HeaderMap::new()), Media::Unsaid);
        let mut two = HeaderMap::new();
        two.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        two.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert_eq!(Media::of(&two), Media::Json);
        two.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(Media::of(&two), Media::Other);
    }
}
