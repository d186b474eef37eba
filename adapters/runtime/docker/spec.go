package docker

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// The labels of what the host makes.
const (
	labelServer     = "bureau.server"
	labelRole       = "bureau.role" // program, gateway, helper
	labelInstance   = "bureau.instance"
	labelGeneration = "bureau.generation"
	labelPort       = "bureau.port"
	labelFiles      = "bureau.files"   // those that the generation was given, as a JSON list
	labelProgram    = "bureau.program" // the digest of Bureau's binary: of its image, and of containers that have it
	labelLoader     = "bureau.loader"  // the base name of the loader that it needs in a container
	labelOther      = "bureau.label."  // and the name of one of InstanceSpec.Labels
)

// The users in containers. Neither has a name or a right. The relay has its own, so that programs can do nothing to it.
const (
	programUser = "65532:65532"
	relayUser   = "65531:65531"
)

// ownTasks are threads of the host's own in a container: the init, the launcher before it becomes the program, and the relay.
const ownTasks = 24

// tmpShare is how much of an instance's memory /tmp may take, one part in so many.
const tmpShare = 4

// checkSpec returns what is wrong with a spec.
func checkSpec(s runtime.InstanceSpec) error {
	switch l := s.Limits; {
	case !idPattern.MatchString(s.ID):
		return fault.Invalidf("id", "%q must be 1 to 40 of a-z, 0-9 and -", s.ID)
	case s.Generation < 1:
		return fault.Invalidf("generation", "must be at least 1")
	case s.Port < 0 || s.Port > 65535:
		return fault.Invalidf("port", "must be between 0 and 65535")
	case l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || l.CPU < 0 || l.OpenFiles < 0:
		return fault.Invalidf("limits", "must not be negative")
	}
	switch s.Network.Mode {
	case runtime.NetworkNone, runtime.NetworkPublic, runtime.NetworkLimited:
	default:
		return fault.Invalidf("network.mode", "%q is not known", s.Network.Mode)
	}
	for name, value := range s.Labels {
		if !labelPattern.MatchString(name) || !labelPattern.MatchString(value) {
			return fault.Invalidf("labels", "%q: names and values must be 1 to 63 of A-Z, a-z, 0-9, _, . and -", name)
		}
	}
	for name, value := range s.Env {
		if !variablePattern.MatchString(name) || strings.ContainsRune(value, 0) {
			return fault.Invalidf("env", "%q cannot be a variable", name)
		}
	}
	for name := range s.Files {
		if name == "" || name == "." || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") ||
			strings.ContainsRune(name, 0) {
			return fault.Invalidf("files", "%q is no path below the work directory", name)
		}
	}
	for _, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			return fault.Invalidf("command", "an argument has a zero byte")
		}
	}
	return nil
}

// limits returns what an instance may use.
func (h *Host) limits(l runtime.InstanceLimits) runtime.InstanceLimits {
	d := h.cfg.Limits
	d.Memory = cmp.Or(d.Memory, runtime.DefaultInstanceMemory)
	return runtime.InstanceLimits{
		Limits:    l.Limits.WithDefaults(d.Limits),
		CPU:       cmp.Or(l.CPU, d.CPU, runtime.DefaultCPU),
		OpenFiles: cmp.Or(l.OpenFiles, d.OpenFiles, runtime.DefaultOpenFiles),
	}
}

// The names of what belongs to an instance. Neither servers nor instances have underscores in theirs.
func (h *Host) name(id string) string          { return "bureau_" + h.cfg.Server + "_" + id }
func (h *Host) gatewayName(id string) string   { return h.name(id) + "_gateway" }
func (h *Host) gatewayVolume(id string) string { return h.name(id) + "_gateway" }

// labels returns the labels of something of an instance's.
func (h *Host) labels(id, role string) map[string]string {
	return map[string]string{labelServer: h.cfg.Server, labelInstance: id, labelRole: role}
}

// confined is what all containers of the host have in common.
func confined(l runtime.InstanceLimits, tasks int64, logBytes int) *container.HostConfig {
	yes := true
	const logFiles = 3
	return &container.HostConfig{
		NetworkMode: "none", IpcMode: container.IPCModePrivate, CgroupnsMode: container.CgroupnsModePrivate,
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}, ReadonlyRootfs: true, Init: &yes,
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		Tmpfs:         map[string]string{"/tmp": "rw,nosuid,nodev,exec,mode=1777,size=" + strconv.FormatInt(l.Memory/tmpShare, 10)},
		ShmSize:       min(l.Memory/tmpShare, 64<<20),
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{
			"max-file": strconv.Itoa(logFiles), "max-size": strconv.Itoa(max(logBytes/logFiles, 64<<10)),
		}},
		Resources: container.Resources{
			Memory: l.Memory, MemorySwap: l.Memory, NanoCPUs: int64(l.CPU) * 1_000_000, PidsLimit: &tasks,
			Ulimits: []*container.Ulimit{
				{Name: "nofile", Soft: int64(l.OpenFiles), Hard: int64(l.OpenFiles)},
				{Name: "fsize", Soft: l.Disk, Hard: l.Disk},
				{Name: "core"},
			},
		},
	}
}

// made is a container's configuration together with what its launcher is told.
type made struct {
	config  *container.Config
	host    *container.HostConfig
	program inside.Program
}

// build turns a spec into a container of the image im. Remove are the files of earlier generations.
func (h *Host) build(spec runtime.InstanceSpec, b *bundle, im image, remove []string) made {
	limits := h.limits(spec.Limits)
	labels := h.labels(spec.ID, "program")
	labels[labelGeneration] = strconv.FormatInt(spec.Generation, 10)
	labels[labelProgram], labels[labelLoader] = b.digest, b.loader
	labels[labelPort] = strconv.Itoa(spec.Port)
	labels[labelFiles] = listed(slices.Sorted(maps.Keys(spec.Files)))
	for name, value := range spec.Labels {
		labels[labelOther+name] = value
	}
	host := confined(limits, int64(limits.Processes)+ownTasks, h.cfg.LogBytes)
	host.Mounts = []mount.Mount{{
		Type: mount.TypeVolume, Source: h.name(spec.ID), Target: runtime.WorkDir, VolumeOptions: &mount.VolumeOptions{NoCopy: im.foreign},
	}}
	if im.foreign {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: b.volume(), Target: inside.Dir, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	env := map[string]string{"HOME": runtime.WorkDir, "TMPDIR": runtime.TempDir, "LANG": "C.UTF-8"}
	networked := spec.Network.Mode != runtime.NetworkNone
	if networked {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: h.gatewayVolume(spec.ID), Target: inside.GatewayDir, ReadOnly: true,
			VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
			env[name], env[strings.ToLower(name)] = "http://"+inside.ProxyAddress, "http://"+inside.ProxyAddress
		}
		env["NO_PROXY"], env["no_proxy"] = "localhost,127.0.0.1,::1", "localhost,127.0.0.1,::1"
		env["NODE_USE_ENV_PROXY"] = "1" // else Node's own fetch does not look
	}
	maps.Copy(env, spec.Env)
	args, dir := spec.Command, runtime.WorkDir
	if len(args) == 0 {
		args, dir = im.command, cmp.Or(im.dir, dir)
	}
	return made{
		config: &container.Config{
			Hostname: strings.Trim(spec.ID, "-"), User: programUser, Image: im.ref, Labels: labels,
			Entrypoint: command(b.loader, inside.LaunchPath), Cmd: []string{}, WorkingDir: "/",
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
			StopSignal: "SIGTERM", Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		host: host,
		program: inside.Program{
			Args: args, Dir: dir, Env: env, Root: runtime.WorkDir, Files: spec.Files, Remove: remove, Proxy: networked,
		},
	}
}
