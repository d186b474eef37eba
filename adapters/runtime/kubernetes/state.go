package kubernetes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bureau-agents/bureau/ports/runtime"
)

func asStatus(err error, to *apierrors.APIStatus) bool { return errors.As(err, to) }

// gone is how an instance ended whose pod nobody of this host has deleted.
const gone = "its pod is gone"

// active says whether a pod's program runs or may yet.
func active(p *corev1.Pod) bool {
	return p != nil && observe(p).State != runtime.InstanceExited
}

// status returns the state of a container by its name; nil when the cluster has not said anything of it.
func status(list []corev1.ContainerStatus, name string) *corev1.ContainerState {
	for i := range list {
		if list[i].Name == name {
			return &list[i].State
		}
	}
	return nil
}

// observe reads a pod's state.
func observe(p *corev1.Pod) runtime.Instance {
	generation, _ := strconv.ParseInt(p.Labels[generationLabel], 10, 64) // ours is always a number
	in := runtime.Instance{ID: p.Labels[instanceLabel], Generation: generation, State: runtime.InstanceStarting}
	if files := status(p.Status.InitContainerStatuses, filesContainer); files != nil && files.Terminated != nil && files.Terminated.ExitCode != 0 {
		t := files.Terminated
		in.State, in.ExitedAt, in.Code = runtime.InstanceExited, stored(t.FinishedAt.Time), code(t)
		in.Memory, in.Reason = t.Reason == oomKilled, words("its files could not be written", t.Reason, t.Message)
		return in
	}
	switch s := status(p.Status.ContainerStatuses, container); {
	case s != nil && s.Terminated != nil:
		t := s.Terminated
		in.State, in.StartedAt, in.ExitedAt = runtime.InstanceExited, stored(t.StartedAt.Time), stored(t.FinishedAt.Time)
		in.Code, in.Memory = code(t), t.Reason == oomKilled
		if t.Reason != "Completed" && t.Reason != "Error" {
			in.Reason = words("", t.Reason, t.Message)
		}
		if p.Status.Reason != "" { // as of a pod that the node has evicted
			in.Reason = words("", p.Status.Reason, p.Status.Message)
		}
		return in
	case p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded:
		in.State, in.Code, in.Reason = runtime.InstanceExited, -1, words("the cluster ended it", p.Status.Reason, p.Status.Message)
		in.ExitedAt = p.CreationTimestamp.Time.UTC()
		return in
	case s != nil && s.Running != nil:
		in.State, in.StartedAt = runtime.InstanceRunning, stored(s.Running.StartedAt.Time)
		return in
	}
	in.Reason = waiting(p)
	return in
}

const oomKilled = "OOMKilled"

func stored(t time.Time) time.Time {
	if t.Unix() <= 0 { // what was never started
		return time.Time{}
	}
	return t.UTC()
}

// code is an exit status; nodes report 128 and the signal's number of what a signal has killed.
func code(t *corev1.ContainerStateTerminated) int {
	if t.Signal != 0 || t.ExitCode > 128 && t.ExitCode <= 128+64 {
		return -1
	}
	return int(t.ExitCode)
}

// words joins what is known, for people.
func words(parts ...string) string {
	var known []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			known = append(known, part)
		}
	}
	text := strings.Join(known, ": ")
	if len(text) > 500 {
		text = text[:497] + "..."
	}
	return strings.ToValidUTF8(text, "")
}

// waiting says what a pod waits for.
func waiting(p *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range list {
			if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
				return words(w.Reason, w.Message)
			}
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return words("no machine of the cluster takes it", c.Reason, c.Message)
		}
	}
	return ""
}

// imageFault returns why a pod's program can never be started; nil while it may.
func imageFault(p *corev1.Pod) error {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range list {
			if w := s.State.Waiting; w != nil {
				switch w.Reason {
				// A first ErrImagePull is tried again by the node, and becomes ImagePullBackOff.
				case "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "CreateContainerConfigError",
					"CreateContainerError", "RunContainerError":
					return runtime.ErrImage.Withf("the image %s cannot be started: %s", s.Image, words(w.Reason, w.Message))
				}
			}
			if t := s.State.Terminated; t != nil {
				switch t.Reason {
				case "StartError", "ContainerCannotRun":
					return runtime.ErrImage.Withf("the program of %s cannot be started: %s", s.Image, words(t.Message))
				}
			}
		}
	}
	return nil
}

// notStarted is the error of a pod that did not come to run.
func notStarted(p *corev1.Pod) error {
	reason := "its pod was deleted"
	if p != nil {
		in := observe(p)
		if reason = in.Reason; reason == "" {
			reason = fmt.Sprintf("its pod is %s", p.Status.Phase)
		}
	}
	return errCluster.Withf("the agent's pod did not start: %s", reason)
}
