//! Reasoning that a model wrote into its answer text.

/// The tags that enclose reasoning.
const TAGS: [&str; 2] = ["think", "thinking"];

/// A tag in a text: its kind, whether it closes, and its byte span.
#[derive(Clone, Copy)]
struct Tag {
    kind: usize,
    closes: bool,
    start: usize,
    end: usize,
}

/// Parts reasoning from answer: takes out `<think>…</think>` and `<thinking>…</thinking>`, in any case of letters.
///
/// A block may hold blocks of its kind. An opening tag before any answer text that nothing closes makes the rest
/// reasoning, as where a token limit cut it off; one after answer text is text. A closing tag before any opening one
/// makes what precedes it reasoning, as where the chat template wrote the opening one.
///
/// Returns the pieces of reasoning, trimmed and joined by line breaks (none if there is none but white space), and the
/// answer text. A text without reasoning is returned as it is, any other trimmed.
pub fn split_reasoning(raw: &str) -> (Option<String>, String) {
    let tags = tags(raw);
    let mut reasoning: Vec<&str> = Vec::new();
    let mut text = String::new();
    let mut from = 0;
    let mut next = 0;
    if let Some(first) = tags.first().filter(|tag| tag.closes) {
        reasoning.push(&raw[..first.start]);
        from = first.end;
        next = 1;
    }
    while let Some(open) = tags.get(next) {
        next += 1;
        if open.closes {
            continue;
        }
        if let Some(at) = closing(&tags[next..], open.kind) {
            let close = tags[next + at];
            text.push_str(&raw[from..open.start]);
            reasoning.push(&raw[open.end..close.start]);
            from = close.end;
            next += at + 1;
        } else if text.trim().is_empty() && raw[from..open.start].trim().is_empty() {
            reasoning.push(&raw[open.end..]);
            from = raw.len();
            break;
        }
    }
    if reasoning.is_empty() {
        return (None, raw.to_owned());
    }
    text.push_str(&raw[from..]);
    let pieces: Vec<_> = reasoning.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let reasoning = (!pieces.is_empty()).then(|| pieces.join("\n"));
    (reasoning, text.trim().to_owned())
}

/// Finds the tag that closes a block of `kind`, among the tags behind its opening one.
///
/// It is the one that balances the opening tags in between; if none does, those are mentions, and the first closes.
fn closing(tags: &[Tag], kind: usize) -> Option<usize> {
    let mut depth = 1;
    let mut first = None;
    for (at, tag) in tags.iter().enumerate().filter(|(_, tag)| tag.kind == kind) {
        if !tag.closes {
            depth += 1;
            continue;
        }
        depth -= 1;
        first.get_or_insert(at);
        if depth == 0 {
            return Some(at);
        }
    }
    first
}

/// Lists the tags of a text, in order.
fn tags(raw: &str) -> Vec<Tag> {
    let tag_at = |start: usize| {
        let inner = &raw.as_bytes()[start + 1..];
        let closes = inner.first() == Some(&b'/');
        let inner = &inner[usize::from(closes)..];
        let length = inner.iter().take(9).position(|byte| *byte == b'>')?;
        let kind = TAGS.iter().position(|tag| tag.as_bytes().eq_ignore_ascii_case(&inner[..length]))?;
        let end = start + 1 + usize::from(closes) + length + 1;
        Some(Tag { kind, closes, start, end })
    };
    raw.match_indices('<').filter_map(|(start, _)| tag_at(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(raw: &str, reasoning: Option<&str>, text: &str) {
        assert_eq!(split_reasoning(raw), (reasoning.map(str::to_owned), text.to_owned()), "{raw}");
    }

    #[test]
    fn blocks_are_taken_out() {
        check("<think>\na\n</think>\n\nb ", Some("a"), "b");
        check("<Thinking>a</THINKING>b", Some("a"), "b");
        check("x <think>a</think>y<thinking>b</thinking> z", Some("a\nb"), "x y z");
        check("<think></think>b", None, "b");
        check("<think>a <thinking> b</think>c", Some("a <thinking> b"), "c");
    }

    #[test]
    fn a_text_without_reasoning_is_untouched() {
        for raw in ["", " a\n", "<thinker>a</thinker>", "a < think > b", "<", "<think", "</", "<th\u{130}nk>"] {
            check(raw, None, raw);
        }
    }

    #[test]
    fn an_unclosed_block_is_all_reasoning_before_any_answer() {
        check(" <think> a", Some("a"), "");
        check("<think>a</think>\n<think>b", Some("a\nb"), "");
        check("a <think> b", None, "a <think> b");
        check("<think>a</think> b <think> c", Some("a"), "b <think> c");
    }

    #[test]
    fn a_leading_orphan_ends_reasoning() {
        check("a\n</think>\nb", Some("a"), "b");
        check("</think>b", None, "b");
        check("a</think>b<think>c</think>d", Some("a\nc"), "bd");
        check("<think>a</think>b</think>c", Some("a"), "b</think>c");
    }

    #[test]
    fn nested_blocks_and_mentions() {
        check("<think>a<think>b</think>c</think>d", Some("a<think>b</think>c"), "d");
        check("<think>say <think> first</think>d", Some("say <think> first"), "d");
    }

    proptest! {
        #[test]
        fn well_formed_blocks_leave_no_trace(pieces in prop::collection::vec(("[a-z]{1,3}", "[a-z ]{0,5}", any::<bool>()), 0..5)) {
            let mut raw = String::new();
            let mut text = String::new();
            for (visible, hidden, long) in &pieces {
                let tag = if *long { "thinking" } else { "Think" };
                raw.extend([visible, "<", tag, ">", hidden, "</", tag, ">"]);
                text += visible;
            }
            prop_assert_eq!(split_reasoning(&raw).1, text);
        }

        #[test]
        fn any_text_can_be_split(raw in "(<think>|</think>|<thinking>|</thinking>|<|é|a| ){0,12}") {
            let (reasoning, text) = split_reasoning(&raw);
            prop_assert!(text.len() + reasoning.unwrap_or_default().len() <= raw.len());
        }
    }
}
