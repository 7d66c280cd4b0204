// A TCP proxy on loopback whose connections can be cut, stalled and half-opened, as networks do.
import { createServer, connect as dial, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Resets every connection on both sides; answers how many. New ones are let through. */
  cut(): number;
  /** Of the next answer of at least `bytes` bytes only so many are passed on; then all connections are reset. Resolves once that has happened. */
  cutWithin(bytes: number): Promise<void>;
  /** Forwards nothing until `resume`, over old connections and new ones. */
  stall(): void;
  resume(): void;
  /** Every connection is closed towards one side and stays open, silent for ever, towards the other; answers how many. */
  halfOpen(towards: 'client' | 'server'): number;
  /** From now on passes so many bytes a second of what a server says on, over each of the connections that there are. */
  slowDown(bytesPerSecond: number): void;
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
  let cutting: { readonly bytes: number; readonly done: () => void } | null = null;

  const pump = (link: Link) => {
    link.client.pipe(link.server);
    link.server.pipe(link.client);
  };
  /** While an answer is to be cut, those of this connection are looked at one by one. */
  const watch = (link: Link) => {
    link.server.unpipe(link.client);
    link.server.removeAllListeners('data');
    link.server.on('data', (data: Buffer) => {
      if (cutting === null || data.length < cutting.bytes) return void link.client.write(data);
      const { bytes, done } = cutting;
      cutting = null;
      link.client.end(data.subarray(0, bytes), () => {
        cut();
        done();
      });
    });
    link.server.resume();
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
    if (cutting !== null && !isStalled) watch(link);
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
  const cut = () => {
    const all = take();
    for (const { client, server } of all) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    return all.length;
  };
  return {
    port: (listener.address() as { port: number }).port,
    cut,
    cutWithin: (bytes) =>
      new Promise((resolve) => {
        cutting = { bytes, done: resolve };
        for (const link of links) watch(link);
      }),
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
    slowDown(bytesPerSecond) {
      for (const { client, server } of links) {
        server.unpipe(client);
        server.on('data', (data: Buffer) => {
          client.write(data);
          server.pause();
          setTimeout(() => server.resume(), (data.length / bytesPerSecond) * 1000);
        });
        server.resume();
      }
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
