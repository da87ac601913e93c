//! Pages of help, as wide as the window.
//!
//! What belongs together is joined and broken anew between words; code, headings and tables stay as they are.

use unicode_width::UnicodeWidthStr;

/// How far the second and later lines of an item are moved in.
const HANGING: &str = "    ";

/// The text for a window of so many columns.
pub fn flowed(text: &str, columns: usize) -> String {
    let (mut page, mut paragraph, mut in_code) = (String::new(), String::new(), false);
    for line in text.lines() {
        let is_fence = line.starts_with("```");
        let stays = in_code || is_fence || line.trim().is_empty() || line.starts_with(['#', '|']);
        in_code ^= is_fence;
        // A line that is moved in goes on with the item above it, or is one of a list of its own.
        let is_new = line.starts_with('-') || (line.starts_with(' ') && !paragraph.starts_with('-'));
        if stays || is_new {
            break_up(&mut page, &paragraph, columns);
            paragraph.clear();
        }
        if stays {
            page.push_str(line);
            page.push('\n');
            continue;
        }
        if !paragraph.is_empty() {
            paragraph.push(' ');
        }
        paragraph.push_str(if paragraph.is_empty() { line } else { line.trim_start() });
    }
    break_up(&mut page, &paragraph, columns);
    page
}

fn break_up(page: &mut String, paragraph: &str, columns: usize) {
    if !paragraph.is_empty() && paragraph.width() <= columns {
        page.push_str(paragraph);
        page.push('\n');
        return;
    }
    let is_item = paragraph.starts_with([' ', '-']);
    let start = paragraph.len() - paragraph.trim_start().len();
    let mut line = paragraph[..start].to_string();
    let mut is_bare = true;
    for word in paragraph.split_whitespace() {
        if !is_bare && line.width() + 1 + word.width() > columns {
            page.push_str(&line);
            page.push('\n');
            line = if is_item { HANGING.into() } else { String::new() };
            is_bare = true;
        }
        if !is_bare {
            line.push(' ');
        }
        line.push_str(word);
        is_bare = false;
    }
    if !is_bare {
        page.push_str(&line);
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::flowed;

    #[test]
    fn words_flow_and_code_stays() {
        let text = "# A long heading stays\n\nOne two\nthree four five.\n\n- an item\n    of a\n    list\n- b\n\n```rhai\nlet a_long_line = 1;\n```\n";
        let narrow = "# A long heading stays\n\nOne two\nthree four\nfive.\n\n- an item of\n    a list\n- b\n\n```rhai\nlet a_long_line = 1;\n```\n";
        assert_eq!(flowed(text, 12), narrow);
        assert_eq!(flowed("  Locks: Lock, RLock, Semaphore", 19), "  Locks: Lock,\n    RLock,\n    Semaphore\n");
        assert_eq!(flowed("a\nb\n", 80), "a b\n");
        assert_eq!(flowed("averyveryverylongword b", 5), "averyveryverylongword\nb\n");
        assert_eq!(flowed("", 80), "");
    }
}
