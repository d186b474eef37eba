package valta

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/policy"
)

// camel writes a name in snake case in camel case: daily_limit is dailyLimit.
func camel(name string) string {
	first, rest, found := strings.Cut(name, "_")
	if !found {
		return name
	}
	var b strings.Builder
	b.WriteString(first)
	for word := range strings.SplitSeq(rest, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// snakeWord finds the words in snake case in a text.
var snakeWord = regexp.MustCompile(`\b[a-z]+(_[a-z]+)+\b`)

// ruleNames are the built-in rules that decisions name. Other words in snake case in a text are somebody's own.
var ruleNames = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range policy.LimitNames() {
		names[name] = true
	}
	for _, name := range []string{
		policy.RuleNoPolicy, policy.RulePriceUnknown, policy.RuleFunds, policy.RulePolicyChanged, policy.RuleApproval, policy.RuleExpired,
		"agent_id", "from_agent_id", "to_agent_id",
	} {
		names[name] = true
	}
	return names
}()

// camelWords writes the names of rules in a text as this face does: the built-in ones, and those that are given.
func camelWords(text string, also ...string) string {
	return snakeWord.ReplaceAllStringFunc(text, func(word string) string {
		if ruleNames[word] || slices.Contains(also, word) {
			return camel(word)
		}
		return word
	})
}

// decimal is how amounts are written in the audit trail.
var decimal = regexp.MustCompile(`^-?[0-9]+\.[0-9]{2,6}$`)

// camelMetadata writes the metadata of an audit entry as this face does: members in camel case, the names of rules too, amounts as
// numbers. What callers named themselves stays as it is. Ids stay UUIDs.
func camelMetadata(raw json.RawMessage) map[string]any {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return map[string]any{}
	}
	return camelObject(m)
}

func camelObject(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[camel(name)] = camelValue(name, v)
	}
	return out
}

func camelValue(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if name == "metadata" || name == "arguments" || name == "config" || name == "data" {
			return v // a caller's own
		}
		return camelObject(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = camelValue(name, item)
		}
		return out
	case string:
		switch name {
		case "rule", "limit", "plugin":
			return camel(v)
		case "reason", "error":
			return camelWords(v)
		case "amount", "balance", "balance_after":
			if decimal.MatchString(v) {
				return json.Number(strings.TrimSuffix(strings.TrimRight(v, "0"), "."))
			}
		}
		return v
	}
	return v
}

// camelPath writes the path of a field of a policy: limits.blocked_domains[2] is blockedDomains[2].
func camelPath(path string) string { return camel(strings.TrimPrefix(path, "limits.")) }
