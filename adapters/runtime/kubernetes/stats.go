package kubernetes

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// ErrNotMeasured is returned by Stats where the cluster measures no pods, or has not measured this one yet.
var ErrNotMeasured = fault.New(fault.Unsupported, "instance_not_measured", "the cluster does not measure this instance")

// podMetrics is what metrics.k8s.io says of a pod.
type podMetrics struct {
	Timestamp  time.Time `json:"timestamp"`
	Containers []struct {
		Name  string                       `json:"name"`
		Usage map[string]resource.Quantity `json:"usage"`
	} `json:"containers"`
}

// Stats implements runtime.Host by metrics.k8s.io, which measures about every 15 seconds and does not count processes: Processes is 0.
// ErrNotMeasured where the cluster has no metrics server, and in a pod's first moments.
func (h *Host) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	p, err := h.running(ctx, id)
	if err != nil {
		return runtime.Stats{}, err
	}
	text, err := h.api.core.Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", h.api.namespace, pods, p.Name).
		SetHeader("Accept", "application/json").Do(ctx).Raw()
	if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
		return runtime.Stats{}, ErrNotMeasured.Wrap(err)
	}
	if err != nil {
		return runtime.Stats{}, clusterError(err)
	}
	var m podMetrics
	if err := json.Unmarshal(text, &m); err != nil {
		return runtime.Stats{}, errCluster.Wrap(err)
	}
	for _, c := range m.Containers {
		if c.Name != container {
			continue
		}
		memory, cpu := c.Usage[string(corev1.ResourceMemory)], c.Usage[string(corev1.ResourceCPU)]
		s := runtime.Stats{Memory: memory.Value(), CPUPercent: cpu.AsApproximateFloat64() * 100, At: m.Timestamp.UTC()}
		if limit, ok := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]; ok {
			s.MemoryLimit = limit.Value()
		}
		return s, nil
	}
	return runtime.Stats{}, ErrNotMeasured
}

// running returns the pod of a running instance; ErrNoInstance, ErrNotRunning.
func (h *Host) running(ctx context.Context, id string) (*corev1.Pod, error) {
	if _, err := h.owner(ctx, id); err != nil {
		return nil, err
	}
	p, err := h.podOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if p == nil || observe(p).State != runtime.InstanceRunning {
		return nil, runtime.ErrNotRunning
	}
	return p, nil
}
