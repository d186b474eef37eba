package card

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestParseRefuses holds what is no JSON to the place and the words of its error.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, code string
		offset           int
		says             string
	}{
		{"nothing", "", codeJSON, 0, "the text is empty"},
		{"spaces", " \n\t", codeJSON, 3, "the text is empty"},
		{"a word", "card", codeJSON, 0, "no value of JSON begins with 'c'"},
		{"HTML", "<!doctype html>", codeJSON, 0, "HTML"},
		{"a comment", `{"a": 1, // one` + "\n}", codeJSON, 9, "no comments"},
		{"a comment as value", `{"a": /* one */ 1}`, codeJSON, 6, "no comments"},
		{"single quotes", `{'a': 1}`, codeJSON, 1, "double quotes"},
		{"a text in single quotes", `{"a": 'b'}`, codeJSON, 6, "double quotes"},
		{"a bare key", `{a: 1}`, codeJSON, 1, "double quotes"},
		{"a comma before }", `{"a": 1,}`, codeJSON, 8, `remove the comma before "}"`},
		{"a comma before ]", `[1, 2, ]`, codeJSON, 7, `remove the comma before "]"`},
		{"two commas", `[1,,2]`, codeJSON, 3, `a value belongs before ","`},
		{"a leading comma", `{,"a":1}`, codeJSON, 1, `a member belongs before ","`},
		{"no comma", `{"a": 1 "b": 2}`, codeJSON, 8, `"," or "}" belongs`},
		{"no comma in an array", `["a" "b"]`, codeJSON, 5, `"," or "]" belongs`},
		{"no colon", `{"a" 1}`, codeJSON, 5, `":" belongs`},
		{"the wrong bracket", `{"a": [1}`, codeJSON, 8, `"," or "]" belongs`},
		{"cut off in an object", `{"a": 1`, codeJSON, 7, "cut off"},
		{"cut off after a key", `{"a"`, codeJSON, 4, `":" belongs`},
		{"cut off before a value", `{"a":`, codeJSON, 5, "cut off"},
		{"cut off before a key", `{"a":1,`, codeJSON, 7, "cut off"},
		{"cut off in an array", `[1,`, codeJSON, 3, "cut off"},
		{"cut off in a text", `["abc`, codeJSON, 5, "cut off"},
		{"cut off in an escape", `["abc\`, codeJSON, 6, "cut off"},
		{"text after it", `{} {}`, codeJSON, 3, "remove what follows"},
		{"a line break in a text", "[\"a\nb\"]", codeJSON, 3, `write the line break as \n`},
		{"a control character", "[\"a\x01b\"]", codeJSON, 3, `\u0001`},
		{"no escape", `["\x41"]`, codeJSON, 2, "no escape of JSON"},
		{"half an escape", `["\u12"]`, codeJSON, 2, "no escape of JSON"},
		{"a leading zero", `[012]`, codeJSON, 2, "do not begin with 0"},
		{"a leading plus", `[+1]`, codeJSON, 1, "no number of JSON"},
		{"a dot without digits", `[1.]`, codeJSON, 3, "a digit belongs here"},
		{"an exponent without digits", `[1e+]`, codeJSON, 4, "a digit belongs here"},
		{"a minus alone", `[-]`, codeJSON, 2, "a digit belongs here"},
		{"a number with a unit", `[10ms]`, codeJSON, 3, "no number of JSON"},
		{"not a number", `[NaN]`, codeJSON, 1, "no number of JSON"},
		{"Python's True", `[True]`, codeJSON, 1, "write true, false or null"},
		{"a longer word", `[nullable]`, codeJSON, 5, "write true, false or null"},
		{"UTF-16", "\xff\xfe{\x00}\x00", codeEncoding, 0, "UTF-16"},
		{"too deep", strings.Repeat("[", MaxDepth+1), codeTooDeep, MaxDepth, "nested deeper than 128"},
		{"too deep in objects", strings.Repeat(`{"a":`, MaxDepth+1), codeTooDeep, 5 * MaxDepth, "nested deeper than 128"},
		{"too large", strings.Repeat(" ", MaxSize+1), codeTooLarge, 0, "8388609 bytes"},
		{"too many", "[" + strings.Repeat("0,", MaxValues) + "0]", codeTooLarge, 2*(MaxValues-1) + 1, "more than 1000000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, errors, ok := parse([]byte(c.text))
			if ok || len(errors) != 1 {
				t.Fatalf("it is read: %v, with the errors %v", ok, errors)
			}
			e := errors[0]
			if e.Code != c.code || e.Offset != c.offset || !strings.Contains(e.Message, c.says) {
				t.Errorf("%s at %d: %s", e.Code, e.Offset, e.Message)
			}
			if r := Validate([]byte(c.text), Options{}); r.Valid || !slices.Equal(r.Errors, errors) || len(r.Warnings) > 0 {
				t.Errorf("Validate says %v %v %v", r.Valid, r.Errors, r.Warnings)
			}
		})
	}
}

// TestParseReads holds trees to what encoding/json makes of the same text.
func TestParseReads(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, ` { "a" : [ ] , "b" : { } } `, `{"a":[1,-0.5e+3,true,false,null,"x",{"y":[[]]}]}`,
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\udc69\u0000"}`, `{"é":"日本語","":"","\u0061":1}`, "\t{\r\n\"a\":0}\n",
		`{"a":"` + strings.Repeat(`\u00e9x`, 300) + `"}`, strings.Repeat(`{"a":[`, 64) + strings.Repeat(`]}`, 64),
	} {
		root, errors, ok := parse([]byte(text))
		if !ok {
			t.Errorf("%s: %v", text, errors)
			continue
		}
		sameTree(t, root, text)
	}
}

// sameTree compares a tree with what encoding/json reads, and holds it to its own promises.
func sameTree(t *testing.T, root *node, text string) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("%q is read, and is no JSON: %v", text, err)
	}
	if got := plainValue(t, root, text, 0, len(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("%q is read as %v", text, got)
	}
}

// plainValue turns a node into what encoding/json makes, and checks that it lies in its parent's text.
func plainValue(t *testing.T, n *node, text string, from, to int) any {
	t.Helper()
	start, end := int(n.start), int(n.end)
	if start < from || end > to || start >= end {
		t.Fatalf("a node of %q lies at %d to %d, its parent at %d to %d", text, start, end, from, to)
	}
	switch n.kind {
	case kindNull:
		return nil
	case kindBool:
		return n.truth
	case kindNumber:
		f, err := strconv.ParseFloat(text[start:end], 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	case kindString:
		return n.str
	case kindArray:
		list := []any{}
		for i := range n.items {
			list = append(list, plainValue(t, &n.items[i], text, start+1, end-1))
		}
		return list
	case kindObject:
		object := map[string]any{}
		for i := range n.members {
			m := &n.members[i]
			if _, twice := object[m.key]; twice || n.find(m.key) != m || text[m.start] != '"' {
				t.Fatalf("%q is not the one member of its name", m.key)
			}
			object[m.key] = plainValue(t, &m.value, text, start+1, end-1)
		}
		return object
	default:
		t.Fatalf("a node of %q has the kind %d", text, n.kind)
		return nil
	}
}

// TestParseWarns holds what is JSON, and will be read in different ways, to its warning.
func TestParseWarns(t *testing.T) {
	t.Parallel()
	many := `{"twice": 1,`
	for i := range 2 * indexFrom {
		many += `"k` + strconv.Itoa(i) + `": 0,`
	}
	many += `"twice": {"inner": 1, "inner": 2}}`
	for _, c := range []struct {
		name, text, code, path string
		offset, times          int
	}{
		{"a byte order mark", "\uFEFF{}", codeByteOrderMark, "", 0, 1},
		{"a key twice", `{"name": "a", "name": "b"}`, codeDuplicateKey, "name", 1, 1},
		{"a key three times", `{"name": "a", "name": "b", "name": "c"}`, codeDuplicateKey, "name", 1, 2},
		{"a key twice, spelt in two ways", `{"name": "a", "\u006eame": "b"}`, codeDuplicateKey, "name", 1, 1},
		{"a key twice further in", `{"skills": [{}, {"id": 1, "x": 2, "id": 3}]}`, codeDuplicateKey, "skills[1].id", 17, 1},
		{"keys twice of many", many, codeDuplicateKey, "twice", 1, 2},
		{"half a surrogate pair", `{"name": "a\ud83db"}`, codeLoneSurrogate, "name", 11, 1},
		{"two first halves", `{"name": "\ud83d\ud83d"}`, codeLoneSurrogate, "name", 10, 2},
		{"half a pair in a key", `{"a": {"\udc69": 1}}`, codeLoneSurrogate, "a", 8, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var found []Finding
			for _, w := range Validate([]byte(c.text), Options{}).Warnings {
				if w.Code == c.code {
					found = append(found, w)
				}
				checkFinding(t, []byte(c.text), w)
			}
			if len(found) != c.times || found[0].Path != c.path || found[0].Offset != c.offset {
				t.Errorf("the warnings are %+v", found)
			}
		})
	}
}

// TestLastMemberCounts sees that of a key that comes again the last is judged, also in large objects.
func TestLastMemberCounts(t *testing.T) {
	t.Parallel()
	for _, more := range []int{0, 2 * indexFrom} {
		text := `{"name": 1, "a": 0, "name": "first", `
		for i := range more {
			text += `"k` + strconv.Itoa(i) + `": 0,`
		}
		text += `"name": "last", "z": 0}`
		root, _, ok := parse([]byte(text))
		if !ok || root.get("name").str != "last" || len(root.members) != 3+more || root.get("z").kind != kindNumber || root.get("no") != &none {
			t.Errorf("with %d more: %v", more, root.members)
		}
	}
}

// TestNotUTF8 sees that bytes that are no characters are an error at their place, and that the rest is judged all the same.
func TestNotUTF8(t *testing.T) {
	t.Parallel()
	text := []byte("{\"name\": \"caf\xe9\", \"url\": \"\xc3\xa9\"}")
	r := Validate(text, Options{})
	i := slices.IndexFunc(r.Errors, func(f Finding) bool { return f.Code == codeEncoding })
	if r.Valid || i < 0 || r.Errors[i].Offset != 13 || !strings.Contains(r.Errors[i].Message, "E9 at 13") {
		t.Errorf("the errors are %v", r.Errors)
	}
	if r.Name != "caf\uFFFD" || r.URL != "é" || len(r.Errors) < 5 {
		t.Errorf("name %q, url %q, %d errors", r.Name, r.URL, len(r.Errors))
	}
}

// TestPaths holds the two spellings of places to each other.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, pointer string }{
		{`{"securitySchemes": {"a": 1}}`, `securitySchemes.a`, "/securitySchemes/a"},
		{`{"securitySchemes": {"": 1}}`, `securitySchemes[""]`, "/securitySchemes/"},
		{`{"securitySchemes": {"a.b[0]": 1}}`, `securitySchemes["a.b[0]"]`, "/securitySchemes/a.b[0]"},
		{`{"securitySchemes": {"a/b~c": 1}}`, `securitySchemes["a/b~c"]`, "/securitySchemes/a~1b~0c"},
		{`{"securitySchemes": {"a\"\\\n": 1}}`, `securitySchemes["a\"\\\u000a"]`, "/securitySchemes/a\"\\\n"},
		{`{"securitySchemes": {"0": 1}}`, `securitySchemes.0`, "/securitySchemes/0"},
		{`{"securitySchemes": {"über-2": 1}}`, `securitySchemes.über-2`, "/securitySchemes/über-2"},
		{`{"skills": [{}, {"tags": ["a", 1]}]}`, `skills[1].tags[1]`, "/skills/1/tags/1"},
	} {
		var places []string
		for _, e := range Validate([]byte(c.text), Options{}).Errors {
			places = append(places, e.Path+" "+e.Pointer)
		}
		if !slices.Contains(places, c.path+" "+c.pointer) {
			t.Errorf("%s: no error at %s %s, but at %q", c.text, c.path, c.pointer, places)
		}
	}
}

// TestTextIsCopied sees that neither the bytes of the caller nor memory that is used again reach a result.
func TestTextIsCopied(t *testing.T) {
	t.Parallel()
	text := []byte(`{"name": "first card", "url": "https://one.example/", "sklls": 1}`)
	r := Validate(text, Options{})
	message := r.Errors[0].Message
	for i := range text {
		text[i] = 'x'
	}
	Validate([]byte(`{"name": "other card", "url": "https://two.example/", "sklls": 1}`), Options{})
	if r.Name != "first card" || r.URL != "https://one.example/" || r.Errors[0].Message != message {
		t.Errorf("the result has changed: %+v", r)
	}
}
