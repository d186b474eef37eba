package card

// kind is a kind of JSON value.
type kind uint8

// The kinds. kindAbsent is that of none: of what is not there.
const (
	kindAbsent kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// node is a JSON value with its place in the text, which is text[start:end]; no other node begins at start. Nodes are made by parse
// alone, and are not changed afterwards. Their fields can be read whatever their kind is.
type node struct {
	kind       kind
	truth      bool  // of a bool
	class      class // of a text: what it may hold
	start, end int32 // MaxSize fits
	str        string
	*inside
}

// inside is what arrays and objects hold. Other nodes share the empty one: a card has many more texts than objects.
type inside struct {
	items   []node           // of an array
	members []member         // of an object, in the order of the text, each key once: of one that comes again, the last
	index   map[string]int32 // where in members a key is; nil for small objects
}

// member is a member of an object.
type member struct {
	key   string // unescaped
	start int32  // where the key's text begins
	value node
}

// nothing is what nodes hold that are neither arrays nor objects, and none what get finds where there is nothing.
var (
	nothing = inside{}
	none    = node{inside: &nothing}
)

// indexFrom is how many members an object has that is looked up by an index; below it comparing is faster.
const indexFrom = 25

// get returns the value of the member called key, a node of kindAbsent when there is none, or when n is no object.
func (n *node) get(key string) *node {
	if m := n.find(key); m != nil {
		return &m.value
	}
	return &none
}

// find returns the member called key, nil when there is none, or when n is no object.
func (n *node) find(key string) *member {
	if n.index != nil {
		if i, ok := n.index[key]; ok {
			return &n.members[i]
		}
		return nil
	}
	for i := range n.members {
		if n.members[i].key == key {
			return &n.members[i]
		}
	}
	return nil
}
