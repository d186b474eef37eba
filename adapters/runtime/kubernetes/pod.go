package kubernetes

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/adapters/runtime/kubernetes/internal/podfiles"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// The labels of everything that the host makes.
const (
	labelPrefix     = "bureau-agents.github.io/"
	managedByLabel  = "app.kubernetes.io/managed-by"
	managedBy       = "bureau"
	serverLabel     = labelPrefix + "server"
	instanceLabel   = labelPrefix + "instance"
	generationLabel = labelPrefix + "generation"
)

// The parts of a pod.
const (
	container      = "agent"
	filesContainer = "files"
	filesDir       = "/run/bureau/files"
	user           = 65532                // nobody of any image
	filesMemory    = 128 << 20            // what writes the files is Bureau's binary, which the memory of a small program need not hold
	maxSecret      = corev1.MaxSecretSize // of names and values together
	fileSystem     = 64 << 20             // what a file system takes for itself
	dns            = "kube-dns"           // as the DNS of every cluster is labelled
	systemSpace    = "kube-system"        // where it is
	spaceNameLabel = corev1.LabelMetadataName
)

var (
	idRule    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	labelRule = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)
	envRule   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

var (
	errSpec = fault.New(fault.Invalid, "instance_spec", "the instance cannot be like that")
	errSize = fault.New(fault.TooLarge, "instance_too_large", "the instance has too much text")
)

func check(s runtime.InstanceSpec) error {
	switch {
	case !idRule.MatchString(s.ID):
		return errSpec.Withf("the id %q is not [a-z0-9-]{1,40} with a letter or digit at both ends", s.ID)
	case s.Generation < 1:
		return errSpec.Withf("generations begin with 1")
	case s.Port < 0 || s.Port > 65535:
		return errSpec.Withf("%d is no port", s.Port)
	case s.Limits.Memory < 0 || s.Limits.Disk < 0 || s.Limits.Processes < 0 || s.Limits.CPU < 0 || s.Limits.OpenFiles < 0:
		return errSpec.Withf("a limit is negative")
	}
	for name, value := range s.Labels {
		if !labelRule.MatchString(name) || !labelRule.MatchString(value) {
			return errSpec.Withf("the label %q is not [A-Za-z0-9_.-]{1,63}", name)
		}
	}
	for name := range s.Env {
		if !envRule.MatchString(name) {
			return errSpec.Withf("%q is no name of a variable", name)
		}
	}
	for name := range s.Files {
		if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
			return errSpec.Withf("%q is no path in the work directory", name)
		}
	}
	switch s.Network.Mode {
	case runtime.NetworkNone, runtime.NetworkPublic:
	case runtime.NetworkLimited:
		return runtime.ErrIsolation.Withf("this server runs agents in a cluster, whose network policies know addresses and not host names")
	default:
		return errSpec.Withf("there is no network %q", s.Network.Mode)
	}
	return nil
}

func objectName(id string) string { return "bureau-" + id }

func secretName(id string, generation int64) string {
	return objectName(id) + "-" + strconv.FormatInt(generation, 10)
}

// labels are those of all objects of an instance.
func (h *Host) labels(id string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "bureau-agent", managedByLabel: managedBy, serverLabel: h.cfg.Server, instanceLabel: id,
	}
}

// meta describes an object of an instance; owner goes last of all.
func (h *Host) meta(id, name string, owner *corev1.ConfigMap) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Labels: h.labels(id)}
	if owner != nil {
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	}
	return m
}

// secret has what the pod's program may know. gone are files that earlier generations were given.
func (h *Host) secret(s runtime.InstanceSpec, gone []string, owner *corev1.ConfigMap) (*corev1.Secret, error) {
	m := podfiles.Manifest{Files: make(map[string]string, len(s.Files))}
	data := make(map[string][]byte, len(s.Files)+len(s.Env)+1)
	for i, name := range slices.Sorted(maps.Keys(s.Files)) {
		key := "file-" + strconv.Itoa(i)
		m.Files[name], data[key] = key, s.Files[name]
	}
	for _, name := range gone {
		if _, again := s.Files[name]; !again {
			m.Delete = append(m.Delete, name)
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	data[podfiles.ManifestName] = text
	for i, name := range slices.Sorted(maps.Keys(s.Env)) {
		data[envKey(i)] = []byte(s.Env[name])
	}
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	if size > maxSecret {
		return nil, errSize.Withf("the agent's documents and secrets have %d bytes; a cluster keeps %d bytes for one agent", size, maxSecret)
	}
	meta := h.meta(s.ID, secretName(s.ID, s.Generation), owner)
	return &corev1.Secret{ObjectMeta: meta, Data: data}, nil
}

func envKey(i int) string { return "env-" + strconv.Itoa(i) }

// claim is that of the work directory.
func (h *Host) claim(s runtime.InstanceSpec, owner *corev1.ConfigMap) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: h.meta(s.ID, objectName(s.ID), owner),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: *amount(s.Limits.WithDefaults(h.cfg.Limits.Limits).Disk + fileSystem)},
			},
		},
	}
	if h.cfg.StorageClass != "" {
		c.Spec.StorageClassName = new(h.cfg.StorageClass)
	}
	return c
}

func amount(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.BinarySI) }

func milli(n int) *resource.Quantity { return resource.NewMilliQuantity(int64(n), resource.DecimalSI) }

// private are the addresses that are no public ones: special ones, those of a cluster's pods and services, and its machines.
var (
	private4 = []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	}
	private6 = []string{"::1/128", "::ffff:0:0/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8"}
)

// policy says whom the pod talks with.
func (h *Host) policy(s runtime.InstanceSpec, owner *corev1.ConfigMap) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		ObjectMeta: h.meta(s.ID, objectName(s.ID), owner),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{serverLabel: h.cfg.Server, instanceLabel: s.ID}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}
	port := func(protocol corev1.Protocol, n int) networkingv1.NetworkPolicyPort {
		return networkingv1.NetworkPolicyPort{Protocol: new(protocol), Port: new(intstr.FromInt32(int32(n)))}
	}
	if h.cfg.DialPods {
		p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
			From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: h.cfg.ServerLabels}}},
			Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, portOf(s))},
		}}
	}
	if s.Network.Mode == runtime.NetworkPublic {
		p.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{
			{
				To: []networkingv1.NetworkPolicyPeer{{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{spaceNameLabel: systemSpace}},
					PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": dns}},
				}},
				Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, 53), port(corev1.ProtocolTCP, 53)},
			},
			{To: []networkingv1.NetworkPolicyPeer{
				{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: private4}},
				{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: private6}},
			}},
		}
	}
	return p
}

// pod runs the instance's program.
func (h *Host) pod(s runtime.InstanceSpec, owner *corev1.ConfigMap) *corev1.Pod {
	limits := s.Limits.WithDefaults(h.cfg.Limits.Limits)
	cpu := cmp.Or(s.Limits.CPU, h.cfg.Limits.CPU)
	meta := h.meta(s.ID, objectName(s.ID), owner)
	meta.Labels[generationLabel] = strconv.FormatInt(s.Generation, 10)
	meta.Annotations = map[string]string{}
	for name, value := range s.Labels {
		if idEnds.MatchString(value) {
			meta.Labels[labelPrefix+name] = value
		} else {
			meta.Annotations[labelPrefix+name] = value
		}
	}
	meta.Annotations[portAnnotation] = strconv.Itoa(portOf(s))
	// A program that writes more than it may is ended by the node, so everything that it can write is bounded.
	scratch := amount(limits.Disk)
	ends := corev1.ResourceRequirements{
		Limits: corev1.ResourceList{
			corev1.ResourceMemory: *amount(limits.Memory), corev1.ResourceCPU: *milli(cpu), corev1.ResourceEphemeralStorage: *scratch,
		},
		// Agents wait most of their time: the cluster places them by less than they may use.
		Requests: corev1.ResourceList{
			corev1.ResourceMemory: *amount(limits.Memory / 4), corev1.ResourceCPU: *milli(max(cpu/20, 1)), corev1.ResourceEphemeralStorage: *amount(0),
		},
	}
	security := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Privileged: new(false),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	mount := func(volume, path string) corev1.VolumeMount {
		return corev1.VolumeMount{Name: volume, MountPath: path}
	}
	work := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: scratch}}
	if h.cfg.StorageClass != NoStorage {
		work = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: objectName(s.ID)}}
	}
	secret := secretName(s.ID, s.Generation)
	var items []corev1.KeyToPath // the variables are nobody's file
	items = append(items, corev1.KeyToPath{Key: podfiles.ManifestName, Path: podfiles.ManifestName})
	for i := range len(s.Files) {
		key := "file-" + strconv.Itoa(i)
		items = append(items, corev1.KeyToPath{Key: key, Path: key})
	}
	env := []corev1.EnvVar{{Name: "HOME", Value: runtime.HomeDir}, {Name: "TMPDIR", Value: runtime.TempDir}}
	image, command := h.program(s)
	for i, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = slices.DeleteFunc(env, func(e corev1.EnvVar) bool { return e.Name == name })
		env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: envKey(i),
		}}})
	}
	p := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		InitContainers: []corev1.Container{{
			Name: filesContainer, Image: h.cfg.Image, ImagePullPolicy: corev1.PullIfNotPresent,
			Command: []string{"bureau", podfiles.Argument, filesDir, runtime.WorkDir},
			Resources: corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{corev1.ResourceMemory: *amount(filesMemory), corev1.ResourceCPU: *milli(max(cpu, runtime.DefaultCPU))},
				Requests: corev1.ResourceList{corev1.ResourceMemory: *amount(filesMemory / 8), corev1.ResourceCPU: *milli(1)},
			},
			VolumeMounts:             []corev1.VolumeMount{{Name: "files", MountPath: filesDir, ReadOnly: true}, mount("work", runtime.WorkDir)},
			SecurityContext:          security,
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		}},
		Containers: []corev1.Container{{
			Name: container, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
			Command: literal(command), WorkingDir: runtime.WorkDir, Env: env, Resources: ends,
			VolumeMounts:    []corev1.VolumeMount{mount("work", runtime.WorkDir), mount("temp", runtime.TempDir), mount("home", runtime.HomeDir)},
			SecurityContext: security,
		}},
		Volumes: []corev1.Volume{
			{Name: "work", VolumeSource: work},
			{Name: "temp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: scratch}}},
			{Name: "home", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: scratch}}},
			{Name: "files", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret, Items: items}}},
		},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(user)), RunAsGroup: new(int64(user)), FSGroup: new(int64(user)),
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false), // they would tell what else is in the namespace
	}}
	for _, name := range h.cfg.PullSecrets {
		p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	if h.cfg.RuntimeClass != "" {
		p.Spec.RuntimeClassName = new(h.cfg.RuntimeClass)
	}
	return p
}

var idEnds = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

// portAnnotation is where Dial finds the port.
const portAnnotation = labelPrefix + "port"

// literal keeps a cluster from reading $(NAME) in a command as a variable.
func literal(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = strings.ReplaceAll(arg, "$", "$$")
	}
	return out
}

func portOf(s runtime.InstanceSpec) int { return cmp.Or(s.Port, workerd.Port) }

// program returns what the pod's container runs. Bureau's image has the worker as a program of its own.
func (h *Host) program(s runtime.InstanceSpec) (image string, command []string) {
	if s.Image == "" && len(s.Command) == 0 {
		return h.cfg.Image, []string{workerd.Name}
	}
	return cmp.Or(s.Image, h.cfg.Image), s.Command
}
