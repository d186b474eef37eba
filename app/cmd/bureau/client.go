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
	"path/filepath"
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
}

// connect finds who answers. The caller closes the client.
func connect(cmd *cobra.Command) (*client, error) {
	url := cmd.Flag("url").Value.String()
	if url == "" {
		url = os.Getenv("BUREAU_URL")
	}
	key := os.Getenv("BUREAU_API_KEY")
	s, err := load(cmd)
	if err != nil {
		return nil, err
	}
	if url != "" {
		if key == "" {
			return nil, errors.New("--url needs a key in BUREAU_API_KEY")
		}
		return &client{base: strings.TrimRight(url, "/"), key: key, http: &http.Client{}, close: func() {}}, nil
	}
	socket := socketPath(s.DataDir)
	if c, err := overSocket(cmd.Context(), socket); err == nil {
		return c, nil
	}
	return inProcess(cmd.Context(), s)
}

func socketPath(dir string) string { return filepath.Join(dir, "bureau.sock") }

// overSocket talks to the server that holds the directory. The socket is readable by the operator's user alone, so the connection
// needs no key.
func overSocket(ctx context.Context, socket string) (*client, error) {
	dialer := &net.Dialer{}
	probe, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	_ = probe.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	return &client{base: "http://bureau", http: &http.Client{Transport: transport}, close: transport.CloseIdleConnections}, nil
}

// inProcess opens the data directory, which nobody else may do meanwhile, and answers on its socket for as long as the client
// lives.
func inProcess(ctx context.Context, s settings) (*client, error) {
	s.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.New(ctx, s.Config)
	if err != nil {
		return nil, err
	}
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	stopSocket, err := serveSocket(a, socketPath(s.DataDir))
	if err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	c, err := overSocket(ctx, socketPath(s.DataDir))
	end := func() {
		stopSocket()
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = a.Stop(stopping)
	}
	if err != nil {
		end()
		return nil, err
	}
	closeIdle := c.close
	c.close = func() { closeIdle(); end() }
	return c, nil
}

// request sends one call and returns the response when it is a success; otherwise the server's own error.
func (c *client) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	contentType := ""
	switch v := in.(type) {
	case nil:
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
	return nil, errors.New(failure.Error.Message)
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
