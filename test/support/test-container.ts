// Not exercised where this was written: there was no Docker engine.
import { GenericContainer } from 'testcontainers';
import type { StartContainer } from '../../infra/stack/docker.ts';

/** Starts a container of the stack through testcontainers, whose reaper removes it even if the test run is killed. */
export const startTestContainer: StartContainer = async (spec) => {
  let container = new GenericContainer(spec.image)
    .withName(spec.name)
    .withEnvironment({ ...spec.env })
    .withNetworkMode(spec.network)
    .withBindMounts(
      spec.volume === undefined ? [] : [{ source: spec.volume.name, target: spec.volume.path, mode: 'rw' }],
    );
  if (spec.command.length > 0) container = container.withCommand([...spec.command]);
  if (spec.network !== 'host') {
    container = container.withExposedPorts({ container: spec.port.container, host: spec.port.host });
  }
  await container.start();
};
