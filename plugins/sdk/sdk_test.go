package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

type request struct {
	Do    string   `json:"do"`
	Count *int     `json:"count,omitempty" jsonschema:"minimum=0" jsonschema_description:"how often, \"quoted\", with a comma"`
	Tags  []string `json:"tags,omitempty"`
	Inner struct {
		Deep bool `json:"deep"`
	} `json:"inner,omitzero"`
}

type response struct {
	Text string `json:"text"`
}

func sample() sdk.Plugin {
	return sdk.Skill(sdk.SkillInfo{
		Name: "sample", Version: "1", Description: "Does things.", Idempotent: true, Domains: []string{"*.example.com"}, Secrets: []string{"token"},
	}, func(ctx context.Context, in request) (response, error) {
		switch in.Do {
		case "fail":
			return response{}, fmt.Errorf("no luck with %q", in.Do)
		case "invalid":
			return response{}, sdk.Invalid("do", "must be something else")
		case "unavailable":
			return response{}, fault.New(fault.Unavailable, "upstream_down", "the upstream is down")
		case "panic":
			panic("oops")
		case "wait":
			<-ctx.Done()
			return response{}, ctx.Err()
		case "key":
			return response{sdk.CallFrom(ctx).Key + "/" + sdk.CallFrom(ctx).AgentID}, nil
		}
		return response{"<" + in.Do + ">"}, nil
	})
}

func TestSkillSuite(t *testing.T) {
	t.Parallel()
	tooltest.Run(t, tooltest.Config{
		New:  func(t *testing.T) tool.Tool { return sdktest.Skill(t, sample()) },
		Call: tool.Call{Key: "k", Input: json.RawMessage(`{"do":"it"}`)},
	})
}

func TestSkillSpec(t *testing.T) {
	t.Parallel()
	want := tool.Spec{
		Name: "sample", Description: "Does things.", Idempotent: true,
		Needs: tool.Needs{Domains: []string{"*.example.com"}, Secrets: []string{"token"}},
		InputSchema: json.RawMessage(`{"properties":{"do":{"type":"string"},` +
			`"count":{"type":"integer","minimum":0,"description":"how often, \"quoted\", with a comma"},` +
			`"tags":{"items":{"type":"string"},"type":"array"},` +
			`"inner":{"properties":{"deep":{"type":"boolean"}},"additionalProperties":false,"type":"object","required":["deep"]}},` +
			`"additionalProperties":false,"type":"object","required":["do"]}`),
	}
	got := sdktest.Skill(t, sample()).Spec()
	if d := cmp.Diff(string(want.InputSchema), string(got.InputSchema)); d != "" {
		t.Errorf("schema (-want +got):\n%s", d)
	}
	want.InputSchema, got.InputSchema = nil, nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSkillAnswers(t *testing.T) {
	t.Parallel()
	s := sdktest.Skill(t, sample())
	for in, want := range map[string]sdk.Result{
		`{"do":"<&>"}`:                {Text: `{"text":"<<&>>"}`},
		`{"do":"key"}`:                {Text: `{"text":"key/agent_x"}`},
		`{"do":"fail"}`:               {Text: `no luck with "fail"`, IsError: true},
		`{"do":"invalid"}`:            {Text: "do: must be something else", IsError: true},
		`{"do":7}`:                    {Text: "the input is not valid: do must not be of the type number", IsError: true},
		`{"do":"x","dp":"y"}`:         {Text: `the input is not valid: unknown field "dp"`, IsError: true},
		`{"do":"x"} {}`:               {Text: "the input is not valid: there is more after the JSON value", IsError: true},
		`[1]`:                         {Text: "the input is not valid: it must not be of the type array", IsError: true},
		``:                            {Text: "the input is not valid: it is not a whole JSON object", IsError: true},
		`{"do":`:                      {Text: "the input is not valid: it is not a whole JSON object", IsError: true},
		`{"do":"x","inner":{"e":1}}`:  {Text: `the input is not valid: unknown field "e"`, IsError: true},
		`{"do":"x","count":99999e99}`: {Text: "the input is not valid: count must not be of the type number 99999e99", IsError: true},
	} {
		got, err := s.Call(t.Context(), sdk.Call{Key: "key", AgentID: "agent_x", Input: json.RawMessage(in)})
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", in, d)
		}
	}
	for do, kind := range map[string]fault.Kind{"unavailable": fault.Unavailable, "panic": fault.Internal} {
		_, err := s.Call(t.Context(), sdk.Call{Input: json.RawMessage(`{"do":"` + do + `"}`)})
		if err == nil || fault.KindOf(err) != kind {
			t.Errorf("%s: got %v", do, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Call(ctx, sdk.Call{Input: json.RawMessage(`{"do":"wait"}`)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
}

type node struct {
	Value string  `json:"value"`
	Next  []*node `json:"next,omitempty"`
}

func TestRecursiveInput(t *testing.T) {
	t.Parallel()
	s := sdktest.Skill(t, sdk.Skill(sdk.SkillInfo{Name: "tree", Description: "Reads a tree."},
		func(_ context.Context, n node) (string, error) { return n.Next[0].Value, nil }))
	tooltest.CheckSpec(t, s.Spec())
	if got := sdktest.Call(t, s, node{Next: []*node{{Value: "leaf"}}}); got.Text != "leaf" {
		t.Errorf("got %+v", got)
	}
}

func TestMistakesOfAuthors(t *testing.T) {
	t.Parallel()
	str := func(context.Context, string) (string, error) { return "", nil }
	ok := func(context.Context, node) (string, error) { return "", nil }
	raw := func(context.Context, sdk.Call) (sdk.Result, error) { return sdk.Result{}, nil }
	judge := func(context.Context, struct{}, sdk.Act) (sdk.Verdict, error) { return sdk.Allow(), nil }
	for want, p := range map[string]sdk.Plugin{
		"the input type string must be a struct":                 sdk.Skill(sdk.SkillInfo{Name: "a", Description: "x"}, str),
		`name "A!" must match`:                                   sdk.Skill(sdk.SkillInfo{Name: "A!", Description: "x"}, ok),
		"skill b: Description is required":                       sdk.Skill(sdk.SkillInfo{Name: "b"}, ok),
		`skill c: the schema must be JSON with "type": "object"`: sdk.RawSkill(sdk.SkillInfo{Name: "c", Description: "x"}, json.RawMessage(`{}`), raw),
		"skill d: the function is required":                      sdk.RawSkill(sdk.SkillInfo{Name: "d", Description: "x"}, json.RawMessage(`{"type":"object"}`), nil),
		"rule e: Summary is required":                            sdk.Rule(sdk.RuleInfo{Name: "e"}, judge),
		`the rule's name "" must match`:                          sdk.Rule(sdk.RuleInfo{Summary: "x"}, judge),
		"the zero Plugin serves nothing":                         {},
	} {
		if _, err := p.Served(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestHTTPClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer srv.Close()
	fetch := func(domains ...string) (sdk.Result, error) {
		s := sdktest.Skill(t, sdk.Skill(sdk.SkillInfo{Name: "fetch", Description: "Fetches.", Domains: domains},
			func(ctx context.Context, _ struct{}) (string, error) {
				resp, err := sdk.HTTPClient(ctx).Get(srv.URL)
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				return string(b), err
			}))
		return s.Call(t.Context(), sdk.Call{Input: json.RawMessage(`{}`)})
	}
	for name, domains := range map[string][]string{"none": nil, "others": {"*.example.com"}, "any public host": {"*"}} {
		if res, err := fetch(domains...); err != nil || !res.IsError || !strings.Contains(res.Text, "egress_blocked") {
			t.Errorf("%s: got %+v, %v", name, res, err)
		}
	}
	sdktest.Reach(t, srv)
	if res, err := fetch("127.0.0.1"); err != nil || res.Text != "hello" {
		t.Errorf("got %+v, %v", res, err)
	}
	if _, err := sdk.HTTPClient(t.Context()).Get(srv.URL); err == nil {
		t.Error("there is a network outside of calls")
	}
}

type thresholds struct {
	Least int `json:"least"`
}

func (c *thresholds) Validate() error {
	if c.Least < 1 {
		return errors.New("least must be 1 or more")
	}
	return nil
}

func sampleRule() sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name: "sample_rule", Version: "1", Summary: "Judges.",
		Inputs: []string{sdk.InputAmount, sdk.InputPayee, sdk.InputTool, sdk.InputArguments, sdk.InputAgent, sdk.InputTime},
	}, func(_ context.Context, cfg thresholds, act sdk.Act) (sdk.Verdict, error) {
		switch act.Payee {
		case "panic":
			panic("oops")
		case "echo":
			b, err := json.Marshal(act)
			return sdk.Deny("%s", b), err
		case "limits":
			limit, err := sdk.ParseAmount("12.5", "EUR")
			return sdk.Allow(sdk.Limit{Window: sdk.WindowWeek, Max: limit}), err
		case "approve":
			return sdk.RequireApproval("ask"), nil
		case "mute":
			return sdk.Verdict{}, nil
		}
		return sdk.Allow(), nil
	})
}

func TestRuleSuite(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New:       func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, sampleRule()) },
		Input:     rule.Input{Action: rule.ActionPayment, Payee: "limits", Config: json.RawMessage(`{"least":1}`)},
		BadConfig: []json.RawMessage{nil, json.RawMessage(`{"least":0}`), json.RawMessage(`{"least":"1"}`)},
	})
}

func TestRuleSeesWhatItAskedFor(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, sampleRule())
	amount, err := sdk.ParseAmount("1.000001", "USDC")
	if err != nil {
		t.Fatal(err)
	}
	act := sdk.Act{
		Action: sdk.ActionPayment, Amount: &amount, Payee: "echo", Category: "secret", Description: "secret", Tool: "t",
		Arguments: json.RawMessage(`{"a":1}`), AgentID: "agent_x", AgentName: "x", Labels: map[string]string{"k": "v"},
		At: time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC),
	}
	v := sdktest.Judge(t, r, thresholds{1}, act)
	var got sdk.Act
	if err := json.Unmarshal([]byte(v.Reason), &got); err != nil {
		t.Fatal(err)
	}
	want := act
	want.Config, want.Category, want.Description = json.RawMessage(`{"least":1}`), "", ""
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRuleErrors(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, sampleRule())
	for payee, want := range map[string]string{"panic": "plugin_panic", "mute": "plugin_answer"} {
		_, err := r.Evaluate(t.Context(), rule.Input{Payee: payee, Config: json.RawMessage(`{"least":1}`)})
		if f, ok := fault.As(err); !ok || f.Code != want {
			t.Errorf("%s: got %v", payee, err)
		}
	}
	if _, err := r.Evaluate(t.Context(), rule.Input{Config: json.RawMessage(`{"least":0}`)}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad configuration: %v", err)
	}
}
