package app

import (
	"cmp"

	"github.com/bureau-agents/bureau/adapters/runtime/kubernetes"
)

// kubernetesHost makes the host of a cluster. Replicas over one database share its instances; a server with a database of its own has
// its own.
func kubernetesHost(cfg Config, own string) (*kubernetes.Host, error) {
	k := cfg.Hosting.Kubernetes
	if cfg.DatabaseURL != "" {
		own = "bureau"
	}
	return kubernetes.New(kubernetes.Config{
		Kubeconfig: k.Kubeconfig, Context: k.Context, Namespace: k.Namespace, Server: cmp.Or(k.Server, own), Image: k.Image,
		PullSecrets: k.PullSecrets, StorageClass: k.StorageClass, RuntimeClass: k.RuntimeClass,
		DialPods: len(k.DialPods) > 0, ServerLabels: k.DialPods, Limits: cfg.Hosting.Limits, StartTimeout: cfg.Hosting.StartTimeout,
		Logger: cfg.Logger,
	})
}
