package kubernetes

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bureau-agents/bureau/ports/runtime"
)

var (
	began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	over  = began.Add(time.Minute)
)

func terminated(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, StartedAt: metav1.NewTime(began), FinishedAt: metav1.NewTime(over),
	}}
}

func waitingFor(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// The states that clusters report, by the fields that their nodes set.
func TestObserve(t *testing.T) {
	main := func(s corev1.ContainerState) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: container, Image: "an/image:1", State: s}}
	}
	files := func(s corev1.ContainerState) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: filesContainer, Image: "bureau:1", State: s}}
	}
	exited := runtime.Instance{State: runtime.InstanceExited, StartedAt: began, ExitedAt: over}
	with := func(in runtime.Instance, change func(*runtime.Instance)) runtime.Instance {
		change(&in)
		return in
	}
	for name, c := range map[string]struct {
		status corev1.PodStatus
		want   runtime.Instance
		image  bool // it can never be started
	}{
		"new": {corev1.PodStatus{Phase: corev1.PodPending}, runtime.Instance{State: runtime.InstanceStarting}, false},
		"no machine": {
			corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available",
			}}},
			runtime.Instance{State: runtime.InstanceStarting, Reason: "no machine of the cluster takes it: Unschedulable: 0/3 nodes are available"}, false,
		},
		"is made": {
			corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: main(waitingFor("PodInitializing", ""))},
			runtime.Instance{State: runtime.InstanceStarting}, false,
		},
		"pulled once in vain": {
			corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: main(waitingFor("ErrImagePull", "not found"))},
			runtime.Instance{State: runtime.InstanceStarting, Reason: "ErrImagePull: not found"}, false,
		},
		"no such image": {
			corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: main(waitingFor("ImagePullBackOff", "Back-off pulling image"))},
			runtime.Instance{State: runtime.InstanceStarting, Reason: "ImagePullBackOff: Back-off pulling image"}, true,
		},
		"an image that is root's": {
			corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: main(waitingFor("CreateContainerConfigError", "runs as root"))},
			runtime.Instance{State: runtime.InstanceStarting, Reason: "CreateContainerConfigError: runs as root"}, true,
		},
		"no such program": {
			corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: main(terminated(128, "StartError", "exec: no such file"))},
			with(exited, func(in *runtime.Instance) { in.Code, in.Reason = 128, "StartError: exec: no such file" }), true,
		},
		"files not written": {
			corev1.PodStatus{Phase: corev1.PodFailed, InitContainerStatuses: files(terminated(1, "Error", "no space left"))},
			runtime.Instance{State: runtime.InstanceExited, ExitedAt: over, Code: 1, Reason: "its files could not be written: Error: no space left"}, false,
		},
		"runs": {
			corev1.PodStatus{
				Phase: corev1.PodRunning, InitContainerStatuses: files(terminated(0, "Completed", "")),
				ContainerStatuses: main(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}),
			},
			runtime.Instance{State: runtime.InstanceRunning, StartedAt: began}, false,
		},
		"done":   {corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: main(terminated(0, "Completed", ""))}, exited, false},
		"failed": {corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: main(terminated(3, "Error", ""))}, with(exited, func(in *runtime.Instance) { in.Code = 3 }), false},
		"killed": {corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: main(terminated(137, "Error", ""))}, with(exited, func(in *runtime.Instance) { in.Code = -1 }), false},
		"255":    {corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: main(terminated(255, "Error", ""))}, with(exited, func(in *runtime.Instance) { in.Code = 255 }), false},
		"too much memory": {
			corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: main(terminated(137, "OOMKilled", ""))},
			with(exited, func(in *runtime.Instance) { in.Code, in.Memory, in.Reason = -1, true, "OOMKilled" }), false,
		},
		"evicted while it ran": {
			corev1.PodStatus{
				Phase: corev1.PodFailed, Reason: "Evicted", Message: "Pod ephemeral local storage usage exceeds the total limit",
				ContainerStatuses: main(terminated(137, "Error", "")),
			},
			with(exited, func(in *runtime.Instance) {
				in.Code, in.Reason = -1, "Evicted: Pod ephemeral local storage usage exceeds the total limit"
			}), false,
		},
		"refused by its machine": {
			corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfcpu", Message: "Node didn't have enough resource"},
			runtime.Instance{
				State: runtime.InstanceExited, ExitedAt: began, Code: -1, Reason: "the cluster ended it: OutOfcpu: Node didn't have enough resource",
			}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{Status: c.status}
			p.CreationTimestamp = metav1.NewTime(began)
			p.Labels = map[string]string{instanceLabel: "a", generationLabel: "7"}
			c.want.ID, c.want.Generation = "a", 7
			if diff := cmp.Diff(c.want, observe(p)); diff != "" {
				t.Error(diff)
			}
			if err := imageFault(p); c.image != errors.Is(err, runtime.ErrImage) {
				t.Errorf("of its image: %v", err)
			}
		})
	}
}
