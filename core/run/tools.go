package run

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// offerTools gathers what the model may use: the built-in tools, the agent's custom ones, and those of the sources.
func (t *turn) offerTools(ctx context.Context) error {
	t.tools, t.byName = nil, map[string]BoundTool{}
	add := func(b BoundTool) bool {
		b.Spec = specOf(b)
		_, taken := t.byName[b.Spec.Name]
		if taken && b.MCPServer != "" {
			// Servers do not know of each other's names.
			b.Spec.Name = serverTool(b.MCPServer, b.Spec.Name)
			_, taken = t.byName[b.Spec.Name]
		}
		if !taken && b.Spec.Name != "" {
			t.byName[b.Spec.Name] = b
			t.tools = append(t.tools, b)
		}
		return !taken
	}
	if t.thread != nil && t.thread.Type == session.ThreadAdvisor {
		return nil
	}
	cautious := false
	if t.s.d.Caution != nil {
		var err error
		if cautious, err = t.s.d.Caution.Cautious(ctx, t.sc, t.sess.Agent); err != nil {
			return fmt.Errorf("run: tools: %w", err)
		}
	}
	add(BoundTool{pay: true, Ask: cautious, Spec: paySpec(t.s.rails())})
	delegations, err := t.delegations(ctx)
	if err != nil {
		return fmt.Errorf("run: roster: %w", err)
	}
	for _, b := range delegations {
		add(b)
	}
	for _, c := range t.agent.Config.CustomTools() {
		add(BoundTool{Spec: tool.Spec{Name: c.Name, Description: c.Description, InputSchema: c.InputSchema}})
	}
	env := Env{Agent: t.agent, Session: t.sess}
	var hidden []string
	for _, src := range t.s.d.Sources {
		bound, err := src.Tools(ctx, t.sc, env)
		if trouble, ok := errors.AsType[*Trouble](err); ok {
			entries := make([]session.Entry, len(trouble.Errors))
			for i, e := range trouble.Errors {
				entries[i] = session.Entry{Type: session.SessionError, Body: session.ErrorBody{Error: e}}
			}
			err = t.append(ctx, entries...)
		}
		if err != nil {
			return fmt.Errorf("run: tools: %w", err)
		}
		for _, b := range bound {
			b.Ask = b.Ask || b.Pays && cautious
			if !add(b) && b.Card != nil {
				hidden = append(hidden, specOf(b).Name)
			}
		}
	}
	return t.warnOfHidden(ctx, hidden)
}

// warnOfHidden tells of remote agents that are not offered, because a tool has come to have their name since the agent was configured.
func (t *turn) warnOfHidden(ctx context.Context, hidden []string) error {
	if slices.Equal(hidden, t.c.hidden) {
		return nil // it was told before
	}
	entries := make([]session.Entry, len(hidden))
	for i, name := range hidden {
		entries[i] = session.Entry{Type: session.SessionWarning, Body: session.WarningBody{
			Source: "tools", Message: fmt.Sprintf("the remote agent %s is not offered as a tool, since another tool has its name: give it another one", name),
		}}
	}
	if len(entries) > 0 {
		if err := t.append(ctx, entries...); err != nil {
			return err
		}
	}
	t.c.hidden = hidden
	return nil
}

// serverTool names a tool after its server too.
func serverTool(server, name string) string {
	name = unfitName.ReplaceAllString(server, "_") + "__" + name
	return name[:min(len(name), maxToolName)]
}

var unfitName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// maxToolName is how long the names of tools may be that providers take.
const maxToolName = 64

// useTools does what the open tool uses ask for: first those that clients execute, which are under way meanwhile, then the others, in
// the order of the log. waits means that the turn is parked.
func (t *turn) useTools(ctx context.Context, uses []session.ToolUse) (waits bool, err error) {
	waiting := 0
	for _, u := range t.clientsFirst(uses) {
		if ctx.Err() != nil || t.s.isDraining() {
			return false, nil //nolint:nilerr // the turn is given up, not failed
		}
		if u.State.Blocks() {
			waiting++
			continue
		}
		blocked, err := t.use(ctx, u)
		if err != nil {
			return false, err
		}
		if blocked {
			waiting++
		}
	}
	if waiting == 0 {
		return false, nil
	}
	return t.s.d.Journal.Park(ctx, t.t)
}

// clientsFirst returns uses with those in front that only need to be handed over.
func (t *turn) clientsFirst(uses []session.ToolUse) []session.ToolUse {
	sorted := slices.Clone(uses)
	slices.SortStableFunc(sorted, func(a, b session.ToolUse) int {
		return cmp.Compare(t.order(a), t.order(b))
	})
	return sorted
}

func (t *turn) order(u session.ToolUse) int {
	if b, ok := t.byName[u.Name]; ok && b.client() {
		return 0
	}
	return 1
}

// use does one tool use; blocked means that somebody else must act first.
func (t *turn) use(ctx context.Context, u session.ToolUse) (blocked bool, err error) {
	b, ok := t.byName[u.Name]
	if !ok {
		return false, t.answer(ctx, u, session.ErrorResult("there is no tool "+u.Name))
	}
	if msg := t.s.schemas.check(b.Spec.InputSchema, u.Input); msg != "" {
		return false, t.answer(ctx, u, session.ErrorResult("invalid input: "+msg))
	}
	act, err := t.actOf(b, u)
	if err != nil {
		return false, t.answer(ctx, u, session.ErrorResult("invalid input: "+publicText(err)))
	}
	var rec gate.Record
	var called *tool.Result
	switch {
	case act.Rail != "":
		rec, err = t.s.d.Rails.Pay(ctx, t.sc, act)
	case b.pay:
		rec, err = t.s.d.Gate.Perform(ctx, t.sc, act)
	default:
		rec, err = t.s.d.Gate.Begin(ctx, t.sc, act, nil)
	}
	if err != nil {
		if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal && fe.Kind != fault.Unavailable && !errors.Is(err, session.ErrFenced) {
			return false, t.answer(ctx, u, session.ErrorResult("refused: "+fe.Message)) // an act that nobody could do
		}
		return false, err
	}
	switch rec.State {
	case gate.Started:
		switch {
		case b.pay:
			return t.paid(ctx, u, rec)
		case b.delegate:
			return t.handle(ctx, rec, u)
		case b.client():
			return true, t.handOver(ctx, rec, u)
		case rec.Found && !b.Spec.Idempotent:
			const unknown = "the outcome is unknown: the call was cut off, and may or may not have taken effect"
			return false, t.end(ctx, rec, u, gate.Settlement{State: gate.Failed, Error: unknown}, session.ErrorResult(unknown))
		}
		called, err = t.call(ctx, b, u)
		if p, ok := errors.AsType[*Paid](err); ok {
			if _, err := t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Done, Cost: new(money.Pico), Fence: t.t.Fence()}, nil); err != nil {
				return false, err
			}
			return t.paid(ctx, u, p.Record)
		}
		if b.Toolset || b.MCPServer != "" || b.Card != nil { // others are not near to credentials
			if err := t.rearm(ctx); err != nil {
				return false, err
			}
		}
		return false, t.ended(ctx, rec, u, called, err)
	case gate.Parked:
		return t.s.d.Journal.Await(ctx, t.t, u.ID, session.UseParked, rec.Approval)
	case gate.Done:
		if b.client() {
			return t.s.d.Journal.Await(ctx, t.t, u.ID, session.UseClient, id.Approval{})
		}
		if b.Pays {
			return t.payAgain(ctx, b, u)
		}
	}
	if !rec.Found && (b.pay || rec.State == gate.Denied) {
		return false, nil // the gate's observer has answered in the transaction that ended it
	}
	return false, t.answer(ctx, u, session.ResultOf(rec))
}

// actOf says what a tool use wants of the gate.
func (t *turn) actOf(b BoundTool, u session.ToolUse) (gate.Act, error) {
	act := gate.Act{
		Key: u.ID.String(), Action: rule.ActionToolCall, Agent: t.sess.Agent, Session: t.ref.Session, Run: t.root, ToolUse: u.ID, Fence: t.t.Fence(),
		Tool: b.Spec.Name, Arguments: u.Input, Idempotent: b.Spec.Idempotent,
		Card: b.Card,
	}
	if !b.pay {
		return act, nil
	}
	var in payInput
	if err := json.Unmarshal(u.Input, &in); err != nil {
		return gate.Act{}, fault.Invalidf("input", "must be an object with amount and payee")
	}
	currency := t.s.cfg.Currency
	if in.Currency != "" && in.Currency != "$" {
		c, err := money.ParseCurrency(strings.ToUpper(strings.TrimSpace(in.Currency)))
		if err != nil {
			return gate.Act{}, err
		}
		currency = c
	}
	amount, err := money.Parse(plainAmount(in.Amount), currency)
	if err != nil {
		return gate.Act{}, err
	}
	act.Action, act.Idempotent = rule.ActionPayment, true
	act.Amount, act.Payee, act.Category, act.Description = &amount, strings.TrimSpace(in.Payee), in.Category, in.Description
	if act.Payee == "" {
		return gate.Act{}, fault.Invalidf("payee", "is required")
	}
	if in.Rail != "" && in.Rail != ledger {
		if !slices.Contains(t.s.rails(), in.Rail) {
			return gate.Act{}, fault.Invalidf("rail", "there is no rail %q", in.Rail)
		}
		act.Rail, act.Arguments = in.Rail, nil // what is there beside the payment itself would be the rail's target
	}
	return act, nil
}

// plainAmount returns the number in a JSON string or number, as models write amounts: "20", 20, "$20.00", "1,000".
func plainAmount(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	s = strings.TrimPrefix(strings.TrimSpace(s), "$")
	if grouped.MatchString(s) {
		return strings.ReplaceAll(s, ",", "")
	}
	return s
}

// grouped is a number with commas between its thousands. Any other comma may be a decimal one: "12,50" is not 1250.
var grouped = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$`)

// answer closes a tool use with a result.
func (t *turn) answer(ctx context.Context, u session.ToolUse, body session.ToolResultBody) error {
	_, err := t.s.d.Journal.Answer(ctx, t.t, u.ID, t.redactedResult(body))
	return err
}

// handOver ends the act of letting the client do something: from now on the client's result is awaited.
func (t *turn) handOver(ctx context.Context, rec gate.Record, u session.ToolUse) error {
	_, err := t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Done, Cost: new(money.Pico), Fence: t.t.Fence()}, func(ctx context.Context) error {
		_, err := t.s.d.Journal.Await(ctx, t.t, u.ID, session.UseClient, id.Approval{})
		return err
	})
	return err
}

// call calls the tool with its deadline. A panic of the tool is an error of this call.
func (t *turn) call(ctx context.Context, b BoundTool, u session.ToolUse) (res *tool.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(b.Timeout, t.s.cfg.ToolTimeout))
	defer cancel()
	type outcome struct {
		res tool.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = fmt.Errorf("run: tool %s: panic: %v", b.Spec.Name, p)
			}
			done <- o
		}()
		o.res, o.err = b.Tool.Call(ctx, tool.Call{
			Key: u.ID.String(), Input: u.Input, TenantID: t.ref.Tenant.String(), AgentID: t.sess.Agent.String(), SessionID: t.ref.Session.String(),
		})
	}()
	select {
	case o := <-done:
		return &o.res, o.err
	case <-ctx.Done():
		return nil, ctx.Err() // a tool that does not listen is abandoned
	}
}

// ended records what a tool answered.
func (t *turn) ended(ctx context.Context, rec gate.Record, u session.ToolUse, res *tool.Result, err error) error {
	res = t.redactedOutcome(res)
	s := gate.Settlement{State: gate.Done, Cost: new(money.Pico)}
	var body session.ToolResultBody
	switch {
	case err != nil:
		text := t.failure(err)
		if errors.Is(err, context.DeadlineExceeded) {
			text = "the tool did not answer within " + cmp.Or(t.byName[u.Name].Timeout, t.s.cfg.ToolTimeout).String()
		}
		if _, ok := fault.As(err); !ok && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			t.s.d.Logger.WarnContext(ctx, "tool failed", "session_id", t.ref.Session, "tool", u.Name, "error", t.cause(err))
		}
		s = gate.Settlement{State: gate.Failed, Error: text}
		body = session.ErrorResult("the tool failed: " + text)
	case res.IsError:
		s = gate.Settlement{State: gate.Failed, Error: cut(res.Text, 1000)}
		body = session.ToolResultBody{Content: contentOf(*res), IsError: true}
	default:
		body = session.ToolResultBody{Content: contentOf(*res)}
	}
	if err != nil && ctx.Err() != nil {
		// Cut off, because the turn was lost or because the process stops.
		if errors.Is(context.Cause(ctx), errEnded) {
			return t.settleUse(ctx, rec, u, s)
		}
		return nil
	}
	return t.end(ctx, rec, u, s, body)
}

// contentOf makes blocks of what a tool answered, within the limits of package tool.
func contentOf(res tool.Result) []session.Block {
	text := cut(res.Text, tool.MaxResultBytes)
	var media []session.Block
	for _, m := range res.Media {
		typ := session.BlockImage
		switch {
		case len(m.Data) > tool.MaxMediaBytes:
			text += fmt.Sprintf("\n[left out: %s of %d bytes]", m.MediaType, len(m.Data))
			continue
		case m.MediaType == "application/pdf":
			typ = session.BlockDocument
		case !slices.Contains(session.ImageTypes(), m.MediaType):
			text += fmt.Sprintf("\n[left out: %q cannot be shown]", cut(m.MediaType, 100))
			continue
		}
		b := session.Block{Type: typ, Source: &session.Source{
			Type: session.SourceBase64, MediaType: m.MediaType, Data: base64.StdEncoding.EncodeToString(m.Data),
		}}
		if typ == session.BlockDocument {
			b.Title = m.Title
		}
		media = append(media, b)
	}
	if text == "" && media != nil {
		return media
	}
	return append(session.Text(text), media...)
}

// end settles the act of a tool use together with its result.
func (t *turn) end(ctx context.Context, rec gate.Record, u session.ToolUse, s gate.Settlement, body session.ToolResultBody) error {
	s.Fence = t.t.Fence()
	err := t.insist(ctx, func(ctx context.Context) error {
		_, err := t.s.d.Gate.End(ctx, t.sc, rec, s, func(ctx context.Context) error { return t.answer(ctx, u, body) })
		return err
	})
	if errors.Is(err, session.ErrFenced) {
		s.Fence = nil
		return errors.Join(err, t.settleUse(ctx, rec, u, s))
	}
	return err
}

// settleUse ends the act of a tool use of a turn that is not held any more, when the turn was ended: then the log has a result
// already. When somebody else goes on with the turn, the use is open, and the act stays begun: its new holder knows what to do.
func (t *turn) settleUse(ctx context.Context, rec gate.Record, u session.ToolUse, s gate.Settlement) error {
	uses, err := t.s.d.Journal.Open(context.WithoutCancel(ctx), t.t)
	if err != nil || slices.ContainsFunc(uses, func(o session.ToolUse) bool { return o.ID == u.ID }) {
		return err
	}
	return t.settle(ctx, rec, s, u.ID, session.Usage{})
}

// cut bounds a text, at the border of a character, and says that it did.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s\n[cut: %d of %d bytes shown]", s[:n], n, len(s))
}

// maxSchemas bounds how many compiled schemas are remembered.
const maxSchemas = 1024

// schemas checks inputs against JSON Schemas and remembers the compiled ones.
type schemas struct {
	mu   sync.Mutex
	byID map[[sha256.Size]byte]*jsonschema.Schema // nil: it cannot be compiled
}

func newSchemas() *schemas { return &schemas{byID: map[[sha256.Size]byte]*jsonschema.Schema{}} }

// check returns what is wrong with an input; "" is nothing. A schema that cannot be compiled, or
// that would take too long, allows every object.
func (s *schemas) check(schema, input json.RawMessage) string {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(input))
	if err != nil {
		return "not JSON"
	}
	if _, ok := v.(map[string]any); !ok {
		return "must be a JSON object"
	}
	c := s.compiled(schema)
	if c == nil || TooDear(c, v) {
		return ""
	}
	if err := c.Validate(v); err != nil {
		var ve *jsonschema.ValidationError
		if errors.As(err, &ve) {
			return validationText(ve)
		}
		return err.Error()
	}
	return ""
}

func (s *schemas) compiled(schema json.RawMessage) *jsonschema.Schema {
	if len(schema) == 0 {
		return nil
	}
	key := sha256.Sum256(schema)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.byID[key]
	if ok {
		return c
	}
	if len(s.byID) >= maxSchemas {
		clear(s.byID)
	}
	if doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema)); err == nil {
		compiler := jsonschema.NewCompiler()
		compiler.UseLoader(noLoader{})
		if compiler.AddResource("tool:input", doc) == nil {
			if compiledSchema, err := compiler.Compile("tool:input"); err == nil {
				c = compiledSchema
			}
		}
	}
	s.byID[key] = c
	return c
}

// noLoader keeps schemas from reading files or addresses.
type noLoader struct{}

// Load refuses.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("run: a schema may not refer to %s", url)
}

// validationText names the first faults of an input in one line.
func validationText(ve *jsonschema.ValidationError) string {
	var lines []string
	for _, line := range strings.Split(ve.Error(), "\n")[1:] {
		if line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "-")); line != "" && len(lines) < 5 {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "does not match the tool's schema"
	}
	return strings.Join(lines, "; ")
}
