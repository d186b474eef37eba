package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// urlSources is what ToolConfig.URLSources holds: from where the addresses that web_fetch reads may come. It is stored and shown in this
// form; nil leaves a source open.
type urlSources struct {
	Client *urlSource `json:"client_tool_results"`
	Server *urlSource `json:"server_tool_results"`
	User   *urlSource `json:"user_input"`
}

type urlSource struct {
	Type  string    `json:"type"`
	Tools []toolRef `json:"tools,omitempty"`
}

type toolRef struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// UnmarshalJSON implements json.Unmarshaler: "all" and "none" are short for objects of that type.
func (s *urlSource) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &s.Type)
	}
	type plain urlSource
	return json.Unmarshal(b, (*plain)(s))
}

// The types of urlSource.
const (
	sourceAll    = "all"
	sourceNone   = "none"
	sourceOnly   = "only"   // from the results of Tools
	sourceExcept = "except" // from the results of all others
)

// wholeSources writes url_sources with every member and without short forms; what is not of their shape is left for the check.
func wholeSources(raw json.RawMessage) json.RawMessage {
	raw = compact(raw)
	var s urlSources
	if len(raw) == 0 || !utf8.Valid(raw) || json.Unmarshal(raw, &s) != nil {
		return raw
	}
	out, err := json.Marshal(s)
	if err != nil {
		return raw
	}
	return out
}

func (k *checker) urlSources(path string, raw json.RawMessage, custom []Tool) {
	var s urlSources
	if !utf8.Valid(raw) || json.Unmarshal(raw, &s) != nil {
		k.Addf(path, "is not of the type that belongs here")
		return
	}
	k.source(path+".client_tool_results", s.Client, true, func(name string) string {
		if !slices.ContainsFunc(custom, func(t Tool) bool { return t.Name == name }) {
			return "tools has no custom tool of this name"
		}
		return ""
	})
	k.source(path+".server_tool_results", s.Server, true, func(name string) string {
		if name != "web_search" && name != "web_fetch" {
			return "must be web_search or web_fetch"
		}
		return ""
	})
	k.source(path+".user_input", s.User, false, nil)
	none := func(of *urlSource) bool { return of != nil && of.Type == sourceNone }
	if none(s.Client) && none(s.Server) && none(s.User) {
		k.Addf(path, "leaves no source")
	}
}

// source checks one source; problem says what is wrong with the name of a tool.
func (k *checker) source(path string, s *urlSource, lists bool, problem func(name string) string) {
	if s == nil {
		return
	}
	if !lists || s.Type != sourceOnly && s.Type != sourceExcept {
		allowed := []string{sourceAll, sourceNone}
		if lists {
			allowed = append(allowed, sourceOnly, sourceExcept)
		}
		k.oneOf(path+".type", s.Type, allowed...)
		if len(s.Tools) > 0 {
			k.Addf(path+".tools", "belongs to %s and %s", sourceOnly, sourceExcept)
		}
		return
	}
	if len(s.Tools) == 0 || len(s.Tools) > MaxSourceTools {
		k.Addf(path+".tools", "must have 1 to %d entries", MaxSourceTools)
	}
	seen := map[string]bool{}
	for i, t := range s.Tools {
		at := fmt.Sprintf("%s.tools[%d]", path, i)
		k.oneOf(at+".type", t.Type, "tool_reference")
		if p := problem(t.Name); p != "" {
			k.Addf(at+".name", "%s", p)
		}
		if seen[t.Name] {
			k.Addf(at+".name", "a second entry for this tool")
		}
		seen[t.Name] = true
	}
}
