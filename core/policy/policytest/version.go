package policytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
)

func testVersions(t *testing.T, e *env) {
	p := e.insert(t, policy.Scope{Agent: newAgent()})
	other := e.insert(t, policy.Scope{Tenant: true})
	must(t, e.Archive.Keep(bg, e.sc, policy.Version{Policy: other}))
	var want []policy.Version
	for n := 1; n <= 5; n++ {
		v := policy.Version{Policy: p, By: "key_1"}
		v.Version, v.UpdatedAt, v.Limits.DailyLimit = n, now.Add(time.Duration(n)*time.Minute), usdc(int64(n))
		if n == 3 {
			v.Mode, v.By = policy.Observe, ""
		}
		must(t, e.Archive.Keep(bg, e.sc, v))
		want = append([]policy.Version{v}, want...)
	}
	must(t, e.Policies.Delete(bg, e.sc, p.ID)) // versions outlive their policy

	number := func(v policy.Version) int { return v.Version }
	got := pagetest.Walk(t, 2, number, func(r page.Request) (page.Page[policy.Version], error) { return e.Archive.Versions(bg, e.sc, p.ID, r) })
	if d := cmp.Diff([]int{5, 4, 3, 2, 1}, got); d != "" {
		t.Errorf("newest first (-want +got):\n%s", d)
	}
	for _, v := range want {
		got, err := e.Archive.Version(bg, e.sc, p.ID, v.Version)
		if d := cmp.Diff(v, got, equal); d != "" || err != nil {
			t.Errorf("version %d: %v (-want +got):\n%s", v.Version, err, d)
		}
	}
	if err := e.Archive.Keep(bg, e.sc, want[0]); err == nil {
		t.Error("a version was replaced")
	}
	if _, err := e.Archive.Version(bg, e.sc, p.ID, 6); !errors.Is(err, policy.ErrVersionUnknown) {
		t.Errorf("a version that never was: %v", err)
	}
	stranger := *e
	stranger.sc.Tenant = id.New[id.TenantKind](ids)
	for name, x := range map[string]struct {
		e *env
		p id.Policy
	}{"unknown": {e, id.New[id.PolicyKind](ids)}, "foreign": {&stranger, p.ID}} {
		_, err := x.e.Archive.Version(bg, x.e.sc, x.p, 1)
		wantNotFound(t, name, err)
		_, err = x.e.Archive.Versions(bg, x.e.sc, x.p, page.Request{})
		wantNotFound(t, name, err)
	}
}

func testVotes(t *testing.T, e *env) {
	a := e.approval(t, now.Add(time.Hour))
	a.Required, a.Apart = 3, true
	a.Votes = []policy.Vote{{By: "key_1", At: now}, {By: "key_2", At: now.Add(time.Minute)}}
	must(t, e.Approvals.Decide(bg, e.sc, a)) // still pending
	got, err := e.Approvals.Get(bg, e.sc, a.ID)
	if d := cmp.Diff(a, got, equal); d != "" || err != nil {
		t.Errorf("votes: %v (-want +got):\n%s", err, d)
	}
	if !got.Voted("key_2") || got.Voted("key_3") {
		t.Error("who has voted is not known")
	}
}
