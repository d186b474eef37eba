package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	yaml "go.yaml.in/yaml/v3"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clusterDir is where scripts/kubernetes.sh has a real API server; its admin may do everything.
var clusterDir = flag.String("cluster", "", "directory of a running API server, as scripts/kubernetes.sh prints it; empty is the API server of the tests")

// example is what operators are shown: the host acts as its service account, with the rights of its role.
const example = "../../../docs/kubernetes.yaml"

// apis are the paths of what the tests and the example make.
var apis = map[string]string{
	"Namespace":      "/api/v1/namespaces",
	"Node":           "/api/v1/nodes",
	"Service":        "/api/v1/namespaces/%s/services",
	"ServiceAccount": "/api/v1/namespaces/%s/serviceaccounts",
	"Role":           "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"RoleBinding":    "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"Deployment":     "/apis/apps/v1/namespaces/%s/deployments",
	"APIService":     "/apis/apiregistration.k8s.io/v1/apiservices",

	"PersistentVolumeClaim": "/api/v1/namespaces/%s/persistentvolumeclaims",
}

// admin does what an operator does with kubectl.
type admin struct {
	t      *testing.T
	config *rest.Config
	client *http.Client
}

func newAdmin(t *testing.T) *admin {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(*clusterDir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return &admin{t, config, client}
}

// do sends an object; the API refuses fields that it does not know.
func (a *admin) do(method, path string, object any) (map[string]any, int) {
	a.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, a.config.Host+path, bytes.NewReader(text))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	var o map[string]any
	text, _ = io.ReadAll(res.Body)
	_ = json.Unmarshal(text, &o)
	return o, res.StatusCode
}

// make makes an object that must be right.
func (a *admin) make(namespace string, object map[string]any) map[string]any {
	a.t.Helper()
	kind, _ := object["kind"].(string)
	path, ok := apis[kind]
	if !ok {
		a.t.Fatalf("the tests do not know the kind %q", kind)
	}
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, namespace)
	}
	o, code := a.do(http.MethodPost, path+"?fieldValidation=Strict", object)
	if code != http.StatusCreated {
		a.t.Fatalf("%s: %d %v", kind, code, o["message"])
	}
	return o
}

type object = map[string]any

var worlds atomic.Int64

// realWorld makes a namespace as the example says, with a node of its own.
func realWorld(t *testing.T, images map[string]string, cfg Config) (*Host, *kubelet) {
	t.Helper()
	a := newAdmin(t)
	cfg.Namespace = fmt.Sprintf("test-%d-%d", os.Getpid(), worlds.Add(1))
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("namespace: bureau\n"), []byte("namespace: "+cfg.Namespace+"\n"))
	account := ""
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o map[string]any
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		m := o["metadata"].(map[string]any)
		switch o["kind"] {
		case "Namespace":
			m["name"] = cfg.Namespace
		case "ServiceAccount":
			account = m["name"].(string)
		}
		a.make(cfg.Namespace, o)
	}
	t.Cleanup(func() { a.do(http.MethodDelete, "/api/v1/namespaces/"+cfg.Namespace, object{}) })
	// What the cluster's controllers would make.
	a.make(cfg.Namespace, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}})
	token, code := a.do(http.MethodPost, fmt.Sprintf(apis["ServiceAccount"], cfg.Namespace)+"/"+account+"/token",
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{"expirationSeconds": 3600}})
	if code != http.StatusCreated {
		t.Fatalf("the token: %v", token)
	}
	cfg.REST = rest.AnonymousClientConfig(a.config)
	cfg.REST.BearerToken = token["status"].(map[string]any)["token"].(string)
	h := newHost(t, cfg)

	api, err := connect(cfg, rest.CopyConfig(a.config))
	if err != nil {
		t.Fatal(err)
	}
	node := "node-" + cfg.Namespace
	k := startKubelet(t, api, node, images)
	_, port, _ := net.SplitHostPort(k.server.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	o := a.make("", object{"apiVersion": "v1", "kind": "Node", "metadata": object{"name": node}})
	o["status"] = object{
		"addresses":       []any{object{"type": "InternalIP", "address": "127.0.0.1"}},
		"daemonEndpoints": object{"kubeletEndpoint": object{"Port": n}},
	}
	if o, code := a.do(http.MethodPut, apis["Node"]+"/"+node+"/status", o); code != http.StatusOK {
		t.Fatalf("the node: %v", o["message"])
	}
	t.Cleanup(func() { a.do(http.MethodDelete, apis["Node"]+"/"+node, object{}) })
	meter(a, cfg.Namespace, k)
	return h, k
}

// meters is the metrics server of all nodes of the tests.
var meters struct {
	once sync.Once
	of   sync.Map // namespace: *kubelet
}

func meter(a *admin, namespace string, k *kubelet) {
	meters.of.Store(namespace, k)
	meters.once.Do(func() {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": []any{
				object{"name": "pods", "namespaced": true, "kind": "PodMetrics", "verbs": []any{"get"}},
			}})
		})
		mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{pod}", func(w http.ResponseWriter, r *http.Request) {
			of, ok := meters.of.Load(r.PathValue("namespace"))
			if !ok {
				http.NotFound(w, r)
				return
			}
			of.(*kubelet).metrics(w, r)
		})
		server := httptest.NewTLSServer(mux) // of all tests: it goes with the process
		_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
		n, _ := strconv.Atoi(port)
		name := fmt.Sprintf("metrics-%d", os.Getpid())
		a.make("default", object{
			"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name},
			"spec": object{"type": "ExternalName", "externalName": "localhost", "ports": []any{object{"port": n}}},
		})
		a.do(http.MethodDelete, apis["APIService"]+"/v1beta1.metrics.k8s.io", object{})
		a.make("", object{
			"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": object{"name": "v1beta1.metrics.k8s.io"},
			"spec": object{
				"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
				"insecureSkipTLSVerify": true, "service": object{"name": name, "namespace": "default", "port": n},
			},
		})
		deadline := time.NewTimer(time.Minute)
		defer deadline.Stop()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, code := a.do(http.MethodGet, "/apis/metrics.k8s.io/v1beta1", nil); code == http.StatusOK {
				return
			}
			select {
			case <-tick.C:
			case <-deadline.C:
				a.t.Fatal("the API never passes questions on to the metrics server")
			}
		}
	})
}
