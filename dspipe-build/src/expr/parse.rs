//! Words to a tree, by recursive descent.

use super::lex::{Token, TokenKind, lex};
use super::{Kind, Node, Operator, SyntaxError};

/// Deeper expressions than this are not written by people, and would need a larger stack.
const MAX_DEPTH: usize = 64;

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, SyntaxError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        next: 0,
        depth: 0,
        end: text.len(),
    };
    let node = parser.or()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("the end, or an operator")),
    }
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
    depth: usize,
    /// The length of the text.
    end: usize,
}

type Parsed<'t> = Result<Node<'t>, SyntaxError>;

impl<'t> Parser<'t> {
    fn or(&mut self) -> Parsed<'t> {
        self.deeper(|parser| parser.chain(&["or", "||"], Self::and, Kind::Or))
    }

    fn and(&mut self) -> Parsed<'t> {
        self.chain(&["and", "&&"], Self::not, Kind::And)
    }

    /// One part, or several with one of these words between them.
    fn chain(
        &mut self,
        between: &[&str],
        part: fn(&mut Self) -> Parsed<'t>,
        kind: fn(Vec<Node<'t>>) -> Kind<'t>,
    ) -> Parsed<'t> {
        let first = part(self)?;
        let mut parts = vec![first];
        while between.iter().any(|word| self.eat(word)) {
            parts.push(part(self)?);
        }
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                parts.extend(last);
                let range = spanned(&parts);
                Ok(Node {
                    range,
                    kind: kind(parts),
                })
            }
        }
    }

    fn not(&mut self) -> Parsed<'t> {
        let start = self.position();
        if self.eat("not") || self.eat("!") {
            let inner = self.deeper(Self::not)?;
            return Ok(Node {
                range: start..inner.range.end,
                kind: Kind::Not(Box::new(inner)),
            });
        }
        self.compare()
    }

    fn compare(&mut self) -> Parsed<'t> {
        let left = self.sum()?;
        if self.eat("between") {
            let low = self.sum()?;
            if !self.eat("and") {
                return Err(self.unexpected("`and` and the upper end, as in `x between 1 and 5`"));
            }
            let high = self.sum()?;
            return Ok(Node {
                range: left.range.start..high.range.end,
                kind: Kind::Between(Box::new([left, low, high])),
            });
        }
        let Some(operator) = self.comparison() else {
            return Ok(left);
        };
        let right = self.sum()?;
        if self.comparison().is_some() {
            self.next -= 1;
            return Err(self.unexpected("`and`: comparisons cannot be chained"));
        }
        Ok(binary(operator, left, right))
    }

    fn comparison(&mut self) -> Option<Operator> {
        const OPERATORS: [(&str, Operator); 9] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
            ("contains", Operator::Contains),
            ("matches", Operator::Matches),
            ("in", Operator::In),
        ];
        if self.is("not")
            && self
                .tokens
                .get(self.next + 1)
                .is_some_and(|next| word(next) == Some("in"))
        {
            self.next += 2;
            return Some(Operator::NotIn);
        }
        OPERATORS
            .iter()
            .find(|(sign, _)| self.eat(sign))
            .map(|(_, operator)| *operator)
    }

    fn sum(&mut self) -> Parsed<'t> {
        let signs = [("+", Operator::Add), ("-", Operator::Subtract)];
        self.left_to_right(&signs, Self::product)
    }

    fn product(&mut self) -> Parsed<'t> {
        let signs = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("%", Operator::Remainder),
        ];
        self.left_to_right(&signs, Self::unary)
    }

    fn left_to_right(
        &mut self,
        signs: &[(&str, Operator)],
        part: fn(&mut Self) -> Parsed<'t>,
    ) -> Parsed<'t> {
        let mut left = part(self)?;
        let mut length = 0;
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.eat(sign)) {
            // The tree leans to the left: its depth is the length of the chain.
            length += 1;
            if length > MAX_DEPTH {
                return Err(self.too_deep());
            }
            left = binary(*operator, left, part(self)?);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<'t> {
        let start = self.position();
        if self.eat("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Node {
                range: start..inner.range.end,
                kind: match inner.kind {
                    Kind::Integer(number) => Kind::Integer(-number),
                    Kind::Number(number) => Kind::Number(-number),
                    _ => Kind::Negate(Box::new(inner)),
                },
            });
        }
        self.filtered()
    }

    fn filtered(&mut self) -> Parsed<'t> {
        let mut value = self.primary()?;
        let mut length = 0;
        while self.eat("|") {
            length += 1;
            if length > MAX_DEPTH {
                return Err(self.too_deep());
            }
            let (name, at) = self.name("the name of a filter")?;
            let mut arguments = vec![value];
            let mut end = at.end;
            if self.eat("(") {
                arguments.extend(self.list(")")?);
                end = self.tokens[self.next - 1].range.end;
            }
            value = Node {
                range: arguments[0].range.start..end,
                kind: Kind::Call {
                    name,
                    at,
                    arguments,
                },
            };
        }
        Ok(value)
    }

    fn primary(&mut self) -> Parsed<'t> {
        let Some(token) = self.peek() else {
            return Err(self.unexpected("a value"));
        };
        let (start, kind) = (token.range.start, token.kind.clone());
        self.next += 1;
        let kind = match kind {
            TokenKind::Text(text) => Kind::Text(text),
            TokenKind::Integer(number) => Kind::Integer(number),
            TokenKind::Number(number) => Kind::Number(number),
            TokenKind::Sign("(") => {
                let inner = self.or()?;
                if !self.eat(")") {
                    return Err(self.unexpected("`)`"));
                }
                return Ok(Node {
                    range: start..self.last_end(),
                    ..inner
                });
            }
            TokenKind::Sign("[") => Kind::List(self.list("]")?),
            TokenKind::Name("true") => Kind::Boolean(true),
            TokenKind::Name("false") => Kind::Boolean(false),
            TokenKind::Name("null" | "none" | "nil") => Kind::Null,
            TokenKind::Name(name) if !is_keyword(name) => {
                let at = start..start + name.len();
                if self.eat("(") {
                    Kind::Call {
                        name,
                        at,
                        arguments: self.list(")")?,
                    }
                } else {
                    let mut path = vec![name];
                    while self.eat(".") {
                        path.push(self.name("a name")?.0);
                    }
                    Kind::Path(path)
                }
            }
            TokenKind::Sign(_) | TokenKind::Name(_) => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        Ok(Node {
            range: start..self.last_end(),
            kind,
        })
    }

    /// Values with commas between them, up to a bracket.
    fn list(&mut self, close: &'static str) -> Result<Vec<Node<'t>>, SyntaxError> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() && !self.eat(",") {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
            if !items.is_empty() && self.eat(close) {
                break;
            }
            items.push(self.or()?);
        }
        Ok(items)
    }

    fn name(&mut self, wanted: &str) -> Result<(&'t str, std::ops::Range<usize>), SyntaxError> {
        match self.peek() {
            Some(Token {
                kind: TokenKind::Name(name),
                range,
            }) => {
                let found = (*name, range.clone());
                self.next += 1;
                Ok(found)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn deeper(&mut self, part: impl FnOnce(&mut Self) -> Parsed<'t>) -> Parsed<'t> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let node = part(self);
        self.depth -= 1;
        node
    }

    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.next)
    }

    fn is(&self, wanted: &str) -> bool {
        self.peek().is_some_and(|token| word(token) == Some(wanted))
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.is(wanted);
        self.next += usize::from(found);
        found
    }

    fn position(&self) -> usize {
        self.peek().map_or(self.end, |token| token.range.start)
    }

    fn last_end(&self) -> usize {
        self.tokens[..self.next]
            .last()
            .map_or(0, |token| token.range.end)
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            Some(token) => SyntaxError {
                range: token.range.clone(),
                message: format!("expected {wanted}"),
            },
            None => SyntaxError {
                range: self.end..self.end,
                message: format!("expected {wanted}, found the end"),
            },
        }
    }

    fn too_deep(&self) -> SyntaxError {
        SyntaxError {
            range: self.position()..self.end,
            message: "nested too deeply".to_owned(),
        }
    }
}

/// A name or a sign as it is written.
fn word<'t>(token: &Token<'t>) -> Option<&'t str> {
    match token.kind {
        TokenKind::Name(word) => Some(word),
        TokenKind::Sign(sign) => Some(sign),
        _ => None,
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "and" | "or" | "not" | "in" | "contains" | "matches" | "between"
    )
}

fn binary<'t>(operator: Operator, left: Node<'t>, right: Node<'t>) -> Node<'t> {
    Node {
        range: left.range.start..right.range.end,
        kind: Kind::Binary(operator, Box::new(left), Box::new(right)),
    }
}

fn spanned(parts: &[Node<'_>]) -> std::ops::Range<usize> {
    let start = parts.first().map_or(0, |part| part.range.start);
    start..parts.last().map_or(start, |part| part.range.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree with every bracket that it stands for.
    fn shown(node: &Node<'_>) -> String {
        let list = |nodes: &[Node<'_>], between: &str| {
            nodes.iter().map(shown).collect::<Vec<_>>().join(between)
        };
        match &node.kind {
            Kind::Path(parts) => parts.join("."),
            Kind::Text(text) => format!("{text:?}"),
            Kind::Integer(number) => number.to_string(),
            Kind::Number(number) => format!("{number:?}"),
            Kind::Boolean(value) => value.to_string(),
            Kind::Null => "null".to_owned(),
            Kind::List(items) => format!("[{}]", list(items, ", ")),
            Kind::Not(inner) => format!("(not {})", shown(inner)),
            Kind::Negate(inner) => format!("(- {})", shown(inner)),
            Kind::And(parts) => format!("({})", list(parts, " and ")),
            Kind::Or(parts) => format!("({})", list(parts, " or ")),
            Kind::Binary(operator, a, b) => {
                format!("({} {} {})", shown(a), operator.sign(), shown(b))
            }
            Kind::Between(parts) => format!("(between {})", list(&parts[..], " ")),
            Kind::Call {
                name, arguments, ..
            } => format!("{name}({})", list(arguments, ", ")),
        }
    }

    #[test]
    fn precedence() {
        for (text, tree) in [
            ("a or b and c", "(a or (b and c))"),
            ("a || b && !c", "(a or (b and (not c)))"),
            ("not a == b", "(not (a == b))"),
            ("a + b * c - d", "((a + (b * c)) - d)"),
            ("a - b - c", "((a - b) - c)"),
            ("-a.b * 2", "((- a.b) * 2)"),
            ("x.n + 1 >= 2 and y", "(((x.n + 1) >= 2) and y)"),
            ("a.b | length > 3", "(length(a.b) > 3)"),
            (
                "a | default('x') | upper == 'X'",
                "(upper(default(a, \"x\")) == \"X\")",
            ),
            ("length(a) % 2 == 0", "((length(a) % 2) == 0)"),
            ("a not in ['x', \"y\",]", "(a not in [\"x\", \"y\"])"),
            ("x between 1 and 5 and y", "((between x 1 5) and y)"),
            ("steps.a-b.c-d - 1", "(steps.a-b.c-d - 1)"),
            ("(a or b) and c", "((a or b) and c)"),
            ("-1.5e3 < 1_000", "(-1500.0 < 1000)"),
            (r"a matches '\d+\'\\'", r#"(a matches "\\d+'\\")"#),
            ("x != null", "(x != null)"),
        ] {
            assert_eq!(
                parse(text).map(|node| shown(&node)).as_deref(),
                Ok(tree),
                "{text}"
            );
        }
    }

    #[test]
    fn ranges_are_those_of_the_text() {
        let text = "a.b > (c | length) + 10";
        let node = parse(text).unwrap();
        assert_eq!(&text[node.range.clone()], text);
        let Kind::Binary(_, left, right) = &node.kind else {
            panic!("{node:?}");
        };
        assert_eq!(&text[left.range.clone()], "a.b");
        assert_eq!(&text[right.range.clone()], "(c | length) + 10");
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        for (text, range, message) in [
            ("", 0..0, "expected a value, found the end"),
            ("a = b", 2..3, "`=` is `==` in a comparison"),
            ("a ==", 4..4, "expected a value, found the end"),
            ("a b", 2..3, "expected the end, or an operator"),
            (
                "a < b < c",
                6..7,
                "expected `and`: comparisons cannot be chained",
            ),
            ("(a", 2..2, "expected `)`, found the end"),
            ("f(a b)", 4..5, "expected `,` or `)`"),
            ("'abc", 0..4, "the text is not closed"),
            ("a.1", 2..3, "expected a name"),
            ("a | 1", 4..5, "expected the name of a filter"),
            ("99999999999999999999", 0..20, "the number is too large"),
            ("a ? b", 2..3, "`?` has no meaning here"),
            ("and", 0..3, "expected a value"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.range, error.message.as_str()),
                (range, message),
                "{text}"
            );
        }
    }

    #[test]
    fn depth_has_a_limit() {
        for text in [
            "(".repeat(100_000),
            "not ".repeat(100_000),
            "- ".repeat(100_000),
            format!("a{}", " + a".repeat(100_000)),
            format!("a{}", " | f".repeat(100_000)),
            "[".repeat(100_000),
            "f(".repeat(100_000),
        ] {
            assert_eq!(parse(&text).unwrap_err().message, "nested too deeply");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in r#"([a-z.(){}\[\]'"|&!<>=+*/%,0-9 -]|and|or|not|in|é){0,40}"#) {
            if let Ok(node) = parse(&text) {
                prop_assert!(text.get(node.range).is_some());
            }
        }
    }
}
