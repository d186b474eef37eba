package valta

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

// maxUnits is the most that a wallet can hold, in units, rounded down to what every JSON number is exact about.
const maxUnits = 9_223_372_036_854

// units is an amount on the wire: a JSON number of units with up to six decimal places.
type units string

func unitsOf(a money.Amount) units { return units(a.Number()) }

// unitsPtr is unitsOf for an amount that may not be there.
func unitsPtr(a *money.Amount) *units {
	if a == nil {
		return nil
	}
	u := unitsOf(*a)
	return &u
}

// MarshalJSON implements json.Marshaler.
func (u units) MarshalJSON() ([]byte, error) { return []byte(u), nil }

// Schema implements huma.SchemaProvider.
func (units) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Examples: []any{20.5}}
}

// positive is an amount above zero in a request. It keeps the text of the number, which a float would not hold exactly.
type positive struct{ text string }

// Schema implements huma.SchemaProvider.
func (positive) Schema(huma.Registry) *huma.Schema {
	s := numberSchema()
	s.ExclusiveMinimum = new(float64)
	s.PrecomputeMessages()
	return s
}

// UnmarshalJSON implements json.Unmarshaler for what the schema lets through.
func (p *positive) UnmarshalJSON(b []byte) error {
	p.text = string(bytes.TrimSpace(b))
	return nil
}

// read returns the amount; path is where it stands in the body.
func (p positive) read(path string) (money.Amount, error) {
	a, err := readUnits(path, p.text)
	if err == nil && a.Micros <= 0 {
		return a, fault.Invalidf(path, "must be above zero")
	}
	return a, err
}

// limit is a limit in a request: a number, null for none, or nothing said.
type limit struct {
	set  bool
	text string // "" is null
}

// Schema implements huma.SchemaProvider.
func (limit) Schema(huma.Registry) *huma.Schema {
	s := numberSchema()
	s.Minimum = new(float64)
	s.Nullable = true
	s.PrecomputeMessages()
	return s
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *limit) UnmarshalJSON(b []byte) error {
	l.set = true
	if text := string(bytes.TrimSpace(b)); text != "null" {
		l.text = text
	}
	return nil
}

// apply stores the limit where something was said of it.
func (l limit) apply(path string, to **money.Amount) error {
	switch {
	case !l.set:
		return nil
	case l.text == "":
		*to = nil
		return nil
	}
	a, err := readUnits(path, l.text)
	if err != nil {
		return err
	}
	*to = &a
	return nil
}

func numberSchema() *huma.Schema {
	most := float64(maxUnits)
	return &huma.Schema{Type: huma.TypeNumber, Maximum: &most, Examples: []any{20.5}}
}

func readUnits(path, text string) (money.Amount, error) {
	a, err := money.ParseNumber(text, wallet.DefaultCurrency)
	if fe, ok := fault.As(err); ok && fe.Kind == fault.Invalid {
		message := fe.Message
		if len(fe.Fields) > 0 {
			message = fe.Fields[0].Message
		}
		return a, fault.Invalidf(path, "%s", message)
	}
	return a, err
}

// maybe is a field of a body that may be missing, null, or a value.
type maybe[T any] struct {
	set   bool
	value T // its zero value when it is null
}

// UnmarshalJSON implements json.Unmarshaler; it is not called for a missing field.
func (m *maybe[T]) UnmarshalJSON(b []byte) error {
	m.set = true
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, &m.value)
}

// Schema implements huma.SchemaProvider.
func (maybe[T]) Schema(r huma.Registry) *huma.Schema {
	own := *r.Schema(reflect.TypeFor[T](), true, "")
	own.Nullable = true
	return &own
}
