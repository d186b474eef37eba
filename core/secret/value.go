package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// hidden is what a Value shows of itself.
const hidden = "[redacted]"

// Value is a secret text. It shows itself to Reveal alone: formatted, logged or marshalled it is "[redacted]". The zero Value is none.
type Value struct{ text string }

// NewValue returns the Value of text.
func NewValue(text string) Value { return Value{text} }

// Reveal returns the text.
func (v Value) Reveal() string { return v.text }

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return v.text == "" }

// Equal compares in constant time.
func (v Value) Equal(o Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.text), []byte(o.text)) == 1
}

// String returns "[redacted]".
func (Value) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb shows the text.
func (Value) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, hidden) }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler with "[redacted]".
func (Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }
