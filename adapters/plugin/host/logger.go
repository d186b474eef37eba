package host

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogger lets go-plugin log into slog. What go-plugin itself has to say is of interest to those who debug plugins only; what a
// plugin logs keeps its level.
type hclogger struct {
	l       *slog.Logger
	program string // the file name of the plugin's binary
	name    string
	implied []any
}

var _ hclog.Logger = (*hclogger)(nil)

func (h *hclogger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	if h.name == h.program { // records of the plugin's standard error
		switch level {
		case hclog.Info:
			to = slog.LevelInfo
		case hclog.Warn:
			to = slog.LevelWarn
		case hclog.Error:
			to = slog.LevelError
		}
	}
	const most = 8 << 10
	if len(msg) > most {
		msg = msg[:most]
	}
	h.l.Log(context.Background(), to, msg, args...)
}

func (h *hclogger) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h *hclogger) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h *hclogger) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h *hclogger) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h *hclogger) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h *hclogger) IsTrace() bool { return h.IsDebug() }
func (h *hclogger) IsDebug() bool { return h.l.Enabled(context.Background(), slog.LevelDebug) }
func (h *hclogger) IsInfo() bool  { return true }
func (h *hclogger) IsWarn() bool  { return true }
func (h *hclogger) IsError() bool { return true }

func (h *hclogger) ImpliedArgs() []any { return h.implied }

func (h *hclogger) With(args ...any) hclog.Logger {
	c := *h
	c.l, c.implied = h.l.With(args...), append(append([]any(nil), h.implied...), args...)
	return &c
}

func (h *hclogger) Name() string { return h.name }

// Named is how go-plugin asks for the logger of the plugin's standard error: by the file name of its program.
func (h *hclogger) Named(name string) hclog.Logger {
	c := *h
	c.name = name
	return &c
}

func (h *hclogger) ResetNamed(name string) hclog.Logger { return h.Named(name) }

func (h *hclogger) SetLevel(hclog.Level) {}

func (h *hclogger) GetLevel() hclog.Level {
	if h.IsDebug() {
		return hclog.Trace
	}
	return hclog.Info
}

func (h *hclogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(h.StandardWriter(nil), "", 0)
}

func (h *hclogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return &lines{l: h.l} }

// lines logs what a plugin prints.
type lines struct{ l *slog.Logger }

func (w *lines) Write(b []byte) (int, error) {
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			w.l.Info("plugin output", "text", string(line[:min(len(line), 8<<10)]))
		}
	}
	return len(b), nil
}
