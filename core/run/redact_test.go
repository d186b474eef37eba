package run

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

const hush = "hush-hush-1234"

func secretive() *turn {
	return &turn{redactor: secret.NewRedactor([]secret.Known{{Name: "KEY", Value: secret.NewValue(hush)}})}
}

// TestRedactedBodies puts a secret into every text that an event of a turn can hold.
func TestRedactedBodies(t *testing.T) {
	t.Parallel()
	text := "say " + hush + "!"
	blocks := []session.Block{
		{Type: session.BlockText, Text: text},
		{Type: session.BlockDocument, Title: text, Context: text, Source: &session.Source{Type: session.SourceText, Data: text}},
		{Type: session.BlockSearchResult, Search: &session.SearchResult{
			Source: text, Title: text, Content: []session.SearchText{{Type: session.BlockText, Text: text}},
		}},
	}
	entries := []session.Entry{
		{Body: session.MessageBody{Content: blocks}},
		{Body: session.ToolResultBody{Content: blocks}},
		{Body: session.ThinkingBody{Text: text, Blocks: []session.ThinkingBlock{{Text: text, Signature: "signed"}, {Text: "x", Signature: "kept"}}}},
		{Body: session.ToolUseBody{Name: "t", Input: json.RawMessage(`{"a":"` + hush + `","b":[1,true]}`)}},
		{Body: session.ErrorBody{Error: session.ErrorDetail{Message: text}}},
		{Body: session.WarningBody{Message: text}},
		{Body: session.SpanEndBody{Error: text}},
	}
	before, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(secretive().redacted(entries))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), hush) || strings.Count(string(got), "[redacted:KEY]") != strings.Count(string(before), hush) {
		t.Errorf("%s", got)
	}
	if strings.Contains(string(got), "signed") || !strings.Contains(string(got), "kept") {
		t.Errorf("signatures: %s", got)
	}
	if after, err := json.Marshal(entries); err != nil || string(after) != string(before) {
		t.Errorf("the originals have changed: %s", after)
	}
	same := (&turn{}).redacted(entries)
	if b, err := json.Marshal(same); err != nil || string(b) != string(before) {
		t.Errorf("without secrets: %s", b)
	}
}

func TestRedactedJSONStaysJSON(t *testing.T) {
	t.Parallel()
	r := secret.NewRedactor([]secret.Known{{Name: "PIN", Value: secret.NewValue("12345678")}})
	for in, want := range map[string]string{
		`{"pin":"12345678"}`: `{"pin":"[redacted:PIN]"}`,
		`{"pin":12345678}`:   `{"redacted":"{\"pin\":[redacted:PIN]}"}`,
		`{"pin":1}`:          `{"pin":1}`,
	} {
		if got := string(redactedJSON(r, json.RawMessage(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestRedactedBeforeCut lets the limit of a result fall into a secret.
func TestRedactedBeforeCut(t *testing.T) {
	t.Parallel()
	res := tool.Result{Text: strings.Repeat("x", tool.MaxResultBytes-5) + hush, Media: []tool.Media{{Title: hush}}}
	got := secretive().redactedOutcome(&res)
	if text := contentOf(*got)[0].Text; strings.Contains(text, "hush") || got.Media[0].Title != "[redacted:KEY]" {
		t.Errorf("%q %q", text[len(text)-100:], got.Media[0].Title)
	}
	if res.Media[0].Title != hush {
		t.Error("the tool's own result has changed")
	}
}

func TestRedactedPieces(t *testing.T) {
	t.Parallel()
	s := streams{redactor: secretive().redactor}
	one, two := id.Of[id.EventKind](id.UUID{1}), id.Of[id.EventKind](id.UUID{2})
	said := map[id.Event]string{}
	for _, p := range []string{"a ", "hush-", "hush", "-1234", " b hush"} { // two events, in turns
		said[one] += s.write(one, p)
		said[two] += s.write(two, "|"+p)
	}
	said[one] += s.rest(one)
	said[two] += s.rest(two)
	if said[one] != "a [redacted:KEY] b hush" || said[two] != "|a |hush-|hush|-1234| b hush" {
		t.Errorf("%q %q", said[one], said[two])
	}
	plain := streams{}
	if plain.write(one, hush) != hush || plain.rest(one) != "" {
		t.Error("without secrets")
	}
}

// vaulted knows a session, and the secrets of its vaults.
type vaulted struct {
	Sessions

	sess session.Session
	of   map[id.Vault]string
}

func (v *vaulted) Get(context.Context, account.Scope, id.Session) (session.Session, error) {
	return v.sess, nil
}

func (v *vaulted) Redactor(_ context.Context, _ account.Scope, env Env) (*secret.Redactor, error) {
	var known []secret.Known
	for _, vault := range env.Session.Vaults {
		known = append(known, secret.Known{Name: "KEY", Value: secret.NewValue(v.of[vault])})
	}
	return secret.NewRedactor(known), nil
}

// TestRearmed gives a session another vault while one of its tools works, and a credential another value.
func TestRearmed(t *testing.T) {
	t.Parallel()
	one, two := id.Of[id.VaultKind](id.UUID{1}), id.Of[id.VaultKind](id.UUID{2})
	v := &vaulted{sess: session.Session{Vaults: []id.Vault{one}}, of: map[id.Vault]string{one: hush, two: "quiet-quiet-99"}}
	tn := &turn{s: &Service{d: Deps{Sessions: v, Secrets: v}}, sess: v.sess}
	if err := tn.arm(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.sess.Vaults, v.of[one] = []id.Vault{one, two}, "whisper-1234"
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tn.rearm(cancelled); err != nil {
		t.Fatal(err)
	}
	res := tn.redactedOutcome(&tool.Result{Text: hush + " quiet-quiet-99 whisper-1234"})
	if want := "[redacted:KEY] [redacted:KEY] [redacted:KEY]"; res.Text != want {
		t.Errorf("%q, want %q", res.Text, want)
	}
}

func TestRedactedFailure(t *testing.T) {
	t.Parallel()
	tn := secretive()
	err := fault.New(fault.Unavailable, "x", "x").Withf("refused %s", hush).Wrap(errors.New(hush))
	if got := tn.failure(err) + tn.cause(err); strings.Contains(got, hush) || !strings.Contains(got, "refused [redacted:KEY]") {
		t.Error(got)
	}
	if got := (&turn{}).failure(err); got != "refused "+hush {
		t.Error(got)
	}
}
