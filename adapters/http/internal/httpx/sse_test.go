package httpx

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
)

func TestStreamsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	var b *bench
	looked := false
	b = newBench(t, nil, func(f *Face) {
		RegisterStream(f, Op{ID: "ev", Method: http.MethodGet, Path: "/ev", Tag: "things", Summary: "x", AnyKey: true, Produces: ContentEvents},
			func(context.Context, *struct{}) (Stream, error) {
				return func(w http.ResponseWriter, r *http.Request) {
					looked = true
					for _, tc := range []struct {
						err  error
						want bool
					}{{nil, true}, {errors.New("the store is away"), true}, {account.ErrUnauthenticated, false}} {
						if b.accounts.err = tc.err; StillKnown(r.Context(), w) != tc.want {
							t.Errorf("%v: not %v", tc.err, tc.want)
						}
					}
				}, nil
			})
	})
	if b.do(http.MethodGet, "/compat/test/ev", ""); !looked {
		t.Error("there was no stream")
	}
}
