package kubernetes

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/bureau-agents/bureau/ports/fault"
)

// errCluster is returned for what the cluster's API refuses or fails to do.
var errCluster = fault.New(fault.Unavailable, "cluster_unavailable", "the cluster cannot do that now")

// cluster speaks to one namespace with the groups that are needed, because client-go's set of all of them costs 16 MB of idle memory.
type cluster struct {
	config    *rest.Config
	core, net *rest.RESTClient
	codec     runtime.ParameterCodec
	namespace string
}

func connect(c Config, api *rest.Config) (*cluster, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	api.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	api.UserAgent = "bureau"
	api.QPS = -1 // the API has its own priorities; a limit of the client's would queue a hundred starts behind one another
	api.WarningHandlerWithContext = warnings{c.Logger}
	client, err := rest.HTTPClientFor(api)
	if err != nil {
		return nil, err
	}
	k := &cluster{config: api, codec: runtime.NewParameterCodec(scheme), namespace: c.Namespace}
	for _, group := range []struct {
		to   **rest.RESTClient
		path string
	}{{&k.core, "/api"}, {&k.net, "/apis"}} {
		cfg := rest.CopyConfig(api)
		cfg.APIPath, cfg.GroupVersion = group.path, &corev1.SchemeGroupVersion
		if group.to == &k.net {
			cfg.GroupVersion = &networkingv1.SchemeGroupVersion
		}
		if *group.to, err = rest.RESTClientForConfigAndClient(cfg, client); err != nil {
			return nil, err
		}
	}
	return k, nil
}

type warnings struct{ log *slog.Logger }

func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, text string) {
	if code == 299 && text != "" {
		w.log.WarnContext(ctx, "the cluster warns", slog.String("warning", text))
	}
}

// The resources.
const (
	pods     = "pods"
	secrets  = "secrets"
	records  = "configmaps"
	claims   = "persistentvolumeclaims"
	policies = "networkpolicies"
)

func (k *cluster) client(resource string) *rest.RESTClient {
	if resource == policies {
		return k.net
	}
	return k.core
}

// get reads an object; false when it is not there.
func (k *cluster) get(ctx context.Context, resource, name string, into runtime.Object) (bool, error) {
	err := k.client(resource).Get().Namespace(k.namespace).Resource(resource).Name(name).Do(ctx).Into(into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, clusterError(err)
}

// create makes an object; false when one of its name is there already.
func (k *cluster) create(ctx context.Context, resource string, object, into runtime.Object) (bool, error) {
	err := k.client(resource).Post().Namespace(k.namespace).Resource(resource).Body(object).Do(ctx).Into(into)
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, clusterError(err)
}

// replace writes an object over the one of its name. It says false when that is not the version that object was read as, or has gone.
func (k *cluster) replace(ctx context.Context, resource, name string, object, into runtime.Object) (bool, error) {
	err := k.client(resource).Put().Namespace(k.namespace).Resource(resource).Name(name).Body(object).Do(ctx).Into(into)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, clusterError(err)
}

// put makes an object or replaces the one of its name.
func (k *cluster) put(ctx context.Context, resource, name string, object, into runtime.Object) error {
	for {
		if made, err := k.create(ctx, resource, object, into); made || err != nil {
			return err
		}
		if done, err := k.replace(ctx, resource, name, object, into); done || err != nil {
			return err
		}
	}
}

// remove deletes an object, or nothing where it is not there. A pod gets grace to end by itself; uid "" is any.
func (k *cluster) remove(ctx context.Context, resource, name string, uid types.UID, grace *time.Duration) error {
	opts := &metav1.DeleteOptions{}
	if uid != "" {
		opts.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	if grace != nil {
		// Zero seconds would take the pod out of the API while its program still runs.
		seconds := max(1, int64((*grace+time.Second-1)/time.Second))
		opts.GracePeriodSeconds = &seconds
	}
	err := k.client(resource).Delete().Namespace(k.namespace).Resource(resource).Name(name).Body(opts).Do(ctx).Error()
	if apierrors.IsNotFound(err) || uid != "" && apierrors.IsConflict(err) { // another of its name is another's
		return nil
	}
	return clusterError(err)
}

// list reads all objects that have the labels of selector.
func (k *cluster) list(ctx context.Context, resource, selector string, into runtime.Object) error {
	return clusterError(k.client(resource).Get().Namespace(k.namespace).Resource(resource).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, k.codec).Do(ctx).Into(into))
}

// await calls seen with each state of the object called name, nil when it is not there, until seen says that it is enough.
func (k *cluster) await(ctx context.Context, resource, name string, seen func(runtime.Object) bool) error {
	opts := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	for {
		var version string
		var found runtime.Object
		var err error
		switch resource {
		case pods:
			var list corev1.PodList
			err = k.read(ctx, resource, opts, &list)
			if version = list.ResourceVersion; len(list.Items) > 0 {
				found = &list.Items[0]
			}
		case claims:
			var list corev1.PersistentVolumeClaimList
			err = k.read(ctx, resource, opts, &list)
			if version = list.ResourceVersion; len(list.Items) > 0 {
				found = &list.Items[0]
			}
		default:
			var list corev1.ConfigMapList
			err = k.read(ctx, resource, opts, &list)
			if version = list.ResourceVersion; len(list.Items) > 0 {
				found = &list.Items[0]
			}
		}
		if err != nil {
			return err
		}
		if seen(found) {
			return nil
		}
		if done, err := k.follow(ctx, resource, name, version, seen); done || err != nil {
			return err
		}
	}
}

func (k *cluster) read(ctx context.Context, resource string, opts metav1.ListOptions, into runtime.Object) error {
	return clusterError(k.core.Get().Namespace(k.namespace).Resource(resource).VersionedParams(&opts, k.codec).Do(ctx).Into(into))
}

// follow watches from a version on. It says false when the API has ended the watch, as it does after a while.
func (k *cluster) follow(ctx context.Context, resource, name, version string, seen func(runtime.Object) bool) (bool, error) {
	opts := metav1.ListOptions{FieldSelector: "metadata.name=" + name, ResourceVersion: version, Watch: true}
	w, err := k.core.Get().Namespace(k.namespace).Resource(resource).VersionedParams(&opts, k.codec).Watch(ctx)
	if err != nil {
		return false, clusterError(err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case event, ok := <-w.ResultChan():
			if !ok {
				return false, ctx.Err()
			}
			object := event.Object
			switch event.Type {
			case watch.Added, watch.Modified:
			case watch.Deleted:
				// Its last state comes with its end.
				if seen(object) {
					return true, nil
				}
				object = nil
			case watch.Error:
				return false, nil // the version is too old: read again
			default:
				continue
			}
			if seen(object) {
				return true, nil
			}
		}
	}
}

// clusterError keeps the words of the API for the operator's log, away from callers.
func clusterError(err error) error {
	switch status := apierrors.APIStatus(nil); {
	case err == nil:
		return nil
	case asStatus(err, &status) && (status.Status().Code == http.StatusForbidden || status.Status().Code == http.StatusUnauthorized):
		return errCluster.Withf("the server lacks a right in the cluster").Wrap(err)
	default:
		return errCluster.Wrap(err)
	}
}
