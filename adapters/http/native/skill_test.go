package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/skilltest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

// textLauncher takes a text for a program: "skill NAME" or "rule NAME", and more words to make another one of it.
type textLauncher struct{}

func (textLauncher) Describe(ctx context.Context, b skill.Binary) (skill.Description, error) {
	r, err := b.Open(ctx)
	if err != nil {
		return skill.Description{}, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return skill.Description{}, err
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return skill.Description{}, skill.ErrRejected
	}
	d := skill.Description{Kind: skill.Kind(words[0]), Program: words[1], Version: "1.0", Protocol: 1}
	d.Tool, d.Rule = tooltest.Echo().Spec(), rule.Description{Name: words[1], Summary: "Judges.", Inputs: []string{"amount"}}
	return d, nil
}

func (textLauncher) Tool(_ skill.Binary, m skill.Manifest) tool.Tool {
	return tooltest.Tool{Description: m.Tool()}
}

func (textLauncher) Rule(_ skill.Binary, m skill.Manifest) rule.Evaluator {
	return ruletest.Rule{Description: m.Rule()}
}

func (textLauncher) Forget(string) {}

// textShipped ships the skill "ship".
type textShipped struct{}

func (textShipped) List(context.Context) ([]skill.ShippedPlugin, error) {
	return []skill.ShippedPlugin{{Name: "ship", Kind: skill.KindSkill, Description: "Comes with the server.", Source: "1"}}, nil
}

func (textShipped) Open(context.Context, string) (skill.ShippedBinary, error) {
	return skill.ShippedBinary{Digest: sha("skill ship"), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte("skill ship"))), nil
	}}, nil
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// provideSkills adds the registry of plugins.
func (f *fixture) provideSkills(d *Deps) {
	f.t.Helper()
	blobs, err := gocloud.Open(f.t.Context(), gocloud.Config{Dir: f.t.TempDir()})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = blobs.Close() })
	d.Skills, err = skill.NewService(skill.Deps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler), Repository: f.store.Skills(),
		Releases: f.store.Skills(), Installations: f.store.SkillInstallations(), Blobs: blobs, Launcher: textLauncher{},
		Signer: skilltest.NewSigner("operator"), Shipped: textShipped{},
		Agents: skill.AgentsFunc(func(ctx context.Context, sc account.Scope, a id.Agent) error {
			_, err := d.Agents.Get(ctx, sc, a)
			return err
		}),
	}, skill.Config{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.provideMarket(d, f.library())
}

func skillFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, func(f *fixture, d *Deps) { f.provideSkills(d) })
}

const binaryBody = "Content-Type: application/octet-stream"

func (f *fixture) installPlugin(text string) answer {
	f.t.Helper()
	return f.want(http.StatusCreated, "POST", "/v1/plugins?sha256="+sha(text), text, binaryBody)
}

func TestPlugins(t *testing.T) {
	t.Parallel()
	f := skillFixture(t)
	made := f.installPlugin("skill echo")
	if made.get("name") != "echo" || made.get("kind") != "skill" || made.get("state") != "ready" || made.get("sha256") != sha("skill echo") ||
		made.get("enabled") != true || made.get("version") != "1.0" || made.get("signing_key") == nil || made.get("schema", "type") != "object" {
		t.Errorf("got %s", made.body)
	}
	f.installPlugin("rule judge")
	f.wantError(f.do("POST", "/v1/plugins?sha256="+sha("x"), "skill other", binaryBody), 400, "invalid_request_error", "plugin_checksum_mismatch")
	f.wantError(f.do("POST", "/v1/plugins?sha256="+sha("rule echo"), "rule echo", binaryBody), 409, "conflict_error", "plugin_kind_mismatch")
	f.wantError(f.do("POST", "/v1/plugins?sha256="+sha("junk"), "junk", binaryBody), 400, "invalid_request_error", "plugin_rejected")
	if a := f.do("POST", "/v1/plugins", "skill other", binaryBody); a.StatusCode != 400 {
		t.Errorf("without a digest: %d %s", a.StatusCode, a.body)
	}

	names := func(query string) string {
		t.Helper()
		var list struct{ Data []struct{ Name string } }
		if err := json.Unmarshal(f.want(200, "GET", "/v1/plugins"+query, "").body, &list); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range list.Data {
			out = append(out, p.Name)
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{"": "echo judge", "?kind=rule": "judge", "?search=JUD": "judge", "?limit=1": "echo"} {
		if got := names(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	if a := f.want(200, "GET", "/v1/plugins/judge", ""); a.get("inputs").([]any)[0] != "amount" || a.get("id") == nil {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("GET", "/v1/plugins/none", ""), 404, "not_found_error", "plugin_not_found")

	if a := f.want(200, "POST", "/v1/plugins/echo/verify", ""); a.get("ok") != true || a.get("reason") != nil {
		t.Errorf("got %s", a.body)
	}
	if a := f.want(200, "POST", "/v1/plugins/echo/disable", ""); a.get("enabled") != false {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("GET", "/v1/skills/echo", ""), 404, "not_found_error", "skill_not_found")
	if a := f.want(200, "POST", "/v1/plugins/echo/enable", ""); a.get("enabled") != true {
		t.Errorf("got %s", a.body)
	}
	if a := f.want(200, "DELETE", "/v1/plugins/echo", ""); a.get("type") != "plugin_deleted" {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("DELETE", "/v1/plugins/echo", ""), 404, "not_found_error", "plugin_not_found")
	if a := f.want(201, "POST", "/v1/plugin_keys", ""); a.get("public_key") == "" || a.get("id") == "" {
		t.Errorf("got %s", a.body)
	}
	for range 2 {
		f.want(200, "POST", "/v1/plugins/install-shipped", "")
	}
	if got := names(""); got != "judge ship" {
		t.Errorf("in the end: %q", got)
	}
}

func TestOnlyTheOperatorHandlesPlugins(t *testing.T) {
	t.Parallel()
	f := skillFixture(t)
	f.installPlugin("skill echo")
	tenant := f.want(201, "POST", "/v1/tenants", `{"name":"other","plan":"free"}`)
	key := "x-api-key: " + tenant.get("api_key").(string)
	for _, route := range []string{
		"GET /v1/plugins", "GET /v1/plugins/echo", "POST /v1/plugins/echo/disable", "POST /v1/plugins/echo/verify", "DELETE /v1/plugins/echo",
		"POST /v1/plugins/install-shipped", "POST /v1/plugin_keys",
	} {
		method, path, _ := strings.Cut(route, " ")
		f.wantError(f.do(method, path, "", key), 403, "permission_error", "permission_denied")
	}
	f.wantError(f.do("POST", "/v1/plugins?sha256="+sha("skill x"), "skill x", key, binaryBody), 403, "permission_error", "permission_denied")
	f.want(200, "GET", "/v1/skills", "", key) // the catalogue is everybody's
}

func TestAgentSkills(t *testing.T) {
	t.Parallel()
	f := skillFixture(t)
	f.installPlugin("skill echo")
	f.installPlugin("rule judge")
	list := f.want(200, "GET", "/v1/skills", "")
	data := list.get("data").([]any)
	if len(data) != 1 {
		t.Fatalf("got %s", list.body)
	}
	item := data[0].(map[string]any)
	skillID := item["id"].(string)
	if item["name"] != "echo" || item["source"].(map[string]any)["type"] != "plugin" || item["input_schema"].(map[string]any)["type"] != "object" {
		t.Errorf("got %v", item)
	}
	if a := f.want(200, "GET", "/v1/skills?source=anthropic", ""); len(a.get("data").([]any)) != 0 {
		t.Errorf("got %s", a.body)
	}
	for _, ref := range []string{skillID, "echo"} {
		if a := f.want(200, "GET", "/v1/skills/"+ref, ""); a.get("id") != skillID {
			t.Errorf("got %s", a.body)
		}
	}
	f.wantError(f.do("GET", "/v1/skills/judge", ""), 404, "not_found_error", "skill_not_found")

	agent := f.want(201, "POST", "/v1/agents", `{"name":"a","model":"offline"}`).get("id").(string)
	path := "/v1/agents/" + agent + "/skills"
	if a := f.want(200, "GET", path, ""); len(a.get("data").([]any)) != 0 || a.get("has_more") != false {
		t.Errorf("got %s", a.body)
	}
	made := f.want(201, "POST", path, `{"skill_id":"echo"}`)
	if made.get("skill_id") != skillID || made.get("agent_id") != agent || made.get("sha256") != sha("skill echo") || made.get("outdated") != false ||
		made.get("state") != "ready" {
		t.Errorf("got %s", made.body)
	}
	f.wantError(f.do("POST", path, `{"skill_id":"judge"}`), 404, "not_found_error", "skill_not_found")
	f.wantError(f.do("POST", "/v1/agents/agent_01h455vb4pex5vsknk084sn02q/skills", `{"skill_id":"echo"}`), 404, "not_found_error", "agent_not_found")

	f.installPlugin("skill echo newer")
	have := f.want(200, "GET", path, "").get("data").([]any)[0].(map[string]any)
	if have["outdated"] != true || have["sha256"] != sha("skill echo") {
		t.Errorf("got %v", have)
	}
	again := f.want(201, "POST", path, `{"skill_id":"`+skillID+`"}`)
	if again.get("outdated") != false || again.get("sha256") != sha("skill echo newer") || again.get("id") != made.get("id") {
		t.Errorf("got %s", again.body)
	}
	if a := f.want(200, "DELETE", path+"/echo", ""); a.get("type") != "installed_skill_deleted" {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("DELETE", path+"/"+skillID, ""), 404, "not_found_error", "installed_skill_not_found")
}
