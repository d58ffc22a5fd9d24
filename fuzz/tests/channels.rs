//! Lanes that are batches: what is copied for them, what is not stored, and what does not fit.

use aiai_fuzz::schedules::loops_by;

/// Steps without those that some test leaves out.
const STEPS: &str = "parallel columns, rows\nregister rows by 2\nvectorize batch by 4\nunroll summed by 3\nfuse epilogue";

fn loops(kernel: &str, more: &str) -> (String, Vec<String>) {
    loops_by(
        kernel,
        &format!("schedule mine for contract on cpu {{\n{more}\n{STEPS}\n}}\n"),
    )
}

/// The notes on contractions.
fn of_contractions(notes: &[String]) -> Vec<&str> {
    let others = notes.iter().map(String::as_str);
    others.filter(|note| !note.contains(" for map")).collect()
}

#[test]
fn margins_are_made_in_copies_alone_where_windows_begin_with_lines() {
    let buffers = |kernel: &str, inline: &str| {
        let (loops, notes) = loops(
            kernel,
            &format!("tile rows by 4\npack left, right\n{inline}"),
        );
        let notes = of_contractions(&notes);
        assert!(
            notes.iter().all(|note| *note == "schedule `mine`"),
            "{kernel}: {notes:?}"
        );
        loops.matches(" = alloc").count()
    };
    for (kernel, saved) in [
        ("depthwise", 1),
        ("channels_at_nine", 1),
        ("around", 1),
        ("deep", 1),
        // Planes are cut where rows are more than lines.
        ("padded_volumes", 0),
        ("later_windows", 1),
        // Windows begin within lines, or where a batch says.
        ("windows_within_lines", 0),
        ("batches_in_planes", 0),
        // Whether windows with a stride stay inside is not known of all sizes.
        ("channels", 0),
        // The inner margin is stored.
        ("some_channels", 1),
        // Rows are one line, in the middle of which a tile begins.
        ("signals", 0),
        ("padded_for_two", 0),
        // What is padded lies in another order.
        ("turned_and_padded", 0),
    ] {
        let [stored, inlined] = ["", "inline left"].map(|inline| buffers(kernel, inline));
        assert_eq!(stored - inlined, saved, "{kernel}");
    }
}

#[test]
fn each_task_copies_what_its_tile_reads() {
    let scratch = |tile: &str| {
        let (loops, _) = loops(
            "channels",
            &format!("{tile}\npack left, right\ninline left"),
        );
        let scratch = loops.lines().filter(|line| line.contains(" = alloc"));
        let inner = scratch.filter(|line| line.starts_with("    "));
        inner.map(str::to_owned).collect::<Vec<_>>()
    };
    let [tiled, whole] = ["tile rows by 4", "tile rows by 4000"].map(scratch);
    assert_eq!((tiled.len(), whole.len()), (1, 1));
    assert_ne!(tiled, whole);
}

#[test]
fn what_does_not_suit_lanes_that_are_batches_is_said() {
    let reason = |kernel: &str, more: &str| {
        let (_, notes) = loops(kernel, more);
        let notes = of_contractions(&notes).concat();
        notes
            .strip_prefix("plain loops: `mine`: ")
            .unwrap_or(&notes)
            .to_owned()
    };
    let packed = "pack left, right";
    for (kernel, more, expected) in [
        (
            "product",
            packed,
            "there are no batches or no rows, or both operands have indices of their own",
        ),
        (
            "backwards",
            packed,
            "the left operand may be read backwards",
        ),
        (
            "turned_and_padded",
            "pack right",
            "lanes are batches where the left operand is packed",
        ),
        (
            "around",
            "pack left\ntile columns by 8",
            "lanes are batches where a task is one block of columns",
        ),
        (
            "around",
            "pack left\nregister columns by 8",
            "lanes are batches where a register block is one vector of a power of two wide",
        ),
        (
            "around",
            "pack left\nvectorize columns by 4",
            "vectors run along one axis",
        ),
    ] {
        let found = reason(kernel, more);
        assert!(found.contains(expected), "{kernel}: {found}");
    }
}

#[test]
fn sums_in_lanes_are_of_operands_whose_neighbours_they_are() {
    let by = |kernel: &str, steps: &str| {
        let text = format!(
            "schedule mine for contract on cpu {{\n{steps}\nvectorize summed by 4\nfuse epilogue\n}}\n"
        );
        let (loops, notes) = loops_by(kernel, &text);
        (
            loops.matches(" = fma ").count(),
            of_contractions(&notes).concat(),
        )
    };
    // A loop of whole vectors, and the vector behind it; blocks of numbers of 8 bytes are half as wide.
    for (kernel, expected) in [
        ("lines_by_lines", 4),
        ("line_by_lines", 4),
        ("lines_of_doubles", 2),
        ("slopes", 4),
    ] {
        let (sums, note) = by(kernel, "register rows by 1, columns by 2");
        assert_eq!(
            (sums, note.as_str()),
            (expected, "schedule `mine`"),
            "{kernel}"
        );
    }
    let blocks = "register rows by 2, columns by 4";
    for (kernel, steps, expected) in [
        (
            "turned",
            blocks,
            "neighbours in the sum are none in both operands",
        ),
        (
            "lines_by_lines",
            "pack right\nregister columns by 2",
            "sums in lanes are of operands as they are",
        ),
        (
            "lines_by_lines",
            "tile summed by 8",
            "sums in lanes are of operands as they are",
        ),
        (
            "lines_by_lines",
            "unroll summed by 2",
            "neither unrolled nor balanced",
        ),
        (
            "lines_by_lines",
            "register columns by 3",
            "make no tree that is one vector",
        ),
        (
            "lines_by_lines",
            "register columns by 8",
            "make no tree that is one vector",
        ),
    ] {
        let (_, note) = by(kernel, steps);
        assert!(note.contains(expected), "{kernel}, {steps}: {note}");
    }
}
