//! The text of MLIR functions while they are written: values, blocks, the frame.

use std::fmt::Write as _;

/// A value of the text, such as `%12`.
pub type Name = String;

/// One function while it is written.
pub struct Writer {
    signature: String,
    /// What stands at the start of the entry block: memory of the frame.
    frame: String,
    body: String,
    values: usize,
    blocks: usize,
    /// Structured ops around.
    depth: usize,
}

impl Writer {
    /// `signature` up to the opening brace.
    pub fn new(signature: &str) -> Writer {
        Writer {
            signature: signature.to_owned(),
            frame: String::new(),
            body: String::new(),
            values: 0,
            blocks: 0,
            depth: 0,
        }
    }

    /// A name for a value that comes.
    pub fn fresh(&mut self) -> Name {
        self.values += 1;
        format!("%{}", self.values - 1)
    }

    /// An op with one result.
    pub fn value(&mut self, op: &str) -> Name {
        let name = self.fresh();
        self.line(&format!("{name} = {op}"));
        name
    }

    /// An op without a result.
    pub fn line(&mut self, op: &str) {
        let _ = writeln!(self.body, "{:1$}{op}", "", 4 + 2 * self.depth);
    }

    /// Names for so many values that come.
    pub fn several(&mut self, count: usize) -> Vec<Name> {
        (0..count).map(|_| self.fresh()).collect()
    }

    /// Starts a structured op; gives its results.
    pub fn open(&mut self, op: &str, results: usize) -> Vec<Name> {
        let name = self.fresh();
        match results {
            0 => self.line(&format!("{op} {{")),
            1 => self.line(&format!("{name} = {op} {{")),
            _ => self.line(&format!("{name}:{results} = {op} {{")),
        }
        self.depth += 1;
        match results {
            1 => vec![name],
            _ => (0..results).map(|k| format!("{name}#{k}")).collect(),
        }
    }

    /// Goes on with the other region of a structured op.
    pub fn otherwise(&mut self) {
        self.depth -= 1;
        self.line("} else {");
        self.depth += 1;
    }

    /// Ends a region of a structured op with what it gives.
    pub fn give(&mut self, values: &[Name], types: &[String]) {
        if !values.is_empty() {
            let (values, types) = (values.join(", "), types.join(", "));
            self.line(&format!("scf.yield {values} : {types}"));
        }
    }

    /// Ends a structured op.
    pub fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// A name for a block that comes.
    pub fn block(&mut self) -> Name {
        self.blocks += 1;
        format!("^b{}", self.blocks)
    }

    /// Starts a block whose arguments have these types; gives the arguments.
    pub fn start(&mut self, block: &str, types: &[String]) -> Vec<Name> {
        let args: Vec<Name> = types.iter().map(|_| self.fresh()).collect();
        let shown: Vec<String> = args
            .iter()
            .zip(types)
            .map(|(arg, ty)| format!("{arg}: {ty}"))
            .collect();
        let _ = match shown.is_empty() {
            true => writeln!(self.body, "  {block}:"),
            false => writeln!(self.body, "  {block}({}):", shown.join(", ")),
        };
        args
    }

    /// Jumps to a block with arguments.
    pub fn jump(&mut self, block: &str, args: &[Name], types: &[String]) {
        let op = match args.is_empty() {
            true => format!("cf.br {block}"),
            false => format!("cf.br {block}({} : {})", args.join(", "), types.join(", ")),
        };
        self.line(&op);
    }

    /// Memory of the frame, of so many bytes.
    pub fn stack(&mut self, bytes: i64) -> Name {
        let (count, slot) = (self.fresh(), self.fresh());
        let _ = writeln!(self.frame, "    {count} = arith.constant {bytes} : i64");
        let _ = writeln!(
            self.frame,
            "    {slot} = llvm.alloca {count} x i8 {{alignment = 64 : i64}} : (i64) -> !llvm.ptr"
        );
        slot
    }

    /// The whole function.
    pub fn finish(self) -> String {
        format!("  {} {{\n{}{}  }}\n", self.signature, self.frame, self.body)
    }
}
