package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bureau-agents/bureau/core/span"
)

// decoder reads protobuf. The numbers of fields are those of opentelemetry-proto 1.11: trace.proto, logs.proto, common.proto,
// resource.proto and the two services.
type decoder struct {
	elements int
	spans    []span.Span
	records  []span.Record
}

// field is one field of a message: its bytes for the type of bytes, its bits for the others.
type field struct {
	number protowire.Number
	kind   protowire.Type
	bytes  []byte
	bits   uint64
}

// each calls fn with the fields of a message, and counts the message.
func (d *decoder) each(message []byte, fn func(f field) error) error {
	if d.elements++; d.elements > maxElements {
		return ErrTooLarge
	}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return malformed("%s", protowire.ParseError(n))
		}
		message = message[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			f.bits, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			f.bits, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(message)
			f.bits = uint64(bits)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return malformed("%s", protowire.ParseError(n))
		}
		message = message[n:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// is reports whether a field is the one that a message has under a number; one of another type is passed over like an unknown one.
func (f field) is(number protowire.Number, kind protowire.Type) bool {
	return f.number == number && f.kind == kind
}

func (f field) text(to *string) error {
	if !utf8.Valid(f.bytes) {
		return malformed("a text is not UTF-8")
	}
	*to = string(f.bytes)
	return nil
}

func (d *decoder) traces(message []byte) error {
	return d.each(message, func(f field) error {
		if !f.is(1, protowire.BytesType) {
			return nil
		}
		return d.resource(f.bytes, func(o span.Origin, scoped []byte) error {
			return d.scope(scoped, &o, func(b []byte, o *span.Origin) error {
				if len(d.spans) >= span.MaxItems {
					return span.ErrTooMany
				}
				s, err := d.span(b, o)
				d.spans = append(d.spans, s)
				return err
			})
		})
	})
}

func (d *decoder) logs(message []byte) error {
	return d.each(message, func(f field) error {
		if !f.is(1, protowire.BytesType) {
			return nil
		}
		return d.resource(f.bytes, func(o span.Origin, scoped []byte) error {
			return d.scope(scoped, &o, func(b []byte, o *span.Origin) error {
				if len(d.records) >= span.MaxItems {
					return span.ErrTooMany
				}
				r, err := d.record(b, o)
				d.records = append(d.records, r)
				return err
			})
		})
	})
}

// resource reads ResourceSpans or ResourceLogs. The resource may stand behind what it is the resource of.
func (d *decoder) resource(message []byte, fn func(o span.Origin, scoped []byte) error) error {
	var o span.Origin
	var scopes [][]byte
	err := d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			return d.each(f.bytes, func(f field) error {
				if f.is(1, protowire.BytesType) {
					return d.attribute(f.bytes, &o.Resource)
				}
				return nil
			})
		case f.is(2, protowire.BytesType):
			scopes = append(scopes, f.bytes)
		}
		return nil
	})
	for _, b := range scopes {
		if err != nil {
			break
		}
		err = fn(o, b)
	}
	return err
}

// scope reads ScopeSpans or ScopeLogs.
func (d *decoder) scope(message []byte, o *span.Origin, fn func(b []byte, o *span.Origin) error) error {
	var items [][]byte
	err := d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			return d.each(f.bytes, func(f field) error {
				switch {
				case f.is(1, protowire.BytesType):
					return f.text(&o.Scope)
				case f.is(2, protowire.BytesType):
					return f.text(&o.ScopeVersion)
				}
				return nil
			})
		case f.is(2, protowire.BytesType):
			if len(items) > span.MaxItems {
				return span.ErrTooMany
			}
			items = append(items, f.bytes)
		}
		return nil
	})
	for _, b := range items {
		if err != nil {
			break
		}
		err = fn(b, o)
	}
	return err
}

func (d *decoder) span(message []byte, o *span.Origin) (span.Span, error) {
	s := span.Span{Origin: o, Status: span.StatusUnset}
	err := d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			s.TraceID = hex.EncodeToString(f.bytes)
		case f.is(2, protowire.BytesType):
			s.SpanID = hex.EncodeToString(f.bytes)
		case f.is(4, protowire.BytesType):
			s.ParentID = hex.EncodeToString(f.bytes)
		case f.is(5, protowire.BytesType):
			return f.text(&s.Name)
		case f.is(6, protowire.VarintType):
			s.Kind = kindOf(int64(f.bits))
		case f.is(7, protowire.Fixed64Type):
			s.Start = timeOf(f.bits)
		case f.is(8, protowire.Fixed64Type):
			s.End = timeOf(f.bits)
		case f.is(9, protowire.BytesType):
			return d.attribute(f.bytes, &s.Attributes)
		case f.is(11, protowire.BytesType):
			m, err := d.moment(f.bytes)
			s.Moments = append(s.Moments, m)
			return err
		case f.is(13, protowire.BytesType):
			l, err := d.link(f.bytes)
			s.Links = append(s.Links, l)
			return err
		case f.is(15, protowire.BytesType):
			return d.each(f.bytes, func(f field) error {
				switch {
				case f.is(2, protowire.BytesType):
					return f.text(&s.StatusMessage)
				case f.is(3, protowire.VarintType):
					s.Status = statusOf(int64(f.bits))
				}
				return nil
			})
		}
		return nil
	})
	return s, err
}

func (d *decoder) moment(message []byte) (m span.Moment, err error) {
	err = d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.Fixed64Type):
			m.At = timeOf(f.bits)
		case f.is(2, protowire.BytesType):
			return f.text(&m.Name)
		case f.is(3, protowire.BytesType):
			return d.attribute(f.bytes, &m.Attributes)
		}
		return nil
	})
	return m, err
}

func (d *decoder) link(message []byte) (l span.Link, err error) {
	err = d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			l.TraceID = hex.EncodeToString(f.bytes)
		case f.is(2, protowire.BytesType):
			l.SpanID = hex.EncodeToString(f.bytes)
		case f.is(4, protowire.BytesType):
			return d.attribute(f.bytes, &l.Attributes)
		}
		return nil
	})
	return l, err
}

func (d *decoder) record(message []byte, o *span.Origin) (span.Record, error) {
	r := span.Record{Origin: o}
	err := d.each(message, func(f field) error {
		var err error
		switch {
		case f.is(1, protowire.Fixed64Type):
			r.At = timeOf(f.bits)
		case f.is(2, protowire.VarintType):
			r.Severity = severityOf(int64(f.bits))
		case f.is(3, protowire.BytesType):
			return f.text(&r.SeverityText)
		case f.is(5, protowire.BytesType):
			r.Body, err = d.value(f.bytes, maxDepth)
		case f.is(6, protowire.BytesType):
			return d.attribute(f.bytes, &r.Attributes)
		case f.is(9, protowire.BytesType):
			r.TraceID = hex.EncodeToString(f.bytes)
		case f.is(10, protowire.BytesType):
			r.SpanID = hex.EncodeToString(f.bytes)
		case f.is(11, protowire.Fixed64Type):
			r.Observed = timeOf(f.bits)
		case f.is(12, protowire.BytesType):
			return f.text(&r.Name)
		}
		return err
	})
	return r, err
}

// severityOf is SeverityNumber; what it does not have was not said.
func severityOf(n int64) int {
	if n < 0 || n > 24 {
		return 0
	}
	return int(n)
}

// attribute reads a KeyValue into to. Of two with one key the last counts.
func (d *decoder) attribute(message []byte, to *span.Attributes) error {
	return d.keyValue(message, to, maxDepth)
}

func (d *decoder) keyValue(message []byte, to *map[string]any, depth int) error {
	var key string
	var value any
	err := d.each(message, func(f field) error {
		var err error
		switch {
		case f.is(1, protowire.BytesType):
			return f.text(&key)
		case f.is(2, protowire.BytesType):
			value, err = d.value(f.bytes, depth)
		}
		return err
	})
	if *to == nil {
		*to = make(map[string]any)
	}
	(*to)[key] = value
	return err
}

// value reads an AnyValue.
func (d *decoder) value(message []byte, depth int) (v any, err error) {
	if depth <= 0 {
		return nil, malformed("values are nested more than %d deep", maxDepth)
	}
	err = d.each(message, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			var s string
			err := f.text(&s)
			v = s
			return err
		case f.is(2, protowire.VarintType):
			v = f.bits != 0
		case f.is(3, protowire.VarintType):
			v = int64(f.bits)
		case f.is(4, protowire.Fixed64Type):
			v = number(math.Float64frombits(f.bits))
		case f.is(5, protowire.BytesType):
			list := []any{}
			err := d.each(f.bytes, func(f field) error {
				if !f.is(1, protowire.BytesType) {
					return nil
				}
				e, err := d.value(f.bytes, depth-1)
				list = append(list, e)
				return err
			})
			v = list
			return err
		case f.is(6, protowire.BytesType):
			members := map[string]any{}
			err := d.each(f.bytes, func(f field) error {
				if !f.is(1, protowire.BytesType) {
					return nil
				}
				return d.keyValue(f.bytes, &members, depth-1)
			})
			v = members
			return err
		case f.is(7, protowire.BytesType):
			v = base64.StdEncoding.EncodeToString(f.bytes)
		}
		return nil
	})
	return v, err
}
