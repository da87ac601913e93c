//! URLs: read, and shown to people.

use url::Url;

/// Reads one that can be asked for.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Url, String> {
    let refused = |why: &str| Err(format!("{text:?} is no URL: {why}"));
    match Url::parse(text.trim()) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => refused("it must begin with http:// or https://"),
        Ok(mut url) => {
            url.set_fragment(None);
            Ok(url)
        }
        Err(url::ParseError::RelativeUrlWithoutBase) => refused("it must begin with http:// or https://"),
        Err(error) => refused(&error.to_string()),
    }
}

/// The URL without the password that may be in it.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // It has a host, so it can have one.
        let _it_can = url.set_password(Some("***"));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_refused_and_odd_ones_are_put_right() {
        for text in ["", "localhost", "ftp://x/", "http://", "http://[::1", "mailto:a@b", "//host/path"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let odd = parse(" http://user:secret@Bücher.example:80/ä b?q=ü#part ").unwrap();
        assert_eq!(shown(&odd), "http://user:***@xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC");
    }
}
