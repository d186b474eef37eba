package main

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits keep one call within milliseconds and a few megabytes.
const (
	maxLength   = 1000    // characters of an expression
	maxDepth    = 100     // nested parentheses, calls and signs
	maxBits     = 1 << 16 // of any numerator or denominator: some 19,700 digits
	maxExponent = 10_000  // of powers, either sign
	maxScale    = 1_000   // of numbers like 1e300, and of round's places
	precision   = 34      // significant digits of a result that is not exact, as in IEEE 754 decimal128
)

// calculate returns the value of an expression in plain decimal notation. A result that has no finite decimal notation, or that is
// an irrational root, is rounded half to even to 34 significant digits and says so.
func calculate(expr string) (string, error) {
	if utf8.RuneCountInString(expr) > maxLength {
		return "", fmt.Errorf("the expression has more than %d characters", maxLength)
	}
	p := &parser{src: []rune(normal.Replace(expr))}
	v, err := p.sum(0)
	if err != nil {
		return "", err
	}
	if p.space(); p.pos < len(p.src) {
		return "", p.unexpected("an operator or the end")
	}
	return format(v), nil
}

// normal spells operators as the parser reads them.
var normal = strings.NewReplacer("×", "*", "·", "*", "÷", "/", "−", "-", "–", "-", "**", "^", "√", "sqrt")

// number is a value; inexact once a root has been rounded on the way to it.
type number struct {
	*big.Rat

	inexact bool
}

// parser is a recursive descent over sum := product {(+|-) product}, product := sign {(*|/|%) sign}, sign := {+|-} power,
// power := atom [^ sign], atom := literal | ( sum ) | name ( sum {, sum} ).
type parser struct {
	src []rune
	pos int
}

func (p *parser) space() {
	for p.pos < len(p.src) && unicode.IsSpace(p.src[p.pos]) {
		p.pos++
	}
}

// peek returns the next character after spaces, and 0 at the end.
func (p *parser) peek() rune {
	if p.space(); p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) unexpected(want string) error {
	if p.peek() == 0 {
		return fmt.Errorf("the expression ends where %s should be", want)
	}
	return fmt.Errorf("at character %d: %q stands where %s should be", p.pos+1, string(p.src[p.pos]), want)
}

func (p *parser) sum(depth int) (number, error) {
	if depth > maxDepth {
		return number{}, fmt.Errorf("at character %d: more than %d levels deep", p.pos+1, maxDepth)
	}
	left, err := p.product(depth)
	for err == nil {
		op := p.peek()
		if op != '+' && op != '-' {
			return left, nil
		}
		p.pos++
		var right number
		if right, err = p.product(depth); err != nil {
			break
		}
		v := new(big.Rat)
		if op == '+' {
			v.Add(left.Rat, right.Rat)
		} else {
			v.Sub(left.Rat, right.Rat)
		}
		left, err = sized(v, left.inexact || right.inexact)
	}
	return number{}, err
}

func (p *parser) product(depth int) (number, error) {
	left, err := p.sign(depth)
	for err == nil {
		op := p.peek()
		if op != '*' && op != '/' && op != '%' {
			return left, nil
		}
		at := p.pos + 1
		p.pos++
		var right number
		if right, err = p.sign(depth); err != nil {
			break
		}
		v := new(big.Rat)
		switch {
		case op == '*':
			v.Mul(left.Rat, right.Rat)
		case right.Sign() == 0:
			return number{}, fmt.Errorf("at character %d: division by zero", at)
		case op == '/':
			v.Quo(left.Rat, right.Rat)
		default: // the remainder has the sign of the left side, as in most languages: left - right*trunc(left/right)
			q := new(big.Rat).Quo(left.Rat, right.Rat)
			whole := new(big.Rat).SetInt(new(big.Int).Quo(q.Num(), q.Denom()))
			v.Sub(left.Rat, whole.Mul(whole, right.Rat))
		}
		left, err = sized(v, left.inexact || right.inexact)
	}
	return number{}, err
}

func (p *parser) sign(depth int) (number, error) {
	if depth > maxDepth {
		return number{}, fmt.Errorf("at character %d: more than %d levels deep", p.pos+1, maxDepth)
	}
	switch p.peek() {
	case '-':
		p.pos++
		v, err := p.sign(depth + 1)
		if err != nil {
			return number{}, err
		}
		return number{new(big.Rat).Neg(v.Rat), v.inexact}, nil
	case '+':
		p.pos++
		return p.sign(depth + 1)
	}
	return p.power(depth)
}

func (p *parser) power(depth int) (number, error) {
	base, err := p.atom(depth)
	if err != nil || p.peek() != '^' {
		return base, err
	}
	at := p.pos + 1
	p.pos++
	exp, err := p.sign(depth + 1) // from the right: 2^3^2 is 2^9
	if err != nil {
		return number{}, err
	}
	v, err := power(base, exp)
	if err != nil {
		return number{}, fmt.Errorf("at character %d: %w", at, err)
	}
	return v, nil
}

func power(base, exp number) (number, error) {
	if !exp.IsInt() {
		return number{}, fmt.Errorf("the exponent %s must be a whole number; sqrt(x) takes roots", short(exp.Rat))
	}
	if !exp.Num().IsInt64() || exp.Num().Int64() > maxExponent || exp.Num().Int64() < -maxExponent {
		return number{}, fmt.Errorf("the exponent must lie between -%d and %d", maxExponent, maxExponent)
	}
	n := exp.Num().Int64()
	if base.Sign() == 0 && n < 0 {
		return number{}, fmt.Errorf("division by zero: 0 to the power of %d", n)
	}
	num, den := base.Num(), base.Denom()
	if n < 0 {
		num, den, n = den, num, -n
	}
	if int64(max(num.BitLen(), den.BitLen())-1)*n > maxBits {
		return number{}, errTooLarge
	}
	e := big.NewInt(n)
	v := new(big.Rat).SetFrac(new(big.Int).Exp(num, e, nil), new(big.Int).Exp(den, e, nil))
	return sized(v, base.inexact || exp.inexact)
}

func (p *parser) atom(depth int) (number, error) {
	switch c := p.peek(); {
	case c == '(':
		p.pos++
		v, err := p.sum(depth + 1)
		if err != nil {
			return number{}, err
		}
		if p.peek() != ')' {
			return number{}, p.unexpected("a closing parenthesis")
		}
		p.pos++
		return v, nil
	case c >= '0' && c <= '9' || c == '.':
		return p.literal()
	case unicode.IsLetter(c):
		return p.call(depth)
	}
	return number{}, p.unexpected("a number")
}

// literal reads 12, 1.5, .5, 1_000 and 6.02e23. A comma is no part of a number: it separates arguments.
func (p *parser) literal() (number, error) {
	start := p.pos
	digits := func() (n int) {
		for p.pos < len(p.src) && (p.src[p.pos] >= '0' && p.src[p.pos] <= '9' || p.src[p.pos] == '_' && n > 0) {
			p.pos++
			n++
		}
		return n
	}
	n := digits()
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		n += digits()
	}
	bad := func() error {
		return fmt.Errorf("at character %d: %q is not a number", start+1, string(p.src[start:p.pos]))
	}
	if n == 0 {
		return number{}, bad()
	}
	mantissa := strings.ReplaceAll(string(p.src[start:p.pos]), "_", "")
	v, ok := new(big.Rat).SetString(mantissa)
	if !ok {
		return number{}, bad()
	}
	if p.pos < len(p.src) && (p.src[p.pos] == 'e' || p.src[p.pos] == 'E') {
		p.pos++
		neg := false
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			neg = p.src[p.pos] == '-'
			p.pos++
		}
		from := p.pos
		if digits() == 0 {
			return number{}, bad()
		}
		scale, ok := new(big.Int).SetString(strings.ReplaceAll(string(p.src[from:p.pos]), "_", ""), 10)
		if !ok || scale.CmpAbs(big.NewInt(maxScale)) > 0 {
			return number{}, fmt.Errorf("at character %d: the exponent of a number must not be over %d", from+1, maxScale)
		}
		ten := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), scale, nil))
		if neg {
			v.Quo(v, ten)
		} else {
			v.Mul(v, ten)
		}
	}
	if p.pos < len(p.src) && (p.src[p.pos] == '.' || unicode.IsLetter(p.src[p.pos])) {
		return number{}, p.unexpected("an operator")
	}
	return sized(v, false)
}

// functions maps a name to the number of its arguments and to what it does.
var functions = map[string]struct {
	least, most int
	call        func(args []number) (number, error)
}{
	"sqrt":  {1, 1, func(a []number) (number, error) { return root(a[0]) }},
	"abs":   {1, 1, func(a []number) (number, error) { return number{new(big.Rat).Abs(a[0].Rat), a[0].inexact}, nil }},
	"min":   {1, maxDepth, func(a []number) (number, error) { return extreme(a, -1), nil }},
	"max":   {1, maxDepth, func(a []number) (number, error) { return extreme(a, 1), nil }},
	"round": {1, 2, round},
}

func (p *parser) call(depth int) (number, error) {
	start := p.pos
	for p.pos < len(p.src) && unicode.IsLetter(p.src[p.pos]) {
		p.pos++
	}
	name := strings.ToLower(string(p.src[start:p.pos]))
	f, known := functions[name]
	if !known {
		return number{}, fmt.Errorf("at character %d: %q is not known; the functions are sqrt, abs, min, max and round", start+1, name)
	}
	if p.peek() != '(' {
		return number{}, p.unexpected("the opening parenthesis of " + name)
	}
	var args []number
	for {
		p.pos++
		v, err := p.sum(depth + 1)
		if err != nil {
			return number{}, err
		}
		args = append(args, v)
		if p.peek() != ',' && p.peek() != ';' {
			break
		}
	}
	if p.peek() != ')' {
		return number{}, p.unexpected("a comma or the closing parenthesis of " + name)
	}
	p.pos++
	if len(args) < f.least || len(args) > f.most {
		want := fmt.Sprintf("%d to %d numbers", f.least, f.most)
		if f.most == 1 {
			want = "one number"
		}
		return number{}, fmt.Errorf("at character %d: %s takes %s, not %d", start+1, name, want, len(args))
	}
	v, err := f.call(args)
	if err != nil {
		return number{}, fmt.Errorf("at character %d: %w", start+1, err)
	}
	return v, nil
}

func extreme(args []number, sign int) number {
	best := args[0]
	for _, a := range args[1:] {
		if a.Cmp(best.Rat)*sign > 0 {
			best = a
		}
	}
	return best
}

// round rounds half away from zero to a number of decimal places, which may be negative.
func round(a []number) (number, error) {
	places := int64(0)
	if len(a) == 2 {
		if !a[1].IsInt() || !a[1].Num().IsInt64() || a[1].Num().CmpAbs(big.NewInt(maxScale)) > 0 {
			return number{}, fmt.Errorf("round takes a whole number of places between -%d and %d", maxScale, maxScale)
		}
		places = a[1].Num().Int64()
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(max(places, -places)), nil))
	if places < 0 {
		scale.Inv(scale)
	}
	v := new(big.Rat).Mul(a[0].Rat, scale)
	half := big.NewRat(1, 2)
	if v.Sign() < 0 {
		half.Neg(half)
	}
	v.Add(v, half)
	whole := new(big.Rat).SetInt(new(big.Int).Quo(v.Num(), v.Denom()))
	return sized(whole.Quo(whole, scale), a[0].inexact)
}

// root is exact for the squares of fractions and otherwise good to more digits than are shown.
func root(a number) (number, error) {
	if a.Sign() < 0 {
		return number{}, fmt.Errorf("%s has no real square root", short(a.Rat))
	}
	num, den := new(big.Int).Sqrt(a.Num()), new(big.Int).Sqrt(a.Denom())
	exact := new(big.Rat)
	if den.Sign() > 0 {
		exact.SetFrac(num, den)
		if new(big.Rat).Mul(exact, exact).Cmp(a.Rat) == 0 {
			return number{exact, a.inexact}, nil
		}
	}
	f := new(big.Float).SetPrec(512).SetRat(a.Rat)
	v, _ := f.Sqrt(f).Rat(nil)
	return sized(v, true)
}

var errTooLarge = fmt.Errorf("the numbers get larger than this calculator takes (about %d digits)", int(maxBits*math.Log10(2)))

// sized refuses numbers over the limit.
func sized(v *big.Rat, inexact bool) (number, error) {
	if v.Num().BitLen() > maxBits || v.Denom().BitLen() > maxBits {
		return number{}, errTooLarge
	}
	return number{v, inexact}, nil
}

// format writes v in decimal: all its digits when they end, otherwise rounded and marked.
func format(v number) string {
	if v.IsInt() && !v.inexact {
		return v.Num().String()
	}
	if places, ok := finite(v.Denom()); ok && !v.inexact {
		return v.FloatString(places)
	}
	s := significant(v.Rat)
	return s + " (rounded)"
}

// finite returns how many decimal places 1/d has, if they end: when d has no prime factors but 2 and 5.
func finite(d *big.Int) (int, bool) {
	d = new(big.Int).Set(d)
	count := func(prime int64) (n int) {
		p, q, r := big.NewInt(prime), new(big.Int), new(big.Int)
		for {
			if q.QuoRem(d, p, r); r.Sign() != 0 {
				return n
			}
			d, q = q, d
			n++
		}
	}
	twos, fives := count(2), count(5)
	return max(twos, fives), d.IsInt64() && d.Int64() == 1
}

// significant rounds v to the precision, half to even, in plain notation where that is short.
func significant(v *big.Rat) string {
	f := new(big.Float).SetPrec(1024).SetRat(v)
	s := f.Text('g', precision)
	if strings.ContainsRune(s, 'e') {
		return s
	}
	if strings.ContainsRune(s, '.') {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// short is v as an error shows it.
func short(v *big.Rat) string {
	s := format(number{v, false})
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
