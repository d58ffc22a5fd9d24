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
    "E0003" "an unfinished text";
    "E0004" "a file that is not plain UTF-8 text";
    "E0101" "unexpected token";
    "E0102" "a bracket that is not closed";
    "E0103" "a statement that goes on after its end";
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
    "E0801" "nested too deeply";
    "E0802" "too large";
}

/// The row of a code such as `E0301`, in any letter case.
pub fn code(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code.eq_ignore_ascii_case(name))
}
