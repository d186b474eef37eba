package kubernetes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// apiServer speaks as much of the REST API as the host and the kubelet of the tests use: objects with versions, watches, selectors,
// deletion with grace, and the subresources that it passes on to the node. It checks nothing of what objects say; a real API server
// does, see the package's other way to be tested.
type apiServer struct {
	server  *httptest.Server
	node    http.Handler
	closing atomic.Bool

	mu      sync.Mutex
	more    *sync.Cond
	version int
	objects map[string]map[string]any // by path
	events  []event
}

type event struct {
	path, kind string
	version    int
	object     map[string]any
}

func startAPI(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{objects: map[string]map[string]any{}}
	a.more = sync.NewCond(&a.mu)
	mux := http.NewServeMux()
	for _, group := range []string{"/api/v1", "/apis/networking.k8s.io/v1"} {
		all := group + "/namespaces/{namespace}/{resource}"
		mux.HandleFunc("GET "+all, a.list)
		mux.HandleFunc("POST "+all, a.create)
		mux.HandleFunc("GET "+all+"/{name}", a.get)
		mux.HandleFunc("PUT "+all+"/{name}", a.replace)
		mux.HandleFunc("DELETE "+all+"/{name}", a.remove)
		mux.HandleFunc("PUT "+all+"/{name}/{sub}", a.replace)
	}
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/pods/{name}/binding", a.bind)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/log", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/containerLogs/" + r.PathValue("namespace") + "/" + r.PathValue("name") + "/" + r.URL.Query().Get("container")
		a.node.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/pods/{name}/portforward", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/portForward/" + r.PathValue("namespace") + "/" + r.PathValue("name")
		a.node.ServeHTTP(w, r)
	})
	mux.HandleFunc("/apis/metrics.k8s.io/", func(w http.ResponseWriter, r *http.Request) { a.node.ServeHTTP(w, r) })
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.closing.Load() { // a client that lost its watch comes again at once
			http.Error(w, "the API server stops", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		a.closing.Store(true)
		a.server.CloseClientConnections()
		a.server.Close()
	})
	return a
}

// passTo has the node's own endpoints answered by a kubelet.
func (a *apiServer) passTo(k *kubelet) {
	target, _ := url.Parse(k.server.URL)
	p := httputil.NewSingleHostReverseProxy(target)
	p.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	p.FlushInterval = -1
	p.ErrorLog = log.New(io.Discard, "", 0)
	a.node = p
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(err.ErrStatus.Code))
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

func pathOf(r *http.Request, name string) string {
	return r.PathValue("resource") + "/" + r.PathValue("namespace") + "/" + name
}

func kindOf(r *http.Request) schema.GroupResource {
	return schema.GroupResource{Resource: r.PathValue("resource")}
}

func metaOf(o map[string]any) map[string]any {
	m, ok := o["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		o["metadata"] = m
	}
	return m
}

// changed stores a new state of an object, or with the kind DELETED its last.
func (a *apiServer) changed(path, kind string, o map[string]any) {
	a.version++
	metaOf(o)["resourceVersion"] = strconv.Itoa(a.version)
	if kind == "DELETED" {
		delete(a.objects, path)
	} else {
		a.objects[path] = o
	}
	a.events = append(a.events, event{path, kind, a.version, o})
	a.more.Broadcast()
}

// clone lets an earlier state be what it was.
func clone(o map[string]any) map[string]any {
	text, _ := json.Marshal(o)
	var c map[string]any
	_ = json.Unmarshal(text, &c)
	return c
}

func decode(w http.ResponseWriter, r *http.Request) (map[string]any, bool) {
	var o map[string]any
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return nil, false
	}
	return o, true
}

func (a *apiServer) create(w http.ResponseWriter, r *http.Request) {
	o, ok := decode(w, r)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	m := metaOf(o)
	name, _ := m["name"].(string)
	path := pathOf(r, name)
	if a.objects[path] != nil {
		refuse(w, apierrors.NewAlreadyExists(kindOf(r), name))
		return
	}
	m["namespace"], m["uid"] = r.PathValue("namespace"), fmt.Sprintf("uid-%d", a.version)
	m["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	a.changed(path, "ADDED", o)
	answer(w, o)
}

func (a *apiServer) get(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.objects[pathOf(r, r.PathValue("name"))]; o != nil {
		answer(w, o)
		return
	}
	refuse(w, apierrors.NewNotFound(kindOf(r), r.PathValue("name")))
}

func (a *apiServer) replace(w http.ResponseWriter, r *http.Request) {
	o, ok := decode(w, r)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	path := pathOf(r, r.PathValue("name"))
	now := a.objects[path]
	if now == nil {
		refuse(w, apierrors.NewNotFound(kindOf(r), r.PathValue("name")))
		return
	}
	was, is := metaOf(now), metaOf(o)
	if v, ok := is["resourceVersion"].(string); ok && v != "" && v != was["resourceVersion"] {
		refuse(w, apierrors.NewConflict(kindOf(r), r.PathValue("name"), fmt.Errorf("the object has been modified")))
		return
	}
	if r.PathValue("sub") == "status" {
		state := o["status"]
		o = clone(now)
		o["status"] = state
	} else {
		for _, key := range []string{"uid", "creationTimestamp", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"} {
			is[key] = was[key]
		}
	}
	a.changed(path, "MODIFIED", o)
	answer(w, o)
}

func (a *apiServer) bind(w http.ResponseWriter, r *http.Request) {
	r.SetPathValue("resource", pods)
	a.mu.Lock()
	defer a.mu.Unlock()
	path := pathOf(r, r.PathValue("name"))
	if a.objects[path] == nil {
		refuse(w, apierrors.NewNotFound(kindOf(r), r.PathValue("name")))
		return
	}
	o := clone(a.objects[path])
	o["spec"].(map[string]any)["nodeName"] = "node"
	a.changed(path, "MODIFIED", o)
	answer(w, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
}

func (a *apiServer) remove(w http.ResponseWriter, r *http.Request) {
	var opts struct {
		Grace         *int `json:"gracePeriodSeconds"`
		Preconditions struct {
			UID string `json:"uid"`
		} `json:"preconditions"`
	}
	_ = json.NewDecoder(r.Body).Decode(&opts)
	a.mu.Lock()
	defer a.mu.Unlock()
	path := pathOf(r, r.PathValue("name"))
	now := a.objects[path]
	if now == nil {
		refuse(w, apierrors.NewNotFound(kindOf(r), r.PathValue("name")))
		return
	}
	if uid := opts.Preconditions.UID; uid != "" && uid != metaOf(now)["uid"] {
		refuse(w, apierrors.NewConflict(kindOf(r), r.PathValue("name"), fmt.Errorf("the uid is another")))
		return
	}
	o := clone(now)
	spec, _ := o["spec"].(map[string]any)
	if r.PathValue("resource") == pods && spec["nodeName"] != nil && (opts.Grace == nil || *opts.Grace > 0) {
		m := metaOf(o)
		if m["deletionTimestamp"] == nil {
			m["deletionTimestamp"], m["deletionGracePeriodSeconds"] = time.Now().UTC().Format(time.RFC3339), 30
			if opts.Grace != nil {
				m["deletionGracePeriodSeconds"] = *opts.Grace
			}
			a.changed(path, "MODIFIED", o)
		}
	} else {
		a.changed(path, "DELETED", o)
	}
	answer(w, o)
}

// kinds of lists.
var kinds = map[string]string{pods: "PodList", records: "ConfigMapList", claims: "PersistentVolumeClaimList"}

func (a *apiServer) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name, _ := strings.CutPrefix(q.Get("fieldSelector"), "metadata.name=")
	selector, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	prefix := pathOf(r, "")
	asked := func(path string, o map[string]any) bool {
		set := labels.Set{}
		of, _ := metaOf(o)["labels"].(map[string]any)
		for key, value := range of {
			set[key] = value.(string)
		}
		return strings.HasPrefix(path, prefix) && (name == "" || path == prefix+name) && selector.Matches(set)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if q.Get("watch") != "true" {
		items := []any{}
		for _, path := range slices.Sorted(maps.Keys(a.objects)) {
			if asked(path, a.objects[path]) {
				items = append(items, a.objects[path])
			}
		}
		answer(w, map[string]any{
			"kind": kinds[r.PathValue("resource")], "apiVersion": "v1", "items": items,
			"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)},
		})
		return
	}
	from, _ := strconv.Atoi(q.Get("resourceVersion"))
	stop := context.AfterFunc(r.Context(), func() {
		a.mu.Lock() // or it could come between the look at the context and the waiting, and be missed
		defer a.mu.Unlock()
		a.more.Broadcast()
	})
	defer stop()
	w.Header().Set("Content-Type", "application/json")
	control, out := http.NewResponseController(w), json.NewEncoder(w)
	_ = control.Flush()
	at := 0
	for at < len(a.events) && a.events[at].version <= from {
		at++
	}
	for r.Context().Err() == nil {
		for ; at < len(a.events); at++ {
			e := a.events[at]
			if !asked(e.path, e.object) {
				continue
			}
			o := clone(e.object)
			kind := strings.TrimSuffix(kinds[r.PathValue("resource")], "List")
			o["kind"], o["apiVersion"] = kind, "v1"
			a.mu.Unlock()
			err := out.Encode(map[string]any{"type": e.kind, "object": o})
			if err == nil {
				err = control.Flush()
			}
			a.mu.Lock()
			if err != nil {
				return
			}
		}
		a.more.Wait()
	}
}
