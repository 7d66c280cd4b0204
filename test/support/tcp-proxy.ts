// A TCP proxy on loopback whose connections can be cut, stalled and half-opened, as networks do.
import { createServer, connect as dial, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Resets every connection on both sides; answers how many. New ones are let through. */
  cut(): number;
  /** Forwards nothing until `resume`, over old connections and new ones. */
  stall(): void;
  resume(): void;
  /** Every connection is closed towards one side and stays open, silent for ever, towards the other; answers how many. */
  halfOpen(towards: 'client' | 'server'): number;
  connections(): number;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/** Listens on a free port and forwards to `targetPort`, which need not be there yet. */
export async function openTcpProxy(targetPort: number, port = 0): Promise<TcpProxy> {
  const links = new Set<Link>();
  const silent = new Set<Socket>();
  let isStalled = false;

  const pump = (link: Link) => {
    link.client.pipe(link.server);
    link.server.pipe(link.client);
  };
  const hold = ({ client, server }: Link) => {
    client.unpipe(server);
    server.unpipe(client);
    client.pause();
    server.pause();
  };
  const listener = createServer({ allowHalfOpen: false, noDelay: true, pauseOnConnect: true }, (client) => {
    const link: Link = { client, server: dial({ host: '127.0.0.1', port: targetPort, noDelay: true }) };
    links.add(link);
    for (const [socket, other] of [
      [link.client, link.server],
      [link.server, link.client],
    ] as const) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        silent.delete(socket);
        if (!links.delete(link)) return;
        other.destroy();
      });
    }
    if (isStalled) hold(link);
    else pump(link);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', resolve);
  });

  const take = () => {
    const all = [...links];
    links.clear();
    return all;
  };
  return {
    port: (listener.address() as { port: number }).port,
    cut() {
      const all = take();
      for (const { client, server } of all) {
        client.resetAndDestroy();
        server.resetAndDestroy();
      }
      return all.length;
    },
    stall() {
      isStalled = true;
      for (const link of links) hold(link);
    },
    resume() {
      isStalled = false;
      for (const link of links) pump(link);
    },
    halfOpen(towards) {
      const all = take();
      for (const link of all) {
        hold(link);
        const [kept, closed] = towards === 'client' ? [link.client, link.server] : [link.server, link.client];
        closed.destroy();
        silent.add(kept);
        // Read and thrown away, so that the end of the other side is noticed.
        kept.on('data', () => undefined);
        kept.resume();
      }
      return all.length;
    },
    connections: () => links.size,
    async close() {
      for (const { client, server } of take()) {
        client.destroy();
        server.destroy();
      }
      for (const socket of silent) socket.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}
