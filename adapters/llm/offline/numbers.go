package offline

import (
	"math/big"
	"slices"
	"strings"
)

var units = map[string]int64{
	"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
	"nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}

var scales = map[string]int64{
	"hundred": 100, "thousand": 1e3, "k": 1e3, "grand": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9,
}

// numbers joins number words ("twenty-three", "two hundred") and scales ("20k", "1.5 million") into numbers.
func numbers(toks []token) []token {
	var out []token
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		if t.kind == word {
			if n, value, ok := spelled(toks[i:]); ok {
				t.kind, t.norm, t.stem = number, value, ""
				t.end = toks[i+n-1].end
				i += n - 1
				out = append(out, t)
				continue
			}
		}
		if t.kind == number && i+1 < len(toks) && toks[i+1].kind == word {
			next := toks[i+1]
			scale, ok := scales[next.norm]
			// A lone letter is a scale only where it touches the number: "20m" and not "20 m".
			if ok && (len(next.norm) > 2 || next.start == t.end) {
				if value, ok := times(t.norm, scale); ok {
					t.norm, t.end = value, next.end
					i++
				}
			}
		}
		out = append(out, t)
	}
	return out
}

// spelled reads a number in words at the start of toks. A lone "one" is more often a pronoun, and no number.
func spelled(toks []token) (n int, value string, ok bool) {
	var total, group int64
	for n < len(toks) && toks[n].kind == word && n < 12 {
		parts := strings.Split(toks[n].norm, "-")
		t, g := total, group
		good := true
		for _, p := range parts {
			unit, isUnit := units[p]
			scale, isScale := scales[p]
			switch {
			case isUnit && (g%100 == 0 || g%100 >= 20 && g%10 == 0 && unit < 10):
				g += unit
			case isScale && len(p) > 2 && scale == 100 && g > 0 && g < 10:
				g *= 100
			case isScale && len(p) > 2 && scale > 100 && g > 0 && g < 1000:
				t += g * scale
				g = 0
			default:
				good = false
			}
			if !good {
				break
			}
		}
		if !good {
			break
		}
		total, group = t, g
		n++
	}
	if n == 0 || n == 1 && toks[0].norm == "one" {
		return 0, "", false
	}
	return n, big.NewInt(total + group).String(), true
}

func times(decimal string, scale int64) (string, bool) {
	r, ok := new(big.Rat).SetString(decimal)
	if !ok {
		return "", false
	}
	r.Mul(r, new(big.Rat).SetInt64(scale))
	text := r.FloatString(6)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text, true
}

var symbols = map[string]string{"$": "$", "€": "EUR", "£": "GBP", "¥": "JPY"}

// codes are the currencies that are known in any case; behind a number every word of three to six capitals is one too.
var codes = map[string]bool{
	"usdc": true, "usdt": true, "usd": true, "eur": true, "eurc": true, "gbp": true, "jpy": true, "chf": true, "cad": true, "aud": true,
	"nzd": true, "cny": true, "inr": true, "brl": true, "mxn": true, "sek": true, "nok": true, "dkk": true, "pln": true, "czk": true,
	"sgd": true, "hkd": true, "krw": true, "zar": true, "dai": true, "pyusd": true, "btc": true, "eth": true, "sol": true,
}

var currencyWords = map[string]string{
	"dollar": "$", "dollars": "$", "bucks": "$", "buck": "$", "euro": "EUR", "euros": "EUR", "pound": "GBP", "pounds": "GBP", "yen": "JPY",
	"francs": "CHF", "bitcoin": "BTC",
}

// currency returns the code that a token names.
func currency(t token) (string, bool) {
	if t.kind != word {
		return "", false
	}
	if codes[t.norm] {
		return strings.ToUpper(t.text), true
	}
	if code, ok := currencyWords[t.norm]; ok {
		return code, true
	}
	if len(t.text) >= 3 && len(t.text) <= 6 && strings.Trim(t.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return t.text, true
	}
	return "", false
}

// amounts joins a number and its currency, in either order.
func amounts(toks []token) []token {
	var out []token
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		switch {
		case t.kind == mark && symbols[t.text] != "" && i+1 < len(toks) && toks[i+1].kind == number:
			sum := toks[i+1]
			sum.kind, sum.code, sum.start, sum.line = amount, symbols[t.text], t.start, t.line
			i++
			if i+1 < len(toks) && toks[i+1].kind == word && codes[toks[i+1].norm] {
				i++
				sum.code, sum.end = strings.ToUpper(toks[i].text), toks[i].end
			}
			// "US$20"
			if n := len(out); n > 0 && out[n-1].end == sum.start && out[n-1].is("us", "ca", "au") {
				sum.code, sum.start = strings.ToUpper(out[n-1].text)+"D", out[n-1].start
				out = out[:n-1]
			}
			out = append(out, sum)
			continue
		case t.kind == number && i+1 < len(toks) && symbols[toks[i+1].text] != "":
			t.kind, t.code, t.end = amount, symbols[toks[i+1].text], toks[i+1].end
			i++
		case t.kind == number && i+1 < len(toks):
			j := i + 1
			if toks[j].is("us") && j+1 < len(toks) {
				j++
			}
			if code, ok := currency(toks[j]); ok {
				t.kind, t.code, t.end = amount, code, toks[j].end
				i = j
			}
		case t.kind == word && codes[t.norm] && i+1 < len(toks) && toks[i+1].kind == number:
			sum := toks[i+1]
			sum.kind, sum.code, sum.start, sum.line = amount, strings.ToUpper(t.text), t.start, t.line
			i++
			t = sum
		}
		// A minus sign that touches nothing before it belongs to the number.
		if n := len(out); (t.kind == amount || t.kind == number) && n > 0 && out[n-1].is("-", "−") && out[n-1].end == t.start &&
			(n == 1 || out[n-2].kind != number && out[n-2].end < out[n-1].start) {
			t.norm, t.start = "-"+t.norm, out[n-1].start
			out = out[:n-1]
		}
		out = append(out, t)
	}
	return out
}

// formulas joins arithmetic into formulas.
func formulas(toks []token, src string) []token {
	var out []token
	for i := 0; i < len(toks); i++ {
		if n, norm, ok := spokenFormula(toks, i); ok {
			out = append(out, toks[i])
			out = append(out, joined(toks[i+1:i+n], norm, src))
			i += n - 1
			continue
		}
		p := parser{toks: toks, at: i}
		text, ok := p.sum(0)
		if !ok || p.ops == 0 || p.at-i < 2 {
			out = append(out, toks[i])
			continue
		}
		// Where the user already wrote operators, the expression stays as it was typed.
		plain := !p.spoken
		for _, t := range toks[i:p.at] {
			plain = plain && (t.kind == mark || t.text == t.norm)
		}
		if plain {
			text = src[toks[i].start:toks[p.at-1].end]
		}
		out = append(out, joined(toks[i:p.at], text, src))
		i = p.at - 1
	}
	return out
}

func joined(toks []token, norm, src string) token {
	first, last := toks[0], toks[len(toks)-1]
	return token{kind: formula, norm: norm, text: src[first.start:last.end], start: first.start, end: last.end, line: first.line}
}

var spokenOps = map[string]struct{ join, op string }{
	"add": {"and to plus", "+"}, "sum": {"and", "+"}, "total": {"and", "+"}, "multiply": {"by and with times", "*"}, "product": {"and", "*"},
	"divide": {"by", "/"}, "subtract": {"from", "-"}, "difference": {"and", "-"},
}

// spokenFormula reads "divide 144 by 12", "the sum of 1, 2 and 3". n counts the verb and everything up to the last number.
func spokenFormula(toks []token, i int) (n int, norm string, ok bool) {
	rule, known := spokenOps[toks[i].norm]
	if toks[i].kind != word || !known {
		return 0, "", false
	}
	j := i + 1
	for j < len(toks) && toks[j].is("of", "between", "together", "up") {
		j++
	}
	first := j
	var operands []string
	last := j
	for j < len(toks) && toks[j].kind == number {
		operands = append(operands, toks[j].norm)
		j++
		last = j
		for j < len(toks) && (toks[j].is(",") || toks[j].kind == word && slices.Contains(strings.Fields(rule.join), toks[j].norm)) {
			j++
		}
	}
	if len(operands) < 2 || rule.op != "+" && rule.op != "*" && len(operands) != 2 || first > i+1 && rule.op == "" {
		return 0, "", false
	}
	if toks[i].norm == "subtract" {
		slices.Reverse(operands)
	}
	return last - i, strings.Join(operands, " "+rule.op+" "), true
}

// parser reads arithmetic. It stops where the expression ends, so a failure inside costs nothing.
type parser struct {
	toks   []token
	at     int
	ops    int
	spoken bool // has words for operators, or signs that need another spelling
}

const maxDepth = 40

// sum reads operand (operator operand)*.
func (p *parser) sum(depth int) (string, bool) {
	text, ok := p.operand(depth)
	if !ok {
		return "", false
	}
	for {
		at, ops, spoken := p.at, p.ops, p.spoken
		op, ok := p.operator()
		if !ok {
			return text, true
		}
		right, ok := p.operand(depth)
		if !ok {
			p.at, p.ops, p.spoken = at, ops, spoken
			return text, true
		}
		p.ops++
		text += " " + op + " " + right
	}
}

func (p *parser) next(words ...string) bool {
	for i, w := range words {
		if p.at+i >= len(p.toks) || !p.toks[p.at+i].is(w) {
			return false
		}
	}
	p.at += len(words)
	return true
}

var operators = []struct {
	words  []string
	op     string
	spoken bool
}{
	{[]string{"*", "*"}, "**", false}, {[]string{"+"}, "+", false}, {[]string{"-"}, "-", false}, {[]string{"−"}, "-", true}, {[]string{"*"}, "*", false},
	{[]string{"/"}, "/", false}, {[]string{"^"}, "^", false}, {[]string{"×"}, "*", true}, {[]string{"·"}, "*", true}, {[]string{"÷"}, "/", true},
	{[]string{"%"}, "%", false}, {[]string{"x"}, "*", true}, {[]string{"plus"}, "+", true}, {[]string{"minus"}, "-", true},
	{[]string{"times"}, "*", true}, {[]string{"multiplied", "by"}, "*", true}, {[]string{"divided", "by"}, "/", true},
	{[]string{"over"}, "/", true}, {[]string{"mod"}, "%", true}, {[]string{"modulo"}, "%", true},
	{[]string{"to", "the", "power", "of"}, "^", true}, {[]string{"raised", "to", "the", "power", "of"}, "^", true},
}

func (p *parser) operator() (string, bool) {
	for _, o := range operators {
		if p.next(o.words...) {
			p.spoken = p.spoken || o.spoken
			return o.op, true
		}
	}
	return "", false
}

func (p *parser) operand(depth int) (string, bool) {
	start := p.at
	if p.at >= len(p.toks) || depth > maxDepth {
		return "", false
	}
	var text string
	switch t := p.toks[p.at]; {
	case t.is("-"):
		p.at++
		inner, ok := p.operand(depth + 1)
		if !ok {
			p.at = start
			return "", false
		}
		return "-" + inner, true
	case t.is("("):
		p.at++
		inner, ok := p.sum(depth + 1)
		if !ok || !p.next(")") {
			p.at = start
			return "", false
		}
		text = "(" + inner + ")"
	case t.kind == number:
		p.at++
		text = t.norm
	case p.next("square", "root", "of"), p.next("the", "square", "root", "of"), p.next("sqrt", "of"), p.next("sqrt"):
		spoken := !p.toks[p.at-1].is("sqrt")
		inner, ok := p.operand(depth + 1)
		if !ok {
			p.at = start
			return "", false
		}
		p.ops++
		p.spoken = p.spoken || spoken
		text = "sqrt(" + strings.TrimSuffix(strings.TrimPrefix(inner, "("), ")") + ")"
		if strings.Count(inner, "(") != 1 || !strings.HasPrefix(inner, "(") {
			text = "sqrt(" + inner + ")"
		}
	default:
		return "", false
	}
	for {
		at := p.at
		switch {
		case p.next("%", "of"), p.next("percent", "of"), p.next("per", "cent", "of"):
			right, ok := p.operand(depth + 1)
			if !ok {
				p.at = at
				return text, true
			}
			p.ops++
			p.spoken = true
			return "(" + text + " / 100 * " + right + ")", true
		// Squares of squares double their text, so that long ones stay as they are.
		case len(text) <= 200 && p.next("squared"):
			text = "(" + text + " * " + text + ")"
		case len(text) <= 200 && p.next("cubed"):
			text = "(" + text + " * " + text + " * " + text + ")"
		default:
			return text, true
		}
		p.ops++
		p.spoken = true
	}
}
