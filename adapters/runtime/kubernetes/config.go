package kubernetes

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// NoStorage is the StorageClass that keeps no files.
const NoStorage = "none"

// Config says which cluster is used, and how.
type Config struct {
	// Kubeconfig is the file that says where the cluster is; "" is the cluster that the server itself runs in. Context is one of its
	// contexts, "" its current one.
	Kubeconfig, Context string
	// Namespace has everything that the host makes; "" is the kubeconfig's, or the server's own.
	Namespace string
	// Server tells this installation's instances from those of others in the namespace, [a-z0-9-]{1,40}; "" is "bureau". All replicas of
	// one server have the same.
	Server string
	// Image is the reference of Bureau's own image, which the cluster pulls. Required: it writes each instance's files, and runs those
	// without an image of their own.
	Image string
	// PullSecrets are Secrets of the namespace that images are pulled with.
	PullSecrets []string
	// StorageClass is that of the claims of work directories; "" is the cluster's default, NoStorage an emptyDir.
	StorageClass string
	// RuntimeClass of the pods, such as one of gVisor; "" is the cluster's default.
	RuntimeClass string
	// DialPods connects to pods' own addresses, which is faster and only works where the server runs in the cluster and programs listen
	// on all addresses. Otherwise connections go through the cluster's API.
	DialPods bool
	// ServerLabels are labels of the server's own pods, which DialPods lets in; required with it.
	ServerLabels map[string]string
	// Limits are those of instances that say none; zero fields are the port's defaults.
	Limits runtime.InstanceLimits
	// StartTimeout is how long a pod may take until its program runs: to be placed, to get its volume, to pull its image. 0 is 2 minutes.
	StartTimeout time.Duration
	// Logger gets what the cluster warns of; nil is slog's default.
	Logger *slog.Logger
	// REST is the connection to use instead of Kubeconfig, for whoever has one already.
	REST *rest.Config
}

var serverName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// inClusterNamespace is where a pod finds the name of its namespace.
const inClusterNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// resolve returns c with defaults, and how the cluster is reached.
func (c Config) resolve() (Config, *rest.Config, error) {
	c.Server = cmp.Or(c.Server, "bureau")
	c.StartTimeout = cmp.Or(c.StartTimeout, 2*time.Minute)
	c.Limits.Limits = c.Limits.WithDefaults(runtime.Limits{Memory: runtime.DefaultInstanceMemory})
	c.Limits.CPU = cmp.Or(c.Limits.CPU, runtime.DefaultCPU)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	switch {
	case c.Image == "":
		return c, nil, errors.New("kubernetes: Config.Image is required")
	case !serverName.MatchString(c.Server):
		return c, nil, fmt.Errorf("kubernetes: Config.Server %q is not [a-z0-9-]{1,40}", c.Server)
	case c.DialPods && len(c.ServerLabels) == 0:
		return c, nil, errors.New("kubernetes: Config.ServerLabels are required with DialPods")
	case c.StartTimeout < 0 || c.Limits.Memory < 0 || c.Limits.Disk < 0 || c.Limits.CPU < 0:
		return c, nil, errors.New("kubernetes: Config.StartTimeout or Limits are negative")
	}
	namespace := "default"
	api := c.REST
	switch {
	case api != nil:
		api = rest.CopyConfig(api)
	case c.Kubeconfig == "":
		var err error
		if api, err = rest.InClusterConfig(); err != nil {
			return c, nil, fmt.Errorf("kubernetes: no kubeconfig is given, and this is no pod: %w", err)
		}
		if b, err := os.ReadFile(inClusterNamespace); err == nil {
			namespace = string(b)
		}
	default:
		loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
		var err error
		if api, err = loaded.ClientConfig(); err != nil {
			return c, nil, fmt.Errorf("kubernetes: %w", err)
		}
		if namespace, _, err = loaded.Namespace(); err != nil {
			return c, nil, fmt.Errorf("kubernetes: %w", err)
		}
	}
	c.Namespace = cmp.Or(c.Namespace, namespace)
	return c, api, nil
}
