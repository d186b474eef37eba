// Package kubernetes is the runtime.Host of a cluster: a pod for each instance, over the cluster's own API.
//
// # What an instance is
//
// Its record is the ConfigMap bureau-ID, which exists from the first Start to Remove and owns everything else, so that what a crash leaves
// behind goes with it: the pod bureau-ID, the claim bureau-ID of its work directory, the NetworkPolicy bureau-ID, a Secret bureau-ID-GENERATION
// with its environment and its files, and the Secret bureau-ID-log with the output of pods that are gone. The pod has one name for all
// generations, so the cluster itself keeps a second one from being made; one that is being deleted is waited for. Pods are never
// restarted by the cluster: whoever asks the host decides.
//
// # Files
//
// InstanceSpec.Files travel in the Secret, which Kubernetes bounds by 1 MiB together with the environment; more is refused. A Secret that
// is mounted cannot be written by the program and leaves nothing when it changes, so an init container of Bureau's own image copies the
// files into the work directory, deletes those that the generation before was given, and leaves the rest. The work directory is a
// PersistentVolumeClaim. With Config.StorageClass "none" it is an emptyDir instead: what a program writes is then lost with its pod.
//
// # Limits
//
// Memory, CPU and, as ephemeral storage and size of the volumes, disk are the pod's resource limits. Of processes and open files a pod
// cannot say anything: the nodes' own podPidsLimit and container runtime bound them, for all pods alike.
//
// # Network
//
// A NetworkPolicy lets nothing in but what Config.DialPods needs. Without a network it lets nothing out; with a public one the cluster's DNS
// and every address that is not private. A policy knows addresses and not names, so NetworkLimited is ErrIsolation. Policies are kept by
// the cluster's network plugin, and a plugin that knows none ignores them without a word: nothing here can find that out.
package kubernetes
