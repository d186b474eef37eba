package card

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// What a card has left in the blocks that the next one is read into would stay in memory as long as the server runs.
func TestBlocksAreEmptied(t *testing.T) {
	t.Parallel()
	var b blocks
	for _, text := range []string{
		`{"x":[` + strings.Repeat(`[0],`, 400) + `[` + strings.Repeat(`0,`, 5000) + `0]],"y":{"a":{"b":[1,{"c":"d"}]}}}`,
		`{"name":"twice","name":"again","skills":[{"id":1},{"id":2}]}`,
		`{"cut":[1,2,{"off":[3`,
		`{"url":"https://a.example","skills":[{"id":"a","tags":["b","b"]}],"securitySchemes":{"k":{"type":"apiKey"}}}`,
		`[]`,
		``,
	} {
		c, ok := readInto([]byte(text), Options{}, &b)
		if ok {
			c.chooseVersion()
			c.structure()
			c.examine()
		}
		b.empty()
		for name, slots := range map[string]any{
			"items": b.items.all, "items' stack": b.items.stack[:cap(b.items.stack)],
			"members": b.members.all, "members' stack": b.members.stack[:cap(b.members.stack)],
			"insides": b.insides.all,
		} {
			v := reflect.ValueOf(slots)
			for i := range v.Len() {
				if !v.Index(i).IsZero() {
					t.Fatalf("%s[%d] of %d keeps %s of %.40q", name, i, v.Len(), fmt.Sprintf("%+v", v.Index(i)), text)
				}
			}
		}
	}
}
