//! Hostile input: a diagnostic, never a panic, an exhausted stack or unbounded memory.

use aiai_frontend::diagnostics::{Diagnostics, render};
use aiai_frontend::fmt::format;
use aiai_frontend::parse::parse;
use aiai_frontend::span::{FileId, MAX_FILE_BYTES, SourceMap};
use proptest::prelude::*;

/// The codes found, with every finding rendered and the tree dropped on a small stack.
fn codes(text: String) -> Vec<&'static str> {
    let run = move || {
        let mut sources = SourceMap::default();
        let mut diagnostics = Diagnostics::default();
        let id = sources.add("hostile.aiai", text.clone());
        parse(&text, id, &mut diagnostics);
        for diagnostic in diagnostics.iter() {
            let shown = render(diagnostic, &sources, false);
            assert!(shown.len() < 5000, "{shown}");
            assert!(
                !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
                "{shown}"
            );
        }
        diagnostics.iter().map(|d| d.code).collect()
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run);
    thread.expect("a thread").join().expect("no panic")
}

fn in_function(body: &str) -> String {
    format!("fn f(x: f32[]) -> f32[] {{\n  {body}\n}}\n")
}

fn nested(open: &str, inner: &str, close: &str) -> String {
    in_function(&(open.repeat(100_000) + inner + &close.repeat(100_000)))
}

#[test]
fn deep_nesting_is_one_finding() {
    let cases = [
        nested("(", "x", ")"),
        nested("[", "x", "]"),
        nested("{ ", "x", " }"),
        nested("f(", "x", ")"),
        nested("(", "", ""),
        nested("-", "x", ""),
        nested("not ", "x", ""),
        nested("x + ", "x", ""),
        nested("", "x", ".a"),
        nested("", "x", "[0]"),
        nested("", "x", ".f()"),
        nested("(x, ", "x", ")"),
        nested("sum i: ", "x", ""),
        nested("if x { x } else ", "{ x }", ""),
        nested("if ", "x", " { x } else { x }"),
        nested("for t in 0..1 with x = x { ", "x", " }"),
        nested("grad x { ", "x", " }"),
        format!(
            "fn f(x: {}M{}) {{ }}\n",
            "A<".repeat(100_000),
            ">".repeat(100_000)
        ),
        format!(
            "fn f(x: {}M{}) {{ }}\n",
            "(".repeat(100_000),
            ")".repeat(100_000)
        ),
        format!(
            "fn f(x: {}M{}) {{ }}\n",
            "[".repeat(100_000),
            "; 3]".repeat(100_000)
        ),
        format!("fn f(x: f32[{}N]) {{ }}\n", "1 + ".repeat(100_000)),
        in_function(&format!(
            "let {}x{} = x",
            "(".repeat(100_000),
            ")".repeat(100_000)
        )),
    ];
    for case in cases {
        let start: String = case.chars().take(60).collect();
        assert_eq!(codes(case), ["E0801"], "{start}");
    }
}

#[test]
fn nesting_within_the_limit_is_read() {
    let text = in_function(&("(".repeat(200) + "x" + &")".repeat(200)));
    assert_eq!(codes(text.clone()), [""; 0]);
    let run = move || format(&text, FileId(0)).is_ok();
    assert!(
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(run)
            .unwrap()
            .join()
            .unwrap()
    );
}

#[test]
fn single_tokens_without_end() {
    assert_eq!(codes(in_function(&"9".repeat(5_000_000))), ["E0002"]);
    assert_eq!(
        codes(in_function(&("0.".to_owned() + &"9".repeat(5_000_000)))),
        ["E0002"]
    );
    assert_eq!(codes(in_function(&"x".repeat(5_000_000))), ["E0803"]);
    assert_eq!(
        codes(in_function(&("\"".to_owned() + &"x".repeat(5_000_000)))),
        ["E0003"]
    );
    let comment = "// ".to_owned() + &"x".repeat(5_000_000);
    assert_eq!(codes(comment + "\nfn f() { }\n"), [""; 0]);
}

#[test]
fn brackets_that_never_match() {
    assert_eq!(codes(")".repeat(100_000)).first(), Some(&"E0104"));
    assert_eq!(codes("}".repeat(100_000)).first(), Some(&"E0104"));
    assert_eq!(codes("({[".repeat(80)).first(), Some(&"E0102"));
    assert_eq!(codes("fn f() {\n".repeat(200)).first(), Some(&"E0102"));
    assert_eq!(codes("fn f() {\n".repeat(100_000)), ["E0801"]);
    assert_eq!(
        codes(in_function(&"(]".repeat(100_000))).first(),
        Some(&"E0104")
    );
}

#[test]
fn bytes_that_do_not_belong() {
    assert_eq!(codes("\u{feff}fn f() { }\n".to_owned()), [""; 0]);
    assert_eq!(codes("fn f() { }\n\u{feff}\n".to_owned()), ["E0005"]);
    assert_eq!(codes("\0".repeat(1_000_000)), ["E0005"]);
    assert_eq!(codes("fn f() { } // \u{1b}[31m\n".to_owned()), ["E0005"]);
    for nothing in ["", "\n", " \t\r\n", "\u{feff}", "// nothing\n"] {
        assert_eq!(codes(nothing.to_owned()), ["E0119"], "{nothing:?}");
    }
    assert_eq!(codes("\r\n\r\nfn f() { }\r\n".to_owned()), [""; 0]);
    assert_eq!(codes(" ".repeat(MAX_FILE_BYTES + 1)), ["E0802"]);
}

#[test]
fn findings_are_bounded() {
    let text = "let\n".repeat(100_000);
    assert!(codes(text).len() <= 200);
}

/// Words of the language, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "fn", "f", "module", "M", "param", "x", "let", "=", "(", ")", "[", "]", "{", "}", ",", ":",
        "..", "...", ".", "->", "=>", "==", "<", ">", "+", "-", "*", "@", "::", "sum", "i", "for",
        "each", "in", "with", "while", "max", "if", "else", "grad", "emit", "test", "\"t\"",
        "prop", "rule", "rules", "schedule", "on", "cpu", "exact", "approx", "where", "use", "as",
        "0", "1.5", "f32", "\n", "\n", "// c\n", "/// d\n", ";", "!", "&&", "**", "not", "and",
        "~", "own", "const", "by", "?", "é",
    ];
    let word = prop::sample::select(words.to_vec());
    prop::collection::vec(word, 0..120).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_words_are_read(text in soup()) {
        let mut diagnostics = Diagnostics::default();
        let mut sources = SourceMap::default();
        let id = sources.add("soup.aiai", text.clone());
        parse(&text, id, &mut diagnostics);
        for diagnostic in diagnostics.iter() {
            render(diagnostic, &sources, true);
        }
        if let Ok(once) = format(&text, id) {
            prop_assert_eq!(format(&once, id).ok(), Some(once));
        }
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let mut diagnostics = Diagnostics::default();
        let mut sources = SourceMap::default();
        let id = sources.add("any.aiai", text.clone());
        parse(&text, id, &mut diagnostics);
        for diagnostic in diagnostics.iter() {
            render(diagnostic, &sources, false);
        }
    }
}

/// What is asked of sizes has a counted budget; what it does not reach is tested when the program runs.
#[test]
fn a_hostile_where_ends_soon() {
    struct NoFiles;
    impl aiai_frontend::elaborate::Loader for NoFiles {
        fn load(&self, _: &str, _: &[&str]) -> Result<(String, String), String> {
            Err("there are no files".into())
        }
    }
    let remainders = |sizes: [&str; 4], count: usize| {
        let terms = (0..count).map(|k| format!("{} % {}", sizes[k % 4], k + 2));
        terms.collect::<Vec<_>>().join(" + ") + " >= 1"
    };
    let conditions: Vec<String> = (24..56)
        .map(|count| remainders(["A", "B", "C", "D"], count))
        .collect();
    let head = "(x: f32[A, B, C, D]) -> f32[A, B, C, D]";
    let text = format!(
        "fn f{head} where {} {{ x }}\nfn g{head} where {} {{ f(x) }}\n",
        conditions.join(", "),
        remainders(["D", "A", "C", "B"], 60)
    );
    let start = std::time::Instant::now();
    let program = aiai_frontend::elaborate::check("hostile.aiai", &text, &NoFiles);
    let codes: Vec<_> = program.diagnostics.iter().map(|d| d.code).collect();
    assert!(codes.is_empty(), "{codes:?}");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
