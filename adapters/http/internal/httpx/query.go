package httpx

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/ports/fault"
)

// queryParam is what the face checks of a query parameter before huma, which takes an empty value for none and the first of several.
type queryParam struct {
	name  string
	kind  string // the schema's type
	empty bool   // "" is a value
}

func newQueryParam(p *huma.Param) queryParam {
	s := p.Schema
	return queryParam{
		name: p.Name, kind: s.Type,
		empty: s.Type == huma.TypeArray || s.Type == "" ||
			s.Type == huma.TypeString && s.Format == "" && len(s.Enum) == 0 && s.Pattern == "" && (s.MinLength == nil || *s.MinLength == 0),
	}
}

// maxParams is how many parameters a query may have. url.ParseQuery, by which lists are read, returns none at all of more than ten thousand: a
// filter that is not read chooses everything.
const maxParams = 1000

// checkQuery lists the faults of the parameters that the operation knows. Others are ignored.
func (c *call) checkQuery() error {
	raw := c.r.URL.RawQuery
	if raw == "" || len(c.op.query) == 0 {
		return nil
	}
	if strings.Count(raw, "&") >= maxParams {
		return invalid([]fault.Field{{Path: "query", Message: "has more than " + strconv.Itoa(maxParams) + " parameters"}})
	}
	var fields []fault.Field
	seen := uint64(0)
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			continue
		}
		for i := range c.op.query {
			p := &c.op.query[i]
			if p.name != name {
				continue
			}
			msg := p.check(value)
			if bit := uint64(1) << (i & 63); msg == "" && p.kind != huma.TypeArray {
				if seen&bit != 0 && i < 64 {
					msg = "appears twice"
				}
				seen |= bit
			}
			if msg != "" {
				fields = append(fields, fault.Field{Path: "query." + name, Message: msg})
			}
		}
	}
	if len(fields) > 0 {
		return invalid(fields)
	}
	return nil
}

func (p *queryParam) check(escaped string) string {
	value, err := url.QueryUnescape(escaped)
	switch {
	case err != nil:
		return "is badly percent-encoded"
	case !validText(value):
		return "must be UTF-8 without NUL characters"
	case value == "" && !p.empty:
		return "must not be empty"
	case p.kind == huma.TypeBoolean && value != "true" && value != "false":
		return "must be true or false"
	case p.kind == huma.TypeInteger:
		if _, err := strconv.ParseInt(value, 10, 64); err != nil || value[0] == '+' {
			return "must be an integer"
		}
	}
	return ""
}

// validText reports whether every database of ours can hold s.
func validText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
