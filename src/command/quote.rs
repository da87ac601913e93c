//! Words as a shell takes them.

/// `text` as one word of a POSIX shell: as it is where that is safe, in single quotes elsewhere.
pub fn shell_quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command line as messages show it: at most so many characters.
pub fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_real_shell_takes_every_word_back_as_it_was() -> std::io::Result<()> {
        let mut words: Vec<String> =
            ["", " ", "it's", "'", "''", "\\", "\\'", "a\nb", "\n", "$HOME", "`id`", "~", "#x"]
                .map(str::to_string)
                .into();
        words.extend(
            ["*", "{a,b}", "a;b", "a&b", "!x", "-n", "é ü", "\u{1f600}", "\"", "a\tb", "%s", "\r"].map(str::to_string),
        );
        words.extend((1u8..128).map(|byte| char::from(byte).to_string()));
        let quoted: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
        let text = format!("printf '%s\\0' {}", quoted.join(" "));
        let output = Command::new("/bin/sh").arg("-c").arg(text).output()?;
        let back: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let wanted: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).chain([&b""[..]]).collect();
        assert_eq!(back, wanted);
        Ok(())
    }

    #[test]
    fn safe_words_stay_readable() {
        assert_eq!(shell_quote("a/b-c_1.tar.gz"), "a/b-c_1.tar.gz");
        assert_eq!(shell_quote("a b"), "'a b'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }
}
