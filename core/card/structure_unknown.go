package card

import "strings"

// unknown warns of a member that its record has no field for. It is no error in any version: readers pass over what they do not know, and
// that is why a misspelt field does harm unseen.
//
// Nothing is said of what is meant to be there: extensions of the text's own kind ("x-...", "$schema"), fields of later versions in a
// card that is of both forms, protocolVersion in the versions before it was a field, and fields of earlier versions in a card of 1.0,
// which examine knows more about.
func (c *checker) unknown(m *member, of *node, r *record) {
	key := m.key
	if strings.HasPrefix(key, "x-") || strings.HasPrefix(key, "X-") || strings.HasPrefix(key, "$") || strings.HasPrefix(key, "@") {
		return
	}
	if r.name == "SecurityRequirement" && of.find("schemes") == nil {
		return // it is written as in 0.3: examine tells so once, instead of every name of a scheme
	}
	if since, ok := r.elsewhere[key]; ok {
		if c.version != V10 && c.root.find("supportedInterfaces") == nil && key != "protocolVersion" {
			c.warnKey(m, codeLaterField, "A2A "+string(since)+", "+r.name+"."+key,
				"%q came with A2A %s, and readers of %s pass over it: declare a later protocol version, or remove it", key, since, c.version)
		}
		return
	}
	if c.warnings.full() {
		return
	}
	if name := r.nearest(key, of); name == "" {
		c.warnKey(m, codeUnknownField, r.source,
			"%q is no field of %s in A2A %s, and readers pass over it: remove it, or move what it says to a field",
			short(key), r.name, c.version)
	} else if plain(key) == plain(name) {
		c.warnKey(m, codeWrongCase, r.source, "%q is passed over, since names of fields are told apart by case: write %q", short(key), name)
	} else {
		c.warnKey(m, codeUnknownField, r.source, "%q is no field of %s in A2A %s, and readers pass over it: did you mean %q?",
			short(key), r.name, c.version, name)
	}
}

// plain takes from a name what people write in different ways: case, and the marks between words.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == ' ':
			return -1
		case 'A' <= r && r <= 'Z':
			return r | 0x20
		default:
			return r
		}
	}, name)
}

// nearest returns the field that key is likely to mean and that the object does not have, "" when there is none.
func (r *record) nearest(key string, of *node) string {
	const longest = 48 // no field is as long
	if len(key) > longest {
		return ""
	}
	said, best, far := plain(key), "", 3
	for i := range r.fields {
		name, want := r.fields[i].name, r.fields[i].plain
		most := min(far-1, len(want)/4)
		if longer := len(want) - len(said); longer > most || -longer > most {
			continue
		}
		if d := distance(said, want); d <= most && of.find(name) == nil {
			best, far = name, d
		}
	}
	return best
}

// distance counts the letters to be put in, taken out, changed or swapped with their neighbour to make a of b (optimal string alignment).
// Both are shorter than 64.
func distance(a, b string) int {
	var rows [3][65]int
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	before, last, row := &rows[0], &rows[1], &rows[2]
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
