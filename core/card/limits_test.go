package card

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestLargeCards sees that large cards are judged, and with how much memory.
func TestLargeCards(t *testing.T) {
	r := Validate(withSkills(10_000), Options{})
	if !r.Valid {
		t.Errorf("10,000 skills: %v", r.Errors)
	}
	r = Validate(withMembers(100_000), Options{})
	if !r.Valid {
		t.Errorf("100,000 members: %v", r.Errors)
	}
	if last := r.Warnings[len(r.Warnings)-1]; len(r.Warnings) != MaxFindings+1 || last.Code != codeMore {
		t.Errorf("%d warnings, the last %+v", len(r.Warnings), last)
	}
	r = Validate([]byte(`{"skills": [`+strings.Repeat("0,", 10_000)+`0]}`), Options{})
	if last := r.Errors[len(r.Errors)-1]; len(r.Errors) != MaxFindings+1 || last.Code != codeMore ||
		last.Message != "9009 more are not told; mend these first" {
		t.Errorf("%d errors, the last %+v", len(r.Errors), last)
	}
}

// TestLongKeys sees that a long key is not told with each of the findings behind it.
func TestLongKeys(t *testing.T) {
	scopes := strings.TrimSuffix(manyScopes(2*MaxFindings), ", ")
	for _, c := range []struct {
		key, path, pointer string
	}{
		{"short", "securitySchemes.short.flows.implicit.scopes.0", "/securitySchemes/short/flows/implicit/scopes/0"},
		{strings.Repeat("k", 100_000), "securitySchemes", "/securitySchemes"},
		{strings.Repeat("~", MaxPlace/2), "securitySchemes", "/securitySchemes"},
	} {
		r := Validate([]byte(`{"protocolVersion": "0.3.0", "securitySchemes": {"`+c.key+`": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://a.example",
			"scopes": {`+scopes+`}}}}}}`), Options{})
		size, told := 0, false
		for _, f := range r.Errors {
			size += len(f.Path) + len(f.Pointer) + len(f.Message)
			told = told || f.Path == c.path && f.Pointer == c.pointer
		}
		if len(r.Errors) != MaxFindings+1 || !told || size > MaxFindings*500 {
			t.Errorf("a key of %d bytes: %d errors of %d bytes, told at %s: %t", len(c.key), len(r.Errors), size, c.path, told)
		}
	}
}

// manyScopes makes n scopes that are no texts.
func manyScopes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"` + strconv.Itoa(i) + `": 0, `)
	}
	return b.String()
}

// TestMemory holds the memory that reading takes, in all, to a bound: of cards as they are, and of the worst that the limits admit.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name string
		text []byte
		most uint64 // bytes allocated in all for each byte of the text
	}{
		{"skills", large(1 << 20), 10},
		{"numbers", []byte(`{"a": [` + strings.Repeat("0,", MaxValues/8) + "0]}"), 60},
		{"objects", []byte(`{"a": [` + strings.Repeat("{},", MaxValues/8) + "0]}"), 40},
		{"members", []byte(`{"a": [` + strings.Repeat(`{"":0},`, MaxValues/8) + "0]}"), 50},
		{"arrays", []byte(`{"a": [` + strings.Repeat(`[0],`, MaxValues/8) + "0]}"), 60},
		{"keys", manyKeys(100_000), 50},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, errors, ok := parse(c.text)
		runtime.ReadMemStats(&after)
		if !ok {
			t.Fatalf("%s: %v", c.name, errors)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > c.most*uint64(len(c.text)) {
			t.Errorf("%s: reading %d bytes took %d, %d for each", c.name, len(c.text), took, took/uint64(len(c.text)))
		} else {
			t.Logf("%s: reading %d bytes took %d, %d for each", c.name, len(c.text), took, took/uint64(len(c.text)))
		}
	}
}

// manyKeys makes an object of n members.
func manyKeys(n int) []byte {
	b := []byte("{")
	for i := range n {
		b = append(strconv.AppendInt(append(b, '"'), int64(i), 36), `":0,`...)
	}
	return append(b, `"":0}`...)
}

// TestAllocations sees that reading a card and holding it to its schema takes memory for the text and the result alone.
func TestAllocations(t *testing.T) {
	for _, s := range samples(t) {
		if s.file != "030-translate.json" && s.file != "10-recipes.json" {
			continue
		}
		got := testing.AllocsPerRun(100, func() {
			from := spare.Get().(*blocks)
			if c, ok := readInto(s.text, Options{}, from); ok {
				c.chooseVersion()
				c.structure()
			}
			from.release(len(s.text))
		})
		if got > 8 {
			t.Errorf("%s took %v allocations", s.file, got)
		}
	}
}
