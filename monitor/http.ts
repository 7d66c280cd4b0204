import type { ServerResponse } from 'node:http';
import type { Config } from '../runtime/config.ts';
import { CrosswalkError, toCrosswalkError } from '../runtime/errors.ts';
import { hostAndPort } from '../runtime/network-address.ts';
import { http } from '../runtime/node-http.ts';
import type { Health } from './health.ts';
import { metrics } from './metrics.ts';

const MAX_URL_LENGTH = 1024;

/**
 * Serves GET /healthz (is it alive), /readyz (does it take part) and /metrics on config.httpHost:config.httpPort; nothing where the port is 0.
 * Throws `port_taken` or `config_invalid`. Every answer closes its connection, so `close` never waits for a client.
 */
export async function serveHealth(
  config: Pick<Config, 'httpHost' | 'httpPort'>,
  health: () => Health,
): Promise<{ close(): Promise<void> }> {
  if (config.httpPort === 0) return { close: async () => undefined };
  const server = http.createServer({ maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 5000 });
  server.maxConnections = 64;
  server.on('request', (request, response) => {
    response.setHeader('connection', 'close');
    const url = request.url ?? '/';
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(response, 405, 'text/plain', 'method not allowed\n');
    } else if (url.length > MAX_URL_LENGTH) {
      answer(response, 414, 'text/plain', 'URI too long\n');
    } else {
      route(url.split('?')[0]!, response, health).catch(() => {
        if (!response.headersSent) answer(response, 500, 'text/plain', 'internal error\n');
        else response.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(toListenError(error, config)));
    server.listen(config.httpPort, config.httpHost, resolve);
  });
  server.on('error', () => undefined);
  return {
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function route(path: string, response: ServerResponse, health: () => Health): Promise<void> {
  switch (path) {
    case '/healthz':
    case '/readyz': {
      const current = health();
      const isGood = path === '/healthz' ? current.live : current.ready;
      return answer(response, isGood ? 200 : 503, 'application/json', `${JSON.stringify(current)}\n`);
    }
    case '/metrics':
      return answer(response, 200, metrics.contentType, await metrics.metrics());
    default:
      return answer(response, 404, 'text/plain', 'not found: /healthz, /readyz and /metrics are\n');
  }
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

function toListenError(error: NodeJS.ErrnoException, config: Pick<Config, 'httpHost' | 'httpPort'>): CrosswalkError {
  const what = `HTTP server on ${hostAndPort(config.httpHost, config.httpPort)}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new CrosswalkError('port_taken', `${what}: the port is taken`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new CrosswalkError('config_invalid.host_foreign', `${what}: this machine has no such address`);
    case 'EACCES':
      return new CrosswalkError('config_invalid.port_privileged', `${what}: this user may not open the port`);
    default:
      return toCrosswalkError(error, what);
  }
}
