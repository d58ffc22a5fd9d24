//! The one table of error codes. Each has a page in `docs/errors/`.

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub code: &'static str,
    pub title: &'static str,
    /// The explanation, in Markdown.
    pub page: &'static str,
}

macro_rules! codes {
    ($($code:literal $title:literal;)+) => {
        /// Every code, in order.
        pub const CODES: &[Code] = &[
            $( Code {
                code: $code,
                title: $title,
                page: include_str!(concat!("../../../../docs/errors/", $code, ".md")),
            } ),+
        ];
    };
}

codes! {
    "E0001" "a character that the language does not use";
    "E0002" "a number that cannot be read";
    "E0003" "a string that does not end on its line";
    "E0004" "a file that is not UTF-8 text";
    "E0005" "a control or invisible character";
    "E0006" "an unknown escape in a string";
    "E0007" "a comment of another language";
    "E0101" "something else was expected";
    "E0102" "a bracket that is never closed";
    "E0103" "two statements on one line";
    "E0104" "a closing bracket without an opening one";
    "E0105" "something that cannot stand here";
    "E0106" "a binding without `let`";
    "E0107" "a chain of comparisons";
    "E0108" "an operator or word of another language";
    "E0109" "a semicolon";
    "E0110" "documentation of nothing";
    "E0111" "a keyword as a name";
    "E0112" "an `if` without `else`";
    "E0113" "a reduction that needs parentheses";
    "E0114" "a range that lacks an end";
    "E0115" "a type where none belongs, or none where one does";
    "E0116" "a `for each` over another number of values";
    "E0117" "a call of something that is not a function";
    "E0118" "a rule of another form";
    "E0119" "a file without items";
    "E0120" "a schedule of another form";
    "E0121" "a `fuse` or `layout` of another form";
    "E0201" "an unknown name";
    "E0202" "a name that is defined twice";
    "E0203" "a file that cannot be used";
    "E0204" "functions that call themselves";
    "E0205" "an unknown type";
    "E0206" "an unknown field or method";
    "E0301" "shapes that do not agree";
    "E0302" "element types that do not agree";
    "E0303" "a call that does not fit";
    "E0304" "another kind of value was expected";
    "E0305" "a dimension that cannot be found out";
    "E0306" "a constraint that does not hold";
    "E0307" "an axis out of range";
    "E0308" "a compile-time value was expected";
    "E0401" "an index that is not bound";
    "E0402" "an index of two sizes";
    "E0403" "an index whose range is not known";
    "E0404" "an index that leaves its axis";
    "E0405" "an index that is bound twice";
    "E0501" "a value that is used after it was given away";
    "E0502" "a key that is used twice";
    "E0503" "a loop whose state changes its type";
    "E0504" "emit outside of a loop";
    "E0601" "a value that has no gradient";
    "E0602" "a field without an initialiser";
    "E0701" "the sides of a rule differ";
    "E0702" "an unbound variable in a rule";
    "E0703" "an unknown name in a schedule";
    "E0704" "a step or a condition that does not fit";
    "E0705" "steps that do not go together";
    "E0706" "a guard of another form";
    "E0707" "a guard that never holds";
    "E0708" "an unknown name in a pass";
    "E0709" "a cost or a derivative of another form";
    "E0710" "a rule that says nothing";
    "E0801" "nested too deeply";
    "E0802" "too large";
    "E0803" "a name that is too long";
}

/// The row of a code such as `E0301`, in any letter case.
pub fn code(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code.eq_ignore_ascii_case(name))
}
