package app_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// runtimes are where agents are hosted on this machine.
func runtimes(b *testing.B, bench func(b *testing.B, change func(*app.Config))) {
	b.Helper()
	b.Run("process", func(b *testing.B) { bench(b, func(*app.Config) {}) })
	b.Run("docker", func(b *testing.B) {
		var dir string
		bench(b, onDocker(b, &dir))
	})
}

// BenchmarkHosting starts, restarts and stops one agent through the API: each until the agent runs and answers, or has ended, and the answer
// says so. The first start, which makes it, is not counted: on a Docker engine it brings the image there.
func BenchmarkHosting(b *testing.B) {
	runtimes(b, func(b *testing.B, change func(*app.Config)) {
		s := apptest.Start(b, apptest.Config{Change: change})
		var made struct{ ID string }
		s.Admin.Call("POST", "/v1/agents", m{"name": "bench", "model": "offline", "hosting": m{"soul": "You are measured."}}, &made)
		took := map[string]time.Duration{}
		act := func(verb, want string) {
			began := time.Now()
			var h hostedAgent
			if s.Admin.Call("POST", "/v1/agents/"+made.ID+"/"+verb, nil, &h); h.Status != want {
				b.Fatalf("%s: %+v", verb, h)
			}
			took[verb] += time.Since(began)
		}
		act("restart", "running")
		act("stop", "stopped")
		clear(took)
		for b.Loop() {
			act("start", "running")
			act("restart", "running")
			act("stop", "stopped")
		}
		for verb, d := range took {
			b.ReportMetric(d.Seconds()*1000/float64(b.N), "ms-"+verb)
		}
		b.ReportMetric(0, "ns/op")
	})
}

// idle is for how long a server is watched that has nothing to do.
const idle = 5 * time.Second

// BenchmarkHostingHundred makes a hundred agents at once: until all run and answer, what their programs use, and what the server uses beside
// them while nobody asks it for anything.
func BenchmarkHostingHundred(b *testing.B) {
	const agents = 100
	runtimes(b, func(b *testing.B, change func(*app.Config)) {
		var start, busy time.Duration
		var memory, rss int64
		for b.Loop() {
			s := apptest.Start(b, apptest.Config{Change: change})
			ids := make([]string, agents)
			began := time.Now()
			var work sync.WaitGroup
			for i := range ids {
				work.Go(func() {
					var err error
					if ids[i], err = makeHosted(b.Context(), s, fmt.Sprint("agent ", i)); err != nil {
						b.Error(err)
					}
				})
			}
			work.Wait()
			if b.Failed() {
				b.FailNow()
			}
			for _, id := range ids {
				for running := false; !running; {
					var h struct {
						Status    string
						LastError *string `json:"last_error"`
					}
					s.Admin.Call("GET", "/v1/agents/"+id+"/hosting", nil, &h)
					if running = h.Status == "running"; h.LastError != nil && *h.LastError != "" {
						b.Fatal(*h.LastError)
					}
				}
			}
			start += time.Since(began)
			for _, id := range ids {
				var status struct {
					Live      bool
					Resources struct{ Memory int64 }
				}
				if s.Admin.Call("GET", "/v1/agents/"+id+"/status", nil, &status); !status.Live {
					b.Fatalf("agent %s does not run", id)
				}
				memory += status.Resources.Memory
			}
			rss += resident(b)
			before := used(b)
			rest := time.NewTimer(idle)
			<-rest.C
			busy += used(b) - before
		}
		n := float64(b.N)
		b.ReportMetric(start.Seconds()/n, "s-until-100-run")
		b.ReportMetric(float64(memory)/n/agents/(1<<20), "MiB/agent")
		b.ReportMetric(float64(rss)/n/(1<<20), "MiB-rss-server")
		b.ReportMetric(busy.Seconds()/n/idle.Seconds()*100, "%cpu-server-idle")
		b.ReportMetric(0, "ns/op")
	})
}

// makeHosted makes an agent that is to run, and returns its id: other than the client's methods, from any goroutine.
func makeHosted(ctx context.Context, s *apptest.Server, name string) (string, error) {
	body := fmt.Sprintf(`{"name":%q,"model":"offline","hosting":{"soul":"You idle."}}`, name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/agents", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Api-Key", s.Admin.Key())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var made struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("%s is not made: %s: %w", name, resp.Status, cmp.Or(err, errors.New("no success")))
	}
	return made.ID, nil
}

// used returns the processor time that this process, which is the server, has used.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident returns the memory of this process (proc(5), statm).
func resident(b *testing.B) int64 {
	b.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(raw)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
