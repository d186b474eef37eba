package card

// kind is a kind of JSON value.
type kind uint8

// The kinds. kindAbsent is that of the zero node: of what is not there.
const (
	kindAbsent kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// node is a JSON value with its place in the text. Its text is text[start:end].
type node struct {
	kind       kind
	start, end int
	str        string   // of a string: what it says, unescaped
	truth      bool     // of a bool
	items      []node   // of an array
	members    []member // of an object, in the order of the text; a key that comes again is a member of its own
}

// member is a member of an object.
type member struct {
	key   string // unescaped
	start int    // where the key's text begins
	value node
}

// get returns the value of the last member called key, the zero node when there is none.
func (n *node) get(key string) *node {
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].key == key {
			return &n.members[i].value
		}
	}
	return &node{}
}
