import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../infra/stack/free-port.ts';
import type { Health } from '../../../monitor/health.ts';
import { serveHealth } from '../../../monitor/http.ts';

let health: Health = { live: true, ready: true, sign: 'healthy', reason: 'streaming' };
let server: Awaited<ReturnType<typeof serveHealth>> | null = null;

async function serve(): Promise<{ httpHost: string; httpPort: number; url: string }> {
  const address = { httpHost: '127.0.0.1', httpPort: await findFreePort() };
  server = await serveHealth(address, () => health);
  return { ...address, url: `http://127.0.0.1:${address.httpPort}` };
}

afterEach(async () => {
  await server?.close();
  server = null;
});

describe('serveHealth', () => {
  const cases: [string, Health, number, number][] = [
    ['healthy', { live: true, ready: true, sign: 'healthy', reason: 'streaming' }, 200, 200],
    ['waiting', { live: true, ready: false, sign: 'waiting', reason: 'for Kafka' }, 200, 503],
    ['stalled', { live: false, ready: false, sign: 'stalled', reason: 'no position' }, 503, 503],
  ];
  it.each(cases)('answers with the sign: %s', async (_, current, healthz, readyz) => {
    health = current;
    const { url } = await serve();
    const live = await fetch(`${url}/healthz`);
    expect([live.status, await live.json()]).toEqual([healthz, current]);
    expect(live.headers.get('connection')).toBe('close');
    const ready = await fetch(`${url}/readyz?from=probe`);
    expect([ready.status, await ready.json()]).toEqual([readyz, current]);
  });

  it('serves the metrics of the process', async () => {
    const { url } = await serve();
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
    expect(await response.text()).toContain('process_cpu_seconds_total');
  });

  it('refuses other paths, methods, and long addresses', async () => {
    const { url } = await serve();
    const status = async (path: string, method = 'GET') => (await fetch(`${url}${path}`, { method })).status;
    expect(await status('/')).toBe(404);
    expect(await status('/healthz', 'POST')).toBe(405);
    expect(await status(`/healthz?${'x'.repeat(2000)}`)).toBe(414);
    expect(await status(`/${'x'.repeat(9000)}`)).toBe(431);
  });

  it('says when the port is taken', async () => {
    const taken = await serve();
    await expect(serveHealth(taken, () => health)).rejects.toMatchObject({
      code: 'port_taken',
      message: `HTTP server on 127.0.0.1:${taken.httpPort}: the port is taken`,
    });
  });

  it('says when the host is no address of this machine', async () => {
    const httpPort = await findFreePort();
    await expect(serveHealth({ httpHost: '192.0.2.1', httpPort }, () => health)).rejects.toMatchObject({
      code: 'config_invalid',
    });
  });

  it('closes while a client holds its connection open', async () => {
    const { httpPort } = await serve();
    const socket = connect(httpPort, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /healthz HTTP/1.1\r\n');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await server!.close();
    await closed;
  });

  it('opens nothing on port 0', async () => {
    const none = await serveHealth({ httpHost: 'no such host', httpPort: 0 }, () => health);
    await none.close();
  });
});
