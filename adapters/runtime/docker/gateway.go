package docker

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/gateway"
	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// bridge is the network that gateways of all servers have.
const bridge = "bureau-gateways"

// gatewayLimits are what a gateway may use.
var gatewayLimits = runtime.InstanceLimits{
	Limits: runtime.Limits{Memory: 128 << 20, Processes: 64, Disk: 1 << 20}, CPU: 1000, OpenFiles: 1024,
}

// startGateway starts the container that gives an instance its network, in place of one that it had.
func (h *Host) startGateway(ctx context.Context, spec runtime.InstanceSpec, b *bundle) error {
	rules, err := json.Marshal(gateway.Rules{Allow: h.cfg.EgressAllow, Network: spec.Network})
	if err != nil {
		return err
	}
	if err := h.endGateway(ctx, spec.ID); err != nil {
		return err
	}
	if err := h.bridge(ctx); err != nil {
		return err
	}
	host := confined(gatewayLimits, int64(gatewayLimits.Processes), 256<<10)
	host.NetworkMode = bridge
	host.RestartPolicy.Name = container.RestartPolicyUnlessStopped
	host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: h.gatewayVolume(spec.ID), Target: inside.GatewayDir}}
	config := &container.Config{
		User: programUser, Image: b.tag(), Labels: h.labels(spec.ID, "gateway"), Env: []string{gateway.Variable + "=" + string(rules)},
		Entrypoint: command(b.loader, inside.GatewayPath), Cmd: []string{}, WorkingDir: "/", StopSignal: "SIGTERM",
	}
	made, err := h.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: h.gatewayName(spec.ID), Config: config, HostConfig: host})
	if err == nil {
		_, err = h.engine.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		return fmt.Errorf("start the gateway of an instance: %w", err)
	}
	return nil
}

// endGateway removes an instance's gateway, if it has one.
func (h *Host) endGateway(ctx context.Context, id string) error {
	return h.delete(ctx, h.gatewayName(id))
}

// bridge makes the network of gateways.
func (h *Host) bridge(ctx context.Context) error {
	_, err := h.engine.NetworkInspect(ctx, bridge, client.NetworkInspectOptions{})
	if err == nil || !errdefs.IsNotFound(err) {
		return err
	}
	_, err = h.engine.NetworkCreate(ctx, bridge, client.NetworkCreateOptions{
		Driver: "bridge", Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
	})
	if err != nil && !errdefs.IsConflict(err) {
		return fmt.Errorf("make the network of gateways: %w", err)
	}
	return nil
}
