package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Plugin is a skill or a rule, ready to be served. Make one with Skill, RawSkill or Rule.
type Plugin struct {
	served wire.Served
	err    error // what is wrong with how it was made
}

// Served returns what the plugin serves, or what is wrong with how it was made. It is there for package sdktest and for hosts
// that run a plugin inside their own process.
func (p Plugin) Served() (wire.Served, error) {
	if p.err == nil && p.served.Tool == nil && p.served.Rule == nil {
		return p.served, fmt.Errorf("sdk: the zero Plugin serves nothing; use Skill, RawSkill or Rule")
	}
	return p.served, p.err
}

// maxMessage is the largest message that a plugin accepts, in bytes.
const maxMessage = 16 << 20

// Serve serves p to the server that started this process, and exits when the server says so or dies. It does not return. Call it
// last in main, and write nothing to the standard output before: it belongs to the protocol.
func Serve(p Plugin) {
	served, err := p.Served()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	go exitWithParent()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake(),
		VersionedPlugins: wire.ServedPlugins(served),
		Logger: hclog.New(&hclog.LoggerOptions{
			Level: hclog.Warn, Output: os.Stderr, JSONFormat: true,
		}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage))...)
		},
	})
}

// exitWithParent ends the process when the pipe that the server holds open closes, which it does however the server ends.
func exitWithParent() {
	fd, err := strconv.ParseUint(os.Getenv(wire.EnvParentFD), 10, 16)
	if err != nil {
		return // started by a host that ends its plugins in another way
	}
	pipe := os.NewFile(uintptr(fd), "parent")
	for buf := make([]byte, 64); ; {
		if _, err := pipe.Read(buf); err != nil {
			os.Exit(0)
		}
	}
}

// Logger returns a logger whose records appear in the server's log, with level and attributes. Make it before Serve.
func Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr { // the keys that the server looks for
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.TimeKey:
				return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
			case slog.LevelKey:
				return slog.String("@level", strings.ToLower(a.Value.String()))
			case slog.MessageKey:
				a.Key = "@message"
			}
			return a
		},
	}))
}

// Call is one use of a skill: who calls, the secrets it was given, and the key that names this use.
type Call = tool.Call

// Result is what a skill answers. Text is for the model; with IsError it says what the model did wrong.
type Result = tool.Result

// callContext is what a handler's context carries.
type callContext struct {
	call   Call
	client func() (*egress.Client, error)
}

type callKey struct{}

// CallFrom returns the call that a typed skill is answering. Outside of a call it is zero.
func CallFrom(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(callContext)
	return c.call
}

// HTTPClient returns the client through which a skill reaches the network: only the domains that it declared, only public
// addresses (checked after DNS and at every redirect), answers of at most 16 MiB, 30 seconds a request. Outside of a call, and in
// a skill that declared no domains, every request fails. Callers must not change the client.
func HTTPClient(ctx context.Context) *http.Client {
	c, _ := ctx.Value(callKey{}).(callContext)
	if c.client == nil {
		return refuse(egress.ErrBlocked.Withf("only a skill may use the network, and only during a call"))
	}
	client, err := c.client()
	if err != nil {
		return refuse(err)
	}
	return client.HTTPClient()
}

// refuse returns a client that fails every request with err.
func refuse(err error) *http.Client {
	return &http.Client{Transport: refusal{err}}
}

type refusal struct{ err error }

func (r refusal) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, r.err
}

// egressClient returns a function that makes the skill's client at the first call: by then a test has set the environment.
func egressClient(domains []string) func() (*egress.Client, error) {
	return sync.OnceValues(func() (*egress.Client, error) {
		if domains == nil {
			domains = []string{} // none, and not any
		}
		return egress.New(egress.Config{
			Allow:   strings.Split(os.Getenv(wire.EnvEgressAllow), ","),
			Domains: domains,
		})
	})
}

// recovered turns a handler's panic into an error of that call, so that other calls go on. The stack goes to the server's log.
func recovered(name string, err *error) {
	if v := recover(); v != nil {
		fmt.Fprintf(os.Stderr, "%s: panic: %v\n%s", name, v, debug.Stack())
		*err = fault.New(fault.Internal, "plugin_panic", fmt.Sprintf("the plugin panicked: %v", v))
	}
}

// compactJSON encodes v for a model to read: no HTML escapes.
func compactJSON(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
