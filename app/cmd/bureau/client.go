package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/app"
)

// client speaks the native API, whoever answers it: a server at --url, the server that holds the data directory, or this very
// process after it has taken the directory.
type client struct {
	base  string
	key   string
	http  *http.Client
	close func()
	alone bool // this process answers, and nobody does once it has ended
}

// connect finds who answers. The caller closes the client. With work, a process that has to answer by itself runs turns and plugins
// as a server does; otherwise it only reads and writes what is stored.
func connect(cmd *cobra.Command, work bool) (*client, error) {
	s, err := load(cmd)
	if err != nil {
		return nil, err
	}
	if c, err := reach(cmd, s); c != nil || err != nil {
		return c, err
	}
	return inProcess(cmd, s, work)
}

// connectTo finds a server that is there already; nil where none is.
func connectTo(cmd *cobra.Command) (*client, error) {
	s, err := load(cmd)
	if err != nil {
		return nil, err
	}
	return reach(cmd, s)
}

// reach returns a client of the server that the settings name or that holds the data directory, or nil where none does.
func reach(cmd *cobra.Command, s settings) (*client, error) {
	from, base := "--url", cmd.Flag("url").Value.String()
	if base == "" {
		from, base = "BUREAU_URL", os.Getenv("BUREAU_URL")
	}
	if base != "" {
		if err := checkURL(base); err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		if s.APIKey == "" {
			return nil, fmt.Errorf("%s needs a key in BUREAU_API_KEY", from)
		}
		return &client{base: strings.TrimRight(base, "/"), key: s.APIKey, http: &http.Client{}, close: func() {}}, nil
	}
	if probe, err := dialSocket(cmd.Context(), s.DataDir); err == nil {
		_ = probe.Close()
		return over(func(ctx context.Context) (net.Conn, error) { return dialSocket(ctx, s.DataDir) }), nil
	}
	return nil, nil
}

// over talks to whoever answers the operator: the connection itself is the proof, so that it needs no key.
func over(dial func(context.Context) (net.Conn, error)) *client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &client{base: "http://bureau", http: &http.Client{Transport: transport}, close: transport.CloseIdleConnections}
}

// inProcess opens the data directory, which nobody else may do meanwhile, and answers by itself for as long as the client lives.
func inProcess(cmd *cobra.Command, s settings, work bool) (*client, error) {
	ctx := cmd.Context()
	s.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(ctx, s.Config)
	if errors.Is(err, app.ErrHeld) {
		return nil, fmt.Errorf("%w and does not answer: it is another command, or a server that starts or stops; try again", err)
	}
	if err != nil {
		return nil, err
	}
	clearCollectorKeys()
	if key := a.BootstrapKey(); key != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "Made %s. Its admin API key (shown this once): %s\n", s.DataDir, key)
		err = a.Skills.AnnounceShipped(ctx) // as a server would do at its start: agents can be given them from now on
	}
	if work && err == nil {
		err = a.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	stopAnswering, dial := answer(a.OperatorHandler())
	c := over(dial)
	c.alone = true
	closeIdle := c.close
	c.close = func() {
		closeIdle()
		stopAnswering()
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = a.Stop(stopping)
	}
	return c, nil
}

// request sends one call and returns the response when it is a success; otherwise the server's own error.
func (c *client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	contentType := ""
	switch v := in.(type) {
	case nil:
	case form:
		body, contentType = v, v.contentType
	case io.Reader:
		body, contentType = v, "application/octet-stream"
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(raw), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.key != "" {
		req.Header.Set("X-Api-Key", c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the server: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var failure struct {
		Error struct {
			Message string `json:"message"`
			Details struct {
				Fields []struct{ Path, Message string } `json:"fields"`
			} `json:"details"`
		} `json:"error"`
	}
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if json.Unmarshal(raw, &failure) != nil || failure.Error.Message == "" {
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	fields := failure.Error.Details.Fields
	if len(fields) < 2 {
		return nil, errors.New(failure.Error.Message)
	}
	var all strings.Builder
	all.WriteString("the server refuses this:")
	for _, f := range fields {
		fmt.Fprintf(&all, "\n  %s: %s", f.Path, f.Message)
	}
	return nil, errors.New(all.String())
}

// call sends in as JSON and decodes the answer into out, unless that is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return decode(res.Body, out)
}

func decode(r io.Reader, out any) error {
	if err := json.NewDecoder(r).Decode(out); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}

// frame is one server-sent event.
type frame struct {
	id, event string
	data      []byte
}

// stream calls fn for every server-sent event until the stream ends or fn returns false.
func (c *client) stream(ctx context.Context, method, path string, in any, fn func(frame) bool) error {
	res, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 16<<20)
	var f frame
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			if len(f.data) > 0 && !fn(f) {
				return nil
			}
			f = frame{}
		case strings.HasPrefix(line, "id:"):
			f.id = strings.TrimSpace(line[len("id:"):])
		case strings.HasPrefix(line, "event:"):
			f.event = strings.TrimSpace(line[len("event:"):])
		case strings.HasPrefix(line, "data:"):
			f.data = append(f.data, strings.TrimPrefix(line[len("data:"):], " ")...)
		}
	}
	return lines.Err()
}
