package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// record is what is kept of an instance beside its pod, in the ConfigMap that owns all its objects.
type record struct {
	Generation int64     `json:"generation"` // the one that was started last
	Begun      time.Time `json:"begun"`      // when that was, by this machine's clock
	// Made says that its pod was made: one that is not there now has gone.
	Made bool `json:"made,omitempty"`
	// Ended has how the last pod ended, once it is gone.
	Ended *ended `json:"ended,omitempty"`
}

type ended struct {
	Generation int64     `json:"generation"`
	StartedAt  time.Time `json:"started_at"`
	ExitedAt   time.Time `json:"exited_at"`
	Code       int       `json:"code"`
	Memory     bool      `json:"memory,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}

// recordKey is the ConfigMap's key.
const recordKey = "instance.json"

// makingTakes is how long an instance is believed to be in the making whose pod is not there.
const makingTakes = time.Minute

func read(m *corev1.ConfigMap) record {
	var r record
	_ = json.Unmarshal([]byte(m.Data[recordKey]), &r) // what somebody else has spoilt is an instance that ended
	return r
}

// owner reads an instance's record; ErrNoInstance.
func (h *Host) owner(ctx context.Context, id string) (*corev1.ConfigMap, error) {
	if !idRule.MatchString(id) {
		return nil, runtime.ErrNoInstance
	}
	var m corev1.ConfigMap
	found, err := h.api.get(ctx, records, objectName(id), &m)
	if err != nil {
		return nil, err
	}
	if !found || m.Labels[serverLabel] != h.cfg.Server || m.DeletionTimestamp != nil {
		return nil, runtime.ErrNoInstance
	}
	return &m, nil
}

// note writes a record; m is as it was read, or new. It says false when another server has changed it meanwhile.
func (h *Host) note(ctx context.Context, m *corev1.ConfigMap, r record) (bool, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	m.Data = map[string]string{recordKey: string(text)}
	if m.UID != "" {
		return h.api.replace(ctx, records, m.Name, m, m)
	}
	made, err := h.api.create(ctx, records, m, m)
	if made || err != nil {
		return made, err
	}
	var other corev1.ConfigMap
	if found, err := h.api.get(ctx, records, m.Name, &other); err != nil || !found {
		return false, err
	}
	if other.Labels[serverLabel] != h.cfg.Server || other.Labels[instanceLabel] != m.Labels[instanceLabel] {
		return false, errForeign.Withf("the cluster has a ConfigMap %s that is not this server's", m.Name)
	}
	return false, nil
}

// update changes a record.
func (h *Host) update(ctx context.Context, id string, change func(*record)) error {
	for {
		m, err := h.owner(ctx, id)
		if err != nil {
			return err
		}
		r := read(m)
		change(&r)
		if done, err := h.note(ctx, m, r); done || err != nil {
			return err
		}
	}
}

// instance says how an instance is. p is nil when it has no pod.
func instance(id string, r record, p *corev1.Pod) runtime.Instance {
	switch {
	case p != nil:
		return observe(p)
	case r.Ended != nil:
		e := r.Ended
		return runtime.Instance{
			ID: id, Generation: e.Generation, State: runtime.InstanceExited, StartedAt: e.StartedAt, ExitedAt: e.ExitedAt, Code: e.Code,
			Memory: e.Memory, Reason: e.Reason,
		}
	case !r.Made && time.Since(r.Begun) < makingTakes:
		return runtime.Instance{ID: id, Generation: r.Generation, State: runtime.InstanceStarting}
	default:
		return runtime.Instance{
			ID: id, Generation: r.Generation, State: runtime.InstanceExited, ExitedAt: r.Begun.UTC(), Code: -1, Reason: gone,
		}
	}
}

// endOf describes the end of a pod that was deleted, by the last that the cluster has said of it.
func endOf(p *corev1.Pod, now time.Time) *ended {
	in := observe(p)
	e := &ended{Generation: in.Generation, StartedAt: in.StartedAt, ExitedAt: in.ExitedAt, Code: in.Code, Memory: in.Memory, Reason: in.Reason}
	if in.State != runtime.InstanceExited {
		e.Code, e.ExitedAt = -1, now.UTC().Truncate(time.Second)
	}
	return e
}
