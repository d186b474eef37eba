package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/tool"
)

// SkillInfo describes a skill.
type SkillInfo struct {
	Name        string // [a-z0-9_-]{1,64}; required
	Version     string // your own; for people
	Description string // for the model: what the skill does and when to use it; required
	// Idempotent says that calling the skill twice with the same key is the same as once: after a crash it is called again.
	Idempotent bool
	// Domains are the host names that it reaches through HTTPClient: "api.example.com", "*.example.com" for subdomains, "*" for
	// any public host. Empty is none.
	Domains []string
	// Secrets are the names of the secrets that it is given in Call.Secrets, where the agent has them.
	Secrets []string
}

// Skill makes a skill of a function. The JSON schema of its input comes from In, which must be a struct:
//
//   - a field's name is that of its json tag; a field is required unless the tag says omitempty or omitzero;
//   - the tag jsonschema_description describes it; the tag jsonschema adds "enum=a,enum=b", "minimum=0", "example=x" and so on.
//
// An Out that is a string is the answer as it is; any other Out is answered as JSON. An error whose fault.Kind is Internal and
// that was made by package fault, or Unavailable, or Timeout, says that the skill is broken, and so does any error once ctx has
// ended. Every other error is shown to the model, which may do better: make it with errors.New or fmt.Errorf.
func Skill[In, Out any](info SkillInfo, handle func(ctx context.Context, in In) (Out, error)) Plugin {
	schema, err := inputSchema[In]()
	if err != nil {
		return Plugin{err: fmt.Errorf("sdk: skill %s: %w", info.Name, err)}
	}
	return RawSkill(info, schema, func(ctx context.Context, call Call) (Result, error) {
		var in In
		if err := decodeStrict(call.Input, &in); err != nil {
			return Result{Text: "the input is not valid: " + err.Error(), IsError: true}, nil //nolint:nilerr // the model is told
		}
		out, err := handle(ctx, in)
		if err != nil {
			if broken(ctx, err) {
				return Result{}, err
			}
			return Result{Text: message(err), IsError: true}, nil
		}
		if s, ok := any(out).(string); ok {
			return Result{Text: s}, nil
		}
		text, err := compactJSON(out)
		if err != nil {
			return Result{}, fault.New(fault.Internal, "plugin_output", "the result cannot be encoded").Wrap(err)
		}
		return Result{Text: text}, nil
	})
}

// RawSkill makes a skill of a function that reads its own input. schema is the JSON Schema of an object.
func RawSkill(info SkillInfo, schema json.RawMessage, handle func(ctx context.Context, call Call) (Result, error)) Plugin {
	var obj struct {
		Type string `json:"type"`
	}
	switch err := json.Unmarshal(schema, &obj); {
	case !pluginName.MatchString(info.Name):
		return Plugin{err: fmt.Errorf("sdk: the skill's name %q must match %s", info.Name, pluginName)}
	case info.Description == "":
		return Plugin{err: fmt.Errorf("sdk: skill %s: Description is required", info.Name)}
	case err != nil || obj.Type != "object":
		return Plugin{err: fmt.Errorf("sdk: skill %s: the schema must be JSON with \"type\": \"object\"", info.Name)}
	case handle == nil:
		return Plugin{err: fmt.Errorf("sdk: skill %s: the function is required", info.Name)}
	}
	return Plugin{served: wire.Served{Version: info.Version, Tool: &skill{
		spec: tool.Spec{
			Name: info.Name, Description: info.Description, InputSchema: schema, Idempotent: info.Idempotent,
			Needs: tool.Needs{Domains: info.Domains, Secrets: info.Secrets},
		},
		handle: handle,
		client: callContext{client: egressClient(info.Domains)},
	}}}
}

var pluginName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

type skill struct {
	spec   tool.Spec
	handle func(ctx context.Context, call Call) (Result, error)
	client callContext // without a call
}

var _ tool.Tool = (*skill)(nil)

func (s *skill) Spec() tool.Spec { return s.spec }

func (s *skill) Call(ctx context.Context, call Call) (res Result, err error) {
	defer recovered(s.spec.Name, &err)
	c := s.client
	c.call = call
	return s.handle(context.WithValue(ctx, callKey{}, c), call)
}

// decodeStrict reads exactly one JSON value and refuses fields that v does not have: a misspelt optional field would be lost.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New(trimJSON(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

// trimJSON says what package json found wrong in words that mean something to a model.
func trimJSON(err error) string {
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typed) && typed.Field != "":
		return fmt.Sprintf("%s must not be of the type %s", typed.Field, typed.Value)
	case errors.As(err, &typed):
		return fmt.Sprintf("it must not be of the type %s", typed.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it is not a whole JSON object"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// broken reports whether err is a defect rather than something that the model can mend.
func broken(ctx context.Context, err error) bool {
	if ctx.Err() != nil { // the time-out of a single request within the call is not the call's
		return true
	}
	f, ok := fault.As(err)
	return ok && (f.Kind == fault.Internal || f.Kind == fault.Unavailable || f.Kind == fault.Timeout)
}

// message is what the model is shown of err: a fault's own words without its code, otherwise the error's.
func message(err error) string {
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // a wrapped fault has more to say than its own message
		return f.Message
	}
	return err.Error()
}

// isStruct reports whether T is a struct or a pointer to one.
func isStruct[T any]() (reflect.Type, bool) {
	t := reflect.TypeFor[T]()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct
}
