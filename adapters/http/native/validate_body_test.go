package native

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/fault"
)

// TestReadValidate: the card reaches the validator as it was sent, while the rest of a body is held to the usual rules.
func TestReadValidate(t *testing.T) {
	t.Parallel()
	const odd = `{ "b":1,"a":[1.50, {"x":"\u00e9"}],"b":2 }`
	for name, c := range map[string]struct {
		body, text string
		o          cardOptions
		mode       validation.Mode
		code       string
	}{
		"card":           {` {"agent_card": ` + odd + ` , "x":[{}]} `, odd, cardOptions{true, true, ""}, validation.Standard, ""},
		"options":        {`{"options":{"include_score":false,"include_suggestions":false,"protocolVersion":"0.3"},"agent_card":5,"validation_mode":"cli"}`, "5", cardOptions{false, false, "0.3"}, validation.CLI, ""},
		"nulls":          {`{"agent_card":null,"options":null,"validation_mode":null}`, "null", cardOptions{true, true, ""}, validation.Standard, ""},
		"nulls inside":   {`{"agent_card":"}\"{","options":{"include_score":null,"protocolVersion":null}}`, `"}\"{"`, cardOptions{true, true, ""}, validation.Standard, ""},
		"escaped key":    {`{"agent\u005fcard":true}`, "true", cardOptions{true, true, ""}, validation.Standard, ""},
		"the card alone": {` {"name":"a","name":"b"}`, ` {"name":"a","name":"b"}`, cardOptions{true, true, ""}, validation.Standard, ""},
		"neither":        {`{"card":{}}`, "", cardOptions{}, "", "invalid_request"},
		"empty":          {``, "", cardOptions{}, "", "invalid_json"},
		"blank":          {` `, "", cardOptions{}, "", "invalid_json"},
		"cut off":        {`{"agent_card":{`, "", cardOptions{}, "", "invalid_json"},
		"a list":         {`[]`, "", cardOptions{}, "", "invalid_request"},
		"two cards":      {`{"agent_card":1,"agent_card":2}`, "", cardOptions{}, "", "invalid_json"},
		"twice outside":  {`{"agent_card":1,"x":1,"x":2}`, "", cardOptions{}, "", "invalid_json"},
		"NUL outside":    {`{"agent_card":1,"x":"\u0000"}`, "", cardOptions{}, "", "invalid_json"},
		"mode":           {`{"agent_card":1,"validation_mode":"loose"}`, "", cardOptions{}, "", "invalid_request"},
		"mode's type":    {`{"agent_card":1,"validation_mode":1}`, "", cardOptions{}, "", "invalid_request"},
		"option's type":  {`{"agent_card":1,"options":{"include_score":"no"}}`, "", cardOptions{}, "", "invalid_request"},
		"version":        {`{"agent_card":1,"options":{"protocolVersion":"9.9.9"}}`, "", cardOptions{}, "", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, o, mode, err := readValidate([]byte(c.body))
			if got := codeOf(err); got != c.code {
				t.Fatalf("error %v, want %q", err, c.code)
			}
			if c.code == "" && (string(text) != c.text || o != c.o || mode != c.mode) {
				t.Errorf("read %q, %+v, %s", text, o, mode)
			}
		})
	}
}

func codeOf(err error) string {
	if e, ok := fault.As(err); ok {
		return e.Code
	}
	return ""
}

func TestReadBatch(t *testing.T) {
	t.Parallel()
	cards, mode, err := readBatch([]byte(`{"options":{"include_score":false,"protocolVersion":"1.0"},"cards":[{"id":"a","agent_card":{"x":1,"x":2}},` +
		`{"agent_card":[ ],"id":"b","options":{"include_score":true,"include_suggestions":false}}],"validation_mode":"cli"}`))
	if err != nil || mode != validation.CLI {
		t.Fatalf("%v, %s", err, mode)
	}
	var got []string
	for _, c := range cards {
		got = append(got, c.Label, string(c.Text), string(c.Version))
	}
	if d := cmp.Diff([]string{"a", `{"x":1,"x":2}`, "1.0", "b", "[ ]", "1.0"}, got); d != "" {
		t.Error(d)
	}
	if a, b := cards[0].options, cards[1].options; a != (cardOptions{true, false, card.V10}) || b != (cardOptions{false, true, card.V10}) {
		t.Errorf("options %+v and %+v", a, b)
	}
	for name, c := range map[string]struct{ body, message string }{
		"no cards":      {`{}`, errBatchFormat.Message},
		"cards a text":  {`{"cards":"x"}`, errBatchFormat.Message},
		"cards null":    {`{"cards":null}`, errBatchFormat.Message},
		"a list":        {`[]`, errBatchFormat.Message},
		"cut off":       {`{`, "not valid JSON"},
		"no id":         {`{"cards":[{"agent_card":{}}]}`, "cards[0].id: is required"},
		"no card":       {`{"cards":[{"id":"a","agent_card":{}},{"id":"b"}]}`, "cards[1].agent_card: is required"},
		"null":          {`{"cards":[null]}`, "cards[0].id: is required"},
		"a number":      {`{"cards":[5]}`, "does not fit"},
		"cards twice":   {`{"cards":[],"cards":[]}`, "twice"},
		"id twice":      {`{"cards":[{"id":"a","id":"b","agent_card":{}}]}`, "cards[0].id"},
		"bad option":    {`{"cards":[{"id":"a","agent_card":{},"options":{"protocolVersion":"7"}}]}`, "cards[0].options.protocolVersion"},
		"batch option":  {`{"cards":[{"id":"a","agent_card":{}}],"options":{"protocolVersion":"7"}}`, "options.protocolVersion"},
		"the id's type": {`{"cards":[{"id":1,"agent_card":{}}]}`, "does not fit"},
	} {
		if _, _, err := readBatch([]byte(c.body)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", name, err, c.message)
		}
	}
}

// FuzzReadValidate: whatever a body is, the card that is read from it is a part of it.
func FuzzReadValidate(f *testing.F) {
	f.Add([]byte(`{"agent_card":{"name":"a"},"options":{"include_score":false}}`))
	f.Add([]byte(`{"name":"a"}`))
	f.Add([]byte(`{"cards":[{"id":"a","agent_card":{}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if text, _, _, err := readValidate(body); err == nil && (len(text) == 0 || !strings.Contains(string(body), string(text))) {
			t.Errorf("%q of %q", text, body)
		}
		if cards, _, err := readBatch(body); err == nil {
			for _, c := range cards {
				if len(c.Text) == 0 || !strings.Contains(string(body), string(c.Text)) {
					t.Errorf("%q of %q", c.Text, body)
				}
			}
		}
	})
}
