package httpx

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// scanned reads any JSON value whose objects and arrays hold no numbers and no booleans, as a Scan does.
func scanned(s *Scan) (v any, ok bool) {
	switch s.peek() {
	case '{':
		m := map[string]any{}
		ok = s.Object(func(key []byte) bool {
			v, ok := scanned(s)
			m[string(key)] = v
			return ok
		})
		return m, ok
	case '[':
		l := []any{}
		ok = s.Array(func() bool {
			v, ok := scanned(s)
			l = append(l, v)
			return ok
		})
		return l, ok
	case 'n':
		return nil, s.Null()
	}
	text, ok := s.Text()
	return string(text), ok
}

func TestScan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`: true, ` [ ] `: true, `null`: true, `""`: true, `[null,"a",{"b":["c",{}]}]`: true,
		"{ \"a\\\"\\\\\" : \"\\u00e9\\\\\" ,\n\"\\\\\\\"\":[\"}]\"]}": true,
		`1`: false, `[1]`: false, `{"a":true}`: false, ``: false, `[] []`: false,
	} {
		s := NewScan([]byte(text))
		got, ok := scanned(s)
		if ok = ok && s.End(); ok != want {
			t.Errorf("%s: %v, want %v", text, ok, want)
		}
		var wanted any
		if want && (json.Unmarshal([]byte(text), &wanted) != nil || !reflect.DeepEqual(got, wanted)) {
			t.Errorf("%s: %#v, want %#v", text, got, wanted)
		}
	}
	s := NewScan([]byte(`{"a":1} x`))
	if s.Object(func([]byte) bool { return true }) {
		t.Error("a value that nobody walked over was passed")
	}
	if _, ok := s.Text(); ok || s.Null() || s.End() {
		t.Error("a failed walk goes on")
	}
}

// FuzzScan compares what a Scan makes of texts that CheckJSON passes with what Go's decoder does, and raw objects with their text.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"a":[{"b":"c\"\\"},null]}`, ` [ "\ud83d\ude00" , {} ] `, `{"x":{"y":[1.5e3,true,"]}"]}}`, `"\\"`, `[[[]]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if CheckJSON(text, false) != nil {
			return
		}
		var want any
		if err := json.Unmarshal(text, &want); err != nil {
			return // a number that float64 cannot hold
		}
		s := NewScan(text)
		if got, ok := scanned(s); ok && s.End() && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, want %#v", text, got, want)
		}
		s = NewScan(text)
		raw, ok := s.RawObject()
		if _, object := want.(map[string]any); ok != object {
			t.Fatalf("%q: an object: %v", text, ok)
		}
		if ok && (!s.End() || !bytes.Equal(raw, bytes.TrimSpace(text))) {
			t.Fatalf("%q: the object is %q", text, raw)
		}
	})
}
