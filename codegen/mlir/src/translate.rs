//! Loop functions as MLIR: the entry, the bodies of parallel loops, values, failure.
//!
//! An entry is called as [`aiai_runtime::abi::EntryFn`] says. The body of a parallel loop is a function of
//! its own, which gets what it captures in a table. A call that fails returns its status at once, so control
//! flow around it is in blocks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use aiai_codegen::{Target, tables};
use aiai_ir::{DType, Dim, Function, Loc, Op, OpNode, Region, Type, Value};
use aiai_runtime::abi::{self, Param};
use aiai_runtime::program::Site;

use crate::Text;
use crate::scalars::{register_type, type_of};
use crate::writer::{Name, Writer};

/// What the functions of a module share.
pub struct Unit<'s> {
    pub source: &'s Function,
    pub target: &'s Target,
    pub sites: Vec<Site>,
    dims: Vec<Dim>,
    positions: HashMap<Dim, usize>,
    pub freed: HashSet<Value>,
    /// Buffers whose elements are loaded or stored here, not in the runtime alone.
    pub accessed: HashSet<Value>,
    /// Functions and constants that are finished.
    pub items: String,
    pub count: usize,
    /// The names of bodies of parallel loops, by their text.
    pub bodies: HashMap<String, String>,
    /// Names of the functions of numbers that are finished.
    pub functions: HashSet<String>,
    /// Functions of the runtime that are called, with their types.
    imports: BTreeMap<String, &'static abi::Symbol>,
}

/// Writes functions, each an entry under its name; they share the table of dimensions.
pub fn module(functions: &[(&Function, String)], target: &Target) -> Text {
    let mut dims: Vec<Dim> = Vec::new();
    for (function, _) in functions {
        for dim in tables::dims_of(function) {
            if !dims.contains(&dim) {
                dims.push(dim);
            }
        }
    }
    let Some(&(source, _)) = functions.first() else {
        unreachable!("a module has an entry");
    };
    let mut unit = Unit {
        source,
        target,
        sites: Vec::new(),
        positions: dims.iter().enumerate().map(|(i, d)| (*d, i)).collect(),
        dims,
        freed: HashSet::new(),
        accessed: HashSet::new(),
        items: String::new(),
        count: 0,
        bodies: HashMap::new(),
        functions: HashSet::new(),
        imports: BTreeMap::new(),
    };
    let mut entries = String::new();
    for (function, symbol) in functions {
        unit.source = function;
        unit.freed = tables::freed_in(function).into_iter().collect();
        unit.accessed = accessed_in(function);
        let signature = format!(
            "llvm.func @{symbol}(%context: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr, \
             %dims: !llvm.ptr) -> i32"
        );
        let mut translator = Translator::new(&mut unit, &signature);
        translator.entry();
        entries.push_str(&translator.w.finish());
    }
    let mut module = String::from("module {\n");
    for symbol in unit.imports.values() {
        let params: Vec<&str> = symbol.params.iter().map(|p| machine_type(*p)).collect();
        let result = symbol
            .result
            .map_or(String::new(), |p| format!(" -> {}", machine_type(p)));
        let _ = writeln!(
            module,
            "  llvm.func @{}({}){result}",
            symbol.name,
            params.join(", ")
        );
    }
    module.push_str(&unit.items);
    module.push_str(&entries);
    module.push_str("}\n");
    Text {
        module,
        dims: unit.dims,
        sites: unit.sites,
    }
}

/// The buffers of which elements are loaded or stored.
fn accessed_in(function: &Function) -> HashSet<Value> {
    let mut found = HashSet::new();
    function.body.walk(&mut |node| {
        found.extend(match node.op {
            Op::Load | Op::LoadVector { .. } => node.operands.first(),
            Op::Store | Op::StoreVector => node.operands.get(1),
            _ => None,
        });
    });
    found
}

fn machine_type(param: Param) -> &'static str {
    match param {
        Param::Ptr => "!llvm.ptr",
        Param::I64 => "i64",
        Param::I32 | Param::Status => "i32",
        Param::F32 => "f32",
        Param::F64 => "f64",
    }
}

/// One function while it is written.
pub struct Translator<'u, 's> {
    pub unit: &'u mut Unit<'s>,
    pub w: Writer,
    values: HashMap<Value, Name>,
    /// Buffers whose elements are loaded or stored.
    pub memrefs: HashMap<Value, Name>,
    /// Integers that are known.
    constants: HashMap<Value, i64>,
    /// Lanes of the vectors of the elementwise op at hand; `None` for scalars.
    pub lanes: Option<i64>,
}

impl<'u, 's> Translator<'u, 's> {
    pub fn new(unit: &'u mut Unit<'s>, signature: &str) -> Translator<'u, 's> {
        Translator {
            unit,
            w: Writer::new(signature),
            values: HashMap::new(),
            memrefs: HashMap::new(),
            constants: HashMap::new(),
            lanes: None,
        }
    }

    /// The whole function: parameters are addresses in two tables.
    fn entry(&mut self) {
        let source = self.unit.source;
        // Results are what may be written.
        let (mut inputs, mut outputs) = (0.., 0..);
        for (&param, &owned) in source.params().iter().zip(&source.owned) {
            let (table, places) = match owned {
                false => ("%inputs", &mut inputs),
                true => ("%outputs", &mut outputs),
            };
            let at = places.next().unwrap_or(0);
            let address = self.table_entry(table, at, "!llvm.ptr");
            self.buffer(param, address);
        }
        self.region(&source.body);
        self.succeed();
    }

    /// The body of a parallel loop, on a range of indices.
    pub fn body(&mut self, region: &Region, captures: &[Value]) {
        let dims = self.table_entry("%environment", 0, "!llvm.ptr");
        self.w.line(&format!("cf.br ^start({dims} : !llvm.ptr)"));
        self.w.line("^start(%dims: !llvm.ptr):");
        for (k, &capture) in captures.iter().enumerate() {
            let ty = register_type(self.unit.source.ty(capture));
            let value = self.table_entry("%environment", k + 1, &ty);
            match self.unit.source.ty(capture) {
                Type::Buffer { .. } => self.buffer(capture, value),
                Type::Tensor { .. } => self.bind(&[capture], [value]),
            }
        }
        self.counted(("%low".into(), "%high".into(), 1), &[], &[], region);
        self.succeed();
    }

    fn succeed(&mut self) {
        let ok = self.int32(0);
        self.w.line(&format!("llvm.return {ok} : i32"));
    }

    /// An entry of a table of words that does not change during a call.
    pub fn table_entry(&mut self, table: &str, at: usize, ty: &str) -> Name {
        let address = self.element(table, at, "i64");
        self.w.value(&format!(
            "llvm.load {address} invariant : !llvm.ptr -> {ty}"
        ))
    }

    /// The address of an element of a table or buffer, so many from the start.
    pub fn element(&mut self, base: &str, at: usize, ty: &str) -> Name {
        self.w.value(&format!(
            "llvm.getelementptr {base}[{at}] : (!llvm.ptr) -> !llvm.ptr, {ty}"
        ))
    }

    /// The same, where the number is a value.
    pub fn element_at(&mut self, base: &str, at: &str, ty: &str) -> Name {
        self.w.value(&format!(
            "llvm.getelementptr {base}[{at}] : (!llvm.ptr, i64) -> !llvm.ptr, {ty}"
        ))
    }

    // ---- values ----

    pub fn get(&self, value: Value) -> Name {
        match self.values.get(&value) {
            Some(known) => known.clone(),
            None => unreachable!("value {} is used before it is made", value.0),
        }
    }

    pub fn define(&mut self, node: &OpNode, value: Name) {
        self.values.insert(node.results[0], value);
    }

    pub fn bind(&mut self, names: &[Value], values: impl IntoIterator<Item = Name>) {
        self.values.extend(names.iter().copied().zip(values));
    }

    pub fn dtype(&self, value: Value) -> DType {
        self.unit.source.ty(value).dtype()
    }

    pub fn int(&mut self, value: i64) -> Name {
        self.w.value(&format!("arith.constant {value} : i64"))
    }

    pub fn int32(&mut self, value: i64) -> Name {
        self.w.value(&format!("arith.constant {value} : i32"))
    }

    /// The value of a dimension.
    pub fn dim(&mut self, dim: Dim) -> Name {
        if let Some(value) = dim.as_const() {
            return self.int(value);
        }
        match self.unit.positions.get(&dim) {
            Some(&at) => self.table_entry("%dims", at, "i64"),
            None => unreachable!("`{dim}` is not in the table of dimensions"),
        }
    }

    /// A truth value as a condition of a branch.
    pub fn condition(&mut self, value: &str) -> Name {
        let [from, to] = ["i8", "i1"].map(|ty| type_of(ty, self.lanes));
        self.w
            .value(&format!("arith.trunci {value} : {from} to {to}"))
    }

    /// The value of an integer, where it is known.
    pub fn known(&self, value: Value) -> Option<i64> {
        self.constants.get(&value).copied()
    }

    pub fn region(&mut self, region: &Region) {
        let mut ops = region.ops.as_slice();
        while let Some((node, rest)) = ops.split_first() {
            ops = match self.functions_abreast(ops) {
                0 => {
                    self.node(node);
                    rest
                }
                done => &ops[done..],
            };
        }
    }

    fn node(&mut self, node: &OpNode) {
        match &node.op {
            Op::Constant { value } => {
                if !value.dtype.is_float() {
                    self.constants
                        .insert(node.results[0], value.element(0).as_i64());
                }
                let value = self.literal(value);
                self.define(node, value);
            }
            Op::DimValue { dim } => {
                let value = self.dim(*dim);
                self.define(node, value);
            }
            Op::Unary { .. }
            | Op::Binary { .. }
            | Op::Compare { .. }
            | Op::Select
            | Op::Cast { .. }
            | Op::StopGradient => self.elementwise(node),
            Op::Alloc { dtype, shape } => self.alloc(node, *dtype, shape),
            Op::Free => {
                let block = self.get(node.operands[0]);
                self.runtime("aiai_release", &["%context".into(), block]);
            }
            Op::Data { value } => self.data(node, value),
            Op::View { .. } => {
                let address = self.get(node.operands[0]);
                self.buffer(node.results[0], address);
            }
            Op::Load => self.load(node),
            Op::Store => self.store(node),
            Op::LoadVector { lanes, stride } => self.load_vector(node, *lanes, *stride),
            Op::StoreVector => self.store_vector(node),
            Op::Broadcast { .. } => self.splat(node),
            Op::Iota { .. } => self.iota(node),
            Op::Reduce { kind, .. } => self.reduce_vector(node, *kind),
            Op::Fma => self.fma(node),
            Op::Shuffle { lanes } => self.shuffle(node, lanes),
            Op::Prefetch => self.prefetch(node),
            Op::For { step, .. } => self.for_loop(node, *step),
            Op::Parallel { grain } => self.parallel(node, *grain),
            Op::If => self.branch(node),
            Op::While { max } => self.while_loop(node, *max),
            Op::Assert { message } => {
                let condition = self.get(node.operands[0]);
                let shown: Vec<Name> = node.operands[1..].iter().map(|&v| self.get(v)).collect();
                self.check(&condition, message, &shown, node.loc);
            }
            Op::Kernel { name, .. } => self.kernel(node, name.as_str()),
            other => unreachable!("`{}` is not an op of the loop level", other.name()),
        }
    }

    // ---- failure ----

    /// Returns the status unless it is 0.
    pub fn check_status(&mut self, status: &str) {
        let zero = self.int32(0);
        let fine = self
            .w
            .value(&format!("arith.cmpi eq, {status}, {zero} : i32"));
        let (go_on, failed) = (self.w.block(), self.w.block());
        self.w
            .line(&format!("cf.cond_br {fine}, {go_on}, {failed}"));
        self.w.start(&failed, &[]);
        self.w.line(&format!("llvm.return {status} : i32"));
        self.w.start(&go_on, &[]);
    }

    /// Returns the status of a site unless the condition holds; up to two numbers go with it.
    pub fn check(&mut self, condition: &str, message: &str, shown: &[Name], loc: Option<Loc>) {
        let site = tables::site(&mut self.unit.sites, message, loc);
        let holds = self.condition(condition);
        let (go_on, failed) = (self.w.block(), self.w.block());
        self.w
            .line(&format!("cf.cond_br {holds}, {go_on}, {failed}"));
        self.w.start(&failed, &[]);
        let site = self.int32(site);
        let zero = self.int(0);
        let number = |k: usize| shown.get(k).unwrap_or(&zero).clone();
        let args = ["%context".into(), site, number(0), number(1)];
        let status = self.runtime("aiai_fail", &args).unwrap_or_default();
        self.w.line(&format!("llvm.return {status} : i32"));
        self.w.start(&go_on, &[]);
    }

    /// Calls a function of the runtime.
    pub fn runtime(&mut self, name: &str, args: &[Name]) -> Option<Name> {
        let symbol = match self.unit.imports.get(name) {
            Some(&symbol) => symbol,
            None => {
                let Some(symbol) = abi::symbols().find(|s| s.name == name) else {
                    unreachable!("the runtime has no `{name}`");
                };
                self.unit.imports.insert(name.to_owned(), symbol);
                symbol
            }
        };
        let params: Vec<&str> = symbol.params.iter().map(|p| machine_type(*p)).collect();
        let call = format!(
            "llvm.call @{name}({}) : ({})",
            args.join(", "),
            params.join(", ")
        );
        match symbol.result {
            Some(result) => Some(self.w.value(&format!("{call} -> {}", machine_type(result)))),
            None => {
                self.w.line(&format!("{call} -> ()"));
                None
            }
        }
    }
}
