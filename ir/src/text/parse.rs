//! Parsing. Input is bounded in nesting depth; every error names a line and a column.

use std::collections::{BTreeMap, HashMap};

use super::Attribute;
use super::lexer::{Token, lex};
use crate::module::{Function, Library, Loc, Module, OpNode, Region, Require, Value};
use crate::{DType, Dim, Literal, Op, Relation, Scalar, Sym, Type};

/// Regions and parenthesised dimensions may nest this deep.
const MAX_DEPTH: usize = 200;

/// Why a text is not IR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(source: &str, offset: usize, message: impl Into<String>) -> ParseError {
        let before = &source[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        ParseError {
            line,
            column,
            message: message.into(),
        }
    }
}

/// Reads a dimension expression, and nothing else.
pub(crate) fn parse_dim(source: &str) -> Result<Dim, ParseError> {
    let mut parser = Parser::new(source)?;
    let dim = parser.dim()?;
    if *parser.peek() != Token::End {
        return Err(parser.error("expected the end of the dimension".into()));
    }
    Ok(dim)
}

/// Reads a module. The result is not verified.
pub fn parse_module(source: &str) -> Result<Module, ParseError> {
    let mut parser = Parser::new(source)?;
    let mut module = Module::default();
    while *parser.peek() != Token::End {
        let function = parser.function()?;
        if module.functions.contains_key(&function.name) {
            return Err(parser.error(format!("`@{}` is defined twice", function.name)));
        }
        module.insert(function);
    }
    Ok(module)
}

/// A cursor over the tokens of an IR text.
pub struct Parser<'s> {
    source: &'s str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    values: HashMap<u32, Value>,
}

impl Parser<'_> {
    fn new(source: &str) -> Result<Parser<'_>, ParseError> {
        Ok(Parser {
            source,
            tokens: lex(source)?,
            at: 0,
            depth: 0,
            values: HashMap::new(),
        })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// An error at the next token.
    pub fn error(&self, message: String) -> ParseError {
        ParseError::at(self.source, self.tokens[self.at].1, message)
    }

    fn accept(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.accept(mark) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{mark}`")))
        }
    }

    /// Takes the given word if it is next.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w == word);
        self.at += usize::from(found);
        found
    }

    /// Takes the given word.
    pub fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.accept_word(word) {
            Ok(())
        } else {
            Err(self.error(format!("expected `{word}`")))
        }
    }

    /// Any word.
    pub fn word(&mut self) -> Result<String, ParseError> {
        match self.peek().clone() {
            Token::Word(word) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.error("expected a word".into())),
        }
    }

    /// An integer with an optional sign.
    pub fn int(&mut self) -> Result<i64, ParseError> {
        let negative = self.accept("-");
        if let Token::Int(value) = *self.peek() {
            let wide = if negative {
                -i128::from(value)
            } else {
                i128::from(value)
            };
            if let Ok(value) = i64::try_from(wide) {
                self.at += 1;
                return Ok(value);
            }
        }
        Err(self.error("expected an integer".into()))
    }

    /// A quoted text.
    pub fn text(&mut self) -> Result<String, ParseError> {
        match self.peek().clone() {
            Token::Text(text) => {
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.error("expected a quoted text".into())),
        }
    }

    /// `@name`
    pub fn symbol(&mut self) -> Result<Sym, ParseError> {
        match self.peek().clone() {
            Token::Symbol(name) => {
                self.at += 1;
                Ok(Sym::new(&name))
            }
            _ => Err(self.error("expected a name that starts with `@`".into())),
        }
    }

    pub fn dtype(&mut self) -> Result<DType, ParseError> {
        let word = self.word()?;
        word.parse()
            .map_err(|()| self.error(format!("unknown dtype `{word}`")))
    }

    /// A type: `f32[B, 4]` or `buffer f32[B, 4]`.
    pub fn ty(&mut self) -> Result<Type, ParseError> {
        let buffer = self.accept_word("buffer");
        let dtype = self.dtype()?;
        let shape = self.list("[", "]", Parser::dim)?;
        Ok(if buffer {
            Type::buffer(dtype, shape)
        } else {
            Type::tensor(dtype, shape)
        })
    }

    /// Items between two marks, separated by commas.
    pub fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.accept(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    /// A dimension expression.
    pub fn dim(&mut self) -> Result<Dim, ParseError> {
        let mut sum = if self.accept("-") {
            -self.product()?
        } else {
            self.product()?
        };
        loop {
            if self.accept("+") {
                sum = sum + self.product()?;
            } else if self.accept("-") {
                sum = sum - self.product()?;
            } else {
                return Ok(sum);
            }
        }
    }

    fn product(&mut self) -> Result<Dim, ParseError> {
        let mut product = self.factor()?;
        loop {
            if self.accept("*") {
                product = product * self.factor()?;
            } else if self.accept("/") {
                product = product.floor_div(self.factor()?);
            } else {
                return Ok(product);
            }
        }
    }

    fn factor(&mut self) -> Result<Dim, ParseError> {
        match self.peek().clone() {
            // -2^63 has no magnitude of its own; the sign that stands before it makes it right.
            Token::Int(value) if value <= 1 << 63 => {
                self.at += 1;
                Ok(Dim::from(value as i64))
            }
            Token::Word(name) => {
                self.at += 1;
                Ok(if name == "overflow" {
                    Dim::overflow()
                } else {
                    Dim::sym(name.as_str())
                })
            }
            Token::Mark("(") => self.nested(|p| {
                p.expect("(")?;
                let inner = p.dim()?;
                p.expect(")")?;
                Ok(inner)
            }),
            _ => Err(self.error("expected a dimension".into())),
        }
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// One element of a literal.
    pub fn scalar(&mut self, dtype: DType) -> Result<Scalar, ParseError> {
        if dtype == DType::Bool {
            return bool::read(self).map(Scalar::Bool);
        }
        let sign = if self.accept("-") { -1.0 } else { 1.0 };
        match *self.peek() {
            Token::Bits(bits) if dtype.is_float() => {
                self.at += 1;
                Ok(Scalar::Float(if sign < 0.0 {
                    -f64::from_bits(bits)
                } else {
                    f64::from_bits(bits)
                }))
            }
            Token::Int(value) if !dtype.is_float() => {
                self.at += 1;
                let bits = value as i64;
                Ok(Scalar::Int(if sign < 0.0 {
                    bits.wrapping_neg()
                } else {
                    bits
                }))
            }
            _ => Err(self.error(format!("expected a value of {dtype}"))),
        }
    }

    /// `, name = value` or, first, `{name = value`; used by the op table.
    pub(crate) fn attribute<T: Attribute>(&mut self, name: &str) -> Result<T, ParseError> {
        if !self.accept("{") {
            self.expect(",")?;
        }
        self.expect_word(name)?;
        self.expect("=")?;
        T::read(self)
    }

    fn function(&mut self) -> Result<Function, ParseError> {
        self.values.clear();
        self.expect_word("func")?;
        let mut function = Function::new(self.symbol()?);
        self.list("(", ")", |p| {
            let owned = p.accept_word("own");
            let name = p.symbol()?;
            let (number, ty) = p.definition()?;
            let value = function.add_param(name, ty, owned);
            p.bind(number, value)
        })?;
        self.expect("->")?;
        let results = self.list("(", ")", |p| {
            let name = p.symbol()?;
            p.expect(":")?;
            Ok((name, p.ty()?))
        })?;
        if self.accept_word("library") {
            function.library = Some(self.library()?);
        }
        while self.accept_word("require") {
            let require = self.require()?;
            function.requires.push(require);
        }
        function.loc = self.loc()?;
        self.expect("{")?;
        let mut body = std::mem::take(&mut function.body);
        self.block(&mut function, &mut body, "return")?;
        function.body = body;
        function.result_names = results.iter().map(|r| r.0).collect();
        let declared: Vec<Type> = results.into_iter().map(|r| r.1).collect();
        if declared != function.result_types() {
            return Err(self.error(format!(
                "`@{}` returns other types than it declares",
                function.name
            )));
        }
        Ok(function)
    }

    fn library(&mut self) -> Result<Library, ParseError> {
        let symbol = self.symbol()?;
        let attributes = self.list("{", "}", |p| {
            let name = p.symbol()?;
            p.expect("=")?;
            Ok((name, Literal::read(p)?))
        })?;
        Ok(Library {
            symbol,
            attributes: attributes.into_iter().collect::<BTreeMap<_, _>>(),
        })
    }

    fn require(&mut self) -> Result<Require, ParseError> {
        let dim = self.dim()?;
        let relation = match self.next() {
            Token::Mark("==") => Relation::Zero,
            Token::Mark("!=") => Relation::NonZero,
            Token::Mark(">=") => Relation::NonNegative,
            _ => return Err(self.error("expected `==`, `!=` or `>=`".into())),
        };
        if self.int()? != 0 {
            return Err(self.error("requirements compare with 0".into()));
        }
        let message = self.text()?;
        Ok(Require {
            dim,
            relation,
            message,
            loc: self.loc()?,
        })
    }

    fn loc(&mut self) -> Result<Option<Loc>, ParseError> {
        if !self.accept_word("loc") {
            return Ok(None);
        }
        self.expect("(")?;
        let file = Sym::new(&self.text()?);
        self.expect(":")?;
        let line = self.int()?;
        self.expect(":")?;
        let column = self.int()?;
        self.expect(")")?;
        let number = |n: i64| u32::try_from(n).map_err(|_| self.error("place out of range".into()));
        Ok(Some(Loc {
            file,
            line: number(line)?,
            column: number(column)?,
        }))
    }

    /// `%3: f32[B]`
    fn definition(&mut self) -> Result<(u32, Type), ParseError> {
        let Token::Value(number) = *self.peek() else {
            return Err(self.error("expected a value such as `%0`".into()));
        };
        self.at += 1;
        self.expect(":")?;
        Ok((number, self.ty()?))
    }

    fn bind(&mut self, number: u32, value: Value) -> Result<(), ParseError> {
        match self.values.insert(number, value) {
            None => Ok(()),
            Some(_) => Err(self.error(format!("`%{number}` is defined twice"))),
        }
    }

    fn used(&mut self) -> Result<Value, ParseError> {
        let Token::Value(number) = *self.peek() else {
            return Err(self.error("expected a value such as `%0`".into()));
        };
        let known = self.values.get(&number).copied();
        let value = known.ok_or_else(|| self.error(format!("`%{number}` is not defined")))?;
        self.at += 1;
        Ok(value)
    }

    fn uses(&mut self) -> Result<Vec<Value>, ParseError> {
        let mut values = Vec::new();
        if !matches!(self.peek(), Token::Value(_)) {
            return Ok(values);
        }
        values.push(self.used()?);
        while self.accept(",") {
            values.push(self.used()?);
        }
        Ok(values)
    }

    /// Ops up to and with the terminator and the closing brace.
    fn block(
        &mut self,
        function: &mut Function,
        region: &mut Region,
        terminator: &str,
    ) -> Result<(), ParseError> {
        while !self.accept_word(terminator) {
            let node = self.node(function)?;
            region.ops.push(node);
        }
        region.yields = self.uses()?;
        self.expect("}")
    }

    fn node(&mut self, function: &mut Function) -> Result<OpNode, ParseError> {
        let mut defined = Vec::new();
        while matches!(self.peek(), Token::Value(_)) {
            defined.push(self.definition()?);
            if !self.accept(",") {
                self.expect("=")?;
                break;
            }
        }
        let name = self.word()?;
        let operands = self.uses()?;
        let op = self.op(&name)?;
        let loc = self.loc()?;
        let mut results = Vec::new();
        for (number, ty) in defined {
            let value = function.new_value(ty);
            results.push((number, value));
        }
        let mut regions = Vec::new();
        while matches!(self.peek(), Token::Mark("(")) {
            regions.push(self.nested(|p| p.region(function))?);
        }
        for (number, value) in &results {
            self.bind(*number, *value)?;
        }
        Ok(OpNode {
            op,
            operands,
            results: results.into_iter().map(|r| r.1).collect(),
            regions,
            loc,
        })
    }

    fn region(&mut self, function: &mut Function) -> Result<Region, ParseError> {
        let args = self.list("(", ")", |p| {
            let (number, ty) = p.definition()?;
            let value = function.new_value(ty);
            p.bind(number, value)?;
            Ok(value)
        })?;
        let mut region = Region {
            args,
            ..Region::default()
        };
        self.expect("{")?;
        self.block(function, &mut region, "yield")?;
        Ok(region)
    }

    fn op(&mut self, name: &str) -> Result<Op, ParseError> {
        if let Some(op) = Op::named_by_kind(name) {
            return Ok(op);
        }
        let braces = matches!(self.peek(), Token::Mark("{"));
        let Some(op) = Op::parse(name, self)? else {
            return Err(self.error(format!("unknown op `{name}`")));
        };
        if braces {
            self.expect("}")?;
        }
        Ok(op)
    }
}
