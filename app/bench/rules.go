package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/bureau-agents/bureau/adapters/plugin/host"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/rule"
)

// ruleSet are rules that run in processes of their own, by name.
type ruleSet map[string]rule.Evaluator

// Rule implements policy.Rules.
func (r ruleSet) Rule(_ context.Context, _ account.Scope, name string) (rule.Evaluator, error) {
	if e, ok := r[name]; ok {
		return e, nil
	}
	return nil, policy.ErrRuleUnknown
}

// shippedRules builds and starts the shipped rules cel and spend_limit; stop ends them.
func shippedRules(ctx context.Context) (rules ruleSet, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "bureau-bench-")
	if err != nil {
		return nil, nil, err
	}
	h, err := host.New(host.Config{Dir: filepath.Join(dir, "host"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		defer os.RemoveAll(dir)
		return h.Stop(ctx)
	}
	rules = ruleSet{}
	for _, name := range []string{"cel", "spend_limit"} {
		if rules[name], err = startRule(ctx, h, dir, name); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return rules, stop, nil
}

func startRule(ctx context.Context, h *host.Host, dir, name string) (rule.Evaluator, error) {
	bin := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "github.com/bureau-agents/bureau/plugins/rules/"+name)
	build.Dir, build.Stderr = filepath.Join("..", ".."), os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	b := skill.Binary{
		Name: name, Digest: hex.EncodeToString(sum[:]), Size: int64(len(content)),
		Open: func(context.Context) (io.ReadCloser, error) { return os.Open(bin) },
	}
	d, err := h.Describe(ctx, b)
	if err != nil {
		return nil, err
	}
	return h.Rule(b, skill.Manifest{
		Name: name, Program: d.Program, Kind: d.Kind, Version: d.Version, Protocol: d.Protocol, Digest: b.Digest, Size: b.Size,
		Description: d.Rule.Summary, Schema: d.Rule.ConfigSchema, Inputs: d.Rule.Inputs,
	}), nil
}
