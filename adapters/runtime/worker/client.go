package worker

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/ports/fault"
)

// What whoever makes instances has to know.
const (
	// TokenEnv is the variable with the worker's token.
	TokenEnv = workerd.TokenEnv
	// Name is what the server's binary must be called, in whatever directory, to be a worker.
	Name = workerd.Name
	// Port is where a worker in a container listens.
	Port = workerd.Port
	// MaxText is how long a line for the log may be, in bytes; more is cut off.
	MaxText = 16 << 10
	// MaxRule is how long a rule may be, in bytes.
	MaxRule = workerd.MaxRule
)

var (
	// ErrNoRule is returned for a rule that the instance does not have, or whose name no rule can have.
	ErrNoRule = fault.New(fault.NotFound, "rule_not_found", "there is no such rule")
	// ErrWorker is returned for what the worker refuses, or answers without sense.
	ErrWorker = fault.New(fault.Unavailable, "worker_failed", "the agent's worker does not do what it is asked")
)

// Levels of lines.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// Dialer connects to the worker of an instance; a runtime.Host is one.
type Dialer interface {
	Dial(ctx context.Context, id string) (net.Conn, error)
}

// Token returns the token of an instance's worker, which follows from a key of the server: it need not be kept anywhere.
func Token(key []byte, id string) string {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, "bureau worker\x00"+id)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Client asks workers. It is safe for concurrent use.
type Client struct {
	dialer Dialer
	token  func(id string) string
}

// NewClient returns a client for the instances of a host. token returns what an instance was given as TokenEnv.
func NewClient(d Dialer, token func(id string) string) *Client { return &Client{d, token} }

// Status is how a worker is.
type Status struct {
	PID    int // as the worker sees it
	Uptime time.Duration
}

// Status asks a worker how it is. All methods return what Dialer.Dial returns, such as runtime.ErrNotRunning, and ErrWorker.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	a, err := c.ask(ctx, id, workerd.Request{Op: workerd.OpStatus})
	return Status{PID: a.PID, Uptime: time.Duration(a.Uptime * float64(time.Second))}, err
}

// Rules returns the names of an instance's rules, sorted, without ".md".
func (c *Client) Rules(ctx context.Context, id string) ([]string, error) {
	a, err := c.ask(ctx, id, workerd.Request{Op: workerd.OpRules})
	return a.Rules, err
}

// ReadRule returns the text of a rule, or ErrNoRule.
func (c *Client) ReadRule(ctx context.Context, id, name string) (string, error) {
	if !workerd.ValidRule(name) {
		return "", ErrNoRule.Withf("there is no rule %q", name)
	}
	a, err := c.ask(ctx, id, workerd.Request{Op: workerd.OpRule, Name: name})
	return a.Text, err
}

// Log writes a line into an instance's log, as "[level] text". What breaks lines in text is written as "\n" and "\r": nobody but the
// caller says what a line's level is.
func (c *Client) Log(ctx context.Context, id, level, text string) error {
	_, err := c.ask(ctx, id, workerd.Request{Op: workerd.OpLog, Level: level, Text: text[:min(len(text), MaxText)]})
	return err
}

// timeout bounds a request whose context has no end.
const timeout = 10 * time.Second

func (c *Client) ask(ctx context.Context, id string, r workerd.Request) (workerd.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := c.dialer.Dial(ctx, id)
	if err != nil {
		return workerd.Answer{}, err
	}
	defer conn.Close() //nolint:errcheck // the answer is all there is to it
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r.Token = c.token(id)
	a, err := exchange(conn, r)
	if ctx.Err() != nil {
		return workerd.Answer{}, ctx.Err()
	}
	switch {
	case err != nil:
		return workerd.Answer{}, ErrWorker.Wrap(err)
	case a.Missing:
		return workerd.Answer{}, ErrNoRule.Withf("%s", a.Error)
	case a.Error != "":
		return workerd.Answer{}, ErrWorker.Wrap(errors.New(a.Error))
	}
	return a, nil
}

// exchange sends a request and reads the answer.
func exchange(conn io.ReadWriter, r workerd.Request) (workerd.Answer, error) {
	var a workerd.Answer
	raw, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	if len(raw) >= workerd.MaxRequest { // control characters take six bytes each
		r.Text = r.Text[:len(r.Text)/8]
		if raw, err = json.Marshal(r); err != nil {
			return a, err
		}
	}
	if _, err := conn.Write(append(raw, '\n')); err != nil {
		return a, err
	}
	line, err := bufio.NewReader(io.LimitReader(conn, workerd.MaxAnswer)).ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("read the answer: %w", err)
	}
	return a, json.Unmarshal(line, &a)
}
