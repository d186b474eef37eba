package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/bureau-agents/bureau/adapters/runtime/kubernetes/internal/podfiles"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// errForeign is returned where somebody else has taken the name of an object.
var errForeign = fault.New(fault.Conflict, "instance_foreign", "the cluster has something else of that name")

// replaceGrace is what a program gets to end by itself when another generation takes its place.
const replaceGrace = 5 * time.Second

// Host runs instances as pods of a cluster. Any number of servers may share the instances of one Config.Server.
type Host struct {
	cfg   Config
	api   *cluster
	locks locks
}

var _ runtime.Host = (*Host)(nil)

// New makes a host; nothing is asked of the cluster yet.
func New(cfg Config) (*Host, error) {
	cfg, api, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	k, err := connect(cfg, api)
	if err != nil {
		return nil, err
	}
	return &Host{cfg: cfg, api: k}, nil
}

// Name implements runtime.Host.
func (h *Host) Name() string { return "kubernetes" }

// Site names the instances that the host has: hosts of one cluster, namespace and Config.Server have the same.
func (h *Host) Site() string { return "kubernetes:" + h.cfg.Namespace + "/" + h.cfg.Server }

// Check says whether the cluster answers, and lets this server see its instances.
func (h *Host) Check(ctx context.Context) error {
	_, err := h.List(ctx)
	return err
}

// Close lets go of connections. Instances go on.
func (h *Host) Close() error {
	h.api.core.Client.CloseIdleConnections()
	return nil
}

// Start implements runtime.Host. It waits until the pod's program runs, at most Config.StartTimeout; an error after that leaves the pod
// to the cluster, which may still start it. One whose image cannot be started is ended.
func (h *Host) Start(ctx context.Context, s runtime.InstanceSpec) (runtime.Instance, error) {
	if err := check(s); err != nil {
		return runtime.Instance{}, err
	}
	if _, err := h.secret(s, nil, nil); err != nil { // before anything is ended for it
		return runtime.Instance{}, err
	}
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	p, err := h.begin(ctx, s)
	if err != nil {
		return runtime.Instance{}, err
	}
	return h.started(ctx, s, p)
}

// begin makes the pod of an instance, or finds it.
func (h *Host) begin(ctx context.Context, s runtime.InstanceSpec) (*corev1.Pod, error) {
	unlock, err := h.locks.lock(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for {
		p, err := h.podOf(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		if p != nil && p.DeletionTimestamp == nil && active(p) && p.Labels[generationLabel] == strconv.FormatInt(s.Generation, 10) {
			return p, nil
		}
		owner, err := h.owner(ctx, s.ID)
		if err != nil && !errors.Is(err, runtime.ErrNoInstance) {
			return nil, err
		}
		if p != nil {
			if _, err := h.end(ctx, owner, p, replaceGrace); err != nil {
				return nil, err
			}
		}
		var before record
		if owner == nil {
			owner = &corev1.ConfigMap{ObjectMeta: h.meta(s.ID, objectName(s.ID), nil)}
		} else {
			before = read(owner)
		}
		noted, err := h.note(ctx, owner, record{Generation: s.Generation, Begun: time.Now()})
		if err != nil {
			return nil, err
		}
		if !noted {
			continue
		}
		made, err := h.make(ctx, s, before.Generation, owner)
		if err != nil {
			return nil, err
		}
		if made != nil {
			return made, h.update(ctx, s.ID, func(r *record) { r.Made = r.Made || r.Generation == s.Generation })
		}
	}
}

// make makes the objects of an instance whose earlier pod is gone. It returns nil when another server has made a pod meanwhile.
func (h *Host) make(ctx context.Context, s runtime.InstanceSpec, before int64, owner *corev1.ConfigMap) (*corev1.Pod, error) {
	var old []string
	if before != 0 {
		var err error
		if old, err = h.given(ctx, s.ID, before); err != nil {
			return nil, err
		}
	}
	secret, err := h.secret(s, old, owner)
	if err != nil {
		return nil, err
	}
	if err := h.api.put(ctx, secrets, secret.Name, secret, &corev1.Secret{}); err != nil {
		return nil, err
	}
	if before != 0 && before != s.Generation {
		if err := h.api.remove(ctx, secrets, secretName(s.ID, before), "", nil); err != nil {
			return nil, err
		}
	}
	policy := h.policy(s, owner)
	if err := h.api.put(ctx, policies, policy.Name, policy, &networkingv1.NetworkPolicy{}); err != nil {
		return nil, err
	}
	if h.cfg.StorageClass != NoStorage {
		if _, err := h.api.create(ctx, claims, h.claim(s, owner), &corev1.PersistentVolumeClaim{}); err != nil {
			return nil, err
		}
	}
	var p corev1.Pod
	if made, err := h.api.create(ctx, pods, h.pod(s, owner), &p); !made || err != nil {
		return nil, err
	}
	return &p, nil
}

// given returns the files that generations until this one were given.
func (h *Host) given(ctx context.Context, id string, generation int64) ([]string, error) {
	var s corev1.Secret
	found, err := h.api.get(ctx, secrets, secretName(id, generation), &s)
	if !found || err != nil {
		return nil, err
	}
	var m podfiles.Manifest
	if err := json.Unmarshal(s.Data[podfiles.ManifestName], &m); err != nil {
		return nil, nil //nolint:nilerr // what somebody has spoilt is as good as gone
	}
	// Those to delete may not have been deleted yet.
	return append(slices.Sorted(maps.Keys(m.Files)), m.Delete...), nil
}

// started waits until a pod's program has been started.
func (h *Host) started(ctx context.Context, s runtime.InstanceSpec, p *corev1.Pod) (runtime.Instance, error) {
	wait, cancel := context.WithTimeout(ctx, h.cfg.StartTimeout)
	defer cancel()
	uid := p.UID
	err := h.api.await(wait, pods, p.Name, func(o k8sruntime.Object) bool {
		now, ok := o.(*corev1.Pod)
		if !ok || now.UID != uid || now.DeletionTimestamp != nil {
			p = nil
			return true
		}
		p = now
		return observe(p).State != runtime.InstanceStarting || imageFault(p) != nil
	})
	switch {
	case ctx.Err() != nil:
		return runtime.Instance{}, ctx.Err()
	case err != nil && wait.Err() == nil:
		return runtime.Instance{}, err
	case p == nil || err != nil:
		return runtime.Instance{}, notStarted(p)
	}
	if refused := imageFault(p); refused != nil {
		return runtime.Instance{}, errors.Join(refused, h.give(ctx, s.ID, p, refused))
	}
	in := observe(p)
	if in.State == runtime.InstanceExited && in.StartedAt.IsZero() { // its files could not be written, or no machine runs it
		return runtime.Instance{}, notStarted(p)
	}
	return in, nil
}

// give gives up a pod that cannot be started, so that the cluster does not try for ever.
func (h *Host) give(ctx context.Context, id string, p *corev1.Pod, why error) error {
	unlock, err := h.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	owner, err := h.owner(ctx, id)
	if err != nil {
		return err
	}
	if _, err := h.end(ctx, owner, p, 0); err != nil {
		return err
	}
	e := endOf(p, time.Now())
	if f, ok := fault.As(why); ok {
		e.Code, e.Reason = -1, f.Message
	}
	return h.update(ctx, id, func(r *record) { r.Ended = e })
}

// podOf reads an instance's pod; nil when it has none.
func (h *Host) podOf(ctx context.Context, id string) (*corev1.Pod, error) {
	var p corev1.Pod
	found, err := h.api.get(ctx, pods, objectName(id), &p)
	if !found || err != nil {
		return nil, err
	}
	if p.Labels[serverLabel] != h.cfg.Server {
		return nil, errForeign.Withf("the cluster has a pod %s that is not this server's", p.Name)
	}
	return &p, nil
}

// end deletes a pod, waits until nothing of it runs, and keeps its log. It returns the last that was known of it.
func (h *Host) end(ctx context.Context, owner *corev1.ConfigMap, p *corev1.Pod, grace time.Duration) (*corev1.Pod, error) {
	collected := h.collect(ctx, p)
	defer collected.stop()
	if !active(p) {
		collected.wait() // a pod that has ended takes its log with it
	}
	if err := h.api.remove(ctx, pods, p.Name, p.UID, &grace); err != nil {
		return nil, err
	}
	last := p
	err := h.api.await(ctx, pods, p.Name, func(o k8sruntime.Object) bool {
		now, ok := o.(*corev1.Pod)
		if !ok || now.UID != p.UID {
			return true
		}
		last = now
		return false
	})
	if err != nil {
		return nil, err
	}
	h.keep(ctx, owner, p, collected.wait())
	return last, nil
}

// Stop implements runtime.Host. A pod that has ended stays as it is, one that runs is deleted; its log and its end are kept.
func (h *Host) Stop(ctx context.Context, id string, grace time.Duration) error {
	unlock, err := h.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	owner, err := h.owner(ctx, id)
	if err != nil {
		return err
	}
	p, err := h.podOf(ctx, id)
	if p == nil || err != nil {
		return err
	}
	if !active(p) && p.DeletionTimestamp == nil {
		return nil
	}
	last, err := h.end(ctx, owner, p, grace)
	if err != nil {
		return err
	}
	e := endOf(last, time.Now())
	return h.update(ctx, id, func(r *record) { r.Ended = e })
}

// Remove implements runtime.Host.
func (h *Host) Remove(ctx context.Context, id string) error {
	unlock, err := h.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	owner, err := h.owner(ctx, id)
	if errors.Is(err, runtime.ErrNoInstance) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := h.podOf(ctx, id)
	if err != nil {
		return err
	}
	if p != nil {
		none := time.Duration(0)
		if err := h.api.remove(ctx, pods, p.Name, p.UID, &none); err != nil {
			return err
		}
		err := h.api.await(ctx, pods, p.Name, func(o k8sruntime.Object) bool {
			now, ok := o.(*corev1.Pod)
			return !ok || now.UID != p.UID
		})
		if err != nil {
			return err
		}
	}
	name := objectName(id)
	if h.cfg.StorageClass != NoStorage {
		if err := h.api.remove(ctx, claims, name, "", nil); err != nil {
			return err
		}
		// The cluster keeps a claim until it has seen that no pod uses it. A successor must not find it.
		err := h.api.await(ctx, claims, name, func(o k8sruntime.Object) bool { return o == nil })
		if err != nil {
			return err
		}
	}
	for _, o := range []struct{ resource, name string }{
		{secrets, secretName(id, read(owner).Generation)},
		{secrets, logName(id)}, {policies, name},
		{records, name}, // last: while it is there, the rest is found
	} {
		if err := h.api.remove(ctx, o.resource, o.name, "", nil); err != nil {
			return err
		}
	}
	return nil
}

// Inspect implements runtime.Host.
func (h *Host) Inspect(ctx context.Context, id string) (runtime.Instance, error) {
	owner, err := h.owner(ctx, id)
	if err != nil {
		return runtime.Instance{}, err
	}
	p, err := h.podOf(ctx, id)
	if err != nil {
		return runtime.Instance{}, err
	}
	if p == nil {
		// It may have ended between the two, and its end been noted.
		if owner, err = h.owner(ctx, id); err != nil {
			return runtime.Instance{}, err
		}
	}
	return instance(id, read(owner), p), nil
}

// List implements runtime.Host.
func (h *Host) List(ctx context.Context) ([]runtime.Instance, error) {
	selector := managedByLabel + "=" + managedBy + "," + serverLabel + "=" + h.cfg.Server
	// Pods first: the record of one that is being made is there before it, and the end of one is noted after it.
	var running corev1.PodList
	if err := h.api.list(ctx, pods, selector, &running); err != nil {
		return nil, err
	}
	var known corev1.ConfigMapList
	if err := h.api.list(ctx, records, selector, &known); err != nil {
		return nil, err
	}
	of := make(map[string]*corev1.Pod, len(running.Items))
	for i := range running.Items {
		of[running.Items[i].Labels[instanceLabel]] = &running.Items[i]
	}
	list := make([]runtime.Instance, 0, len(known.Items))
	for i := range known.Items {
		m := &known.Items[i]
		if m.DeletionTimestamp != nil {
			continue
		}
		id := m.Labels[instanceLabel]
		list = append(list, instance(id, read(m), of[id]))
	}
	return list, nil
}

// locks let one call at a time change an instance. Other servers are kept apart by the names of the cluster's objects.
type locks struct {
	mu   sync.Mutex
	held map[string]*waiters
}

type waiters struct {
	turn chan struct{}
	n    int
}

func (l *locks) lock(ctx context.Context, id string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*waiters{}
	}
	w := l.held[id]
	if w == nil {
		w = &waiters{turn: make(chan struct{}, 1)}
		l.held[id] = w
	}
	w.n++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if w.n--; w.n == 0 {
			delete(l.held, id)
		}
	}
	select {
	case w.turn <- struct{}{}:
		return func() { <-w.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
