package card

import (
	"slices"
	"strconv"
)

// value is a JSON value that can be changed.
type value struct {
	kind   kind
	text   string // of what is neither array nor object: its JSON
	said   string // of a text: what it says
	items  []*value
	keys   []string       // of an object, in order
	values []*value       // theirs
	index  map[string]int // where a key is; nil for small objects, and until it is needed
}

// valueOf copies a node.
func valueOf(text string, n *node) *value {
	v := &value{kind: n.kind}
	switch n.kind {
	case kindArray:
		v.items = make([]*value, len(n.items))
		for i := range n.items {
			v.items[i] = valueOf(text, &n.items[i])
		}
	case kindObject:
		v.keys, v.values = make([]string, len(n.members)), make([]*value, len(n.members))
		for i := range n.members {
			v.keys[i], v.values[i] = n.members[i].key, valueOf(text, &n.members[i].value)
		}
	default:
		v.text, v.said = text[n.start:n.end], n.str
	}
	return v
}

func textValue(s string) *value {
	return &value{kind: kindString, text: string(appendQuoted(nil, s)), said: s}
}

func listValue(items ...*value) *value { return &value{kind: kindArray, items: items} }

func objectValue() *value { return &value{kind: kindObject} }

// find returns where a member is, -1 when there is none.
func (v *value) find(key string) int {
	if len(v.keys) < indexFrom {
		return slices.Index(v.keys, key)
	}
	if v.index == nil {
		v.index = make(map[string]int, len(v.keys))
		for i, k := range v.keys {
			v.index[k] = i
		}
	}
	if i, ok := v.index[key]; ok {
		return i
	}
	return -1
}

// get returns a member's value, nil when there is none or v is no object.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	if i := v.find(key); i >= 0 {
		return v.values[i]
	}
	return nil
}

// is says whether v is there and of a kind.
func (v *value) is(k kind) bool { return v != nil && v.kind == k }

// set gives an object a member, in the place of one that has its key.
func (v *value) set(key string, to *value) *value {
	if i := v.find(key); i >= 0 {
		v.values[i] = to
		return v
	}
	if v.index != nil {
		v.index[key] = len(v.keys)
	}
	v.keys, v.values = append(v.keys, key), append(v.values, to)
	return v
}

// drop takes a member from an object.
func (v *value) drop(key string) {
	if i := v.find(key); i >= 0 {
		v.keys, v.values, v.index = slices.Delete(v.keys, i, i+1), slices.Delete(v.values, i, i+1), nil
	}
}

// copy returns an object with the same members but those that are named. Their values are shared.
func (v *value) copy(but ...string) *value {
	made := objectValue()
	for i, k := range v.keys {
		if !slices.Contains(but, k) {
			made.keys, made.values = append(made.keys, k), append(made.values, v.values[i])
		}
	}
	return made
}

// string returns what a text says, "" of anything else.
func (v *value) string() string {
	if v == nil {
		return ""
	}
	return v.said
}

// at returns what is at a path, nil when there is nothing.
func (v *value) at(path []string) *value {
	for _, step := range path {
		if v.is(kindArray) {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v.items) {
				return nil
			}
			v = v.items[i]
		} else {
			v = v.get(step)
		}
	}
	return v
}

// appendTo writes v, each level deeper indented by two spaces; "-" as indent writes it on one line.
func (v *value) appendTo(to []byte, indent string) []byte {
	inner, line, colon := indent+"  ", "\n"+indent+"  ", ": "
	if indent == "-" {
		inner, line, colon = "-", "", ":"
	}
	end := func(to []byte) []byte {
		if indent == "-" {
			return to
		}
		return append(append(to, '\n'), indent...)
	}
	switch {
	case v.kind == kindArray && len(v.items) == 0:
		return append(to, "[]"...)
	case v.kind == kindArray:
		to = append(to, '[')
		for i, item := range v.items {
			if i > 0 {
				to = append(to, ',')
			}
			to = item.appendTo(append(to, line...), inner)
		}
		return append(end(to), ']')
	case v.kind == kindObject && len(v.keys) == 0:
		return append(to, "{}"...)
	case v.kind == kindObject:
		to = append(to, '{')
		for i, key := range v.keys {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(appendQuoted(append(to, line...), key), colon...)
			to = v.values[i].appendTo(to, inner)
		}
		return append(end(to), '}')
	default:
		return append(to, v.text...)
	}
}

// The operations change the card, and write down a step of the patch. What they change is there: add's parent, and all of the path of the
// others.

func (m *migrator) add(to *value, text, source string, path ...string) {
	operation := "add"
	parent, key := m.root.at(path[:len(path)-1]), path[len(path)-1]
	if parent.kind == kindArray {
		i, _ := strconv.Atoi(key)
		if i == len(parent.items) {
			parent.items = append(parent.items, to)
		} else {
			operation, parent.items[i] = "replace", to
		}
	} else {
		if parent.get(key) != nil {
			operation = "replace"
		}
		parent.set(key, to)
	}
	m.write(operation, to, text, source, path)
}

func (m *migrator) remove(text, source string, path ...string) {
	m.root.at(path[:len(path)-1]).drop(path[len(path)-1])
	m.write("remove", nil, text, source, path)
}

func (m *migrator) write(operation string, to *value, text, source string, path []string) {
	dotted, pointer := m.place(path)
	m.steps = append(m.steps, Step{Operation: operation, Path: dotted, Pointer: pointer, Text: text, Source: source})
	if len(m.patch) > 1 {
		m.patch = append(m.patch, ',')
	}
	m.patch = append(appendQuoted(append(append(append(m.patch, `{"op":"`...), operation...), `","path":`...), pointer), `}`...)
	if to != nil {
		m.patch = append(m.patch[:len(m.patch)-1], `,"value":`...)
		m.patch = append(to.appendTo(m.patch, "-"), '}')
	}
}

func (m *migrator) decide(text string, path ...string) {
	dotted, pointer := m.place(path)
	m.manual = append(m.manual, Decision{Path: dotted, Pointer: pointer, Text: text})
}

// place writes a path as findings do. Steps into arrays are numbers, and are told from keys by what they lead into.
func (m *migrator) place(path []string) (dotted, pointer string) {
	var d, p []byte
	at := m.root
	for i, step := range path {
		if n, err := strconv.Atoi(step); err == nil && at.is(kindArray) {
			d, p = appendIndex(d, p, n)
		} else {
			d, p = appendKey(d, p, step)
		}
		at = m.root.at(path[:i+1])
	}
	return string(d), string(p)
}
