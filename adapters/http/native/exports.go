package native

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/page"
)

const exportHelp = "JSON Lines, in the order of the list, as they were when the export began; gzip where `Accept-Encoding` allows it. An export that is not " +
	"complete ends in a broken connection, never in silence: in HTTP/1.1 without the last chunk, which clients report as an error."

type exportEventsInput struct{ EventQuery }

type exportUsageInput struct{ UsageQuery }

func (f *face) registerExports() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "exportEventReports", Method: http.MethodGet, Path: "/v1/events/export", Tag: "telemetry", Produces: contentLines,
		Summary: "Export what agents reported", Permission: account.TelemetryRead, Description: "One event a line. " + exportHelp,
	}, func(ctx context.Context, in *exportEventsInput) (httpx.Stream, error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		return exportLines(ctx, f, "events", func(ctx context.Context, req page.Request) (page.Page[telemetry.Event], error) {
			return f.deps.Events.List(ctx, httpx.Scope(ctx), filter, req)
		}, func(buf []byte, e telemetry.Event) ([]byte, error) { return eventSpelling.Append(buf, &e), nil })
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "exportUsage", Method: http.MethodGet, Path: "/v1/usage/export", Tag: "usage", Produces: contentLines,
		Summary: "Export what models were used for", Permission: account.TelemetryRead, Description: "One row a line. " + exportHelp,
	}, func(ctx context.Context, in *exportUsageInput) (httpx.Stream, error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		return exportLines(ctx, f, "usage", func(ctx context.Context, req page.Request) (page.Page[usage.Row], error) {
			return f.deps.Usage.List(ctx, httpx.Scope(ctx), filter, req)
		}, jsonLine(showUsage))
	})
}

// jsonLine writes what show makes of an item.
func jsonLine[T, W any](show func(T) W) func([]byte, T) ([]byte, error) {
	return func(buf []byte, item T) ([]byte, error) {
		b, err := json.Marshal(show(item))
		return append(buf, b...), err
	}
}

// exportPage is how many items an export reads at once.
const exportPage = 100

// lister reads a page of a list.
type lister[T any] func(ctx context.Context, req page.Request) (page.Page[T], error)

// exportLines returns what writes a whole list. The first page is read before the answer begins, so that what is wrong with the request is still
// answered as an error.
func exportLines[T any](ctx context.Context, f *face, name string, list lister[T], line func([]byte, T) ([]byte, error)) (httpx.Stream, error) {
	first, err := list(ctx, page.Request{Limit: exportPage})
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if err := writeLines(w, r, name, everyItem(r.Context(), first, list), line); err != nil {
			f.deps.Logger.WarnContext(r.Context(), "an export was cut off", slog.String("of", name), slog.Any("error", err))
			panic(http.ErrAbortHandler) // the caller must not take a part for the whole
		}
	}, nil
}

// everyItem yields the items of a list from its first page on, and the error that ends it.
func everyItem[T any](ctx context.Context, p page.Page[T], list lister[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			var err error
			if p, err = list(ctx, page.Request{Limit: exportPage, Cursor: p.Next}); err != nil {
				var none T
				yield(none, err)
				return
			}
		}
	}
}

func writeLines[T any](
	w http.ResponseWriter, r *http.Request, name string, items iter.Seq2[T, error], line func([]byte, T) ([]byte, error),
) error {
	h := w.Header()
	h.Set("Content-Type", contentLines)
	h.Set("Content-Disposition", `attachment; filename="`+name+`.jsonl"`)
	h.Set("Vary", "Accept-Encoding")
	var to io.Writer = w
	closeZip := func() error { return nil }
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		to, closeZip = zip, zip.Close
	}
	out := bufio.NewWriterSize(to, 64<<10)
	var buf []byte
	for item, err := range items {
		if err != nil {
			return err
		}
		if buf, err = line(buf[:0], item); err != nil {
			return err
		}
		if _, err := out.Write(append(buf, '\n')); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return closeZip()
}

// takesGzip reports whether the caller accepts gzip: named without a weight of zero.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			weight = strings.TrimSpace(weight)
			return !strings.HasPrefix(weight, "q=0") || strings.Trim(weight[len("q=0"):], ".0") != ""
		}
	}
	return false
}
